"""The options of `open_dataset("folder")`, typed at a terminal: in each command that opens a dataset."""

import inspect
import json
from dataclasses import fields

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin
from typer.testing import CliRunner

from jointnet.cli import app
from jointnet.data.catalogue import open_dataset
from jointnet.options import FolderOptions
from jointnet.terminal import number_or_name, paths, pixel_values

PLACE = from_origin(600_000, 5_340_000, 0.5, 0.5)
CLASSES = np.zeros((8, 8), np.uint8)
CLASSES[:, :4], CLASSES[0, 4:] = 2, 3  # 32 pixels of buildings, 4 of roads


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def save(path, array):
    """A GeoTIFF of an array (height, width) or (bands, height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = array[None] if array.ndim == 2 else array
    with rasterio.open(path, "w", "GTiff", 8, 8, len(bands), "EPSG:32633", PLACE, "uint8") as out:
        out.write(bands)


def to_ground(row, col, height, width):
    """A rectangle of pixels, in metres."""
    return shapely.box(*(PLACE @ (col, row + height)), *(PLACE @ (col + width, row)))


@pytest.fixture
def town(tmp_path):
    """An image whose left half is building, and a perfect prediction."""
    save(tmp_path / "data/images/a.tif", np.full((3, 8, 8), 9, np.uint8))
    save(tmp_path / "out/a_mask.tif", (CLASSES == 2) * np.uint8(255))
    return tmp_path


def score(town, *flags, predictions="out"):
    """IoU of a prediction as `jointnet evaluate` counts it."""
    where = ("-d", "folder", "--root", town / "data", "--json", town / "s.json")
    done = run("evaluate", town / predictions, *where, *flags)
    assert done.exit_code == 0, done.output
    return json.loads((town / "s.json").read_text())["overall"]["iou"]


def test_every_command_that_opens_a_folder_shows_its_options():
    for command in ("train", "evaluate"):
        shown = " ".join(run(command, "--help").output.split())
        assert all(f"--{f.name.replace('_', '-')} <" in shown for f in fields(FolderOptions)), command
    taken = inspect.signature(open_dataset).parameters
    assert all(taken[f.name].default is None for f in fields(FolderOptions))


@pytest.mark.parametrize("flags", [
    ("--label-values", "2"), ("--label-values", "buildings=2,roads=3"), ("--label-values", "2,9"),
    ("--label-values", "2-2", "--ignore-values", "none"),
])
def test_values_of_masks_are_typed(town, flags):
    save(town / "data/masks/a.tif", CLASSES)
    assert run("evaluate", town / "out", "-d", "folder", "--root", town / "data").exit_code == 2
    assert score(town, *flags) == 1


def test_what_nobody_labelled_is_typed(town):
    """Rows 1 to 7 of the right half are background, 28 pixels; a prediction of everything is wrong on those alone."""
    save(town / "data/masks/a.tif", CLASSES)
    save(town / "all/a_mask.tif", np.full((8, 8), 255, np.uint8))
    flags = ("--label-values", "2", "--ignore-values", "3")
    assert score(town, *flags, predictions="all") == 32 / 60


def test_a_colour_is_typed(town):
    red, green = ((value == CLASSES) * np.uint8(255) for value in (2, 3))
    save(town / "data/masks/a.tif", np.stack([red, green, CLASSES * 0]))
    assert score(town, "--label-values", "#ff0000") == 1


def test_labels_elsewhere_and_their_layer_are_typed(town):
    houses, trees = (gpd.GeoDataFrame(geometry=[to_ground(*b)], crs=32633) for b in ((0, 0, 8, 4), (0, 6, 8, 2)))
    houses.to_file(town / "city.gpkg", layer="objects")
    trees.to_file(town / "city.gpkg", layer="plants", mode="a")
    assert score(town, "--labels", town / "city.gpkg", "--layer", "objects") == 1


@pytest.mark.parametrize(("flags", "rows"), [(("--width", "2"), 4), (("--width", "wide"), 6)])
def test_the_width_of_roads_is_typed(town, flags, rows):
    """A street between the two middle rows; 2 m are 4 rows of 0.5 m, and the column says 3 m."""
    street = shapely.LineString([PLACE @ (-9, 4), PLACE @ (17, 4)])
    gpd.GeoDataFrame({"wide": ["3 m"]}, geometry=[street], crs=32633).to_file(town / "data/images/a.gpkg")
    guess = np.zeros((8, 8), np.uint8)
    guess[4 - rows // 2 : 4 + rows // 2] = 255
    save(town / "roads/a_mask.tif", guess)
    assert score(town, *flags, "--class", "roads", predictions="roads") == 1


@pytest.mark.parametrize(("command", "words"), [
    (("train", "--out", "run", "--layer", "x"), "layer= (--layer) belongs to the dataset 'folder'"),
    (("train", "--out", "run", "--label-values", "red"), "--label-values 'red' should be"),
    (("evaluate", ".", "--ignore-values", "=3"), "--ignore-values '=3' should be values, as 2 or 1,3 or 128-255"),
])
def test_what_cannot_be_meant_is_refused(tmp_path, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    done = run(*command)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert words in done.stderr


def test_words_are_read_as_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pixel_values("1, 3-5,-7", "") == [1, 3, 4, 5, -7]
    assert pixel_values("#FF8000,0.5", "") == [(255, 128, 0), 0.5]
    assert pixel_values("none", "") == []
    assert pixel_values("roads=2,buildings=1,roads=4-5", "") == {"roads": [2, 4, 5], "buildings": [1]}
    assert (number_or_name("6.5", ""), number_or_name("lanes", "")) == (6.5, "lanes")
    (tmp_path / "a,b.gpkg").touch()
    assert (paths("a,b.gpkg", ""), paths("a.gpkg, b.gpkg", "")) == (["a,b.gpkg"], ["a.gpkg", "b.gpkg"])
