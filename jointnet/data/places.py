"""Where on Earth, in degrees; imagery of that place as a scene, read from a public service window by window."""

from __future__ import annotations

import datetime
import math
import numbers
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import numpy as np
import pyproj

from jointnet.data.cache import forget_oldest_tiles
from jointnet.data.place_files import Place, read_place, write_place
from jointnet.data.raster import RasterError, RasterReader, ServiceError, create_raster, open_raster
from jointnet.data.scene import Scene
from jointnet.data.services import (
    TILE,
    PlaceError,
    find_service,
    ground_pixel,
    tile_range,
    zoom_for,
)
from jointnet.errors import InputError
from jointnet.files import cache_folder, check_file_name
from jointnet.progress import tqdm

MOST_TILES = 4_096  # of one place, unless more are asked for: politeness, and a guard against a slip of the hand
PROBES, PROBE = 3, 32  # spots along a side that are looked at before anything else, and their side in pixels
SAVED = 1_024  # side of the windows in which a place is saved, in pixels
WIDEST = 1_000_000.0  # metres of a square around a point
STEEPEST = 84.0  # degrees of latitude: UTM ends there, and Web Mercator soon after


class PlaceWarning(UserWarning):
    """Something about a place that works, and that its user should know."""


@dataclass(frozen=True)
class PlacePlan:
    """What opening a place would mean, worked out without a network.

    Attributes:
        place: its description.
        box: (west, south, east, north) in degrees.
        tiles: how many lie under it.
        pixel: metres on the ground of the tiles' pixels.
        source: the service, as it was asked for.
    """

    place: Place
    box: tuple[float, float, float, float]
    tiles: int
    pixel: float
    source: str | None

    @property
    def size(self) -> tuple[float, float]:
        """(width, height) on the ground, in metres."""
        side = self.place.transform[0]
        return self.place.width * side, self.place.height * side


def open_place(
    where: Sequence[float],
    source: str | None = None,
    gsd: float = 0.3,
    width: float | None = None,
    name: str | None = None,
    save: bool | str | Path = False,
    most_tiles: int = MOST_TILES,
    progress: bool = True,
) -> Scene:
    """Imagery of any place as a scene on its UTM grid; pixels are fetched as they are read, and kept.

    A few tiles are fetched at once, to see that the service has imagery there.

    Args:
        where: (west, south, east, north) in degrees, or (longitude, latitude) of the middle with `width`.
        source: who provides it: "basemap.at", "swissimage", "ign", "pdok", "naip", a name of xyzservices
            ("Esri.WorldImagery"), or an address, see `find_service`; without it, the one of our list that is certain
            to cover the place.
        gsd: metres per pixel of the scene; the zoom of the tiles follows from it and from the latitude.
        width: metres along the sides of a square around (longitude, latitude).
        name: what the scene and the files predicted for it are called; without it, one made of source and coordinates.
        save: True fetches it whole and keeps it as a GeoTIFF that works offline for ever, in the cache or in the folder
            that is given.
        most_tiles: more than these are refused.
        progress: False shows no progress bar while saving.

    Warns:
        PlaceWarning: if the finest pixels of the service are coarser than `gsd`.

    Raises:
        PlaceError: if the place is none, is too large, or no service is certain.
        ServiceError: if the service does not answer, or has nothing there.
    """
    plan = plan_place(where, source, gsd, width, name)
    check_size(plan, most_tiles)
    if plan.pixel > gsd * 1.1:
        warnings.warn(PlaceWarning(
            f"the finest pixels of {plan.place.service.name} are {plan.pixel:.2f} m there; a scene of {gsd} m shows no "
            f"more than they do"), stacklevel=2)
    forget_oldest_tiles()
    path = write_place(plan.place)
    place = read_place(path)  # it may be of an earlier day
    if save:
        folder = cache_folder() / "places" if save is True else Path(save)
        path = _save(path, folder / f"{place.name}.tif", place, progress)
    else:
        _probe(path, place)
    return Scene(place.name, path, split="test", credit=place.credit)


