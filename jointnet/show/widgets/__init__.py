"""Explorers: widgets that run in any notebook and as pages of their own, each loaded when it is first used."""

from jointnet.lazy import loaded_when_used

_HOME = {
    "ChangeExplorer": "change",
    "ErrorExplorer": "errors", "LabelEditor": "labels", "LossExplorer": "loss", "NetworkExplorer": "network",
    "PatchExplorer": "patches", "Quiz": "quiz",
    "SceneExplorer": "scene", "TileBrowser": "tiles", "TrainingMonitor": "training",
}
__all__ = sorted(_HOME)
__getattr__, __dir__ = loaded_when_used(__name__, _HOME)
