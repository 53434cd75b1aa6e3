import json
import sys

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from jointnet.cli import app
from jointnet.errors import InputError
from jointnet.network.card import Card
from jointnet.network.model import build_jointnet
from jointnet.network.weights import save_model
from jointnet.predict import engines
from jointnet.predict.arrays import predict_array
from jointnet.predict.engines import available_engines, make_engine
from jointnet.predict.export import export, read_card

SIZE = 32
needs_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="runs on TensorFlow alone")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    network = build_jointnet("tiny")
    network.card = Card(name="test", preset="tiny", patch_size=SIZE, thresholds={"buildings": 0.4})
    return network


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def reference(model, windows):
    """The same weights computed in float64."""
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("float64")
        wide = build_jointnet("tiny")
    finally:
        keras.config.set_dtype_policy(policy)
    wide.set_weights(model.get_weights())
    return keras.ops.convert_to_numpy(wide(windows, training=False))


@pytest.mark.parametrize("name", ["keras", "openvino"])
def test_every_runtime_agrees_with_float64(model, windows, reference, name):
    if name not in available_engines():
        pytest.skip(f"{name} is not installed")
    engine = make_engine(model, name, SIZE)
    answer = engine(windows)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, reference, atol=1e-3)
    np.testing.assert_allclose(engine(windows[:1]), reference[:1], atol=1e-3)


def test_auto_is_openvino_where_it_is_installed_and_keras_on_a_gpu(model, monkeypatch):
    assert make_engine(model, "auto", SIZE).name in available_engines()
    for has_gpu, has_openvino, expected in ((False, True, "openvino"), (True, True, "keras"), (False, False, "keras")):
        monkeypatch.setattr(engines, "_has_gpu", lambda known=has_gpu: known)
        monkeypatch.setattr(engines, "_has_openvino", lambda known=has_openvino: known)
        assert engines.automatic_engine() == expected


def test_an_engine_follows_weights_that_are_trained_on(windows):
    network = build_jointnet("tiny")
    before = make_engine(network, "keras", SIZE)(windows)
    assert make_engine(network, "keras", SIZE) is make_engine(network, "keras", SIZE)
    network.set_weights([w * 0 for w in network.get_weights()])
    after = make_engine(network, "keras", SIZE)(windows)
    np.testing.assert_allclose(after, 0.5)  # every logit is 0
    assert not np.allclose(before, 0.5)


def test_an_unknown_runtime_or_model_is_refused(model):
    with pytest.raises(ValueError, match="choose from auto"):
        make_engine(model, "abacus", SIZE)
    with pytest.raises(TypeError, match="a Keras model, a name or a function"):
        make_engine(3.14, "keras", SIZE)


def test_an_array_is_predicted_with_the_cards_window(model, windows):
    whole = predict_array(model, windows[0])
    np.testing.assert_allclose(whole, make_engine(model, "keras", SIZE)(windows[:1])[0], atol=1e-5)


@needs_tensorflow
def test_openvino_files_hold_scaling_and_card(model, windows, reference, tmp_path):
    runtime = pytest.importorskip("jointnet.predict.runtime")
    path = export(model, tmp_path / "network.xml", "openvino")
    assert read_card(path)["thresholds"] == {"buildings": 0.4}
    compiled = runtime.CORE.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(compiled(windows)[0], reference, atol=1e-3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["network.bin", "network.xml"]


@needs_tensorflow
def test_a_saved_model_holds_scaling_and_card(model, windows, reference, tmp_path):
    import tensorflow as tf

    path = export(model, tmp_path / "network", "savedmodel")
    export(model, path, "savedmodel")  # over itself
    assert json.loads((path / "assets.extra" / "card.json").read_text())["patch_size"] == SIZE
    assert read_card(path)["name"] == "test"
    serve = tf.saved_model.load(path).signatures["serving_default"]
    (answer,) = serve(tf.constant(windows)).values()
    np.testing.assert_allclose(answer.numpy(), reference, atol=1e-3)


@needs_tensorflow
def test_onnx_files_hold_scaling_and_card_and_give_the_same_probabilities(model, windows, reference, tmp_path):
    import onnxruntime

    path = export(model, tmp_path / "network.onnx", "onnx")
    assert (read_card(path)["patch_size"], read_card(path)["thresholds"]) == (SIZE, {"buildings": 0.4})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["network.onnx"]
    session = onnxruntime.InferenceSession(path)
    (given,), (wanted,) = session.get_inputs(), session.get_outputs()
    assert (given.type, given.shape[1:], wanted.type) == ("tensor(uint8)", [SIZE, SIZE, 3], "tensor(float)")
    for number in (1, 3):  # windows at once
        (answer,) = session.run(None, {given.name: windows[:number]})
        np.testing.assert_allclose(answer, reference[:number], atol=1e-3)


@pytest.mark.parametrize(("format", "name", "package", "install"), [
    ("onnx", "network.onnx", "tf2onnx", r"'jointnet\[onnx\]'"), ("openvino", "network.xml", "openvino", "openvino")])
def test_exports_without_their_package_name_what_to_install(
    model, tmp_path, monkeypatch, format, name, package, install
):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "jointnet.predict.runtime", raising=False)
    with pytest.raises(ImportError, match=f"pip install {install}"):
        export(model, tmp_path / name, format)
    assert list(tmp_path.iterdir()) == []


@needs_tensorflow
def test_the_command_exports_by_the_ending_of_the_name(model, windows, reference, tmp_path):
    weights = save_model(model, tmp_path / "network.weights.h5")
    told = CliRunner().invoke(app, ["export", str(weights), str(tmp_path / "saved"), "--size", str(SIZE)])
    assert told.exit_code == 0, told.output
    assert told.stdout.strip() == str(tmp_path / "saved")
    assert read_card(tmp_path / "saved")["patch_size"] == SIZE
    wrong = CliRunner().invoke(app, ["export", str(weights), str(tmp_path / "network.pt")])
    assert wrong.exit_code == 2
    assert "end it in .onnx" in wrong.stderr


def test_exports_of_unknown_kind_or_name_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match="choose from openvino"):
        export(model, tmp_path / "network.pt", "torch")
    with pytest.raises(ValueError, match=r"must end in \.xml"):
        export(model, tmp_path / "network.bin", "openvino")


def test_an_export_never_takes_the_place_of_a_folder_with_other_files(tmp_path):
    """`jointnet export NAME papers` would have deleted all papers."""
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="papers is there and holds other files, as thesis.txt"):
        export("sample-buildings", tmp_path / "papers")
    assert (tmp_path / "papers" / "thesis.txt").read_text() == "years"
