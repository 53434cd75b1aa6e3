"""Losses on probabilities: (batch, H, W, classes) labels and predictions in, one number out.

Each ignores no-data exactly: a pixel whose weight is 0 changes neither the value nor the gradient. Weights are
(batch, H, W, 1) or (batch, H, W, classes), 0 or 1, and reach a loss as Keras' `sample_weight`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from jointnet.errors import InputError

CLIP = 1e-7  # keeps logarithms finite, as Keras does


def cross_entropy(y_true: KerasTensor, y_pred: KerasTensor, weight: KerasTensor) -> KerasTensor:
    """Binary cross-entropy, the mean over valid pixels."""
    p_true = _probability_of_truth(y_true, y_pred)
    return _mean_over_valid(-ops.log(p_true), weight)


def focal(
    y_true: KerasTensor, y_pred: KerasTensor, weight: KerasTensor, gamma: float = 2.0, alpha: float = 0.25
) -> KerasTensor:
    """Focal loss, -alpha_t (1 - p_t)^gamma log(p_t), the mean over valid pixels.

    Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5. `alpha` weighs the foreground, 1 - `alpha`
    the background.
    """
    p_true = _probability_of_truth(y_true, y_pred)
    alpha_true = y_true * alpha + (1 - y_true) * (1 - alpha)
    return _mean_over_valid(-alpha_true * ops.power(1 - p_true, gamma) * ops.log(p_true), weight)


def dice(y_true: KerasTensor, y_pred: KerasTensor, weight: KerasTensor, smooth: float = 1.0) -> KerasTensor:
    """1 - Dice coefficient of each class over the whole batch, averaged over classes.

    Milletari et al. 2016, "V-Net", with `smooth` pixels added above and below, so that an empty truth met by an
    empty prediction costs nothing.
    """
    axes = (0, 1, 2)
    overlap = ops.sum(weight * y_true * y_pred, axis=axes)
    total = ops.sum(weight * (y_true + y_pred), axis=axes)
    return ops.mean(1 - (2 * overlap + smooth) / (total + smooth))


def negative_dice(y_true: KerasTensor, y_pred: KerasTensor, weight: KerasTensor, smooth: float = 1.0) -> KerasTensor:
    """-Dice coefficient, as the Keras implementation that this project descends from trained with."""
    return dice(y_true, y_pred, weight, smooth) - 1


def cross_entropy_dice(y_true: KerasTensor, y_pred: KerasTensor, weight: KerasTensor) -> KerasTensor:
    """Cross-entropy + Dice: the first finds every pixel, the second the shape of a rare class."""
    return cross_entropy(y_true, y_pred, weight) + dice(y_true, y_pred, weight)


def focal_dice(y_true: KerasTensor, y_pred: KerasTensor, weight: KerasTensor) -> KerasTensor:
    """Focal + Dice."""
    return focal(y_true, y_pred, weight) + dice(y_true, y_pred, weight)


LOSSES = {
    "cross_entropy": cross_entropy,
    "focal": focal,
    "dice": dice,
    "negative_dice": negative_dice,
    "cross_entropy_dice": cross_entropy_dice,
    "focal_dice": focal_dice,
}
DEFAULT_LOSS = {"buildings": "cross_entropy_dice", "roads": "focal"}
TYPICAL_THRESHOLD = {"focal": 0.4}  # a pixel as likely foreground as not gets 0.399 from it, not 0.5


@keras.saving.register_keras_serializable("jointnet")
class PixelLoss(keras.losses.Loss):
    """A loss of this module as Keras wants it: `PixelLoss("focal")`.

    With several classes, `name` may list one loss for each, as "cross_entropy_dice,focal"; they are averaged.

    Raises:
        ValueError: if a name is unknown.
    """

    def __init__(self, name: str = "cross_entropy_dice") -> None:
        super().__init__(name=name)
        self.names = name.split(",")
        unknown = [n for n in self.names if n not in LOSSES]
        if unknown:
            raise InputError(f"loss {', '.join(unknown)} is unknown; choose from {', '.join(LOSSES)}")

    def __call__(
        self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: KerasTensor | None = None
    ) -> KerasTensor:
        """Loss of a batch; `sample_weight` is 0 where there is no imagery."""
        y_pred = ops.cast(y_pred, "float32")
        y_true = ops.cast(y_true, "float32")
        weight = ops.ones_like(y_true) if sample_weight is None else ops.cast(sample_weight, "float32")
        weight = ops.broadcast_to(weight, ops.shape(y_true))
        if len(self.names) == 1:
            return LOSSES[self.names[0]](y_true, y_pred, weight)
        each = [
            LOSSES[name](y_true[..., k : k + 1], y_pred[..., k : k + 1], weight[..., k : k + 1])
            for k, name in enumerate(self.names)
        ]
        return sum(each) / len(each)

    def get_config(self) -> dict[str, Any]:
        """The name, which is all there is to rebuild it."""
        return {"name": ",".join(self.names)}


def _probability_of_truth(y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
    """What the network gave to the right answer, kept away from 0 and 1."""
    y_pred = ops.clip(y_pred, CLIP, 1 - CLIP)
    return y_true * y_pred + (1 - y_true) * (1 - y_pred)


def _mean_over_valid(values: KerasTensor, weight: KerasTensor) -> KerasTensor:
    """Weighted mean; 0 if no pixel is valid."""
    return ops.sum(values * weight) / ops.maximum(ops.sum(weight), 1.0)
