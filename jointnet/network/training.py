"""Training: a network and labelled scenes in; a run folder with the best weights, their card and the history out."""

from __future__ import annotations

import contextlib
import datetime
import functools
import importlib.util
import json
import math
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
from keras import KerasTensor

from jointnet.errors import InputError
from jointnet.files import settle
from jointnet.network.average import AverageCallback
from jointnet.network.card import DEFAULT_THRESHOLD, Card, card_of, name_of
from jointnet.network.checkpoints import (
    CheckpointCallback,
    RunState,
    StoppedError,
    StopTraining,
    TrainingError,
)
from jointnet.network.fine_tuning import (
    NEW,
    STEPS,
    assumed_gsd,
    at_own_scale,
    fitting_patch,
    freeze_statistics,
    settled,
)
from jointnet.network.losses import DEFAULT_LOSS, TYPICAL_THRESHOLD, PixelLoss
from jointnet.network.metrics import IoU
from jointnet.network.model import PRESETS, build_jointnet
from jointnet.network.processes import all_devices, first_in_run, is_first, join, own_share, place, wait_for_all
from jointnet.network.rates import SCHEDULES, RateCallback
from jointnet.network.weights import load_model
from jointnet.options import FitOptions, TrainOptions, chosen, takes

if TYPE_CHECKING:  # `fit` trains on batches of any origin, where the libraries that open imagery may be missing
    from jointnet.data.scene import Dataset, Scene

PATCH_SIZE = {"tiny": 128, "small": 256, "base": 256}
BATCH_SIZE = {"tiny": 8, "small": 4, "base": 4}


@dataclass
class Run:
    """What a training left behind.

    Attributes:
        out: folder with `best.weights.h5`, `best.json` (the card), `history.csv` and the last state.
        history: name -> value of each epoch: "loss", "iou", "val_loss", "val_iou", ...
        model: the network with the best weights, and its card as `.card`.
        ended: "finished", "early" (validation stopped improving) or "stopped" (by hand).
        exit_code: what a process that ends with this run should exit with: 0, 130 after Ctrl-C, 143 after SIGTERM.
    """

    out: Path
    history: dict[str, list[float]]
    model: keras.Model
    ended: str
    exit_code: int = 0

    @property
    def card(self) -> Card:
        """The card of the best weights."""
        return self.model.card


