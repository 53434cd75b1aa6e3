"""A labelled part of a scene, dealt in blocks: nothing that validates is ever trained."""

import numpy as np
import pytest
import shapely

import jointnet
from jointnet.data.done_blocks import labelled_blocks, split_labelled_area
from jointnet.data.edits import Shape
from jointnet.data.label_files import write_labels
from jointnet.data.patches import GridBatches, PatchBatches
from jointnet.data.raster import write_raster
from jointnet.data.splits import find_leaks
from jointnet.errors import InputError
from tests.data.known_grid import grid_of

SIDE = 512


def make(folder, done, epsg=32633):
    """An image whose red and green tell the pixel's own row and column, with a house everywhere and a done area."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    image = np.stack([rows // 2, columns // 2, (rows % 2) * 2 + columns % 2], -1).astype(np.uint8)
    write_raster(folder / "a.tif", image, grid_of(SIDE, SIDE, epsg=epsg))
    halves = [shapely.box(left, 0, left + SIDE / 2, SIDE) for left in (0, SIDE / 2)]
    shapes = [*(Shape("buildings", half) for half in halves), *(Shape("done", d) for d in done)]
    write_labels(folder / "a_labels.gpkg", shapes, grid_of(SIDE, SIDE, epsg=epsg))
    return folder


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return make(tmp_path_factory.mktemp("town"), [shapely.box(64, 96, 448, 480)])


def pixels_with_weight(batches) -> set[tuple[int, int]]:
    """(row, column) of every pixel that counts anywhere in batches, read back from the image's own colours."""
    found = set()
    for number in range(len(batches)):
        image, _, weights = batches[number]
        red, green, blue = (image[..., band][weights[..., 0] > 0].astype(int) for band in range(3))
        found |= set(zip((2 * red + blue // 2).tolist(), (2 * green + blue % 2).tolist(), strict=True))
    return found


def test_no_pixel_that_validates_is_trained_and_both_lie_in_the_done_area(town):
    dataset = jointnet.open_dataset("folder", root=town, validation=0.25)
    train, validation = dataset.select(split="train"), dataset.select(split="validation")
    trained = pixels_with_weight(PatchBatches(train, 128, 4, steps=40, colour_jitter=0))
    judged = pixels_with_weight(GridBatches(validation, 128, 4))
    assert trained and judged and not trained & judged
    for row, col in trained | judged:
        assert 96 <= row < 480 and 64 <= col < 448
    assert find_leaks(dataset) == []


def test_the_share_that_validates_is_about_what_was_asked_for_in_four_blocks_or_more(town):
    """384 x 384 px in blocks of 96: 16 of them, and four validate."""
    scene, = jointnet.open_dataset("folder", root=town)
    dataset = split_labelled_area(scene, 0.25)
    judged, = dataset.select(split="validation")
    assert {b.window[2:] for b in labelled_blocks(scene)} == {(96, 96)}
    assert len(judged.counted) == 4
    assert judged.read_valid(class_name="buildings").sum() == 4 * 96 * 96


def test_the_same_seed_deals_alike_and_another_otherwise(town):
    scene, = jointnet.open_dataset("folder", root=town)
    deals = [[s.counted for s in split_labelled_area(scene, 0.25, seed)] for seed in (0, 0, 1)]
    assert deals[0] == deals[1] != deals[2]


def test_a_scene_without_a_georeference_is_dealt_alike(tmp_path, town):
    plain = make(tmp_path, [shapely.box(64, 96, 448, 480)], epsg=None)
    deals = [[(s.name, s.counted) for s in jointnet.open_dataset("folder", root=root, validation=0.25)]
             for root in (plain, town)]
    assert deals[0] == deals[1]


def test_a_part_of_a_scene_is_dealt_inside_its_rectangle(town):
    scene, = jointnet.open_dataset("folder", root=town)
    part = scene.crop(200, 100, 256, 256)
    for one in split_labelled_area(part):
        assert one.part == (200, 100, 256, 256)
        for top, left, rows, columns in one.counted:
            assert top >= 200 and left >= 100 and top + rows <= 456 and left + columns <= 356


def test_nothing_done_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="drag a rectangle with the tool 'done'"):
        jointnet.open_dataset("folder", root=make(tmp_path, []), validation=0.25)


def test_too_little_done_says_how_much_is_needed(tmp_path):
    with pytest.raises(InputError, match="192 x 192 px"):
        jointnet.open_dataset("folder", root=make(tmp_path, [shapely.box(0, 0, 30, 30)]), validation=0.25)
