import numpy as np
import pytest
from scipy.special import expit

from jointnet.evaluate.thresholds import count_probabilities
from jointnet.evaluate.tuning import tune_weights, tuned_card
from jointnet.network.card import Card, card_path


@pytest.fixture
def card():
    thresholds = {"buildings": 0.6, "roads": 0.8}
    return Card(name="toy", classes=("buildings", "roads"), thresholds=thresholds, temperature=2.0)


def test_the_best_threshold_is_put_into_the_card_and_nothing_else(card):
    counts = count_probabilities(np.array([0.9, 0.3, 0.1]), np.array([1, 1, 0], bool))
    tuned = tuned_card(card, counts)
    assert tuned.thresholds == {"buildings": 0.2, "roads": 0.8}  # the middle of 0.11 to 0.30
    assert tuned.temperature == 2.0
    assert card.thresholds["buildings"] == 0.6


def test_a_temperature_multiplies_the_cards_and_other_classes_keep_their_masks(card):
    random = np.random.default_rng(0)
    logits = random.normal(0, 1.5, 100_000)
    counts = count_probabilities(expit(2 * logits), random.random(100_000) < expit(logits))
    tuned = tuned_card(card, counts, temperature=True)
    assert tuned.temperature == pytest.approx(2 * 2, rel=0.05)
    assert tuned.thresholds["roads"] == pytest.approx(2 / 3, rel=0.02)  # odds of 4 become odds of 2


def test_an_unknown_class_is_refused(card):
    with pytest.raises(ValueError, match="no class 'water'; it has buildings, roads"):
        tuned_card(card, count_probabilities(np.array([0.5]), np.array([True])), "water")


def test_the_card_beside_the_weights_is_written_over(card, tmp_path):
    weights = tmp_path / "toy.weights.h5"
    card_path(weights).write_text(card.to_json())
    tune_weights(weights, count_probabilities(np.array([0.9, 0.3, 0.1]), np.array([1, 1, 0], bool)))
    assert Card.from_json(card_path(weights).read_text()).thresholds == {"buildings": 0.2, "roads": 0.8}
    assert [p.name for p in tmp_path.iterdir()] == ["toy.json"]
