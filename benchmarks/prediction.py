"""Prediction: memory against scene height, seams, polygons against GDAL's, and speed as ratios; one table in one run.

    python benchmarks/prediction.py [memory] [seams] [polygons] [speed]

Ratios compare things that were timed by turns in this run, so a busy machine shifts both. Memory is measured in
processes of their own. The speed part takes most of the time; `--side 1024` makes its scene smaller.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from jointnet.data.drawn import draw_scene
from jointnet.data.raster import RasterInfo, create_raster, read_mask, write_raster
from jointnet.predict.scenes import predict_scene
from jointnet.predict.settings import Settings
from jointnet.predict.windows import WindowGrid, predict_windows

PARTS = ("memory", "seams", "polygons", "speed")
MASKS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "test_city"
WIDTH, SIZE = 5000, 256


def one_convolution(windows: np.ndarray) -> np.ndarray:
    """The stand-in network of the memory part: a 3 x 3 mean of the first band."""
    padded = np.pad(windows[..., :1].astype(np.float32), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / (9 * 255)


one_convolution.card = Settings(bands=3, classes=("buildings",), patch_size=SIZE, gsd=0.3)


def write_scene(path: Path, height: int, width: int) -> Path:
    """A drawn scene repeated to a size, as a tiled GeoTIFF."""
    drawn = draw_scene("austin6", size=1024)
    row = np.tile(drawn.image, (1, -(-width // 1024), 1))[:, :width]
    grid = drawn.grid.resized(1024, 1024).crop(0, 0, height, width)
    with create_raster(path, grid, 3, photometric="RGB") as raster:
        for top in range(0, height, 1024):
            raster.write(row[: min(1024, height - top)], top)
    return path


def peak_of_a_run(scene: Path) -> None:
    """Prints the peak memory of this process after a warm-up of one window, and after a whole scene, in MB."""

    def peak() -> float:  # getrusage would count what the parent process had before
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    with tempfile.TemporaryDirectory() as folder:
        warm = RasterInfo(SIZE, SIZE, 3, "uint8", draw_scene("austin6", size=256).grid.crs,
                          draw_scene("austin6", size=256).grid.transform)
        image = write_raster(Path(folder) / "warm.tif", np.full((SIZE, SIZE, 3), 90, np.uint8), warm)
        predict_scene(one_convolution, image, Path(folder) / "warm", progress=False)
        before = peak()
        predict_scene(one_convolution, scene, Path(folder) / "out", progress=False)
    sys.stdout.write(json.dumps([before, peak()]) + "\n")


def memory(_: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Peak memory of scenes of 5000 px width and two heights."""
    rows, peaks = [], {}
    for height in (5000, 20000):
        with tempfile.TemporaryDirectory() as folder:
            scene = write_scene(Path(folder) / "scene.tif", height, WIDTH)
            told = subprocess.run([sys.executable, __file__, "--peak", str(scene)], check=True, capture_output=True)
        before, peaks[height] = json.loads(told.stdout)
        rows.append((f"memory that {height} x {WIDTH} px adds to one window", f"{peaks[height] - before:.0f} MB",
                     "<= 300 MB"))
    rows.append(("peak memory, 20000 against 5000 rows", f"{peaks[20000] / peaks[5000]:.3f}", "<= 1.10"))
    return rows


