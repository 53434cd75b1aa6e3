"""What can be looked at, in one shape: scenes, files and arrays in; pixels of a chosen size out."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from jointnet.data.raster import Affine, Grid, RasterReader, open_raster, read_info
from jointnet.data.scene import Scene, as_scene
from jointnet.errors import InputError
from jointnet.evaluate.error_rasters import ERROR_COLOURS
from jointnet.predict.rasters import Meaning, foreground, meaning_of, read_foreground, to_bytes

# Okabe & Ito's palette, told apart by readers with any common colour blindness (https://jfly.uni-koeln.de/color/).
COLOURS = {
    "prediction": "#E69F00",
    "truth": "#56B4E9",
    "outline": "#F0E442",
    **ERROR_COLOURS,
}
# Class -> colour of what is predicted, colour of what is true; other classes take them in turn.
CLASS_COLOURS = {"buildings": (COLOURS["prediction"], COLOURS["truth"]), "roads": ("#CC79A7", "#0072B2")}
# Probability from 0 to 1: dark blue over grey to yellow, in even steps of lightness (cividis: Nunez, Anderton & Renslow
# 2018, doi:10.1371/journal.pone.0199239), here by nine of its colours and straight lines between them.
PROBABILITY_COLOURS = (
    "#00224E", "#123570", "#3B496C", "#575D6D", "#707173", "#8A8678", "#A59C74", "#C3B369", "#E1CC55", "#FEE838",
)
Window = tuple[int, int, int, int]  # (row, col, height, width) in pixels of a scene
Layer: TypeAlias = str | Path | np.ndarray  # a raster file, or an array on the scene's grid
Shapes: TypeAlias = Any  # a vector file or GeoDataFrame, or class -> one
Box = tuple[float, float, float, float]  # (south, west, north, east) in degrees
DRAWN = "drawn scene, not a photograph"
PHOTO_LIMIT = 2048  # longest side of what is shown, in pixels


@dataclass(frozen=True)
class ArrayScene:
    """An array that is looked at as a scene: no file, no place, no labels.

    Attributes:
        image: uint8 (height, width, bands).
        name: the name to show in titles.
    """

    image: np.ndarray
    name: str = "image"
    labels: dict = field(default_factory=dict)
    nodata: str | None = None
    gsd: float | None = None
    drawn: bool = False
    credit: str = ""
    part: None = None

    @property
    def info(self) -> Grid:
        """A grid without a place."""
        height, width, bands = self.image.shape
        return Grid(width, height, bands, str(self.image.dtype), None, Affine.identity())

    def read_valid(self, window: Window | None = None, class_name: str | None = None) -> np.ndarray:
        """bool (height, width): every pixel counts."""
        return np.ones(window[2:] if window else self.image.shape[:2], bool)


Shown: TypeAlias = Scene | ArrayScene


def as_shown(source: Shown | str | Path | np.ndarray) -> Shown:
    """What is to be looked at as a scene: an array becomes one, a path the scene of its image."""
    if isinstance(source, np.ndarray):
        if source.ndim not in (2, 3) or not source.size:
            raise InputError(f"an image is (height, width) or (height, width, bands), not {source.shape}")
        return ArrayScene(source[..., None] if source.ndim == 2 else source)
    return source if isinstance(source, ArrayScene) else as_scene(source)


def origin_of(scene: Shown) -> str:
    """What every picture of a scene must say of where it comes from: drawn by a program, or who provided it; or ""."""
    return DRAWN if scene.drawn else scene.credit


def fit(shape: tuple[int, int], max_size: int) -> tuple[int, int]:
    """The largest (height, width) of the same form with no side over `max_size` pixels, and no larger than it is."""
    shrink = max(1.0, max(shape) / max_size)
    return max(1, round(shape[0] / shrink)), max(1, round(shape[1] / shrink))


def read_image(
    scene: Shown, window: Window | None = None, max_size: int = PHOTO_LIMIT, bands: Sequence[int] | None = None
) -> np.ndarray:
    """uint8 (height, width, 3) of a scene's window, shrunk to `max_size` pixels, no-data white."""
    stored = read_layer(scene.image, scene, window, max_size, "average", bands)
    pixels = stretched_as(scene, stored, bands)
    if scene.nodata is None and stored.dtype == np.uint8:
        return as_rgb(pixels)
    valid = resize(scene.read_valid(window), pixels.shape[:2], "nearest")
    return np.where(valid[..., None], as_rgb(pixels, valid), 255).astype(np.uint8)


