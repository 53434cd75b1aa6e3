"""Training on labels that are vector files, in a process of its own: what fails in threads ends the whole process."""

from __future__ import annotations

import subprocess
import sys

import geopandas as gpd
import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine
from shapely.geometry import LineString, box

from jointnet.data.raster import Grid, write_raster

PLACE = Affine(0.5, 0, 500_000, 0, -0.5, 5_300_000)
TRAIN = """
import sys, warnings
from pathlib import Path
from rasterio.errors import NotGeoreferencedWarning
warnings.simplefilter("error")
# rasterio silences this about its own drafts by a filter that all threads share, so one may see another's
warnings.simplefilter("ignore", NotGeoreferencedWarning)
warnings.filterwarnings("ignore", ".*are taken as surfaces of roads")  # as they should be: a class of both
import keras
import jointnet
from jointnet.data.patches import GridBatches, PatchBatches
from jointnet.network.losses import PixelLoss

network = keras.Sequential([keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")])  # threads are at stake
network.compile("adam", PixelLoss("dice"), jit_compile=False)
root, workers = Path(sys.argv[1]), int(sys.argv[2])
for name in sys.argv[3:]:
    class_name = "roads" if "roads" in name else "buildings"
    scenes = jointnet.open_dataset("folder", root / name, class_name=class_name)
    parts = [scenes.select(split=split) for split in ("train", "validation")]
    batches = PatchBatches(parts[0], 32, 2, [class_name], steps=4, workers=workers)
    checks = GridBatches(parts[1], 32, 2, [class_name], workers=workers)
    run = network.fit(batches, validation_data=checks, epochs=2, verbose=0)
    print(name, len(run.history["val_loss"]), flush=True)
"""
HOUSES = [box(500_000 + 8 * k, 5_299_990 - 5 * k, 500_005 + 8 * k, 5_299_995 - 5 * k) for k in range(4)]
STREETS = [LineString([(499_990, 5_299_980), (500_050, 5_299_970)]),
           LineString([(500_010, 5_300_010), (500_012, 5_299_900)])]
KINDS = {  # name -> file, shapes, CRS
    "geojson": ("a.geojson", HOUSES, 4326), "gpkg": ("a.gpkg", HOUSES, 32633), "by_place": ("town.fgb", HOUSES, 3857),
    "roads": ("a_roads.shp", STREETS, 32633), "roads_in_degrees": ("a_roads.geojson", STREETS, 4326),
    "both_roads": ("a_roads.gpkg", [*STREETS, *HOUSES], 25833),
}


@pytest.mark.parametrize("workers", [1, 3])
def test_training_on_each_kind_of_vector_labels_comes_to_its_end(tmp_path, workers):
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for name, (file, shapes, epsg) in KINDS.items():
        for split in ("train", "validation"):
            place = PLACE @ Affine.translation(100 * (split != "train"), 0)
            grid = Grid(64, 64, 3, "uint8", CRS.from_epsg(32633), place)
            folder = tmp_path / name / split / "images"
            write_raster(folder / "a.tif", image, grid)
            moved = gpd.GeoSeries(shapes, crs=32633).translate(50 * (split != "train"))
            moved.to_crs(epsg).to_file(folder / file)
    done = subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path), str(workers), *KINDS], capture_output=True,
                          text=True, timeout=175)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [word for name in KINDS for word in (name, "2")]
