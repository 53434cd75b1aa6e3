"""The number of a lesson in; its quiz out. The questions are data, one file a lesson."""

from __future__ import annotations

import json
from pathlib import Path

from jointnet.errors import InputError
from jointnet.show.widgets.quiz import Quiz

QUESTIONS = Path(__file__).with_name("questions")


def quiz(lesson: str) -> Quiz:
    """The quiz of a lesson, as a widget.

    Args:
        lesson: its number, as "02".

    Raises:
        ValueError: if the lesson has none.
    """
    path = QUESTIONS / f"{lesson}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in QUESTIONS.glob("*.json")))
        raise InputError(f"lesson {lesson!r} has no quiz; these have one: {known}")
    return Quiz(json.loads(path.read_text(encoding="utf-8")), f"Quiz of lesson {lesson}")