def stretched_as(scene: Shown, pixels: np.ndarray, bands: Sequence[int] | None = None) -> np.ndarray:
    """An image's pixels as a network is shown them, where the scene says how; else as they are."""
    stretch = scene.stretch if isinstance(scene, Scene) else None
    if stretch is None:
        return pixels
    return (stretch if bands is None else stretch.of(bands))(pixels)


def class_colours(class_name: str, number: int = 0) -> tuple[str, str]:
    """(predicted, true): the colours of a class; `number` chooses those of a class that has none of its own."""
    return CLASS_COLOURS.get(class_name) or list(CLASS_COLOURS.values())[number % len(CLASS_COLOURS)]


def read_layer(
    source: Layer, scene: Shown, window: Window | None = None, max_size: int = PHOTO_LIMIT,
    resampling: str = "nearest", bands: Sequence[int] | None = None,
) -> np.ndarray:
    """Pixels (height, width, bands) of a file or array that lies on a scene's grid.

    Args:
        source: raster file, or array (height, width[, bands]).
        scene: whose grid it lies on.
        window: (row, col, height, width) in pixels of the scene; the whole scene without it.
        max_size: longest side of the answer, in pixels.
        resampling: "nearest" for masks, "average" for images.
        bands: 1-based numbers of those that are wanted.

    Raises:
        ValueError: if it has another size than the scene.
    """
    if isinstance(source, np.ndarray):
        return _of_array(source, scene, window, max_size, resampling, bands)
    return _of_file(source, scene, window, max_size, lambda raster, inside: raster.read(inside, bands, resampling))


def read_mask_layer(
    source: Layer, scene: Shown, window: Window | None = None, max_size: int = PHOTO_LIMIT,
    bands: Sequence[int] | None = None,
) -> np.ndarray:
    """bool (height, width, bands): where a mask file or array shows its class. Arguments and errors as `read_layer`.

    Raises:
        PredictionError: if it holds probabilities, or hides what may be the class; see `read_foreground`.
    """
    if isinstance(source, np.ndarray):
        return foreground(_of_array(source, scene, window, max_size, "nearest", bands))
    return _of_file(source, scene, window, max_size, lambda raster, inside: read_foreground(raster, inside, bands))


def _of_array(
    source: np.ndarray, scene: Shown, window: Window | None, max_size: int, resampling: str,
    bands: Sequence[int] | None,
) -> np.ndarray:
    """`read_layer` of an array."""
    row, col, height, width = window or (0, 0, *scene.info.shape)
    check_size(source.shape[:2], scene, "the array")
    data = source[row : row + height, col : col + width]
    data = data[..., None] if data.ndim == 2 else data
    shape = fit((height, width), max_size)
    return resize(data if bands is None else data[..., [b - 1 for b in bands]], shape, resampling)


def _of_file(
    source: str | Path, scene: Shown, window: Window | None, max_size: int,
    read: Callable[[RasterReader, Window], np.ndarray],
) -> np.ndarray:
    """What `read` gives of a file, resampled so that a window of the scene is no larger than `max_size`."""
    row, col, height, width = window or (0, 0, *scene.info.shape)
    shape = fit((height, width), max_size)
    is_image = isinstance(scene, Scene) and Path(source) == Path(scene.image)
    top, left = (scene.part or (0, 0))[:2] if is_image else (0, 0)
    info = read_info(source, expand=is_image)
    if not is_image:
        check_size(info.shape, scene, str(source))
    whole = fit_whole(info.shape, (height, width), shape)
    with open_raster(source, None if whole == info.shape else whole, expand=is_image) as raster:
        sy, sx = whole[0] / info.height, whole[1] / info.width
        first = min(round((top + row) * sy), whole[0] - shape[0]), min(round((left + col) * sx), whole[1] - shape[1])
        return read(raster, (*first, *shape))


def read_probability_layer(
    source: Layer, scene: Shown, window: Window | None = None, max_size: int = PHOTO_LIMIT,
    bands: Sequence[int] | None = None,
) -> np.ndarray:
    """uint8 (height, width, bands) of a probability raster or array, 255 for 1, no imagery 0. See `read_layer`."""
    pixels = read_layer(source, scene, window, max_size, bands=bands)
    return to_bytes(pixels, meaning_of_layer(source))


def meaning_of_layer(source: Layer) -> Meaning:
    """What the values of a probability file stand for, or of an array: float in [0, 1], or uint8 with 255 for 1."""
    if isinstance(source, np.ndarray):
        return Meaning(255 if source.dtype == np.uint8 else 1)
    return meaning_of(read_info(source), source)


