"""What makes lessons a course: checks of the reader's answers, quizzes, working and student copies, slides."""

from importlib import import_module
from typing import Any

_HOME = {"check": "checks", "clear_example": "scenes", "first_look": "scenes", "lesson_scenes": "scenes",
         "quiz": "quizzes", "whole_images": "scenes"}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
