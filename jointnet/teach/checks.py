"""The number of an exercise and a reader's answer in; right, or a hint, out. No hint gives the answer away."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from jointnet.errors import InputError, JointNetError

ANSWERS = Path(__file__).with_name("answers.json")  # those answers that are numbers
LESSONS = ("01", "02", "03", "04", "05", "06")
FORM = (AttributeError, IndexError, KeyError, TypeError, ValueError)  # errors that an answer of another form ends in
Hint = Callable[[Any, Any], str | None]  # (answer, what the exercise was given) -> what is wrong, None if it is right


@dataclass(frozen=True)
class Verdict:
    """What is said of an answer. It is true where the answer is right, so that `assert check(...)` holds a solution.

    Attributes:
        number: of the exercise, as "02.1".
        right: True, False, or None while there is no answer.
        says: a sentence or two.
    """

    number: str
    right: bool | None
    says: str

    def __bool__(self) -> bool:
        """Whether the answer is right."""
        return self.right is True

    def __str__(self) -> str:
        """The verdict as text."""
        return f"{self.number}: {self.says}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The verdict as a notebook shows it: said in words, and a bar of colour beside it."""
        colour = {True: "#009E73", False: "#D55E00", None: "#999999"}[self.right]
        style = f"border-left: 5px solid {colour}; padding: 2px 10px"
        return f'<div role="status" style="{style}">{escape(str(self))}</div>'


@dataclass(frozen=True)
class Exercise:
    """One exercise: what it asks for, in words, and the function that judges an answer."""

    number: str
    asks: str
    hint: Hint


_EXERCISES: dict[str, Exercise] = {}


def exercise(number: str, asks: str) -> Callable[[Hint], Hint]:
    """Decorates the function that judges the answers to an exercise.

    Args:
        number: lesson and exercise, as "02.1".
        asks: what an answer is: its form and units.
    """

    def keep(hint: Hint) -> Hint:
        _EXERCISES[number] = Exercise(number, asks, hint)
        return hint

    return keep


def check(number: str, answer: Any, given: Any = None) -> Verdict:
    """What is to be said of an answer: right, or a hint.

    Args:
        number: of the exercise, as "02.1".
        answer: the reader's; None stands for none yet.
        given: what the exercise starts from, where it depends on the scenes that the lesson was run with.

    Raises:
        ValueError: if there is no such exercise.
    """
    found = find_exercise(number)
    if answer is None:
        return Verdict(number, None, f"no answer yet. Expected: {found.asks}.")
    try:
        hint = found.hint(_plain(answer), given)
    except Exception as error:  # noqa: BLE001 - whatever an answer does, its author gets a hint
        hint = _stumbled(answer, error)
    return Verdict(number, hint is None, "right." if hint is None else f"not yet: {hint}. Expected: {found.asks}.")


def _plain(answer: Any) -> Any:
    """The answer, a pandas table as {row: value} or {row: (value, value, ...)}."""
    import pandas as pd  # late: `make lab` needs none

    if isinstance(answer, pd.Series):
        return answer.to_dict()
    if isinstance(answer, pd.DataFrame):
        return {row: tuple(values) for row, values in zip(answer.index, answer.to_numpy(), strict=True)}
    return answer


def _stumbled(answer: Any, error: Exception) -> str:
    """What to say where judging ended in an error: that of the reader's own function, or that the form is another."""
    if callable(answer) or isinstance(error, JointNetError) or not isinstance(error, FORM):
        return f"that ended in {type(error).__name__}: {error}"
    return f"an answer of type {type(answer).__name__} has another form than the one that is asked for"


def find_exercise(number: str) -> Exercise:
    """The exercise of a number.

    Raises:
        ValueError: if there is none.
    """
    if number not in _EXERCISES and number[:2] in LESSONS:
        import_module(f"jointnet.teach.lesson_{number[:2]}")
    if number not in _EXERCISES:
        known = ", ".join(sorted(n for n in _EXERCISES if n[:2] == number[:2])) or "01.1 to 06.4"
        raise InputError(f"there is no exercise {number!r}; this lesson has {known}")
    return _EXERCISES[number]


def exercises_of(lesson: str) -> list[str]:
    """The numbers of a lesson's exercises that have a check, in order: ["02.1", "02.2", ...]."""
    if lesson in LESSONS:
        import_module(f"jointnet.teach.lesson_{lesson}")
    return sorted(number for number in _EXERCISES if number.startswith(f"{lesson}."))


@functools.cache
def _answers() -> dict[str, Any]:
    return json.loads(ANSWERS.read_text(encoding="utf-8"))


def known_answer(number: str) -> Any:
    """The right answer to an exercise whose answer is numbers, as `answers.json` holds it."""
    return _answers()[number]


def wrong_keys(answer: Any, expected: Any) -> str | None:
    """What is wrong with the keys of an answer that is a table of numbers, {key: value}."""
    if set(answer) == set(expected):
        return None
    return f"the answer has values for {', '.join(map(str, answer))}, where {', '.join(map(str, expected))} were asked"
