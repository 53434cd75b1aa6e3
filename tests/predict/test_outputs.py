"""A prediction whose disk fills, whose process dies or that is not alone: nothing lost, nothing half-written."""

import io
import json
import random
import time

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from filelock import FileLock
from typer.testing import CliRunner

from jointnet.cli import app
from jointnet.data.raster import Grid, RasterError, write_raster
from jointnet.predict.outputs import Spool
from jointnet.predict.scenes import predict_scene
from jointnet.predict.settings import PredictionError, Settings
from tests.disks import resize, small_disk
from tests.killing import CONTEXT, both, in_child, kill_points

OPTIONS = {"size": 32, "threshold": 153.5 / 255, "progress": False}
UTM = Grid(40, 40, 3, "uint8", rasterio.CRS.from_epsg(32633), rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6))
OUTPUTS = ["town_buildings.geojson", "town_buildings.gpkg", "town_mask.tif", "town_probability.tif"]


class Counted:
    """A network that counts its windows."""

    card = Settings(bands=3, classes=("buildings",), patch_size=32)

    def __init__(self, pause=0.0):
        self.windows, self.pause = 0, pause

    def __call__(self, windows):
        self.windows += len(windows)
        time.sleep(self.pause * random.random())
        return windows[..., :1].astype(np.float32) / 255


