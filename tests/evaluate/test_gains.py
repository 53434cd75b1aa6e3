"""Two networks on the same ground: the gain, its interval, and no more said than that."""

import math
from dataclasses import replace

import numpy as np
import pytest
import shapely

import jointnet
from jointnet.data.edits import Shape
from jointnet.data.label_files import write_labels
from jointnet.data.raster import write_raster
from jointnet.data.scene import Scene
from jointnet.errors import InputError
from jointnet.evaluate.agreement import agreement
from jointnet.evaluate.counts import Counts
from jointnet.evaluate.gains import Gain, _paired, compare_blocks
from jointnet.predict.rasters import create_mask
from tests.data.known_grid import grid_of


def gain(before, after) -> Gain:
    """Of pieces with 10 pixels of foreground, so many of which are found, without false alarms."""
    counts = [tuple(Counts(tp, 0, 10 - tp, 90) for tp in found) for found in (before, after)]
    return Gain(tuple(f"piece {i}" for i in range(len(before))), *counts)


def test_the_gain_is_of_pooled_scores_and_the_worst_piece_stands_first():
    """8 + 2 of 20 before, 7 + 9 of 20 after: 0.5 and 0.8; the first piece lost 0.1."""
    found = gain((8, 2), (7, 9))
    assert found.of() == pytest.approx(0.3)
    table = found.table()
    assert table.index.tolist() == ["piece 0", "piece 1", "all, pooled"]
    assert table.iloc[0]["gain"] == pytest.approx(-0.1)


def test_the_interval_is_paired():
    """Pieces differ by far more than the gain does: drawn apart, the interval would hold 0."""
    low, high = gain((1, 9, 1, 9, 1, 9), (2, 10, 2, 10, 2, 10)).interval()
    assert low == pytest.approx(0.1) == high


@pytest.mark.parametrize(("after", "verdict"), [
    ((6, 7, 6, 7), "better"), ((4, 3, 4, 3), "worse"), ((4, 6, 4, 6), "it may be chance")])
def test_the_verdict_claims_no_more_than_the_interval(after, verdict):
    assert verdict in gain((5, 5, 5, 5), after).says()


def test_one_piece_has_no_interval_and_that_is_said():
    found = gain((5,), (9,))
    assert all(map(math.isnan, found.interval()))
    assert "too little to say" in found.says()


@pytest.fixture
def town(tmp_path):
    """256 x 256 px with a house of 32 px in each cell of 64 px; all of it is done."""
    grid = grid_of(256, 256)
    houses = [shapely.box(c, r, c + 32, r + 32) for r in range(16, 256, 64) for c in range(16, 256, 64)]
    write_raster(tmp_path / "a.tif", np.full((256, 256, 3), 90, np.uint8), grid)
    write_labels(tmp_path / "a_labels.gpkg",
                 [*(Shape("buildings", h) for h in houses), Shape("done", shapely.box(0, 0, 256, 256))], grid)
    return tmp_path


def test_blocks_that_validate_are_compared_and_no_others(town):
    """The second mask is right everywhere; the first finds the left half of each house, 16 of 32 columns."""
    dataset = jointnet.open_dataset("folder", root=town, validation=0.25)
    truth = replace(dataset[0], counted=None).read_labels()
    half = truth.copy()
    for col in range(32, 256, 64):
        half[:, col : col + 16] = 0
    for name, mask in (("before", half), ("after", truth)):
        write_raster(town / f"{name}_mask.tif", mask * np.uint8(255), grid_of(256, 256))
    found = compare_blocks(town / "before_mask.tif", town / "after_mask.tif", dataset)
    judged, = dataset.select(split="validation")
    assert len(found.names) == len(judged.counted) == 4
    assert sum(c.total for c in found.before) == sum(h * w for _, _, h, w in judged.counted)
    assert found.table().loc["all, pooled", ["before", "after"]].tolist() == [0.5, 1.0]


def test_without_validation_blocks_it_says_how_to_open_the_dataset(town):
    with pytest.raises(InputError, match="validation=0.25"):
        compare_blocks(town / "a.tif", town / "a.tif", jointnet.open_dataset("folder", root=town))


def people(folder, first, second):
    """Two people's files of one image of 64 x 64 px: (houses, done) of each."""
    grid = grid_of(64, 64)
    write_raster(folder / "a.tif", np.full((64, 64, 3), 90, np.uint8), grid)
    for name, (houses, done) in (("ann", first), ("ben", second)):
        shapes = [*(Shape("buildings", h) for h in houses), Shape("done", done)]
        write_labels(folder / f"{name}.gpkg", shapes, grid)
    return agreement(folder / "ann.gpkg", folder / "ben.gpkg", Scene("a", folder / "a.tif"))


def test_agreement_counts_where_both_are_done(tmp_path):
    """Ann: houses of 10 x 10 and 10 x 10. Ben: the first, two columns to the right (8 of 12 columns shared, IoU 2/3),
    not the second; his third lies beyond what Ann has done. Pixels: 80 of 100 + 100 + 20."""
    ann = [shapely.box(4, 4, 14, 14), shapely.box(4, 30, 14, 40)]
    ben = [shapely.box(6, 4, 16, 14), shapely.box(44, 4, 60, 20)]
    found = people(tmp_path, (ann, shapely.box(0, 0, 32, 64)), (ben, shapely.box(0, 0, 64, 64)))
    assert found.iou == pytest.approx(80 / 220)
    assert (found.objects.precision, found.objects.recall) == (1.0, 0.5)
    assert "IoU 0.364" in found.says()


def test_no_common_ground_is_refused(tmp_path):
    house = [shapely.box(4, 4, 14, 14)]
    with pytest.raises(InputError, match="label one block together"):
        people(tmp_path, (house, shapely.box(0, 0, 20, 64)), (house, shapely.box(40, 0, 64, 64)))


def test_a_raster_that_is_no_mask_of_the_image_is_refused(town):
    """Each of these was scored without a word, as wrong as it was."""
    dataset = jointnet.open_dataset("folder", root=town, validation=0.25)
    mask, grid = np.zeros((256, 256), np.uint8), grid_of(256, 256)
    write_raster(town / "good.tif", mask, grid)
    write_raster(town / "larger.tif", np.zeros((300, 300), np.uint8), grid_of(300, 300))
    write_raster(town / "elsewhere.tif", mask, grid_of(256, 256, 0.3, 32633, 700_000.0, 5_300_000.0))
    write_raster(town / "probability.tif", mask.astype(np.float32), grid)
    for name, says in (("larger", "300 x 300 px and does not lie on a"), ("elsewhere", "does not lie on a"),
                       ("probability", "holds probabilities")):
        with pytest.raises(InputError, match=says):
            compare_blocks(town / "good.tif", town / f"{name}.tif", dataset)


def test_the_band_of_the_class_is_compared(town):
    """Roads stand first in this mask, and nothing in their band is a house."""
    dataset = jointnet.open_dataset("folder", root=town, validation=0.25)
    truth = replace(dataset[0], counted=None).read_labels()
    grid = replace(grid_of(256, 256), bands=2, tags={})
    with create_mask(town / "both.tif", grid, 2, {"classes": ["roads", "buildings"]}, "run") as raster:
        raster.write(np.stack([truth * 0, truth * np.uint8(255)], -1), 0, 0)
    assert compare_blocks(town / "both.tif", town / "both.tif", dataset).before[0].iou == 1


def test_where_no_pixel_counts_that_is_said():
    with pytest.raises(InputError, match="no pixel counts"):
        _paired(["a"], [Counts()], [Counts()])
