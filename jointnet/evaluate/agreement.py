"""Two people's labels of the same ground in; how far they agree, the yardstick for any score against either, out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jointnet.data.scene import Scene
from jointnet.errors import InputError
from jointnet.evaluate.counts import Counts, MatchedCounts, count_pixels
from jointnet.evaluate.objects import count_objects, find_overlaps


@dataclass(frozen=True)
class Agreement:
    """The first person's labels taken for the truth, the second's for a prediction of it.

    Attributes:
        pixels: of the ground that both have marked as done.
        objects: those that share half of their union with one of the other person, and all, on both sides.
        merged: objects of the second person that cover several of the first's.
        split: objects of the first person that hold several of the second's.
    """

    pixels: Counts
    objects: MatchedCounts
    merged: int
    split: int

    @property
    def iou(self) -> float:
        """Pixels that both call foreground, of those that either does: the same whoever is taken for the truth."""
        return self.pixels.iou

    def says(self) -> str:
        """In a sentence."""
        return (f"IoU {self.iou:.3f}; {self.objects.precision:.0%} of the second person's objects and "
                f"{self.objects.recall:.0%} of the first's have a partner that shares half their union; {self.merged} "
                f"merged, {self.split} split")


def agreement(first: str | Path, second: str | Path, scene: Scene, class_name: str = "buildings") -> Agreement:
    """How far two people agree on a scene, where both have marked their labels as done.

    Args:
        first, second: what each has kept, as NAME_labels.gpkg; or any vector file, which is complete everywhere.
        scene: the scene, or a part of it.
        class_name: class of the labels.

    Raises:
        InputError: if there is no ground that both have marked.
    """
    (one, done), (other, also_done) = (_read(Path(path), scene, class_name) for path in (first, second))
    both = done & also_done & scene.read_valid()
    if not both.any():
        raise InputError(f"no ground of {scene.name} is marked as done in both {first} and {second}; the two have to "
                         f"label one block together")
    found = count_objects(find_overlaps(one, other, both))
    return Agreement(count_pixels(one, other, both), found.all, found.merged, found.split)


def _read(path: Path, scene: Scene, class_name: str) -> tuple[np.ndarray, np.ndarray]:
    """One person's mask, and where it is complete."""
    return replace(scene, labels={class_name: path}, masks={}).read_truth(class_name)
