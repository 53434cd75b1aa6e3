"""Every lesson runs from top to bottom on its own, and nothing in it failed unseen."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

LESSONS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


def unseen_errors(notebook: nbformat.NotebookNode) -> list[str]:
    """Errors that a run passes over: `interact` and `with Output():` put them into a widget, explorers show them."""
    saved = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    states = [model.get("state", {}) for model in saved.values()]
    outputs = [o for state in states for o in state.get("outputs", ()) if o.get("output_type") == "error"]
    explorers = [state for state in states if state.get("_model_module") == "anywidget"]  # a theme's error is a colour
    return [f"{o['ename']}: {o['evalue']}" for o in outputs] + [s["error"] for s in explorers if s.get("error")]


def printed_warnings(notebook: nbformat.NotebookNode) -> list[str]:
    """Warnings that a reader would see under a cell."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    return [o.text for o in outputs if o.get("name") == "stderr" and "Warning" in o.text]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_on_its_own(lesson, run_lesson, request):
    full_size = request.config.getoption("--full-size")
    result = run_lesson(lesson, mocked=not full_size, timeout=900 if full_size else 600)  # seconds a cell may take
    assert result.error is None, result.error.trace
    assert unseen_errors(result.nb) == []
    assert printed_warnings(result.nb) == []


EXPLORER = """
from jointnet.show.widgets.base import Explorer, shows_errors
class Failing(Explorer):
    _esm = "export default {}"
    @shows_errors
    def fail(self):
        return {}["layer"]
explorer = Failing()
"""


def notebook_file(folder: Path, *cells: str) -> Path:
    path = folder / "drawn.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(c) for c in cells]), path)
    return path


def test_an_error_inside_a_widget_does_not_pass_unseen(tmp_path, run_lesson):
    lesson = notebook_file(
        tmp_path,
        "import ipywidgets\nwith ipywidgets.Output():\n    1 / 0",
        "ipywidgets.interact(lambda x: [][x], x=3)",
        EXPLORER + "explorer.fail()",
    )
    result = run_lesson(lesson)
    assert result.error is None  # why the scan is needed
    kinds = [error.split(":")[0] for error in unseen_errors(result.nb)]
    assert sorted(kinds) == ["IndexError", "KeyError", "ZeroDivisionError"]


def test_a_warning_under_a_cell_is_found(tmp_path, run_lesson):
    result = run_lesson(notebook_file(tmp_path, "import warnings\nwarnings.warn('drawn for the test')"))
    assert len(printed_warnings(result.nb)) == 1


def test_full_size_leaves_the_readers_values_in_place(tmp_path, run_lesson):
    lesson = notebook_file(tmp_path, "epochs = 20", "print(epochs)")
    notebook = nbformat.read(lesson, 4)
    notebook.cells[0].metadata["nbmake"] = {"mock": {"epochs": 1}}
    nbformat.write(notebook, lesson)
    assert run_lesson(lesson).nb.cells[1].outputs[0].text == "1\n"
    assert run_lesson(lesson, mocked=False).nb.cells[1].outputs[0].text == "20\n"
