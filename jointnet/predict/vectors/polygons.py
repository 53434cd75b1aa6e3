"""Masks and probabilities in; polygons with area and confidence out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely

from jointnet.data.degrees import on_earth
from jointnet.data.raster import Grid, open_raster
from jointnet.predict.rasters import foreground, open_probability, read_foreground
from jointnet.predict.settings import PredictionError
from jointnet.predict.vectors.polygonize import Tracer

if TYPE_CHECKING:
    import geopandas as gpd

STRIP = 512  # rows of a raster that are looked at together
HELD = 10_000  # polygons of a raster that are held before they are handed on


def mask_polygons(mask: np.ndarray) -> np.ndarray:
    """The 4-connected patches of a mask as shapely polygons in (column, row) pixels, holes kept, by pixel edges.

    Args:
        mask: (height, width), foreground where it is not 0.
    """
    tracer = Tracer(mask.shape[1])
    tracer.add(mask)
    return tracer.finish()[0]


def vectorize(mask: np.ndarray, grid: Grid, probability: np.ndarray | None = None, scene: str = "",
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
    check_on_grid(grid, mask, probability)
    tracer = Tracer(mask.shape[1])
    tracer.add(foreground(mask), probability)
    return _table(tracer.finish(), grid, scene, min_area, probability is not None)


def vectorize_raster(mask_path: str | Path, probability_path: str | Path | None = None, band: int = 1,
                     scene: str = "", min_area: float = 0.0) -> gpd.GeoDataFrame:
    """As `vectorize`, out of rasters that `predict_scene` wrote: every polygon in one table.

    Args:
        mask_path: mask raster.
        probability_path: probability raster of the same size, uint8 or float32.
        band: number of the class's band in both, from 1.
        scene: name that goes into every row.
        min_area: smallest patch that is kept, in m2 (pixels where the grid has no CRS).
    """
    import pandas as pd

    tables = list(polygon_tables(mask_path, probability_path, band, scene, min_area))
    return pd.concat([t for t in tables if len(t)], ignore_index=True) if any(map(len, tables)) else tables[0]


def polygon_tables(mask_path: str | Path, probability_path: str | Path | None = None, band: int = 1, scene: str = "",
                   min_area: float = 0.0, held: int = HELD) -> Iterator[gpd.GeoDataFrame]:
    """The tables that `vectorize_raster` joins, one after another from top to bottom, at least one.

    Memory grows with the polygons that are held and with the largest of them, not with the raster's height.

    Args:
        mask_path: mask raster.
        probability_path: probability raster of the same size, uint8 or float32.
        band: number of the class's band in both, from 1.
        scene: name that goes into every row.
        min_area: smallest patch that is kept, in m2 (pixels where the grid has no CRS).
        held: polygons that a table holds at least, the last one aside.
    """
    with open_raster(mask_path) as mask, (
        nullcontext() if probability_path is None else open_probability(probability_path)
    ) as probability:
        grid, waiting, count = mask.info, [], 0
        if probability is not None:
            check_same_size(mask_path, grid, probability_path, probability.raster.info)
        tracer = Tracer(grid.width)
        for row in range(0, grid.height, STRIP):
            window = (row, 0, min(STRIP, grid.height - row), grid.width)
            values = None if probability is None else probability.read(window, [band])[..., 0]
            tracer.add(read_foreground(mask, window, [band])[..., 0], values)
            is_last = row + STRIP >= grid.height
            waiting.append(tracer.finish() if is_last else tracer.take())
            count += len(waiting[-1][0])
            if is_last or count >= held:
                patches = tuple(np.concatenate(parts) for parts in zip(*waiting, strict=True))
                yield _table(patches, grid, scene, min_area, probability is not None)
                waiting, count = [], 0


def check_on_grid(grid: Grid, mask: np.ndarray, probability: np.ndarray | None = None) -> None:
    """Raises PredictionError unless a mask, and a probability where there is one, are (height, width) of a grid."""
    for name, values in (("mask", mask), ("probability", probability)):
        if values is not None and values.shape != grid.shape:
            raise PredictionError(f"the {name} is {values.shape} and its grid {grid.shape} (height, width); give the "
                                  f"grid of what it was made from, and of several classes one: [..., 0]")


def check_same_size(mask_path: Any, mask: Grid, probability_path: Any, probability: Grid) -> None:
    """Raises PredictionError unless a mask raster and its probability raster have one size."""
    if mask.shape != probability.shape:
        raise PredictionError(f"{mask_path} is {mask.shape} and {probability_path} {probability.shape} (height, width);"
                              f" give the probabilities that the mask was cut from")


def to_world(polygons: np.ndarray, grid: Grid) -> np.ndarray:
    """Polygons in (column, row) pixels -> in the units of the grid's CRS; without a CRS they stay in pixels."""
    if grid.crs is None:
        return polygons
    t = grid.transform
    matrix = np.array([[t.a, t.d], [t.b, t.e]])
    return shapely.transform(polygons, lambda points: points @ matrix + (t.c, t.f))


def areas(table: gpd.GeoDataFrame) -> np.ndarray:
    """Area of each shape in m2, in its own units without a CRS: float64 (rows,)."""
    crs = local_crs(table)
    if crs is not None:
        return shapely.area(table.geometry.to_crs(crs).to_numpy())
    axes = table.crs.axis_info if table.crs is not None else ()
    unit = axes[0].unit_conversion_factor if axes else 1.0  # metres of a unit of a site grid
    return shapely.area(table.geometry.to_numpy()) * unit**2


def local_crs(table: gpd.GeoDataFrame) -> str | None:
    """Lambert's azimuthal equal-area projection around a table's middle, in metres; None without a place on earth.

    It keeps areas true, where Web Mercator's, for one, are twice too large at 45 degrees.
    """
    if not on_earth(table.crs) or table.empty:
        return None
    left, bottom, right, top = table.total_bounds
    to_degrees = pyproj.Transformer.from_crs(table.crs, "EPSG:4326", always_xy=True)
    longitude, latitude = to_degrees.transform((left + right) / 2, (bottom + top) / 2)
    return f"+proj=laea +lon_0={longitude} +lat_0={latitude} +datum=WGS84 +units=m"


def _table(patches: tuple[np.ndarray, ...], grid: Grid, scene: str, min_area: float, with_mean: bool
           ) -> gpd.GeoDataFrame:
    """A tracer's patches with their attributes, largest enough ones only."""
    import geopandas as gpd

    polygons, _, mean = patches
    table = gpd.GeoDataFrame({"scene": [scene] * len(polygons)}, geometry=to_world(polygons, grid), crs=grid.crs)
    if with_mean:
        table.insert(0, "mean_probability", np.round(mean, 4))
    table.insert(0, area_column(table), np.round(areas(table), 2))
    return table[table.iloc[:, 0] >= min_area].reset_index(drop=True)


def area_column(table: gpd.GeoDataFrame) -> str:
    """The name of a table's areas, which states their unit."""
    return "area_px" if table.crs is None else "area_m2"