def fit_whole(full: tuple[int, int], part: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """The size of a whole raster on the grid where a part of it has `shape` pixels."""
    return max(shape[0], round(full[0] * shape[0] / part[0])), max(shape[1], round(full[1] * shape[1] / part[1]))


def check_size(shape: tuple[int, int], scene: Shown, name: str) -> None:
    """Raises ValueError if a layer is not on its scene's grid."""
    if tuple(shape) != scene.info.shape:
        raise InputError(
            f"{name} is {shape[0]} x {shape[1]} px, the scene {scene.name} is {scene.info.height} x "
            f"{scene.info.width} px; show a layer with the scene that it was made from"
        )


def round_length(metres: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50, ... that is at most `metres`: for the bar of a scale."""
    power = 10.0 ** np.floor(np.log10(metres))
    return float(max(step * power for step in (1, 2, 5) if step * power <= metres * (1 + 1e-9)))


def as_rgb(pixels: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """uint8 (height, width, 3) of any image: one band as grey, of more than three the first three, others stretched.

    Values other than uint8 are stretched from their 2nd to their 98th percentile; what is no number becomes 0.

    Args:
        pixels: (height, width[, bands]).
        valid: bool (height, width), which pixels have a say in the percentiles; all without it.
    """
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    pixels = np.repeat(pixels[..., :1], 3, axis=-1) if pixels.shape[-1] < 3 else pixels[..., :3]
    if pixels.dtype == np.uint8:
        return pixels
    seen = pixels if valid is None else pixels[valid]
    seen = seen[np.isfinite(seen)]
    low, high = np.percentile(seen, (2, 98)) if seen.size else (0.0, 1.0)
    shares = np.nan_to_num((pixels - low) / max(high - low, 1e-9), nan=0.0)
    return np.round(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def resize(data: np.ndarray, shape: tuple[int, int], resampling: str) -> np.ndarray:
    """An array of another (height, width): "nearest" picks, "average" is the mean of the pixels that fall together."""
    if data.shape[:2] == shape:
        return data
    if resampling == "nearest" or data.dtype == bool:
        rows = ((np.arange(shape[0]) + 0.5) * data.shape[0] / shape[0]).astype(int)
        columns = ((np.arange(shape[1]) + 0.5) * data.shape[1] / shape[1]).astype(int)
        return data[rows][:, columns]
    planes = data[..., None] if data.ndim == 2 else data
    sized = [
        np.asarray(Image.fromarray(planes[..., b].astype(np.float32)).resize(shape[::-1], Image.Resampling.BOX))
        for b in range(planes.shape[-1])
    ]
    joined = np.stack(sized, -1)
    joined = np.round(joined).astype(data.dtype) if np.issubdtype(data.dtype, np.integer) else joined
    return joined[..., 0] if data.ndim == 2 else joined


def rgb(colour: str) -> tuple[int, int, int]:
    """(red, green, blue) of "#RRGGBB"."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def probability_table() -> np.ndarray:
    """uint8 (256, 3): the colour of each probability."""
    anchors = np.array([rgb(c) for c in PROBABILITY_COLOURS], float)
    at = np.linspace(0, len(anchors) - 1, 256)
    return np.stack([np.round(np.interp(at, np.arange(len(anchors)), anchors[:, b])) for b in range(3)], -1).astype(
        np.uint8
    )


def paint(mask: np.ndarray, colour: str) -> np.ndarray:
    """uint8 (height, width, 4): the colour where the mask is, transparent elsewhere."""
    painted = np.zeros((*mask.shape, 4), np.uint8)
    painted[mask > 0] = (*rgb(colour), 255)
    return painted


def outline(mask: np.ndarray) -> np.ndarray:
    """bool (height, width): the pixels of a mask that touch its outside."""
    solid = np.pad(mask > 0, 1)
    inner = solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:]
    return solid[1:-1, 1:-1] & ~inner


FORMS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "compress_level": 1},
    "jpeg": {"format": "JPEG", "quality": 90, "subsampling": 0},  # colours at full resolution
    "webp": {"format": "WEBP", "quality": 85, "method": 2},  # half of that JPEG's bytes, in eight times its time
}


def encode(pixels: np.ndarray, form: str = "png") -> bytes:
    """The bytes of a uint8 image as one of `FORMS`: "png" is exact."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **FORMS[form])
    return buffer.getvalue()


def encode_photo(pixels: np.ndarray, form: str = "jpeg") -> bytes:
    """The bytes of a photograph for the browser: exact while it is small, JPEG or `form` from half a megapixel on."""
    return encode(pixels, "png" if pixels.shape[0] * pixels.shape[1] < 500_000 else form)


def data_url(pixels: np.ndarray, form: str = "png") -> str:
    """An image as a data: URL, which a page shows without fetching anything."""
    return f"data:image/{form};base64,{base64.b64encode(encode(pixels, form)).decode()}"
