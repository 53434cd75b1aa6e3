"""ErrorExplorer in a real browser: as a page of its own, and on the way to a kernel and back."""

import json

import pytest

from jointnet.evaluate.error_objects import find_errors
from jointnet.show.widgets import ErrorExplorer
from tests.browser.conftest import watch
from tests.browser.lab import Lab, ask_kernel, open_notebook, run_all
from tests.show.known_errors import THRESHOLD, write_known

pytestmark = pytest.mark.browser

MISSED, ALARM = (90, 125, 150), (90, 15, 96)  # where the view ends: the middle, and three times the box or 96 px


@pytest.fixture(scope="module")
def explorer(tmp_path_factory):
    dataset, folder = write_known(tmp_path_factory.mktemp("known"))
    return ErrorExplorer(find_errors(folder, dataset), dataset, folder, threshold=THRESHOLD)


def wait_for(watched, error: str) -> None:
    watched.page.wait_for_function(f"document.querySelector('.jn-error-explorer').dataset.at === '{error}'")


def order(page) -> list[str]:
    return page.eval_on_selector_all(".jn-errors tbody tr", "rows => rows.map(r => r.dataset.id)")


def test_a_click_flies_to_the_error_and_frames_it(open_page, explorer):
    watched = open_page(explorer)
    wait_for(watched, "vienna1-1")
    watched.shot("errors_1280")
    assert watched.get("view") == pytest.approx(MISSED)
    watched.page.click("tr[data-id=vienna1-2]")
    wait_for(watched, "vienna1-2")
    assert watched.get("view") == pytest.approx(ALARM)
    watched.page.wait_for_timeout(80)
    frame = watched.page.locator(".jn-mark-box").bounding_box()
    stage = watched.page.locator(".jn-stage").bounding_box()
    scale = stage["width"] / 96  # CSS pixels for each of the scene's
    assert frame["width"] == pytest.approx(20 * scale + 8, abs=1.5)
    assert frame["x"] + frame["width"] / 2 == pytest.approx(stage["x"] + stage["width"] / 2, abs=1.5)


def test_keys_step_to_the_next_and_the_previous_error_and_into_the_other_scene(open_page, explorer):
    watched = open_page(explorer)
    page = watched.page
    page.locator("tr[data-id=vienna1-1]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    wait_for(watched, "vienna2-1")
    assert page.get_attribute(".jn-error-explorer", "data-scene") == "vienna2"
    assert page.inner_text(".jn-view strong") == "vienna2"
    assert page.evaluate("document.activeElement.dataset.id") == "vienna2-1"
    page.keyboard.press("End")
    assert watched.get("selected") == "vienna2-2"
    page.locator(".jn-stage canvas").focus()
    page.keyboard.press("p")  # from anywhere
    page.keyboard.press("p")
    wait_for(watched, "vienna1-2")
    page.get_by_label("next error (n)").click()
    wait_for(watched, "vienna2-1")
    assert page.locator(".jn-mark-box").is_visible()


def test_a_scene_that_is_on_its_way_is_announced_until_it_is_there(open_page, explorer):
    watched = open_page(explorer)
    wait_for(watched, "vienna1-1")
    page = watched.page
    page.evaluate("window.packs = window.jointnet.model.get('packs'); window.jointnet.model.set('packs', {});")
    page.click("tr[data-id=vienna2-1]")  # nobody answers
    assert page.inner_text(".jn-busy") == "loading vienna2 …"
    assert page.locator(".jn-mark-box").is_hidden()
    assert float(page.eval_on_selector(".jn-stage > canvas", "c => getComputedStyle(c).opacity")) < 0.5
    page.click("tr[data-id=vienna1-2]")  # which is here
    wait_for(watched, "vienna1-2")
    assert page.locator(".jn-busy").is_hidden()
    page.evaluate("window.jointnet.model.set('packs', window.packs)")
    page.click("tr[data-id=vienna2-1]")
    wait_for(watched, "vienna2-1")
    assert page.locator(".jn-busy").is_hidden()
    assert page.get_attribute(".jn-view", "aria-busy") == "false"


def test_a_heading_sorts_and_a_second_click_turns_the_order(open_page, explorer):
    watched = open_page(explorer)
    page = watched.page
    heading = page.get_by_role("button", name="prob.")
    heading.click()
    assert [i[-1] for i in order(page)] == ["2", "2", "1", "1"]  # 0.8 before 0.5
    assert page.locator("th", has_text="prob.").get_attribute("aria-sort") == "descending"
    heading.press("Enter")
    assert [i[-1] for i in order(page)] == ["1", "1", "2", "2"]
    page.get_by_role("button", name="kind").click()
    assert order(page)[0].endswith("2")  # invented comes before missed
    page.get_by_label("kind", exact=True).select_option("missed")
    assert order(page) == ["vienna1-1", "vienna2-1"]
    assert page.inner_text(".jn-list .jn-count").startswith("1 of 2")


def test_a_note_is_marked_in_the_table_and_saved_as_geojson(open_page, explorer, tmp_path):
    watched = open_page(explorer)
    page = watched.page
    page.get_by_label("note", exact=True).fill("new, and not in the labels")
    page.keyboard.press("n")  # belongs to the text
    assert watched.get("notes") == {"vienna1-1": "new, and not in the labelsn"}
    page.click("tr[data-id=vienna1-2]")
    assert page.get_by_label("note", exact=True).input_value() == ""
    assert page.inner_text("tr[data-id=vienna1-1] td:last-child") == "✎"
    with page.expect_download() as waiting:
        page.get_by_label("save the notes as GeoJSON").click()
    waiting.value.save_as(tmp_path / "notes.geojson")
    feature, = json.loads((tmp_path / "notes.geojson").read_text())["features"]
    assert feature["properties"]["note"] == "new, and not in the labelsn"
    assert feature["geometry"]["coordinates"] == pytest.approx([16.345, 48.203], abs=0.01)
    page.click("tr[data-id=vienna1-1]")
    assert page.get_by_label("note", exact=True).input_value() == "new, and not in the labelsn"


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (640, False)])
def test_nothing_sticks_out(open_page, explorer, width, dark):
    watched = open_page(explorer, width=width, dark=dark, height=1100)
    watched.shot(f"errors_{width}{'_dark' if dark else ''}")
    right = watched.page.eval_on_selector_all(
        ".jn-split > *, .jn-bar > *, .jn-notes > *", "all => all.map(e => e.getBoundingClientRect().right)")
    assert max(right) <= width


