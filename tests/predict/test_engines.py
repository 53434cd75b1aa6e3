import json

import keras
import numpy as np
import pytest

from jointnet.network.model import build_jointnet
from jointnet.network.weights import Card
from jointnet.predict.engines import available_engines, make_engine
from jointnet.predict.export import export, read_card
from jointnet.predict.scenes import predict_array

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


def test_auto_is_one_of_those_installed(model):
    assert make_engine(model, "auto", SIZE).name in available_engines()


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
    openvino = pytest.importorskip("openvino")
    path = export(model, tmp_path / "network.xml", "openvino")
    assert read_card(path)["thresholds"] == {"buildings": 0.4}
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
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
def test_onnx_files_hold_scaling_and_card_or_say_what_to_install(model, windows, reference, tmp_path):
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import tf2onnx  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="pip install onnx tf2onnx"):
            export(model, tmp_path / "network.onnx", "onnx")
        assert list(tmp_path.iterdir()) == []
        return
    path = export(model, tmp_path / "network.onnx", "onnx")
    assert read_card(path)["patch_size"] == SIZE
    session = onnxruntime.InferenceSession(path)
    (answer,) = session.run(None, {session.get_inputs()[0].name: windows})
    np.testing.assert_allclose(answer, reference, atol=1e-3)


def test_exports_of_unknown_kind_or_name_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match="choose from openvino"):
        export(model, tmp_path / "network.pt", "torch")
    with pytest.raises(ValueError, match=r"must end in \.xml"):
        export(model, tmp_path / "network.bin", "openvino")
