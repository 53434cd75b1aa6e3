"""Scores while training: pixels counted over a whole epoch, then one ratio; never a mean of ratios.

Counts are kept in float32: exact up to 16.7 million a batch, and an epoch's IoU is right to about six digits.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops


class PixelMetric(keras.metrics.Metric):
    """Counts true and false positives and negatives at a threshold, no-data left out.

    Args:
        threshold: probabilities from it on are foreground, as in prediction; one for all classes, or one for each.
        class_index: the class to count; without it, all classes together.
        name: name of the metric.
    """

    def __init__(
        self, threshold: float | list[float] = 0.6, class_index: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.threshold, self.class_index = threshold, class_index
        self.tp = self.add_weight(name="tp", initializer="zeros", dtype="float32")
        self.fp = self.add_weight(name="fp", initializer="zeros", dtype="float32")
        self.fn = self.add_weight(name="fn", initializer="zeros", dtype="float32")

    def update_state(
        self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: KerasTensor | None = None
    ) -> None:
        """Adds a batch: (batch, H, W, classes) labels and probabilities, weights 0 where there is no imagery."""
        truth = ops.cast(y_true, "float32")
        found = ops.cast(ops.cast(y_pred, "float32") >= ops.array(self.threshold, "float32"), "float32")
        weight = ops.ones_like(truth) if sample_weight is None else ops.cast(sample_weight, "float32")
        weight = ops.broadcast_to(weight, ops.shape(truth))
        if self.class_index is not None:
            k = self.class_index
            truth, found, weight = truth[..., k], found[..., k], weight[..., k]
        self.tp.assign_add(ops.sum(weight * truth * found))
        self.fp.assign_add(ops.sum(weight * (1 - truth) * found))
        self.fn.assign_add(ops.sum(weight * truth * (1 - found)))

    def get_config(self) -> dict[str, Any]:
        """Arguments to rebuild it."""
        return {"threshold": self.threshold, "class_index": self.class_index, "name": self.name}


@keras.saving.register_keras_serializable("jointnet")
class IoU(PixelMetric):
    """Intersection over union, TP / (TP + FP + FN); 0 before anything is counted."""

    def result(self) -> KerasTensor:
        """The ratio over all that was counted."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)


@keras.saving.register_keras_serializable("jointnet")
class Precision(PixelMetric):
    """The share of what is called foreground that is, TP / (TP + FP)."""

    def result(self) -> KerasTensor:
        """The ratio over all that was counted."""
        return _ratio(self.tp, self.tp + self.fp)


@keras.saving.register_keras_serializable("jointnet")
class Recall(PixelMetric):
    """The share of the foreground that is found, TP / (TP + FN)."""

    def result(self) -> KerasTensor:
        """The ratio over all that was counted."""
        return _ratio(self.tp, self.tp + self.fn)


@keras.saving.register_keras_serializable("jointnet")
class F1(PixelMetric):
    """2 TP / (2 TP + FP + FN), which is also the Dice coefficient of the two masks."""

    def result(self) -> KerasTensor:
        """The ratio over all that was counted."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def _ratio(part: KerasTensor, whole: KerasTensor) -> KerasTensor:
    """part / whole, 0 where the whole is 0."""
    return part / ops.maximum(whole, 1.0)
