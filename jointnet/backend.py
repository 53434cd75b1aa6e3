"""Keras, loaded when it is first needed and without the announcements of its backend.

Importing this module loads nothing: it prepares what happens when Keras is loaded later, by `import keras` or by
`from jointnet.backend import keras`, in this process.

TensorFlow 2.21 writes several lines to stderr while it is imported, before it reads its own TF_CPP_MIN_LOG_LEVEL; under
a notebook's first cell they look like errors. TF_CPP_MIN_LOG_LEVEL=0 or 1 shows them.

TensorFlow has oneDNN's convolutions on every x86 processor but uses them by itself only on the newest. On an AMD EPYC
of 2021 they halve the time of a training step, so they are asked for; TF_ENABLE_ONEDNN_OPTS=0 overrules that.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Nothing that is written to file descriptor 2 inside the block is shown; Python's exceptions pass as ever."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # a program without stderr has nothing to silence
        yield
        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


class _QuietKeras:
    """A finder of modules that has Keras loaded inside `silent_stderr`, wherever it is imported first."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Where Keras is and how it is loaded; None for other modules."""
        spec = PathFinder.find_spec(name, path) if name == "keras" else None
        loader: Any = None if spec is None else spec.loader
        if loader is not None:
            loader.exec_module = silent_stderr()(loader.exec_module)
        return spec


def __getattr__(name: str) -> Any:
    if name == "keras":
        return importlib.import_module("keras")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") in ("2", "3") and "keras" not in sys.modules:
    sys.meta_path.insert(0, _QuietKeras)