def plan_place(where: Sequence[float], source: str | None = None, gsd: float = 0.3, width: float | None = None,
               name: str | None = None) -> PlacePlan:
    """What `open_place` would open, without a network: the place's grid, its service, and how many tiles it takes.

    Arguments and `PlaceError` as `open_place`.
    """
    if not (_is_number(gsd) and gsd > 0):
        raise PlaceError(f"gsd={gsd!r} must be metres per pixel, a number above 0")
    box = _box(where, width)
    service = find_service(source, box)
    crs = _utm(box)
    left, bottom, right, top = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform_bounds(*box)
    left, top = math.floor(left / gsd) * gsd, math.ceil(top / gsd) * gsd  # places of one grid fit into each other
    columns, rows = max(1, math.ceil((right - left) / gsd)), max(1, math.ceil((top - bottom) / gsd))
    latitude = (box[1] + box[3]) / 2
    zoom = zoom_for(gsd, latitude, service.finest)
    label = name or f"{service.name}_{(box[0] + box[2]) / 2:.4f}_{latitude:.4f}".replace(".", "-").replace(":", "-")
    place = Place(_checked_name(label), service, zoom, crs, (gsd, 0.0, left, 0.0, -gsd, top), columns, rows,
                  datetime.date.today().isoformat())
    first_col, first_row, last_col, last_row = tile_range(_around(place), zoom)
    tiles = (last_col - first_col + 1) * (last_row - first_row + 1)
    return PlacePlan(place, box, tiles, ground_pixel(zoom, latitude), source)


def _checked_name(name: str) -> str:
    """A name that can be a file's."""
    try:
        check_file_name(name, "the place")
    except InputError as error:
        raise PlaceError(f"name={name!r} becomes the name of files; {error}") from error
    return name


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _box(where: Sequence[float], width: float | None) -> tuple[float, float, float, float]:
    """(west, south, east, north) in degrees, checked."""
    try:
        given = tuple(float(value) for value in where)
    except (TypeError, ValueError):
        given = ()
    if len(given) not in (2, 4) or not all(map(math.isfinite, given)):
        raise PlaceError(f"where={where!r} must be (west, south, east, north) in degrees, or (longitude, latitude) "
                         f"with width=")
    if max(map(abs, given)) > 360:
        raise PlaceError(f"where={given} must be degrees, as (11.39, 47.26); these look like metres of a map's grid")
    if len(given) == 2:
        given = _square(given, width)
    elif width is not None:
        raise PlaceError("width= belongs to a (longitude, latitude); four numbers have a size of their own")
    west, south, east, north = given
    if east > 180 or west < -180 or (west > east and west - east > 180):
        raise PlaceError(f"where={given} crosses the line of 180 degrees; open both sides of it, one after the other")
    if not (west < east and south < north):
        raise PlaceError(f"where={given} is empty; the order is west, south, east, north")
    if south < -STEEPEST or north > STEEPEST:
        raise PlaceError(f"where={given} lies beyond {STEEPEST:.0f} degrees of latitude, where services end; "
                         f"check the order: longitude comes first")
    if east - west > 6:
        raise PlaceError(f"where={given} is {east - west:.0f} degrees wide, more than a UTM zone; open a part of it")
    return west, south, east, north


def _square(middle: tuple[float, float], width: float | None) -> tuple[float, float, float, float]:
    """The box around a square of so many metres."""
    if not (_is_number(width) and 0 < width <= WIDEST):
        raise PlaceError(f"where={middle} is a point; give width= in metres, for example width=600, not {width!r}")
    lon, lat = middle
    if not -180 <= lon <= 180 or not -STEEPEST <= lat <= STEEPEST:
        raise PlaceError(f"where={middle} must be (longitude, latitude) in degrees; longitude comes first")
    geod = pyproj.Geod(ellps="WGS84")
    ends = [geod.fwd(lon, lat, azimuth, width / 2)[:2] for azimuth in (270, 180, 90, 0)]
    return ends[0][0], ends[1][1], ends[2][0], ends[3][1]


def _utm(box: tuple[float, float, float, float]) -> str:
    """The UTM zone of the middle of a box."""
    lon, lat = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return f"EPSG:{32600 + (lat < 0) * 100 + min(60, int((lon + 180) // 6) + 1)}"


def _around(place: Place) -> tuple[float, float, float, float]:
    """(west, south, east, north) in degrees around the ground of a place's grid."""
    side, left, top = place.transform[0], place.transform[2], place.transform[5]
    corners = (left, top - place.height * side, left + place.width * side, top)
    return pyproj.Transformer.from_crs(place.crs, "EPSG:4326", always_xy=True).transform_bounds(*corners)


