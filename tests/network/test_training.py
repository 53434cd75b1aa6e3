"""A tiny training on drawn numbers: it learns, it resumes exactly, it keeps what it had."""

import contextlib
import errno
import importlib.util
import json
import signal
from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest

from jointnet.network.average import AverageCallback
from jointnet.network.card import Card, WeightsError, card_path
from jointnet.network.checkpoints import StopOnSignal
from jointnet.network.losses import TYPICAL_THRESHOLD, PixelLoss, focal
from jointnet.network.rates import SCHEDULES
from jointnet.network.training import TrainingError, _metrics, _optimizer, _typical_thresholds, fit, train
from jointnet.network.weights import load_model, save_model
from jointnet.options import FitOptions

CARD = Card(
    name="toy", preset="tiny", growth_rates=(4, 4, 4), dilation_rates=(1,), patch_size=16, loss="cross_entropy_dice",
    seed=1,
)


WITH_BATCH = replace(CARD, normalization="batch")


class BrightSquares(keras.utils.PyDataset):
    """Patches in which what is bright is a building; the same for the same epoch and number."""

    def __init__(self, steps=4, seed=0, break_at=None):
        super().__init__()
        self.steps, self.seed, self.epoch, self.break_at = steps, seed, 0, break_at

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, self.epoch, index])
        labels = np.zeros((4, 16, 16, 1), "float32")
        for patch in labels:
            row, col = rng.integers(0, 8, 2)
            patch[row : row + 8, col : col + 8] = 1
        image = (60 + 140 * labels + rng.normal(0, 20, (4, 16, 16, 3))).clip(0, 255).astype("uint8")
        weights = np.ones_like(labels)
        return image, labels, np.nan * weights if self.break_at == self.epoch else weights

    def on_epoch_end(self):
        self.epoch += 1


def test_training_learns_and_keeps_the_best_weights_with_their_card(tmp_path):
    run = fit(CARD, BrightSquares(8), BrightSquares(2, seed=9), tmp_path, 6, learning_rate=0.01, verbose=0)
    assert run.ended == "finished" and len(run.history["val_iou"]) == 6
    assert max(run.history["val_iou"]) > 0.8
    card = json.loads((tmp_path / "best.json").read_text())
    assert card["scores"]["validation"]["iou"] == pytest.approx(max(run.history["val_iou"]), abs=1e-4)
    assert card["steps"] == 8 * (1 + int(np.argmax(run.history["val_iou"])))
    assert (tmp_path / "history.csv").read_text().startswith("epoch,")
    assert run.model.card.patch_size == 16


def test_two_and_two_epochs_give_the_weights_of_four(tmp_path):
    """The moment's weights, their average, batch statistics and the optimizer's state, all to the last bit."""
    def four(out, **options):
        checks = BrightSquares(1, seed=9)
        return fit(WITH_BATCH, BrightSquares(2), checks, out, 4, average=0.9, verbose=0, **options)

    whole = four(tmp_path / "whole")
    with pytest.raises(Killed):
        four(tmp_path / "parts", callbacks=[KillAfter(2)])
    parts = four(tmp_path / "parts", resume=True)
    assert parts.history["loss"] == whole.history["loss"]
    one, other = (everything_saved(tmp_path / name) for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert any("optimizer" in name for name in one)
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def everything_saved(out):
    """Name -> values in the last state: weights, the optimizer's moments and averages."""
    found = {}
    with h5py.File(out / json.loads((out / "state.json").read_text())["weights"]) as file:
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def test_the_average_is_what_is_scored_and_kept_and_the_moment_trains_on(tmp_path):
    """A weight goes 1, 2, 3; its average is 1, then 0.75 * 1 + 0.25 * 2, then 0.75 * 1.25 + 0.25 * 3."""
    seen = {}
    averager, model = AverageCallback(), keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    model.build((None, 1))
    model.set_weights([np.zeros((1, 1))])
    model.compile(keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75), lambda _, answer: -answer)
    watch = keras.callbacks.LambdaCallback(
        on_test_batch_end=lambda batch, logs: seen.setdefault("scored", []).append(model.get_weights()[0].item()),
        on_epoch_end=lambda epoch, logs: seen.setdefault("moment", []).append(model.get_weights()[0].item()))
    ones = np.ones((1, 1))
    model.fit(ones, ones, epochs=3, validation_data=(ones, ones), callbacks=[averager, watch], verbose=0)
    assert seen == {"scored": [1, 1.25, 1.6875], "moment": [1, 2, 3]}
    assert averager.scored[0] == 1.6875


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """An epoch of two steps of a run that keeps an average."""
    checks = BrightSquares(1, seed=9)
    return fit(WITH_BATCH, BrightSquares(2), checks, tmp_path_factory.mktemp("runs") / "endless", 1, average=0.9,
               schedule="constant", verbose=0)


