"""Prediction: memory against scene height, seams, polygons against GDAL's, and speed as ratios; one table in one run.

    python benchmarks/prediction.py [start] [memory] [seams] [polygons] [speed] [peer] [many] [real] [place]

Ratios compare processor time of things that were run by turns, so a busy machine shifts both. Memory is measured in
processes of their own. `--side 2048` makes the scene of the speed and peer parts larger. PyTorch and geoai are
compared where JOINTNET_TORCH names a Python that has them. Two parts run by name only: `real`, memory with a real
network on 5000 px of width, and `place`, memory of a place of 20,000 px of width against that of a file, its tiles
from this machine.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pyogrio
from PIL import Image

from jointnet.data.drawn import draw_scene
from jointnet.data.raster import Grid, create_raster, read_mask, write_raster
from jointnet.predict.scenes import predict_scene
from jointnet.predict.settings import Settings
from jointnet.predict.windows import WindowGrid, predict_windows, stride_of

PARTS = ("start", "memory", "seams", "polygons", "speed", "peer", "many")
TORCH = Path(__file__).parent / "torch" / "eager.py"
MASKS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "test_city"
WIDTH, SIZE = 5000, 256


# what a process of its own says in the end; a peak that its parent knew of would hold what the parent had before
PEAK = """
def peak():
    return int(open("/proc/self/status", encoding="ascii").read().split("VmHWM:")[1].split()[0]) / 1024
"""
SAY_PEAK = PEAK + """
import json, sys, time
print(json.dumps([time.process_time(), peak()]), file=sys.stderr)
"""
PREDICT = """
import sys
from jointnet.__main__ import main
sys.argv = ["jointnet", "predict", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    if end.code:
        raise
"""
WORKER = PEAK + """
import json, sys
from distributed import Client, LocalCluster
from jointnet import predict_many

with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, memory_limit=None) as cluster:
    report = predict_many(sys.argv[1], sys.argv[2:-1], sys.argv[-1], cluster.scheduler_address, progress=False)
    with Client(cluster) as client:
        (found,) = client.run(peak).values()
print(json.dumps([sum(report.done.values()), found]), file=sys.stderr)
"""
MANY = PEAK + """
import json, sys
from jointnet import predict_many
from jointnet.predict.many import _client

workers, out, images = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
with _client(None, workers, len(images)) as client:
    address = client.scheduler.address
    predict_many("buildings-small", images[:workers], out + "/warm", address, progress=False)
    report = predict_many("buildings-small", images, out + "/many", address, progress=False)
    print(json.dumps([60 * len(report.done) / report.seconds, sum(client.run(peak).values())]), file=sys.stderr)
"""


def one_convolution(windows: np.ndarray) -> np.ndarray:
    """The stand-in network of the memory part: a 3 x 3 mean of the first band."""
    padded = np.pad(windows[..., :1].astype(np.float32), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / (9 * 255)


# the threshold leaves about as many polygons as a mask of a dense city has
one_convolution.card = Settings(3, ("buildings",), patch_size=SIZE, gsd=0.3, thresholds={"buildings": 0.75})


def start(_: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Seconds and peak memory of small things in processes of their own: what a person waits for."""
    from jointnet.show.widgets import __all__ as explorers

    rows = [("importing TensorFlow, which none of this does", process(f"import tensorflow{SAY_PEAK}"), "")]
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw_scene("austin6", size=256)
        images = [write_raster(Path(folder) / f"{name}.tif", drawn.image, drawn.grid) for name in "ab"]
        own = weights_of_ones_own(Path(folder) / "own.weights.h5")
        cache = {"XDG_CACHE_HOME": folder, "LOCALAPPDATA": folder}
        for weights, goal in (("buildings-small", "<= 2.0 s, 350 MB"), (own, "")):
            for turn in ("first", "second"):
                name = f"{turn} prediction of 256 px, {Path(weights).name}"
                told = process(PREDICT + SAY_PEAK, images[0], "-w", weights, "-o", Path(folder) / name, **cache)
                rows.append((f"{name}, files written", told, goal))
        told = process(WORKER, "buildings-small", *images, Path(folder) / "many", **cache)
        rows.append(("a Dask worker that predicts two such images", told, "<= 400 MB"))
    return rows + [(f"importing {name}", process(f"from jointnet.show.widgets import {name}{SAY_PEAK}"), "")
                   for name in explorers]


