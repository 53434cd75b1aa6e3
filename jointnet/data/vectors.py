"""Vector files in, tables of their features out, each with its CRS; where their shapes lie."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import AzimuthalEquidistantConversion
from rasterio.crs import CRS

from jointnet.data.class_columns import features_of_class
from jointnet.data.datums import to_image, way_from
from jointnet.data.layers import LabelError, Layer, layers_of, read_layer
from jointnet.data.raster import Grid, project_box, project_points
from jointnet.data.shapes import features_said, shapes_of_class

TURNS = (0.0, 360.0, -360.0)  # degrees: longitudes may run from -180 to 180 or from 0 to 360
KEPT_SHAPES = 500_000  # the shapes of a file with no more are kept in memory while an image is read by windows
PIXELS = "pixels"  # the `crs` of shapes drawn in columns and rows of an image


def read_features(
    path: str | Path,
    grid: Grid,
    crs: str | None = None,
    layer: str | None = None,
    margin: float = 0.0,
    class_name: str | None = None,
) -> gpd.GeoDataFrame:
    """The features of a vector file whose boxes meet the grid, in the file's CRS, heights dropped.

    Args:
        path: vector file, as for `rasterize_file`.
        grid: size, CRS and transform of the image.
        crs: CRS of the file where it names none or a wrong one, or "pixels".
        layer: name of the layer, in a file of several, see `layers_of`.
        margin: metres around the grid in which features are read too.
        class_name: the class that is looked for; it chooses among several layers.

    Raises:
        LabelError: if the file is missing or unreadable, has no geometry, or no CRS.
    """
    return _joined([table for _, table, _ in _tables(path, grid, crs, layer, margin, class_name)], grid)


def read_shapes(
    path: str | Path,
    grid: Grid,
    class_name: str | None = None,
    crs: str | None = None,
    layer: str | None = None,
    margin: float = 0.0,
) -> gpd.GeoDataFrame:
    """The footprints and centre lines of a class near the grid, as `shapes_of_class` makes them of the features.

    Args:
        path: as for `read_features`, and so for the other arguments.
        grid: the image's grid.
        class_name: what the file shows; None takes polygons and lines as they are.
        crs: a CRS to use in place of the file's own.
        layer: the layer to read, where the file has several.
        margin: how far around the grid to look, in metres.

    Raises:
        LabelError: as `read_features`, or if no feature can be drawn as the class.
    """
    found = _tables(path, grid, crs, layer, margin, class_name)
    return _joined([shapes_of_class(table, class_name, str(one), notes) for one, table, notes in found], grid)


@lru_cache(maxsize=8)
def kept_shapes(
    path: Path, _state: tuple, class_name: str | None = None, layer: str | None = None
) -> tuple[gpd.GeoDataFrame, ...] | None:
    """Every footprint and centre line of a file, a table a layer; None for one with too many, or without a CRS."""
    layers = layers_of(path, class_name, layer)
    if any(one.crs is None or one.features < 0 for one in layers) or sum(one.features for one in layers) > KEPT_SHAPES:
        return None
    if any(counts_beyond_180(one.bounds, one.crs) for one in layers):
        return None  # degrees that are to be counted as each image counts them
    tables = []
    for one in layers:
        table, notes = read_layer(one)
        table = features_of_class(table, one, class_name, notes)
        tables.append(shapes_of_class(table, class_name, str(one), notes))
    return tuple(tables)


def shapes_near(tables: Sequence[gpd.GeoDataFrame], grid: Grid, margin: float) -> gpd.GeoDataFrame:
    """The rows of tables whose boxes meet an image, or lie within some metres of it."""
    near = []
    for table in tables:
        box = bounds_in(grid, table.crs, margin)
        near.append(table if box is None else table.iloc[np.sort(table.sindex.query(shapely.box(*box)))])
    return _joined(near, grid)


def _tables(
    path: str | Path, grid: Grid, crs: str | None, layer: str | None, margin: float, class_name: str | None = None
) -> Iterator[tuple[Layer, gpd.GeoDataFrame, list[str]]]:
    """(layer, its features near the grid, what was odd about them) of each layer that shows a class."""
    for one in layers_of(path, class_name, layer):
        found = parse_crs(crs or one.crs)
        if crs != PIXELS:
            check_crs(found, grid, str(one))
        turns = found is not None and grid.on_earth and any(
            counts_beyond_180(box, crs) for box, crs in ((one.bounds, found), (grid.bounds, grid.crs)))
        whole = grid.crs is None or not grid.on_earth or turns
        table, notes = read_layer(one, None if whole or found is None else bounds_in(grid, found, margin))
        table = features_of_class(table, one, class_name, notes)
        table = table.set_crs(None if crs == PIXELS else found, allow_override=True)
        if found is not None and not grid.on_earth:
            table = table.set_crs(parse_crs(grid.crs), allow_override=True)  # the same site grid, in other words
        yield one, _turned(table, grid) if turns else table, notes


def counts_beyond_180(box: tuple[float, float, float, float] | None, crs: Any) -> bool:
    """Whether a box in degrees has longitudes beyond 180, as those that run from 0 to 360."""
    return box is not None and bool(known_crs(crs).is_geographic) and (box[0] < -180 or box[2] > 180)


def _turned(table: gpd.GeoDataFrame, grid: Grid) -> gpd.GeoDataFrame:
    """Shapes in degrees with the longitudes that lie nearest their image's: 345 and -15 degrees are one place."""
    if not table.crs.is_geographic or not len(table):
        return table
    middle = grid.transform @ (grid.width / 2, grid.height / 2)
    longitude = project_points([middle], grid.crs, CRS.from_user_input(table.crs.to_wkt()))[0][0]
    shapes = table.geometry.to_numpy().copy()
    box = shapely.bounds(shapes)
    turns = np.nan_to_num(np.round((longitude - (box[:, 0] + box[:, 2]) / 2) / 360))
    for turn in np.unique(turns[turns != 0]):
        moved = turns == turn
        shapes[moved] = shapely.transform(shapes[moved], lambda xy, by=360 * turn: xy + [by, 0])
    return table.set_geometry(gpd.GeoSeries(shapes, index=table.index, crs=table.crs))


