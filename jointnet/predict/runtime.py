"""OpenVINO, loaded so that it reports nothing, and one `CORE` for all networks of the process.

Its converter would tell its makers of each import and each conversion, through a forked copy of this process, with its
threads' locks as they happen to be. `openvino` of this module is the package as it is where `openvino-telemetry` is not
installed; a program that loaded OpenVINO before has it as it loaded it.

Each `openvino.Core` that compiles gives its thread a stack to handle signals on, and takes it away when it goes; of two
that go in the order they came, the second leaves a stack that is no more, and Ctrl-C ends the process with a
segmentation fault (seen with OpenVINO 2026). One that stays takes nothing away.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

_TOLD = "openvino_telemetry"
_known = sys.modules.get(_TOLD)
sys.modules[_TOLD] = None  # type: ignore[assignment]  # how an import is made to fail
try:
    openvino: Any = import_module("openvino")
finally:
    del sys.modules[_TOLD]
    if _known is not None:
        sys.modules[_TOLD] = _known

CORE: Any = openvino.Core()
