"""The network on each of Keras' backends: built, trained for two steps, and with the same weights the same answers."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

CODE = """
import sys
import numpy as np
from jointnet.backend import keras
from jointnet.network.losses import PixelLoss
from jointnet.network.metrics import IoU
from jointnet.network.model import build_jointnet
from jointnet.predict.arrays import predict_array
assert keras.backend.backend() == sys.argv[1]
given, found = dict(np.load(sys.argv[2])), {}
model = build_jointnet("tiny", classes=2, growth_rates=(4, 4, 4), dilation_rates=(1, 5))
model.set_weights([given[f"weight{k}"] for k in range(len(model.weights))])
on_jax = keras.backend.backend() == "jax"
model.compile(keras.optimizers.SGD(0.1), PixelLoss("cross_entropy_dice,focal"), weighted_metrics=[IoU(0.5, name="iou")],
              jit_compile=on_jax)
found["before"] = model.predict_on_batch(given["image"])
found["array"] = predict_array(model, given["image"][0].astype("uint8"), size=16, overlap=0.25, engine="keras")
found["losses"] = [model.train_on_batch(given["image"], given["labels"], given["valid"])[0] for _ in range(2)]
found["after"] = model.predict_on_batch(given["image"])
np.savez(sys.argv[3], **found)
"""
BACKENDS = [b for b in ("tensorflow", "jax", "torch") if importlib.util.find_spec(b)]


@pytest.fixture(scope="module")
def answers(tmp_path_factory, project_root):
    """Backend -> name -> what came out; the backends run side by side."""
    folder = tmp_path_factory.mktemp("backends")
    np.savez(folder / "given.npz", **given())
    runs = {}
    for backend in BACKENDS:
        command = [sys.executable, "-c", CODE, backend, str(folder / "given.npz"), str(folder / f"{backend}.npz")]
        environment = {"KERAS_BACKEND": backend, "PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3",
                       "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # two steps are quick, to make them ready is not
        runs[backend] = subprocess.Popen(command, cwd=project_root, env=environment, stderr=subprocess.PIPE, text=True)
    for backend, run in runs.items():
        assert run.wait() == 0, f"{backend}: {run.stderr.read()[-2000:]}"
        run.stderr.close()
    return {backend: dict(np.load(folder / f"{backend}.npz")) for backend in BACKENDS}


def given():
    """An image, two classes of labels, no-data in a corner, and weights."""
    from jointnet.network.model import build_jointnet

    rng = np.random.default_rng(5)
    valid = np.ones((2, 32, 32, 1), "float32")
    valid[:, :8, :8] = 0
    weights = build_jointnet("tiny", classes=2, growth_rates=(4, 4, 4), dilation_rates=(1, 5)).get_weights()
    return {
        "image": rng.integers(0, 256, (2, 32, 32, 3)).astype("float32"),
        "labels": (rng.random((2, 32, 32, 2)) > 0.7).astype("float32"),
        "valid": valid,
    } | {f"weight{k}": (w + rng.normal(0, 0.05, w.shape)).astype("float32") for k, w in enumerate(weights)}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "tensorflow"])
def test_another_backend_gives_tensorflows_answers_and_learns_its_steps(answers, backend):
    ours, theirs = answers["tensorflow"], answers[backend]
    assert np.ptp(ours["before"]) > 0.01  # there is something to agree on
    for what in ("before", "array", "losses", "after"):
        np.testing.assert_allclose(theirs[what], ours[what], atol=1e-4, err_msg=what)
    assert np.abs(ours["after"] - ours["before"]).max() > 1e-3  # two steps moved it
