"""Cards from anywhere: whatever a card says, it is used as it stands or refused in one sentence."""

import json
import math
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jointnet.network.card import EXPECTED, Card, WeightsError, name_of, open_weights

GOOD = asdict(Card())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8)


def read(**values):
    return Card.from_json(json.dumps(GOOD | values))


@pytest.mark.parametrize(("values", "says"), [
    ({"temperature": -1}, "temperature is -1; a number from 0.001 to 1000"), ({"temperature": math.nan}, "nan"),
    ({"temperature": 0}, "temperature is 0"), ({"temperature": "1"}, "temperature is '1'"),
    ({"temperature": True}, "temperature is True"), ({"gsd": 0}, "gsd is 0; null, or metres"), ({"gsd": -0.3}, "gsd"),
    ({"gsd": "0.3"}, "gsd"), ({"image_gsd": math.inf}, "image_gsd"), ({"bands": "3"}, "bands is '3'"),
    ({"patch_size": "128"}, "multiple of 8"), ({"patch_size": 1_000_000}, "to 4096"), ({"patch_size": 100}, "100"),
    ({"dilation_rates": "125125"}, "a list"), ({"dilation_rates": []}, "list"), ({"growth_rates": [0]}, "growth_rate"),
    ({"thresholds": {"buildings": 1.5}}, "between 0 and 1"), ({"thresholds": [0.5]}, "card"), ({"classes": []}, "name"),
    ({"classes": "buildings"}, "list"), ({"classes": [1]}, "names"), ({"scores": []}, "scores"),
    ({"scores": {"validation": 5}}, "an object of split"), ({"classes": {"a": 1}}, "a list is expected"),
    ({"stretch": {"per": "dataset", "low": [5], "high": [1], "dtype": "uint16"}}, "the limits"),
    ({"stretch": {"low": [1, 1, 1], "high": [5, 5, 5], "dtype": "uint16"}}, "the limits"),
    ({"stretch": {"per": "dataset", "low": [1], "high": [5], "dtype": "uint16"}}, "of 1 bands; 3 are expected"),
    ({"name": 7}, "name is 7; one printable line"), ({"name": "../../victim"}, "without / and"),
    ({"name": "a\\b"}, "without / and"), ({"name": ".."}, "printable line"),
    ({"name": "a\n\x1b[2J"}, "one printable line"), ({"name": "x" * 201}, "at most 200"),
    ({"classes": ["x/../../../victim"]}, r"called 'x/\.\./\.\./\.\./victim'"), ({"classes": [".."]}, "a dot or blank"),
    ({"classes": ["<img src=x onerror=alert(1)>"]}, "are possible"), ({"classes": ["a\0b"]}, "are possible"),
    ({"classes": ["a\\b"]}, "are possible"), ({"classes": ["Roads", "roads"]}, "a name twice"),
    ({"classes": ["x" * 300]}, "1 to 100 characters"),
])
def test_a_value_that_cannot_be_is_refused_with_what_is_expected(values, says):
    with pytest.raises(WeightsError, match=says) as caught:
        read(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "{}" * 2, "[]", "null", "3", '{"temperature": 1e999}', "\0", ""])
def test_what_is_no_card_is_refused(text):
    with pytest.raises(WeightsError):
        Card.from_json(text)


def test_the_name_of_a_folder_becomes_one_that_a_card_may_have():
    assert [name_of(text) for text in ("run 12:30", "", "..", "a\\b\n", "x" * 300)] == [
        "run 12:30", "", "_", "a_b_", "x" * 200]
    for name in ("run 12:30", "", "Überblick", "x" * 200):
        assert read(name=name).name == name


def test_bytes_that_are_no_text_are_no_card():
    with pytest.raises(WeightsError, match="not a JSON object"):
        Card.from_json(b"\xff\xfe\xfa{")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(EXPECTED)), ANYTHING)
def test_any_value_of_any_field_is_used_as_it_stands_or_refused(name, value):
    try:
        card = read(**{name: value})
    except WeightsError:
        return
    kept = getattr(card, name)
    assert EXPECTED[name][0](kept)
    assert (list(kept) if isinstance(kept, tuple) else kept) == value or name == "thresholds"
    assert Card.from_json(card.to_json()) == card


@settings(max_examples=100, deadline=None)
@given(ANYTHING)
def test_any_json_is_a_card_or_refused(value):
    try:
        Card.from_json(json.dumps(value))
    except WeightsError:
        return
    assert isinstance(value, dict)


def test_every_field_is_checked():
    assert set(EXPECTED) == set(GOOD)


@pytest.mark.timeout(30)
def test_a_network_far_larger_than_its_weights_is_refused_before_it_is_built(tmp_path):
    """Three blocks of six convolutions of 4,096 channels would take 40 GB."""
    (tmp_path / "a.weights.h5").write_bytes(bytes(100_000))
    (tmp_path / "a.json").write_text(Card(growth_rates=(4096, 4096, 4096)).to_json())
    with pytest.raises(WeightsError, match="is 100,000 bytes, too few for a network of the growth rates"):
        open_weights(tmp_path / "a.weights.h5")
