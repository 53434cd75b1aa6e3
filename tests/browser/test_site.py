"""The course as a web site: opened from its folder in a real browser, with no network."""

import re
import subprocess
import sys
from urllib.parse import urldefrag

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.browser.conftest import watch

EXPLORER = """
import numpy as np
from jointnet.show.layers import ArrayScene
from jointnet.show.widgets.scene import SceneExplorer
image = np.full((64, 64, 3), 90, np.uint8)
SceneExplorer(image, np.tile(np.linspace(0, 1, 64), (64, 1)), threshold=0.5)
"""
# Browsers let pages that are files read no others: search then shows titles without extracts, and says so there.
OF_FILES = ("from origin 'null'", "net::ERR_FAILED", "Failed to fetch")


@pytest.fixture(scope="module")
def site(tmp_path_factory, project_root):
    """The site with the real lessons unexecuted, and one small lesson with an explorer and a formula."""
    folder = tmp_path_factory.mktemp("site")
    lessons = folder / "lessons"
    lessons.mkdir()
    for path in (project_root / "notebooks").glob("[0-9]*.ipynb"):
        (lessons / path.name).write_bytes(path.read_bytes())
    small = new_notebook(cells=[
        new_markdown_cell(
            "# A small lesson\n\nAn overlap of $w - 1$ pixels; the GSD is known. [First](01_data_preparation.ipynb)"),
        new_code_cell("side = 1", metadata={"nbmake": {"mock": {"side": 2}}}),
        new_code_cell("print('side', side)"),
        new_code_cell(EXPLORER),
        new_code_cell("from jointnet.teach import quiz\nquiz('01')")])
    nbformat.write(small, lessons / "99_small.ipynb")
    done = subprocess.run(
        [sys.executable, "docs/site/build.py", folder / "html", "--lessons", lessons, "--run", "99_small", "--small",
         "--work", folder / "work"], cwd=project_root, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    watched = watch(context.new_page())
    yield watched
    context.close()
    assert watched.outside == []
    assert [c for c in watched.complaints if not any(part in c for part in OF_FILES)] == []


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_every_link_leads_to_a_page_and_nothing_is_asked_of_a_host(site, page):
    pages = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)  # the theme's template
    assert len(pages) > 12
    known = {path.as_uri() for path in pages}
    anchors, links = {}, []
    for path in (p for p in pages if p.parent.name != "live"):
        page.page.goto(path.as_uri(), wait_until="domcontentloaded")
        anchors[path.as_uri()] = set(page.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)"))
        links += page.page.evaluate("[...document.querySelectorAll('a[href]')].map(a => [location.href, a.href])")
    for origin, link in links:
        address, anchor = urldefrag(link)
        if address.startswith("file:"):
            assert address in known or site.joinpath(address.partition("/html/")[2]).exists(), (origin, link)
            assert not anchor or address not in anchors or anchor in anchors[address], (origin, link)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_an_explorer_is_alive_a_formula_is_set_and_a_term_leads_to_the_glossary(site, page):
    page.page.goto((site / "notebooks/99_small.html").as_uri())
    assert "side 2" in page.page.inner_text("article")
    page.page.wait_for_selector(".MathJax", state="attached", timeout=60_000)
    page.page.locator(".live").first.scroll_into_view_if_needed()
    frame = page.page.frame_locator(".live iframe").first
    frame.locator(".jn[data-ready=true]").wait_for(timeout=60_000)
    slider = frame.locator("input[type=range]").first
    before = slider.input_value()
    slider.focus()
    slider.press("ArrowRight")
    assert slider.input_value() != before
    shown = frame.locator(".jn").bounding_box()["height"]
    assert abs(page.page.locator(".live").first.bounding_box()["height"] - shown) < 2  # as tall as what is in it
    assert frame.locator(".jn").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"
    page.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    frame.locator("body").evaluate("() => new Promise((done) => setTimeout(done, 300))")
    assert frame.locator(".jn").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(30, 30, 30)"  # page.css
    page.page.click("article a:has-text('GSD')")
    page.page.wait_for_url("**/docs/glossary.html#term-gsd")


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_search_finds_a_word_and_a_phone_shows_pages_without_sideways_scrolling(site, page):
    page.page.goto((site / "search.html").as_uri() + "?q=overlap")
    page.page.wait_for_selector("#search-results :text('Search finished')", timeout=60_000)
    found = page.page.inner_text("#search-results")
    assert "A small lesson" in found
    assert "Glossary" in found
    page.page.set_viewport_size({"width": 390, "height": 844})
    for name in ("index", "notebooks/99_small", "notebooks/04_inference", "docs/results", "reference"):
        page.page.goto((site / f"{name}.html").as_uri())
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 390, name


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_the_first_page_names_the_minutes_of_lessons_and_the_score_of_the_results(site, page):
    page.page.goto((site / "index.html").as_uri())
    minutes = {row[0]: row[-1] for row in rows_of(page)}
    assert minutes["1. Data preparation"] == "not run"
    assert 0 <= float(minutes["A small lesson"]) < 5
    score, interval = re.search(r"IoU of ([\d.]+) \(([^)]+)\)", page.page.inner_text("article")).groups()
    page.page.goto((site / "docs/results.html").as_uri())
    assert ["pooled", score, interval] in [row[:3] for row in rows_of(page)]


def rows_of(page):
    """The rows of the tables of a page, each a list of words."""
    words = "[...document.querySelectorAll('article tr')].map(r => [...r.cells].map(c => c.innerText.trim()))"
    return page.page.evaluate(words)


def test_only_the_first_use_of_a_term_is_linked_and_code_is_left_alone(project_root, monkeypatch):
    monkeypatch.syspath_prepend(str(project_root / "docs/site"))
    from terms import with_anchors, with_links

    glossary, terms = with_anchors("* **Scene**: one image.\n* **Growth rate**: features.")
    assert glossary == "* [**Scene**]{#term-scene}: one image.\n* [**Growth rate**]{#term-growth-rate}: features."
    text = "# Scene\n`scene` and [a scene](x.md): two scenes, one scene, growth rate."
    assert with_links(text, terms, set()) == (
        "# Scene\n`scene` and [a scene](x.md): two [scenes](#term-scene), one scene, [growth rate](#term-growth-rate).")
