"""Pages: text from data is escaped, and what a template misses is not passed over."""

import jinja2
import pytest

from jointnet.show.pages import read_asset, render


def test_text_is_escaped_and_html_of_ours_is_not():
    page = render("widgets/page.html", title="roofs < 5 m & sheds", style="a > b {}", piece="<p>ours</p>")
    assert "<title>roofs &lt; 5 m &amp; sheds</title>" in page
    assert "<p>ours</p>" in page
    assert "a > b {}" in page


def test_a_value_that_a_template_misses_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        render("widgets/page.html", style="", piece="")


def test_what_lies_beside_the_modules_is_read_as_it_is():
    assert read_asset("widgets/page.css").startswith(":root { color-scheme: light dark; }")