@takes(TrainOptions)
def train(model_or_preset: keras.Model | Card | str, dataset: Dataset | Sequence[Dataset], out: str | Path,
          classes: tuple[str, ...] = ("buildings",), **options: Any) -> Run:
    """Trains on the scenes of split "train" and keeps the weights that are best on split "validation".

    Args:
        model_or_preset: a preset's name; a network to go on with (fine-tuning keeps its card's description); or a
            `Card` that describes a new network, as `Card(architecture="unet", preset="tiny", patch_size=128)`.
        dataset: a `Dataset` with scenes of both splits, or several, which may label different classes: what a scene
            does not label weighs nothing there.
        out: folder of the run.
        classes: the labels to learn, one output each; a card has its own.
        options: those of `TrainOptions`, by name, as `epochs=5`.

    Raises:
        TrainingError: if a split is empty, datasets do not go together, `out` holds another run, the loss is no number,
            the disk is full, or something that was asked for is not installed. What the run had kept stays, and
            `resume` goes on with it.
        UnknownOptionError: if there is no option of a name; the message names the closest.
    """
    from jointnet.data.patches import GridBatches, PatchBatches, check_images
    from jointnet.data.scene import Dataset

    join()
    model = model_or_preset if isinstance(model_or_preset, keras.Model) else None
    wanted = settled(chosen(TrainOptions, options), model is not None)
    _check_fit(wanted)
    _check_patches(wanted)
    card = _card_to_begin_with(model_or_preset, classes)
    patch_size = wanted.patch_size or card.patch_size
    if patch_size % 8:
        raise TrainingError(f"patch_size={patch_size} px cannot be halved three times; choose a multiple of 8, as 128")
    batch_size = wanted.batch_size or BATCH_SIZE[card.preset]
    datasets = [dataset] if isinstance(dataset, Dataset) else list(dataset)
    parts = [_some(d, "train", card.classes) for d in datasets]
    validation = [scene for d in datasets for scene in _some(d, "validation", card.classes)]
    _check_alike(parts)
    training = [scene for part in parts for scene in part]
    if model is not None:
        _check_bands(card, training[0])
        written = "images" if is_first() else f"images_{place()[0]}"  # each of several processes writes its own
        both = at_own_scale(card, [*training, *validation], Path(out) / written)
        training, validation = both[: len(training)], both[len(training) :]
        patch_size = wanted.patch_size or fitting_patch(card, both)
    batches = PatchBatches(training, patch_size, batch_size, card.classes, wanted.steps, wanted.foreground_share,
                           wanted.colour_jitter, seed=wanted.seed)
    if model is not None and wanted.steps is None:
        batches.steps = max(batches.steps, STEPS)
    checks = GridBatches(validation, patch_size, batch_size, card.classes)
    check_images([*training, *validation])
    card = replace(
        card,
        name=name_of(Path(out).resolve().name), bands=training[0].info.bands, patch_size=patch_size,
        gsd=training[0].gsd, image_gsd=assumed_gsd(card, training[0].gsd), seed=wanted.seed,
        stretch=_stretch_of([*training, *validation]),
        loss=wanted.loss or ",".join(DEFAULT_LOSS.get(c, "cross_entropy_dice") for c in card.classes),
        data="; ".join([*(_described(part, card.classes) for part in parts), *_before(card)]),
        drawn=any(d.drawn for d in datasets), batch_size=batch_size, thresholds=dict(card.thresholds), scores={},
        sha256="",
        terms=wanted.terms or card.terms, limits=wanted.limits or card.limits, recipe=wanted.recipe or card.recipe,
    )
    if model is None:
        card.thresholds = _typical_thresholds(card)
    with first_in_run(Path(out)):
        return _fit(card, batches, checks, Path(out), wanted.epochs or NEW["epochs"], model, wanted)


@takes(FitOptions)
def fit(card: Card, batches: keras.utils.PyDataset, validation: keras.utils.PyDataset, out: str | Path, epochs: int,
        model: keras.Model | None = None, **options: Any) -> Run:
    """Trains the network that `card` describes on any batches of (image, labels, weights); the inside of `train`.

    Args:
        card: what to train; its loss, thresholds and seed are used.
        batches: what to learn from, the same number of them each epoch.
        validation: what to choose the best weights on.
        out: folder of the run.
        epochs: rounds over the batches.
        model: the network whose weights to start from; without one they are random.
        options: those of `FitOptions`, by name.

    Raises:
        TrainingError: as `train`.
        UnknownOptionError: if there is no option of a name; the message names the closest.
    """
    join()
    wanted = chosen(FitOptions, options)
    wanted = replace(wanted, learning_rate=wanted.learning_rate or NEW["learning_rate"])
    _check_fit(wanted)
    with first_in_run(Path(out)):
        return _fit(card, batches, validation, Path(out), epochs, model, wanted)


def _check_fit(wanted: FitOptions) -> None:
    """Raises InputError for options that no training can go by, before anything is made."""
    if wanted.schedule not in SCHEDULES:
        raise InputError(f"schedule {wanted.schedule!r} is unknown; choose from {', '.join(SCHEDULES)}")
    if wanted.average is not None and not 0 < wanted.average < 1:
        raise InputError(f"average={wanted.average}; give the share that is kept at each step, as 0.998")
    if wanted.learning_rate is not None and not 0 < wanted.learning_rate < math.inf:
        raise InputError(f"learning_rate={wanted.learning_rate} must be a number above 0, as 0.001")