def files(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def pixels(folder, name):
    with rasterio.open(folder / name) as raster:
        return raster.read()


def content(folder):
    """What can be read of a prediction's files, each as something that can be compared; an error if one is damaged."""
    found = {name: pixels(folder, name).tolist() for name in OUTPUTS[2:] if (folder / name).exists()}
    for name in OUTPUTS[:2]:
        if (folder / name).exists():
            shapes = gpd.read_file(folder / name)
            found[name] = sorted(shapes.to_crs(32633).geometry.area.round(3)), len(shapes)
    return found


def predict(scene_path, out, threshold=OPTIONS["threshold"], overwrite=False):
    predict_scene(Counted(), scene_path, out, **(OPTIONS | {"threshold": threshold, "overwrite": overwrite}))


def predict_in_rounds(number, scene_path, out, barrier):
    """Fifty predictions into folders of their number, each begun with another process; notes which were refused."""
    said = []
    for turn in range(50):
        barrier.wait()
        time.sleep(0.02 * random.random())
        try:
            predict_scene(Counted(0.01), scene_path, out / str(turn), **OPTIONS)
            said.append("done")
        except PredictionError as error:
            said.append("refused" if "another run is predicting town" in str(error) else str(error))
    (out / f"said-{number}.json").write_text(json.dumps(said))


@pytest.fixture
def whole(scene_path, tmp_path):
    """A prediction that nothing disturbed."""
    predict_scene(Counted(), scene_path, tmp_path / "whole", **OPTIONS)
    return tmp_path / "whole"


def full(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_disk_that_is_full_at_the_first_row_is_said_and_nothing_is_left(scene_path, tmp_path, monkeypatch):
    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(RasterError, match="the disk is not full.*No space left on device"):
        predict_scene(Counted(), scene_path, tmp_path / "out", **OPTIONS)
    assert files(tmp_path / "out") == []


@pytest.mark.parametrize(("fails", "left"), [
    ("jointnet.data.raster_writer.copy_raster", []), ("jointnet.predict.outputs.create_vectors", OUTPUTS[2:])])
def test_a_disk_that_is_full_later_loses_no_row_and_no_raster(scene_path, tmp_path, whole, monkeypatch, fails, left):
    monkeypatch.setattr(fails, full)
    with pytest.raises((RasterError, OSError), match="No space left on device"):
        predict(scene_path, tmp_path / "out")
    assert files(tmp_path / "out") == [".town_probability_rows", *left]
    monkeypatch.undo()
    network = Counted()
    predict_scene(network, scene_path, tmp_path / "out", **OPTIONS)
    assert network.windows == 0
    assert files(tmp_path / "out") == OUTPUTS
    assert content(tmp_path / "out") == content(whole)


@pytest.mark.parametrize("name", OUTPUTS)
def test_labels_that_lie_beside_the_image_under_the_name_of_an_output_are_left_alone(scene_path, name):
    labels = scene_path.with_name(name)
    labels.write_bytes(b"hours of work")
    with pytest.raises(FileExistsError, match=f"{name} exists and is of no prediction.*predict into another folder"):
        predict(scene_path, scene_path.parent)
    assert labels.read_bytes() == b"hours of work"
    assert files(scene_path.parent) == sorted(["town.tif", name])


def test_small_disks_of_every_size_lose_no_row_and_show_no_half_file(tmp_path):
    """Noise, which no compression shrinks: 512 x 256 px need about 200 kB of rows, 450 kB with the raster's drafts."""
    noise = np.random.default_rng(0).integers(1, 256, (512, 256, 3), np.uint8)
    path = write_raster(tmp_path / "town.tif", noise, Grid(256, 512, 3, "uint8", UTM.crs, UTM.transform))
    options = OPTIONS | {"size": 64, "polygons": False}
    predict_scene(whole := Counted(), path, tmp_path / "whole", **options)
    failed = 0
    for kilobytes in range(60, 700, 80):
        with small_disk(tmp_path / str(kilobytes), kilobytes) as disk:
            first, second = Counted(), Counted()
            try:
                predict_scene(first, path, disk / "out", **options)
            except RasterError:
                failed += 1
                content(disk / "out")
                resize(disk, 4000)
                predict_scene(second, path, disk / "out", **options)
                assert second.windows < whole.windows
                assert first.windows + second.windows <= whole.windows + 16  # a row of windows at the seam is run again
            assert content(disk / "out") == content(tmp_path / "whole")
    assert failed >= 4


def damage(kind):
    """What GDAL does on a full disk: it says nothing, and the file is cut short, or blocks of it were never written."""
    from rasterio.shutil import copy

    def copied(source, target, **options):
        copy(source, target, **options)
        if kind == "cut short":
            data = target.read_bytes()
            target.write_bytes(data[: len(data) * 3 // 4])
        else:
            with rasterio.open(target, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
                raster.write(np.zeros((1, 40, 200), np.uint8), window=((0, 40), (0, 200)))
    return copied


@pytest.mark.parametrize("kind", ["cut short", "blocks lost"])
def test_a_raster_that_does_not_hold_what_was_written_never_gets_its_name(scene_path, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("jointnet.data.raster_writer.copy_raster", damage(kind))
    with pytest.raises(RasterError, match=r"town_probability.tif cannot be written.*disk"):
        predict_scene(Counted(), scene_path, tmp_path / "out", **OPTIONS)
    assert files(tmp_path / "out") == [".town_probability_rows"]


@pytest.mark.parametrize("ends", [True, False], ids=["the other run ends", "the other run stays"])
def test_a_list_comes_back_to_an_image_that_another_run_was_predicting(scene_path, tmp_path, monkeypatch, ends):
    second, out = tmp_path / "village.tif", tmp_path / "out"
    second.write_bytes(scene_path.read_bytes())
    out.mkdir()
    other = FileLock(out / ".town.lock")
    other.acquire()

    class Network(Counted):
        """The other run ends while the second image is predicted."""

        def __call__(self, windows):
            if ends:
                other.release()
            return super().__call__(windows)

    monkeypatch.setattr("jointnet.network.card.open_weights", lambda _: Network())
    command = ["predict", str(scene_path), str(second), "-w", "any", "-o", str(out), "--no-polygons"]
    said = CliRunner().invoke(app, command)
    other.release()
    assert said.exit_code == (0 if ends else 2), said.stderr
    assert said.stderr.count("another run is predicting town into") == (0 if ends else 1)
    assert {path.stem for path in out.glob("*_mask.tif")} == ({"town_mask"} if ends else set()) | {"village_mask"}


def test_a_list_goes_on_after_an_image_whose_disk_was_full(scene_path, tmp_path, monkeypatch):
    """At the terminal: a sentence for the first image, the second is done, no traceback."""
    from jointnet.predict import outputs

    second, create = tmp_path / "village.tif", outputs.create_vectors
    second.write_bytes(scene_path.read_bytes())
    monkeypatch.setattr(outputs, "create_vectors",
                        lambda path, *rest: full() if path.name.startswith("town") else create(path, *rest))
    monkeypatch.setattr("jointnet.network.card.open_weights", lambda _: Counted())
    said = CliRunner().invoke(app, ["predict", str(scene_path), str(second), "-w", "any", "-o", str(tmp_path / "out")])
    assert said.exit_code == 2
    assert "No space left on device" in said.stderr
    assert "1 of 2 images failed" in said.stderr
    assert "Traceback" not in said.stderr
    assert (tmp_path / "out" / "village_buildings.gpkg").exists()


def test_a_prediction_killed_before_or_after_any_rename_goes_on_to_the_same_files(scene_path, tmp_path, whole):
    expected = content(whole)
    points = kill_points(predict, scene_path, tmp_path / "counted")
    assert len(points) == 2 * (1 + 5 + 2 + 2)  # what rows are made with, five bands of rows, two rasters, two vectors
    for point in points:
        out = tmp_path / str(point)
        assert in_child(predict, scene_path, out, point=point) == -9
        assert content(out).items() <= expected.items()
        predict(scene_path, out)
        assert content(out) == expected
        assert files(out) == OUTPUTS


def test_a_prediction_that_replaces_another_is_never_a_mixture_of_files_without_a_sentence(scene_path, tmp_path, whole):
    """Killed while it overwrites: the old settings and the new ones are both told apart, and overwriting again ends."""
    for point in (11, 12, 13, 14, 16, 18):  # around the renames of the rasters and vector files
        predict(scene_path, tmp_path / "out", 0.3, overwrite=True)
        assert in_child(predict, scene_path, tmp_path / "out", overwrite=True, point=point) == -9
        predict(scene_path, tmp_path / "out", overwrite=True)
        assert content(tmp_path / "out") == content(whole)
        assert files(tmp_path / "out") == OUTPUTS


def saved(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def as_another_method(data):
    """A ZIP whose second entry says that it is packed by a method that nobody knows."""
    place = data.rindex(b"PK\1\2") + 10
    return data[:place] + b"\x63\0" + data[place + 2 :]


DAMAGES = {
    "cut": lambda row, other: row.write_bytes(row.read_bytes()[:-40]), "empty": lambda row, other: row.write_bytes(b""),
    "of other rows": lambda row, other: row.write_bytes(other.read_bytes()),
    "of another size": lambda row, other: row.write_bytes(saved(start=24, probability=np.zeros((1, 2, 1)), mask=[[1]])),
    "a folder": lambda row, other: (row.unlink(), row.mkdir()),
    "packed by nobody": lambda row, other: row.write_bytes(as_another_method(row.read_bytes())),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_row_is_predicted_again(scene_path, tmp_path, whole, monkeypatch, how):
    monkeypatch.setattr("jointnet.data.raster_writer.copy_raster", full)
    with pytest.raises(RasterError):
        predict(scene_path, tmp_path / "out")
    monkeypatch.undo()
    rows = tmp_path / "out" / ".town_probability_rows"
    DAMAGES[how](rows / "000003.npz", rows / "000001.npz")
    predict_scene(Counted(), scene_path, tmp_path / "out", **OPTIONS)
    assert content(tmp_path / "out") == content(whole)


def test_rows_of_other_settings_are_not_gone_on_with(tmp_path):
    Spool(tmp_path / "rows", {"size": 32}).add(0, np.zeros((2, 3, 1)), np.ones((2, 3, 1), bool))
    assert Spool(tmp_path / "rows", {"size": 32}).finished() == 1
    assert Spool(tmp_path / "rows", {"size": 64}).finished() == 0


def test_a_second_prediction_into_the_same_files_is_refused_in_a_sentence(scene_path, tmp_path):
    class Nested(Counted):
        def __call__(self, windows):
            with pytest.raises(PredictionError, match="another run is predicting town into .*wait until it is done"):
                predict_scene(Counted(), scene_path, tmp_path / "out", **OPTIONS)
            return super().__call__(windows)

    predict_scene(Nested(), scene_path, tmp_path / "out", **OPTIONS)
    assert files(tmp_path / "out") == OUTPUTS


def test_fifty_pairs_of_predictions_into_one_folder_leave_whole_files(tmp_path):
    """Each of a pair succeeds, or refuses with the sentence; one of them succeeds."""
    image = np.random.default_rng(0).integers(1, 256, (40, 40, 3), np.uint8)
    path = write_raster(tmp_path / "town.tif", image, UTM)
    predict_scene(Counted(), path, tmp_path / "whole", **OPTIONS)
    expected = content(tmp_path / "whole")

    out = tmp_path / "out"
    out.mkdir()
    assert both(predict_in_rounds, path, out, CONTEXT.Barrier(2)) == [0, 0]
    rounds = list(zip(*(json.loads((out / f"said-{n}.json").read_text()) for n in (0, 1)), strict=True))
    assert set(rounds) - {("done", "done"), ("done", "refused"), ("refused", "done")} == set()
    assert any("refused" in said for said in rounds)
    for turn in range(50):
        assert files(out / str(turn)) == OUTPUTS
        assert content(out / str(turn)) == expected
        json.loads((out / str(turn) / "town_buildings.geojson").read_text())