def _joined(tables: list[gpd.GeoDataFrame], grid: Grid) -> gpd.GeoDataFrame:
    """The rows of several tables as one, in their CRS, or where they have several, the image's."""
    if all(table.crs == tables[0].crs for table in tables):
        return tables[0] if len(tables) == 1 else pd.concat(tables)
    return pd.concat([table.set_geometry(to_image(table.geometry, grid)) for table in tables])


def meets(path: Path, grid: Grid, class_name: str | None = None, layer: str | None = None) -> bool:
    """Whether the ground of a vector file's shapes, by their box, meets an image's; never, of a file without shapes.

    Raises:
        LabelError: if the file cannot be read, or states no CRS and its numbers do not lie on the image.
    """
    if not grid.on_earth:
        return False
    placed = layers_of(path, class_name, layer)
    for one in placed:
        if one.crs is None and one.bounds is not None and not _meets(one, grid):
            raise LabelError(f"{one} states no CRS, so its place is unknown; save it with one, or name it after its "
                             "image")
    return any(_meets(one, grid) for one in placed)


def _meets(layer: Layer, grid: Grid) -> bool:
    """Whether a layer's box meets an image; one without a CRS is taken to be in the image's."""
    if layer.bounds is None:
        return False
    if layer.crs is None:
        return _meet(layer.bounds, [grid.bounds])
    left, bottom, right, top = layer.bounds
    in_degrees = left >= -360 and right <= 360 and bottom >= -90 and top <= 90
    return _meet(layer.bounds, _boxes_in(grid, CRS.from_user_input(layer.crs), TURNS if in_degrees else (0.0,)))


