"""Masks and probabilities in; polygons with area and confidence out, as GeoJSON, GeoPackage or GeoParquet."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from jointnet.data.raster import RasterInfo, open_raster
from jointnet.predict.trace import Tracer
from jointnet.predict.values import to_probability

FORMATS = {".geojson": "GeoJSON", ".gpkg": "GPKG", ".parquet": "GeoParquet"}
STRIP = 512  # rows of a raster that are looked at together


def mask_polygons(mask: np.ndarray) -> np.ndarray:
    """The 4-connected patches of a mask as shapely polygons in (column, row) pixels, holes kept, by pixel edges.

    Args:
        mask: (height, width), foreground where it is not 0.
    """
    tracer = Tracer(mask.shape[1])
    tracer.add(mask)
    return tracer.finish()[0]


def vectorize(mask: np.ndarray, grid: RasterInfo, probability: np.ndarray | None = None, scene: str = "",
              min_area: float = 0.0) -> gpd.GeoDataFrame:
    """The patches of a mask as a table of polygons in the grid's CRS.

    Columns: `area_m2` (`area_px` where the grid has no CRS), `mean_probability` where a probability is given, `scene`.

    Args:
        mask: (height, width), foreground where it is not 0.
        grid: its CRS and transform.
        probability: (height, width) in [0, 1].
        scene: name that goes into every row.
        min_area: smallest patch that is kept, in m2 (pixels where the grid has no CRS).
    """
    tracer = Tracer(mask.shape[1])
    tracer.add(mask, probability)
    return _table(tracer, grid, scene, min_area, probability is not None)


def vectorize_raster(mask_path: str | Path, probability_path: str | Path | None = None, band: int = 1,
                     scene: str = "", min_area: float = 0.0) -> gpd.GeoDataFrame:
    """As `vectorize`, out of rasters that `predict_scene` wrote, a strip at a time.

    Args:
        mask_path: mask raster.
        probability_path: probability raster of the same size, uint8 or float32.
        band: of both, from 1.
        scene: name that goes into every row.
        min_area: smallest patch that is kept, in m2 (pixels where the grid has no CRS).
    """
    with open_raster(mask_path) as mask, open_raster(probability_path or mask_path) as probability:
        grid = mask.info
        tracer = Tracer(grid.width)
        for row in range(0, grid.height, STRIP):
            window = (row, 0, min(STRIP, grid.height - row), grid.width)
            values = None if probability_path is None else to_probability(probability.read(window, [band])[..., 0])
            tracer.add(mask.read(window, [band])[..., 0], values)
    return _table(tracer, grid, scene, min_area, probability_path is not None)


def to_world(polygons: np.ndarray, grid: RasterInfo) -> np.ndarray:
    """Polygons in (column, row) pixels -> in the units of the grid's CRS; without a CRS they stay in pixels."""
    if grid.crs is None:
        return polygons
    t = grid.transform
    matrix = np.array([[t.a, t.d], [t.b, t.e]])
    return shapely.transform(polygons, lambda points: points @ matrix + (t.c, t.f))


def areas(table: gpd.GeoDataFrame) -> np.ndarray:
    """Area of each shape in m2, in its own units without a CRS: float64 (rows,)."""
    crs = local_crs(table)
    shapes = table.geometry if crs is None else table.geometry.to_crs(crs)
    return shapely.area(shapes.to_numpy())


def local_crs(table: gpd.GeoDataFrame) -> str | None:
    """Lambert's azimuthal equal-area projection around a table's middle, in metres; None without a CRS or shapes.

    It keeps areas true, where Web Mercator's, for one, are twice too large at 45 degrees.
    """
    if table.crs is None or table.empty:
        return None
    left, bottom, right, top = table.total_bounds
    to_degrees = pyproj.Transformer.from_crs(table.crs, "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform((left + right) / 2, (bottom + top) / 2)
    return f"+proj=laea +lon_0={longitude} +lat_0={latitude} +datum=WGS84 +units=m"


def write_vectors(table: gpd.GeoDataFrame, path: str | Path, name: str | None = None, kind: str = "Polygon") -> Path:
    """Writes a table of shapes in the format of the path's suffix; the file appears whole or not at all.

    GeoJSON is brought to WGS 84, as RFC 7946 wants it; a table without a CRS stays in pixels, and its layer is named
    so. GeoPackage and GeoParquet keep the table's CRS.

    Args:
        table: polygons or lines.
        path: ending in .geojson, .gpkg or .parquet.
        name: of the layer; the file's name without it.
        kind: of shape that an empty table would hold.

    Raises:
        ValueError: if the suffix is another.
        ImportError: if GeoParquet is wanted and pyarrow is not installed.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"{path} must end in {', '.join(FORMATS)}")
    name = (name or path.stem) + ("_pixels" if table.crs is None else "")
    aside = path.with_name(f".draft_{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(table, aside, name, kind)
        os.replace(aside, path)
    except (OSError, RuntimeError) as error:
        raise OSError(f"{path} cannot be written: check that {path.parent} is a folder that you may write to and "
                      f"that the disk is not full ({error})") from error
    finally:
        if path.parent.is_dir():
            aside.unlink(missing_ok=True)
    return path


def _write(table: gpd.GeoDataFrame, path: Path, name: str, kind: str) -> None:
    """One file in the format of its suffix."""
    if path.suffix == ".parquet":
        if importlib.util.find_spec("pyarrow") is None:
            raise ImportError("GeoParquet needs one more package; pip install pyarrow, or write .gpkg")
        table.to_parquet(path)
        return
    options = {"driver": FORMATS[path.suffix], "layer": name, "engine": "pyogrio", "index": False}
    if path.suffix == ".geojson" and table.crs is not None:
        table, options["RFC7946"] = table.to_crs("EPSG:4326"), "YES"
    if table.empty:
        options["geometry_type"] = kind
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        table.to_file(path, **options)


def _table(tracer: Tracer, grid: RasterInfo, scene: str, min_area: float, with_mean: bool) -> gpd.GeoDataFrame:
    """The patches of a tracer with their attributes, largest enough ones only."""
    polygons, _, mean = tracer.finish()
    table = gpd.GeoDataFrame({"scene": [scene] * len(polygons)}, geometry=to_world(polygons, grid), crs=grid.crs)
    if with_mean:
        table.insert(0, "mean_probability", np.round(mean, 4))
    column = "area_px" if grid.crs is None else "area_m2"
    table.insert(0, column, np.round(areas(table), 2))
    return table[table[column] >= min_area].reset_index(drop=True)
