"""The explorers and the map in a real JupyterLab: pixels, keyboard, the way to the kernel and back, no network."""

import json

import numpy as np
import pytest

from jointnet.show.layers import COLOURS, rgb
from tests.browser.conftest import read_shot, watch
from tests.browser.lab import HUB, Lab, ask_kernel, kernel_says, open_notebook, run_all, save
from tests.browser.test_hostile_names import SLASHED, check
from tests.show.known_scene import GRASS, ROOF

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600, func_only=True)]

SETUP = """
import tempfile
from pathlib import Path
from jointnet import SceneExplorer, show_map
from tests.show.known_scene import draw_scene, known_polygons, known_probability
scene = draw_scene(Path(tempfile.mkdtemp()))
"""
EXPLORER = """
explorer = SceneExplorer(scene, probability=known_probability(), threshold=0.4, max_size=80)
explorer
"""
MAP = """
shown = show_map(scene, mask=known_probability() > 0.6, polygons=known_polygons())
shown
"""


def share_of(pixels: np.ndarray, colour, tolerance: int = 12) -> float:
    """The share of pixels of a colour."""
    return float((np.abs(pixels[..., :3].astype(int) - np.array(colour)).max(-1) <= tolerance).mean())


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    running = Lab(tmp_path_factory.mktemp("lab"))
    yield running
    running.stop()


@pytest.fixture
def new_page(browser):
    """A function that opens a watched page; afterwards it must have been quiet."""
    opened = []

    def make(width=1280, height=1000):
        context = browser.new_context(viewport={"width": width, "height": height})
        opened.append((context, watch(context.new_page())))
        return opened[-1][1]

    yield make
    for context, watched in opened:
        context.close()
        assert watched.outside == []
        assert [c for c in watched.complaints if "jn" in c or "anywidget" in c or "leaflet" in c] == []


def test_explorer_and_map_live_in_jupyterlab(lab, new_page):
    lab.write("kit.ipynb", SETUP, EXPLORER, MAP)
    watched = new_page()
    page = watched.page
    open_notebook(lab, page, "kit.ipynb")
    run_all(page, 3)

    page.wait_for_selector(".jn[data-ready=true]", timeout=60_000)
    explorer = page.locator(".jn-stage canvas")
    explorer.scroll_into_view_if_needed()
    pixels = watched.canvas()
    assert share_of(pixels, GRASS) > 0.2
    painted = np.array(GRASS) * 0.3 + np.array(rgb(COLOURS["FP"])) * 0.7
    assert share_of(pixels, painted) > 0.01
    watched.shot("lab_explorer")

    # by keyboard, to the kernel
    page.get_by_label("threshold", exact=True).focus()
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    assert kernel_says(page, "explorer.threshold", 0.55)
    assert kernel_says(page, "explorer.scores['iou']", 2000 / 4400)
    assert "IoU 0.455" in page.inner_text(".jn-scores")

    # from the kernel
    ask_kernel(page, "setattr(explorer, 'layer', 'truth')")
    page.wait_for_timeout(300)
    assert page.get_by_label("layer", exact=True).input_value() == "truth"

    # a closer look comes at full resolution: the overview has 80 px, the scene 160
    ask_kernel(page, "explorer.zoom_to(40, 55, 60)")
    page.wait_for_function("document.querySelector('.jn').dataset.crop?.split(',')[3] < 70", timeout=60_000)
    row, _, height, width = (int(x) for x in page.get_attribute(".jn", "data-crop").split(","))
    assert 60 <= width <= 62
    assert row + height <= 120

    # an exception in Python is shown where the reader looks
    ask_kernel(page, "explorer._receive(explorer, {'type': 'crop', 'id': 1, 'window': ['wide'], 'size': 1}, [])")
    page.wait_for_selector(".jn-error:not([hidden])", timeout=60_000)
    assert page.inner_text(".jn-error").startswith("ValueError: invalid literal")

    # the map
    page.locator(".leaflet-container").scroll_into_view_if_needed()
    page.wait_for_selector(".leaflet-image-layer", timeout=60_000)
    page.wait_for_timeout(1200)
    pixels = read_shot(watched.shot("lab_map"))
    assert share_of(pixels, GRASS, 16) > 0.02
    assert page.locator(".leaflet-interactive").count() == 2  # one outline for each roof

    # in the dark theme the map is dark, but for what lies on it
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    page.wait_for_timeout(700)
    box = page.locator(".leaflet-container").bounding_box()
    pixels = read_shot(watched.shot("lab_map_dark"))
    corner = pixels[int(box["y"]) + 300, int(box["x"]) + 10]
    assert corner.max() < 100
    icon = page.locator(".leaflet-control-fullscreen-button").bounding_box()
    left, top = int(icon["x"]) + 4, int(icon["y"]) + 4
    assert pixels[top : top + 22, left : left + 22].max() > 150  # its icon is seen

    # a switch on the map, by mouse, to the kernel and back to the picture
    page.locator("label.widget-label-basic", has_text="mask").locator("input").uncheck()
    assert kernel_says(page, "[layer.opacity for layer in shown.layers if layer.name == 'mask'][0]", 0)
    page.wait_for_function("[...document.querySelectorAll('.leaflet-image-layer')].some(i => i.style.opacity === '0')")

    save(page)
    page.wait_for_timeout(600)
    saved = json.loads((lab.folder / "notebooks" / "kit.ipynb").read_text())
    assert all("image/png" in cell["outputs"][0]["data"] for cell in saved["cells"][1:])

    # changed outside Jupyter, the notebook is not trusted: its pictures are shown, nothing runs
    saved["cells"][0]["source"] = "1"
    (lab.folder / "notebooks" / "shared.ipynb").write_text(json.dumps(saved))
    other = new_page()
    open_notebook(lab, other.page, "shared.ipynb")
    pictures = other.page.locator(".jp-RenderedImage img")
    pictures.nth(1).wait_for(timeout=15_000)
    other.page.wait_for_timeout(300)
    assert pictures.evaluate_all("all => all.map(i => i.naturalWidth)") == [160, 900]  # the explorer, the map
    assert other.page.locator(".jn, .leaflet-container").count() == 0
    other.shot("lab_untrusted")