def missing_crs(path: Path, grid: Grid, class_name: str | None = None, layer: str | None = None) -> str | None:
    """The image's CRS, as WKT, where a file names none and its numbers lie on the image; else None."""
    layers = layers_of(path, class_name, layer)
    if grid.crs is None or any(one.crs for one in layers):
        return None
    return str(grid.crs.to_wkt()) if any(_meets(one, grid) for one in layers) else None


def count_features(path: Path, class_name: str | None = None, layer: str | None = None) -> int:
    """How many features a vector file has; below 0 where its format does not tell."""
    return sum(one.features for one in layers_of(path, class_name, layer))


def check_meets(path: Path, grid: Grid, class_name: str | None = None, layer: str | None = None) -> None:
    """Refuses labels that lie wholly elsewhere than their image; a file without shapes lies nowhere and is fine.

    Raises:
        LabelError: says where both lie, and names swapped axes and degrees that are metres.
    """
    placed = [one for one in layers_of(path, class_name, layer) if one.bounds and one.crs]
    if not placed or not grid.on_earth:
        return
    if any(_meets(one, grid) for one in placed):
        for one in placed:
            _check_swapped(one, grid)
        return
    box, crs, own = placed[0].bounds or grid.bounds, CRS.from_user_input(placed[0].crs), CRS.from_user_input(grid.crs)
    raise LabelError(f"no label of {placed[0]} lies on its image: they cover {_rounded(box)} in {crs.to_string()}, the "
                     f"image {_rounded(grid.bounds)} in {own.to_string()}; {_why_apart(box, crs, grid)}")


def _check_swapped(layer: Layer, grid: Grid) -> None:
    """Raises LabelError for features that would lie on the image if their axes were swapped, among others that do."""
    for box in _boxes_in(grid, CRS.from_user_input(layer.crs)):
        swapped = box[1], box[0], box[3], box[2]
        if layer.bounds is None or not _meet(swapped, [layer.bounds]) or _meet(swapped, [box]):
            continue
        table, _ = read_layer(layer, swapped)
        lost = table.index[np.sort(table.sindex.query(shapely.box(*swapped), predicate="intersects"))]
        if len(lost):
            raise LabelError(f"{features_said(lost, 'feature')} of {layer} would lie on the image only if their axes "
                             "were swapped (latitude, or northing, stands first), and others lie there as they are: "
                             "write x before y in all of them")


def _why_apart(box: tuple[float, float, float, float], crs: CRS, grid: Grid) -> str:
    """What would bring a box of labels and an image together, and what to do then."""
    swapped = box[1], box[0], box[3], box[2]
    there, here = _boxes_in(grid, crs), [grid.bounds]
    if _meet(swapped, there):
        return ("their axes are swapped (latitude, or northing, stands first): write x before y, for example with "
                "shapely.ops.transform or ogr2ogr's -s_coord_order")
    for candidate, how in ((box, ""), (swapped, ", with their axes swapped")):
        if crs != grid.crs and _meet(candidate, here):
            return (f"their numbers fit the image's CRS{how} (a GeoJSON file that names none is in degrees): save them "
                    f"with their CRS, for example: ogr2ogr -a_srs {CRS.from_user_input(grid.crs).to_string()} "
                    f"labels.gpkg ...")
    return "give this image its own labels, or mend the CRS of either"


def _boxes_in(
    grid: Grid, crs: CRS, turns: Sequence[float] = (0.0,)
) -> list[tuple[float, float, float, float]]:
    """The boxes around an image in another CRS: none off its map; of degrees one for each of `turns`.

    Across 180 degrees there are two, one on either side of it. Longitudes may run from -180 to 180 or from 0 to 360.
    """
    box = grid.bounds if crs == grid.crs else project_box(grid.bounds, grid.crs, crs)
    if box is None:
        return []
    left, bottom, right, top = box
    if not crs.is_geographic:
        return [(left, bottom, right, top)]
    sides = [(left, right)] if left <= right else [(left, 180.0), (-180.0, right)]
    return [(west + turn, bottom, east + turn, top) for turn in turns for west, east in sides]


