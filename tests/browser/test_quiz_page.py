"""Quiz in a real browser: by keyboard, and what a screen reader is given."""

import pytest

from jointnet.show.widgets import Quiz

pytestmark = pytest.mark.browser
QUESTIONS = [
    {"question": "Which is even?", "choices": [{"text": "one", "right": False, "says": "It is odd."},
                                               {"text": "two", "right": True, "says": "Half of it is one."}]},
    {"question": "A <b>tag</b>?", "choices": [{"text": "<i>no</i>", "right": True, "says": "Text."}]},
]


def test_choices_are_made_by_keyboard_and_answered_in_words(open_page):
    watched = open_page(Quiz(QUESTIONS, "Quiz of lesson 99"), width=700, height=500)
    page = watched.page
    first = page.get_by_role("group", name="1. Which is even?")
    first.get_by_label("one").focus()
    page.keyboard.press("Space")
    assert first.get_by_role("status").text_content() == "Not this one. It is odd."
    page.keyboard.press("ArrowDown")
    assert first.get_by_role("status").text_content() == "Right. Half of it is one."
    assert watched.get("chosen") == [1, -1]
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.get_by_text("2 of 2 right").is_visible()
    assert page.get_by_role("group", name="2. A <b>tag</b>?").get_by_label("<i>no</i>").is_checked()
    watched.shot("quiz_700")
