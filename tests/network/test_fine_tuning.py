"""Going on with a network on a few labels: its scale, its statistics and its settings."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import shapely

import jointnet
from jointnet.data.edits import Shape
from jointnet.data.label_files import write_labels
from jointnet.data.raster import read_raster, write_raster
from jointnet.errors import InputError
from jointnet.network.card import Card
from jointnet.network.fine_tuning import (
    FineTuningWarning,
    at_own_scale,
    fitting_patch,
    freeze_statistics,
    mixed,
    settled,
)
from jointnet.network.training import TrainingError
from jointnet.options import TrainOptions
from tests.data.known_grid import grid_of


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """256 x 256 px of 0.3 m with bright houses on a grid, all of it marked as done."""
    folder, grid = tmp_path_factory.mktemp("town"), grid_of(256, 256, 0.3)
    image = np.full((256, 256, 3), 60, np.uint8)
    shapes = [Shape("done", shapely.box(0, 0, 256, 256))]
    for row in range(16, 256, 64):
        for col in range(16, 256, 64):
            image[row : row + 32, col : col + 24] = 200
            shapes.append(Shape("buildings", shapely.box(col, row, col + 24, row + 32)))
    write_raster(folder / "a.tif", image, grid)
    write_labels(folder / "a_labels.gpkg", shapes, grid)
    return folder


def test_images_are_brought_to_the_scale_that_the_network_knows_and_labels_with_them(town, tmp_path):
    """At 0.6 m a house of 32 x 24 px is one of 16 x 12, and its first corner at (16, 16) lies at (8, 8)."""
    scene, = jointnet.open_dataset("folder", root=town)
    small, = at_own_scale(Card(gsd=0.6), [scene], tmp_path)
    assert small.info.shape == (128, 128) and small.gsd == pytest.approx(0.6)
    labels = small.read_labels()
    assert labels[8:24, 8:20].all() and labels.sum() == 16 * 16 * 12
    image = small.read()[..., 0]
    assert (image[9:23, 9:19] == 200).all() and image[2, 2] == 60


def test_blocks_stay_apart_at_another_scale(town, tmp_path):
    dataset = jointnet.open_dataset("folder", root=town, validation=0.25)
    small = at_own_scale(Card(gsd=0.5), dataset.scenes, tmp_path)  # 0.6: edges fall between pixels
    count = np.zeros((160, 160), int)
    for scene in {s.counted: s for s in small}.values():
        top, left = scene.part[:2] if scene.part else (0, 0)
        seen = scene.read_valid(class_name="buildings")
        count[top : top + seen.shape[0], left : left + seen.shape[1]] += seen
    assert count.max() == 1 and count[:154, :154].all()


def test_ground_without_imagery_has_none_at_another_scale(tmp_path):
    image = np.full((64, 64, 3), 90, np.uint8)
    image[:, 32:], image[4, 4] = 0, (0, 0, 9)
    write_raster(tmp_path / "a.tif", image, grid_of(64, 64, 0.3), nodata=0)
    write_labels(tmp_path / "a_labels.gpkg", [Shape("done", shapely.box(0, 0, 64, 64))], grid_of(64, 64, 0.3))
    scene, = jointnet.open_dataset("folder", root=tmp_path)
    small, = at_own_scale(Card(gsd=0.6), [scene], tmp_path / "out")
    valid = small.read_valid()
    assert valid[:, :16].all() and not valid[:, 17:].any()


def test_masks_stay_at_their_own_scale_and_that_is_said(tmp_path):
    write_raster(tmp_path / "a.tif", np.full((64, 64, 3), 90, np.uint8), grid_of(64, 64, 0.3))
    (tmp_path / "masks").mkdir()
    write_raster(tmp_path / "masks" / "a.tif", np.eye(64, dtype=np.uint8) * 255, grid_of(64, 64, 0.3))
    scene, = jointnet.open_dataset("folder", root=tmp_path)
    with pytest.warns(FineTuningWarning, match="0.6 m per pixel and goes on at 0.3 m"):
        assert at_own_scale(Card(gsd=0.6), [scene], tmp_path / "out") == [scene]


def test_a_network_of_the_same_scale_sees_the_files_themselves(town, tmp_path):
    scene, = jointnet.open_dataset("folder", root=town)
    assert at_own_scale(Card(gsd=0.31), [scene], tmp_path / "out")[0].image == scene.image
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("sides", "patch"), [((100, 40), 96), ((300, 40), 256), ((20, 20), 64)])
def test_patches_are_no_larger_than_the_largest_image(town, sides, patch):
    scene, = jointnet.open_dataset("folder", root=town)
    scenes = [replace(scene, part=(0, 0, side, side)) for side in sides]
    assert fitting_patch(Card(patch_size=256), scenes) == patch


def test_options_that_are_not_given_suit_what_is_trained():
    new, going_on = (settled(TrainOptions(), goes_on) for goes_on in (False, True))
    assert (new.learning_rate, new.epochs, new.frozen_statistics) == (1e-3, 20, False)
    assert going_on.learning_rate < new.learning_rate and going_on.frozen_statistics
    assert settled(TrainOptions(learning_rate=5e-3, frozen_statistics=False), True).learning_rate == 5e-3


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("uncompiled")
def test_frozen_statistics_do_not_move_and_weights_do(town, tmp_path):
    card = Card(preset="tiny", normalization="batch", growth_rates=(4, 4, 4), patch_size=64, gsd=0.6, name="elsewhere",
                data="another town")
    model = card.build()
    model.card = card
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(keras.ops.full_like(layer.moving_mean, 0.125))
    run = jointnet.train(model, jointnet.open_dataset("folder", root=town, validation=0.25), tmp_path / "run",
                         epochs=1, steps=2, batch_size=2, verbose=0)
    after = jointnet.load_model(run.out / "best.weights.h5")
    means = [np.asarray(x.moving_mean) for x in after.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert means and all((m == 0.125).all() for m in means)
    moved = [np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in zip(model.weights, after.weights, strict=True)]
    assert max(moved) > 0
    assert after.card.gsd == pytest.approx(0.6)
    assert after.card.data.endswith("before that, as elsewhere: another town")
    assert read_raster(next((run.out / "images").glob("*.tif"))).shape == (128, 128, 3)


def test_freezing_leaves_group_normalisation_alone():
    network = replace(Card(preset="tiny", growth_rates=(4, 4, 4)), normalization="group").build()
    before = len(network.trainable_variables)
    freeze_statistics(network)
    assert len(network.trainable_variables) == before


def test_a_mix_lies_between_the_two_networks_and_says_no_score():
    before, after = (jointnet.build_jointnet("tiny", growth_rates=(4, 4, 4), dilation_rates=(1,)) for _ in range(2))
    before.set_weights([np.full_like(w, 1.0) for w in before.get_weights()])
    after.set_weights([np.full_like(w, 3.0) for w in after.get_weights()])
    after.card = Card("town", preset="tiny", growth_rates=(4, 4, 4), dilation_rates=(1,), scores={"old": {"iou": 0.9}})
    mix = mixed(before, after, 0.25)
    assert all((w == 1.5).all() for w in mix.get_weights())  # 0.75 * 1 + 0.25 * 3
    assert mix.card.name == "town" and mix.card.scores == {}


def test_networks_of_another_form_are_not_mixed():
    networks = [jointnet.build_jointnet("tiny", growth_rates=(g, 4, 4), dilation_rates=(1,)) for g in (4, 8)]
    with pytest.raises(InputError, match="not the same form"):
        mixed(*networks)
    with pytest.raises(InputError, match="from 0 to 1"):
        mixed(networks[0], networks[0], 1.5)


def test_what_cannot_be_mixed_is_a_sentence():
    one, other = (jointnet.build_jointnet("tiny", growth_rates=(4, 4, 4), dilation_rates=(1,)) for _ in range(2))
    other.card = Card(classes=("roads",))
    with pytest.raises(InputError, match="one network knows buildings, the other roads"):
        mixed(one, other)
    with pytest.raises(InputError, match="a str cannot be mixed"):
        mixed("buildings-small", one)
    with pytest.raises(InputError, match="share='0.5'"):
        mixed(one, one, "0.5")


def test_a_network_goes_on_with_its_own_bands_and_classes_only(town, tmp_path):
    network = jointnet.build_jointnet("tiny", bands=4, growth_rates=(4, 4, 4), dilation_rates=(1,))
    network.card = Card(preset="tiny", bands=4, growth_rates=(4, 4, 4), dilation_rates=(1,))
    dataset = jointnet.open_dataset("folder", root=town, validation=0.25)
    with pytest.raises(TrainingError, match="has 3 bands and the network takes 4"):
        jointnet.train(network, dataset, tmp_path / "run")
    with pytest.raises(TrainingError, match="the network knows buildings and goes on with that; classes=roads"):
        jointnet.train(network, dataset, tmp_path / "run", classes=("roads",))
    for nothing in (None, tmp_path / "best.weights.h5"):
        with pytest.raises(InputError, match="is nothing to train: name a preset"):
            jointnet.train(nothing, dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("options", "says"), [
    ({"schedule": "foo"}, "schedule 'foo' is unknown; choose from"), ({"average": 1.5}, "average=1.5; give the share"),
    ({"learning_rate": -1}, "learning_rate=-1 must be"), ({"learning_rate": float("nan")}, "learning_rate=nan must be"),
    ({"foreground_share": 3}, "foreground_share=3 must be"), ({"colour_jitter": -1}, "colour_jitter=-1 must be"),
])
def test_an_option_that_no_training_can_go_by_is_refused_before_anything_is_made(town, tmp_path, options, says):
    dataset = jointnet.open_dataset("folder", root=town, validation=0.25)
    with pytest.raises(InputError, match=says):
        jointnet.train("tiny", dataset, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
