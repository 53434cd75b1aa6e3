"""What the lessons look like in git: clean, complete and alike. Nothing is run."""

import re
from pathlib import Path

import nbformat
import pytest

LESSONS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)


def cells_of(lesson: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(lesson, 4).cells if cell.cell_type == kind]


@each_lesson
def test_no_outputs_are_kept_in_git(lesson):
    left = [c for c in cells_of(lesson, "code") if c.outputs or c.execution_count is not None]
    assert left == [], f"run nbstripout notebooks/{lesson.name}"
    assert "widgets" not in nbformat.read(lesson, 4).metadata


@each_lesson
def test_a_lesson_is_a_valid_notebook_for_any_python_3(lesson):
    notebook = nbformat.read(lesson, 4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


@each_lesson
def test_a_lesson_has_the_parts_that_every_lesson_has(lesson):
    headings = re.findall(r"^#+ (.+)$", "\n\n".join(c.source for c in cells_of(lesson, "markdown")), re.MULTILINE)
    titles = " / ".join(headings)
    for part in ("Overview", "Prerequisites", "Summary", "Next"):
        assert re.search(part, titles, re.IGNORECASE), f"{lesson.name} has no section {part}: {titles}"


@each_lesson
def test_the_values_that_tests_replace_are_set_in_the_cell_a_reader_sees(lesson):
    """A mock of a name that its cell does not set would leave the test running something else than it says."""
    mocked = [c for c in cells_of(lesson, "code") if c.metadata.get("nbmake", {}).get("mock")]
    for cell in mocked:
        assert "parameters" in cell.metadata.get("tags", [])
        for name in cell.metadata.nbmake.mock:
            assert re.search(rf"^{name}\b.*=", cell.source, re.MULTILINE), f"{name} is mocked, never set"
