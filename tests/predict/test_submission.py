import re
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

from jointnet.data.inria import TEST_TILES
from jointnet.data.raster import Grid, write_raster
from jointnet.predict.submission import SubmissionError, check_submission, write_submission

TILES = ("sfo1", "tyrol-e36")
SIDE = 40
GRID = Grid(SIDE, SIDE, 1, "uint8", CRS.from_epsg(32610), Affine(0.3, 0, 5e5, 0, -0.3, 5e6))


@pytest.fixture
def masks(tmp_path):
    """Two masks, one of 0 and 255, one of 0 and 1."""
    left = np.zeros((SIDE, SIDE), np.uint8)
    left[:, :10] = 1
    write_raster(tmp_path / "masks" / "sfo1_mask.tif", left * 255, GRID)
    write_raster(tmp_path / "masks" / "tyrol-e36_mask.tif", left, GRID)
    return tmp_path / "masks"


def test_the_contest_has_180_tiles():
    assert len(set(TEST_TILES)) == 180


def test_what_is_written_passes_the_check_and_holds_0_and_255(masks, tmp_path):
    path = write_submission(masks, tmp_path / "entry.zip", TILES, SIDE)
    assert check_submission(path, TILES, SIDE) == []
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["sfo1.tif", "tyrol-e36.tif"]
        archive.extractall(tmp_path / "entry")
    for name in TILES:
        with rasterio.open(tmp_path / "entry" / f"{name}.tif") as raster:
            assert (raster.count, raster.dtypes, raster.crs) == (1, ("uint8",), GRID.crs)
            pixels = raster.read(1)
        assert (pixels[:, :10] == 255).all()
        assert (pixels[:, 10:] == 0).all()


def test_every_missing_mask_is_named_and_nothing_is_left_behind(masks, tmp_path):
    (masks / "sfo1_mask.tif").unlink()
    with pytest.raises(SubmissionError, match="1 of 2 masks are missing: sfo1"):
        write_submission(masks, tmp_path / "entry.zip", TILES, SIDE)
    assert [p.name for p in tmp_path.iterdir()] == ["masks"]


def test_a_probability_is_no_mask(masks, tmp_path):
    write_raster(masks / "sfo1_mask.tif", np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE), GRID)
    with pytest.raises(SubmissionError, match="not the probability"):
        write_submission(masks, tmp_path / "entry.zip", TILES, SIDE)
    assert [p.name for p in tmp_path.iterdir()] == ["masks"]


def test_a_mask_of_another_size_is_refused(masks, tmp_path):
    with pytest.raises(SubmissionError, match="40 x 40 px of 1 bands"):
        write_submission(masks, tmp_path / "entry.zip", TILES, SIDE + 1)


def entry(tmp_path, name, values):
    path = tmp_path / "entry.zip"
    height, width = values.shape[:2]
    write_raster(tmp_path / "one.tif", values, replace(GRID, height=height, width=width))
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "one.tif", name)
    return path


@pytest.mark.parametrize(("values", "says"), [
    (np.ones((SIDE, SIDE), np.uint8), r"values \[1\] besides 0 and 255"),
    (np.zeros((SIDE, SIDE, 2), np.uint8), "2 bands, not one"),
    (np.zeros((SIDE, SIDE), np.uint16), "uint16 values, not 8 bits"),
    (np.zeros((SIDE, 30), np.uint8), "40 x 30 px, not 40 x 40"),
])
def test_a_wrong_file_is_refused_with_the_reason(tmp_path, values, says):
    path = entry(tmp_path, "sfo1.tif", values)
    (fault,) = check_submission(path, ("sfo1",), SIDE)
    assert fault.startswith("sfo1.tif: ")
    assert re.search(says, fault)


def test_missing_and_foreign_files_are_named(tmp_path):
    path = entry(tmp_path, "austin1.tif", np.zeros((SIDE, SIDE), np.uint8))
    faults = check_submission(path, TILES, SIDE)
    assert faults[0] == "2 of 2 tiles are missing: sfo1.tif, tyrol-e36.tif"
    assert faults[1].startswith("1 files do not belong: austin1.tif")


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "entry.zip").write_bytes(b"x")
    assert "not a zip file" in check_submission(tmp_path / "entry.zip")[0]


def test_a_compressed_file_that_is_damaged_and_one_that_is_there_twice_are_named(tmp_path):
    path = tmp_path / "entry.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's own, of two files of one name
        for name in ("sfo1.tif", "tyrol-e36.tif", "tyrol-e36.tif"):
            archive.writestr(name, np.random.default_rng(0).bytes(500) + bytes(500))
    content = bytearray(path.read_bytes())
    content[45:60] = b"\xff" * 15  # of the first file's deflated bytes: the header before them has 30 and its name 8
    path.write_bytes(content)
    faults = check_submission(path, TILES, SIDE)
    assert faults[0] == "1 files are there more than once: tyrol-e36.tif"
    assert faults[1].startswith("sfo1.tif: damaged or locked inside the zip")
