"""A training that is killed at its files, or not alone in its folder: a whole state, best weights with their card."""

import json
import random
import signal
import subprocess
import sys
from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from jointnet.cli import app
from jointnet.data.scene import Dataset
from jointnet.network.card import open_weights
from jointnet.network.checkpoints import (
    CheckpointCallback,
    RunState,
    StopOnSignal,
    StoppedError,
    TrainingError,
    alone_in_run,
)
from jointnet.network.training import fit, train
from tests.killing import CONTEXT, both, kill_everywhere
from tests.network.test_several_datasets import draw_town
from tests.network.test_training import CARD, BrightSquares


def network():
    """A network of the smallest kind."""
    return replace(CARD).build()


def end_epoch(model, out, score=0.5):
    """What is written at the end of an epoch that was the best so far."""
    state = RunState(out)
    state.open(resume=True)
    keeper = CheckpointCallback(state, replace(CARD), None, 1)
    keeper.set_model(model)
    keeper.on_epoch_end(len(state.history.get("loss", [])), {"loss": 1 - score, "val_iou": score})


def begin(model, out):
    out.mkdir()
    end_epoch(model, out)


def end_second(model, out):
    model.set_weights([w + 1 for w in model.get_weights()])
    end_epoch(model, out, 0.6)


def test_an_epoch_killed_at_any_rename_leaves_a_whole_state_and_weights_with_their_card(tmp_path):
    points = kill_everywhere(network, end_second, tmp_path, begin)
    assert points == 2 * (3 + 1 + 1 + 1)  # best weights with their card, the state's weights, the state, the table
    epochs = []
    for point in range(points):
        out = tmp_path / str(point)
        state = json.loads((out / "state.json").read_text())
        epochs.append(state["epochs"])
        with h5py.File(out / state["weights"]) as file:
            assert len(file.keys()) > 1
        assert open_weights(out / "best.weights.h5").card.scores["validation"]["iou"] in (0.5, 0.6)
    assert epochs == sorted(epochs) and set(epochs) == {1, 2}
    model = network()
    for point in (0, 5, 9, points - 1):
        end_epoch(model, tmp_path / str(point), 0.7)
        left = sorted(p.name for p in (tmp_path / str(point)).iterdir())
        assert left[:3] == ["best.json", "best.weights.h5", "history.csv"] and left[4:] == ["state.json"], left


DAMAGED = ["", "{", "[]", "null", "\0\0", '{"epochs": 1}', "[" * 5000,
           '{"epochs": 2, "weights": "last.weights.h5", "history": {"loss": [1]}}',
           '{"epochs": 1, "weights": "../elsewhere.weights.h5", "history": {"loss": [1]}}']


