"""ChangeExplorer: two predictions of one scene, before and after, to swipe between; and what came and went."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jointnet.data.scene import Scene
from jointnet.show.layers import Layer
from jointnet.show.widgets.scene import SceneExplorer

NAMES = {"prediction": "after", "truth": "before", "errors": "what changed"}
CHANGES = [["TP", "in both"], ["FP", "new"], ["FN", "gone"]]


class ChangeExplorer(SceneExplorer):
    """A scene under what was found in it before and after, with the difference in colour.

    Args:
        scene: a scene or an image file.
        before: mask file or array of the earlier prediction.
        after: that of the later one.
        class_name: what both show.
        max_size: as in `SceneExplorer`.
        height: height of the canvas, in CSS pixels.
        bands: as in `SceneExplorer`.

    Raises:
        ValueError: if a mask is not on the scene's grid.
    """

    def __init__(self, scene: Scene | str | Path, before: Layer, after: Layer, class_name: str = "buildings",
                 max_size: int = 2048, height: int = 520, bands: Sequence[int] | None = None) -> None:
        super().__init__(scene, truth=before, mask=after, threshold=0.5, class_name=class_name, max_size=max_size,
                         height=height, bands=bands)

    @property
    def title(self) -> str:
        """What is compared."""
        return f"Before and after in {self._scene.name} - JointNet"

    def _describe(self, height: int, polygons: list) -> dict:
        """As of a prediction and its truth, under other names, and without a threshold, which masks have not."""
        return super()._describe(height, polygons) | {"names": NAMES, "errors": CHANGES, "cut": False}

    def _count(self) -> dict:
        """None: neither side is the truth, so there is nothing to score."""
        return {}
