"""The network against its description: parameters counted, a block worked out again in float64."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from scipy.ndimage import correlate

from jointnet.network.model import GroupNormalization, build_jointnet, dense_atrous_block


@pytest.mark.parametrize(
    ("reduction_from", "parameters"), [("block", 4_785_889), ("input", 4_710_209)], ids=["block", "input"]
)
def test_base_has_the_published_number_of_parameters(reduction_from, parameters):
    assert build_jointnet("base", reduction_from=reduction_from).count_params() == parameters


def test_a_network_keeps_height_and_width_and_gives_probabilities():
    model = build_jointnet("tiny", bands=4, classes=2)
    out = model.predict_on_batch(np.random.default_rng(0).integers(0, 256, (2, 24, 40, 4), dtype=np.uint8))
    assert out.shape == (2, 24, 40, 2)
    assert out.min() > 0 and out.max() < 1


def test_a_size_that_eight_does_not_divide_is_refused_with_advice():
    with pytest.raises(ValueError, match=r"divide by 8, not 20 x 24 px; jointnet.predict_array"):
        build_jointnet("tiny")(np.zeros((1, 20, 24, 3), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "huge"}, "choose from tiny, small, base"),
        ({"reduction_from": "skip"}, "choose 'block' or 'input'"),
        ({"normalization": "layer"}, "choose from group, batch, none"),
        ({"bands": 0}, "at least one"),
        ({"growth_rates": (6, 8, 8)}, "multiples of 4"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_arguments_get_a_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_jointnet(**{"preset": "tiny"} | arguments)


def test_a_dense_atrous_block_is_the_sum_worked_out_in_float64():
    rng = np.random.default_rng(1)
    image = keras.Input((None, None, 5))
    block = keras.Model(image, dense_atrous_block(image, 8, (1, 2, 5, 1, 2, 5), "group", 4, "block"))
    block.set_weights([rng.normal(0, 0.3, w.shape) for w in block.get_weights()])
    x = rng.normal(0, 1, (16, 12, 5))

    features = [x]
    for k, rate in enumerate((1, 2, 5, 1, 2, 5), 1):
        kernel, bias = (w.astype(float) for w in block.get_layer(f"block_atrous{k}").get_weights())
        y = np.maximum(atrous(np.concatenate(features, -1), kernel, rate) + bias, 0)
        gamma, beta = (w.astype(float) for w in block.get_layer(f"block_norm{k}").get_weights())
        groups = y.reshape(16, 12, 2, 4)  # two groups of four channels
        mean, variance = groups.mean((0, 1, 3), keepdims=True), groups.var((0, 1, 3), keepdims=True)
        features.append(((groups - mean) / np.sqrt(variance + 0.1)).reshape(y.shape) * gamma + beta)
    kernel, bias = (w.astype(float) for w in block.get_layer("block_distribution").get_weights())
    expected = np.maximum(np.concatenate(features, -1) @ kernel[0, 0] + bias, 0)

    found = block.predict_on_batch(x[None].astype("float32"))[0]
    assert found.shape == (16, 12, 32)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def atrous(x, kernel, rate):
    """A dilated convolution with zeros beyond the edge, one pair of channels at a time."""
    wide = np.zeros((2 * rate + 1, 2 * rate + 1, *kernel.shape[2:]))
    wide[::rate, ::rate] = kernel
    return np.stack(
        [
            sum(correlate(x[..., i], wide[..., i, o], mode="constant") for i in range(x.shape[-1]))
            for o in range(kernel.shape[-1])
        ],
        axis=-1,
    )


def test_group_normalisation_agrees_with_keras_own():
    x = np.random.default_rng(2).normal(3, 2, (2, 8, 8, 16)).astype("float32")
    ours, theirs = GroupNormalization(4, epsilon=0.1), keras.layers.GroupNormalization(4, epsilon=0.1)
    np.testing.assert_allclose(np.asarray(ours(x)), np.asarray(theirs(x)), atol=1e-5)


def test_what_the_input_reduction_leaves_out_reaches_the_next_encoder_block_of_the_other():
    """With "input", encoder block 2 sees pixels alone; with "block" it changes with the weights of block 1."""
    image = np.random.default_rng(3).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    changed = {}
    for reduction_from in ("input", "block"):
        model = build_jointnet("tiny", reduction_from=reduction_from)
        tap = keras.Model(model.inputs, model.get_layer("encoder2_distribution").output)
        before = tap.predict_on_batch(image)
        layer = model.get_layer("encoder1_atrous1")
        layer.set_weights([w + 0.1 for w in layer.get_weights()])
        changed[reduction_from] = bool(np.abs(tap.predict_on_batch(image) - before).max() > 0)
    assert changed == {"input": False, "block": True}


STEP = """
from jointnet.backend import keras
import numpy as np
from jointnet.network.model import build_jointnet
model = build_jointnet("tiny", reduction_from="input")
model.compile("adam", "binary_crossentropy", jit_compile=False)
image = np.zeros((2, 64, 64, 3), np.uint8)
print(model.train_on_batch(image, np.zeros((2, 64, 64, 1), np.float32)))
"""


@pytest.mark.slow
def test_a_network_that_reduces_its_input_can_be_trained_on_one_core(project_root):
    """A convolution of stride 2 on three bands made the process crash there, so this runs in one of its own."""
    alone = os.environ | {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", STEP], cwd=project_root, env=alone,
                         capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) > 0
