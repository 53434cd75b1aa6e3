"""Runs lessons in a folder of their own."""

import shutil
from pathlib import Path

import nbformat
import pytest
from nbmake.nb_result import NotebookResult
from nbmake.nb_run import NotebookRun


@pytest.fixture
def run_lesson(tmp_path, project_root, monkeypatch):
    """Runs a notebook from top to bottom, in a copy that can leave nothing in the clone."""
    monkeypatch.setenv("PYTHONPATH", str(project_root))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("MPLBACKEND", raising=False)

    def run(path: Path, mocked: bool = True, timeout: int = 300) -> NotebookResult:
        copy = tmp_path / "notebooks" / path.name
        copy.parent.mkdir(exist_ok=True)
        if mocked:
            shutil.copy(path, copy)
        else:
            nbformat.write(without_mocks(nbformat.read(path, 4)), copy)
        return NotebookRun(copy, timeout).execute()

    return run


def without_mocks(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook as a reader runs it, with the values that the parameters cell shows."""
    for cell in notebook.cells:
        cell.metadata.get("nbmake", {}).pop("mock", None)
    return notebook
