"""Networks ready to run: beside the published weights, made once for others, equal to Keras, and never a stale one."""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest

from jointnet.data.drawn import draw_scene
from jointnet.data.raster import write_raster
from jointnet.errors import InputError
from jointnet.network.card import PUBLISHED, SUFFIX, Card, WeightsError, card_path, open_weights, published_weights
from jointnet.predict import compiled, engines
from jointnet.predict.compiled import CompileWarning, compiled_beside, int8_beside, read_compiled
from jointnet.predict.convert import CompileError
from jointnet.predict.engines import begin_engine, make_engine, weights_digest
from jointnet.predict.rasters import read_probability

pytest.importorskip("jointnet.predict.runtime")
SIZE = 32


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A network of random weights, saved: (Keras model, weights file)."""
    from jointnet.network.model import build_jointnet
    from jointnet.network.weights import save_model

    model = build_jointnet("tiny", growth_rates=(4, 4, 4), dilation_rates=(1, 2))
    model.card = Card(preset="tiny", growth_rates=(4, 4, 4), dilation_rates=(1, 2), patch_size=SIZE)
    return model, save_model(model, tmp_path_factory.mktemp("small") / f"small{SUFFIX}")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setattr(compiled, "_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def made_here(monkeypatch):
    """What would be made by another process is made by this one, which has TensorFlow loaded; counts the times."""
    made = []

    def make(weights, size, out):
        made.append(size)
        compiled.compile_weights(weights.path, size, out)

    monkeypatch.setattr(compiled, "_compile_apart", make)
    return made


@pytest.fixture(scope="module")
def parts(small, tmp_path_factory):
    """The files in the small network made ready to run: name -> bytes."""
    path = compiled.compile_weights(small[1], SIZE, tmp_path_factory.mktemp("made") / "made.zip")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def laid_down(parts, monkeypatch):
    """As `made_here`, where what matters is when a network is made: it is made once, and said to be of that size."""
    made = []

    def make(weights, size, out):
        made.append(size)
        made_of = json.loads(parts["made_of.json"]) | {"size": size}
        compiled._write(out, parts | {"made_of.json": json.dumps(made_of).encode()})

    monkeypatch.setattr(compiled, "_compile_apart", make)
    return made


@pytest.mark.parametrize("name", published_weights())
def test_published_weights_bring_the_network_that_is_made_of_them(name, monkeypatch):
    monkeypatch.setattr(compiled, "_compile_apart", lambda *_: pytest.fail("it had to be made"))
    weights = open_weights(name)
    assert read_compiled(weights, weights.card.patch_size)[1] == weights.card.digest
    assert compiled_beside(weights.path).stat().st_size < 1.3 * weights.path.stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize("name", published_weights())
def test_published_networks_answer_as_keras_does(name):
    from jointnet.network.weights import load_model

    model, weights = load_model(name), open_weights(name)
    size = weights.card.patch_size
    image = draw_scene("vienna6", size=2 * size).image
    windows = np.stack([image[:size, :size], image[-size:, -size:]])
    ready = make_engine(weights, "openvino", size)
    np.testing.assert_allclose(ready(windows), make_engine(model, "keras", size)(windows), atol=1e-5)
    assert weights_digest(model) == weights.card.digest


@pytest.mark.slow
def test_buildings_small_answers_as_keras_does_on_real_crops(shared_data):
    from PIL import Image

    from jointnet import predict_array

    for path in sorted((shared_data / "inria_crops" / "images").iterdir())[::40]:
        image = np.asarray(Image.open(path).convert("RGB"))[:256, :256]
        ready, keras = (predict_array("buildings-small", image, engine=name) for name in ("openvino", "keras"))
        np.testing.assert_allclose(ready, keras, atol=1e-5, err_msg=path.name)


def test_the_network_in_8_bits_answers_nearly_as_the_exact_one_and_is_another_to_a_prediction(tmp_path):
    from jointnet import predict_scene

    scene = draw_scene("vienna6", size=512)
    image = write_raster(tmp_path / "town.tif", scene.image[::2, ::2], scene.grid.resized(256, 256))  # 0.6 m
    rough = predict_scene("buildings-small", image, tmp_path, engine="int8", polygons=False, progress=False)
    with pytest.raises(FileExistsError, match="other settings"):
        predict_scene("buildings-small", image, tmp_path, polygons=False, progress=False)
    exact = predict_scene("buildings-small", image, tmp_path / "exact", polygons=False, progress=False)
    difference = np.abs(read_probability(rough.probability) - read_probability(exact.probability))
    assert 0 < difference.mean() < 0.03


def test_8_bits_are_refused_where_no_such_network_is_there(small):
    model, path = small
    with pytest.raises(InputError, match="a model in memory"):
        make_engine(model, "int8", SIZE)
    with pytest.raises(CompileError, match="use another engine, or make one"):
        make_engine(open_weights(path), "int8", SIZE)
    int8_beside(path).write_bytes(b"no archive")
    with pytest.raises(CompileError, match="is damaged"):
        make_engine(open_weights(path), "int8", SIZE)


def test_weights_of_ones_own_are_made_ready_once_and_give_the_same(small, cache, made_here):
    model, path = small
    windows = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    for _ in range(2):
        graph, digest = read_compiled(open_weights(path), SIZE)
    assert made_here == [SIZE]
    assert [p.suffix for p in cache.iterdir()] == [".zip"]
    assert digest == weights_digest(model) == open_weights(path).card.digest
    answer = make_engine(open_weights(path), "openvino", SIZE)(windows)
    np.testing.assert_allclose(answer, make_engine(model, "keras", SIZE)(windows), atol=1e-5)
    read_compiled(open_weights(path), 2 * SIZE)
    assert made_here == [SIZE, 2 * SIZE]
    assert tuple(graph.input(0).shape) == (1, SIZE, SIZE, 3)


@pytest.mark.parametrize("damage", ["cut", "a bit", "other weights", "another network"])
def test_a_damaged_or_stale_network_is_made_anew(small, cache, laid_down, parts, damage):
    weights = open_weights(small[1])
    read_compiled(weights, SIZE)
    (file,) = cache.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "a bit":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    else:
        changed = {"sha256": "0" * 64} if damage == "other weights" else {"dilation_rates": [1, 3]}
        made_of = json.loads(parts["made_of.json"]) | changed
        compiled._write(file, parts | {"made_of.json": json.dumps(made_of).encode()})
    read_compiled(weights, SIZE)
    assert laid_down == [SIZE, SIZE]


@pytest.fixture
def exchanged(tmp_path, cache, monkeypatch):
    """Weights that were opened before others took their place; the process that makes networks is out of reach."""
    path = tmp_path / f"best{SUFFIX}"
    for name in ("sample-roads", "sample-buildings"):  # as a training writes a better epoch
        if path.exists():
            weights = open_weights(path)
        shutil.copy(PUBLISHED / f"{name}{SUFFIX}", path)
        shutil.copy(card_path(PUBLISHED / f"{name}{SUFFIX}"), card_path(path))
    monkeypatch.setattr(compiled, "_compile_apart", lambda *_: None)
    return weights


def test_weights_that_were_exchanged_since_they_were_opened_are_not_taken_for_those(exchanged, monkeypatch):
    with pytest.raises(WeightsError, match=r"best.weights.h5 was removed or written anew since it was opened"):
        read_compiled(exchanged, SIZE)
    loader = SimpleNamespace(load_model=lambda path: path)  # the Keras model of the others
    monkeypatch.setitem(sys.modules, "jointnet.network.weights", loader)
    with pytest.raises(WeightsError, match="written anew"):
        make_engine(exchanged, "keras", SIZE)


def test_a_cache_named_from_the_working_folder_is_found_by_the_process_that_fills_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOINTNET_CACHE", "mine")
    asked = []
    monkeypatch.setattr(compiled, "_compile_apart", lambda weights, size, out: asked.append(out))
    weights = replace(open_weights("sample-roads"), path=tmp_path / f"alone{SUFFIX}", sha256="0" * 64)
    with pytest.raises(WeightsError):
        read_compiled(weights, SIZE)
    assert asked[0].parent == tmp_path / "mine" / "compiled"


def test_the_cache_forgets_what_was_used_longest_ago(small, cache, laid_down, monkeypatch):
    monkeypatch.setattr(compiled, "KEPT", 2)
    for size in (8, 16, 8, 24):  # 16 was used longest ago when 24 comes
        read_compiled(open_weights(small[1]), size)
    for size in (8, 24):
        read_compiled(open_weights(small[1]), size)
    assert laid_down == [8, 16, 24]


def test_a_thread_reads_beside_the_imports_what_is_there(monkeypatch):
    begun = Event()
    monkeypatch.setattr(engines, "read_compiled", lambda *_: begun.set())
    begin_engine(open_weights("sample-roads"), "openvino")
    assert begun.wait(30)


def test_nothing_is_begun_of_a_network_that_is_not_ready(small, monkeypatch):
    monkeypatch.setattr(engines, "ThreadPoolExecutor", lambda _: pytest.fail("it was begun"))
    begin_engine(open_weights(small[1]))
    begin_engine(open_weights("sample-roads"), "keras")


@pytest.mark.parametrize(("normalization", "made"), [("batch", [SIZE]), ("group", [SIZE, 2 * SIZE])])
def test_only_what_does_not_depend_on_its_window_is_reshaped(tmp_path, cache, made_here, normalization, made):
    from jointnet.network.weights import load_model, save_model

    card = Card(preset="tiny", classes=("buildings", "roads"), growth_rates=(4, 4, 4), dilation_rates=(1, 2),
                normalization=normalization, patch_size=SIZE)
    weights = open_weights(save_model(card.build(), tmp_path / f"own{SUFFIX}", card))
    compiled.compile_weights(weights.path)
    windows = np.random.default_rng(0).integers(0, 256, (1, 2 * SIZE, 2 * SIZE, 3), np.uint8)
    answer = make_engine(weights, "openvino", 2 * SIZE)(windows)
    np.testing.assert_allclose(answer, make_engine(load_model(weights.path), "keras", 2 * SIZE)(windows), atol=1e-5)
    assert [SIZE, *made_here] == made


def test_a_network_made_for_one_size_alone_is_made_anew_for_others(tmp_path, cache, made_here, monkeypatch):
    from jointnet.network.weights import save_model
    from jointnet.predict import convert

    monkeypatch.setattr(convert, "free_of_size", lambda _: None)
    card = Card(preset="tiny", growth_rates=(4, 4, 4), dilation_rates=(1, 2), normalization="batch", patch_size=SIZE)
    weights = open_weights(save_model(card.build(), tmp_path / f"own{SUFFIX}", card))
    compiled.compile_weights(weights.path)
    read_compiled(weights, 2 * SIZE)
    assert made_here == [2 * SIZE]


def test_a_network_that_gave_its_memory_back_answers_as_before():
    weights = open_weights("sample-roads")
    engine = make_engine(weights, "openvino", weights.card.patch_size)
    size = weights.card.patch_size
    windows = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    before = engine(windows)
    engine.release()
    np.testing.assert_array_equal(engine(windows), before)


def test_a_network_that_cannot_be_made_ready_runs_on_keras_and_says_so_once(small, cache, monkeypatch):
    def fail(*_):
        raise CompileError("no room")

    monkeypatch.setattr(compiled, "_compile_apart", fail)
    windows = np.zeros((1, 40, 40, 3), np.uint8)
    with pytest.warns(UserWarning, match="no room; it runs on Keras") as said:
        engines = [make_engine(open_weights(small[1]), "auto", 40) for _ in range(2)]
    assert len(said) == 1
    assert [engine.name for engine in engines] == ["keras", "keras"]
    assert engines[0](windows).shape == (1, 40, 40, 1)
    with pytest.raises(CompileError):
        make_engine(open_weights(small[1]), "openvino", 40)


def test_a_network_with_a_layer_that_openvino_lacks_runs_on_keras_and_says_so():
    import keras

    if keras.backend.backend() != "tensorflow":
        pytest.skip("runs on TensorFlow alone")
    import tensorflow as tf

    class Doubled(keras.layers.Layer):
        def call(self, x):
            doubled = tf.numpy_function(lambda values: 2 * values, [tf.cast(x, tf.float32)], tf.float32)
            return tf.ensure_shape(doubled, x.shape)

    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(1, 1, activation="sigmoid")(Doubled()(image)))
    with pytest.warns(UserWarning, match=r"PyFunc; it runs on Keras"):
        assert make_engine(model, "auto", SIZE).name == "keras"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_process_that_makes_a_network_leaves_it_or_says_why(small, tmp_path):
    weights, out = open_weights(small[1]), tmp_path / "cache" / "network.openvino.zip"
    with pytest.warns(CompileWarning, match=r"small.weights.h5 is made ready to run in windows of 32 px, which takes"):
        compiled._compile_apart(weights, SIZE, out)
    assert compiled._read(out, weights, SIZE)[1] == weights.card.digest
    broken = tmp_path / f"broken{SUFFIX}"
    shutil.copy(small[1], broken)
    card_path(broken).write_text(Card(preset="base").to_json())  # of another network
    with pytest.raises(CompileError, match="its card describes"), pytest.warns(CompileWarning):
        compiled._compile_apart(open_weights(broken), SIZE, out)


BEFORE = "import sys, warnings; warnings.simplefilter('ignore')\n"
AFTER = "\nprint(sorted({'tensorflow', 'keras', 'jax', 'torch', *sys.argv[3:]} & set(sys.modules)))"
SEEN_ONLY = ("geopandas", "pandas", "pyogrio", "scipy", "skimage", "networkx", "matplotlib")
PREDICT = """
import jointnet, numpy as np
jointnet.predict_scene("sample-joint", sys.argv[1], sys.argv[2], progress=False)
jointnet.predict_mask("sample-joint", np.zeros((64, 64, 3), np.uint8))
from jointnet.show import widgets
for name in widgets.__all__:
    getattr(widgets, name)
