"""The commands as a person types them: what they write, and one sentence when the input is wrong."""

import json
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.transform import from_origin
from typer.testing import CliRunner

from jointnet.cli import app
from jointnet.data.catalogue import open_dataset
from jointnet.network.card import Card
from jointnet.network.model import build_jointnet
from jointnet.network.weights import save_model
from jointnet.terminal import expand, names, numbers, thresholds

UTM = "EPSG:32633"


def jointnet(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def write_image(path, pixels, gsd=0.3):
    """A GeoTIFF of uint8 (height, width, bands) in a UTM zone, its upper left corner at 600000 E, 5340000 N."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, bands = pixels.shape
    place = from_origin(600000, 5340000, gsd, gsd)
    with rasterio.open(path, "w", "GTiff", width, height, bands, UTM, place, "uint8") as file:
        file.write(np.moveaxis(pixels, -1, 0))
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny network that was never trained, with windows of 64 px and a threshold that half its answers pass."""
    card = Card(preset="tiny", patch_size=64, gsd=0.3, thresholds={"buildings": 0.5})
    return save_model(build_jointnet("tiny"), tmp_path_factory.mktemp("weights") / "untrained.weights.h5", card)


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "tile.tif", np.random.default_rng(0).integers(1, 255, (72, 80, 3), np.uint8))


