"""Copies of lessons: to work in, told when they are older, and without a word of a solution for students."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from jointnet.teach.copies import make_student_copies, make_working_copies, tags_of

LESSONS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def write_lesson(folder: Path, text: str, name: str = "01_drawn.ipynb") -> Path:
    solution = new_code_cell("answer = 42", metadata={"tags": ["solution"]})
    said = new_markdown_cell("It is forty-two.", metadata={"tags": ["solution"]})
    folder.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell(text), new_code_cell("1 + 1"), solution, said]), folder / name)
    return folder / name


@pytest.fixture
def folders(tmp_path):
    write_lesson(tmp_path / "lessons", "# First edition")
    return tmp_path / "lessons", tmp_path / "mine"


def copied(folders) -> list[str]:
    return list(make_working_copies(*folders))


def test_a_copy_is_made_once_and_the_lesson_stays_as_it_is(folders):
    lessons, mine = folders
    before = (lessons / "01_drawn.ipynb").read_bytes()
    assert len(copied(folders)) == 1
    assert copied(folders) == []
    assert (lessons / "01_drawn.ipynb").read_bytes() == before
    folded = [c for c in nbformat.read(mine / "01_drawn.ipynb", 4).cells if c.metadata.get("jupyter")]
    assert [tags_of(c) for c in folded] == [["solution"], ["solution"]]


def test_a_copy_that_was_only_run_becomes_that_of_the_new_lesson(folders):
    lessons, mine = folders
    copied(folders)
    run = nbformat.read(mine / "01_drawn.ipynb", 4)
    run.cells[1].execution_count = 1
    nbformat.write(run, mine / "01_drawn.ipynb")
    write_lesson(lessons, "# Second edition")
    assert "is now that of the new lesson" in copied(folders)[0]
    assert nbformat.read(mine / "01_drawn.ipynb", 4).cells[0].source == "# Second edition"
    assert [p.name for p in mine.iterdir()] == ["01_drawn.ipynb"]


def test_a_copy_with_work_in_it_says_that_it_is_older_and_the_new_one_lies_beside_it(folders):
    lessons, mine = folders
    copied(folders)
    worked = nbformat.read(mine / "01_drawn.ipynb", 4)
    worked.cells[1].source = "1 + 2  # mine"
    nbformat.write(worked, mine / "01_drawn.ipynb")
    for edition in ("# Second edition", "# Second edition", "# Third edition"):
        write_lesson(lessons, edition)
        said = copied(folders)
    assert "holds work of yours" in said[0]
    kept = nbformat.read(mine / "01_drawn.ipynb", 4)
    assert kept.cells[2].source == "1 + 2  # mine"
    assert sum("older than its lesson" in c.source for c in kept.cells) == 1  # said once
    newest = said[0].rpartition(" ")[2]
    assert f"({newest})" in kept.cells[0].source
    assert nbformat.read(mine / newest, 4).cells[0].source == "# Third edition"


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    folder = tmp_path_factory.mktemp("students")
    said = list(make_student_copies(LESSONS[0].parent, folder))
    assert len(said) == len(LESSONS)
    return folder


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_no_solution_is_in_a_students_copy(lesson, students):
    """Neither a cell that is tagged, nor a sentence or a line of one anywhere else."""
    whole, copy = nbformat.read(lesson, 4).cells, nbformat.read(students / lesson.name, 4).cells
    left = "\n".join(c.source for c in copy)
    assert [c for c in copy if "solution" in tags_of(c)] == []
    solutions = [c.source for c in whole if "solution" in tags_of(c)]
    lines = [line for s in solutions for line in s.splitlines() if len(line) > 30 and not line.startswith("from ")]
    assert [line for line in lines if line in left] == []


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_after_an_exercise_comes_nothing_but_its_check_that_is_not_tagged(lesson):
    """Prose that stands between a solution and the next exercise would be its answer."""
    cells = nbformat.read(lesson, 4).cells
    for before, cell in zip(cells, cells[1:], strict=False):
        if "solution" in tags_of(before) and cell.cell_type == "markdown" and "solution" not in tags_of(cell):
            assert cell.source.startswith(("**Exercise", "**1", "**2", "**3", "**4", "## Next", "Where you disagree"))


def test_a_students_copy_is_a_valid_notebook(students):
    for path in students.glob("*.ipynb"):
        nbformat.validate(nbformat.read(path, 4))
