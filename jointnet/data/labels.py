"""Footprints and centre lines in, masks on an image's grid out.

A pixel is 1 where its centre lies inside a shape, as GDAL decides by default, or, with `all_touched`, where any part of
it does. Nothing here opens an image; vector files are read with pyogrio.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pyproj
import shapely
from rasterio.features import rasterize
from rasterio.warp import transform_bounds
from shapely import GeometryType

from jointnet.data.raster import Grid

ROAD_WIDTH = 6.0  # metres, where neither the caller nor a column says: a road of two lanes
WIDTH_COLUMN = "width_m"
KEPT_SHAPES = 500_000  # of a file whose shapes are kept in memory while an image is read window by window
PIXELS = "pixels"  # the `crs` of shapes drawn in columns and rows of an image
_POLYGONS = (GeometryType.POLYGON, GeometryType.MULTIPOLYGON)
_LINES = (GeometryType.LINESTRING, GeometryType.LINEARRING, GeometryType.MULTILINESTRING)


class LabelError(ValueError):
    """Labels that cannot be placed on an image; the message says what to do."""


class LabelWarning(UserWarning):
    """Labels that were placed, but perhaps not as their maker meant: repaired, or none of them on the image."""


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
    shapes = _parts(_to_grid(polygons.geometry, grid))
    other = ~np.isin(shapely.get_type_id(shapes), _POLYGONS)
    if other.any():
        raise LabelError(f"{_kinds(shapes[other])} where polygons are needed; draw centre lines with rasterize_lines")
    return _burn(shapes, grid, all_touched, empty_ok)


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
        LabelError: as `rasterize_polygons`, or if a width is missing or not above zero.
    """
    half = _widths(lines, width) / 2
    shapes = shapely.force_2d(lines.geometry.to_numpy())
    other = ~np.isin(shapely.get_type_id(shapes), (*_LINES, GeometryType.MISSING)) & ~shapely.is_empty(shapes)
    if other.any():
        raise LabelError(f"{_kinds(shapes[other])} where centre lines are needed; draw footprints with "
                         "rasterize_polygons")
    _check_crs(lines.crs, grid)
    local = _local_crs(grid)
    series = gpd.GeoSeries(shapes, crs=lines.crs)
    series = series if local is None else series.to_crs(local)
    ribbons = gpd.GeoSeries(shapely.buffer(series.to_numpy(), half), crs=series.crs)
    return _burn(_parts(_to_grid(ribbons, grid)), grid, all_touched, empty_ok)


def rasterize_file(
    path: str | Path,
    grid: Grid,
    crs: str | None = None,
    width: float | str | None = None,
    all_touched: bool = False,
    layer: str | None = None,
    empty_ok: bool = False,
) -> np.ndarray:
    """A mask of the polygons and centre lines in a vector file: uint8 {0, 1} (height, width).

    Args:
        path: any format that pyogrio reads (GeoJSON, GeoPackage, shapefile, FlatGeobuf, ...), or GeoParquet.
        grid: size, CRS and transform of the image.
        crs: CRS of the file where it names none, as "EPSG:32633", or a wrong one: this one wins. "pixels" says that
            coordinates are columns and rows of an image without georeference, which GeoJSON cannot say itself.
        width: of centre lines, as in `rasterize_lines`.
        all_touched: mark every pixel that a shape touches.
        layer: name of the layer, in a file of several; without it the first.
        empty_ok: say nothing when no shape lies on the grid, as for a window of a larger scene.

    Raises:
        LabelError: if the file is missing, unreadable or holds no shapes that can be placed on the grid.
    """
    table = read_features(path, grid, crs, layer, margin=_margin(path, width, layer))
    return _rasterize_table(table, grid, width, all_touched, empty_ok)


def _rasterize_table(
    table: gpd.GeoDataFrame, grid: Grid, width: float | str | None, all_touched: bool, empty_ok: bool
) -> np.ndarray:
    """A mask of the polygons and lines in a table."""
    kinds = shapely.get_type_id(table.geometry.to_numpy())
    is_line = np.isin(kinds, _LINES)
    if not is_line.any():
        return rasterize_polygons(table, grid, all_touched, empty_ok)
    mask = rasterize_lines(table[is_line], grid, width, all_touched, empty_ok)
    if is_line.all():
        return mask
    return mask | rasterize_polygons(table[~is_line], grid, all_touched, empty_ok=True)


