"""The running average of a network's weights: scored and kept, while training goes on with the weights of the moment.

At a constant learning rate the weights swing about a good place, and their average lies nearer to it (Polyak and
Juditsky 1992, doi:10.1137/0330046). Keras' optimizers keep it among their own variables (`use_ema`), so a saved state
holds both.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np


class AverageCallback(keras.callbacks.Callback):
    """Puts the average in the network while it is scored, and afterwards the weights of the moment, to the last bit.

    Attributes:
        scored: the weights that were scored last, as `get_weights` gives them; None before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scored: list[np.ndarray] | None = None
        self._moment: list[np.ndarray] = []

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Puts the average in the network."""
        self._moment = self._weights()
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        self.model.set_weights(self._weights())  # on JAX the two share memory now, which scoring gives away

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Puts the weights of the moment back."""
        self.scored = self._weights()
        self.model.set_weights(self._moment)

    def _weights(self) -> list[np.ndarray]:
        """Copies of what is in the network."""
        return [np.array(values) for values in self.model.get_weights()]
