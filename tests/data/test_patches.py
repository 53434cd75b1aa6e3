"""Patches read from drawn GeoTIFFs: in their place, weighted, and the same for the same seed."""

import io
import os
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.transform import from_origin
from shapely import LineString, box

from jointnet.backend import keras
from jointnet.data.augment import SYMMETRIES, jitter_colours, turn, turn_back
from jointnet.data.patch_index import count_cells, index_scene
from jointnet.data.patches import GridBatches, PatchBatches, read_patch
from jointnet.data.raster import Grid, write_raster
from jointnet.data.scene import Scene
from jointnet.data.splits import split_in_blocks

GRID = Grid(120, 100, 3, "uint8", CRS.from_epsg(32614), from_origin(600_000, 3_300_000, 0.3, 0.3))


@pytest.fixture
def scene(tmp_path):
    """100 x 120 px; the red band is the row, the green the column; a building at 40-60, 70-90; left edge no-data."""
    rows, cols = np.mgrid[0:100, 0:120].astype(np.uint8)
    image = np.stack([rows, cols, np.full_like(rows, 9)], -1)
    image[:, :10] = 0
    mask = np.zeros((100, 120), np.uint8)
    mask[40:60, 70:90] = 255
    write_raster(tmp_path / "image.tif", image, GRID)
    write_raster(tmp_path / "mask.tif", mask, GRID)
    return Scene("toy", tmp_path / "image.tif", labels={"buildings": tmp_path / "mask.tif"}, nodata="black")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_patch_holds_the_pixels_labels_and_weights_of_its_place(scene):
    image, labels, weights = read_patch(scene, 30, 5, 32)
    assert (image[0, 6] == [30, 11, 9]).all()
    assert weights[:, :5].sum() == 0 and weights[:, 5:].min() == 1
    assert read_patch(scene, 40, 64, 32)[1].sum() == 20 * 20
    assert labels.dtype == np.uint8 and weights.dtype == np.float32


def test_a_patch_that_reaches_beyond_the_scene_is_black_there_and_weighs_nothing(scene):
    image, labels, weights = read_patch(scene, 90, 100, 32)
    assert weights.sum() == 10 * 20
    assert image[10:].max() == 0 and labels[:, 20:].max() == 0


def test_a_class_that_the_scene_does_not_label_weighs_nothing(scene):
    _, labels, weights = read_patch(scene, 30, 5, 32, ("buildings", "roads"))
    assert labels.shape == weights.shape == (32, 32, 2)
    assert weights[:, 5:, 0].min() == 1 and weights[..., 1].max() == 0 and labels[..., 1].max() == 0


def test_scenes_that_each_label_one_class_fill_batches_together(scene):
    other = replace(scene, name="other", labels={"roads": scene.labels["buildings"]})
    grid = GridBatches([scene, other], 128, 2, ("buildings", "roads"))
    _, labels, weights = grid[0]
    assert weights.sum(axis=(1, 2)).tolist() == [[100 * 110, 0], [0, 100 * 110]]
    assert labels.sum(axis=(1, 2)).tolist() == [[400, 0], [0, 400]]
    batches = PatchBatches([scene, other], 32, 16, ("buildings", "roads"), steps=1, foreground_share=1.0)
    assert batches[0][1].sum(axis=(0, 1, 2)).min() > 0  # patches of both


def test_a_class_that_no_scene_labels_is_refused(scene):
    for batches in (PatchBatches, GridBatches):
        with pytest.raises(ValueError, match="none of the 1 scenes has labels of roads; they have buildings: add"):
            batches([scene], 32, classes=("buildings", "roads"))


def test_the_grid_covers_every_valid_pixel_once(scene):
    grid = GridBatches([scene], 32, 5)
    weights = sum(grid[k][2].sum() for k in range(len(grid)))
    foreground = sum(grid[k][1].sum() for k in range(len(grid)))
    assert (weights, foreground) == (100 * 110, 400)