def check_size(plan: PlacePlan, most: int) -> None:
    """Raises PlaceError if a place takes more tiles than that; the message names the size that would do."""
    if not (_is_number(most) and most >= 1):
        raise PlaceError(f"most_tiles={most!r} must be a number of tiles, 1 or more")
    if plan.tiles <= most:
        return
    width, height = plan.size
    gsd, (west, south, east, north) = plan.place.transform[0], plan.box
    middle = (west + east) / 2, (south + north) / 2
    fits = math.sqrt(most) * TILE * ground_pixel(plan.place.zoom, middle[1])
    while fits > gsd and plan_place(middle, plan.source, gsd, fits).tiles > most:
        fits *= 0.98  # down to a pixel: around the edge of a tile there may be no square on so few
    smaller = f"a square of {fits:.0f} m, " if fits > gsd else ""
    raise PlaceError(
        f"{width:.0f} x {height:.0f} m at {gsd} m per pixel are {plan.tiles:,} tiles, more than {most:,}; take "
        f"{smaller}a larger gsd=, or most_tiles={plan.tiles} if the provider allows it")


def _probe(path: Path, place: Place) -> None:
    """Looks at a few spots of a place.

    Raises:
        ServiceError: if most of them are missing, of one colour, or the same picture.
    """
    shape = min(PROBE, place.height), min(PROBE, place.width)
    middles = (np.arange(PROBES) + 0.5) / PROBES  # of as many equal parts
    rows, columns = (np.unique((middles * (length - side)).astype(int))
                     for length, side in zip((place.height, place.width), shape, strict=True))
    with open_raster(path) as raster:
        seen = [_look(raster, (int(row), int(col), *shape)) for row in rows for col in columns]
    found = len(set(seen) - {None})  # a provider's picture of "no imagery" is the same everywhere
    if found <= len(seen) / 2:
        raise ServiceError(
            f"{place.service.name} has no imagery for most of this place at zoom {place.zoom}: {len(seen) - found} of "
            f"{len(seen)} spots are missing, of one colour, or all the same; try a larger gsd=, or another source=")


def _look(raster: RasterReader, window: tuple[int, int, int, int]) -> bytes | None:
    """The pixels of a spot; None where there is no imagery, or one colour."""
    pixels = raster.read(window)
    plain = np.ptp(pixels.reshape(-1, pixels.shape[-1]), axis=0).max() == 0
    return None if plain or raster.read_valid(window).mean() <= 0.5 else pixels.tobytes()


def _save(path: Path, target: Path, place: Place, progress: bool) -> Path:
    """The place as a Cloud-Optimized GeoTIFF with its tags."""
    if target.exists():
        with open_raster(target) as kept:
            if (kept.info.tags or {}).get("JOINTNET_PLACE") == place.digest:
                return target
        raise RasterError(f"{target} exists and shows something else; give another name= or folder")
    tags = place.tags | {"JOINTNET_PLACE": place.digest}
    with open_raster(path) as raster, create_raster(
        target, raster.info, 3, tags=tags, photometric="RGB", nodata=0,
    ) as file:
        missing = 0
        for window in tqdm(_windows(place), desc=place.name, unit="window", disable=not progress):
            valid = raster.read_valid(window)
            missing += int((~valid).sum())
            pixels = np.maximum(raster.read(window), 1)  # 0 says that there is no imagery
            file.write(np.where(valid[..., None], pixels, 0).astype(np.uint8), *window[:2])
        check_covered(missing, place.height * place.width, path)
    return target


def _windows(place: Place) -> list[tuple[int, int, int, int]]:
    """(row, col, height, width) of the windows in which a place is saved."""
    return [(row, col, min(SAVED, place.height - row), min(SAVED, place.width - col))
            for row in range(0, place.height, SAVED) for col in range(0, place.width, SAVED)]


def check_covered(missing: int, pixels: int, path: Path) -> None:
    """Raises PlaceError if more than half of the pixels of a place, or of a part of it, have no imagery."""
    if missing > pixels / 2:
        place = read_place(path)
        raise PlaceError(f"{place.service.name} has no imagery for {missing / pixels:.0%} of this place at zoom "
                         f"{place.zoom}, so nothing is written; try a larger gsd=, or another source=")
