"""Scenes read what is on disk now, from any thread and process, and keep only so many files open."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from shapely.geometry import box

import jointnet.data.raster as raster
from jointnet.data.raster import RasterError, kept_raster, write_raster
from jointnet.data.scene import Dataset, Scene, as_scene
from tests.data.known_grid import grid_of, on_grid


def test_a_file_that_is_written_anew_is_read_anew(tmp_path, draw_tile):
    scene = Scene("a", draw_tile(tmp_path / "a.tif", value=10))
    assert (scene.read() == 10).all()
    draw_tile(tmp_path / "a.tif", value=20)
    assert (scene.read() == 20).all()
    scene.image.unlink()
    with pytest.raises(RasterError, match="does not exist"):
        scene.read()


def test_a_file_is_opened_once_for_many_windows(tmp_path, draw_tile):
    path = draw_tile(tmp_path / "a.tif")
    assert kept_raster(path) is kept_raster(str(path))


def test_a_thread_keeps_only_so_many_files_open(tmp_path, draw_tile, monkeypatch):
    monkeypatch.setattr(raster, "KEPT", 3)
    paths = [draw_tile(tmp_path / f"{n}.tif", value=n) for n in range(6)]

    def count_open() -> int:
        links = (os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd"))
        return sum(link.startswith(str(tmp_path)) for link in links)

    if not Path("/proc/self/fd").exists():
        pytest.skip("open files are counted in /proc, which this system has not")
    assert [int(kept_raster(p).read()[0, 0, 0]) for p in paths] == list(range(6))
    assert count_open() == 3
    assert kept_raster(paths[0]).read().max() == 0  # closed meanwhile, and opened again
    assert count_open() == 3


@pytest.fixture
def numbered(tmp_path, draw_tile):
    """A scene in which each pixel knows its row and column."""
    path = draw_tile(tmp_path / "n.tif", side=200)
    rows, cols = np.mgrid[:200, :200].astype(np.uint8)
    write_raster(path, np.stack([rows, cols, rows], -1), Scene("n", path).info)
    return Scene("n", path)


def corner(scene: Scene, seed: int) -> bool:
    """Whether fifty random windows begin with the pixel that they should."""
    starts = np.random.default_rng(seed).integers(0, 190, (50, 2))
    return all(scene.read((int(r), int(c), 8, 8))[0, 0].tolist() == [r, c, r] for r, c in starts)


def test_threads_do_not_disturb_each_other(numbered):
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda seed: corner(numbered, seed), range(16)))


@pytest.mark.filterwarnings(r"ignore:os.fork\(\) was called:RuntimeWarning")  # JAX, if a test loaded it
def test_a_forked_process_reads_with_files_of_its_own(numbered):
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system cannot fork")
    assert corner(numbered, 0)
    before = kept_raster(numbered.image)
    child = os.fork()
    if child == 0:
        os._exit(0 if kept_raster(numbered.image) is not before and corner(numbered, 1) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert corner(numbered, 2)


def test_no_data_is_what_the_file_or_the_rule_says(tmp_path, draw_tile):
    image = np.full((4, 4, 3), 100, np.uint8)
    image[0], image[1], image[2, 0] = 0, 255, (0, 0, 1)
    path = draw_tile(tmp_path / "a.tif", side=4)
    grid = Scene("a", path).info
    write_raster(path, image, grid)
    by_rule = {rule: Scene("a", path, nodata=rule).read_valid().sum() for rule in (None, "black", "white")}
    assert by_rule == {None: 16, "black": 12, "white": 12}  # one row of four is out by either rule
    write_raster(path, image, grid, nodata=0)
    assert Scene("a", path).read_valid()[0].sum() == 0


def test_a_scene_is_found_by_name_or_place(tmp_path):
    dataset = Dataset("d", (Scene("a", tmp_path / "a.tif"), Scene("b", tmp_path / "b.tif")))
    assert dataset["b"] is dataset[1]
    with pytest.raises(KeyError, match="d has no scene 'c'; it has a, b"):
        dataset["c"]
    assert [s.name for s in dataset.select(names="b")] == ["b"]
    with pytest.raises(ValueError, match="d has no scene 'c'; choose from a, b"):
        dataset.select(names=["a", "c"])


@pytest.mark.parametrize("shape", [None, (50, 40)])
def test_bands_come_last_whatever_the_window_the_choice_and_the_scale(numbered, shape):
    """Against rasterio's own (bands, height, width)."""
    size = shape or (200, 200)
    with raster.open_raster(numbered.image, shape) as reader, rasterio.open(numbered.image) as bare:
        whole = bare.read(out_shape=(3, *size), resampling=Resampling.bilinear)
        found = reader.read()
        np.testing.assert_array_equal(found, whole.transpose(1, 2, 0))
        assert found.flags.c_contiguous
        part = reader.read((20, 10, 30, 20), bands=[2, 1])
        assert part.shape == (30, 20, 2)
        if shape is None:
            np.testing.assert_array_equal(part, whole[[1, 0], 20:50, 10:30].transpose(1, 2, 0))


def test_a_crop_is_a_scene_in_its_own_right_and_a_crop_of_it_too(numbered):
    part = numbered.crop(20, 30, 50, 60)
    assert (part.info.shape, part.read()[0, 0].tolist()) == ((50, 60), [20, 30, 20])
    assert part.crop(1, 2, 3, 4).read()[0, 0].tolist() == [21, 32, 21]
    for wrong in ((-1, 0, 5, 5), (0, 0, 51, 5), (0, 58, 5, 3), (0, 0, 0, 5)):
        with pytest.raises(ValueError, match="leaves n, which has 50 x 60 px"):
            part.crop(*wrong)


def test_the_vectors_of_a_scene_come_in_its_own_crs(tmp_path):
    image = write_raster(tmp_path / "a.tif", np.zeros((8, 8, 3), np.uint8), grid_of())
    house = on_grid(box(1, 1, 3, 4))  # 2 x 3 m
    house.to_crs(4326).to_file(tmp_path / "houses.geojson")
    scene = Scene("a", image, vectors={"buildings": tmp_path / "houses.geojson"})
    table = scene.read_vectors("buildings")
    assert (table.crs, table.area.round(3).tolist()) == (house.crs, [6.0])
    with pytest.raises(KeyError, match="no vectors of 'roads'; it has buildings"):
        scene.read_vectors("roads")


def test_a_path_becomes_the_scene_of_its_image(tmp_path, draw_tile):
    path = draw_tile(tmp_path / "town.tif")
    scene = as_scene(str(path), nodata="black")
    assert (scene.name, scene.image, scene.nodata, scene.drawn) == ("town", path, "black", False)
    assert as_scene(scene) is scene
    with pytest.raises(RasterError, match="does not exist"):
        as_scene(tmp_path / "gone.tif")