def _check_patches(wanted: TrainOptions) -> None:
    """Raises InputError for patches that cannot be drawn."""
    if not 0 <= wanted.foreground_share <= 1:
        raise InputError(f"foreground_share={wanted.foreground_share} must be a share of the patches, from 0 to 1")
    if not 0 <= wanted.colour_jitter < 1:
        raise InputError(f"colour_jitter={wanted.colour_jitter} must be a share, from 0 to below 1, as 0.2")


def _fit(card: Card, batches: keras.utils.PyDataset, validation: keras.utils.PyDataset, out: Path, epochs: int,
         model: keras.Model | None, wanted: FitOptions) -> Run:
    """`fit` with its options in hand and checked."""
    card.check()  # now, not when it is read back after an epoch
    shared = all_devices()
    with shared.scope() if shared else contextlib.nullcontext():
        keeper, exit_code = _train(card, batches, validation, out, epochs, model, wanted)
    state = keeper.state
    if not exit_code:
        wait_for_all("the run is written")
    settle(state.best)
    if not state.best.exists():
        raise StoppedError(f"training stopped before its first epoch was finished, so nothing is kept in {out}; run it "
                           f"again, with fewer steps an epoch (steps=) where that takes too long", exit_code)
    return Run(state.out, state.history, load_model(state.best), keeper.ended, exit_code)


