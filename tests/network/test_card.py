import pytest

from jointnet.network.card import DILATION_RATES, Card, WeightsError, describe, published_cards
from jointnet.network.model import DILATION_RATES as OF_THE_NETWORK
from jointnet.network.weights import save_model


def test_a_card_has_the_networks_own_dilation_rates_by_default():
    assert Card().dilation_rates == DILATION_RATES == OF_THE_NETWORK


def test_a_card_is_told_in_one_line_with_its_iou_of_each_split_and_class():
    mapped = Card("town", preset="small", gsd=0.6, scores={"valid": {"pooled": {"iou": 0.604}, "austin": {"iou": 0.5}}})
    assert describe(mapped).split() == [
        "town", "real", "imagery", "buildings", "small", "0.6", "m", "a", "pixel", "IoU", "0.604", "on", "valid"
    ]  # fmt: skip
    both = {"scenes": 5, "buildings": {"iou": 0.5}, "roads": {"iou": 0.25}}
    drawn = Card("both", drawn=True, classes=("buildings", "roads"), scores={"a": both, "b": {"iou": 0.1}})
    assert "drawn scenes" in describe(drawn)
    assert describe(drawn).endswith("IoU 0.500 (buildings) and 0.250 (roads) on a, 0.100 on b")
    assert describe(Card(purpose="lesson 06", drawn=True)).split()[1:4] == ["for", "lesson", "06"]
    assert describe(Card()).endswith("not scored")


def test_weights_of_real_imagery_are_listed_first_and_props_of_lessons_last():
    order = [(bool(card.purpose), card.drawn) for card in published_cards()]
    assert order == sorted(order)
    assert order[0] == (False, False) and order[-1] == (True, True)
    assert [card.name for card in published_cards() if card.purpose] == [
        "buildings-first-run", "roads-by-cross_entropy", "roads-by-dice", "roads-by-focal"
    ]  # fmt: skip


def test_a_card_that_could_not_be_read_again_is_not_written(tmp_path):
    card = Card(name="../victim", preset="tiny", growth_rates=(4, 4, 4), dilation_rates=(1,))
    with pytest.raises(WeightsError, match="name is '../victim'"):
        save_model(card.build(), tmp_path / "net.weights.h5", card)
    assert not list(tmp_path.iterdir())