SETUP = """
import tempfile
from pathlib import Path
from jointnet import ErrorExplorer
from jointnet.evaluate.error_objects import find_errors
from tests.show.known_errors import write_known
home = Path(tempfile.mkdtemp())
dataset, folder = write_known(home)
"""
EXPLORER = """
explorer = ErrorExplorer(find_errors(folder, dataset), dataset, folder, threshold=0.6, notes=home / "notes.geojson")
explorer
"""


@pytest.mark.slow
@pytest.mark.timeout(600, func_only=True)
def test_choice_scene_and_note_go_to_the_kernel_and_back(tmp_path, browser):
    lab = Lab(tmp_path)
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    watched = watch(context.new_page())
    page = watched.page
    try:
        lab.write("errors.ipynb", SETUP, EXPLORER)
        open_notebook(lab, page, "errors.ipynb")
        run_all(page, 2)
        page.wait_for_selector(".jn-error-explorer[data-ready=true]", timeout=60_000)
        page.locator("tr[data-id=vienna1-1]").focus()
        for _ in range(2):  # JupyterLab's own shortcuts of the arrows must not take them
            page.keyboard.press("ArrowDown")
        page.wait_for_function("document.querySelector('.jn-error-explorer').dataset.scene === 'vienna2'")
        wait_for(watched, "vienna2-1")  # its layers came from the kernel
        assert says(page, "explorer.chosen['kind'], explorer.selected", "('missed', 'vienna2-1')")
        page.get_by_label("note", exact=True).fill("a new house")
        assert says(page, "[p['note'] for p in explorer.noted().to_dict('records')]", "['a new house']")
        assert says(page, "'a new house' in (home / 'notes.geojson').read_text()", "True")
        watched.shot("lab_errors")
        ask_kernel(page, "setattr(explorer, 'selected', 'vienna1-2')")
        wait_for(watched, "vienna1-2")
        assert page.locator(".jn-error:not([hidden])").count() == 0
        ask_kernel(page, "explorer._receive(explorer, {'type': 'scene', 'scene': 'nowhere'}, [])")
        page.wait_for_selector(".jn-error:not([hidden])", timeout=60_000)
        assert "nowhere" in page.inner_text(".jn-error")
        assert watched.outside == []
    finally:
        context.close()
        lab.stop()


def says(page, expression: str, expected: str) -> bool:
    """Whether an expression becomes what is expected in the kernel, which may hear of the browser's changes late."""
    for _ in range(100):
        if ask_kernel(page, expression) == expected:
            return True
        page.wait_for_timeout(100)
    return False
