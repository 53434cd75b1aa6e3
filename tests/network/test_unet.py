"""The baseline: as large as JointNet, trained and kept the same way."""

import json

import keras
import numpy as np
import pytest

from jointnet.network.card import Card, WeightsError, card_of, card_path
from jointnet.network.cost import cost_by_block
from jointnet.network.model import DILATION_RATES, PRESETS, build_jointnet
from jointnet.network.training import fit
from jointnet.network.unet import build_unet
from jointnet.network.weights import load_model, save_model
from tests.network.test_training import BrightSquares

TOY = Card(name="toy", architecture="unet", preset="tiny", growth_rates=(4, 4, 4, 4, 8), patch_size=16,
           loss="cross_entropy_dice", seed=1)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_unet_has_the_parameters_of_the_jointnet_of_its_name(preset):
    unet, jointnet = (build(preset).count_params() for build in (build_unet, build_jointnet))
    assert unet == pytest.approx(jointnet, rel=0.01)


def test_parameters_of_a_small_unet_counted_by_hand():
    # pairs of 3x3 convolutions: 3-4-4, then 4-4-4 three times, 4-8-8, then 12-4-4 and 8-4-4 three times; each with a
    # bias, a scale and a shift for every channel it gives; at the end 4-1
    kernels = 9 * (3 * 4 + 4 * 4 + 3 * 2 * 4 * 4 + 4 * 8 + 8 * 8 + 12 * 4 + 4 * 4 + 3 * (8 * 4 + 4 * 4))
    channels = 2 * (8 * 4 + 8)
    model = build_unet("tiny", widths=(4, 4, 4, 4, 8))
    assert model.count_params() == kernels + 3 * channels + 5
    assert cost_by_block(model)["encoder1"]["multiply_adds"] == 9 * (3 * 4 + 4 * 4)


def test_a_unet_sees_what_lies_a_hundred_pixels_away():
    """Four halvings: without normalisation, a change at one end of a strip is heard far from it."""
    model = build_unet("tiny", normalization="none", widths=(4, 4, 4, 4, 8))
    model.set_weights([np.abs(w) + 0.01 for w in model.get_weights()])  # no path dies
    image = np.zeros((1, 16, 256, 3), "float32")
    changed = image.copy()
    changed[0, :, 0] = 255
    tap = keras.Model(model.inputs, model.get_layer("logits").output)
    heard = np.abs(tap.predict_on_batch(changed) - tap.predict_on_batch(image))[0, 0, :, 0] > 0
    assert heard[:80].all() and not heard[130:].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "huge"}, "choose from tiny, small, base"),
        ({"normalization": "layer"}, "choose from group, batch, none"),
        ({"classes": 0}, "at least one"),
        ({"widths": (4, 4, 4)}, "five multiples of 4"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_arguments_get_a_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_unet(**{"preset": "tiny"} | arguments)


def test_a_size_that_sixteen_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="divide by 16, not 24 x 32 px"):
        build_unet("tiny")(np.zeros((1, 24, 32, 3), np.uint8))


def test_a_unet_is_trained_and_loaded_through_its_card(tmp_path):
    run = fit(TOY, BrightSquares(8), BrightSquares(2, seed=9), tmp_path, 4, learning_rate=0.02, verbose=0)
    assert max(run.history["val_iou"]) > 0.5
    again = load_model(tmp_path / "best.weights.h5")
    assert again.card.architecture == "unet" and again.name == "unet"
    image = BrightSquares(1)[0][0]
    np.testing.assert_allclose(again.predict_on_batch(image), run.model.predict_on_batch(image), atol=1e-6)


def test_a_card_from_before_there_were_architectures_is_a_jointnets(tmp_path):
    card = Card(preset="tiny", growth_rates=(4, 4, 4))
    path = save_model(card.build(), tmp_path / "old.weights.h5", card)
    values = json.loads(card_path(path).read_text())
    del values["architecture"]
    card_path(path).write_text(json.dumps(values))
    assert load_model(path).name == "jointnet"


@pytest.mark.parametrize(
    ("value", "message"),
    [({"architecture": "transformer"}, "describes no network .* choose from jointnet, unet"),
     ({"architecture": "unet", "reduction_from": "input"}, "a U-Net has no reduction_from")],
    ids=["unknown", "mixed"],
)
def test_a_card_that_describes_no_network_is_refused(tmp_path, value, message):
    path = save_model(Card(preset="tiny").build(), tmp_path / "odd.weights.h5", Card(preset="tiny"))
    values = json.loads(card_path(path).read_text())
    card_path(path).write_text(json.dumps(values | value))
    with pytest.raises(WeightsError, match=message):
        load_model(path)


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        (lambda: build_unet("tiny", normalization="batch"), {"architecture": "unet", "normalization": "batch"}),
        (lambda: build_jointnet("tiny", reduction_from="input", dilation_rates=[1, 2]),
         {"preset": "tiny", "reduction_from": "input", "dilation_rates": (1, 2), "growth_rates": None}),
        (lambda: build_jointnet("small", growth_rates=[4, 8, 8]), {"growth_rates": (4, 8, 8),
                                                                   "dilation_rates": DILATION_RATES}),
    ],
    ids=["unet", "reading", "widths"],
)
def test_a_network_without_a_card_still_knows_how_it_was_built(model, facts):
    built = model()
    card = card_of(built)
    assert facts.items() <= vars(card).items()
    assert [w.shape for w in card.build().get_weights()] == [w.shape for w in built.get_weights()]
