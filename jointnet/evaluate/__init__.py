"""How good a prediction is, and where it fails.

The package and the verb `jointnet.evaluate` have one name, and Python binds that name to whichever was imported last.
So the package can be called, and then is the verb.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jointnet.evaluate.scores import Scores


class _Evaluate(ModuleType):
    """This package, which can be called as `jointnet.evaluate.scores.evaluate`."""

    def __call__(self, *arguments: Any, **keywords: Any) -> Scores:
        """`Scores` of predictions; arguments as `jointnet.evaluate.scores.evaluate` takes them."""
        from jointnet.evaluate.scores import evaluate

        return evaluate(*arguments, **keywords)


sys.modules[__name__].__class__ = _Evaluate
