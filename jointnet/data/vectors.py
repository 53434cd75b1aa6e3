"""Vector files in, tables of features out, each with its CRS; the only file that reads them."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pyproj
from rasterio.crs import CRS
from rasterio.warp import transform_bounds

from jointnet.data.raster import Grid, project_box
from jointnet.errors import InputError

KEPT_SHAPES = 500_000  # of a file whose shapes are kept in memory while an image is read window by window
PIXELS = "pixels"  # the `crs` of shapes drawn in columns and rows of an image


class LabelError(InputError):
    """Labels that cannot be placed on an image; the message says what to do."""


class LabelWarning(UserWarning):
    """Labels that were placed, but perhaps not as their maker meant: repaired, or none of them on the image."""


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
    if _is_parquet(path):
        table = _read_parquet(path)
        return table if crs is None else table.set_crs(None if crs == PIXELS else crs, allow_override=True)
    info = _vector_info(path, layer)
    found = parse_crs(crs or info["crs"])
    if crs != PIXELS:
        check_crs(found, grid, str(path))
    box = None if found is None or grid.crs is None else _bounds_in(grid, found, margin)
    table = _read_table(path, layer, box)
    return table.set_crs(None if crs == PIXELS else found, allow_override=True)


@lru_cache(maxsize=8)
def kept_features(path: Path, _state: tuple[int, int], wkt: str) -> gpd.GeoDataFrame | None:
    """Every feature of a file in another CRS, heights dropped; None for a file with too many, or without a CRS."""
    if _is_parquet(path):
        table = _read_parquet(path)
    else:
        if not 0 <= _vector_info(path, None)["features"] <= KEPT_SHAPES:
            return None
        table = _read_table(path, None, None)
    return None if table.crs is None or len(table) > KEPT_SHAPES else table.to_crs(wkt)


def meets(path: Path, grid: Grid) -> bool:
    """Whether the ground of a vector file's shapes, by their box, meets an image's; never, of a file without shapes.

    Raises:
        LabelError: if the file cannot be read, or states no CRS.
    """
    info = _placed_info(path)
    if info["total_bounds"] is None or not grid.on_earth:
        return False
    if info["crs"] is None:
        raise LabelError(f"{path} states no CRS, so its place is unknown; save it with one, or name it after its image")
    return _meet(info["total_bounds"], _boxes_in(grid, CRS.from_user_input(info["crs"])))


def count_features(path: Path) -> int:
    """How many features a vector file has; -1 where its format does not tell."""
    return len(_read_parquet(path)) if _is_parquet(path) else _placed_info(path)["features"]


def check_meets(path: Path, grid: Grid) -> None:
    """Refuses labels that lie wholly elsewhere than their image; a file without shapes lies nowhere and is fine.

    Raises:
        LabelError: says where both lie, and names swapped axes and degrees that are metres.
    """
    if not path.exists():
        raise LabelError(f"{path} does not exist; check the path")
    info = _placed_info(path)
    if info["total_bounds"] is None or info["crs"] is None or not grid.on_earth or meets(path, grid):
        return
    box, crs, own = info["total_bounds"], CRS.from_user_input(info["crs"]), CRS.from_user_input(grid.crs)
    raise LabelError(f"no label of {path} lies on its image: they cover {_rounded(box)} in {crs.to_string()}, the "
                     f"image {_rounded(grid.bounds)} in {own.to_string()}; {_why_apart(box, crs, grid)}")


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


def _boxes_in(grid: Grid, crs: CRS) -> list[tuple[float, float, float, float]]:
    """The box around an image in another CRS; across 180 degrees there are two, off the map of the CRS none."""
    if crs == grid.crs:
        return [grid.bounds]
    box = project_box(grid.bounds, grid.crs, crs)
    if box is None:
        return []
    left, bottom, right, top = box
    if left > right and crs.is_geographic:
        return [(left, bottom, 180.0, top), (-180.0, bottom, right, top)]
    return [(left, bottom, right, top)]


def _meet(box: tuple[float, float, float, float], others: list[tuple[float, float, float, float]]) -> bool:
    """Whether a box shares ground with one of others."""
    return any(box[0] < o[2] and box[2] > o[0] and box[1] < o[3] and box[3] > o[1] for o in others)


def _rounded(box: tuple[float, float, float, float]) -> str:
    """A box for a message."""
    return f"({', '.join(f'{edge:.6g}' if abs(edge) < 1000 else f'{edge:.0f}' for edge in box)})"


def _placed_info(path: Path) -> dict:
    """CRS, total box and number of features of a vector file's first layer, looked up once."""
    state = path.stat()
    return _placed_info_of(path, (state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=1024)
def _placed_info_of(path: Path, _state: tuple[int, int]) -> dict:
    if not _is_parquet(path):
        return _vector_info(path, None, force_total_bounds=True)
    table = _read_parquet(path)
    box = None if table.empty or table.geometry.is_empty.all() else tuple(table.total_bounds)
    return {"crs": table.crs and table.crs.to_wkt(), "total_bounds": box, "features": len(table)}


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".geoparquet")