def test_best_weights_are_those_of_the_average(endless):
    network = endless.model
    network.compile(loss=PixelLoss(CARD.loss))
    loss = network.evaluate(BrightSquares(1, seed=9), verbose=0)
    assert loss == pytest.approx(endless.history["val_loss"][0], abs=1e-6)
    moment = {name: values for name, values in everything_saved(endless.out).items() if "optimizer" not in name}
    kernel = network.get_layer("encoder1_atrous1").get_weights()[0]
    assert sum(values.shape == kernel.shape for values in moment.values()) == 1
    assert not any(np.array_equal(kernel, values) for values in moment.values())


@pytest.mark.usefixtures("uncompiled")
def test_a_branch_goes_on_from_a_state_and_leaves_the_run_as_it_was(endless, tmp_path):
    before = {p.name: p.read_bytes() for p in endless.out.iterdir()}
    branch = fit(WITH_BATCH, BrightSquares(2), BrightSquares(1, seed=9), tmp_path / "branch", 1, average=0.5,
                 schedule="falling", branch_of=endless.out, verbose=0)
    assert {p.name: p.read_bytes() for p in endless.out.iterdir()} == before
    steps = [int(everything_saved(run.out)["optimizer/vars/0"]) for run in (endless, branch)]
    assert steps == [2, 4] and branch.card.steps == 4  # the optimizer counted on
    assert len(branch.history["loss"]) == 1


def test_a_branch_of_nothing_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="holds no finished epoch to branch off from; give the folder of a run"):
        fit(CARD, BrightSquares(1), BrightSquares(1), tmp_path / "run", 1, branch_of=tmp_path / "nothing")


def test_a_state_with_another_optimizer_is_refused(endless):
    """Keras alone would warn, and go on with a new one."""
    with pytest.raises(TrainingError, match="does not fit this network; resume with the settings it began with"):
        fit(WITH_BATCH, BrightSquares(1), BrightSquares(1), endless.out, 2, average=None, resume=True, verbose=0)


@pytest.mark.parametrize("wrong", [{"average": 1.0}, {"schedule": "steep"}], ids=["average", "schedule"])
def test_settings_without_meaning_are_refused_before_anything_is_made(wrong, tmp_path):
    with pytest.raises(ValueError, match="give the share that is kept|choose from cosine, constant, falling"):
        fit(CARD, BrightSquares(1), BrightSquares(1), tmp_path / "run", 1, **wrong)
    assert not (tmp_path / "run").exists()


class Terminate(keras.callbacks.Callback):
    """What `kill` does, in the first step of the second epoch."""

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.optimizer.iterations == 2:
            signal.raise_signal(signal.SIGTERM)


def test_sigterm_ends_training_at_once_with_the_state_of_the_last_epoch(tmp_path):
    before, terminate = signal.getsignal(signal.SIGTERM), Terminate()
    run = fit(CARD, BrightSquares(2), BrightSquares(1), tmp_path, 5, callbacks=[StopOnSignal(), terminate], verbose=0)
    assert run.ended == "stopped" and len(run.history["loss"]) == 1 and run.exit_code == 143
    assert int(terminate.model.optimizer.iterations) == int(everything_saved(tmp_path)["optimizer/vars/0"]) == 2
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_that_gets_lost_comes_again_after_the_step():
    stop, before = StopOnSignal(), signal.getsignal(signal.SIGINT)
    stop.on_train_begin()
    stop.on_train_batch_end(0)
    with contextlib.suppress(KeyboardInterrupt):  # as Python does while it deletes an object
        signal.raise_signal(signal.SIGINT)
    for hook in (stop.on_train_batch_end, stop.on_test_batch_end):
        with pytest.raises(KeyboardInterrupt, match=str(int(signal.SIGINT))):
            hook(1)
    stop.on_train_end()
    assert signal.getsignal(signal.SIGINT) is before


def test_rates_by_hand():
    cosine, constant, falling = (SCHEDULES[name] for name in ("cosine", "constant", "falling"))
    assert [cosine(step, 1.0, 200) for step in (0, 5, 10, 105, 200)] == pytest.approx([0.1, 0.55, 1, 0.505, 0.01])
    assert [constant(step, 1.0, 7) for step in (0, 50, 100, 10**9)] == pytest.approx([0.1, 0.55, 1, 1])
    assert [falling(step, 1.0, 101) for step in (0, 50, 100, 200)] == pytest.approx([1, 0.505, 0.01, 0.01])


class Killed(Exception):
    pass


