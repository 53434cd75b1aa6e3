"""Files that were written before the renames of 2026-11 are read as they were: `tests/made_before` holds a few.

A toy network was trained for three epochs; it predicted an image of two bright squares, whose labels have a third.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

import jointnet
from jointnet.data.raster import read_mask, read_raster
from jointnet.evaluate.error_objects import find_errors
from jointnet.predict.rasters import read_probability

HERE = Path(__file__).parent / "made_before"
MISSED = 10 * 16  # pixels of the third building


@pytest.fixture(scope="module")
def labelled():
    return jointnet.open_dataset("folder", root=HERE / "mine")


def test_weights_and_card_give_the_probabilities_that_they_gave():
    model = jointnet.load_model(HERE / "run" / "best.weights.h5")
    assert (model.card.name, model.card.patch_size, model.card.steps) == ("toy", 16, 24)
    probability = jointnet.predict_array(model, read_raster(HERE / "mine" / "images" / "a.tif"))
    before = read_probability(HERE / "maps" / "a_probability.tif")
    assert np.abs(probability - before).max() <= 0.5 / 254 + 1e-5  # it was stored in 254 steps


def test_a_prediction_is_scored_as_it_was(labelled):
    counts = jointnet.evaluate(HERE / "maps", labelled).tiles[0].pixels
    truth, mask = (read_mask(HERE / part) > 0 for part in ("mine/masks/a.tif", "maps/a_mask.tif"))
    assert (counts.tp, counts.fn) == ((truth & mask).sum(), (truth & ~mask).sum())
    assert counts.fn >= MISSED


def test_notes_on_errors_are_found_again(labelled, tmp_path):
    from jointnet import ErrorExplorer

    shutil.copy(HERE / "notes.geojson", tmp_path)
    errors = find_errors(HERE / "maps", labelled)
    explorer = ErrorExplorer(errors, labelled, HERE / "maps", notes=tmp_path / "notes.geojson")
    assert explorer.notes == {errors["id"].iloc[0]: "a shed, I think"}


@pytest.mark.usefixtures("uncompiled")
def test_a_training_goes_on_from_its_state(tmp_path):
    from jointnet.backend import keras
    from jointnet.network.training import fit

    class OneBatch(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            labels = np.zeros((1, 16, 16, 1), "float32")
            labels[:, 4:12, 4:12] = 1
            return (60 + 140 * labels).repeat(3, -1).astype("uint8"), labels, np.ones_like(labels)

    shutil.copytree(HERE / "run", tmp_path / "run")
    card = jointnet.load_model(HERE / "run" / "best.weights.h5").card
    run = fit(card, OneBatch(), OneBatch(), tmp_path / "run", 4, resume=True, verbose=0)
    assert len(run.history["val_iou"]) == 4
    assert run.history["val_iou"][2] == pytest.approx(0.9609375)
