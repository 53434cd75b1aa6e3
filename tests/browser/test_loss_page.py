"""LossExplorer in a real browser: its gradients are those of the formulas, worked out apart by finite differences."""

import json

import numpy as np
import pytest

from jointnet.show.widgets import LossExplorer

pytestmark = pytest.mark.browser


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def sigmoid(z: float) -> float:
    return 1 / (1 + np.exp(-z))


def slope(loss, p: float, step: float = 1e-5) -> float:
    """|d loss / d logit| of a pixel that gives p to its truth."""
    z = logit(p)
    return abs(loss(sigmoid(z + step)) - loss(sigmoid(z - step))) / (2 * step)


def dice_of_patch(p: float, foreground: bool, share=0.15, rest=0.8, pixels=128 * 128) -> float:
    """1 - Dice of a patch, written out over all its pixels, this one the last."""
    many = round(share * pixels)
    y = np.r_[np.ones(many), np.zeros(pixels - many), float(foreground)]
    q = np.r_[np.full(many, rest), np.full(pixels - many, 1 - rest), p if foreground else 1 - p]
    return 1 - (2 * (y * q).sum() + 1) / ((y + q).sum() + 1)


def gradients(watched) -> dict:
    return json.loads(watched.page.get_attribute(".jn-loss", "data-gradients"))


def test_gradients_are_the_slopes_of_the_losses(open_page):
    watched = open_page(LossExplorer(gamma=2, alpha=0.25, easy=0.95, hard=0.2), height=760)
    watched.shot("loss_1280")
    found = gradients(watched)
    assert found["cross_entropy"] == pytest.approx([0.05, 0.8])  # 1 - p
    assert found["focal"] == pytest.approx(
        [slope(lambda p: -0.25 * (1 - p) ** 2 * np.log(p), p) for p in (0.95, 0.2)], rel=1e-5)
    n = 128 * 128
    slopes = [slope(lambda p: dice_of_patch(p, True), p, 1e-3) * n for p in (0.95, 0.2)]
    assert found["dice"] == pytest.approx(slopes, rel=1e-3)


def test_a_background_pixel_is_weighed_by_the_other_share(open_page):
    watched = open_page(LossExplorer())
    watched.page.get_by_label("the pixel is", exact=True).select_option("background")
    watched.page.wait_for_timeout(150)
    found = gradients(watched)
    assert found["focal"][1] == pytest.approx(slope(lambda p: -0.75 * (1 - p) ** 2 * np.log(p), 0.2), rel=1e-5)
    n = 128 * 128
    assert found["dice"][1] == pytest.approx(slope(lambda p: dice_of_patch(p, False), 0.2, 1e-3) * n, rel=1e-3)


def test_gamma_zero_is_cross_entropy_by_its_weight(open_page):
    watched = open_page(LossExplorer(gamma=0.2, alpha=0.5))
    watched.page.get_by_label("focal γ", exact=True).focus()
    watched.page.keyboard.press("Home")
    watched.page.wait_for_timeout(150)
    found = gradients(watched)
    assert found["focal"] == pytest.approx([0.025, 0.4])  # half of 0.05 and 0.8
    assert "16.0 times" in watched.page.inner_text(".jn-sentence")


@pytest.mark.parametrize("dark", [False, True])
def test_charts_fit_a_narrow_page(open_page, dark):
    watched = open_page(LossExplorer(), width=800, height=1100, dark=dark)
    watched.shot(f"loss_800{'_dark' if dark else ''}")
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 800
