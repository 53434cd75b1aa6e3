"""A box drawn by hand on the map in JupyterLab: what it takes, its prediction, Stop, and its outlines."""

import zipfile

import numpy as np
import pytest

from jointnet.show.layers import COLOURS, rgb
from tests.browser.conftest import read_shot, watch
from tests.browser.lab import Lab, ask_kernel, open_notebook, run_all
from tests.loopback import Provider
from tests.show.known_scene import draw_scene

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600, func_only=True)]

SETUP = """
import os, time
os.environ["JOINTNET_CACHE"], os.environ["NO_PROXY"] = "cache", "127.0.0.1"
import numpy as np
import jointnet.predict.arrays
from jointnet import PlaceExplorer

def red_roofs(windows):
    time.sleep(0.05)  # so that a hand can press Stop
    red = windows[..., :1].astype(np.float32) - windows[..., 1:2]
    return np.clip(0.5 + red / 255, 0.05, 0.8)

jointnet.predict.arrays.open_weights = lambda name: red_roofs
"""
EXPLORER = """
explorer = PlaceExplorer(source="{tiles}", weights="sample-buildings", out="runs", height="520px")
explorer.map.center, explorer.map.zoom = ({lat}, {lon}), 18
explorer
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    running = Provider(draw_scene(tmp_path_factory.mktemp("original")).image)
    yield running
    running.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    running = Lab(tmp_path_factory.mktemp("lab"))
    yield running
    running.stop()


def middle(provider) -> tuple[float, float]:
    """(longitude, latitude) of the middle of what is served."""
    from pyproj import Transformer

    from jointnet.data.raster import read_info

    info = read_info(provider.raster)
    left, bottom, right, top = info.bounds
    return Transformer.from_crs(info.crs, 4326, always_xy=True).transform((left + right) / 2, (bottom + top) / 2)


def says(page, text: str) -> None:
    page.wait_for_function("t => document.body.innerText.includes(t)", arg=text, timeout=90_000)


def outline_share(path, colour) -> float:
    """The share of pixels of a screenshot that have a colour."""
    pixels = read_shot(path).astype(int)
    return float((np.abs(pixels - np.array(rgb(colour))).max(-1) <= 40).mean())


def test_a_box_drawn_by_hand_becomes_outlines_on_the_map(lab, browser, provider):
    lon, lat = middle(provider)
    lab.write("place.ipynb", SETUP, EXPLORER.format(tiles=provider.tiles, lon=lon, lat=lat))
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    watched = watch(context.new_page())
    page = watched.page
    open_notebook(lab, page, "place.ipynb")
    run_all(page, 2)
    page.wait_for_selector(".leaflet-draw-draw-rectangle", timeout=60_000)
    page.locator(".leaflet-container").scroll_into_view_if_needed()
    page.wait_for_timeout(500)

    # leaflet's own tool: press its square, then drag from corner to corner
    page.locator(".leaflet-draw-draw-rectangle").click()
    box = page.locator(".leaflet-container").bounding_box()
    across, down = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(across - 70, down - 50)
    page.mouse.down()
    page.mouse.move(across + 30, down + 20, steps=4)
    page.mouse.move(across + 70, down + 50, steps=4)
    page.mouse.up()
    says(page, "tiles of 127.0.0.1 (zoom 19")
    watched.shot("place_box")
    assert "px of 0.3 m" in page.inner_text("body")
    assert len(provider.requests) < 60

    # Predict, Stop in mid-run, Predict again
    page.get_by_role("button", name="Predict").click()
    page.get_by_role("button", name="Stop").click()
    says(page, "Stopped; what is done is kept")
    page.get_by_role("button", name="Predict").click()
    says(page, "Written to runs")
    assert "2 buildings" in page.inner_text("body")
    page.wait_for_timeout(1500)
    first = watched.shot("place_outlines")
    assert outline_share(first, COLOURS["outline"]) > 0.0005

    # the slider cuts the picture in the browser: beyond the roofs' probability nothing is left of it
    slider = page.get_by_label("threshold", exact=True)
    assert float(slider.input_value()) == pytest.approx(0.6)
    before = outline_share(first, COLOURS["prediction"])
    slider.focus()
    page.keyboard.press("End")
    page.wait_for_timeout(500)
    assert outline_share(watched.shot("place_cut"), COLOURS["prediction"]) < before / 2

    with page.expect_download() as caught:
        page.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(caught.value.path()) as held:
        assert sorted(name.rpartition("_")[2] for name in held.namelist()) == [
            "IMAGERY.txt", "buildings.geojson", "buildings.gpkg", "mask.tif", "probability.tif"]

    page.get_by_role("button", name="open in SceneExplorer").click()
    page.wait_for_selector(".jn[data-ready=true]", timeout=60_000)
    page.wait_for_function(  # it scrolled to itself: all of its canvas is in the window
        "() => { const { top, bottom } = document.querySelector('.jn-stage').getBoundingClientRect();"
        " return top >= 0 && bottom <= innerHeight; }", timeout=10_000)
    assert ask_kernel(page, "explorer.children[-1].about['note']").startswith("'imagery: 127.0.0.1")
    context.close()
    assert watched.outside == []
