"""TileBrowser in a real browser: city and tile are chosen, the mask fades, Python counts what it says."""

from dataclasses import replace

import numpy as np
import pytest

from jointnet.data.raster import write_raster
from jointnet.show.layers import COLOURS, rgb
from jointnet.show.widgets import TileBrowser
from tests.show.known_scene import BUILDINGS, GRASS, HEIGHT, ROOF, WIDTH, grid


@pytest.fixture
def tiles(scene, tmp_path):
    """Three tiles: vienna1 with two roofs, graz2 with its left half built over, graz3 without labels."""
    half = np.zeros((HEIGHT, WIDTH), np.uint8)
    half[:, : WIDTH // 2] = 255
    mask = write_raster(tmp_path / "half.tif", half, grid())
    graz = replace(scene, name="graz2", city="graz", split="train", labels={"buildings": mask})
    return [scene, graz, replace(graz, name="graz3", split="test", labels={})]


def colours_of(watched) -> set:
    """The colours that cover at least a hundredth of the canvas, in steps of 8."""
    pixels = watched.canvas()[..., :3].reshape(-1, 3) // 8
    found, counts = np.unique(pixels, axis=0, return_counts=True)
    return {tuple(int(v) for v in c) for c, n in zip(found, counts, strict=True) if n > len(pixels) / 100}


def step8(colour) -> tuple:
    return tuple(v // 8 for v in colour)


@pytest.mark.browser
def test_a_city_and_a_tile_are_chosen_and_the_mask_follows(open_page, tiles):
    watched = open_page(TileBrowser(tiles))
    page = watched.page
    assert "1 of 3: validation, " in page.inner_text(".jn-count")
    page.get_by_label("city", exact=True).select_option("graz")
    page.wait_for_selector(".jn-tiles[data-tile=graz2]")
    assert page.locator(".jn-tile option").all_inner_texts() == ["graz2", "graz3"]
    assert "1 of 2: train, 50.0% buildings" in page.inner_text(".jn-count")
    page.wait_for_function("document.querySelector('.jn-scene').dataset.drawn > 0")
    page.get_by_label("opacity", exact=True).focus()
    page.keyboard.press("End")  # the mask alone: half of the scene in its colour, the roof on the right still bare
    page.wait_for_timeout(200)
    assert step8(rgb(COLOURS["truth"])) in colours_of(watched)
    watched.shot("tiles_1280")
    page.keyboard.press("Home")  # the image alone
    page.wait_for_timeout(200)
    assert {step8(GRASS), step8(ROOF)} <= colours_of(watched)
    assert step8(rgb(COLOURS["truth"])) not in colours_of(watched)


@pytest.mark.browser
def test_buttons_step_through_the_tiles_and_stop_at_both_ends(open_page, tiles):
    watched = open_page(TileBrowser(tiles, tile="graz2"))
    page = watched.page
    for name in ("graz3", "graz3"):
        page.get_by_label("next tile").click()
        page.wait_for_selector(f".jn-tiles[data-tile={name}]")
    assert "3 of 3: test, no labels" in page.inner_text(".jn-count")
    assert not page.get_by_label("opacity", exact=True).count()  # nothing lies over the image
    for name in ("graz2", "vienna1", "vienna1"):
        page.get_by_label("previous tile").click()
        page.wait_for_selector(f".jn-tiles[data-tile={name}]")
    assert watched.get("tile") == "vienna1"


def test_python_shows_the_tile_that_the_browser_asks_for(tiles):
    browser = TileBrowser(tiles)
    built = sum((end - row) * (stop - col) for row, col, end, stop in BUILDINGS)
    assert browser.says == f"validation, {built / (HEIGHT * WIDTH):.1%} buildings"
    browser.view = [10.0, 10.0, 50.0]
    browser.tile = "graz3"
    assert (browser.about["name"], browser.layer, browser.view) == ("graz3", "image", [])
    assert browser.says == "test, no labels"
    browser.tile = "graz2"
    assert (browser.layer, browser.says, browser.error) == ("truth", "train, 50.0% buildings", "")
    browser.tile = "paris1"
    assert browser.error == "InputError: there is no tile 'paris1'; choose from vienna1, graz2, graz3"


def test_a_tile_without_imagery_in_part_says_so_and_counts_the_rest(tiles, tmp_path):
    pixels = tiles[1].read()
    pixels[:, WIDTH * 3 // 4 :] = 0  # the last quarter; the left half is built over, so two thirds of what is seen
    padded = replace(tiles[1], image=write_raster(tmp_path / "padded.tif", pixels, grid()), nodata="black")
    assert TileBrowser([padded]).says == "train, 66.7% buildings, 25% without imagery"


def test_a_browser_needs_a_tile_that_is_there(tiles):
    with pytest.raises(ValueError, match="there is no tile to look at"):
        TileBrowser([])
    with pytest.raises(ValueError, match="there is no tile 'paris1'; choose from vienna1, graz2, graz3"):
        TileBrowser(tiles, tile="paris1")
