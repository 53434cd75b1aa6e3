"""Layers of a map in; one PNG of them out, for notebooks that are not trusted and pages without widgets."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from jointnet.show.layers import Box, encode, round_length

WIDTH, HEIGHT = 900, 600  # pixels
BACKGROUND, CARD, INK = (242, 242, 242, 255), (255, 255, 255, 235), (31, 31, 31, 255)
MARGIN = 18
NAME = 100  # pixels that the name of a place may take beside it
EARTH = 40_075_016.686  # metres around the equator

Place = Callable[[float, float], tuple[float, float]]  # of latitude and longitude: (x, y) in pixels


@dataclass
class Still:
    """What a map shows, as it is to be drawn.

    Attributes:
        pictures: (data URL, (south, west, north, east) in degrees, opacity), the lowest first.
        shapes: (GeoJSON geometries in degrees, colour, opacity).
        places: (latitude, longitude, text, side: "left" or "right" of a dot, or "middle" without one).
        legend: (name, colours: one, or those of a ramp).
        notes: lines of small print.
    """

    pictures: list = field(default_factory=list)
    shapes: list = field(default_factory=list)
    places: list = field(default_factory=list)
    legend: list = field(default_factory=list)
    notes: list = field(default_factory=list)


def draw_still(still: Still, bounds: Box) -> bytes:
    """A PNG of (south, west, north, east) in degrees, filled as far as its form allows."""
    canvas = Image.new("RGBA", (WIDTH, HEIGHT), BACKGROUND)
    legend = _legend_width(still)
    left, right = (MARGIN, WIDTH - MARGIN - legend) if not still.places else (NAME, WIDTH - NAME)
    place = _fit(bounds, left, right)
    for url, corners, opacity in still.pictures:
        _lay(canvas, url, corners, opacity, place)
    over = Image.new("RGBA", canvas.size)
    pen = ImageDraw.Draw(over)
    for geometries, colour, opacity in still.shapes:
        ink = (*ImageColor.getrgb(colour), round(255 * opacity))
        for line in lines_of(geometries):
            points = [place(lat, lon) for lon, lat in line]
            pen.line(points, fill=ink, width=2)
    for lat, lon, text, side in still.places:
        _mark(pen, place(lat, lon), text, side)
    canvas.alpha_composite(over)
    _furnish(canvas, still, legend, bounds, place)
    return encode(np.asarray(canvas.convert("RGB")))


def lines_of(geometries: Iterable[dict]) -> Iterable[Sequence[tuple[float, float]]]:
    """The rings and lines of GeoJSON geometries, each a list of (longitude, latitude)."""
    for geometry in geometries:
        kind, parts = geometry["type"], geometry.get("coordinates", [])
        if kind == "GeometryCollection":
            yield from lines_of(geometry["geometries"])
        elif kind == "LineString":
            yield [point[:2] for point in parts]
        elif kind in ("Polygon", "MultiLineString"):
            yield from ([point[:2] for point in part] for part in parts)
        elif kind == "MultiPolygon":
            yield from ([point[:2] for point in ring] for part in parts for ring in part)


def _mercator(lat: float, lon: float) -> tuple[float, float]:
    """(x, y) in shares of the world, y downwards."""
    return lon / 360 + 0.5, 0.5 - math.asinh(math.tan(math.radians(lat))) / (2 * math.pi)


def _fit(bounds: Box, first: float, last: float) -> Place:
    """A function of latitude and longitude that gives (x, y) in pixels; the bounds fill columns `first` to `last`."""
    south, west, north, east = bounds
    (left, bottom), (right, top) = _mercator(south, west), _mercator(north, east)
    scale = min((last - first) / max(right - left, 1e-9), (HEIGHT - 2 * MARGIN) / max(bottom - top, 1e-9))
    across, down = (first + last - scale * (left + right)) / 2, (HEIGHT - scale * (top + bottom)) / 2

    def place(lat: float, lon: float) -> tuple[float, float]:
        x, y = _mercator(lat, lon)
        return x * scale + across, y * scale + down

    return place


def _lay(canvas: Image.Image, url: str, corners: Box, opacity: float, place: Place) -> None:
    """Lays a picture between its corners."""
    south, west, north, east = corners
    (left, bottom), (right, top) = place(south, west), place(north, east)
    picture = Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1].partition("#")[0]))).convert("RGBA")
    size = max(1, round(right - left)), max(1, round(bottom - top))
    picture = picture.resize(size, Image.Resampling.BOX if size[0] < picture.width else Image.Resampling.NEAREST)
    picture.putalpha(picture.getchannel("A").point([round(v * opacity) for v in range(256)]))
    canvas.alpha_composite(_cut(picture, left, top, canvas.size), (max(0, round(left)), max(0, round(top))))


def _cut(picture: Image.Image, left: float, top: float, size: tuple[int, int]) -> Image.Image:
    """The part of a picture that lies on the canvas."""
    x, y = min(0, round(left)), min(0, round(top))
    return picture.crop((-x, -y, min(picture.width, size[0] - round(left)), min(picture.height, size[1] - round(top))))


def _mark(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, side: str) -> None:
    """A name, beside a dot or alone."""
    x, y = at
    shift, anchor = {"left": (-10, "rm"), "right": (10, "lm"), "middle": (0, "mm")}[side]
    if side != "middle":
        pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=(0, 114, 178, 255), outline=(255, 255, 255, 255))
    pen.text((x + shift, y), _line(text), INK, _font(13), anchor=anchor, stroke_width=3,
             stroke_fill=(255, 255, 255, 255))


def _legend_width(still: Still) -> float:
    """Pixels that the legend takes at the right; 0 without one."""
    return max((_font(13).getlength(_line(name)) + 56 for name, _ in still.legend), default=0)


def _furnish(canvas: Image.Image, still: Still, wide: float, bounds: Box, place: Place) -> None:
    """Legend, scale and small print."""
    over = Image.new("RGBA", canvas.size)
    pen = ImageDraw.Draw(over)
    if still.legend:
        font, step = _font(13), 20
        left, top = WIDTH - MARGIN - wide, MARGIN
        pen.rounded_rectangle((left, top, WIDTH - MARGIN, top + step * len(still.legend) + 8), 4, CARD)
        for i, (name, colours) in enumerate(still.legend):
            y = top + 8 + i * step
            _swatch(pen, left + 8, y, colours)
            pen.text((left + 44, y + 6), _line(name), INK, font, anchor="lm")
    _scale(pen, bounds, place)
    for i, note in enumerate(reversed(still.notes)):
        pen.text((WIDTH - MARGIN, HEIGHT - MARGIN - 16 * i), _line(note, 140), INK, _font(12), anchor="rb",
                 stroke_width=3, stroke_fill=CARD)
    canvas.alpha_composite(over)


def _swatch(pen: ImageDraw.ImageDraw, x: float, y: float, colours: Sequence[str]) -> None:
    """The colours of one entry of the legend, side by side."""
    each = 28 / len(colours)
    for i, colour in enumerate(colours):
        pen.rectangle((x + i * each, y, x + (i + 1) * each - 1, y + 12), fill=ImageColor.getrgb(colour))


def _scale(pen: ImageDraw.ImageDraw, bounds: Box, place: Place) -> None:
    """A bar of a round length in metres, at the middle latitude."""
    south, west, north, east = bounds
    middle = (south + north) / 2
    pixels = place(middle, west + 1e-3)[0] - place(middle, west)[0]
    metres = EARTH * math.cos(math.radians(middle)) * 1e-3 / 360 / pixels  # of one pixel
    length = round_length(140 * metres)
    text = f"{length / 1000:.0f} km" if length >= 1000 else f"{length:.0f} m"
    x, y, wide = MARGIN + 8, HEIGHT - MARGIN - 8, length / metres
    pen.rounded_rectangle((x - 8, y - 24, x + max(wide, 40) + 8, y + 8), 4, CARD)
    pen.line([(x, y - 4), (x, y), (x + wide, y), (x + wide, y - 4)], fill=INK, width=2)
    pen.text((x + wide / 2, y - 5), text, INK, _font(12), anchor="ms")


def _line(text: str, most: int = 40) -> str:
    """A text as one line of at most so many letters, whatever a layer or a place is called."""
    plain = " ".join(text.split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own typeface: there is one on every machine."""
    return ImageFont.load_default(size)
