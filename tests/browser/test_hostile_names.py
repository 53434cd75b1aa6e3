"""Names that are HTML, script or template, in everything that has a page: they are shown as text, and nothing runs."""

from dataclasses import replace

import pytest

from jointnet.data.scene import Dataset
from jointnet.evaluate.error_objects import find_errors
from jointnet.show.report import write_report
from jointnet.show.widgets import (
    ErrorExplorer,
    LossExplorer,
    NetworkExplorer,
    PatchExplorer,
    SceneExplorer,
    TileBrowser,
    TrainingMonitor,
)
from tests.browser.conftest import watch
from tests.show.known_errors import THRESHOLD, write_known
from tests.show.known_scene import known_polygons, known_probability

pytestmark = pytest.mark.browser

# What a file can be called, and so without a slash: closing tags are in `SLASHED`.
HOSTILE = "a\"'><img src=x onerror=window.ran=1><svg onload=window.ran=1>{{7*7}}{% raw %}${window.ran=1}`&lt;b&gt;$x^{"
SLASHED = f"{HOSTILE}</script></style></textarea></title>--><script>window.ran=1</script><!-- a"


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Two scenes whose files, cities and classes have hostile names, and their predictions."""
    dataset, folder = write_known(tmp_path_factory.mktemp("hostile"), names=(HOSTILE, "plain"))
    scenes = tuple(replace(s, city=SLASHED, drawn=False, credit=SLASHED) for s in dataset)
    return Dataset(SLASHED, scenes), folder


def of_errors(known, tmp_path):
    dataset, folder = known
    explorer = ErrorExplorer(find_errors(folder, dataset), dataset, folder, threshold=THRESHOLD,
                             notes=tmp_path / f"{HOSTILE}.geojson")
    explorer.notes = {f"{HOSTILE}-1": SLASHED}
    explorer.error = SLASHED
    return explorer


def of_scene(known, tmp_path):
    scene = replace(known[0][0], name=SLASHED, labels={SLASHED: known[0][0].labels["buildings"]})
    return SceneExplorer(scene, known_probability(), polygons={SLASHED: known_polygons()}, class_name=SLASHED)


def of_classes(known, tmp_path):
    scene = replace(known[0][0], labels=dict.fromkeys((HOSTILE, SLASHED), known[0][0].labels["buildings"]))
    return SceneExplorer(scene, polygons={HOSTILE: known_polygons(), SLASHED: known_polygons()}, class_name=HOSTILE)


def of_tiles(known, tmp_path):
    return TileBrowser([replace(s, split=HOSTILE) for s in known[0]])


def of_patches(known, tmp_path):
    return PatchExplorer([known[0][0]], size=40, limit=3)


def of_network(known, tmp_path):
    return NetworkExplorer(note=SLASHED)


def of_loss(known, tmp_path):
    explorer = LossExplorer()
    explorer.error = SLASHED
    return explorer


def of_training(known, tmp_path):
    monitor = TrainingMonitor()
    monitor.status, monitor.caption, monitor.history = SLASHED, SLASHED, {SLASHED: [1.0, 0.5], "loss": [1.0, 0.5]}
    return monitor


def check(page):
    """Nothing ran, and no tag of a name became one of the page."""
    page.wait_for_timeout(150)  # an image that cannot be loaded says so a moment later
    assert page.evaluate("window.ran === undefined")
    assert page.locator("img[src=x], svg[onload], [onerror]").count() == 0


PAGES = [of_errors, of_scene, of_classes, of_tiles, of_patches, of_network, of_loss, of_training]


@pytest.mark.parametrize("make", PAGES)
def test_a_page_shows_hostile_names_and_runs_none(open_page, known, tmp_path, make):
    watched = open_page(make(known, tmp_path))
    for number in range(watched.page.locator("select").count()):
        for option in range(watched.page.locator("select").nth(number).locator("option").count()):
            watched.page.locator("select").nth(number).select_option(index=option, force=True)
    rows = watched.page.locator("tbody tr")
    if rows.count():
        rows.last.click()
        rows.first.click()
    check(watched.page)
    if make is not of_loss:
        assert "onerror=window.ran=1" in watched.page.content()  # it is there, as text


def test_a_report_shows_hostile_names_and_runs_none(browser, known, tmp_path):
    dataset, folder = known
    report = write_report(tmp_path / f"{HOSTILE}.html", folder, dataset)
    context = browser.new_context()
    watched = watch(context.new_page())
    watched.page.goto(report.as_uri())
    watched.page.wait_for_selector(".jn-error-explorer[data-ready=true]", timeout=15_000)
    check(watched.page)
    assert HOSTILE in watched.page.inner_text("body")
    context.close()
    assert watched.outside == watched.complaints == []
