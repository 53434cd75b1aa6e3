"""ChangeExplorer: what came and what went between two masks of a scene."""

import numpy as np
import pytest

from jointnet.show.layers import COLOURS, rgb
from jointnet.show.widgets import ChangeExplorer
from tests.show.known_scene import BUILDINGS, HEIGHT, WIDTH, buildings_mask, draw_scene


@pytest.fixture
def explorer(tmp_path):
    """Before, the first roof; after, both."""
    row, col, end, stop = BUILDINGS[0]
    before = np.zeros((HEIGHT, WIDTH), np.uint8)
    before[row:end, col:stop] = 1
    return ChangeExplorer(draw_scene(tmp_path), before, buildings_mask())


def test_layers_are_called_before_and_after_and_nothing_is_scored(explorer):
    assert explorer.about["names"] == {"prediction": "after", "truth": "before", "errors": "what changed"}
    assert explorer.counts == {}
    assert explorer.layer == "errors"


def test_a_roof_that_is_new_and_one_that_is_in_both_have_their_colours(explorer):
    both, new = (explorer._painted("errors", (HEIGHT, WIDTH))[0][row + 5, col + 5, :3] for row, col, _, _ in BUILDINGS)
    assert tuple(both) == rgb(COLOURS["TP"])
    assert tuple(new) == rgb(COLOURS["FP"])
