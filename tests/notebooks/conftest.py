"""Runs lessons in a folder of their own."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbmake.nb_result import NotebookResult
from nbmake.nb_run import NotebookRun

# To trace and compile the networks of these takes longer than their few steps in a test; of the others, that pays.
TRAINING = ("03_training", "07_your_own_town")
UNCOMPILED = """
import warnings
import tensorflow as tf
tf.config.run_functions_eagerly(True)
warnings.filterwarnings("ignore", message=".*does not apply to tf.data functions")
"""


@pytest.fixture
def run_lesson(tmp_path, project_root, monkeypatch):
    """Runs a notebook from top to bottom, in a copy that can leave nothing in the clone."""
    monkeypatch.setenv("PYTHONPATH", str(project_root))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("MPLBACKEND", raising=False)

    def run(path: Path, mocked: bool = True, timeout: int = 300) -> NotebookResult:
        copy = tmp_path / "notebooks" / path.name
        copy.parent.mkdir(exist_ok=True)
        notebook = nbformat.read(path, 4)
        if mocked:
            first = [new_code_cell(UNCOMPILED)] if path.stem in TRAINING else []
            notebook.cells = [*first, *notebook.cells]
        else:
            without_mocks(notebook)
        nbformat.write(notebook, copy)
        return NotebookRun(copy, timeout).execute()

    return run


def without_mocks(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook as a reader runs it, with the values that the parameters cell shows."""
    for cell in notebook.cells:
        cell.metadata.get("nbmake", {}).pop("mock", None)
    return notebook
