"""What makes lessons a course: checks of the reader's answers, quizzes, working and student copies, slides."""

from jointnet.lazy import loaded_when_used

_HOME = {"check": "checks", "clear_example": "scenes", "first_look": "scenes", "lesson_scenes": "scenes",
         "quiz": "quizzes", "whole_images": "scenes"}
__all__ = sorted(_HOME)
__getattr__, __dir__ = loaded_when_used(__name__, _HOME)
