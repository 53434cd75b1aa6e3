"""PatchExplorer in a real browser: turns and lights are those that training uses, filters count right."""

import numpy as np
import pytest

from jointnet.data.augment import jitter_colours, turn
from jointnet.show.widgets import PatchExplorer

pytestmark = pytest.mark.browser


@pytest.fixture
def arrays():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (4, 32, 32, 3), np.uint8)
    masks = np.zeros((4, 32, 32, 1), np.uint8)
    masks[1, :8], masks[2, :16], masks[3] = 1, 1, 1  # 0, 25, 50 and 100 %
    return images, masks


def test_every_version_is_what_training_makes_of_the_patch(open_page, arrays):
    images, masks = arrays
    explorer = PatchExplorer(images, masks, seed=5)
    explorer.show_mask = False
    watched = open_page(explorer)
    for symmetry in range(8):
        found = watched.canvas(f".jn-versions figure:nth-child({symmetry + 1}) canvas")[..., :3]
        assert np.array_equal(found, turn(images[3], symmetry))  # the fullest is chosen at first
    for light in range(4):
        found = watched.canvas(f".jn-versions figure:nth-child({9 + light}) canvas")[..., :3]
        assert np.array_equal(found, jitter_colours(images[3], np.random.default_rng(5 + light)))


def test_the_filter_leaves_what_has_the_share_and_python_agrees(open_page, arrays):
    watched = open_page(PatchExplorer(*arrays))
    page = watched.page
    assert "4 of 4" in page.inner_text(".jn-count")
    page.get_by_label("foreground from", exact=True).focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert "2 of 4" in page.inner_text(".jn-count")
    for _ in range(25):
        page.keyboard.press("ArrowRight")  # 0.55: the half is gone, and the fullest is shown as before
    assert "100 % foreground" in page.inner_text(".jn-about")
    page.get_by_label("foreground from", exact=True).press("Home")
    page.get_by_label("to", exact=True).focus()
    for _ in range(60):
        page.keyboard.press("ArrowLeft")  # 0.4: what was shown is not in the list any more
    assert "0 % foreground" in page.inner_text(".jn-about")
    assert watched.get("selected") == 0
    page.get_by_label("foreground from", exact=True).focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")  # from 0.3 to 0.4 there is none
    assert page.locator(".jn-versions").is_hidden()
    explorer = PatchExplorer(*arrays)
    explorer.low = 0.3
    assert [p["share"] for p in explorer.shown] == [0.5, 1.0]


def test_a_patch_is_chosen_by_keyboard(open_page, arrays):
    watched = open_page(PatchExplorer(*arrays))
    watched.page.locator(".jn-patch").nth(2).focus()
    page = watched.page
    page.keyboard.press("Enter")
    assert watched.get("selected") == 2
    assert "50 % foreground" in page.inner_text(".jn-about")
    page.evaluate("window.heard = 0; document.addEventListener('keydown', () => { window.heard += 1; });")
    page.keyboard.press("ArrowLeft")  # and the notebook, which would go to another cell, hears nothing of it
    assert (watched.get("selected"), page.evaluate("window.heard")) == (1, 0)
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert watched.get("selected") == 3
    assert "100 % foreground" in page.evaluate("document.activeElement.title")
    assert page.locator(".jn-patch[tabindex='0']").count() == 1


def test_patches_of_a_scene_run_from_empty_to_full(open_page, scene):
    explorer = PatchExplorer([scene], size=40, limit=6)
    shares = [p["share"] for p in explorer.patches]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert len(explorer.patches) == 6
    watched = open_page(explorer)
    watched.shot("patches_1280")
    assert "drawn scene" in watched.page.inner_text(".jn-foot")


def test_patches_that_do_not_exist_are_refused(scene):
    with pytest.raises(ValueError, match="smaller size"):
        PatchExplorer([scene], size=500)
    with pytest.raises(ValueError, match="n > 0"):
        PatchExplorer(np.zeros((0, 8, 8, 3), np.uint8))
