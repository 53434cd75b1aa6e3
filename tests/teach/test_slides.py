"""Slides: what is tagged and no more, text without its solutions, nothing that comes from the network."""

import re
import shutil

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from jointnet.errors import MissingPackageError
from jointnet.teach import slides
from jointnet.teach.slides import make_slides, shown_of, slides_of

SHOWN = {"tags": ["slide"]}
ASIDE = re.compile("<aside.*?</aside>", re.DOTALL)


def lesson():
    picture = new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"})
    return new_notebook(cells=[
        new_markdown_cell("## Windows\n\nA long explanation.\n\n**Why windows?** Guess.", metadata=SHOWN),
        new_code_cell("figure", outputs=[picture], metadata=SHOWN),
        new_markdown_cell("Prose that is not tagged."),
        new_markdown_cell("Where $\\sin^2 x$ falls, what rises?", metadata=SHOWN),
        new_code_cell("secret", metadata={"tags": ["slide", "solution"]}),
    ])


def test_tagged_cells_are_shown_and_solutions_never():
    page = slides_of(lesson(), "drawn")
    body, notes = re.sub(ASIDE, "", page), re.findall(ASIDE, page)
    assert "Why windows?" in body and "data:image/png;base64,iVBORw0KGgo=" in body
    assert "A long explanation" not in body and "A long explanation" in notes[0]
    assert "not tagged" not in page and "secret" not in page
    assert "sin ² x" in body  # a formula as text
    assert page.count("<section>") == 2 + 3  # two columns; the first holds a text and a picture


def test_of_a_text_headings_lists_and_questions_are_shown():
    text = "# Title\n\nA sentence. And one.\n\n* first\n* second\n\nWords. Does it help?\n\nIt does: wait."
    assert shown_of(text) == "# Title\n\n* first\n* second\n\nDoes it help?"


def test_a_page_asks_for_nothing_outside_its_folder(project_root, tmp_path):
    pytest.importorskip("sphinx_revealjs", reason="sphinx-revealjs is not installed: pip install -e '.[slides]'")
    for name in ("00_start_here.ipynb", "04_inference.ipynb"):
        shutil.copy(project_root / "notebooks" / name, tmp_path)
    assert len(list(make_slides(tmp_path, tmp_path, run=False))) == 2
    for path in tmp_path.glob("*.html"):
        page = path.read_text()
        asked = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', page)
        assert [a for a in asked if not a.startswith("data:") and not (tmp_path / a).is_file()] == []
        assert page.count("<section>") > 4


def test_without_reveal_the_reader_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install sphinx-revealjs"):
        next(make_slides(tmp_path, tmp_path / "out"))
