"""Lessons in; slides out, which open in a browser without a network: reveal.js comes from an installed package."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jointnet.errors import MissingPackageError
from jointnet.files import written_whole
from jointnet.show.pages import render
from jointnet.teach.copies import student_copy, tags_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

SLIDE = "slide"  # tag of the cells that are shown
REVEAL = ("dist", "plugin/notes", "LICENSE")  # what slides need of it
STILLS = ["text/html", "text/markdown", "image/svg+xml", "image/png", "text/plain"]  # a widget as its picture
SIGNS = {r"\rho": "ρ", r"\sin": "sin ", r"\cos": "cos ", r"\pi": "π", "^2": "²"}  # of the formulas in the lessons
CODE_LINES = 14  # that a slide has room for


def make_slides(lessons: str | Path, folder: str | Path, run: bool = True) -> Iterator[str]:
    """Writes a page of slides for each lesson, NAME.html, and what they need beside them, and says what was written.

    Args:
        lessons: the folder of the lessons.
        folder: where the slides go; it can be copied and opened anywhere.
        run: run the lessons first, as a reader does, so that slides have figures; else only text and code.

    Raises:
        ImportError: if sphinx-revealjs is not installed.
    """
    folder = Path(folder)
    _bring_reveal(folder / "reveal")
    for lesson in sorted(Path(lessons).glob("[0-9][0-9]_*.ipynb")):
        page = slides_of(_executed(lesson) if run else _read(lesson), lesson.stem)
        with written_whole(folder / f"{lesson.stem}.html") as draft:
            draft.write_text(page, encoding="utf-8")
        yield f"{folder / lesson.stem}.html"


def slides_of(lesson: NotebookNode, name: str) -> str:
    """The page of a lesson's slides. Solutions are left out.

    A tagged cell of text begins a slide: headings, lists and questions are shown, the whole text is in the speaker's
    notes (key S). A tagged cell of code is a slide below it. A lesson without tags shows its headings.

    Args:
        lesson: with outputs, where figures are to be shown.
        name: what the tab of the page says.
    """
    columns: list[list[str]] = []
    cells = student_copy(lesson).cells
    for cell in [c for c in cells if SLIDE in tags_of(c)] or [c for c in cells if c.source.startswith("#")]:
        if cell.cell_type == "markdown" or not columns:
            columns.append([])
        columns[-1].append(_text_slide(cell) if cell.cell_type == "markdown" else _code_slide(cell))
    return render("slides.html", title=name, columns=columns, style=_code_style())


def shown_of(text: str) -> str:
    """What a slide shows of Markdown: headings, lists, tables, bold sentences, and a last sentence that asks."""
    kept = []
    for block in re.split(r"\n\s*\n", text):
        if re.match(r"#|[*+-] |\d+\. |\||```", block):
            kept.append(block)
        elif asked := re.findall(r"\*\*[^*]+[.?:]\*\*", block) or re.findall(r"[^.?!:]+\?(?=\s*$)", block):
            kept += [part.strip() for part in asked]
    return "\n\n".join(kept)


def _text_slide(cell: Any) -> str:
    return f'{_as_html(shown_of(cell.source))}<aside class="notes">{_as_html(cell.source)}</aside>'


def _code_slide(cell: Any) -> str:
    from nbformat.v4 import new_notebook

    exporter = _exporter(cell.source.count("\n") < CODE_LINES)
    return exporter.from_notebook_node(new_notebook(cells=[cell]))[0]


@functools.cache
def _exporter(show_code: bool) -> Any:
    from nbconvert.exporters import HTMLExporter
    from traitlets.config import Config

    config = Config({"NbConvertBase": {"display_data_priority": STILLS}})
    return HTMLExporter(config=config, template_name="basic", exclude_input=not show_code, exclude_input_prompt=True,
                        exclude_output_prompt=True)


def _as_html(markdown: str) -> str:
    from nbconvert.filters import markdown2html

    return markdown2html(re.sub(r"\$([^$\n]+)\$", _plain_formula, markdown))


def _plain_formula(found: re.Match) -> str:
    """A short formula as text: slides have no MathJax, which would come from the network."""
    text = found[1]
    for sign, plain in SIGNS.items():
        text = text.replace(sign, plain)
    return f"*{text}*"


def _code_style() -> str:
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(style="default").get_style_defs(".highlight")


def _bring_reveal(folder: Path) -> None:
    found = find_spec("sphinx_revealjs")
    if found is None or not found.submodule_search_locations:
        raise MissingPackageError("slides need reveal.js, which sphinx-revealjs brings: pip install sphinx-revealjs")
    source = Path(found.submodule_search_locations[0]) / "_static" / "revealjs"
    for name in REVEAL:
        place = folder / name
        if (source / name).is_dir():
            shutil.copytree(source / name, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.map"))
        else:
            shutil.copy(source / name, place)


def _read(lesson: Path) -> NotebookNode:
    import nbformat

    return nbformat.read(lesson, 4)


def _executed(lesson: Path) -> NotebookNode:
    from nbconvert.preprocessors import ExecutePreprocessor

    notebook = _read(lesson)
    ExecutePreprocessor(timeout=None, kernel_name="python3").preprocess(
        notebook, {"metadata": {"path": str(lesson.parent)}})
    return notebook
