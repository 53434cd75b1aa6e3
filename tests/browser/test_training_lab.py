"""The training monitor in a real JupyterLab: the curve grows under Run All, Stop ends training within a step."""

import pytest

from jointnet.show.widgets import TrainingMonitor
from tests.browser.conftest import watch
from tests.browser.lab import Lab, ask_kernel, open_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(400)]

SETUP = """
import tempfile, time
from pathlib import Path
from tests.network.test_training import CARD, BrightSquares
from jointnet.network.training import fit
from jointnet.show.widgets import TrainingMonitor
class Slow(BrightSquares):
    def __getitem__(self, index):
        time.sleep(0.1)
        return super().__getitem__(index)
monitor = TrainingMonitor()
monitor
"""
TRAIN = """
batches, checks = Slow(8), BrightSquares(1, seed=9)
run = fit(CARD, batches, checks, Path(tempfile.mkdtemp()), 500, verbose=0,
          callbacks=[monitor.callback(checks[0])])
ended = run.ended
"""


def test_stop_looks_as_if_it_could_be_pressed_only_while_it_can(open_page):
    monitor = TrainingMonitor()
    monitor.done = True
    stop = open_page(monitor).page.locator(".jn-training button")
    assert stop.is_disabled()
    assert float(stop.evaluate("b => getComputedStyle(b).opacity")) < 1


def test_the_curve_grows_and_stop_stops(tmp_path, browser):
    lab = Lab(tmp_path)
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    watched = watch(context.new_page())
    page = watched.page
    try:
        lab.write("train.ipynb", SETUP, TRAIN, "after = ended")
        open_notebook(lab, page, "train.ipynb")
        page.wait_for_function(
            "() => { const s = window.jupyterapp.shell.currentWidget.sessionContext;"
            " return s.session && s.session.kernel && s.session.kernel.status === 'idle'; }", timeout=120_000)
        page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_selector(".jn-training[data-ready=true]", timeout=120_000)
        page.wait_for_function("Number(document.querySelector('.jn-training').dataset.epochs) >= 2", timeout=180_000)
        early = int(page.get_attribute(".jn-training", "data-points"))
        page.wait_for_function(f"Number(document.querySelector('.jn-training').dataset.points) > {early}")
        assert page.locator(".jn-sheet").evaluate("i => i.naturalWidth") == 4 * (16 + 4)
        watched.shot("lab_training")

        page.get_by_role("button", name="stop after the running step").click()
        page.wait_for_function(
            "document.querySelector('.jn-training [role=status]').textContent.startsWith('stopped after step')",
            timeout=20_000)
        assert ask_kernel(page, "after") == "'stopped'"  # the cells behind it waited, then ran
        assert ask_kernel(page, "run.card.steps > 0 and len(run.history['loss']) < 500") == "True"
        assert watched.outside == []
    finally:
        context.close()
        lab.stop()