def _meet(box: tuple[float, float, float, float], others: list[tuple[float, float, float, float]]) -> bool:
    """Whether a box shares ground with one of others."""
    return any(box[0] < o[2] and box[2] > o[0] and box[1] < o[3] and box[3] > o[1] for o in others)


def _rounded(box: tuple[float, float, float, float]) -> str:
    """A box for a message."""
    return f"({', '.join(f'{edge:.6g}' if abs(edge) < 1000 else f'{edge:.0f}' for edge in box)})"


def parse_crs(crs: Any) -> pyproj.CRS | None:
    """A CRS from what a caller named; None for pixel coordinates."""
    return None if crs is None or crs == PIXELS else known_crs(crs)


def known_crs(crs: Any) -> pyproj.CRS:
    """A CRS from its code, its text or another library's object.

    Raises:
        LabelError: if it is none.
    """
    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise LabelError(f"{crs!r} is not a CRS; name it by its code, as 'EPSG:32633'") from error


def check_crs(crs: pyproj.CRS | None, grid: Grid, name: str = "the labels") -> None:
    """Refuses labels and grids of which only one has a CRS."""
    if crs is None and grid.crs is not None:
        raise LabelError(f"{name} have no CRS, the image has {grid.crs.to_string()}; name theirs: crs='EPSG:...' when "
                         "rasterising a file, .set_crs('EPSG:...') on a table, or save the file with it: "
                         "ogr2ogr -a_srs EPSG:... labels.gpkg FILE")
    if crs is not None and grid.crs is None and not grid.transform.is_identity:
        raise LabelError(f"{name} have a CRS, the image has a place but names no CRS, as with a world file; name it, "
                         "for example: gdal_translate -a_srs EPSG:... IMAGE placed.tif")
    if crs is not None and grid.crs is not None and not grid.on_earth and not _same_site(crs, known_crs(grid.crs)):
        raise LabelError(f"{name} are in {crs.name!r}, the image in {known_crs(grid.crs).name!r}, a site grid that "
                         "says nothing of its place on the earth; give the image a CRS, or save the labels in its grid")
    if crs is not None and grid.crs is None:
        raise LabelError(f"{name} have a CRS, the image has no georeference; give the image one, or labels in pixel "
                         f"coordinates (in a GeoPackage without a CRS, or crs={PIXELS!r} when rasterising a file)")


def _same_site(crs: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Whether two CRSs are one site grid, by its name and unit."""
    if not crs.axis_info or not other.axis_info:
        return bool(crs == other)
    units = [one.axis_info[0].unit_conversion_factor for one in (crs, other)]
    return crs.name == other.name and abs(units[0] / units[1] - 1) < 1e-6


def local_crs(grid: Grid) -> pyproj.CRS | None:
    """A projection true to scale around the grid's centre; None where the grid's own units must serve."""
    own = parse_crs(grid.crs)
    if own is None or own.geodetic_crs is None or not grid.on_earth:
        return None
    datum = own.geodetic_crs.to_2d()  # the image's own: between the two there is no shift
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    lon, lat = pyproj.Transformer.from_crs(own, datum, always_xy=True).transform(x, y)
    return ProjectedCRS(AzimuthalEquidistantConversion(lat, lon), geodetic_crs=datum)


def bounds_in(grid: Grid, crs: pyproj.CRS, margin: float) -> tuple[float, float, float, float] | None:
    """The grid's box, wider by some metres and two pixels, in another CRS; None where that box is not one."""
    left, bottom, right, top = grid.bounds
    t = grid.transform
    side = max(math.hypot(t.a, t.d), math.hypot(t.b, t.e))
    pad = 2 * side if grid.pixel_size is None else (margin / min(grid.pixel_size) + 2) * side
    box = way_from(grid, crs).transform_bounds(left - pad, bottom - pad, right + pad, top + pad)
    return box if np.all(np.isfinite(box)) and box[0] < box[2] and box[1] < box[3] else None
