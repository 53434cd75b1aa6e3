"""Labels drawn by hand in JupyterLab: what is on disk afterwards is what the mouse drew."""

import os
import signal

import numpy as np
import pytest
import shapely

from jointnet.data.label_files import read_labels
from jointnet.data.raster import read_info
from tests.browser.conftest import watch
from tests.browser.lab import Lab, ask_kernel, kernel_says, open_notebook, run_all, save
from tests.show.known_scene import BUILDINGS

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600, func_only=True)]

SETUP = """
from pathlib import Path
from jointnet import LabelEditor
from tests.show.known_scene import draw_scene
Path("town").mkdir(exist_ok=True)
if not Path("town/vienna1.tif").exists():
    draw_scene(Path("town"))
"""
EDITOR = """
editor = LabelEditor("town/vienna1.tif")
editor
"""
ROOF, OTHER = BUILDINGS  # (row, col, end row, end col)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    running = Lab(tmp_path_factory.mktemp("lab"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def kept(lab):
    """The file that the editor writes."""
    return lab.folder / "notebooks" / "town" / "vienna1_labels.gpkg"


class Hand:
    """The mouse on the scene, in pixels of the scene."""

    def __init__(self, page):
        self.page, self.canvas = page, page.locator(".jn-stage > canvas").first

    def at(self, col: float, row: float) -> tuple[float, float]:
        """Where a place of the scene is on the screen; the view shows the whole scene."""
        box = self.canvas.bounding_box()
        span = max(160, 120 * box["width"] / box["height"]) * 1.02
        scale = box["width"] / span
        return box["x"] + box["width"] / 2 + (col - 80) * scale, box["y"] + box["height"] / 2 + (row - 60) * scale

    def click(self, col: float, row: float) -> None:
        self.page.mouse.click(*self.at(col, row))

    def drag(self, start, end) -> None:
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*(np.add(start, end) / 2)), steps=3)
        self.page.mouse.move(*self.at(*end), steps=3)
        self.page.mouse.up()

    def wait(self, shapes: int) -> None:
        """Until Python has answered every edit."""
        self.page.wait_for_function(
            "n => { const d = document.querySelector('.jn-labels').dataset;"
            " return Number(d.shapes) === n && !Number(d.waiting || 0); }", arg=shapes, timeout=30_000)


def on_disk(path, layer="buildings"):
    """The polygons of a layer in pixels of the scene."""
    image = read_info(path.with_name("vienna1.tif"))
    return [s.geometry for s in read_labels(path, image, ("buildings",))[0] if s.layer == layer]


def corners(row, col, end, stop):
    return [(col, row), (stop, row), (stop, end), (col, end)]


def off(polygon, expected) -> float:
    """How far the corners of a polygon lie from those expected, in pixels of the scene."""
    found = shapely.get_coordinates(polygon)[:-1]
    assert len(found) == len(expected)
    return max(np.hypot(*(found - corner).T).min() for corner in np.array(expected, float))


