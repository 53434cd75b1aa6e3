"""Footprints and centre lines in, masks on an image's grid out.

A pixel is 1 where its centre lies inside a shape, as GDAL decides by default, or, with `all_touched`, where any part of
it does. Nothing here opens an image; `vectors.py` reads the files.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from rasterio.features import rasterize
from shapely import GeometryType

from jointnet.data.datums import to_image
from jointnet.data.layers import DONE, PARQUET, LabelError, LabelWarning, all_layers, layers_of, read_column
from jointnet.data.lengths import parse_length
from jointnet.data.raster import Grid
from jointnet.data.shapes import mend
from jointnet.data.vectors import (
    check_crs,
    check_meets,
    count_features,
    counts_beyond_180,
    kept_shapes,
    local_crs,
    missing_crs,
    parse_crs,
    read_shapes,
    shapes_near,
)
from jointnet.files import state_of

ROAD_WIDTH = 6.0  # metres, where neither the caller nor a column says: a road of two lanes
WIDTH_COLUMN = "width_m"
WIDEST = 1000.0  # metres; no road is wider
_POLYGONS = (GeometryType.POLYGON, GeometryType.MULTIPOLYGON)
_LINES = (GeometryType.LINESTRING, GeometryType.LINEARRING, GeometryType.MULTILINESTRING)


def rasterize_polygons(
    polygons: gpd.GeoDataFrame | gpd.GeoSeries,
    grid: Grid,
    all_touched: bool = False,
    empty_ok: bool = False,
) -> np.ndarray:
    """A mask of footprints: uint8 {0, 1} (height, width), holes left 0.

    Null and empty geometries are skipped, invalid ones repaired, heights dropped, parts outside the grid cut off.

    Args:
        polygons: polygons or multipolygons in any CRS; reprojected to the grid's. Where the grid has no CRS, they must
            have none either, and their coordinates are columns and rows in pixels.
        grid: size, CRS and transform of the image.
        all_touched: mark every pixel that a polygon touches, instead of those whose centre it holds.
        empty_ok: say nothing when no polygon lies on the grid, as for a window of a larger scene.

    Raises:
        LabelError: if the CRS is missing or cannot be matched with the grid's, or shapes are not polygons.

    Warns:
        LabelWarning: when polygons were repaired (how many), and when none lies on the grid.
    """
    return _burn(_footprints(polygons, grid), grid, all_touched, empty_ok)


def rasterize_lines(
    lines: gpd.GeoDataFrame | gpd.GeoSeries,
    grid: Grid,
    width: float | str | None = None,
    all_touched: bool = False,
    empty_ok: bool = False,
) -> np.ndarray:
    """A mask of centre lines drawn at their width on the ground: uint8 {0, 1} (height, width).

    Widths are laid off in an azimuthal projection around the grid's centre, so metres are metres in degrees and in
    Web Mercator too. Ends are round, so that roads of a network join.

    Args:
        lines: lines or multilines, in any CRS, as `rasterize_polygons` takes polygons.
        grid: size, CRS and transform of the image.
        width: full width in metres (in pixels where the grid has no CRS), or the name of a column that holds it;
            without it the column `width_m` where there is one, else 6 m.
        all_touched: mark every pixel that a road touches.
        empty_ok: say nothing when no line lies on the grid.

    Raises:
        LabelError: in the cases of `rasterize_polygons`, or if a width is missing or not above zero.
    """
    return _burn(_ribbons(lines, grid, width), grid, all_touched, empty_ok)


def rasterize_file(
    path: str | Path,
    grid: Grid,
    crs: str | None = None,
    width: float | str | None = None,
    all_touched: bool = False,
    layer: str | None = None,
    empty_ok: bool = False,
    class_name: str | None = None,
) -> np.ndarray:
    """A mask of the polygons and centre lines in a vector file: uint8 {0, 1} (height, width).

    Args:
        path: any format that pyogrio reads (GeoJSON, GeoPackage, shapefile, FlatGeobuf, ...), or GeoParquet.
        grid: size, CRS and transform of the image.
        crs: CRS of the file where it names none, as "EPSG:32633", or a wrong one: this one wins. "pixels" says that
            coordinates are columns and rows of an image without georeference, which GeoJSON cannot say itself.
        width: how wide centre lines are drawn, as in `rasterize_lines`.
        all_touched: mark every pixel that a shape touches.
        layer: name of the layer, in a file of several; without it `layers_of` chooses, or asks.
        empty_ok: say nothing when no shape lies on the grid, as for a window of a larger scene.
        class_name: what the shapes are, "buildings" or "roads"; without it polygons and lines are drawn as they are.

    Raises:
        LabelError: if the file is missing, unreadable or holds no shapes that can be placed on the grid.
    """
    table = read_shapes(path, grid, class_name, crs, layer, margin=_margin(path, width, class_name, layer))
    return _burn(_polygons_of(table, grid, width), grid, all_touched, empty_ok)


class PlacedShapes:
    """Polygons of a label file in an image's CRS: mended, lines at their width, indexed by place.

    Windows of the image are burnt from them without another look at the file or at any CRS, so from any thread: pyproj
    in threads that another library started can end the process (pyproj4/pyproj#1547).
    """

    def __init__(self, polygons: np.ndarray) -> None:
        self.polygons = polygons
        self._tree = shapely.STRtree(polygons)

    def burn(self, grid: Grid) -> np.ndarray:
        """A mask of what lies on a window's grid: uint8 {0, 1} (height, width)."""
        near = np.sort(self._tree.query(shapely.box(*grid.bounds)))
        return _rasterize(self.polygons[near], grid, all_touched=False)


def place_file(
    path: str | Path,
    grid: Grid,
    width: float | str | None = None,
    class_name: str | None = None,
    layer: str | None = None,
) -> PlacedShapes:
    """The shapes of a vector file that lie on an image, ready to be burnt window by window.

    Args:
        path: as for `rasterize_file`.
        grid: the grid of the whole image.
        width: how wide centre lines are drawn, as in `rasterize_lines`.
        class_name: what the shapes are, as in `rasterize_file`.
        layer: name of the layer, in a file of several.

    Raises:
        LabelError: as `rasterize_file`, or if the file's shapes all lie elsewhere; a file without shapes is fine.

    Warns:
        LabelWarning: when shapes lie around the image, none of them on it.
    """
    path = Path(path)
    check_meets(path, grid, class_name, layer)
    table = _near(path, grid, width, class_name, layer)
    try:
        polygons = _inside(_polygons_of(table, grid, width), grid)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from error
    if class_name == "buildings" and shapely.contains(polygons, shapely.box(*grid.bounds)).any():
        warnings.warn(f"a polygon of {path} covers its whole image, as the outline of an area does: if it is no "
                      "building, take it out, or the file out of the folder", LabelWarning, 3)
    if not len(polygons) and count_features(path, class_name, layer):
        warnings.warn(f"no label of {path} lies on the image: its mask is empty", LabelWarning, 3)
    return PlacedShapes(_repair(polygons))


def place_done(path: Path, grid: Grid) -> PlacedShapes | None:
    """The area in which the labels of a file are complete: its layer "done", where it has one beside others, else None.

    Args:
        path: a vector file.
        grid: the grid of the whole image; an area that lies elsewhere is empty here.

    Raises:
        LabelError: if the file cannot be read, or holds other shapes there than polygons.
    """
    if path.suffix.lower() in PARQUET or len(layers := all_layers(path)) < 2 or DONE not in [x.name for x in layers]:
        return None
    table = _near(path, grid, None, None, DONE)
    return PlacedShapes(_repair(_inside(_footprints(table, grid), grid)))


def _near(
    path: Path, grid: Grid, width: float | str | None, class_name: str | None, layer: str | None
) -> gpd.GeoDataFrame:
    """The shapes of a file around an image; a file that serves many images is read once, if it is not too large."""
    kept = None
    if grid.crs is not None and grid.on_earth and not counts_beyond_180(grid.bounds, grid.crs):
        kept = kept_shapes(path, state_of(path), class_name, layer)
    if kept is None:
        crs = missing_crs(path, grid, class_name, layer)
        if crs is not None:
            warnings.warn(f"{path} states no CRS; since its numbers lie on the image, they are taken to be in the "
                          f"image's, {grid.crs}", LabelWarning, 3)
        return read_shapes(path, grid, class_name, crs, layer, margin=_margin(path, width, class_name, layer))
    return shapes_near(kept, grid, max(_half_width(table, width) for table in kept))


def _polygons_of(table: gpd.GeoDataFrame, grid: Grid, width: float | str | None) -> np.ndarray:
    """The polygons of a table, and its lines as polygons, in the grid's CRS."""
    is_line = np.isin(shapely.get_type_id(table.geometry.to_numpy()), _LINES)
    if not is_line.any():
        return _footprints(table, grid)
    ribbons = _ribbons(table[is_line], grid, width)
    return ribbons if is_line.all() else np.concatenate([ribbons, _footprints(table[~is_line], grid)])


def _half_width(table: gpd.GeoDataFrame, width: float | str | None) -> float:
    """Half of the widest line, in metres."""
    if isinstance(width, int | float):
        return width / 2
    column = width or _width_column(table.columns)
    return _widest(table[column].to_numpy()) / 2 if column in table else ROAD_WIDTH / 2


def _width_column(columns: Iterable[Any]) -> str:
    """The column of widths in metres as it is spelt: databases and shapefiles like capitals."""
    return next((c for c in map(str, columns) if c.lower() == WIDTH_COLUMN), WIDTH_COLUMN)


def _widest(values: np.ndarray) -> float:
    """The largest of some widths that can be understood, in metres; 0 without any."""
    return max((v for v in map(_width_or_nan, values) if v == v), default=0.0)


def _width_or_nan(value: Any) -> float:
    """A width in metres, of a number or a text as "6 m"; NaN where there is none."""
    try:
        return parse_length(value) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        return math.nan


def _margin(path: str | Path, width: float | str | None, class_name: str | None, layer: str | None) -> float:
    """Half the widest line that `width` can mean in a file, in metres: lines beside the image reach into it."""
    if isinstance(width, int | float):
        return width / 2
    columns = [read_column(one, width or _width_column(one.fields)) for one in layers_of(path, class_name, layer)]
    return max((ROAD_WIDTH if values is None else _widest(values)) / 2 for values in columns)


def _widths(lines: gpd.GeoDataFrame | gpd.GeoSeries, width: float | str | None) -> np.ndarray:
    """The full width of each line, in metres."""
    columns = [c for c in getattr(lines, "columns", ()) if c != lines.geometry.name]
    if width is None:
        width = _width_column(columns) if _width_column(columns) in columns else ROAD_WIDTH
        if width == ROAD_WIDTH and "width" in columns:
            warnings.warn(f"lines are drawn {ROAD_WIDTH:g} m wide; width='width' (--width width) takes their column of "
                          "that name", LabelWarning, 4)
    if not isinstance(width, str):
        values = np.full(len(lines), float(width))
    elif width in columns:
        values = np.array([_width_or_nan(v) for v in lines[width]], float)
    else:
        known = ", ".join(map(str, columns)) or "none"
        raise LabelError(f"lines have no column {width!r} of widths; they have {known}")
    wrong = ~((values > 0) & (values <= WIDEST))
    if wrong.any():
        number = np.flatnonzero(wrong)[0]
        written = lines[width].iloc[number] if isinstance(width, str) else width
        shown = "none" if pd.isna(written) else repr(written) if isinstance(written, str) else f"{written:g}"
        said = f"; feature {lines.index[number]} has {shown}"
        raise LabelError(f"{wrong.sum()} of {len(values)} widths are missing, not above 0 m or above {WIDEST:g} m"
                         f"{said}; write each as 6.5 or '6.5 m', or give one width for all")
    return values


def _to_grid(series: gpd.GeoSeries, grid: Grid) -> np.ndarray:
    """The geometries, flat and in the grid's CRS: array of shapely objects."""
    check_crs(series.crs, grid)
    flat = gpd.GeoSeries(shapely.force_2d(series.to_numpy()), crs=series.crs)
    return to_image(flat, grid).to_numpy()


def _parts(shapes: np.ndarray) -> np.ndarray:
    """Single geometries: null and empty ones gone, collections taken apart."""
    shapes = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    while (shapely.get_type_id(shapes) >= GeometryType.MULTIPOINT).any():
        shapes = shapely.get_parts(shapes)
    return shapes[~shapely.is_empty(shapes)]


def _kinds(shapes: np.ndarray) -> str:
    """The names of the geometry types among shapes, for a message."""
    return ", ".join(GeometryType(i).name.lower() for i in np.unique(shapely.get_type_id(shapes)))


def _footprints(polygons: gpd.GeoDataFrame | gpd.GeoSeries, grid: Grid) -> np.ndarray:
    """Single polygons in the grid's CRS; other shapes are refused."""
    shapes = _parts(_to_grid(polygons.geometry, grid))
    other = ~np.isin(shapely.get_type_id(shapes), _POLYGONS)
    if other.any():
        raise LabelError(f"{_kinds(shapes[other])} where polygons are needed; draw centre lines with rasterize_lines")
    return shapes


def _ribbons(lines: gpd.GeoDataFrame | gpd.GeoSeries, grid: Grid, width: float | str | None) -> np.ndarray:
    """Lines at their width on the ground, as single polygons in the grid's CRS; other shapes are refused."""
    half = _widths(lines, width) / 2
    shapes = shapely.force_2d(lines.geometry.to_numpy())
    other = ~np.isin(shapely.get_type_id(shapes), (*_LINES, GeometryType.MISSING)) & ~shapely.is_empty(shapes)
    if other.any():
        raise LabelError(f"{_kinds(shapes[other])} where centre lines are needed; draw footprints with "
                         "rasterize_polygons")
    local = local_crs(grid)
    series = gpd.GeoSeries(_to_grid(gpd.GeoSeries(shapes, crs=lines.crs), grid), crs=parse_crs(grid.crs))
    series = series if local is None else series.to_crs(local)
    ribbons = gpd.GeoSeries(shapely.buffer(series.to_numpy(), half), crs=series.crs)
    return _parts((ribbons if local is None else ribbons.to_crs(parse_crs(grid.crs))).to_numpy())


def _burn(shapes: np.ndarray, grid: Grid, all_touched: bool, empty_ok: bool) -> np.ndarray:
    """Polygons in the grid's CRS as uint8 {0, 1}; only those whose box meets the grid are looked at."""
    shapes = _inside(shapes, grid)
    if not (len(shapes) or empty_ok):
        warnings.warn("no label lies on the image: its mask is empty; check the CRS of both", LabelWarning, 3)
    return _rasterize(_repair(shapes), grid, all_touched)


def _rasterize(polygons: np.ndarray, grid: Grid, all_touched: bool) -> np.ndarray:
    """Valid polygons in the grid's CRS as uint8 {0, 1} (height, width)."""
    if not len(polygons):
        return np.zeros(grid.shape, np.uint8)
    return rasterize(_mappings(polygons), grid.shape, transform=grid.transform, all_touched=all_touched, dtype="uint8")


def _mappings(polygons: np.ndarray) -> list[dict]:
    """Polygons as GeoJSON-like mappings, cut from one list of all coordinates: thrice as fast as shapely's own."""
    _, points, (rings, ends) = shapely.to_ragged_array(polygons)
    points, rings, ends = points.tolist(), rings.tolist(), ends.tolist()
    rings = [points[start:end] for start, end in pairwise(rings)]
    return [{"type": "Polygon", "coordinates": rings[start:end]} for start, end in pairwise(ends)]


def _inside(shapes: np.ndarray, grid: Grid) -> np.ndarray:
    """The shapes whose box meets the grid's; coordinates that no CRS can hold (infinite) meet nothing."""
    left, bottom, right, top = grid.bounds
    box = shapely.bounds(shapes)
    meets = (box[:, 0] <= right) & (box[:, 2] >= left) & (box[:, 1] <= top) & (box[:, 3] >= bottom)
    return shapes[meets & np.isfinite(box).all(axis=1)]


def _repair(shapes: np.ndarray) -> np.ndarray:
    """The polygons with invalid ones mended, see `mend`."""
    invalid = ~shapely.is_valid(shapes)
    if not invalid.any():
        return shapes
    warnings.warn(f"{invalid.sum()} of {len(shapes)} polygons on the image were invalid and have been repaired",
                  LabelWarning, 4)
    return np.concatenate([shapes[~invalid], _parts(mend(shapes[invalid]))])