def rasterize_kept(
    path: str | Path, grid: Grid, width: float | str | None = None, empty_ok: bool = False
) -> np.ndarray:
    """As `rasterize_file`, for many windows of an image: the file is read once and its shapes are kept in memory.

    A file that has changed is read anew; one of more than `KEPT_SHAPES` shapes is read window by window.
    """
    path = Path(path)
    if grid.crs is None or not path.exists():
        return rasterize_file(path, grid, width=width, empty_ok=empty_ok)
    state = path.stat()
    table = _kept_table(path, (state.st_size, state.st_mtime_ns), grid.crs.to_wkt())
    if table is None:
        return rasterize_file(path, grid, width=width, empty_ok=empty_ok)
    lies_near = table.sindex.query(shapely.box(*_widened(grid, _half_width(table, width))))
    return _rasterize_table(table.iloc[np.sort(lies_near)], grid, width, False, empty_ok)


@lru_cache(maxsize=8)
def _kept_table(path: Path, _state: tuple[int, int], wkt: str) -> gpd.GeoDataFrame | None:
    """Every feature of a file in another CRS, heights dropped; None for a file with too many, or without a CRS."""
    if path.suffix.lower() in (".parquet", ".geoparquet"):
        table = _read_parquet(path)
    else:
        if not 0 <= _vector_info(path, None)["features"] <= KEPT_SHAPES:
            return None
        table = _read_table(path, None, None)
    return None if table.crs is None or len(table) > KEPT_SHAPES else table.to_crs(wkt)


def _half_width(table: gpd.GeoDataFrame, width: float | str | None) -> float:
    """Half of the widest line, in metres."""
    if isinstance(width, int | float):
        return width / 2
    column = width or WIDTH_COLUMN
    return float(np.nanmax([*table[column].to_numpy(float), 0.0])) / 2 if column in table else ROAD_WIDTH / 2


def _widened(grid: Grid, metres: float) -> tuple[float, float, float, float]:
    """The grid's box in its own CRS, wider by some metres (at least) and two pixels."""
    t = grid.transform
    side = max(math.hypot(t.a, t.d), math.hypot(t.b, t.e))
    pad = (metres / min(grid.pixel_size) + 2) * side
    left, bottom, right, top = grid.bounds
    return min(left, right) - pad, min(bottom, top) - pad, max(left, right) + pad, max(bottom, top) + pad


def read_features(
    path: str | Path,
    grid: Grid,
    crs: str | None = None,
    layer: str | None = None,
    margin: float = 0.0,
) -> gpd.GeoDataFrame:
    """The features of a vector file whose boxes meet the grid, in the file's CRS, heights dropped.

    Args:
        path: vector file, as for `rasterize_file`.
        grid: size, CRS and transform of the image.
        crs: CRS of the file where it names none or a wrong one, or "pixels".
        layer: name of the layer, in a file of several.
        margin: metres around the grid in which features are read too.

    Raises:
        LabelError: if the file is missing or unreadable, has no geometry, or no CRS.
    """
    path = Path(path)
    if not path.exists():
        raise LabelError(f"{path} does not exist; check the path")
    if path.suffix.lower() in (".parquet", ".geoparquet"):
        table = _read_parquet(path)
        return table if crs is None else table.set_crs(None if crs == PIXELS else crs, allow_override=True)
    info = _vector_info(path, layer)
    found = _crs(crs or info["crs"])
    if crs != PIXELS:
        _check_crs(found, grid, str(path))
    box = None if crs == PIXELS or grid.crs is None else _bounds_in(grid, found, margin)
    table = _read_table(path, layer, box)
    return table.set_crs(None if crs == PIXELS else found, allow_override=True)