def open_editor(lab, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    watched = watch(context.new_page())
    page = watched.page
    open_notebook(lab, page, "labels.ipynb")
    run_all(page, 2)
    page.wait_for_selector(".jn-labels[data-ready=true]", timeout=60_000)
    page.locator(".jn-stage > canvas").first.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    return context, watched, Hand(page)


def test_what_a_hand_draws_is_on_disk_to_the_pixel_and_there_again_after_a_reload(lab, browser, kept):
    lab.write("labels.ipynb", SETUP, EDITOR)
    context, watched, hand = open_editor(lab, browser)
    page = watched.page

    # a house, corner by corner, closed with a click on the first; a screen pixel is finer than the scene's
    page.get_by_role("button", name="draw a shape").click()
    for place in corners(*ROOF):
        hand.click(*place)
    watched.shot("labels_drawing")
    hand.click(*corners(*ROOF)[0])
    hand.wait(1)
    drawn, = on_disk(kept)
    pixel = 160 * 1.02 / page.locator(".jn-stage > canvas").first.bounding_box()["width"]
    assert off(drawn, corners(*ROOF)) <= pixel  # the mouse has whole pixels of the screen
    held = np.array(eval(ask_kernel(page, "[g.exterior.coords[:-1] for g in editor.shapes.geometry][0]")))
    assert off(drawn, held) < 0.05

    # another by keyboard: Enter closes
    page.keyboard.press("d")
    for place in corners(*OTHER):
        hand.click(*place)
    page.keyboard.press("Enter")
    hand.wait(2)

    # a shed whose fourth corner lies 6 screen pixels from its first keeps all four
    page.keyboard.press("d")
    for place in corners(5, 120, 5 + 6 * pixel, 124):
        hand.click(*place)
    page.keyboard.press("Enter")
    hand.wait(3)
    assert [len(shape.exterior.coords) - 1 for shape in on_disk(kept) if shape.area < 10] == [4]
    page.keyboard.press("Control+z")
    hand.wait(2)

    # a corner is moved: choose, then drag
    page.keyboard.press("v")
    hand.click(55, 40)
    page.wait_for_selector(".jn-labels[data-chosen='0']")
    hand.drag((80, 60), (88, 66))
    hand.wait(2)
    moved = [(30, 20), (80, 20), (88, 66), (30, 60)]
    assert min(off(shape, moved) for shape in on_disk(kept) if len(shape.exterior.coords) == 5) <= 2 * pixel
    watched.shot("labels_moved")

    # deleted, and taken back
    page.keyboard.press("n")
    page.wait_for_timeout(200)
    page.keyboard.press("0")
    page.keyboard.press("Delete")
    hand.wait(1)
    assert len(on_disk(kept)) == 1
    page.keyboard.press("Control+z")
    hand.wait(2)
    assert len(on_disk(kept)) == 2

    # the left half is done
    page.wait_for_timeout(300)
    page.get_by_role("button", name="drag a rectangle").click()
    hand.drag((0.5, 0.5), (90, 118))
    hand.wait(3)
    done, = on_disk(kept, "done")
    assert np.abs(np.array(done.bounds) - (0.5, 0.5, 90, 118)).max() <= 2 * pixel
    assert "54." in page.inner_text(".jn-labelcount")  # 89.5 x 117.5 of 160 x 120 px are 54.8 %
    watched.shot("labels_done")
    assert page.locator(".jn-error:visible").count() == 0

    # the notebook is loaded anew: the same is there, and can still be edited
    before = [shapely.to_wkt(s, rounding_precision=6) for s in on_disk(kept)]
    save(page)
    context.close()
    context, watched, hand = open_editor(lab, browser)
    hand.wait(3)
    assert kernel_says(watched.page, "len(editor.shapes)", 3)
    watched.shot("labels_again")
    assert [shapely.to_wkt(s, rounding_precision=6) for s in on_disk(kept)] == before

    # a cut across the second house leaves two halves; what encloses nothing is told
    page = watched.page
    page.get_by_role("button", name="cut a part").click()
    for place in ((120, 65), (130, 65), (130, 115), (120, 115)):
        hand.click(*place)
    page.keyboard.press("Enter")
    hand.wait(4)
    page.keyboard.press("d")
    hand.click(10, 100)
    hand.click(20, 100)
    page.keyboard.press("Enter")
    page.wait_for_selector(".jn-error:not([hidden])")
    assert "3 different corners" in page.inner_text(".jn-error")
    assert len(on_disk(kept)) == 3

    # kill -9 in the midst: all but what was not yet sent is on disk
    before = len(on_disk(kept))
    page.keyboard.press("Escape")
    pid = int(ask_kernel(page, "__import__('os').getpid()"))
    page.keyboard.press("d")
    for place in ((100, 10), (120, 10), (120, 25), (100, 25)):
        hand.click(*place)
    page.keyboard.press("Enter")
    hand.wait(5)
    os.kill(pid, signal.SIGKILL)
    assert len(on_disk(kept)) == before + 1
    context.close()
    assert watched.outside == []
    assert [c for c in watched.complaints if "jn" in c or "anywidget" in c] == []
