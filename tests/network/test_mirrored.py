"""Training shared among devices: two processors that TensorFlow makes of one give the losses of one."""

import json
import subprocess
import sys

import pytest

CODE = """
import json, sys, warnings
from pathlib import Path
from dataclasses import replace
from jointnet.backend import keras
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from jointnet.network.training import fit
from tests.network.test_training import CARD, BrightSquares
card = replace(CARD, loss="cross_entropy")
curves = {}
for mirrored in (False, True):
    out = Path(sys.argv[1]) / str(mirrored)
    run = fit(card, BrightSquares(3), BrightSquares(1, seed=9), out, 2, learning_rate=0.01, mirrored=mirrored,
              verbose=0)
    curves[str(mirrored)] = run.history
print("devices", len(tf.config.list_logical_devices("CPU")))
print(json.dumps(curves))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_devices_give_the_loss_curve_of_one(tmp_path, project_root):
    run = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], cwd=project_root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    *_, devices, curves = run.stdout.strip().splitlines()
    assert devices == "devices 2"
    one, two = (json.loads(curves)[key] for key in ("False", "True"))
    for name in ("loss", "val_loss", "iou", "val_iou"):
        assert two[name] == pytest.approx(one[name], abs=1e-4), name
    assert one["loss"][1] < one["loss"][0]
