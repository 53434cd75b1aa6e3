"""The folder of a training run: the best weights, the last state to go on from, the history; never half-written."""

from __future__ import annotations

import csv
import json
import math
import signal
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from jointnet.errors import JointNetError
from jointnet.files import InUseError, alone, check_file_name, written_whole
from jointnet.network.average import AverageCallback
from jointnet.network.card import Card
from jointnet.network.weights import save_model


class TrainingError(JointNetError, RuntimeError):
    """Training cannot begin or go on; the message says what was kept and what to do."""


class StoppedError(TrainingError):
    """Training was stopped by hand or by a signal before there was anything to keep.

    Attributes:
        exit_code: what the process should exit with, as shells have it: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


@contextmanager
def alone_in_run(out: Path) -> Iterator[None]:
    """Keeps other trainings out of a run's folder, which is made; the system lets them in if this process dies.

    Raises:
        TrainingError: if another training is there, or the folder cannot be made.
    """
    busy = f"another training into {out} is running; wait until it is done, or choose another folder"
    with ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            stack.callback(_remove_empty, out)
            stack.enter_context(alone(out / ".training.lock", busy))
        except InUseError as error:
            raise TrainingError(busy) from error
        except OSError as error:
            raise TrainingError(f"{out} cannot be made: choose one that you may write to ({error})") from error
        yield


def _remove_empty(folder: Path) -> None:
    """Removes a folder that nothing came into."""
    with suppress(OSError):
        folder.rmdir()


class StopTraining(Exception):
    """Raised by a callback to end training after the running step; the last finished epoch stays as it is."""


class RunState:
    """Files of a run in `out`: best.weights.h5 + best.json, history.csv, state.json and the weights it names.

    state.json is written last and in one step, so it always names a complete state.

    Args:
        out: the folder.
        writes: False where another process writes the same run; the history is kept in memory alone.
    """

    def __init__(self, out: Path, writes: bool = True) -> None:
        self.out, self.writes = out, writes
        self.best = out / "best.weights.h5"
        self.history: dict[str, list[float]] = {}
        self.settings: dict[str, Any] = {}
        self.changes: dict[str, str] = {}  # epoch -> the settings that are new with it
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
            kept = self._read()
            self.history, self.settings, self.changes = kept["history"], kept["settings"], kept["changes"]

    def _read(self) -> dict[str, Any]:
        """What state.json holds.

        Raises:
            TrainingError: if it is damaged.
        """
        why = "its parts do not go together"
        try:
            kept = {"settings": {}, "changes": {}} | json.loads(self._state.read_text(encoding="utf-8"))
            check_file_name(kept["weights"], "the file of the state's weights")
            whole = isinstance(kept["settings"], dict) and isinstance(kept["changes"], dict) and all(
                len(values) == kept["epochs"] for values in kept["history"].values())
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            whole, why = False, str(error)
        if not whole:
            raise TrainingError(f"{self._state} is damaged; put a copy in its place, or begin another run with the "
                                f"weights in {self.best.name} ({why})")
        return kept

    def note(self, settings: dict[str, Any]) -> None:
        """Keeps what the next epochs are trained with; what differs from the epochs before is noted in the history.

        Warns:
            UserWarning: if something differs.
        """
        differs = [f"{name} {self.settings[name]} -> {value}" for name, value in settings.items()
                   if name in self.settings and self.settings[name] != value]
        if differs:
            epoch = 1 + len(next(iter(self.history.values()), []))
            self.changes = {**self.changes, str(epoch): "; ".join(differs)}
            warnings.warn(f"{self.out} goes on with other settings from epoch {epoch} on: {'; '.join(differs)}; noted "
                          f"in history.csv", stacklevel=4)
        self.settings = settings

    def restore(self, model: keras.Model) -> int:
        """Loads weights and optimiser of the last finished epoch; returns the number of finished epochs.

        Raises:
            TrainingError: if the state does not fit the model.
        """
        if not self._state.exists():
            return 0
        state = self._read()
        model.optimizer.build(model.trainable_variables)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "Skipping variable loading")  # an optimizer's, where they do not fit
                model.load_weights(self.out / state["weights"])
        except (OSError, ValueError, KeyError, UserWarning) as error:
            raise TrainingError(
                f"the state in {self.out} does not fit this network; resume with the settings it began with ({error})"
            ) from error
        return int(state["epochs"])

    def branch(self, model: keras.Model) -> None:
        """Loads the last state into the network of another run.

        Raises:
            TrainingError: if there is none, or it does not fit the model.
        """
        if not self.restore(model):
            raise TrainingError(
                f"{self.out} holds no finished epoch to branch off from; give the folder of a run that has one"
            )

    def save(self, model: keras.Model, logs: dict[str, float]) -> None:
        """Adds an epoch: its figures, the model's weights and the optimiser's state."""
        epochs = 1 + len(next(iter(self.history.values()), []))
        unknown = [math.nan] * (epochs - 1)  # what earlier epochs did not measure
        history = {k: [*self.history.get(k, unknown), float(v)] for k, v in logs.items()}
        if not self.writes:
            self.history = history
            return
        weights = self.out / f"last-{epochs:04d}.weights.h5"
        with written_whole(weights) as draft:
            model.save_weights(draft)
        with written_whole(self._state) as draft:
            draft.write_text(json.dumps({"epochs": epochs, "weights": weights.name, "history": history,
                                         "settings": self.settings, "changes": self.changes}), encoding="utf-8")
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
            noted = ["changed"] if self.changes else []
            writer.writerow(["epoch", *self.history, *noted])
            for number, row in enumerate(rows, 1):
                writer.writerow([number, *row, *(self.changes.get(str(number), "") for _ in noted)])


class CheckpointCallback(keras.callbacks.Callback):
    """Keeps the best weights with their card and the last state; ends early; refuses a loss that is no number.

    A disk that is full ends training with the state of the epoch before in place.

    Args:
        state: the run's folder.
        card: card of the weights; its steps are counted on and the validation score is filled in.
        patience: epochs without a better `monitor` before training ends; None never does.
        steps_per_epoch: batches in an epoch.
        average: the callback that has the averaged weights scored; without it, the weights of the moment are.
        monitor: name of the score to go by; larger is better.
    """

    def __init__(self, state: RunState, card: Card, patience: int | None, steps_per_epoch: int,
                 average: AverageCallback | None = None, monitor: str = "val_iou") -> None:
        super().__init__()
        self.state, self.card, self.patience = state, card, patience
        self.steps_per_epoch, self.average, self.monitor = steps_per_epoch, average, monitor
        self.ended, self._clock = "finished", time.process_time()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Stops at a loss that is no number, before it spoils a checkpoint."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} at step {batch + 1}; the last finished epoch is kept in {self.state.out}: "
                f"resume with a lower learning rate"
            )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Saves what the epoch brought."""
        clock, self._clock = self._clock, time.process_time()
        logs = {**(logs or {}), "cpu_seconds": self._clock - clock}
        before = self.state.history.get(self.monitor, [])
        try:
            with by_itself():
                if self.state.writes and logs.get(self.monitor, 0.0) > max(before, default=-math.inf):
                    scores = {"validation": {k.removeprefix("val_"): round(float(v), 4)
                                             for k, v in logs.items() if k.startswith("val_")}}
                    card = replace(self.card, steps=self.card.steps + (epoch + 1) * self.steps_per_epoch, scores=scores)
                    save_model(self._scored(card), self.state.best, card)
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

    def _scored(self, card: Card) -> keras.Model:
        """The network with the weights that were scored."""
        if self.average is None:
            return self.model
        network = card.build()
        network.set_weights(self.average.scored)
        return network


@contextmanager
def by_itself() -> Iterator[None]:
    """What is built and written in this block is of this process alone: of several, each would wait for the others."""
    shared = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(shared)


class StopOnSignal(keras.callbacks.Callback):
    """Ends training on Ctrl-C and when the process is told to end (SIGTERM); the last finished epoch's state stays.

    It does not wait for a step's end: the first one of a large network is compiled for minutes, while whoever sent the
    signal gives a process some seconds. Only what runs outside of Python, a step at most, is finished.
    """

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Begins to listen for the signals, but for those that the process was begun to be deaf to, as by nohup."""
        self._told: int | None = None
        heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._stop) for number in heard}

    def _stop(self, number: int, frame: Any) -> None:
        self._told = number
        raise KeyboardInterrupt(number)  # an Exception would be caught, or made another, by what compiles

    def _stop_again(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Ends training where the interrupt was lost: Python drops those that come while an object is deleted."""
        if self._told is not None:
            raise KeyboardInterrupt(self._told)

    on_train_batch_end = on_test_batch_end = _stop_again

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Puts back whatever handled the signals before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
