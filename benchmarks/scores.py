"""Processor time of scoring a 5000 x 5000 scene, against one read of its two rasters, and the memory that it needs.

The prediction is a real mask from ../shared/data where that is there, else random blocks; the labels are the same mask
three pixels off, the probabilities the mask blurred. Each step runs in a process of its own, so that peaks are its own.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine
from scipy.ndimage import uniform_filter

from jointnet.data.raster import Grid, open_raster, read_mask, write_raster
from jointnet.data.scene import Dataset, Scene
from jointnet.evaluate.analysis import analyse
from jointnet.evaluate.error_objects import find_errors
from jointnet.evaluate.error_rasters import write_error_raster
from jointnet.evaluate.explain import object_features
from jointnet.evaluate.inputs import Prediction
from jointnet.evaluate.registration import shift_table
from jointnet.evaluate.scores import evaluate
from jointnet.evaluate.worst import worst_patches

SIZE = 5000
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "test_city" / "sfo36_reference_prediction.png"


def draw_mask() -> np.ndarray:
    """Random blocks over a sixth of the scene."""
    random, mask = np.random.default_rng(0), np.zeros((SIZE, SIZE), np.uint8)
    places, sizes = random.integers(0, SIZE, (10_000, 2)), random.integers(10, 60, (10_000, 2))
    for (row, col), (height, width) in zip(places, sizes, strict=True):
        mask[row : row + height, col : col + width] = 1
    return mask


def write_scene(folder: Path) -> None:
    """Image, labels, mask and probabilities of one scene."""
    mask = read_mask(REAL) if REAL.exists() else draw_mask()
    grid = Grid(SIZE, SIZE, 1, "uint8", CRS.from_epsg(32610), Affine(0.3, 0, 550_000, 0, -0.3, 4_180_000))
    write_raster(folder / "image.tif", np.full((SIZE, SIZE, 3), 90, np.uint8), grid)
    write_raster(folder / "labels.tif", np.roll(mask, (3, 2), (0, 1)) * np.uint8(255), grid, overview="nearest")
    write_raster(folder / "scene_mask.tif", mask * np.uint8(255), grid, overview="nearest")
    soft = uniform_filter(mask.astype(np.float32), 7)
    write_raster(folder / "scene_probability.tif", np.rint(soft * 254).astype(np.uint8), grid, nodata=255)


def read_once(path: Path) -> None:
    """Both rasters, in the same strips."""
    for name in ("labels.tif", "scene_mask.tif"):
        for row in range(0, SIZE, 512):
            with open_raster(path / name) as raster:
                raster.read((row, 0, min(512, SIZE - row), SIZE))


def run(step: str, folder: Path) -> None:
    """One step, timed; prints seconds and megabytes as JSON."""
    scene = Scene("scene", folder / "image.tif", "sfo", labels={"buildings": folder / "labels.tif"})
    dataset, mask_only = Dataset("benchmark", (scene,)), {"scene": folder / "scene_mask.tif"}
    steps = {
        "one read of two rasters": lambda: read_once(folder),
        "pooled scores": lambda: evaluate(mask_only, dataset, detail=False),
        "all scores of masks": lambda: evaluate(mask_only, dataset),
        "all scores with probabilities": lambda: evaluate(folder, dataset),
        "error raster": lambda: write_error_raster(folder / "errors.tif", scene, Prediction(folder / "scene_mask.tif")),
        "error objects": lambda: find_errors(folder, dataset),
        "object features": lambda: object_features(scene, Prediction(folder / "scene_mask.tif")),
        "best shift": lambda: shift_table(mask_only, dataset),
        "worst patches": lambda: worst_patches(mask_only, dataset),
        "all of it, for a report": lambda: analyse(folder, dataset),
    }
    if step == "write":
        write_scene(folder)
        return
    if step == "steps":
        print(json.dumps(list(steps)))
        return
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    steps[step]()
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak_mb": peak / 1024, "imports_mb": before / 1024}))


def main() -> None:
    """Every step in its own process, as a table."""
    with tempfile.TemporaryDirectory() as folder:

        def child(step: str):
            done = subprocess.run([sys.executable, __file__, step, folder], check=True, stdout=subprocess.PIPE)
            return json.loads(done.stdout or "null")

        child("write")
        print(f"{SIZE} x {SIZE} px, {'real mask' if REAL.exists() else 'random blocks'}")
        once = None
        for step in child("steps"):
            result = child(step)
            once = once or result["seconds"]
            print(f"{step:32}{result['seconds']:8.2f} s{result['seconds'] / once:8.1f} reads"
                  f"{result['peak_mb']:8.0f} MB at most, {result['imports_mb']:.0f} MB of it before the step")


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) == 3 else main()