widgets.SceneExplorer(sys.argv[1])
widgets.NetworkExplorer()
from typer.testing import CliRunner
from jointnet.cli import app
told = CliRunner().invoke(app, ["weights"])
assert "sample-joint" in told.stdout, told.output
"""


def test_predictions_explorers_and_lists_of_weights_load_no_keras(scene_path, tmp_path, project_root):
    code = BEFORE + PREDICT + AFTER
    told = subprocess.run([sys.executable, "-c", code, scene_path, tmp_path / "out"], cwd=project_root,
                          capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == "[]"


MASK = """
import jointnet
jointnet.predict_scene("sample-joint", sys.argv[1], sys.argv[2], polygons=False, progress=False)
from jointnet.show import widgets
for name in set(widgets.__all__) - {'LabelEditor'}:  # which writes vector files
    getattr(widgets, name)
widgets.SceneExplorer(sys.argv[1], sys.argv[2] + "/town_probability.tif")
widgets.NetworkExplorer()
"""


def test_rasters_and_explorers_load_nothing_of_vectors_or_figures(scene_path, tmp_path, project_root):
    told = subprocess.run([sys.executable, "-c", BEFORE + MASK + AFTER, scene_path, tmp_path / "out", *SEEN_ONLY],
                          cwd=project_root, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == "[]"


def test_polygons_of_buildings_load_no_scipy(scene_path, tmp_path, project_root):
    code = ("import jointnet\n"
            "jointnet.predict_scene('buildings-small', sys.argv[1], sys.argv[2], outlines='regular', progress=False)")
    told = subprocess.run([sys.executable, "-c", BEFORE + code + AFTER, scene_path, tmp_path / "out", *SEEN_ONLY[3:]],
                          cwd=project_root, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == "[]"


def test_a_card_is_read_without_keras(project_root):
    code = BEFORE + "from jointnet.network.card import open_weights; open_weights('sample-joint').card" + AFTER
    told = subprocess.run([sys.executable, "-c", code], cwd=project_root, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_every_published_network_ready_to_run_has_its_weights():
    files = [p.name for p in PUBLISHED.glob("*.zip")]
    rough = [name for name in files if name.endswith(compiled.INT8_ENDING)]
    assert sorted(n.removesuffix(compiled.ENDING) for n in files if n not in rough) == published_weights()
    for name in rough:
        weights = open_weights(name.removesuffix(compiled.INT8_ENDING))
        assert compiled.read_int8(weights, weights.card.patch_size)[1] == weights.card.digest
