"""The weights in data/weights: each loads, is small, says on its card what it is, and does what the card says."""

import csv

import numpy as np
import pytest
from PIL import Image

from jointnet import load_model, predict_array
from jointnet.evaluate.counts import count_pixels
from jointnet.network.card import PUBLISHED, SUFFIX, Card, published_weights

CARDS = {name: Card.from_json((PUBLISHED / f"{name}.json").read_text(encoding="utf-8")) for name in published_weights()}
WITH_EXAMPLES = [n for n, c in CARDS.items() if c.scores.get("inria_crops validation", {}).get("examples")]


@pytest.mark.parametrize("name", CARDS)
def test_weights_are_small_and_their_card_says_what_they_are(name):
    card = CARDS[name]
    assert card.name == name
    assert (PUBLISHED / f"{name}{SUFFIX}").stat().st_size <= 20e6
    for said in ("data", "terms", "date", "recipe", "loss", "limits"):
        assert getattr(card, said), said
    assert card.seed is not None and card.steps > 0 and card.batch_size > 0 and len(card.sha256) == 64
    assert all(0 < card.thresholds[c] < 1 for c in card.classes)
    assert card.scores


@pytest.mark.parametrize("name", CARDS)
def test_weights_load_and_give_probabilities_of_each_class(name):
    model = load_model(name)
    side = model.card.patch_size
    image = np.random.default_rng(0).integers(0, 256, (side, side, model.card.bands), np.uint8)
    found = predict_array(model, image)
    assert found.shape == (side, side, len(model.card.classes))
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1 and np.ptp(found) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_iou_on_the_card_comes_back_on_a_few_real_crops(name, shared_data):
    model = load_model(name)
    stated = model.card.scores["inria_crops validation"]["examples"]
    with (shared_data / "manifest.csv").open(encoding="utf-8") as file:
        splits = {r["name"]: r["split"] for r in csv.DictReader(file) if r["group"] == "inria_crops"}
    assert {splits[crop] for crop in stated} == {"validation"}
    for crop, iou in stated.items():
        folder = shared_data / "inria_crops"
        image = np.asarray(Image.open(folder / "images" / f"{crop}.jpg").convert("RGB"))
        mask = np.asarray(Image.open(folder / "masks" / f"{crop}.png").convert("L")) > 0
        found = predict_array(model, image)[..., 0] >= model.card.threshold
        assert count_pixels(mask, found, image.any(axis=-1)).iou == pytest.approx(iou, abs=0.005), crop


def test_scores_of_real_crops_come_with_intervals_and_examples():
    measured = [c.scores["inria_crops validation"] for c in CARDS.values() if "inria_crops validation" in c.scores]
    assert measured
    for scores in measured:
        low, high = scores["pooled"]["iou_interval"]
        assert low < scores["pooled"]["iou"] < high
        assert len(scores["examples"]) >= 3
        assert all(0 < iou < 1 for iou in scores["examples"].values())