class KillAfter(keras.callbacks.Callback):
    """Breaks training off in the middle of the epoch after `epochs`."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs, self.begun = epochs, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.begun == self.epochs and batch == 1:
            raise Killed


def last_weights(out):
    model = CARD.build()
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    model.load_weights(out / json.loads((out / "state.json").read_text())["weights"])
    return model.get_weights()


@pytest.mark.usefixtures("uncompiled")
def test_a_loss_that_is_no_number_stops_and_keeps_the_epoch_before(tmp_path):
    broken = BrightSquares(break_at=2)  # Keras passes over the first epoch's batches once to learn their shapes
    with pytest.raises(TrainingError, match="loss became nan at step 1; the last finished epoch is kept"):
        fit(CARD, broken, BrightSquares(1), tmp_path, 3, verbose=0)
    assert json.loads((tmp_path / "state.json").read_text())["epochs"] == 1


@pytest.mark.usefixtures("uncompiled")
def test_a_disk_that_is_full_leaves_the_epoch_before(tmp_path, monkeypatch):
    write, calls = keras.Model.save_weights, []

    def write_until_full(model, path, *rest):
        calls.append(path)
        if len(calls) > 2:  # the first epoch's best weights and its state had room
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(model, path, *rest)

    monkeypatch.setattr(keras.Model, "save_weights", write_until_full)
    with pytest.raises(TrainingError, match=r"epoch 2 could not be saved .* make room .* then resume"):
        fit(CARD, BrightSquares(1), BrightSquares(1), tmp_path, 3, learning_rate=0.01, verbose=0)
    assert json.loads((tmp_path / "state.json").read_text())["epochs"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best.json", "best.weights.h5", "history.csv", "last-0001.weights.h5", "state.json"]
    last_weights(tmp_path)  # whole
    load_model(tmp_path / "best.weights.h5")


class Interrupt(keras.callbacks.Callback):
    """What Ctrl-C and the notebook's interrupt do, in the second epoch."""

    told = False

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations > 1:
            raise KeyboardInterrupt

    def on_train_end(self, logs=None):
        self.told = True


def test_an_interrupt_ends_training_and_keeps_the_last_finished_epoch(tmp_path):
    watcher = Interrupt()
    run = fit(CARD, BrightSquares(1), BrightSquares(1), tmp_path, 5, callbacks=[watcher], tensorboard=True, verbose=0)
    assert run.ended == "stopped" and len(run.history["loss"]) == 1 and watcher.told
    assert run.exit_code == 130
    assert json.loads((tmp_path / "state.json").read_text())["epochs"] == 1
    kinds = {p.parent.name for p in (tmp_path / "tensorboard").rglob("events.*")}
    assert {"train", "validation"} <= kinds


