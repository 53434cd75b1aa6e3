"""Quiz: questions with choices, and a sentence on each choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import traitlets

from jointnet.show.widgets.base import Explorer, code_of


class Quiz(Explorer):
    """Questions to be answered by choosing; what there is to say on a choice is said at once, in words.

    It is used with the mouse, with Tab and arrow keys, and with a screen reader. Where widgets cannot run the questions
    stand as text, without what is said on the choices.

    Args:
        questions: {"question": text, "choices": [{"text", "right": bool, "says"}]}, one or more.
        heading: what stands above them.
    """

    _esm = code_of("quiz")

    questions: Any = traitlets.List().tag(sync=True)
    heading = traitlets.Unicode("Quiz").tag(sync=True)
    chosen = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, questions: Sequence[dict], heading: str = "Quiz") -> None:
        super().__init__(questions=list(questions), heading=heading, chosen=[-1] * len(questions))

    @property
    def title(self) -> str:
        """What the tab of its page says."""
        return f"{self.heading} - JointNet"

    @property
    def right(self) -> int:
        """How many questions are answered rightly."""
        pairs = zip(self.questions, self.chosen, strict=True)
        return sum(at >= 0 and bool(question["choices"][at].get("right")) for question, at in pairs)

    def as_text(self) -> str:
        """The questions and their choices in Markdown."""
        lines = [f"**{self.heading}**"]
        for number, question in enumerate(self.questions, 1):
            lines += ["", f"{number}. {question['question']}", *(f"    - {c['text']}" for c in question["choices"])]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and the questions as text for where no widget can run."""
        bundle = anywidget.AnyWidget._repr_mimebundle_(self, **options)
        if bundle is None:
            return None
        data, metadata = bundle
        return data | {"text/markdown": self.as_text()}, metadata
