"""How long footprints take to become a mask, against `rasterio.features.rasterize` alone on shapes already in place.

Footprints are the 4,440 of ../shared/data where they are there, else rectangles. Times are of the processor, best of
five, the steps taking turns, so that other work on the machine does not show. The goal is a ratio of 1.3 at most.
"""

import time
import warnings
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.features import rasterize
from rasterio.transform import from_bounds

from jointnet.data.labels import rasterize_file, rasterize_polygons
from jointnet.data.raster import Grid

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "georeferenced" / "tanzania_sample.geojson"
CRS_UTM = 32737


def footprints() -> gpd.GeoSeries:
    """The real footprints in UTM, or as many rectangles."""
    if REAL.exists():
        return gpd.read_file(REAL).to_crs(CRS_UTM).geometry
    random = np.random.default_rng(0)
    x, y = random.uniform((532_000, 9_365_000), (534_600, 9_367_500), (4440, 2)).T
    width, height = random.uniform(5, 20, (2, 4440))
    return gpd.GeoSeries(shapely.box(x, y, x + width, y + height), crs=CRS_UTM)


def times(*steps, repeats: int = 5) -> list[float]:
    """The best processor time of each step in seconds, the steps taking turns."""
    best = [float("inf")] * len(steps)
    for _ in range(repeats):
        for number, step in enumerate(steps):
            began = time.process_time()
            step()
            best[number] = min(best[number], time.process_time() - began)
    return best


def main() -> None:
    """Prints times and ratios."""
    shapes = footprints()
    degrees = shapes.to_crs(4326)
    left, bottom, right, top = shapes.total_bounds
    grid = Grid(5000, 5000, 3, "uint8", CRS.from_epsg(CRS_UTM), from_bounds(left, bottom, right, top, 5000, 5000))
    plain = [s for s in shapes if s is not None and not s.is_empty]
    corner = replace(grid, width=1000, height=1000)
    alone, same, other, part = times(
        lambda: rasterize(plain, grid.shape, transform=grid.transform, dtype="uint8"),
        lambda: rasterize_polygons(shapes, grid),
        lambda: rasterize_polygons(degrees, grid),
        lambda: rasterize_polygons(degrees, corner),
    )
    print(f"{len(shapes)} {'real footprints' if REAL.exists() else 'rectangles'} on 5000 x 5000 px")
    print(f"rasterio.features.rasterize alone   {alone:6.3f} s")
    ours = {"in the image's CRS": same, "from degrees": other, "from degrees, a 1000 px corner": part}
    for name, seconds in ours.items():
        print(f"rasterize_polygons, {name:32} {seconds:6.3f} s   ratio {seconds / alone:5.2f}")
    if REAL.exists():
        (seconds,) = times(lambda: rasterize_file(REAL, grid))
        print(f"rasterize_file, GeoJSON in degrees, read from disk   {seconds:6.3f} s")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