def weights_of_ones_own(path: Path) -> Path:
    """Weights that bring no network ready to run, on disk."""
    from jointnet.network.weights import save_model

    return save_model(build("tiny"), path)


def process(code: str, *arguments, **environment: str) -> str:
    """What a Python program took, in words; the last line that it says is its seconds of work and its peak in MB."""
    return in_words(*cost([sys.executable, "-c", code, *arguments], **environment))


def cost(command: list, **environment: str) -> tuple[float, float, float]:
    """(seconds, seconds of processor time, peak in MB) of a program whose last line on stderr is the latter two."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""} | environment  # else Python compiles us at each start
    began = time.perf_counter()
    told = subprocess.run([*map(str, command)], env=environment, check=True, capture_output=True, text=True,
                          cwd=Path(__file__).resolve().parents[1])
    return time.perf_counter() - began, *json.loads(told.stderr.splitlines()[-1])


def in_words(seconds: float, work: float, peak: float) -> str:
    """What a program took."""
    return f"{seconds:.1f} s, {work:.1f} s of processor time, {peak:.0f} MB"


def write_scene(path: Path, height: int, width: int) -> Path:
    """A drawn scene repeated to a size, as a tiled GeoTIFF."""
    drawn = draw_scene("austin6", size=1024)
    row = np.tile(drawn.image, (1, -(-width // 1024), 1))[:, :width]
    grid = drawn.grid.resized(1024, 1024).crop(0, 0, height, width)
    with create_raster(path, grid, 3, photometric="RGB") as raster:
        for top in range(0, height, 1024):
            raster.write(row[: min(1024, height - top)], top)
    return path


def peak_of_a_run(scene: Path, preset: str | None) -> None:
    """Prints the peak memory of this process after a warm-up of one window, and after a whole scene, in MB."""

    def peak() -> float:  # getrusage would count what the parent process had before
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    network = one_convolution if preset is None else build(preset)
    with tempfile.TemporaryDirectory() as folder:
        ground = draw_scene("austin6", size=256).grid
        warm = Grid(SIZE, SIZE, 3, "uint8", ground.crs, ground.transform)
        image = write_raster(Path(folder) / "warm.tif", np.full((SIZE, SIZE, 3), 90, np.uint8), warm)
        predict_scene(network, image, Path(folder) / "warm", progress=False)
        before = peak()
        result = predict_scene(network, scene, Path(folder) / "out", progress=False)
        polygons = pyogrio.read_info(result.geopackage)["features"]
    sys.stdout.write(json.dumps([before, peak(), polygons]) + "\n")


def build(preset: str):
    """A network with random weights that wants windows of `SIZE`."""
    from jointnet.network.card import Card
    from jointnet.network.model import build_jointnet

    model = build_jointnet(preset)
    model.card = Card(preset=preset, patch_size=SIZE, gsd=0.3)
    return model


def peaks(height: int, preset: str | None = None, width: int = WIDTH) -> tuple[float, float, int]:
    """(peak after one window, peak after a scene, its polygons) of a file, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return peaks_of(write_scene(Path(folder) / "scene.tif", height, width), preset)


def peaks_of(scene: Path, preset: str | None = None) -> tuple[float, float, int]:
    """As `peaks`, of any image."""
    command = [sys.executable, __file__, "--peak", str(scene), *(["--preset", preset] if preset else [])]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return tuple(json.loads(told))


