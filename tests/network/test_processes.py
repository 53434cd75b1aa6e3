"""Training shared among processes: two on this machine give the losses, scores and weights of one."""

import importlib.util
import json
import os
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

from jointnet.network import processes
from jointnet.network.checkpoints import alone_in_run
from jointnet.network.processes import Share
from jointnet.network.training import TrainingError, fit
from tests.network.test_training import CARD, BrightSquares

CODE = """
import json, sys
from pathlib import Path
from jointnet.backend import keras
from jointnet.network.card import Card
from jointnet.network.model import Scaling
from jointnet.network.processes import join
sys.modules["tensorflow"] = None  # Keras would load it in vain
join()
from jointnet.network.training import fit
from tests.network.test_training import CARD, BrightSquares
def build(card):  # JAX compiles a JointNet for most of a minute
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(Scaling()(image))
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    return keras.Model(image, keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))
Card.build = build
out = Path(sys.argv[1])
run = fit(CARD, BrightSquares(3), BrightSquares(1, seed=9), out, 2, learning_rate=0.01, verbose=0)
print(json.dumps([run.history, [w.tolist() for w in run.model.get_weights()]]))
"""
without_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="several processes train on JAX, "
                                 "which is not installed here: pip install jax")


def begin(out, root, count, number, port):
    """A training process: its number, of how many."""
    environment = os.environ | {
        "KERAS_BACKEND": "jax", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
        "KERAS_DISTRIBUTION_PROCESS_ID": str(number), "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}"}
    return subprocess.Popen([sys.executable, "-c", CODE, str(out)], cwd=root, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def port():
    """A free one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@without_jax
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_folder_in_which_another_training_runs_is_refused_in_every_process(tmp_path, project_root, port):
    with alone_in_run(tmp_path):
        runs = [begin(tmp_path, project_root, 2, number, port) for number in (0, 1)]
        first, second = (run.communicate()[1] for run in runs)
    assert [run.returncode for run in runs] == [1, 1]
    assert f"another training into {tmp_path} is running" in first
    assert f"process 0 cannot train into {tmp_path}; what it says tells why" in second


@without_jax
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_give_the_losses_and_the_best_weights_of_one(tmp_path, project_root, port):
    runs = [begin(tmp_path / str(count), project_root, count, number, port)
            for count, number in ((1, 0), (2, 0), (2, 1))]
    told = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], [errors[-1500:] for _, errors in told]
    (one, weights), *both = (json.loads(found.splitlines()[-1]) for found, _ in told)
    assert one["loss"][1] < one["loss"][0]
    for history, found in both:
        for name in ("loss", "val_loss", "iou", "val_iou"):
            assert history[name] == pytest.approx(one[name], abs=1e-5), name
        for ours, theirs in zip(found, weights, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_shares_of_all_processes_are_the_batch():
    batches = BrightSquares(1)
    shares = [Share(batches, number, 2, devices=4, strict=True)[0] for number in (0, 1)]
    for whole, *parts in zip(batches[0], *shares, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_an_uneven_batch_is_filled_with_patches_without_weight_and_refused_for_training():
    batches = BrightSquares(1)  # 4 patches among 3 devices: two each, and the last has none of its own
    shares = [Share(batches, number, 3, devices=3, strict=False)[0] for number in (0, 1, 2)]
    images, _, weights = (np.concatenate(parts) for parts in zip(*shares, strict=True))
    np.testing.assert_array_equal(images[:4], batches[0][0])
    assert weights.shape[0] == 6 and not weights[4:].any()
    with pytest.raises(TrainingError, match=r"batches of 4 patches cannot be shared among 3 devices .* --batch-size 3"):
        Share(batches, 0, 3, devices=3, strict=True)[0]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="Keras runs on JAX here, as several processes want it")
def test_several_processes_without_jax_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(processes.COUNT, "2")
    with pytest.raises(TrainingError, match="set KERAS_BACKEND=jax, or unset KERAS_DISTRIBUTION_NUM_PROCESSES"):
        fit(CARD, BrightSquares(1), BrightSquares(1), tmp_path / "run", 1)
    assert not (tmp_path / "run").exists()
