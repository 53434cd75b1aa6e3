"""Explorers: widgets that run in any notebook and as pages of their own."""

from jointnet.show.widgets.errors import ErrorExplorer
from jointnet.show.widgets.loss import LossExplorer
from jointnet.show.widgets.network import NetworkExplorer
from jointnet.show.widgets.patches import PatchExplorer
from jointnet.show.widgets.scene import SceneExplorer
from jointnet.show.widgets.tiles import TileBrowser
from jointnet.show.widgets.training import TrainingMonitor

__all__ = [
    "ErrorExplorer", "LossExplorer", "NetworkExplorer", "PatchExplorer", "SceneExplorer", "TileBrowser",
    "TrainingMonitor",
]
