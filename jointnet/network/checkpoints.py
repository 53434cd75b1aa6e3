"""The folder of a training run: the best weights, the last state to go on from, the history; never half-written."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import keras

from jointnet.errors import JointNetError
from jointnet.files import written_whole
from jointnet.network.card import Card
from jointnet.network.weights import save_model


class TrainingError(JointNetError, RuntimeError):
    """Training cannot begin or go on; the message says what was kept and what to do."""


class StopTraining(Exception):
    """Raised by a callback to end training after the running step; the last finished epoch stays as it is."""


class RunState:
    """Files of a run in `out`: best.weights.h5 + best.json, history.csv, state.json and the weights it names.

    state.json is written last and in one step, so it always names a complete state.
    """

    def __init__(self, out: Path):
        self.out = out
        self.best = out / "best.weights.h5"
        self.history: dict[str, list[float]] = {}
        self._state = out / "state.json"

    def open(self, resume: bool) -> None:
        """Makes the folder, and reads the history of a run that is resumed.

        Raises:
            TrainingError: if another run's state is there and `resume` is False, or the reverse, or it is no folder.
        """
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"{self.out} cannot be made: choose one that you may write to ({error})") from error
        if self._state.exists() and not resume:
            raise TrainingError(f"{self.out} holds a run already: resume it (resume=True, --resume) or choose another")
        if resume and self._state.exists():
            self.history = json.loads(self._state.read_text(encoding="utf-8"))["history"]

    def restore(self, model: keras.Model) -> int:
        """Loads weights and optimiser of the last finished epoch; returns the number of finished epochs.

        Raises:
            TrainingError: if the state does not fit the model.
        """
        if not self._state.exists():
            return 0
        state = json.loads(self._state.read_text(encoding="utf-8"))
        model.optimizer.build(model.trainable_variables)
        try:
            model.load_weights(self.out / state["weights"])
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(
                f"the state in {self.out} does not fit this network; resume with the settings it began with ({error})"
            ) from error
        return int(state["epochs"])

    def save(self, model: keras.Model, logs: dict[str, float]) -> None:
        """Adds an epoch: its figures, the model's weights and the optimiser's state."""
        history = {k: [*self.history.get(k, []), float(v)] for k, v in logs.items()}
        epochs = len(next(iter(history.values())))
        weights = self.out / f"last-{epochs:04d}.weights.h5"
        with written_whole(weights) as draft:
            model.save_weights(draft)
        with written_whole(self._state) as draft:
            draft.write_text(json.dumps({"epochs": epochs, "weights": weights.name, "history": history}),
                             encoding="utf-8")
        self.history = history
        self._write_csv()
        for old in self.out.glob("last-*.weights.h5"):
            if old != weights:
                old.unlink()

    def _write_csv(self) -> None:
        """The history as a table, for spreadsheets."""
        rows = zip(*self.history.values(), strict=True)
        with written_whole(self.out / "history.csv") as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", *self.history])
            writer.writerows([number, *row] for number, row in enumerate(rows, 1))


class CheckpointCallback(keras.callbacks.Callback):
    """Keeps the best weights with their card and the last state; ends early; refuses a loss that is no number.

    A disk that is full ends training with the state of the epoch before in place.

    Args:
        state: the run's folder.
        card: of the weights; its steps are counted on and the validation score is filled in.
        patience: epochs without a better `monitor` before training ends; None never does.
        steps_per_epoch: batches in an epoch.
        monitor: the larger the better.
    """

    def __init__(self, state: RunState, card: Card, patience: int | None, steps_per_epoch: int,
                 monitor: str = "val_iou"):
        super().__init__()
        self.state, self.card, self.patience = state, card, patience
        self.steps_per_epoch, self.monitor = steps_per_epoch, monitor
        self.ended = "finished"

    def on_train_batch_end(self, batch, logs=None):
        """Stops at a loss that is no number, before it spoils a checkpoint."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} at step {batch + 1}; the last finished epoch is kept in {self.state.out}: "
                f"resume with a lower learning rate"
            )

    def on_epoch_end(self, epoch, logs=None):
        """Saves what the epoch brought."""
        logs = logs or {}
        before = self.state.history.get(self.monitor, [])
        try:
            if logs.get(self.monitor, 0.0) > max(before, default=-math.inf):
                scores = {"validation": {k.removeprefix("val_"): round(float(v), 4)
                                         for k, v in logs.items() if k.startswith("val_")}}
                card = replace(self.card, steps=self.card.steps + (epoch + 1) * self.steps_per_epoch, scores=scores)
                save_model(self.model, self.state.best, card)
            self.state.save(self.model, logs)
        except OSError as error:
            raise TrainingError(
                f"epoch {epoch + 1} could not be saved in {self.state.out}; make room or choose another disk, then "
                f"resume: the state before it is whole ({error})"
            ) from error
        values = self.state.history.get(self.monitor, [])
        best = values.index(max(values)) if values else 0
        if self.patience is not None and len(values) - 1 - best >= self.patience:
            self.ended = "early"
            self.model.stop_training = True
