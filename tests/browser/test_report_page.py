"""The report in a real browser: its figures are there, its explorer lives, and nothing comes from outside."""

import pytest

from jointnet.show.report import write_report
from tests.browser.conftest import watch
from tests.show.known_errors import write_known

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_lives_and_its_explorer_flies(browser, tmp_path, dark):
    dataset, folder = write_known(tmp_path)
    report = write_report(tmp_path / "report.html", folder, dataset)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark" if dark else "light")
    watched = watch(context.new_page())
    page = watched.page
    page.goto(report.as_uri())
    page.wait_for_selector(".jn-error-explorer[data-ready=true]", timeout=15_000)
    page.locator("tr[data-id=vienna2-2]").click()
    page.wait_for_function("document.querySelector('.jn-error-explorer').dataset.at === 'vienna2-2'")
    widths = page.eval_on_selector_all("figure img", "all => all.map(i => i.naturalWidth)")
    assert len(widths) == 4
    assert min(widths) > 200
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    watched.shot(f"report{'_dark' if dark else ''}")
    context.close()
    assert watched.outside == []
    assert watched.complaints == []