def test_without_tensorboard_a_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=r"not installed: pip install 'jointnet\[tensorboard\]'"):
        fit(CARD, None, None, tmp_path / "run", 1, tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_gradients_of_two_halves_make_the_step_of_the_whole():
    image, labels, _ = BrightSquares(1)[0]
    start = CARD.build()
    ends = []
    for parts, accumulate in (([slice(0, 4)], 1), ([slice(0, 2), slice(2, 4)], 2)):
        model = CARD.build()
        model.set_weights(start.get_weights())
        optimizer = _optimizer(FitOptions(learning_rate=0.1, accumulate=accumulate))
        model.compile(optimizer, PixelLoss("cross_entropy"), run_eagerly=True)
        for part in parts:
            model.train_on_batch(image[part], labels[part])
        ends.append(model.get_weights())
    for before, whole, halves in zip(start.get_weights(), *ends, strict=True):
        np.testing.assert_allclose(whole, halves, atol=1e-3)  # Adam's first step is 0.1, whatever the gradient's size
        assert np.abs(whole - before).max() > 0.05 or np.ptp(before) == 0


@pytest.mark.usefixtures("uncompiled")
def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    fit(CARD, BrightSquares(1), BrightSquares(1), tmp_path, 1, verbose=0)
    with pytest.raises(TrainingError, match="holds a run already: resume it"):
        fit(CARD, BrightSquares(1), BrightSquares(1), tmp_path, 1, verbose=0)


@pytest.mark.usefixtures("uncompiled")
def test_patience_ends_a_training_that_no_longer_improves(tmp_path):
    run = fit(CARD, BrightSquares(1), BrightSquares(1), tmp_path, 9, learning_rate=1e-9, patience=2, verbose=0)
    assert run.ended == "early" and len(run.history["loss"]) == 3


def test_each_of_two_classes_is_scored_at_the_threshold_that_suits_its_loss():
    card = Card(classes=("buildings", "roads"), loss="cross_entropy_dice,focal")
    card.thresholds = _typical_thresholds(card)
    assert card.thresholds == {"buildings": 0.6, "roads": 0.4}
    truth, answer = np.ones((1, 1, 4, 2)), np.full((1, 1, 4, 2), 0.5)  # foreground everywhere, answered by a half
    scores = {}
    for metric in _metrics(card):
        metric.update_state(truth, answer)
        scores[metric.name] = float(metric.result())
    assert scores == {"iou": 0.5, "iou_buildings": 0, "iou_roads": 1}


def test_focal_loss_answers_even_odds_by_its_typical_threshold():
    p = np.linspace(0.01, 0.99, 99)
    cost = [float(focal(np.array([[[[1.0], [0.0]]]]), np.full((1, 1, 2, 1), q), np.ones((1, 1, 2, 1)))) for q in p]
    assert p[np.argmin(cost)] == pytest.approx(TYPICAL_THRESHOLD["focal"], abs=0.005)


@pytest.mark.usefixtures("uncompiled")
def test_a_card_decides_on_the_network(tmp_path):
    """A variant is trained as the variant that it is: its weights are those of the card's network."""
    card = replace(CARD, reduction_from="input", normalization="none", dilation_rates=(2,))
    run = fit(card, BrightSquares(1), BrightSquares(1), tmp_path, 1, verbose=0)
    names = {layer.name for layer in run.model.layers}
    assert not [n for n in names if "norm" in n]
    assert run.model.get_layer("encoder1_atrous1").dilation_rate == (2, 2)
    assert run.model.get_layer("encoder2_reduction").input.shape[-1] == 4  # the block's input, not its 16 channels
    assert load_model(tmp_path / "best.weights.h5").card.reduction_from == "input"


@pytest.mark.parametrize("wrong", [{"preset": "huge"}, {"normalization": "layer"}], ids=["preset", "norm"])
def test_a_card_of_no_network_is_refused_before_anything_is_made(wrong, tmp_path):
    with pytest.raises(ValueError, match="is unknown; choose from"):
        fit(replace(CARD, **wrong), BrightSquares(1), BrightSquares(1), tmp_path / "run", 1)
    assert not (tmp_path / "run").exists()


def test_an_unknown_preset_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match="choose from tiny, small, base"):
        train("huge", None, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_saved_weights_come_back_with_their_card(tmp_path):
    model = CARD.build()
    path = save_model(model, tmp_path / "toy.weights.h5", replace(CARD, thresholds={"buildings": 0.4}))
    again = load_model(path)
    assert again.card.threshold == 0.4
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toy.json", "toy.weights.h5"]


def test_half_precision_keeps_three_digits_of_each_weight(tmp_path):
    card = replace(CARD, normalization="batch")
    model = card.build()
    path = save_model(model, tmp_path / "half.weights.h5", card, half=True)
    with h5py.File(path) as file:
        kept = []
        file.visititems(lambda _, item: kept.append(item.dtype.name) if isinstance(item, h5py.Dataset) else None)
    assert set(kept) == {"float16"}
    again = load_model(path)
    assert {w.dtype.name for w in again.get_weights()} == {"float32"}
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2**-11, atol=2**-24)  # float16 has 11 binary digits


def test_a_weight_beyond_half_precision_is_refused_and_nothing_is_written(tmp_path):
    model = CARD.build()
    model.set_weights([w + 1e5 for w in model.get_weights()])
    with pytest.raises(WeightsError, match=r"a weight of 1e\+05 is beyond float16's range of 65504; save with half"):
        save_model(model, tmp_path / "toy.weights.h5", CARD, half=True)
    assert not list(tmp_path.iterdir())


def test_weights_that_cannot_be_used_are_refused_with_advice(tmp_path):
    with pytest.raises(WeightsError, match="no weights called 'nothing'; choose from"):
        load_model("nothing")
    path = save_model(CARD.build(), tmp_path / "toy.weights.h5", CARD)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged"):
        load_model(path)
    card_path(path).unlink()
    with pytest.raises(WeightsError, match="has no card; put toy.json beside it"):
        load_model(path)


def test_a_run_that_goes_on_with_other_settings_says_so_and_notes_it(tmp_path):
    from jointnet.network.checkpoints import RunState

    state = RunState(tmp_path)
    state.note({"loss": "dice", "batch_size": 4})
    kept = {"epochs": 1, "weights": "last-0001.weights.h5", "history": {"loss": [0.5]},
            "settings": {"loss": "dice", "batch_size": 4}}
    (tmp_path / "state.json").write_text(json.dumps(kept))
    again = RunState(tmp_path)
    again.open(resume=True)
    with pytest.warns(UserWarning, match="from epoch 2 on: loss dice -> focal; noted in history.csv"):
        again.note({"loss": "focal", "batch_size": 4})
    again.history = {"loss": [0.5, 0.4]}
    again._write_csv()
    assert (tmp_path / "history.csv").read_text().split() == [
        "epoch,loss,changed", "1,0.5,", "2,0.4,loss", "dice", "->", "focal"]
