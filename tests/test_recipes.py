"""The parts of the recipes that decide what is learnt and what is claimed, on crops of a few pixels."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from jointnet.network.weights import load_model

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.fixture(scope="module", autouse=True)
def recipes():
    sys.path.insert(0, str(RECIPES))
    yield
    sys.path.remove(str(RECIPES))


@pytest.fixture
def crops(tmp_path):
    """Two crops of 32 px for training, one of them without a building, and one for validation."""
    rows = ["group,city,name,split,width,height,gsd_m,fraction"]
    for name, split, filled in (("a", "train", True), ("b", "train", False), ("c", "validation", True)):
        mask = np.zeros((32, 32), np.uint8)
        mask[8:20, 8:19] = 255 * filled  # 12 rows and 11 columns: a border in the middle of a pair of columns
        image = np.full((32, 32, 3), 100, np.uint8)
        image[:, :8] = 0  # as wide as JPEG's blocks
        for part, array, ending in (("images", image, "jpg"), ("masks", mask, "png")):
            path = tmp_path / "town" / part / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path, **({"subsampling": 0} if ending == "jpg" else {}))
        rows.append(f"town,here,{name},{split},32,32,0.3,{mask.mean() / 255}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_crops_are_read_by_split_and_empty_ones_thinned(crops):
    from buildings_crops import read_crops

    assert [c["name"] for c in read_crops(crops, "town", "train")] == ["a", "b"]
    assert [c["name"] for c in read_crops(crops, "town", "train", keep_empty=0)] == ["a"]
    crop, = read_crops(crops, "town", "validation")
    assert crop["mask"].sum() == 12 * 11
    assert not crop["valid"][:, :8].any() and crop["valid"][:, 8:].all()


def test_a_shrunk_mask_is_the_majority_of_its_pixels(crops):
    from buildings_crops import read_crops

    crop, = read_crops(crops, "town", "validation", shrink=2)
    assert crop["image"].shape == (16, 16, 3)
    assert crop["mask"].sum() in (6 * 5, 6 * 6)  # the half-filled column may fall to either side
    assert crop["mask"][4:10, 4:9].all()


def test_tiles_cover_crops_that_are_no_multiple_of_the_patch(crops):
    from buildings_crops import CropTiles, read_crops

    whole = read_crops(crops, "town", "validation")
    image, mask, weight = CropTiles(whole, 24, 4)[0]
    assert image.shape == (1, 32, 32, 3) and mask.sum() == 12 * 11
    image, mask, weight = CropTiles(whole, 16, 4)[0]
    assert image.shape == (4, 16, 16, 3) and mask.sum() == 12 * 11
    assert weight.shape == (4, 16, 16, 1)


def test_patches_are_the_same_for_the_same_seed_and_epoch(crops):
    from buildings_crops import CropBatches, read_crops

    training = read_crops(crops, "town", "train")
    first, again, other = (CropBatches(training, 16, 2, 3, seed=s) for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first[0], again[0], strict=True))
    assert not np.array_equal(first[0][0], other[0][0])
    again.on_epoch_end()
    assert not np.array_equal(first[0][0], again[0][0])


def test_hard_patches_hold_a_block_of_false_alarm_and_smooth_ones_turned_labels(crops):
    from buildings_crops import CropBatches, read_crops

    training = read_crops(crops, "town", "train")
    for crop in training:
        crop["image"] = np.zeros_like(crop["image"])
        crop["image"][16:, 16:] = 200
    alarms = [np.zeros([n // 16 for n in crop["mask"].shape]) for crop in training]
    alarms[-1][1, 1] = 1
    images, _, _ = CropBatches(training, 8, 8, 1, (1, 1), colour=0, hard=1, alarms=alarms)[0]
    assert all((image == 200).any() for image in images)
    images, _, _ = CropBatches(training, 8, 8, 1, (1, 1), colour=0)[0]
    assert not all((image == 200).any() for image in images)

    plain, turned = (CropBatches(training, 32, 1, 1, (1, 1), smooth=share)[0][1] for share in (0, 0.25))
    assert 0.2 < (plain != turned).mean() < 0.3


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_training_goes_on_only_from_weights_of_the_same_normalisation(crops, tmp_path, monkeypatch, capsys):
    import buildings_crops

    def run(out, *more):
        monkeypatch.setattr(sys, "argv", [
            "buildings_crops.py", str(crops), "--groups", "town", "--preset", "tiny", "--out", str(tmp_path / out),
            "--epochs", "1", "--steps", "1", "--patch-size", "16", "--batch-size", "2", "--precision", "float32",
            *more])
        buildings_crops.main()

    run("first", "--normalization", "batch")
    weights = str(tmp_path / "first" / "best.weights.h5")
    run("second", "--normalization", "batch", "--weights", weights)
    card = load_model(tmp_path / "second" / "best.weights.h5").card
    assert (card.normalization, card.steps, card.gsd) == ("batch", 2, 0.3)
    with pytest.raises(SystemExit):
        run("third", "--weights", weights)
    assert "has batch normalisation; go on with the same" in capsys.readouterr().err
    assert not (tmp_path / "third").exists()


def test_packed_crops_come_out_of_their_pieces_as_they_were(crops, tmp_path):
    from pack_crops import pack

    written = pack(crops, ["town"], tmp_path / "packed", most=2000)
    assert len(written) > 1 and all(p.stat().st_size <= 2000 for p in written)
    for piece in written:
        with zipfile.ZipFile(piece) as archive:
            archive.extractall(tmp_path / "there")
    files = [p.relative_to(crops) for p in [crops / "manifest.csv", *(crops / "town").rglob("*.*")]]
    assert len(files) == 7
    assert all((tmp_path / "there" / f).read_bytes() == (crops / f).read_bytes() for f in files)
    with pytest.raises(FileNotFoundError, match="holds no images and masks; give groups of"):
        pack(crops, ["village"], tmp_path / "packed")


def test_average_and_moment_come_home_without_the_optimizer(tmp_path):
    from bring_home import bring_home

    run = Path(__file__).parent / "made_before" / "run"
    paths = bring_home(run, tmp_path / "home")
    assert [p.name for p in paths] == ["average.weights.h5", "moment.weights.h5"]
    average, moment = (load_model(p) for p in paths)
    assert (average.card.name, moment.card.name, moment.card.scores) == ("average", "moment", {})
    with h5py.File(run / "last-0003.weights.h5") as kept, h5py.File(paths[1]) as home:
        assert "optimizer" in kept and "optimizer" not in home
    assert moment.get_weights()[0].shape == average.get_weights()[0].shape


def test_the_learning_curve_goes_on_from_one_run_to_the_next(tmp_path):
    from learning_curve import draw, learning_curve

    for name, rows in (("a", "1,0.9,0.5,1800\n2,0.8,0.6,1800\n"), ("b", "1,0.7,0.65,3600\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "history.csv").write_text("epoch,loss,val_iou,cpu_seconds\n" + rows)
    curve = learning_curve([tmp_path / "a", tmp_path / "b"], steps=[75, 100])
    assert curve["steps"].tolist() == [75, 150, 250]
    assert curve["cpu_hours"].tolist() == [0.5, 1, 2]
    assert curve["validation_iou"].tolist() == [0.5, 0.6, 0.65]
    assert draw(curve).axes[0].lines[0].get_xydata()[-1].tolist() == [250, 0.65]


def test_the_training_of_crops_needs_none_of_the_libraries_that_open_imagery(tmp_path):
    """As on a machine with NumPy, Pillow, h5py, filelock and Keras alone: the others fail to import."""
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(sys.argv.pop(1).split()))\n"
        "from buildings_crops import CropBatches, fit, load_model\n"
    )
    missing = "rasterio pyproj shapely geopandas pyogrio pandas scipy matplotlib pooch tqdm typer dask"
    run = subprocess.run([sys.executable, "-c", code, missing], cwd=RECIPES, capture_output=True, text=True,
                         env={**os.environ, "PYTHONPATH": str(RECIPES.parent)})
    assert run.returncode == 0, run.stderr[-2000:]


def test_a_difference_is_sure_where_every_crop_agrees_and_not_where_they_do_not():
    from comparison import difference_interval

    even = [{"pixels": [[80, 10, 10]] * 20}]
    better = [{"pixels": [[90, 5, 5]] * 20}]
    mixed = [{"pixels": [[90, 5, 5], [60, 20, 20]] * 10}]
    assert difference_interval(better, even) == pytest.approx((0.1, 0.1))
    low, high = difference_interval(mixed, even)
    assert low < 0 < high + 0.05 and high - low > 0.05


def test_seeds_are_averaged():
    from comparison import difference_interval

    even = [{"pixels": [[80, 10, 10]] * 5}]
    seeds = [{"pixels": [[90, 5, 5]] * 5}, {"pixels": [[70, 15, 15]] * 5}]
    assert difference_interval(seeds, even) == pytest.approx((0.0, 0.0))


def test_overlaps_are_compared_with_the_first_on_the_networks_own_pixels(tmp_path, capsys, monkeypatch):
    import choose_overlap

    from jointnet.predict.settings import Settings

    def brightness(windows):
        return windows[..., :1].astype(np.float32) / 255

    brightness.card = Settings(bands=3, classes=("buildings",), patch_size=32, thresholds={"buildings": 0.5})
    monkeypatch.setattr(choose_overlap, "open_weights", lambda _: brightness)
    image = np.random.default_rng(0).integers(0, 256, (96, 80, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "photo.png")
    arguments = ["choose_overlap.py", "brightness", str(tmp_path / "photo.png"), "--pixels", "8", "0"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.warns(UserWarning, match="no georeference"):
        choose_overlap.main()
    first, second = (line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:])
    assert first[1:3] == ["8 px of 32", "1.79"]  # 209 windows, 24 px apart: (209 * 32 / 5000)^2
    assert second[2] == "1.01"  # 157 windows side by side: (157 * 32 / 5000)^2
    assert (first[3], second[3]) == (first[4], second[4])  # what looks at single pixels has no seams
    assert second[5] == "1.0000 |"


def test_a_convolution_as_products_is_the_library_s():
    jax = pytest.importorskip("jax", reason="the recipe runs on JAX")
    from on_device import shifted_products

    image, kernel = (jax.random.normal(jax.random.key(k), s) for k, s in ((0, (2, 9, 14, 3)), (1, (3, 3, 3, 4))))
    for rate in (1, 2, 5):
        expected = jax.lax.conv_general_dilated(image, kernel, (1, 1), "SAME", rhs_dilation=(rate, rate),
                                                dimension_numbers=("NHWC", "HWIO", "NHWC"))
        np.testing.assert_allclose(shifted_products(rate)(image, kernel), expected, atol=1e-4)


def test_patches_on_the_device_keep_labels_on_their_pixels_and_leave_out_black(crops):
    jax = pytest.importorskip("jax", reason="the recipe runs on JAX")
    from on_device import draw_batch, load_tiles

    grey = crops / "town" / "images" / "a.jpg"
    picture = np.full((32, 32, 3), 100, np.uint8)
    picture[:, :8], picture[8:20, 8:19] = 0, 200  # the building is bright
    Image.fromarray(picture).save(grey, quality=100, subsampling=0)
    tiles = load_tiles(crops, {"town": 1.0}, ("roads", "buildings"), 0.3, 32)
    assert tiles.pixels.shape == (2, 32, 32)
    image, truth, known = (np.asarray(a) for a in draw_batch(jax.random.key(1), tiles, 16, 16, 2, 1.0, 0.0))
    assert not known[..., 0].any() and not truth[..., 0].any()  # the town labels no roads
    assert 0 < known[..., 1].mean() < 1
    assert not image[known[..., 1] == 0].any()
    inside = known[..., 1] == 1
    bright = image.mean(-1)
    assert bright[inside & (truth[..., 1] == 1)].mean() > 170  # borders are mixed with what is beside them
    assert bright[inside & (truth[..., 1] == 0)].mean() < 115


SMALLEST = """
import dataclasses, sys
import on_device
card_of_run = on_device.card_of_run
on_device.card_of_run = lambda *a: dataclasses.replace(card_of_run(*a), growth_rates=(4, 4, 4), dilation_rates=(1,))
for sys.argv[-1] in ("1", "2"):  # the second finds nothing of the first but its files
    on_device.main()
"""


def test_a_training_on_the_device_goes_on_where_it_was(crops, project_root, tmp_path):
    pytest.importorskip("jax", reason="the recipe runs on JAX")
    options = "--groups town --preset tiny --tile 32 --patch-size 16 --batch-size 1 --together 1 --precision float32 " \
        "--check-every 0"
    command = [sys.executable, "-c", SMALLEST, str(crops), *options.split(), "--out", str(tmp_path / "run"), "--steps"]
    environment = {
        **os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join((str(project_root), str(RECIPES))),
        "XLA_FLAGS": "--xla_backend_optimization_level=0", "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
    }
    run = subprocess.run([*command, "1"], check=True, env=environment, stdout=subprocess.PIPE, text=True)
    assert run.stdout.count("goes on after") == run.stdout.count("goes on after 1 steps") == 1
    lines = (tmp_path / "run" / "history.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "1", "2"]
    model = load_model(tmp_path / "run" / "last.weights.h5")
    assert model.card.steps == 2 and model.card.gsd == 0.3
