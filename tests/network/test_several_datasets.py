"""One network from sets that each label one class: what a set does not label weighs nothing there."""

from dataclasses import replace

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import from_origin

from jointnet.data.raster import Grid, write_raster
from jointnet.data.scene import Dataset, Scene
from jointnet.network.card import Card
from jointnet.network.training import TrainingError, train

CLASSES = ("buildings", "roads")
CARD = Card(preset="tiny", growth_rates=(4, 4, 4), dilation_rates=(1,), classes=CLASSES)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def draw_town(folder, number, gsd=1.0) -> Scene:
    """64 px of grey ground: bright squares are buildings, dark stripes are roads."""
    rng = np.random.default_rng(number)
    masks = {name: np.zeros((64, 64), np.uint8) for name in CLASSES}
    for left in (4, 36):
        top = rng.integers(2, 40)
        masks["buildings"][top : top + 20, left : left + 18] = 255
    masks["roads"][:, 26:32] = 255
    ground = 120 + 80.0 * (masks["buildings"] > 0) - 80.0 * (masks["roads"] > 0)
    image = (ground[..., None] + rng.normal(0, 10, (64, 64, 3))).astype(np.uint8)
    grid = Grid(64, 64, 3, "uint8", CRS.from_epsg(32619), from_origin(300_000, 4_700_000, gsd, gsd))
    paths = {name: folder / f"{name}{number}.tif" for name in ("image", *CLASSES)}
    for name, array in {"image": image, **masks}.items():
        write_raster(paths[name], array, grid)
    split = "train" if number < 2 else "validation"
    return Scene(f"town{number}", paths["image"], "town", split, {name: paths[name] for name in CLASSES})


def only(class_name, scenes) -> Dataset:
    """The scenes with one class of their labels."""
    return Dataset(class_name, tuple(replace(s, labels={class_name: s.labels[class_name]}) for s in scenes))


def teach(dataset, out, **options):
    options = {"epochs": 6, "steps": 8, "patch_size": 32, "batch_size": 4, "learning_rate": 0.01} | options
    return train(replace(CARD), dataset, out, loss="cross_entropy_dice", verbose=0, **options)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sets_that_label_one_class_each_teach_what_one_set_of_both_teaches(tmp_path):
    scenes = [draw_town(tmp_path, number) for number in range(4)]
    both = teach(Dataset("both", tuple(scenes)), tmp_path / "both")
    apart = teach([only(name, scenes) for name in CLASSES], tmp_path / "apart")
    for name in CLASSES:
        reached = max(both.history[f"val_iou_{name}"]), max(apart.history[f"val_iou_{name}"])
        assert min(reached) > 0.7, name
        assert reached[0] == pytest.approx(reached[1], abs=0.15), name
    assert both.card.data == "both, split train: 2 scenes of town"
    assert apart.card.data == (
        "buildings, split train: 2 scenes of town, labels of buildings only; "
        "roads, split train: 2 scenes of town, labels of roads only"
    )


def test_sets_with_pixels_of_another_size_are_refused(tmp_path):
    fine, coarse = (only(name, [draw_town(tmp_path / name, n, gsd) for n in (0, 2)])
                    for name, gsd in (("buildings", 0.3), ("roads", 1.0)))
    with pytest.raises(TrainingError, match=r"differ in their metres per pixel \(buildings 0.3, roads 1.0\)"):
        teach([fine, coarse], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_class_that_no_set_labels_is_refused(tmp_path):
    scenes = only("buildings", [draw_town(tmp_path, n) for n in (0, 2)])
    with pytest.raises(ValueError, match="none of the 1 scenes has labels of roads; they have buildings"):
        teach(scenes, tmp_path / "run")
    with pytest.raises(TrainingError, match="no scene of split 'train' in buildings has labels of trees; they have"):
        train(replace(CARD, classes=("trees",), thresholds={}), scenes, tmp_path / "run")
    assert not (tmp_path / "run").exists()
