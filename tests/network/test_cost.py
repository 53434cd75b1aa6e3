"""The cost of the network against sums worked out by hand."""

import pytest

from jointnet.network.cost import cost_by_block
from jointnet.network.model import build_jointnet


def test_the_cost_of_each_block_adds_up_to_that_of_the_network():
    model = build_jointnet("tiny")
    table = cost_by_block(model)
    total = table.pop("all")
    assert list(table) == ["encoder1", "encoder2", "encoder3", "bridge", "decoder3", "decoder2", "decoder1", "logits"]
    assert total["parameters"] == model.count_params()
    # bridge: 32 -> 64 channels at an eighth of each side; logits: 32 -> 1 at full size
    assert table["bridge"]["multiply_adds"] == 32 * 64 / 64
    assert table["logits"] == {"parameters": 33, "multiply_adds": 32}
    # encoder 1, 3 bands, g = 8: 9 x 8 x (3 + 11 + 19 + 27 + 35 + 43), distribution 51 x 32, reduction 32 x 8 / 4
    assert table["encoder1"]["multiply_adds"] == 9 * 8 * 138 + 51 * 32 + 64


@pytest.mark.parametrize(("preset", "expected"), [("tiny", 69_104), ("small", 273_568), ("base", 1_088_576)])
def test_multiply_adds_per_pixel_of_each_preset(preset, expected):
    assert cost_by_block(build_jointnet(preset))["all"]["multiply_adds"] == expected