def _train(card: Card, batches: keras.utils.PyDataset, validation: keras.utils.PyDataset, out: Path, epochs: int,
           model: keras.Model | None, wanted: FitOptions) -> tuple[CheckpointCallback, int]:
    """What kept the epochs, and the exit code."""
    strategy = _mirrored_strategy() if wanted.mirrored else None
    curves = [_tensorboard(out)] if wanted.tensorboard and is_first() else []
    averager = None if wanted.average is None else AverageCallback()
    others = [*([averager] if averager else []), *curves, *(wanted.callbacks or [])]
    state = RunState(out, is_first())
    keras.utils.set_random_seed(card.seed or 0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        network = build_network(card, wanted.precision)
        if model is not None:
            network.set_weights(model.get_weights())
        if wanted.frozen_statistics:
            freeze_statistics(network)
        loss = SharedLoss(card.loss, strategy.num_replicas_in_sync) if strategy else PixelLoss(card.loss)
        network.compile(_optimizer(wanted), loss, weighted_metrics=_metrics(card),
                        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto")
        state.open(wanted.resume)
        first = state.restore(network) if wanted.resume else 0
        state.note({"loss": card.loss, "batch_size": card.batch_size, "patch_size": card.patch_size, "seed": card.seed,
                    "steps": len(batches), "learning_rate": wanted.learning_rate, "accumulate": wanted.accumulate})
        if wanted.branch_of is not None and not first:
            RunState(Path(wanted.branch_of)).branch(network)
    batches.epoch = first
    steps = int(keras.ops.convert_to_numpy(network.optimizer.iterations)) * wanted.accumulate
    before = steps - first * len(batches)  # of the run branched from
    card = replace(card, date=datetime.date.today().isoformat(), steps=card.steps + max(0, before))
    keeper = CheckpointCallback(state, card, wanted.patience, len(batches), averager)
    rate = functools.partial(SCHEDULES[wanted.schedule], peak=wanted.learning_rate or NEW["learning_rate"],
                             total=epochs * len(batches))
    exit_code = 0
    try:
        network.fit(own_share(batches, strict=True), validation_data=own_share(validation), epochs=epochs,
                    initial_epoch=first, shuffle=False, verbose=wanted.verbose if is_first() else 0,
                    callbacks=[RateCallback(rate, len(batches)), keeper, *others])
    except (KeyboardInterrupt, StopTraining) as stop:
        keeper.ended = "stopped"
        exit_code = 128 + (stop.args[0] if stop.args else signal.SIGINT)
        for callback in others:  # Keras tells nobody
            callback.on_train_end()
    return keeper, exit_code


def _card_to_begin_with(start: keras.Model | Card | str, classes: tuple[str, ...]) -> Card:
    """What is to be trained; a network without a card gets the classes and the patch size of its preset."""
    if not isinstance(start, keras.Model | Card | str):
        raise InputError(f"{start!r} is nothing to train: name a preset ({', '.join(PRESETS)}), or give a Card or a "
                         f"network, as of load_model(...)")
    preset = start.preset if isinstance(start, Card) else start
    if isinstance(preset, str) and preset not in PRESETS:
        raise InputError(f"preset {preset!r} is unknown; choose from {', '.join(PRESETS)}, or pass a model, as "
                         f"load_model(...) gives it")
    if isinstance(start, Card):
        return start
    if isinstance(start, str):
        return Card(preset=start, classes=classes, patch_size=PATCH_SIZE[start])
    card = card_of(start)
    if getattr(start, "card", None) is not None:
        if tuple(classes) not in (("buildings",), card.classes):  # the first is what stands where nobody said any
            raise TrainingError(f"the network knows {', '.join(card.classes)} and goes on with that; classes="
                                f"{','.join(classes)} belong to a new network, begun with a preset's name")
        return card
    card = replace(card, patch_size=PATCH_SIZE[card.preset])
    return replace(card, classes=classes, thresholds={}) if len(classes) == len(card.classes) else card


def _stretch_of(scenes: Sequence[Scene]) -> dict:
    """What the card keeps of how images became 0 to 255.

    Raises:
        TrainingError: if they did in several ways.
    """
    ways = {json.dumps(s.stretch.on_card() if s.stretch else {}) for s in scenes}
    if len(ways) > 1:
        raise TrainingError("the images are stretched in several ways; open them together with one stretch=")
    return json.loads(ways.pop())


def build_network(card: Card, precision: str) -> keras.Model:
    """The network, computing in the asked precision; its variables are float32 in any case."""
    policies = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
    if precision not in policies:
        raise InputError(f"precision {precision!r} is unknown; choose from {', '.join(policies)}")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policies[precision])
    try:
        return card.build()
    finally:
        keras.config.set_dtype_policy(before)


def _metrics(card: Card) -> list[keras.metrics.Metric]:
    """IoU over all classes, and of each where there are several, at the card's thresholds."""
    thresholds = [card.thresholds[name] for name in card.classes]
    if len(card.classes) == 1:
        return [IoU(thresholds[0], name="iou")]
    each = [IoU(thresholds, k, name=f"iou_{name}") for k, name in enumerate(card.classes)]
    return [IoU(thresholds, name="iou"), *each]


def _typical_thresholds(card: Card) -> dict[str, float]:
    """Class -> the threshold that suits its loss, until a better one is chosen on validation scenes."""
    losses = card.loss.split(",")
    losses = losses * len(card.classes) if len(losses) == 1 else losses
    return {c: TYPICAL_THRESHOLD.get(loss, DEFAULT_THRESHOLD) for c, loss in zip(card.classes, losses, strict=True)}


def _optimizer(wanted: FitOptions) -> keras.optimizers.Optimizer:
    """Adam with the gradient's length limited, over one step or the mean of several; it may average the weights."""
    several = wanted.accumulate if wanted.accumulate > 1 else None
    averaged = {} if wanted.average is None else {"use_ema": True, "ema_momentum": wanted.average}
    return keras.optimizers.Adam(
        wanted.learning_rate, global_clipnorm=1.0, gradient_accumulation_steps=several, **averaged)


class SharedLoss(PixelLoss):
    """The loss of one of several devices: divided by their number, because their gradients are added."""

    def __init__(self, name: str, devices: int) -> None:
        super().__init__(name)
        self.devices = devices

    def __call__(
        self, y_true: KerasTensor, y_pred: KerasTensor, sample_weight: KerasTensor | None = None
    ) -> KerasTensor:
        """This device's part of the loss."""
        return super().__call__(y_true, y_pred, sample_weight) / self.devices


def _mirrored_strategy() -> Any:
    """All devices of this machine, each with a copy of the network.

    Raises:
        TrainingError: if Keras runs on another backend.
    """
    if keras.backend.backend() != "tensorflow":
        raise TrainingError(
            f"mirrored training needs TensorFlow and Keras runs on {keras.backend.backend()}; leave mirrored out, or "
            f"set KERAS_BACKEND=tensorflow"
        )
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _tensorboard(out: Path) -> keras.callbacks.Callback:
    """Writes each epoch's figures for TensorBoard.

    Raises:
        TrainingError: if the package is missing.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise TrainingError(
            "TensorBoard is not installed: pip install 'jointnet[tensorboard]', or leave tensorboard out; the same "
            "figures are in history.csv"
        )
    return keras.callbacks.TensorBoard(out / "tensorboard", write_graph=False)


def _some(dataset: Dataset, split: str, classes: Sequence[str]) -> Dataset:
    """The scenes of a split that label any of the classes.

    Raises:
        TrainingError: if there are none; the message says how to fill it.
    """
    scenes = dataset.select(split=split)
    if not len(scenes):
        raise TrainingError(
            f"{dataset.name} has no scene of split {split!r}; training needs both 'train' and 'validation': "
            f"open the dataset with validation=0.2 (--validation 0.2) to deal its images to both, or see "
            f"jointnet.data.splits"
        )
    labelled = replace(scenes, scenes=tuple(s for s in scenes if set(classes) & set(s.labels)))
    if not len(labelled):
        known = ", ".join(sorted({name for scene in scenes for name in scene.labels})) or "none"
        raise TrainingError(
            f"no scene of split {split!r} in {dataset.name} has labels of {' or '.join(classes)}; they have {known}: "
            f"choose among these classes, or another dataset"
        )
    return labelled


def _described(part: Dataset, classes: Sequence[str]) -> str:
    """A dataset's share of the training, for the card: which scenes, and what they label if that is not everything."""
    labelled = [c for c in classes if any(c in scene.labels for scene in part)]
    only = "" if len(labelled) == len(classes) else f", labels of {', '.join(labelled)} only"
    return f"{part.name}, split train: {len(part)} scenes of {', '.join(part.cities)}{only}"


def _before(card: Card) -> list[str]:
    """What a network that goes on was trained on before; nothing of a new one."""
    return [f"before that, as {card.name}: {card.data}"] if card.data else []


def _check_bands(card: Card, scene: Scene) -> None:
    """Raises TrainingError if images have other bands than the network that goes on with them."""
    if scene.info.bands != card.bands:
        raise TrainingError(f"{scene.image} has {scene.info.bands} bands and the network takes {card.bands}; write its "
                            f"images with the bands that it knows, or begin a new network with a preset's name")


def _check_alike(parts: Sequence[Dataset]) -> None:
    """Raises TrainingError if datasets differ in their bands, or by more than a tenth in the size of their pixels."""
    bands = {part.name: part[0].info.bands for part in parts}
    gsds = {part.name: round(part[0].gsd, 3) for part in parts if part[0].gsd is not None}
    for what, values in (("bands", bands), ("metres per pixel", gsds)):
        if values and max(values.values()) > 1.1 * min(values.values()):
            listed = ", ".join(f"{name} {value}" for name, value in values.items())
            raise TrainingError(
                f"the datasets differ in their {what} ({listed}); one network learns from images of one kind: bring "
                f"them to the same, or train one network for each"
            )


__all__ = ["BATCH_SIZE", "PATCH_SIZE", "Run", "TrainingError", "build_jointnet", "fit", "train"]
