"""JointNet: buildings and roads from aerial imagery, with one network.

The names below are loaded when first used, so `import jointnet` is instant.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "open_dataset": "jointnet.data.catalogue",
    "open_place": "jointnet.data.places",
    "build_jointnet": "jointnet.network.model",
    "train": "jointnet.network.training",
    "load_model": "jointnet.network.weights",
    "open_weights": "jointnet.network.card",
    "predict_array": "jointnet.predict.scenes",
    "predict_mask": "jointnet.predict.scenes",
    "predict_scene": "jointnet.predict.scenes",
    "predict_many": "jointnet.predict.many",
    "evaluate": "jointnet.evaluate.scores",
    "show_map": "jointnet.show.maps",
    "SceneExplorer": "jointnet.show.widgets.scene",
    "ErrorExplorer": "jointnet.show.widgets.errors",
    "PlaceExplorer": "jointnet.show.places",
    "LabelEditor": "jointnet.show.widgets.labels",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'jointnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