def seams(_: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Steps across window borders against steps beside them, of the sample's network."""
    from jointnet.network.weights import load_model, published_weights
    from jointnet.predict.engines import make_engine
    from jointnet.predict.seams import seam_ratio

    if "sample-buildings" not in published_weights():
        return [("seams", "no weights sample-buildings yet", "<= 1.05")]
    model = load_model("sample-buildings")
    size = model.card.patch_size
    engine = make_engine(model, "auto", size)
    image = draw_scene("vienna6", size=1024).image

    def measure(stride: int, hard: bool) -> float:
        grid = WindowGrid(*image.shape[:2], size, stride)

        def read(row, col, height, width):
            return image[row : row + height, col : col + width]

        blocks = predict_windows(read, grid, engine, equal=hard)
        return seam_ratio(np.concatenate([rows for _, rows in blocks])[..., 0], grid)

    overlap = size * 3 // 4
    return [("seams without overlap", f"{measure(size, False):.2f}", ""),
            ("seams with overlap, plain mean", f"{measure(overlap, True):.2f}", ""),
            ("seams with overlap, blended", f"{measure(overlap, False):.2f}", "<= 1.05")]


def polygons(_: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Masks into polygons, against `rasterio.features.shapes` alone."""
    from rasterio.features import rasterize, shapes

    from jointnet.predict.vectorize import mask_polygons

    files = sorted(MASKS.glob("*_reference_prediction.png"))
    if not files:
        return [("polygons", f"skipped: no masks at {MASKS.name}", "<= 1.5")]
    rows = []
    for file in files:
        mask = read_mask(file)
        ours, theirs = [], []
        for _ in range(3):
            start = time.perf_counter()
            list(shapes(mask, mask=mask, connectivity=4))
            middle = time.perf_counter()
            found = mask_polygons(mask)
            ours.append(time.perf_counter() - middle)
            theirs.append(middle - start)
        same = np.array_equal(rasterize(found, mask.shape), mask)
        rows.append((f"polygons of {file.stem.split('_')[0]} ({len(found)}), against shapes alone",
                     f"{min(ours) / min(theirs):.2f}{'' if same else ', AND THEY DIFFER FROM THE MASK'}", "<= 1.5"))
    return rows


def speed(arguments: argparse.Namespace) -> list[tuple[str, str, str]]:
    """File to file, preset `small`, against its convolutions alone and against one 512 px window at a time."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from jointnet.network.model import build_jointnet
    from jointnet.network.weights import Card
    from jointnet.predict.engines import available_engines, make_engine

    model = build_jointnet("small")
    model.card = Card(preset="small", patch_size=SIZE)
    side = arguments.side
    windows = len(WindowGrid(side, side, SIZE, SIZE * 3 // 4).tops) ** 2
    rows, whole = [], {}
    with tempfile.TemporaryDirectory() as folder:
        scene = write_scene(Path(folder) / "scene.tif", side, side)
        for name in available_engines():
            make_engine(model, name, SIZE)(np.zeros((1, SIZE, SIZE, 3), np.uint8))
            start = time.perf_counter()
            predict_scene(model, scene, Path(folder) / name, engine=name, progress=False)
            whole[name] = time.perf_counter() - start
            rows.append((f"{side} x {side} px file to file, {name}", f"{whole[name]:.1f} s", ""))
    fastest = min(whole.values())
    first = available_engines()[0]
    alone = convolutions_alone(model) * windows
    rows.append((f"the automatic engine ({first}) against the fastest", f"{whole[first] / fastest:.2f}", "1.0"))
    rows.append(("whole path against its convolutions alone", f"{fastest / alone:.2f}", "<= 1.3"))
    old = one_at_a_time(model) * len(WindowGrid(side, side, 512, 384).tops) ** 2
    rows.append(("one 512 px window at a time, against ours", f"{old / fastest:.2f}", ">= 2"))
    return rows


def convolutions_alone(model) -> float:
    """Seconds of all convolutions of one window, each by the faster of TensorFlow and OpenVINO."""
    import keras
    import tensorflow as tf

    total = 0.0
    sizes = {"encoder1": 1, "decoder1": 1, "logits": 1, "encoder2": 2, "decoder2": 2, "encoder3": 4, "decoder3": 4}
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Conv2D):
            continue
        side = SIZE // next((s for key, s in sizes.items() if layer.name.startswith(key)), 8)
        side = side // 2 if layer.name.startswith("decoder") and layer.name.endswith("narrow") else side
        x = np.random.default_rng(0).random((1, side, side, layer.kernel.shape[2]), np.float32)
        function = tf.function(layer.call, input_signature=[tf.TensorSpec(x.shape, tf.float32)], autograph=False)
        total += min(_best(function, tf.constant(x)), *_openvino_times(function, x))
    return total


def _openvino_times(function, x: np.ndarray) -> list[float]:
    """OpenVINO's time, if it is installed."""
    try:
        import openvino
    except ImportError:
        return [float("inf")]
    model = openvino.convert_model(function.get_concrete_function())
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [_best(compiled, x)]


def one_at_a_time(model) -> float:
    """Seconds of `model.predict` on a 512 px window, as the ancestor does it."""
    window = np.random.default_rng(0).integers(0, 256, (1, 512, 512, 3)).astype(np.float32)
    return _best(lambda x: model.predict(x, verbose=0), window)


def _best(function, x, times: int = 3) -> float:
    """Least seconds of some calls, after one to warm up."""
    function(x)
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        function(x)
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--peak", type=Path)
    arguments = parser.parse_args()
    if arguments.peak:
        peak_of_a_run(arguments.peak)
        return
    sys.stdout.write("| what | measured | goal |\n|---|---|---|\n")
    for part in arguments.parts:
        for row in globals()[part](arguments):
            sys.stdout.write(f"| {' | '.join(row)} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
