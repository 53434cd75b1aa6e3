"""Quizzes: each lesson has three to five questions, each with one right choice and a sentence on every choice."""

import re

import nbformat
import pytest

from jointnet.errors import InputError
from jointnet.teach import quiz
from jointnet.teach.checks import LESSONS


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_question_has_one_right_choice_and_something_to_say_on_each(lesson):
    asked = quiz(lesson).questions
    assert 3 <= len(asked) <= 5
    for question in asked:
        assert [c["right"] for c in question["choices"]].count(True) == 1
        assert len({c["text"] for c in question["choices"]}) >= 3
        assert all(len(c["says"]) > 15 for c in question["choices"])


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_right_choice_is_not_always_in_the_same_place(lesson):
    at = {[c["right"] for c in question["choices"]].index(True) for question in quiz(lesson).questions}
    assert len(at) > 1


def test_right_answers_are_counted():
    asked = quiz("01")
    assert asked.right == 0
    asked.chosen = [[c["right"] for c in q["choices"]].index(True) for q in asked.questions]
    assert asked.right == len(asked.questions)


def test_without_widgets_the_questions_stand_as_text_that_tells_nothing():
    asked = quiz("03")
    data = asked._repr_mimebundle_()[0]
    assert "application/vnd.jupyter.widget-view+json" in data
    text = data["text/markdown"]
    for question in asked.questions:
        assert question["question"] in text
        assert all(c["text"] in text and c["says"] not in text for c in question["choices"])


def test_a_lesson_without_quiz_is_said_with_those_that_have_one():
    with pytest.raises(InputError, match="lesson '99' has no quiz; these have one: 01, 02"):
        quiz("99")


def test_each_lesson_shows_its_quiz_and_checks_its_exercises(project_root):
    """In the lesson that is there: a cell for the answer, then its check, for every exercise."""
    from jointnet.teach.checks import exercises_of

    for lesson in LESSONS:
        (path,) = (project_root / "notebooks").glob(f"{lesson}_*.ipynb")
        cells = nbformat.read(path, 4).cells
        tagged = {tag: [c.source for c in cells if tag in c.metadata.get("tags", [])] for tag in ("quiz", "check")}
        assert tagged["quiz"] == [f'quiz("{lesson}")']
        checked = re.findall(r'^check\("([\d.]+)", answer_\d', "\n".join(tagged["check"]), re.MULTILINE)
        assert checked == exercises_of(lesson)