def _read_table(path: Path, layer: str | None, box: tuple[float, float, float, float] | None) -> gpd.GeoDataFrame:
    """The features of a layer whose boxes meet `box`, heights dropped."""
    try:
        return pyogrio.read_dataframe(path, layer=layer, bbox=box, force_2d=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
        raise LabelError(f"{path} is damaged or cut short; make or fetch it again ({error})") from error


def _vector_info(path: Path, layer: str | None) -> dict:
    """The description, by pyogrio, of a layer that has geometry."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "More than one layer")
            info = pyogrio.read_info(path, layer=layer)
    except pyogrio.errors.DataLayerError as error:
        names = ", ".join(name for name, _ in pyogrio.list_layers(path))
        raise LabelError(f"{path} has no layer {layer!r}; it has {names}") from error
    except pyogrio.errors.DataSourceError as error:
        raise LabelError(f"{path} is not a vector file that GDAL can read; save it as GeoPackage or GeoJSON ({error})"
                         ) from error
    if info["geometry_type"] is None:
        raise LabelError(f"{path} is a table without geometry; name a file, or a layer, of polygons or lines")
    return info


def _read_parquet(path: Path) -> gpd.GeoDataFrame:
    """GeoParquet, which pyogrio's wheels cannot read."""
    try:
        return gpd.read_parquet(path)
    except ImportError as error:
        raise LabelError(f"{path} needs pyarrow to be read; install it, or save the labels as GeoPackage") from error
    except (OSError, ValueError) as error:
        raise LabelError(f"{path} is not GeoParquet; save the labels again, or as GeoPackage ({error})") from error


def _margin(path: str | Path, width: float | str | None, layer: str | None) -> float:
    """Half the widest line that `width` can mean in a file, in metres: lines beside the image reach into it."""
    if isinstance(width, int | float):
        return width / 2
    path = Path(path)
    if not path.exists() or path.suffix.lower() in (".parquet", ".geoparquet"):
        return ROAD_WIDTH
    column = width or WIDTH_COLUMN
    info = _vector_info(path, layer)
    if column not in info["fields"]:
        return ROAD_WIDTH / 2
    values = pyogrio.read_dataframe(path, layer=layer, columns=[column], read_geometry=False)[column]
    return float(np.nanmax([*values.to_numpy(float), 0.0])) / 2


def _widths(lines: gpd.GeoDataFrame | gpd.GeoSeries, width: float | str | None) -> np.ndarray:
    """The full width of each line, in metres."""
    columns = getattr(lines, "columns", ())
    if width is None:
        width = WIDTH_COLUMN if WIDTH_COLUMN in columns else ROAD_WIDTH
    if isinstance(width, str):
        if width not in columns:
            raise LabelError(f"lines have no column {width!r} of widths; they have {', '.join(columns) or 'none'}")
        values = lines[width].to_numpy(float)
    else:
        values = np.full(len(lines), float(width))
    wrong = ~(values > 0)
    if wrong.any():
        raise LabelError(f"{wrong.sum()} of {len(values)} widths are missing or not above 0 m; fill them in, or give "
                         "one width for all")
    return values


def _crs(crs) -> pyproj.CRS | None:
    """A CRS from what a caller named; None for pixel coordinates."""
    if crs is None or crs == PIXELS:
        return None
    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise LabelError(f"{crs!r} is not a CRS; name it by its code, as 'EPSG:32633'") from error


def _check_crs(crs, grid: Grid, name: str = "the labels") -> None:
    """Refuses labels and grids of which only one has a CRS."""
    if crs is None and grid.crs is not None:
        raise LabelError(f"{name} have no CRS, the image has {grid.crs.to_string()}; name theirs: crs='EPSG:...' when "
                         "rasterising a file, or .set_crs('EPSG:...') on a table")
    if crs is not None and grid.crs is None:
        raise LabelError(f"{name} have a CRS, the image has no georeference; give the image one, or labels in pixel "
                         f"coordinates (crs={PIXELS!r} when rasterising a file)")


def _to_grid(series: gpd.GeoSeries, grid: Grid) -> np.ndarray:
    """The geometries, flat and in the grid's CRS: array of shapely objects."""
    _check_crs(series.crs, grid)
    flat = gpd.GeoSeries(shapely.force_2d(series.to_numpy()), crs=series.crs)
    return (flat if grid.crs is None else flat.to_crs(_crs(grid.crs))).to_numpy()


def _local_crs(grid: Grid) -> pyproj.CRS | None:
    """A projection true to scale around the grid's centre; None where the grid's own units must serve."""
    if grid.crs is None or not (grid.crs.is_geographic or grid.crs.is_projected):
        return None
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    lon, lat = pyproj.Transformer.from_crs(_crs(grid.crs), "EPSG:4326", always_xy=True).transform(x, y)
    return pyproj.CRS.from_dict({"proj": "aeqd", "lat_0": lat, "lon_0": lon, "datum": "WGS84", "units": "m"})


def _bounds_in(grid: Grid, crs: pyproj.CRS, margin: float) -> tuple[float, float, float, float] | None:
    """The grid's box, `margin` metres wider, in another CRS; None where that box is not one."""
    local = _local_crs(grid)
    local = grid.crs if local is None else local.to_wkt()
    left, bottom, right, top = transform_bounds(grid.crs, local, *grid.bounds)
    pad = margin + 2 * max(right - left, top - bottom) / min(grid.shape)
    box = transform_bounds(local, crs.to_wkt(), left - pad, bottom - pad, right + pad, top + pad)
    return box if np.all(np.isfinite(box)) and box[0] < box[2] and box[1] < box[3] else None


def _parts(shapes: np.ndarray) -> np.ndarray:
    """Single geometries: null and empty ones gone, collections taken apart."""
    shapes = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    while (shapely.get_type_id(shapes) >= GeometryType.MULTIPOINT).any():
        shapes = shapely.get_parts(shapes)
    return shapes[~shapely.is_empty(shapes)]


def _kinds(shapes: np.ndarray) -> str:
    """The names of the geometry types among shapes, for a message."""
    return ", ".join(GeometryType(i).name.lower() for i in np.unique(shapely.get_type_id(shapes)))


def _burn(shapes: np.ndarray, grid: Grid, all_touched: bool, empty_ok: bool) -> np.ndarray:
    """Polygons in the grid's CRS as uint8 {0, 1}; only those whose box meets the grid are looked at."""
    shapes = _inside(shapes, grid)
    if not (len(shapes) or empty_ok):
        warnings.warn("no label lies on the image: its mask is empty; check the CRS of both", LabelWarning, 3)
    shapes = _repair(shapes)
    if not len(shapes):
        return np.zeros(grid.shape, np.uint8)
    return rasterize(_mappings(shapes), grid.shape, transform=grid.transform, all_touched=all_touched, dtype="uint8")


def _mappings(polygons: np.ndarray) -> list[dict]:
    """Polygons as GeoJSON-like mappings, cut from one list of all coordinates: thrice as fast as shapely's own."""
    _, points, (rings, ends) = shapely.to_ragged_array(polygons)
    points, rings, ends = points.tolist(), rings.tolist(), ends.tolist()
    rings = [points[start:end] for start, end in pairwise(rings)]
    return [{"type": "Polygon", "coordinates": rings[start:end]} for start, end in pairwise(ends)]


def _inside(shapes: np.ndarray, grid: Grid) -> np.ndarray:
    """The shapes whose box meets the grid's; coordinates that no CRS can hold (infinite) meet nothing."""
    left, bottom, right, top = grid.bounds
    left, right, bottom, top = min(left, right), max(left, right), min(bottom, top), max(bottom, top)
    box = shapely.bounds(shapes)
    meets = (box[:, 0] <= right) & (box[:, 2] >= left) & (box[:, 1] <= top) & (box[:, 3] >= bottom)
    return shapes[meets & np.isfinite(box).all(axis=1)]


def _repair(shapes: np.ndarray) -> np.ndarray:
    """The polygons with invalid ones made valid by the even-odd rule, lines and points that are left over dropped."""
    invalid = ~shapely.is_valid(shapes)
    if not invalid.any():
        return shapes
    warnings.warn(f"{invalid.sum()} of {len(shapes)} polygons on the image were invalid and have been repaired",
                  LabelWarning, 4)
    mended = _parts(shapely.make_valid(shapes[invalid]))
    mended = mended[shapely.get_type_id(mended) == GeometryType.POLYGON]
    return np.concatenate([shapes[~invalid], mended])