def memory(_: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Peak memory of scenes of 5000 px width and two heights."""
    rows, found = [], {}
    for height in (5000, 20000):
        before, found[height], polygons = peaks(height)
        rows.append((f"memory that {height} x {WIDTH} px with {polygons} polygons add to one window",
                     f"{found[height] - before:.0f} MB", "<= 300 MB"))
    rows.append(("peak memory, 20000 against 5000 rows", f"{found[20000] / found[5000]:.3f}", "<= 1.10"))
    return rows


def real(_: argparse.Namespace) -> list[tuple[str, str, str]]:
    """What preset `small` adds to one window on a strip of 5000 px width."""
    before, after, _ = peaks(600, "small")
    return [(f"memory that 600 x {WIDTH} px add to one window, preset small", f"{after - before:.0f} MB", "<= 300 MB")]


def place(_: argparse.Namespace) -> list[tuple[str, str, str]]:
    """What a place of 20,000 px of width adds to one window, against a file of that size; `memory` has more rows."""
    from jointnet.data.places import open_place

    east, north = 11.35 + 20_000 * 0.3 / (111_320 * np.cos(np.deg2rad(47.26))), 47.26 + 2_800 * 0.3 / 111_320
    with tempfile.TemporaryDirectory() as cache, tiles() as address:
        os.environ["JOINTNET_CACHE"] = cache
        scene = open_place((11.35, 47.26, east, north), address, most_tiles=10**6, progress=False)
        before, of_place, _ = peaks_of(Path(scene.image))
        height, width = scene.info.shape  # read from the cache
    _, of_file, _ = peaks(height, width=width)
    return [(f"memory that a place of {height} x {width} px adds to one window; a file of that size",
             f"{of_place - before:.0f} MB; {of_file - before:.0f} MB", "the same")]


@contextmanager
def tiles() -> Iterator[str]:
    """The address of a tile service on this machine, whose tiles are all the same."""
    picture = io.BytesIO()
    Image.fromarray(draw_scene("austin6", size=256).image).save(picture, "JPEG")

    class Tile(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(picture.getvalue())))
            self.end_headers()
            self.wfile.write(picture.getvalue())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Tile) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{{z}}/{{x}}/{{y}}.jpg"
        server.shutdown()


def seams(_: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Work of overlapping windows, and steps across their borders against steps beside them, by normalisation."""
    from jointnet.network.card import open_weights, published_weights

    rows = []
    for name, shrink in (("sample-buildings", 1), ("buildings-small", 2)):
        if name in published_weights():
            weights = open_weights(name)
            image = draw_scene("vienna6", size=1024 * shrink).image
            image = image.reshape(1024, shrink, 1024, shrink, 3).mean(axis=(1, 3)).round().astype(np.uint8)
            rows += seams_of(weights, image, f"{name}, {weights.card.normalization} normalisation")
    return rows


def seams_of(weights, image: np.ndarray, name: str) -> list[tuple[str, str, str]]:
    """The rows of one network on an image at its own metres per pixel."""
    from jointnet.predict.engines import make_engine
    from jointnet.predict.seams import seam_ratio

    size = weights.card.patch_size
    engine = make_engine(weights, "auto", size)

    def measure(stride: int, hard: bool = False, places: int | None = None) -> float:
        grid = WindowGrid(*image.shape[:2], size, stride)

        def read(row, col, height, width):
            return image[row : row + height, col : col + width]

        blocks = predict_windows(read, grid, engine, equal=hard)
        return seam_ratio(np.concatenate([rows for _, rows in blocks])[..., 0],
                          WindowGrid(*image.shape[:2], size, places or stride))

    stride = stride_of(size, weights.card.overlap)
    goal = "" if weights.card.normalization == "group" else "<= 1.2"
    return [(f"pixels computed for each that is needed, 5000 px, {name}",
             f"{WindowGrid(5000, 5000, size, stride).work:.2f}", goal),
            (f"seams without overlap, {name}", f"{measure(size):.2f}", ""),
            (f"seams with its overlap of {size - stride} px, plain mean", f"{measure(stride, True):.2f}", ""),
            (f"seams with its overlap of {size - stride} px, blended", f"{measure(stride):.2f}", "<= 1.05"),
            (f"at these places where no window ends (overlap of {size // 2} px)",
             f"{measure(size // 2, places=stride):.2f}", "")]


def polygons(_: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Masks into polygons, against `rasterio.features.shapes` alone."""
    from rasterio.features import rasterize, shapes

    from jointnet.predict.vectors.polygons import mask_polygons

    files = sorted(MASKS.glob("*_reference_prediction.png"))
    if not files:
        return [("polygons", f"skipped: no masks at {MASKS.name}", "<= 1.5")]
    rows = []
    for file in files:
        mask = read_mask(file)
        ours, theirs = [], []
        for _ in range(2):
            start = time.process_time()
            list(shapes(mask, mask=mask, connectivity=4))
            middle = time.process_time()
            found = mask_polygons(mask)
            ours.append(time.process_time() - middle)
            theirs.append(middle - start)
        same = np.array_equal(rasterize(found, mask.shape), mask)
        rows.append((f"polygons of {file.stem.split('_')[0]} ({len(found)}), against shapes alone",
                     f"{min(ours) / min(theirs):.2f}{'' if same else ', AND THEY DIFFER FROM THE MASK'}", "<= 1.5"))
    return rows


def speed(arguments: argparse.Namespace) -> list[tuple[str, str, str]]:
    """File to file, preset `small`, against its convolutions alone, other runtimes and one 512 px window at a time."""
    import jointnet.backend  # noqa: F401  asks for oneDNN, so it comes before TensorFlow

    import tensorflow as tf  # isort: skip

    from jointnet.predict.engines import automatic_engine, available_engines, make_engine

    model, side, chosen = build("small"), arguments.side, automatic_engine()
    window = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)
    large = np.random.default_rng(0).integers(0, 256, (1, 512, 512, 3)).astype(np.float32)
    variables = tf.function(lambda x: model(x, training=False), autograph=False)
    ways = {name: make_engine(model, name, SIZE) for name in available_engines()}
    took = by_turns({
        **{name: lambda engine=engine: engine(window) for name, engine in ways.items()},
        "four windows at once": lambda: ways["keras"](np.repeat(window, 4, axis=0)),
        "variables": lambda: variables(window), "model.predict": lambda: model.predict(large, verbose=0),
    })
    took["four windows at once"] /= 4
    seconds, whole, alone = path(model, side, SIZE * 3 // 4)
    theirs = len(WindowGrid(side, side, 512, 384).tops) ** 2
    return [
        *rows_of_path(f"preset small, {chosen}", side, SIZE * 3 // 4, seconds, whole, alone),
        *shipped_path(side),
        ("the network without the path, against its convolutions alone", f"{took[chosen] / alone:.2f}", ""),
        ("the ancestor's way, one 512 px window at a time by model.predict, against the whole path",
         f"{ancestor() * theirs / whole:.2f}", ">= 2"),
        ("the same with our group normalisation and oneDNN, against the whole path",
         f"{took['model.predict'] * theirs / whole:.2f}", ""),
        (f"the automatic engine ({chosen}) against the fastest",
         f"{took[chosen] / min(took[name] for name in ways):.2f}", "1.0"),
        *((f"a window by {name}, against {chosen}", f"{took[name] / took[chosen]:.2f}", "") for name in ways),
        ("TensorFlow with the weights as variables, against constants", f"{took['variables'] / took['keras']:.2f}", ""),
        ("four windows at once, against one by one", f"{took['four windows at once'] / took['keras']:.2f}", ""),
        ("PyTorch eager, channels last, against the automatic engine", *torch_eager(took[chosen])),
    ]


def path(model, side: int, stride: int) -> tuple[float, float, float]:
    """(seconds, processor seconds) file to file, and processor seconds of a window's convolutions alone."""
    from jointnet.predict.engines import automatic_engine

    with tempfile.TemporaryDirectory() as folder:
        scene = write_scene(Path(folder) / "scene.tif", side, side)
        alone, parts, whole, seconds = np.inf, convolutions(model), np.inf, np.inf
        for turn in range(2):  # the machine's own speed changes within minutes
            alone = min(alone, sum(min(by_turns(ways_of_one).values()) for ways_of_one in parts))
            start, began = time.process_time(), time.perf_counter()
            predict_scene(model, scene, Path(folder) / str(turn), engine=automatic_engine(), progress=False,
                          gsd=model.card.gsd, overlap=1 - stride / SIZE)
            whole, seconds = min(whole, time.process_time() - start), min(seconds, time.perf_counter() - began)
    return seconds, whole, alone


def rows_of_path(name: str, side: int, stride: int, seconds: float, whole: float, alone: float
                 ) -> list[tuple[str, str, str]]:
    """What `path` found, in words."""
    windows = len(WindowGrid(side, side, SIZE, stride).tops) ** 2
    return [(f"{side} x {side} px file to file, {name}", f"{seconds:.1f} s, {whole:.1f} s of processor time", ""),
            (f"whole path, against its convolutions alone, {name}", f"{whole / windows / alone:.2f}", "<= 1.3")]


def shipped_path(side: int) -> list[tuple[str, str, str]]:
    """The same of weights with batch normalisation, with the overlap on their card."""
    from jointnet.network.card import published_weights
    from jointnet.network.weights import load_model

    if "buildings-small" not in published_weights():
        return []
    model = load_model("buildings-small")
    stride = stride_of(SIZE, model.card.overlap)
    return rows_of_path("buildings-small", side, stride, *path(model, side, stride))


def peer(arguments: argparse.Namespace) -> list[tuple[str, str, str]]:
    """File to file against geoai: network, windows, overlap and scene are the same, each a program from its start.

    Ours finds its network ready to run, as it does from the second run on, and writes no polygons, as geoai does not.
    """
    from jointnet.network.weights import save_model

    python, side = os.environ.get("JOINTNET_TORCH"), arguments.side
    if not python or subprocess.run([python, "-c", "import geoai.inference"], capture_output=True).returncode:
        return [("file to file by geoai", "not measured: JOINTNET_TORCH names no Python that has it", "")]
    with tempfile.TemporaryDirectory() as folder:
        scene = write_scene(Path(folder) / "scene.tif", side, side)
        own = save_model(build("small"), Path(folder) / "own.weights.h5")
        cache = {"XDG_CACHE_HOME": folder, "LOCALAPPDATA": folder}
        ours = [sys.executable, "-c", PREDICT + SAY_PEAK, scene, "-w", own, "--overlap", "0.25", "--no-polygons", "-o"]
        theirs = [python, TORCH.parent / "geoai_file.py", scene]
        cost([*ours, Path(folder) / "ready"], **cache)
        found = [(cost([*ours, Path(folder) / f"ours{turn}"], **cache),
                  cost([*theirs, Path(folder) / f"theirs{turn}.tif", SIZE, SIZE // 4])) for turn in range(2)]
    (us, them) = (tuple(map(min, zip(*some, strict=True))) for some in zip(*found, strict=True))
    name = f"{side} x {side} px, a program from its start, preset small"
    return [(f"{name}, ours", in_words(*us), ""), (f"{name}, geoai", in_words(*them), ""),
            ("geoai against ours: seconds, processor time, memory",
             ", ".join(f"{b / a:.2f}" for a, b in zip(us, them, strict=True)), "> 1")]


def many(_: argparse.Namespace) -> list[tuple[str, str, str]]:
    """Scenes a minute of 1, 2 and 4 Dask workers that are warm, and the memory of all of them together."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        image = write_scene(Path(folder) / "0.tif", 512, 512)
        images = [image, *(shutil.copy(image, Path(folder) / f"{k}.tif") for k in range(1, 16))]
        for workers in (1, 2, 4):
            told = subprocess.run([sys.executable, "-c", MANY, str(workers), Path(folder) / str(workers), *images],
                                  check=True, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[1])
            speed, memory = json.loads(told.stderr.splitlines()[-1])
            rows.append((f"scenes of 512 px by {workers} Dask workers on {os.cpu_count()} cores",
                         f"{speed:.0f} a minute, {memory:.0f} MB", ""))
    return rows


def ancestor() -> float:
    """Processor seconds of `model.predict` on a 512 px window, in a process of its own."""
    plain = {key: value for key, value in os.environ.items() if key != "TF_ENABLE_ONEDNN_OPTS"}
    command = [sys.executable, __file__, "--ancestor"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=plain).stdout)


def ancestors_window() -> None:
    """Prints those seconds: TensorFlow as it sets itself up, and Keras' own group normalisation."""
    import keras  # before ours, which asks for oneDNN

    import jointnet.network.model as ours

    ours.GroupNormalization = keras.layers.GroupNormalization
    model = ours.build_jointnet("small")
    window = np.random.default_rng(0).integers(0, 256, (1, 512, 512, 3)).astype(np.float32)
    took = by_turns({"": lambda: model.predict(window, verbose=0)}, 2)
    sys.stdout.write(json.dumps(took[""]) + "\n")


def torch_eager(ours: float) -> tuple[str, str]:
    """(ratio, goal) of the same network and window in PyTorch, in its own environment."""
    python = os.environ.get("JOINTNET_TORCH")
    if not python:
        return "not measured: JOINTNET_TORCH names no Python", ">= 1"
    quiet = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}  # a thread that waits by counting is no work
    told = subprocess.run([python, TORCH, str(SIZE)], check=True, stdout=subprocess.PIPE, env=quiet).stdout
    return f"{json.loads(told) / ours:.2f}", ">= 1"


def convolutions(model) -> list[dict]:
    """Each convolution of the network on one window: a function of nothing for each of TensorFlow and OpenVINO."""
    import keras

    layers = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    inputs = keras.Model(model.input, [x.input for x in layers])(np.zeros((1, SIZE, SIZE, 3), np.uint8))
    random = np.random.default_rng(0)
    return [convolution(layer, random.random(tuple(x.shape), np.float32))
            for layer, x in zip(layers, inputs, strict=True)]


def convolution(layer, x: np.ndarray) -> dict:
    """One convolution with its bias and activation as a function of nothing, by runtime."""
    import tensorflow as tf

    values = [v.numpy() for v in layer.trainable_variables]
    function = tf.function(lambda t: layer.stateless_call([tf.constant(v) for v in values], [], t)[0],
                           input_signature=[tf.TensorSpec(x.shape, tf.float32)], autograph=False)
    tensor = tf.constant(x)
    ways = {"tensorflow": lambda: function(tensor)}
    try:
        compiled = openvino_convolution(layer, x.shape)
    except ImportError:
        return ways
    return ways | {"openvino": lambda: compiled(x)}


def openvino_convolution(layer, shape: tuple[int, ...]):
    """A layer's convolution, bias and activation as OpenVINO runs it; made by hand, for to convert it takes seconds."""
    from jointnet.predict.runtime import CORE, openvino

    opset11 = openvino.opset11

    kernel, bias = (v.numpy() for v in layer.trainable_variables)
    kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    x = opset11.parameter(shape, np.float32)
    y = opset11.convolution(opset11.transpose(x, np.array([0, 3, 1, 2])), opset11.constant(kernel), layer.strides,
                            [0, 0], [0, 0], layer.dilation_rate, "same_upper")  # 1 x 1 needs no padding either way
    y = opset11.add(y, opset11.constant(bias[None, :, None, None]))
    y = opset11.relu(y) if layer.activation.__name__ == "relu" else y
    graph = openvino.Model([opset11.transpose(y, np.array([0, 2, 3, 1]))], [x], layer.name)
    return CORE.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def by_turns(ways: dict, times: int = 3) -> dict[str, float]:
    """Least processor seconds of each function, called by turns after once to warm up."""
    taken = {name: [] for name in ways}
    for turn in range(times + 1):
        for name, function in ways.items():
            start = time.process_time()
            function()
            if turn:
                taken[name].append(time.process_time() - start)
    return {name: min(seconds) for name, seconds in taken.items()}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ancestor", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--preset", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ancestor:
        ancestors_window()
        return
    if arguments.peak:
        peak_of_a_run(arguments.peak, arguments.preset)
        return
    sys.stdout.write("| what | measured | goal |\n|---|---|---|\n")
    for part in arguments.parts:
        for row in globals()[part](arguments):
            sys.stdout.write(f"| {' | '.join(row)} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
