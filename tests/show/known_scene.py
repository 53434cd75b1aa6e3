"""A small scene whose every pixel is known; the tests of figures, maps and explorers are held against it."""

from pathlib import Path

import geopandas as gpd
import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine
from shapely.geometry import box

from jointnet.data.raster import Grid, write_raster
from jointnet.data.scene import Scene

UTM33 = CRS.from_epsg(32633)
LEFT, TOP, GSD = 600_000.0, 5_340_000.0, 0.5  # near Vienna, 1.3 degrees off the zone's meridian: north is not up
HEIGHT, WIDTH = 120, 160
GRASS, ROOF = (60, 140, 60), (200, 60, 40)
BUILDINGS = ((20, 30, 60, 80), (70, 100, 110, 150))  # (row, col, end row, end col)


def grid(crs=UTM33, nodata=None) -> Grid:
    return Grid(WIDTH, HEIGHT, 3, "uint8", crs, Affine(GSD, 0, LEFT, 0, -GSD, TOP), nodata)


def buildings_mask() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for row, col, end, stop in BUILDINGS:
        mask[row:end, col:stop] = 1
    return mask


def photograph() -> np.ndarray:
    return np.where(buildings_mask()[..., None], np.uint8(ROOF), np.uint8(GRASS)).astype(np.uint8)


def draw_scene(folder: Path, crs=UTM33, name="vienna1") -> Scene:
    write_raster(folder / f"{name}.tif", photograph(), grid(crs))
    write_raster(folder / f"{name}_gt.tif", buildings_mask() * 255, grid(crs))
    return Scene(name, folder / f"{name}.tif", city="vienna", split="validation",
                 labels={"buildings": folder / f"{name}_gt.tif"}, gsd_hint=None if crs else GSD, drawn=True)


def known_probability() -> np.ndarray:
    """float32 (120, 160): 0.9 on the first roof, 0.5 on the second, 0.1 elsewhere, a false alarm of 0.8 at the left."""
    values = np.full((HEIGHT, WIDTH), 0.1, np.float32)
    values[20:60, 30:80], values[70:110, 100:150], values[80:100, 5:25] = 0.9, 0.5, 0.8
    return values


def known_polygons() -> gpd.GeoDataFrame:
    """The outlines of the two roofs, in the scene's CRS."""
    shapes = [box(LEFT + c * GSD, TOP - e * GSD, LEFT + s * GSD, TOP - r * GSD) for r, c, e, s in BUILDINGS]
    return gpd.GeoDataFrame(geometry=shapes, crs=UTM33)


ROAD = (0, 90, 120, 95)  # (row, col, end row, end col)


def roads_mask() -> np.ndarray:
    """uint8 (120, 160): one road from north to south between the roofs."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[ROAD[0] : ROAD[2], ROAD[1] : ROAD[3]] = 1
    return mask


def two_class_probability() -> np.ndarray:
    """float32 (120, 160, 2): buildings as known, and 0.45 on the road but for its lower half."""
    roads = roads_mask() * np.float32(0.45)
    roads[60:] = 0
    return np.stack([known_probability(), roads], -1)