def assert_refused(result, *said):
    """Exit code 2 and one line that names what was wrong, without a traceback."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("jointnet: note: ")]
    assert len(lines) == 1, result.stderr
    for part in ("jointnet: ", *said):
        assert part in lines[0]


def test_help_shows_every_command_to_a_stranger():
    shown = jointnet("--help").stdout
    for command in ("train", "predict", "evaluate", "download", "verify", "datasets", "weights"):
        assert f"\n  {command} " in shown
        page = jointnet(command, "--help")
        assert page.exit_code == 0
        options = page.stdout.partition("Options:")[2]
        assert "--help" in options


def test_the_first_commands_to_try_stand_on_lines_of_their_own():
    shown = jointnet("--help").stdout
    assert "\\b" not in shown and "\b" not in shown
    tried = [line.split()[1] for line in shown.splitlines() if line.startswith("  jointnet ")]
    assert tried == ["download", "predict", "evaluate"]


def test_every_option_says_what_it_does():
    """No option may be listed with its type alone."""
    for command in ("train", "predict", "evaluate", "download"):
        page = jointnet(command, "--help").stdout.partition("Options:")[2]
        entries = page.replace("\n                ", " ").splitlines()
        bare = [e for e in entries if e.strip().startswith("-") and len(e.split("  ", 2)[-1].strip().split()) < 2]
        assert bare == [], command


@pytest.mark.timeout(300)
def test_predict_writes_rasters_and_polygons_on_the_images_own_grid(image, weights, tmp_path):
    out = tmp_path / "out"
    result = jointnet("predict", image, "--weights", weights, "--out", out, "--engine", "keras")
    assert result.exit_code == 0, result.output
    assert {p.name for p in out.iterdir()} == {
        "tile_probability.tif", "tile_mask.tif", "tile_buildings.gpkg", "tile_buildings.geojson"
    }  # fmt: skip
    assert set(result.stdout.split()) == {str(p) for p in out.iterdir()}
    with rasterio.open(image) as scene:
        for name in ("tile_probability.tif", "tile_mask.tif"):
            with rasterio.open(out / name) as raster:
                assert (raster.crs, raster.transform, raster.bounds) == (scene.crs, scene.transform, scene.bounds)
                assert raster.shape == scene.shape
    assert pyogrio.read_info(out / "tile_buildings.gpkg")["crs"] == UTM
    assert pyogrio.read_info(out / "tile_buildings.geojson")["crs"] in ("EPSG:4326", "OGC:CRS84")


def test_predict_goes_on_with_the_other_images_when_one_is_wrong(image, weights, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_text("not an image")
    out = tmp_path / "out"
    result = jointnet("predict", broken, image, "-w", weights, "-o", out, "--engine", "keras", "--no-polygons")
    assert result.exit_code == 2
    assert "broken.tif is not an image" in result.stderr
    assert "1 of 2 images failed" in result.stderr
    assert {p.name for p in out.iterdir()} == {"tile_probability.tif", "tile_mask.tif"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_workers_predict_many_scenes_and_report(image, weights, tmp_path, project_root):
    """In a process of its own: the workers that it starts must not start the command again."""
    (tmp_path / "broken.tif").write_text("not an image")
    options = ["-w", weights, "-o", tmp_path / "out", "--workers", "1", "--engine", "keras", "--no-polygons"]
    command = [sys.executable, "-m", "jointnet", "predict", f"{tmp_path}/*.tif", *options]
    run = subprocess.run(command, cwd=project_root, capture_output=True, text=True, timeout=500)
    assert run.returncode == 2
    assert "1 of 2 scenes predicted, 0 were there, 1 failed" in run.stdout
    assert "broken.tif is not an image" in run.stderr
    assert (tmp_path / "out" / "tile_mask.tif").exists()


def bad_inputs(folder):
    """Name -> (arguments after `predict`, words that must be said)."""
    (folder / "notes.tif").write_text("not an image")
    (folder / "nothing.tif").write_bytes(b"")
    with h5py.File(folder / "series.h5", "w") as file:  # images inside, none of them at the top
        file["january"] = file["july"] = np.ones((8, 8), np.uint8)
    (folder / "flat.vrt").write_text('<VRTDataset rasterXSize="0" rasterYSize="0"></VRTDataset>')
    write_image(folder / "five.tif", np.ones((16, 16, 5), np.uint8))
    write_image(folder / "grey.tif", np.ones((16, 16, 1), np.uint8))
    (folder / "taken").write_text("a file where a folder should be")
    return {
        "missing file": (["gone.tif"], ["gone.tif", "does not exist"]),
        "a folder": (["."], ["is a folder"]),
        "not an image": (["notes.tif"], ["notes.tif is not an image", "convert it"]),
        "zero bytes": (["nothing.tif"], ["nothing.tif is not an image"]),
        "zero bands": (["series.h5"], ["series.h5", "holds no bands", "subdatasets"]),
        "no pixels": (["flat.vrt"], ["flat.vrt"]),
        "more bands than the weights take": (["five.tif"], ["5 bands", "takes 3", "--bands 1,2,3"]),
        "fewer bands than the weights take": (["grey.tif"], ["1 bands", "takes 3"]),
        "a band that does not exist": (["five.tif", "--bands", "1,2,9"], ["bands 1 to 5"]),
        "bands that are no numbers": (["five.tif", "--bands", "red"], ["--bands 'red'", "1,2,3"]),
        "bounds outside": (["five.tif", "--bands", "1,2,3", "--bounds", "-4,-3,-2,-1"], ["outside", "five.tif"]),
        "half a box": (["five.tif", "--bounds", "1,2"], ["--bounds '1,2'", "4 numbers"]),
        "a threshold above 1": (["five.tif", "--bands", "1,2,3", "--threshold", "60"], ["60", "between 0 and 1"]),
        "a pattern without files": (["*.jp2"], ["no file matches '*.jp2'"]),
        "an unknown engine": (["five.tif", "--bands", "1,2,3", "--engine", "steam"], ["steam", "openvino"]),
        "an output folder that cannot be made": (["five.tif", "--bands", "1,2,3", "-o", "taken/out"], ["taken"]),
    }


CASES = [
    "missing file", "a folder", "not an image", "zero bytes", "zero bands", "no pixels",
    "more bands than the weights take", "fewer bands than the weights take", "a band that does not exist",
    "bands that are no numbers", "bounds outside", "half a box", "a threshold above 1", "a pattern without files",
    "an unknown engine", "an output folder that cannot be made",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_gets_one_sentence_and_leaves_nothing(case, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, said = bad_inputs(tmp_path)[case]
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    out = [] if "-o" in arguments else ["-o", "out"]
    assert_refused(jointnet("predict", "--engine", "keras", *arguments, *out, "-w", weights), *said)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_every_kind_of_wrong_input_is_tried(tmp_path):
    assert sorted(bad_inputs(tmp_path)) == sorted(CASES)


def test_weights_that_cannot_be_read_are_named(image, weights, tmp_path):
    out = ("-o", tmp_path / "out")
    assert_refused(jointnet("predict", image, "-w", "buildings-bse", *out), "'buildings-bse'", "choose from")
    assert_refused(jointnet("predict", image, "-w", tmp_path / "gone.weights.h5", *out), "does not exist")
    damaged = tmp_path / "damaged.weights.h5"
    damaged.write_bytes(weights.read_bytes()[:5000])
    assert_refused(jointnet("predict", image, "-w", damaged, *out), "damaged.weights.h5", "card")
    shutil.copy(weights.with_name("untrained.json"), tmp_path / "damaged.json")
    assert_refused(jointnet("predict", image, "-w", damaged, *out), "damaged.weights.h5 is damaged")
    assert not (tmp_path / "out").exists()


def test_unknown_datasets_cities_and_splits_are_refused(tmp_path):
    folder = write_image(tmp_path / "data" / "images" / "a.tif", np.ones((16, 16, 3), np.uint8)).parents[1]
    for command in (["evaluate", tmp_path], ["train", "-o", tmp_path / "run"]):
        assert_refused(jointnet(*command, "-d", "inra"), "'inra'", "choose from sample, inria")
        assert_refused(jointnet(*command, "-d", "folder"), "folder of your images")
        assert_refused(jointnet(*command, "-d", "folder", "--root", tmp_path / "gone"), "gone")
        assert_refused(jointnet(*command, "-d", "folder", "--root", folder, "--cities", "atlantis"), "atlantis")
    assert_refused(jointnet("evaluate", tmp_path, "-d", "folder", "--root", folder, "--split", "exam"), "'exam'")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def scored(tmp_path):
    """A folder dataset of one 4 x 4 tile whose left half is building, and a prediction of its left three columns."""
    truth = np.zeros((4, 4, 1), np.uint8)
    truth[:, :2] = 255
    guess = np.zeros((4, 4, 1), np.uint8)
    guess[:, :3] = 255
    write_image(tmp_path / "data" / "images" / "a.tif", np.full((4, 4, 3), 9, np.uint8))
    write_image(tmp_path / "data" / "masks" / "a.tif", truth)
    write_image(tmp_path / "out" / "a_mask.tif", guess)
    return tmp_path


def test_evaluate_prints_pooled_scores_and_writes_them(scored):
    # 8 pixels found rightly, 4 wrongly, none missed, 4 rightly left: IoU 8/12, accuracy 12/16.
    result = jointnet(
        "evaluate", scored / "out", "-d", "folder", "--root", scored / "data", "--json", scored / "scores.json"
    )
    assert result.exit_code == 0, result.output
    assert "overall" in result.stdout
    assert "0.6667" in result.stdout
    assert "0.7500" in result.stdout
    assert "8" in (scored / "scores.json").read_text()


def test_pixels_without_imagery_are_not_scored(scored):
    image = np.full((4, 4, 3), 90, np.uint8)
    image[:, 2:] = 0
    write_image(scored / "data" / "images" / "a.tif", image)
    command = ["evaluate", scored / "out", "-d", "folder", "--root", scored / "data", "--json", scored / "scores.json"]
    pixels = []
    for options in ([], ["--nodata", "black"]):
        assert jointnet(*command, *options).exit_code == 0
        counts = json.loads((scored / "scores.json").read_text())["overall"]
        pixels.append(sum(counts[name] for name in ("tp", "fp", "fn", "tn")))
    assert pixels == [16, 8]
    assert_refused(jointnet(*command, "--nodata", "grey"), "'grey' is unknown; choose 'black', 'white'")


def test_a_mask_of_another_size_than_its_image_is_refused(scored):
    write_image(scored / "data" / "masks" / "a.tif", np.zeros((4, 5, 1), np.uint8))
    result = jointnet("evaluate", scored / "out", "-d", "folder", "--root", scored / "data")
    assert_refused(result, "a.tif is 4 x 5 px", "4 x 4 px")


def test_scores_that_cannot_be_written_are_a_sentence_too(scored):
    (scored / "taken").write_text("a file where a folder should be")
    target = scored / "taken" / "scores.json"
    result = jointnet("evaluate", scored / "out", "-d", "folder", "--root", scored / "data", "--json", target)
    assert_refused(result, "taken")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("uncompiled")
def test_train_leaves_weights_that_predict_takes(tmp_path):
    random = np.random.default_rng(1)
    for split in ("train", "validation"):
        for kind, bands in (("images", 3), ("masks", 1)):
            pixels = random.integers(0, 2, (32, 32, bands)).astype(np.uint8) * 255
            write_image(tmp_path / "data" / split / kind / f"{split}1.tif", pixels)
    short = ("--preset", "tiny", "--epochs", 1, "--steps", 1, "--patch-size", 32, "--batch-size", 1)
    short += ("--reduction-from", "input", "--tensorboard")
    odd = jointnet("train", "-d", "folder", "--root", tmp_path / "data", "-o", tmp_path / "odd", "--preset", "tiny",
                   "--architecture", "tower")
    assert_refused(odd, "'tower'", "choose from jointnet, unet")
    assert not (tmp_path / "odd").exists()
    result = jointnet("train", "-d", "folder", "--root", tmp_path / "data", "-o", tmp_path / "run", *short)
    assert result.exit_code == 0, result.output
    assert "best validation IoU" in result.stdout
    best = tmp_path / "run" / "best.weights.h5"
    assert json.loads(best.with_name("best.json").read_text())["reduction_from"] == "input"
    assert list((tmp_path / "run" / "tensorboard").rglob("events.*"))
    image = tmp_path / "data" / "train" / "images" / "train1.tif"
    result = jointnet("predict", image, "-w", best, "-o", tmp_path / "out", "--no-polygons", "--engine", "keras")
    assert result.exit_code == 0, result.output
    again = jointnet("train", "-d", "folder", "--root", tmp_path / "data", "-o", tmp_path / "run", *short)
    assert_refused(again, "run")  # another run is there; it is not overwritten


def write_pairs(root, bands=3, gsd=0.3, names=("train", "validation")):
    """An image of noise and a mask in each split, 32 px."""
    random = np.random.default_rng(1)
    for split in names:
        write_image(root / split / "images" / f"{split}1.tif", random.integers(1, 255, (32, 32, bands), np.uint8), gsd)
        write_image(root / split / "masks" / f"{split}1.tif", random.integers(0, 2, (32, 32, 1), np.uint8) * 255, gsd)
    return root


def test_train_learns_from_several_datasets_that_label_one_class_each(tmp_path, monkeypatch):
    """What the command hands on; how such a training goes is tested in Python."""
    houses, streets = (write_pairs(tmp_path / name) for name in ("houses", "streets"))
    handed = {}

    def stand_in(model, datasets, out, classes, **options):
        handed["labels"] = [sorted({name for scene in d for name in scene.labels}) for d in datasets]
        handed["classes"] = classes
        raise KeyboardInterrupt

    monkeypatch.setattr("jointnet.network.training.train", stand_in)
    jointnet("train", "-d", "folder", "--root", houses, "--also", f"roads={streets}", "--classes", "buildings,roads",
             "-o", tmp_path / "run", "--preset", "tiny")
    assert handed == {"labels": [["buildings"], ["roads"]], "classes": ("buildings", "roads")}
    odd = jointnet("train", "-d", "folder", "--root", houses, "--also", "no_such_set", "-o", tmp_path / "run")
    assert_refused(odd, "'no_such_set'", "choose from")


def test_images_of_two_kinds_are_refused_and_both_files_named(tmp_path):
    """Of 4 bands beside 3, and of 0.6 m beside 0.3 m."""
    for name, other, told in (("bands", {"bands": 4}, "has 4 bands"), ("gsd", {"gsd": 0.6}, "has 0.6 m per pixel")):
        root = write_pairs(tmp_path / name)
        write_pairs(root, names=("train",), **other)
        write_image(root / "train" / "images" / "a.tif", np.full((32, 32, 3), 9, np.uint8))
        write_image(root / "train" / "masks" / "a.tif", np.zeros((32, 32, 1), np.uint8))
        refused = jointnet("train", "-d", "folder", "--root", root, "-o", tmp_path / "run", "--preset", "tiny",
                           "--patch-size", 32)
        assert_refused(refused, "train1.tif", "a.tif", told)
    assert not (tmp_path / "run").exists()


def test_images_of_more_than_eight_bits_are_refused_unless_they_are_stretched(tmp_path):
    root = write_pairs(tmp_path / "deep")
    with rasterio.open(root / "train/images/train1.tif") as file:
        pixels, profile = file.read(), file.profile
    with rasterio.open(root / "train/images/train1.tif", "w", **profile | {"dtype": "uint16"}) as file:
        file.write(pixels.astype(np.uint16) * 10)
    refused = jointnet("train", "-d", "folder", "--root", root, "-o", tmp_path / "run", "--preset", "tiny",
                       "--patch-size", 32)
    assert_refused(refused, "train1.tif", "uint16", "--stretch dataset")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_drawn_test_scene_is_mapped_by_the_shipped_weights(tmp_path, project_root):
    """The way of the README, in a process of its own: everything written lies where the scene lies."""
    scene = open_dataset("sample", split="test")["bellingham15"]
    command = [sys.executable, "-m", "jointnet", "predict", scene.image, "-w", "sample-buildings", "-o", tmp_path]
    run = subprocess.run(command, cwd=project_root, capture_output=True, text=True, timeout=500)
    assert run.returncode == 0, run.stderr
    with rasterio.open(scene.image) as image:
        for kind in ("probability", "mask"):
            with rasterio.open(tmp_path / f"bellingham15_{kind}.tif") as raster:
                assert (raster.crs, raster.transform, raster.bounds) == (image.crs, image.transform, image.bounds)
        polygons = pyogrio.read_dataframe(tmp_path / "bellingham15_buildings.gpkg")
        assert polygons.crs == image.crs
        left, bottom, right, top = polygons.total_bounds
        assert image.bounds.left <= left < right <= image.bounds.right
        assert image.bounds.bottom <= bottom < top <= image.bounds.top
        back = pyogrio.read_dataframe(tmp_path / "bellingham15_buildings.geojson").to_crs(image.crs)
    assert back.total_bounds == pytest.approx(polygons.total_bounds, abs=0.1)  # metres
    assert len(back) == len(polygons) > 10


def test_datasets_are_listed_with_the_way_to_get_them_and_nothing_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr("jointnet.data.catalogue.DATA_ROOT", tmp_path)
    shown = jointnet("datasets").stdout
    assert [line.split()[0] for line in shown.splitlines()] == [
        "sample", "inria", "massachusetts_buildings", "massachusetts_roads", "test_cities", "folder"
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []
    assert "give --root" in shown


def test_a_folder_without_a_split_is_told_how_to_deal_one(tmp_path):
    write_image(tmp_path / "images" / "a.tif", np.ones((64, 64, 3), np.uint8))
    write_image(tmp_path / "masks" / "a.tif", np.ones((64, 64, 1), np.uint8))
    said = "training needs both", "--validation 0.2"
    train = ["train", "-d", "folder", "--root", tmp_path, "-o", tmp_path / "run"]
    assert_refused(jointnet(*train), *said)
    assert_refused(jointnet(*train, "--patch-size", "100"), "patch_size=100 px", "a multiple of 8")
    assert not (tmp_path / "run").exists()


def test_a_partial_copy_is_counted_in_the_list(tmp_path, monkeypatch):
    monkeypatch.setattr("jointnet.data.catalogue.DATA_ROOT", tmp_path)
    write_image(tmp_path / "inria" / "test" / "images" / "sfo36.tif", np.ones((8, 8, 3), np.uint8))
    lines = jointnet("datasets").stdout.splitlines()
    assert lines[1].split(maxsplit=1)[1] == f"1 of 360 images in {tmp_path / 'inria'}"
    assert lines[2].endswith("not here yet: jointnet download massachusetts_buildings")


def test_an_interrupt_is_one_sentence_that_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("jointnet.data.download.download", interrupt)
    result = jointnet("download", "inria", "--root", tmp_path)
    assert result.exit_code == 130
    assert result.stderr.strip() == "jointnet: stopped; give the same command again to go on where it was"


def test_debug_shows_where_an_error_came_from(tmp_path):
    result = jointnet("--debug", "evaluate", tmp_path, "-d", "inra")
    assert isinstance(result.exception, ValueError)
    assert jointnet("evaluate", tmp_path, "-d", "inra").exit_code == 2


def test_a_mistake_of_ours_is_not_dressed_up_as_the_users(monkeypatch, tmp_path):
    for mistake in (lambda: [].missing, lambda: {}["missing"], lambda: int("missing"), lambda: __import__("missing")):
        monkeypatch.setattr("jointnet.data.catalogue.open_dataset", lambda *_, do=mistake, **__: do())
        result = jointnet("evaluate", tmp_path)
        assert isinstance(result.exception, AttributeError | KeyError | ValueError | ImportError)
        assert (result.exit_code, result.stderr) == (1, "")  # Python prints the traceback


def test_the_module_is_the_command(tmp_path, project_root):
    run = subprocess.run(
        [sys.executable, "-m", "jointnet", "evaluate", tmp_path / "gone", "-d", "inra"],
        capture_output=True, text=True, cwd=project_root, timeout=60,
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr.startswith("jointnet: dataset 'inra' is unknown")


@pytest.mark.parametrize("folder", ["maps [2020]", "[ab]", "a*b", "what?", "[", "deep/[1]/[x]"])
def test_a_pattern_under_a_folder_whose_name_looks_like_one_finds_its_files(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True)
    for name in ("a.tif", "b.tif", "c.png"):
        (tmp_path / folder / name).touch()
    assert [p.name for p in expand([str(tmp_path / folder / "*.tif")])] == ["a.tif", "b.tif"]
    assert [p.name for p in expand([str(tmp_path / folder / "[b-c].*")])] == ["b.tif", "c.png"]


def test_lists_and_patterns_are_read_as_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.tif", "a.tif", "c.png", "odd[1].tif"):
        (tmp_path / name).touch()
    assert names("austin, chicago,") == ["austin", "chicago"]
    assert names(None) is None
    assert numbers("3,2,1", "--bands", number=int) == (3, 2, 1)
    assert numbers("-1.5,0,1,2", "--bounds", 4) == (-1.5, 0, 1, 2)
    assert thresholds("0.5", "--threshold") == 0.5
    assert thresholds("buildings=0.5, roads=0.3", "--threshold") == {"buildings": 0.5, "roads": 0.3}
    with pytest.raises(ValueError, match="--threshold 'half' should be a number, or one for each class"):
        thresholds("half", "--threshold")
    assert [p.name for p in expand(["c.png", "[ab].tif", "a.tif", "odd[1].tif"])] == [
        "c.png", "a.tif", "b.tif", "odd[1].tif"
    ]  # fmt: skip


def test_two_images_whose_results_would_have_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="several images are called tile"):
        expand([str(tmp_path / "a" / "tile.tif"), str(tmp_path / "b" / "tile.tif")])
