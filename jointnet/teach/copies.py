"""Lessons in; copies out: to work in, so that a lesson itself is never changed, and without solutions, for a class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jointnet.files import written_whole

if TYPE_CHECKING:
    from nbformat import NotebookNode

FROM = "jointnet_lesson"  # in a copy's metadata: which lesson it was made of
OLDER = "older-than-its-lesson"  # tag of the cell that says so
SOLUTION = "solution"


def make_working_copies(lessons: str | Path, folder: str | Path) -> Iterator[str]:
    """Copies the lessons into a folder to work in; a copy that its reader has changed is never touched but by a note.

    A copy that was not changed is replaced where its lesson has changed. Of one that was, the new lesson is laid beside
    it, and the copy says so in its first cell.

    Args:
        lessons: the folder of the lessons.
        folder: where the copies go.

    Yields:
        A sentence for each copy that was made or that is older than its lesson.
    """
    for lesson in sorted(Path(lessons).glob("[0-9][0-9]_*.ipynb")):
        copy, digest = Path(folder) / lesson.name, _digest(lesson)
        if not copy.exists():
            _write(working_copy(_read(lesson), digest), copy)
            yield f"{copy} is new"
            continue
        have = _read(copy)
        if have.metadata.get(FROM, {}).get("digest") == digest:
            continue
        if _is_untouched(have):
            _write(working_copy(_read(lesson), digest), copy)
            yield f"{copy} was unchanged and is now that of the new lesson"
            continue
        beside = copy.with_name(f"{copy.stem}.{digest[:8]}.ipynb")
        if not beside.exists():
            _write(working_copy(_read(lesson), digest), beside)
        _write(_said_to_be_older(have, beside.name), copy)
        yield f"{copy} is older than its lesson, and holds work of yours; the new one lies beside it: {beside.name}"


def working_copy(lesson: NotebookNode, digest: str) -> NotebookNode:
    """The lesson to work in: solutions are folded away, and it knows what it was made of."""
    for cell in lesson.cells:
        if SOLUTION in tags_of(cell):
            cell.metadata["jupyter"] = {"source_hidden": True}
    lesson.metadata[FROM] = {"digest": digest, "cells": _sources(lesson)}
    return lesson


def student_copy(lesson: NotebookNode) -> NotebookNode:
    """The lesson without its solutions: neither their code nor their prose."""
    lesson.cells = [cell for cell in lesson.cells if SOLUTION not in tags_of(cell)]
    return lesson


def make_student_copies(lessons: str | Path, folder: str | Path) -> Iterator[str]:
    """Writes the lessons without their solutions, and says what was written."""
    for lesson in sorted(Path(lessons).glob("[0-9][0-9]_*.ipynb")):
        whole = _read(lesson)
        cells = len(whole.cells)
        copy = student_copy(whole)
        _write(copy, Path(folder) / lesson.name)
        yield f"{Path(folder) / lesson.name}: {cells - len(copy.cells)} of {cells} cells are left out"


def tags_of(cell: Any) -> list[str]:
    """The tags of a cell."""
    return list(cell.metadata.get("tags", ()))


def _digest(lesson: Path) -> str:
    return hashlib.sha256(lesson.read_bytes()).hexdigest()


def _sources(notebook: NotebookNode) -> str:
    """A digest of what stands in the cells; outputs and counts do not matter."""
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells if OLDER not in tags_of(cell)]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def _is_untouched(copy: NotebookNode) -> bool:
    return copy.metadata.get(FROM, {}).get("cells") == _sources(copy)


def _said_to_be_older(copy: NotebookNode, newer: str) -> NotebookNode:
    from nbformat.v4 import new_markdown_cell

    text = f"**This copy is older than its lesson.** Your work is kept here; the new lesson is [{newer}]({newer})."
    rest = [cell for cell in copy.cells if OLDER not in tags_of(cell)]
    copy.cells = [new_markdown_cell(text, metadata={"tags": [OLDER]}), *rest]
    return copy


def _read(path: Path) -> NotebookNode:
    import nbformat

    return nbformat.read(path, 4)


def _write(notebook: NotebookNode, path: Path) -> None:
    import nbformat

    with written_whole(path) as draft:
        nbformat.write(notebook, draft)