DAMAGED = ["", "{", "[]", "null", "\0\0", '{"epochs": 1}', "[" * 5000,
           '{"epochs": 2, "weights": "last.weights.h5", "history": {"loss": [1]}}',
           '{"epochs": 1, "weights": "../elsewhere.weights.h5", "history": {"loss": [1]}}']


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_state_is_a_sentence(tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(TrainingError, match="state.json is damaged; put a copy in its place"):
        RunState(tmp_path).open(resume=True)


@pytest.fixture(scope="module")
def towns(tmp_path_factory):
    folder = tmp_path_factory.mktemp("towns")
    return Dataset("towns", tuple(draw_town(folder, number) for number in (0, 2)))


def test_a_second_training_into_a_folder_is_refused_in_a_sentence(tmp_path, towns, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with alone_in_run(tmp_path / "run"):
        for begin_another in (lambda: train(replace(CARD), towns, tmp_path / "run", epochs=1, patch_size=32),
                              lambda: fit(CARD, BrightSquares(1), BrightSquares(1), tmp_path / "run", 1)):
            with pytest.raises(TrainingError, match="another training into .*run is running; wait until it is done"):
                begin_another()
    assert not (tmp_path / "run").exists()


class Numbers:
    """A network as far as a state on disk asks: it writes itself, slowly, as the number that it is."""

    def __init__(self, number):
        self.number = number

    def save_weights(self, path):
        with h5py.File(path, "w") as file:
            file["number"] = np.full(1000, self.number)


def train_in_rounds(number, out, barrier):
    """Trainings of two epochs into folders of their number, each begun with another process."""
    said = []
    for turn in range(50):
        barrier.wait()
        try:
            with alone_in_run(out / str(turn)):
                state = RunState(out / str(turn))
                state.open(resume=True)
                for _ in range(random.randint(1, 2)):
                    state.save(Numbers(number), {"loss": float(number)})
            said.append("done")
        except TrainingError as error:
            said.append("refused" if "is running; wait until it is done" in str(error) else str(error))
    (out / f"said-{number}.json").write_text(json.dumps(said))


def test_fifty_pairs_of_trainings_into_one_folder_leave_whole_states(tmp_path):
    assert both(train_in_rounds, tmp_path, CONTEXT.Barrier(2)) == [0, 0]
    rounds = list(zip(*(json.loads((tmp_path / f"said-{n}.json").read_text()) for n in (0, 1)), strict=True))
    assert set(rounds) <= {("done", "done"), ("done", "refused"), ("refused", "done")}
    assert any("refused" in said for said in rounds)
    for turn in range(50):
        state = json.loads((tmp_path / str(turn) / "state.json").read_text())
        with h5py.File(tmp_path / str(turn) / state["weights"]) as file:
            assert set(file["number"][:]) == {state["history"]["loss"][-1]}
        assert len(state["history"]["loss"]) == state["epochs"] <= 4
        assert len(list((tmp_path / str(turn)).iterdir())) == 3


class StopAtOnce(keras.callbacks.Callback):
    """What Ctrl-C or `kill` does in the first step."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def on_train_batch_begin(self, batch, logs=None):
        signal.raise_signal(self.number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_is_stopped_in_its_first_epoch_keeps_nothing_and_says_so(tmp_path, number, code, monkeypatch):
    callbacks = [StopOnSignal(), StopAtOnce(number)]
    with pytest.raises(StoppedError, match="before its first epoch was finished, so nothing is kept") as stopped:
        fit(CARD, BrightSquares(3), BrightSquares(1), tmp_path / "run", 5, callbacks=callbacks, verbose=0)
    assert stopped.value.exit_code == code
    assert not (tmp_path / "run").exists()

    def stop(*_, **__):
        raise stopped.value

    monkeypatch.setattr("jointnet.network.training.train", stop)
    monkeypatch.setattr("jointnet.data.catalogue.open_dataset", lambda *_, **__: Dataset("none", ()))
    said = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "run")])
    assert said.exit_code == code and said.stderr.startswith("\njointnet: training stopped before")




@pytest.mark.timeout(300)
def test_the_command_ends_with_143_when_it_is_told_to_end(tmp_path):
    """A process of its own, from its second epoch; what it compiles is small."""
    for number in range(2):
        scene = draw_town(tmp_path, number)
        for folder, source in (("images", scene.image), ("masks", scene.labels["buildings"])):
            (tmp_path / "town" / folder).mkdir(parents=True, exist_ok=True)
            source.rename(tmp_path / "town" / folder / f"{number}.tif")
    small = ["--preset", "tiny", "--dilation-rates", "1", "--normalization", "none", "--patch-size", "32"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jointnet", "train", "--out", tmp_path / "run", "--dataset", "folder", "--root",
         tmp_path / "town", "--validation", "0.5", "--steps", "1", "--epochs", "100000", *small],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = b""
    while said.count(b"Epoch") < 2 and (more := process.stdout.read1()):
        said += more
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 143
    assert "\nstopped: best validation IoU" in rest and "--resume goes on" in rest and "Traceback" not in rest
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    assert state["epochs"] >= 1 and sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "best.json", "best.weights.h5", "history.csv", state["weights"], "state.json"]
