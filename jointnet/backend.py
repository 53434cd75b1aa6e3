"""Keras, loaded without the announcements of its backend: `from jointnet.backend import keras`.

TensorFlow 2.21 writes several lines to stderr while it is imported, before it reads its own TF_CPP_MIN_LOG_LEVEL; under
a notebook's first cell they look like errors. TF_CPP_MIN_LOG_LEVEL=0 or 1 shows them.

TensorFlow has oneDNN's convolutions on every x86 processor but uses them by itself only on the newest. On an AMD EPYC
of 2021 they halve the time of a training step, so they are asked for; TF_ENABLE_ONEDNN_OPTS=0 overrules that.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


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


os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") in ("2", "3"):
    with silent_stderr():
        import keras
else:
    import keras

__all__ = ["keras", "silent_stderr"]