def test_the_same_seed_gives_the_same_batches_and_another_epoch_gives_others(scene):
    first, second = (PatchBatches([scene], 32, 4, steps=3, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first[2][0], second[2][0])
    second.on_epoch_end()
    assert (first[2][0] != second[2][0]).any()


class Recorder(keras.Model):
    """Trains nothing and keeps the batches that `fit` hands it."""

    def __init__(self):
        inputs = keras.Input((32, 32, 3))
        super().__init__(inputs, keras.layers.Identity()(inputs))
        self.seen = []

    def train_step(self, data):
        self.seen.append([keras.ops.convert_to_numpy(part) for part in data])
        return {"loss": 0.0}


def test_parts_of_a_batch_together_are_the_batch(scene):
    batches = PatchBatches([scene], 64, 4, seed=3)
    parts = [batches.part(1, rows) for rows in (slice(0, 1), slice(1, 4))]
    for whole, *shared in zip(batches[1], *parts, strict=True):
        np.testing.assert_array_equal(np.concatenate(shared), whole)


def test_training_gets_the_same_batches_whatever_the_number_of_workers(scene):
    """Two epochs of three batches, as `fit` hands them on; no two of them alike."""
    seen = {}
    for workers in (1, 3):
        recorder = Recorder()
        recorder.compile(run_eagerly=True)
        recorder.fit(PatchBatches([scene], 32, 2, steps=3, seed=5, workers=workers), epochs=2, verbose=0, shuffle=False)
        seen[workers] = recorder.seen
    assert len(seen[1]) == len(seen[3]) == 6
    for one, three in zip(seen[1], seen[3], strict=True):
        for part in range(3):  # images, labels, weights
            np.testing.assert_array_equal(one[part], three[part])
    assert len({batch[0].tobytes() for batch in seen[1]}) == 6


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(block=st.integers(24, 60), gap=st.integers(0, 9), seed=st.integers(0, 99))
def test_no_pixel_that_trains_is_among_those_that_validate(scene, block, gap, seed):
    """Random patches of some blocks of a scene, grids of the others; red is a pixel's row, green its column."""
    blocks = split_in_blocks(scene, block, validation=0.3, gap=gap, seed=seed)
    train, check = blocks.select(split="train"), blocks.select(split="validation")
    try:
        batches = PatchBatches(train, 32, 8, steps=4, colour_jitter=0, foreground_share=0, seed=seed)
    except ValueError:  # the only training block is the no-data at the left
        assume(False)
    trained = {place for k in range(4) for place in places_of(batches[k])}
    grid = GridBatches(check, 32, 8)
    checked = {place for k in range(len(grid)) for place in places_of(grid[k])}
    assert trained
    assert not trained & checked


def places_of(batch) -> set[tuple[int, int]]:
    """(row, col) of the pixels with weight, read from their colours."""
    image, _, weights = batch
    return set(map(tuple, image[weights[..., 0] > 0][:, :2].tolist()))


def test_every_patch_that_should_hold_foreground_does(scene):
    batches = PatchBatches([scene], 32, 8, steps=4, foreground_share=1.0, turns=False, colour_jitter=0)
    assert all(batches[k][1].sum(axis=(1, 2, 3)).min() > 0 for k in range(4))


def test_turned_patches_keep_image_and_labels_together(scene):
    batches = PatchBatches([scene], 32, 16, steps=1, foreground_share=1.0, colour_jitter=0)
    image, labels, weights = batches[0]
    rows, cols = image[..., 0].astype(int), image[..., 1].astype(int)
    expected = (rows >= 40) & (rows < 60) & (cols >= 70) & (cols < 90)
    np.testing.assert_array_equal(labels[..., 0][weights[..., 0] > 0], expected[weights[..., 0] > 0])


@pytest.mark.parametrize("symmetry", range(SYMMETRIES))
def test_turning_back_undoes_a_turn_exactly(symmetry):
    patch = np.arange(5 * 5 * 2).reshape(5, 5, 2)
    np.testing.assert_array_equal(turn_back(turn(patch, symmetry), symmetry), patch)


def test_the_eight_turns_differ():
    patch = np.arange(9).reshape(3, 3)
    assert len({turn(patch, k).tobytes() for k in range(SYMMETRIES)}) == 8


def test_colours_change_but_black_stays_black_and_strength_zero_changes_nothing():
    image = np.random.default_rng(0).integers(1, 256, (8, 8, 3), dtype=np.uint8)
    image[0] = 0
    changed = jitter_colours(image, np.random.default_rng(1), 0.3)
    assert changed[0].max() == 0 and (changed[1:] != image[1:]).any() and changed.dtype == np.uint8
    np.testing.assert_array_equal(jitter_colours(image, np.random.default_rng(1), 0), image)


def test_the_index_counts_valid_and_foreground_pixels_of_each_cell(scene):
    index = count_cells(scene, ["buildings"])
    assert index.valid.shape == (4, 4) and index.valid.sum() == 100 * 110
    assert index.valid[0, 0] == 32 * 22
    assert index.foreground[1, 2] == (60 - 40) * (90 - 70)  # rows 32-63, columns 64-95
    assert index.foreground_share == pytest.approx(400 / 11_000)


def test_a_changed_mask_is_counted_anew(scene, tmp_path):
    assert index_scene(scene, ["buildings"], tmp_path / "kept").foreground.sum() == 400
    assert len(list((tmp_path / "kept").iterdir())) == 1
    mask = np.zeros((100, 120), np.uint8)
    mask[0:3, 50:60] = 255
    write_raster(scene.labels["buildings"], mask, GRID)
    assert index_scene(scene, ["buildings"], tmp_path / "kept").foreground.sum() == 30


def test_another_layer_of_the_same_file_and_columns_that_changed_are_counted_anew(scene, tmp_path):
    file, houses = tmp_path / "town.gpkg", gpd.GeoDataFrame(geometry=[box(5, 10, 10, 15), box(20, 10, 30, 20)])
    left, bottom = GRID.bounds[:2]
    placed = houses.translate(left, bottom).set_crs(GRID.crs)
    for name, shapes in (("old", placed[:1]), ("new", placed)):
        shapes.to_file(file, layer=name)
    labelled = replace(scene, labels={"buildings": file}, masks={})
    counts = [index_scene(replace(labelled, layers={"buildings": name}), ["buildings"], tmp_path / "kept") for name in (
        "old", "new", "old")]
    assert counts[1].foreground.sum() > counts[0].foreground.sum() == counts[2].foreground.sum()
    shape = tmp_path / "roads.shp"
    lines = gpd.GeoDataFrame({"width_m": [2.0]}, geometry=[LineString([(10, 10), (25, 20)])]).translate(left, bottom)
    for width in (2.0, 8.0):
        state = shape.stat() if shape.exists() else None
        gpd.GeoDataFrame({"width_m": [width]}, geometry=lines.set_crs(GRID.crs)).to_file(shape)
        if state:
            os.utime(shape, ns=(state.st_atime_ns, state.st_mtime_ns))  # as of a table in which a value was changed
        streets = replace(scene, labels={"roads": shape}, masks={})
        counts.append(index_scene(streets, ["roads"], tmp_path / "kept"))
    assert counts[-1].foreground.sum() > 2 * counts[-2].foreground.sum()


def kept_as(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("damage", [
    lambda good, data: b"PK no zip", lambda good, data: data[: len(data) // 2], lambda good, data: b"",
    lambda good, data: data[:-200].replace(b"\x08\0", b"\x63\0") + data[-200:].replace(b"\x08\0", b"\x63\0"),
    lambda good, data: kept_as(valid=good.valid[:1], foreground=good.foreground[:1]),
    lambda good, data: kept_as(valid=good.valid, foreground=good.valid + 1),
    lambda good, data: kept_as(valid=good.valid * np.nan, foreground=good.foreground),
], ids=["no zip", "cut", "empty", "method", "smaller", "more than all", "no numbers"])
def test_a_damaged_index_is_counted_anew(scene, tmp_path, damage):
    good = index_scene(scene, ["buildings"], tmp_path / "kept")
    path = next((tmp_path / "kept").iterdir())
    path.write_bytes(damage(good, path.read_bytes()))
    again = index_scene(scene, ["buildings"], tmp_path / "kept")
    assert np.array_equal(again.valid, good.valid) and again.foreground.sum() == 400


def test_scenes_without_a_valid_pixel_are_refused(tmp_path):
    write_raster(tmp_path / "image.tif", np.zeros((100, 120, 3), np.uint8), GRID)
    write_raster(tmp_path / "mask.tif", np.zeros((100, 120), np.uint8), GRID)
    empty = Scene("empty", tmp_path / "image.tif", labels={"buildings": tmp_path / "mask.tif"}, nodata="black")
    with pytest.raises(ValueError, match="every pixel is no-data"):
        PatchBatches([empty], 32)
