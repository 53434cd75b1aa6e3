"""JointNet: buildings and roads from aerial imagery, with one network.

The names below are loaded when first used, so `import jointnet` is instant.
"""

from jointnet.lazy import loaded_when_used

__version__ = "0.1.0"

_HOME = {
    "open_dataset": "data.catalogue",
    "open_place": "data.places",
    "build_jointnet": "network.model",
    "train": "network.training",
    "load_model": "network.weights",
    "open_weights": "network.card",
    "predict_array": "predict.arrays",
    "predict_mask": "predict.arrays",
    "predict_scene": "predict.scenes",
    "predict_many": "predict.many",
    "evaluate": "evaluate.scores",
    "show_map": "show.maps",
    "SceneExplorer": "show.widgets.scene",
    "ErrorExplorer": "show.widgets.errors",
    "PlaceExplorer": "show.places",
    "LabelEditor": "show.widgets.labels",
}
__all__ = sorted(_HOME)
__getattr__, __dir__ = loaded_when_used(__name__, _HOME)
