"""TrainingMonitor: the curves of a training as it runs, predictions that sharpen, and a Stop button that works."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets
from PIL import Image, ImageDraw

from jointnet.show.layers import encode
from jointnet.show.widgets.base import Explorer, code_of

PAUSE = 0.4  # seconds between two looks at the steps
MOVING = 20  # steps that the loss curve is the mean of
POINTS = 400  # of the loss curve; a longer one is thinned


class TrainingMonitor(Explorer):
    """Watch a training: show the monitor in a cell, then hand `monitor.callback(...)` to `train` in the next.

    Stop is heard within one step although the kernel is busy: by the widget itself where Jupyter runs widgets in a
    subshell, else by an interrupt of the kernel, which the button sends. Training ends alike on both: the last
    finished epoch is kept, and the cells behind it run.

    Attributes:
        curve: [step, loss] of the steps so far, the loss the mean of the last 20.
        history: name -> value of each finished epoch, as Keras reports it.
        status: one line on where the training is.
        progress: share of all steps done, 0 to 1.
        stop: True once Stop was pressed; `heard` once Python knows of it.
        done: True once training has ended.
    """

    _esm = code_of("training")
    title = "Training - JointNet"

    curve: Any = traitlets.List().tag(sync=True)
    history = traitlets.Dict().tag(sync=True)
    status = traitlets.Unicode("not begun").tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)
    steps_per_epoch = traitlets.Int(1).tag(sync=True)
    stop = traitlets.Bool(False).tag(sync=True)
    heard = traitlets.Bool(False).tag(sync=True)
    done = traitlets.Bool(False).tag(sync=True)
    picture = traitlets.Bytes(b"").tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)

    @traitlets.observe("stop")
    def _hear(self, change: Any) -> None:
        self.heard = change.new

    def callback(self, patches: Any = None, drawn: bool = False) -> Any:
        """A Keras callback that feeds this monitor and obeys its Stop button.

        Args:
            patches: (images, labels, ...) of a batch, as `GridBatches` gives them; up to six of its patches are
                predicted after every epoch and shown.
            drawn: True if they are drawn scenes, which the caption then says.
        """
        return make_callback(self, patches, drawn)

    def preview(self) -> bytes:
        """A PNG of the loss curve as far as it is, over the patches."""
        sheet = Image.new("RGB", (640, 240), "white")
        pen = ImageDraw.Draw(sheet)
        pen.line([(40, 20), (40, 210), (620, 210)], fill="#444444", width=2)
        pen.text((46, 14), f"loss - {self.status}", fill="#222222")
        if len(self.curve) > 1:
            steps, losses = np.array(self.curve, float).T
            x = 40 + 580 * steps / max(steps.max(), 1)
            y = 210 - 170 * losses / max(losses.max(), 1e-9)
            pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill="#0072B2", width=3)
        return encode(np.asarray(sheet))


def make_callback(monitor: TrainingMonitor, patches: Any, drawn: bool) -> Any:
    """The callback of `TrainingMonitor.callback`; Keras is loaded here, not with the widgets."""
    from jointnet.backend import keras
    from jointnet.network.checkpoints import StopTraining

    class Watch(keras.callbacks.Callback):
        """Keeps the monitor up to date."""

        def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
            monitor.stop, monitor.done, monitor.curve, monitor.history = False, False, [], {}
            monitor.steps_per_epoch = int(self.params["steps"])
            self.total = self.params["epochs"] * self.params["steps"]
            self.first, self.began, self.looked, self.epoch, self.step = 0, time.monotonic(), 0.0, 0, 0
            self.losses: deque[float] = deque(maxlen=MOVING)
            self.mean = 0.0
            monitor.status = "preparing the first step"
            self._show_patches()

        def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
            step = self.epoch * self.params["steps"] + batch + 1
            now = time.monotonic()
            if not self.first:
                self.first, self.began = step, now  # the first step holds the tracing, which tells nothing of the rest
            self.step = step
            self._keep(batch, float((logs or {})["loss"]))
            if monitor.stop:
                raise StopTraining
            if now - self.looked >= PAUSE:
                self.looked = now
                self._look(step, sum(self.losses) / len(self.losses))

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            monitor.history = {k: [*monitor.history.get(k, []), float(v)] for k, v in (logs or {}).items()}
            self._show_patches()

        def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
            monitor.progress, monitor.done = self.step / self.total, True
            kept = f"stopped after step {self.step}; the last finished epoch is kept, resume=True goes on"
            monitor.status = f"finished after {self.epoch + 1} epochs" if self.step == self.total else kept

        def _keep(self, batch: int, mean: float) -> None:
            """The loss of this step alone: what Keras tells is the mean of the epoch so far, which jumps at each."""
            before = self.mean * batch if batch else 0.0
            self.losses.append(mean * (batch + 1) - before)
            self.mean = mean

        def _look(self, step: int, loss: float) -> None:
            points = [*monitor.curve, [step, round(loss, 4)]]
            monitor.curve = points if len(points) <= POINTS else points[::2]
            monitor.progress = step / self.total
            left = (time.monotonic() - self.began) / max(1, step - self.first) * (self.total - step)
            words = f"{left:.0f} s" if left < 120 else f"{left / 60:.0f} min"
            rest = f", about {words} left" if step > self.first + 2 else ""
            monitor.status = f"epoch {self.epoch + 1} of {self.params['epochs']}, step {step} of {self.total}{rest}"

        def _show_patches(self) -> None:
            if patches is None:
                return
            images, labels, *weights = (np.asarray(part)[:6] for part in patches)
            found = np.asarray(keras.ops.convert_to_numpy(self.model(images, training=False)))
            monitor.picture = patch_sheet(images, labels, found, *weights[:1])
            what = "drawn scenes, not photographs; " if drawn else ""
            grey = "; grey: not labelled" if weights and not weights[0][..., :1].all() else ""
            monitor.caption = (f"{what}image, labels and probability of the same patches after {len_of(monitor)} epochs"
                               f"{grey}")

    return Watch()


def len_of(monitor: TrainingMonitor) -> int:
    """Number of finished epochs."""
    return len(next(iter(monitor.history.values()), []))


def patch_sheet(images: np.ndarray, labels: np.ndarray, found: np.ndarray, weights: np.ndarray | None = None) -> bytes:
    """A PNG: a column for each patch; image, labels and probability of the first class under each other.

    Args:
        images: uint8 (patches, side, side, bands).
        labels: {0, 1} (patches, side, side, classes).
        found: probability (patches, side, side, classes).
        weights: of the labels, in their shape; where they are 0, the label is unknown and shown grey.
    """
    if weights is not None:
        labels = np.where(weights[..., :1] > 0, labels[..., :1], 0.5)
    colour = images[..., :3] if images.shape[-1] >= 3 else np.repeat(images[..., :1], 3, -1)
    grey = [np.repeat((255 * np.asarray(a, float)[..., :1]).astype(np.uint8), 3, -1) for a in (labels, found)]
    rows = [np.concatenate([np.pad(p, ((2, 2), (2, 2), (0, 0)), constant_values=255) for p in row], 1)
            for row in (colour, *grey)]
    return encode(np.concatenate(rows))
