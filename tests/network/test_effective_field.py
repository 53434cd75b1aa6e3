"""The effective receptive field: by hand for single convolutions, inside the theoretical one for stacks."""

import keras
import numpy as np
import pytest

from jointnet.network.effective_field import effective_field, side_holding
from jointnet.network.model import build_jointnet, dense_atrous_block
from jointnet.network.receptive_field import count_paths, receptive_field


def stack(rates, bands=1):
    """Plain convolutions of ones, one after another."""
    image = x = keras.Input((None, None, bands))
    for k, rate in enumerate(rates):
        x = keras.layers.Conv2D(1, 3, padding="same", dilation_rate=rate, kernel_initializer="ones", name=f"conv{k}")(x)
    return keras.Model(image, x), f"conv{len(rates) - 1}"


def test_the_field_of_one_convolution_is_its_nine_places():
    model, last = stack((2,), bands=3)
    field = effective_field(model, np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), np.uint8), last)
    expected = np.zeros((9, 9))
    expected[2:7:2, 2:7:2] = 1 / 9  # the three bands alike
    np.testing.assert_allclose(field, expected, atol=1e-6)
    assert side_holding(field) == 5 and side_holding(field, 1 / 9) == 1


@pytest.mark.parametrize("rates", [(2, 2, 2), (1, 2, 5)])
def test_convolutions_of_ones_weigh_each_pixel_by_the_ways_to_it(rates):
    """Gridding as the gradient sees it: 2, 2, 2 leaves the same pixels out that have no way."""
    model, last = stack(rates)
    ways = count_paths(rates)
    field = effective_field(model, np.zeros((1, *ways.shape, 1)), last)
    np.testing.assert_allclose(field, ways / ways.sum(), atol=1e-6)


def test_a_block_looks_mostly_at_the_middle_of_what_it_could_see():
    image = keras.Input((None, None, 3))
    block = keras.Model(image, dense_atrous_block(image, 8, (1, 2, 5, 1, 2, 5), "none", 4, "block"))
    patches = np.random.default_rng(1).normal(0, 1, (4, 41, 41, 3))
    field = effective_field(block, patches, "block_distribution")
    reach = receptive_field((1, 2, 5, 1, 2, 5)) // 2
    outside = field.copy()
    outside[20 - reach : 21 + reach, 20 - reach : 21 + reach] = 0
    assert outside.max() == 0
    assert side_holding(field, 1.0) <= 33 and side_holding(field, 0.5) < 15


def test_the_network_is_left_as_it_was():
    model = build_jointnet("tiny", growth_rates=(4, 4, 4), normalization="batch")
    model.get_layer("bridge").trainable = False
    before, flags = model.get_weights(), [layer.trainable for layer in model.layers]
    field = effective_field(model, np.random.default_rng(2).integers(0, 256, (1, 32, 32, 3), np.uint8))
    assert field.shape == (32, 32) and field.sum() == pytest.approx(1, abs=1e-5)
    assert [layer.trainable for layer in model.layers] == flags
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_cannot_be_looked_at_is_refused():
    model, last = stack((1,))
    with pytest.raises(ValueError, match=r"images of shape \(9, 9, 1\); give \(images"):
        effective_field(model, np.zeros((9, 9, 1)), last)
    model.get_layer(last).set_weights([np.zeros((3, 3, 1, 1)), np.zeros(1)])
    with pytest.raises(ValueError, match="no pixel moves this output"):
        effective_field(model, np.zeros((1, 9, 9, 1)), last)