HOSTILE_MAPS = """
from dataclasses import replace
from jointnet.show.cities import show_cities
from jointnet.show.places import PlaceExplorer
from jointnet.data.scene import Dataset
from jointnet.data.services import Service
from jointnet.show import map_panel
from tests.browser.test_hostile_names import HOSTILE, SLASHED
map_panel.MOST_POLYGONS = 1  # so that the small print speaks of a crowd
labels = {SLASHED: scene.labels["buildings"]}
hostile = replace(scene, name=SLASHED, city=SLASHED, drawn=False, credit=SLASHED, labels=labels)
shapes = {SLASHED: known_polygons(), HOSTILE: known_polygons().iloc[:0]}
show_map(hostile, probability=known_probability(), polygons=shapes, basemap="http://127.0.0.1:9/{z}{x}{y}?" + HOSTILE)
"""
HOSTILE_CITIES = """
other = replace(hostile, name=HOSTILE, city=HOSTILE)
cities = show_cities(Dataset("towns", (hostile, other)), predictions=Path(HOSTILE), split=None)
cities
"""
HOSTILE_PLACE = """
place = PlaceExplorer()
place._show_background(Service(SLASHED, "http://127.0.0.1:9/{z}/{x}/{y}.png", attribution=SLASHED))
place
"""


def test_maps_show_hostile_names_and_run_none(lab, new_page):
    lab.write("hostile.ipynb", SETUP, HOSTILE_MAPS, HOSTILE_CITIES, HOSTILE_PLACE)
    page = new_page().page
    open_notebook(lab, page, "hostile.ipynb")
    run_all(page, 4)
    for do in ("setattr(cities.city, 'value', SLASHED)", "setattr(cities.tile, 'value', SLASHED)",
               "setattr(cities.tile, 'value', '')", "place._fail(ValueError(SLASHED))"):
        page.wait_for_timeout(700)
        assert ask_kernel(page, do) == "None"
    page.wait_for_function("n => document.querySelectorAll('.leaflet-container').length >= n", arg=3, timeout=60_000)
    page.wait_for_function(  # in small print, in the place's credit and error, of a city
        "name => document.body.innerText.split(name).length - 1 >= 4", arg=SLASHED, timeout=60_000)
    check(page)
    assert page.inner_text(".jn-offline").startswith("The basemap did not come")  # of port 9, where nobody answers


TILES = """
from dataclasses import replace
from jointnet.show.widgets import TileBrowser
unlabelled = replace(scene, name="graz3", city="graz", split="test", labels={})
tiles = TileBrowser([scene, replace(scene, name="graz2", city="graz", split="train"), unlabelled])
tiles
"""


def test_tiles_come_from_the_kernel_in_jupyterlab(lab, new_page):
    lab.write("tiles.ipynb", SETUP, TILES)
    watched = new_page()
    page = watched.page
    open_notebook(lab, page, "tiles.ipynb")
    run_all(page, 2)
    page.wait_for_selector(".jn-tiles[data-ready=true]", timeout=60_000)
    painted = np.array(ROOF) * 0.5 + np.array(rgb(COLOURS["truth"])) * 0.5
    assert share_of(watched.canvas(), painted, 40) > 0.05

    # by hand: another city, then the next tile, which has no labels to paint
    page.get_by_label("city", exact=True).select_option("graz")
    page.wait_for_selector(".jn-tiles[data-tile=graz2]", timeout=60_000)
    assert kernel_says(page, "int(tiles.tile == tiles.about['name'] == 'graz2')", 1)
    page.get_by_label("next tile").click()
    page.wait_for_selector(".jn-tiles[data-tile=graz3]", timeout=60_000)
    assert kernel_says(page, "int(tiles.tile == tiles.about['name'] == 'graz3')", 1)
    assert "no labels" in page.inner_text(".jn-count")
    assert share_of(watched.canvas(), ROOF) > 0.05
    watched.shot("lab_tiles")

    # from the kernel
    ask_kernel(page, "setattr(tiles, 'tile', 'vienna1')")
    page.wait_for_selector(".jn-tiles[data-tile=vienna1]", timeout=60_000)
    assert share_of(watched.canvas(), painted, 40) > 0.05


@pytest.mark.parametrize(("base_url", "variables"), [("/deep/base/", {}), ("/user/ada/", HUB)], ids=["base_url", "hub"])
def test_explorer_and_map_live_under_a_base_url_and_a_hub(tmp_path, browser, base_url, variables):
    running = Lab(tmp_path, base_url, variables)
    try:
        context = browser.new_context(viewport={"width": 1280, "height": 1000})
        watched = watch(context.new_page())
        running.write("kit.ipynb", SETUP, EXPLORER, MAP)
        open_notebook(running, watched.page, "kit.ipynb")
        run_all(watched.page, 3)
        watched.page.wait_for_selector(".jn[data-ready=true]", timeout=60_000)
        assert share_of(watched.canvas(), GRASS) > 0.2
        watched.page.locator(".leaflet-container").scroll_into_view_if_needed()
        watched.page.wait_for_selector(".leaflet-image-layer", timeout=60_000)
        context.close()
        assert watched.outside == []
    finally:
        running.stop()