def read_column(path: Path, column: str, layer: str | None = None) -> np.ndarray | None:
    """The values of one column of a vector file, without its shapes; None where it has no such column."""
    if column not in _vector_info(path, layer)["fields"]:
        return None
    return pyogrio.read_dataframe(path, layer=layer, columns=[column], read_geometry=False)[column].to_numpy()


def parse_crs(crs: Any) -> pyproj.CRS | None:
    """A CRS from what a caller named; None for pixel coordinates."""
    if crs is None or crs == PIXELS:
        return None
    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise LabelError(f"{crs!r} is not a CRS; name it by its code, as 'EPSG:32633'") from error


def check_crs(crs: pyproj.CRS | None, grid: Grid, name: str = "the labels") -> None:
    """Refuses labels and grids of which only one has a CRS."""
    if crs is None and grid.crs is not None:
        raise LabelError(f"{name} have no CRS, the image has {grid.crs.to_string()}; name theirs: crs='EPSG:...' when "
                         "rasterising a file, or .set_crs('EPSG:...') on a table")
    if crs is not None and grid.crs is None:
        raise LabelError(f"{name} have a CRS, the image has no georeference; give the image one, or labels in pixel "
                         f"coordinates (crs={PIXELS!r} when rasterising a file)")


def local_crs(grid: Grid) -> pyproj.CRS | None:
    """A projection true to scale around the grid's centre; None where the grid's own units must serve."""
    if grid.crs is None or not (grid.crs.is_geographic or grid.crs.is_projected):
        return None
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    lon, lat = pyproj.Transformer.from_crs(parse_crs(grid.crs), "EPSG:4326", always_xy=True).transform(x, y)
    return pyproj.CRS.from_dict({"proj": "aeqd", "lat_0": lat, "lon_0": lon, "datum": "WGS84", "units": "m"})


def _read_table(path: Path, layer: str | None, box: tuple[float, float, float, float] | None) -> gpd.GeoDataFrame:
    """The features of a layer whose boxes meet `box`, heights dropped."""
    try:
        return pyogrio.read_dataframe(path, layer=layer, bbox=box, force_2d=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
        raise LabelError(f"{path} is damaged or cut short; make or fetch it again ({error})") from error


def _check_own_shapes(path: Path) -> None:
    """Raises LabelError for what holds no shapes itself: pipes, devices, descriptions that GDAL would follow."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise LabelError(f"{path} is a pipe or a device; name a vector file")
    if path.is_file():
        with path.open("rb") as file:
            if b"<OGR" in file.read(4096):  # OGRVRTDataSource, OGRWFSDataSource, ...
                raise LabelError(f"{path} describes other files or addresses, which are not followed; save the shapes "
                                 f"themselves, as GeoPackage")


def _vector_info(path: Path, layer: str | None, force_total_bounds: bool = False) -> dict:
    """The description, by pyogrio, of a layer that has geometry."""
    _check_own_shapes(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "More than one layer")
            info = pyogrio.read_info(path, layer=layer, force_total_bounds=force_total_bounds)
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


def _bounds_in(grid: Grid, crs: pyproj.CRS, margin: float) -> tuple[float, float, float, float] | None:
    """The grid's box, `margin` metres wider, in another CRS; None where that box is not one."""
    true = local_crs(grid)
    local = grid.crs if true is None else true.to_wkt()
    left, bottom, right, top = transform_bounds(grid.crs, local, *grid.bounds)
    pad = margin + 2 * max(right - left, top - bottom) / min(grid.shape)
    box = transform_bounds(local, crs.to_wkt(), left - pad, bottom - pad, right + pad, top + pad)
    return box if np.all(np.isfinite(box)) and box[0] < box[2] and box[1] < box[3] else None
