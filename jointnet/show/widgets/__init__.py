"""Explorers: widgets that run in any notebook and as pages of their own, each loaded when it is first used."""

from importlib import import_module
from typing import Any

_HOME = {
    "ChangeExplorer": "change",
    "ErrorExplorer": "errors", "LabelEditor": "labels", "LossExplorer": "loss", "NetworkExplorer": "network",
    "PatchExplorer": "patches", "Quiz": "quiz",
    "SceneExplorer": "scene", "TileBrowser": "tiles", "TrainingMonitor": "training",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
