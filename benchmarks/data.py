"""How fast patches come, against bare rasterio; the memory that they need; how long a training step waits for them.

Forty scenes of 5000 x 5000 px stand for a city of INRIA: one drawn scene side by side, under forty names (hard links),
so that each has an index and open files of its own. Each measurement runs in a process of its own, so that peaks are
its own.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from jointnet.data.drawn import draw_scene
from jointnet.data.raster import write_raster
from jointnet.data.scene import Scene

SIDE, SCENES, PATCH, BATCH = 5000, 40, 256, 4
WINDOWS = 200


def write_scenes(folder: Path) -> None:
    """One scene on disk, and the same files under other names."""
    drawn = draw_scene("austin6", size=1024)
    times = -(-SIDE // 1024)
    image = np.tile(drawn.image, (times, times, 1))[:SIDE, :SIDE]
    mask = np.tile(drawn.buildings, (times, times))[:SIDE, :SIDE] * np.uint8(255)
    grid = drawn.grid.resized(1024, 1024).crop(0, 0, SIDE, SIDE)
    write_raster(folder / "images" / "0.tif", image, grid, photometric="RGB")
    write_raster(folder / "masks" / "0.tif", mask, grid, overview="nearest")
    for number in range(1, SCENES):
        for part in ("images", "masks"):
            os.link(folder / part / "0.tif", folder / part / f"{number}.tif")


def open_scenes(folder: Path, count: int) -> list[Scene]:
    """The first `count` scenes."""
    return [Scene(str(n), folder / "images" / f"{n}.tif", labels={"buildings": folder / "masks" / f"{n}.tif"})
            for n in range(count)]


def draw_windows(seed: int) -> list[tuple[int, int, int]]:
    """(scene, row, col) of random patches."""
    random = np.random.default_rng(seed)
    return [(int(random.integers(SCENES)), *map(int, random.integers(0, SIDE - PATCH, 2))) for _ in range(WINDOWS)]


def speed(folder: Path) -> dict:
    """Patches per second of the processor, of the package and of bare rasterio with its files kept open, by turns."""
    from jointnet.data.patches import read_patch

    scenes = open_scenes(folder, SCENES)
    files = [(rasterio.open(s.image), rasterio.open(s.labels["buildings"])) for s in scenes]
    seconds = {"package": 0.0, "rasterio": 0.0}
    for scene in scenes:
        read_patch(scene, 0, 0, PATCH)  # both have their files open before the clock starts
    for turn in range(4):
        windows = draw_windows(turn // 2)
        for name in (("package", "rasterio"), ("rasterio", "package"))[turn % 2]:
            start = time.process_time()
            for number, row, col in windows:
                if name == "package":
                    read_patch(scenes[number], row, col, PATCH)
                else:
                    for file in files[number]:
                        file.read(window=Window(col, row, PATCH, PATCH))
            seconds[name] += time.process_time() - start
    rates = {name: 4 * WINDOWS / total for name, total in seconds.items()}
    return rates | {"ratio": rates["package"] / rates["rasterio"]}


def memory(folder: Path, count: int) -> dict:
    """Peak memory in MB before and after the indexes and a hundred batches of `count` scenes."""
    from jointnet.data.patches import PatchBatches

    before = peak_mb()
    start = time.perf_counter()
    batches = PatchBatches(open_scenes(folder, count), PATCH, BATCH)
    indexed = time.perf_counter() - start
    for number in range(100):
        batches[number]
    return {"before": before, "peak": peak_mb(), "index_seconds": indexed}


def waiting(folder: Path, steps: int = 6) -> dict:
    """What batches from disk cost a training run with preset tiny, against the same batches held in memory.

    Times are of the processor: the next batch is read while the last one trains, so that on a machine with nothing
    else to do the step waits for less than this, and on a busy one the clock would measure the others.
    """
    from jointnet.backend import keras
    from jointnet.data.patches import PatchBatches
    from jointnet.network.model import build_jointnet

    class InMemory(keras.utils.PyDataset):
        """The same batches, read before."""

        def __init__(self, batches):
            super().__init__()
            self.batches = batches

        def __len__(self):
            return len(self.batches)

        def __getitem__(self, index):
            return self.batches[index]

    source = PatchBatches(open_scenes(folder, 8), PATCH // 2, BATCH, steps=steps)  # 128 px, as the lessons train
    start = time.process_time()
    held = InMemory([source[i] for i in range(steps)])
    reading = (time.process_time() - start) / steps
    model = build_jointnet("tiny")
    model.compile(optimizer="adam", loss="binary_crossentropy")
    model.fit(held, epochs=1, verbose=0)  # traces the step
    seconds = {"disk": [], "memory": []}
    for turn in range(4):
        for name in (("disk", "memory"), ("memory", "disk"))[turn % 2]:
            start = time.process_time()
            model.fit(source if name == "disk" else held, epochs=1, verbose=0)
            seconds[name].append((time.process_time() - start) / steps)
    disk, memory = (float(np.median(seconds[name])) for name in ("disk", "memory"))
    return {"step": disk, "reading": reading, "share": 1 - memory / disk, "bound": reading / disk}


def peak_mb() -> float:
    """Most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


STEPS = {"speed": speed, "memory4": lambda f: memory(f, 4), "memory40": lambda f: memory(f, 40), "waiting": waiting}


def measure(step: str, folder: Path) -> dict:
    """One step in a process of its own."""
    settings = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, __file__, step, str(folder)], env=settings, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints the three ratios with their goals."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scenes(folder)
        found = measure("speed", folder)
        print(f"patches of {PATCH} px with labels: {found['package']:.0f} a second, rasterio {found['rasterio']:.0f}: "
              f"ratio {found['ratio']:.2f} (goal 0.7 or more)", flush=True)
        few, many = measure("memory4", folder), measure("memory40", folder)
        print(f"peak memory: {few['peak']:.0f} MB with 4 scenes, {many['peak']:.0f} MB with 40 (libraries alone: "
              f"{many['before']:.0f} MB): ratio {many['peak'] / few['peak']:.2f} (goal about 1)", flush=True)
        print(f"index of a 5000 x 5000 scene: {many['index_seconds'] / 40:.2f} s, once")
        found = measure("waiting", folder)
        print(f"training step, tiny, {BATCH} patches of {PATCH // 2} px: {found['step']:.2f} s of the processor; "
              f"its batch {1000 * found['reading']:.0f} ms or {found['bound']:.1%}, and the step is dearer than with "
              f"batches in memory by {found['share']:.1%} (goal under 5 %)")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(STEPS[sys.argv[1]](Path(sys.argv[2]))))
    else:
        main()
