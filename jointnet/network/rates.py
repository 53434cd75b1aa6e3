"""Learning rates by the step: a run of known length, a run without an end, and the fall that finishes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import keras

WARM_UP = 100  # steps in which a rate that stays constant is reached


def cosine_rate(step: int, peak: float, total: int) -> float:
    """Climbs over the first twentieth of all steps, then falls to a hundredth of the peak along a cosine.

    Args:
        step: counted from 0.
        peak: highest rate.
        total: steps of the whole run.
    """
    warm_up = max(1, total // 20)
    if step < warm_up:
        return peak * (0.1 + 0.9 * step / warm_up)
    way = min(1.0, (step - warm_up) / max(1, total - warm_up))
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * way)) / 2)


def constant_rate(step: int, peak: float, total: int) -> float:
    """Climbs over the first hundred steps and stays: a run that may end at any time. Arguments as `cosine_rate`."""
    return peak * min(1.0, 0.1 + 0.9 * step / WARM_UP)


def falling_rate(step: int, peak: float, total: int) -> float:
    """Falls from the peak to a hundredth in a straight line: how a constant rate is finished.

    What a constant rate has found swings about a good place; the fall settles into it. Arguments as `cosine_rate`.
    """
    return peak * (1 - 0.99 * min(1.0, step / max(1, total - 1)))


SCHEDULES = {"cosine": cosine_rate, "constant": constant_rate, "falling": falling_rate}


class RateCallback(keras.callbacks.Callback):
    """Sets the learning rate of each step from outside.

    A Keras schedule is worked out again for every variable of the network, which makes the first step many times
    slower. The rate depends on the step's number alone, so a resumed run goes on exactly.

    Args:
        rate: (step) -> rate.
        steps_per_epoch: batches in an epoch.
    """

    def __init__(self, rate: Callable[[int], float], steps_per_epoch: int) -> None:
        super().__init__()
        self.rate, self.steps_per_epoch, self.epoch = rate, steps_per_epoch, 0
        self._last: float | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Remembers where the run is."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Sets the rate of the step, where it differs from the last one."""
        rate = self.rate(self.epoch * self.steps_per_epoch + batch)
        if rate != self._last:
            if keras.backend.backend() == "jax":  # its `fit` carries the variables along and would not see the change
                self.model.jax_state_sync()
            self.model.optimizer.learning_rate = self._last = rate
