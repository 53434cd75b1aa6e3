"""Datasets as scenes: what is opened, what is missing, and which ground is in which split."""

import csv
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.transform import from_bounds, from_origin

import jointnet.data.catalogue as catalogue
import jointnet.data.drawn as drawn
from jointnet.data.catalogue import Dataset, Scene, open_dataset
from jointnet.data.drawn import EDITION, SAMPLE, scene_files
from jointnet.data.inria import TEST_TILES, TRAINING_TILES, parse_tile, tile_split
from jointnet.data.raster import Grid, RasterError, read_info, write_raster
from jointnet.data.splits import find_leaks, leave_city_out, split_by_name, split_by_share, split_in_blocks

WEST, NORTH = 620_000.0, 3_350_000.0  # where `draw_tile` puts a tile's upper left corner, EPSG:32614


def box_in(row, col, height, width, gsd=0.3):
    """The ground of a rectangle of pixels of a tile of `draw_tile`."""
    x, y = WEST + col * gsd, NORTH - row * gsd
    return shapely.box(x, y - height * gsd, x + width * gsd, y)


def write_shapes(path, *shapes, crs=32614):
    path.parent.mkdir(parents=True, exist_ok=True)
    gpd.GeoDataFrame(geometry=list(shapes), crs=crs).to_file(path)
    return path


# sample


@pytest.fixture
def tiny_sample(tmp_path, draw_tile):
    """The sample's files at 8 x 8 px, stamped as the present program stamps its own."""
    stamp = {"JOINTNET_SEED": "0", "JOINTNET_EDITION": EDITION}
    for part, names in SAMPLE.items():
        for name in names:
            for kind, path in scene_files(tmp_path / part, name).items():
                if path.suffix == ".tif":
                    draw_tile(path, bands=3 if kind == "images" else 1, value=0, tags=stamp)
                else:
                    write_shapes(path, box_in(0, 0, 2, 2))
    return tmp_path


def test_the_sample_draws_only_what_is_missing(tiny_sample, monkeypatch):
    draw = drawn.draw_scene
    monkeypatch.setattr(drawn, "draw_scene", lambda name, seed: draw(name, size=128, seed=seed))
    scene_files(tiny_sample / "train", "kitsap6")["images"].unlink()
    kept = scene_files(tiny_sample / "train", "austin6")["images"].read_bytes()
    dataset = open_dataset("sample", root=tiny_sample)
    assert dataset["kitsap6"].info.shape == (128, 128)
    assert dataset["austin6"].image.read_bytes() == kept
    assert dataset["kitsap6"].read_labels("buildings", (0, 0, 64, 64)).shape == (64, 64)


def test_the_sample_is_split_as_inria_and_says_that_it_is_drawn(tiny_sample):
    dataset = open_dataset("sample", root=tiny_sample)
    found = {split: [s.name for s in dataset.select(split=split)] for split in ("train", "validation", "test")}
    assert found == {
        "train": ["austin6", "chicago6", "kitsap6", "tyrol-w6", "vienna6"],
        "validation": ["austin1", "chicago1", "kitsap1", "tyrol-w1", "vienna1"],
        "test": ["bellingham15", "bloomington17", "innsbruck21", "sfo36", "tyrol-e35"],
    }
    assert dataset.drawn
    assert set(dataset[0].vectors) == set(dataset[0].labels) == {"buildings", "roads"}


def test_without_a_clone_data_goes_to_the_place_that_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JOINTNET_DATA", str(tmp_path))
    assert catalogue._data_root() == tmp_path
    monkeypatch.delenv("JOINTNET_DATA")
    assert catalogue._data_root() == Path(__file__).resolve().parents[2] / "data"
    monkeypatch.setattr(catalogue, "__file__", str(tmp_path / "site-packages" / "jointnet" / "data" / "catalogue.py"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    installed = catalogue._data_root()
    assert installed.name == "jointnet"
    assert "site-packages" not in installed.parts


# inria


def test_the_benchmark_has_180_tiles_of_each_kind_and_25_validate():
    assert len(TRAINING_TILES) == len(TEST_TILES) == 180
    splits = [tile_split(t) for t in TRAINING_TILES]
    assert splits.count("validation") == 25  # tiles 1 to 5 of five cities
    assert splits.count("train") == 155
    assert {tile_split(t) for t in TEST_TILES} == {"test"}
    assert tile_split("tyrol-w5") == "validation"
    assert tile_split("tyrol-w6") == "train"
    assert parse_tile("tyrol-e35") == ("tyrol-e", 35)


@pytest.fixture
def inria(tmp_path, draw_tile):
    """A partial copy: austin1, austin6, kitsap4, vienna7 without its mask, and the test tile sfo36."""
    root = tmp_path / "inria"
    for tile in ("austin1", "austin6", "kitsap4", "vienna7"):
        draw_tile(root / "train" / "images" / f"{tile}.tif")
    for tile in ("austin1", "austin6", "kitsap4"):
        draw_tile(root / "train" / "gt" / f"{tile}.tif", value=255, bands=1)
    draw_tile(root / "test" / "images" / "sfo36.tif")
    return root


def test_a_partial_copy_opens_and_says_what_is_missing(inria):
    with pytest.warns(UserWarning, match=r"holds 5 of 360 INRIA tiles; missing: austin2, austin3.* and \d+ more"):
        dataset = open_dataset("inria", root=inria)
    assert {s.name: s.split for s in dataset} == {
        "austin1": "validation", "austin6": "train", "kitsap4": "validation", "vienna7": "train", "sfo36": "test",
    }
    assert len(dataset.missing) == 355 + 1
    assert "vienna7 (labels)" in dataset.missing
    assert "sfo36 (labels)" not in dataset.missing  # those were never published
    assert dataset["austin1"].read_labels().sum() == 64
    assert dataset["austin1"].gsd == pytest.approx(0.3)


def test_named_tiles_open_without_a_word_and_absent_ones_are_an_error(inria):
    assert [s.name for s in open_dataset("inria", root=inria, tiles=["sfo36", "austin6"])] == ["austin6", "sfo36"]
    with pytest.raises(FileNotFoundError, match=r"no image of austin7; fetch .* inria --tiles austin7`"):
        open_dataset("inria", root=inria, tiles=["austin6", "austin7"])


def test_a_copy_in_the_folder_of_the_archive_opens_too(inria, tmp_path):
    inria.rename(tmp_path / "AerialImageDataset")
    assert len(open_dataset("inria", root=tmp_path, tiles="austin1")) == 1


def test_tiles_reported_as_wrongly_labelled_can_be_left_out(inria):
    with pytest.warns(UserWarning, match="missing"):
        dataset = open_dataset("inria", root=inria, drop_faulty=True)
    assert "kitsap4" not in [s.name for s in dataset]
    assert not {"kitsap4", "kitsap5"} & set(dataset.missing)


def test_an_empty_folder_says_how_to_get_the_benchmark(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"jointnet download inria .*give the folder of your copy as root="):
        open_dataset("inria", root=tmp_path)


def test_a_held_out_city_is_the_whole_test_split(inria):
    with pytest.warns(UserWarning, match="missing"):
        dataset = open_dataset("inria", root=inria, held_out_city="austin")
    # vienna7 has no mask here and sfo36 has none anywhere: neither can be trained on or scored.
    assert {s.name: s.split for s in dataset} == {"kitsap4": "validation", "austin1": "test", "austin6": "test"}
    with pytest.warns(UserWarning, match="missing"):
        assert len(open_dataset("inria", root=inria, held_out_city="austin", split="test")) == 2


# massachusetts


@pytest.mark.parametrize("class_name", ["buildings", "roads"])
def test_massachusetts_opens_in_its_own_folders_with_white_left_out(tmp_path, draw_tile, class_name):
    name = f"massachusetts_{class_name}"
    for part in ("train", "valid", "test"):
        draw_tile(tmp_path / part / "sat" / f"22_{part}.tiff", value=254 if part == "test" else 90)
        # The source's building maps are red on black, its road maps have one band.
        draw_tile(tmp_path / part / "map" / f"22_{part}.tif", value=255, bands=1)
    with pytest.warns(UserWarning, match=r"lacks \d+ of the \d+ images of train"):
        dataset = open_dataset(name, root=tmp_path)
    assert {s.name: s.split for s in dataset} == {"22_train": "train", "22_valid": "validation", "22_test": "test"}
    assert dataset["22_train"].read_labels(class_name).all()
    assert dataset["22_train"].read_valid().all()
    assert not dataset["22_test"].read_valid().any()


def test_a_colour_map_counts_where_any_band_is_set(tmp_path, draw_tile):
    red = np.zeros((8, 8, 3), np.uint8)
    red[:2, :, 0] = 255
    image = draw_tile(tmp_path / "train" / "sat" / "1.tiff")
    write_raster(tmp_path / "train" / "map" / "1.tif", red, read_info(image))
    with pytest.warns(UserWarning, match="lacks"):
        scene = open_dataset("massachusetts_buildings", root=tmp_path)[0]
    assert scene.read_labels().sum() == 16


def test_a_map_of_several_colours_is_refused(tmp_path, draw_tile):
    image = draw_tile(tmp_path / "images" / "1.tif")
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[0, :, 0], colours[1, :, 1] = 255, 255  # a red row and a green row
    write_raster(tmp_path / "masks" / "1.tif", colours, read_info(image))
    with pytest.raises(ValueError, match="holds several colours; make one mask of 0 and 255 for each class"):
        open_dataset("folder", root=tmp_path)[0].read_labels()


def test_an_empty_massachusetts_folder_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="jointnet download massachusetts_roads"):
        open_dataset("massachusetts_roads", root=tmp_path)


# folder


def test_masks_are_matched_by_name(tmp_path, draw_tile):
    for name in ("a", "b"):
        draw_tile(tmp_path / "images" / f"{name}.tif")
    draw_tile(tmp_path / "masks" / "a.tif", bands=1, value=1)
    with pytest.warns(UserWarning, match="no labels for b"):
        dataset = open_dataset("folder", root=tmp_path)
    assert [s.name for s in dataset] == ["a", "b"]
    assert dataset["a"].read_labels().all()
    assert dataset.missing == ("b (labels)",)
    with pytest.raises(KeyError, match="b has no labels of 'buildings'; it has none"):
        dataset["b"].read_labels()


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".shp", ".fgb"])
def test_a_vector_file_of_any_format_is_matched_by_name(tmp_path, draw_tile, suffix):
    draw_tile(tmp_path / "town.tif")
    write_shapes(tmp_path / f"town{suffix}", box_in(2, 1, 3, 4), crs=32614)
    mask = open_dataset("folder", root=tmp_path)[0].read_labels()
    assert mask.sum() == 12
    assert mask[2:5, 1:5].all()


def test_one_vector_file_serves_every_image_that_it_overlaps(tmp_path, draw_tile):
    draw_tile(tmp_path / "images" / "west.tif")
    draw_tile(tmp_path / "images" / "east.tif", origin=(WEST + 8 * 0.3, NORTH))
    draw_tile(tmp_path / "images" / "far.tif", origin=(WEST + 9000, NORTH))
    across = gpd.GeoSeries([box_in(0, 6, 2, 4)], crs=32614).to_crs(4326)  # two columns in each, in another CRS
    write_shapes(tmp_path / "town.geojson", *across, crs=4326)
    with pytest.warns(UserWarning, match="no labels for far$"):
        dataset = open_dataset("folder", root=tmp_path)
    assert dataset["west"].read_labels()[:2, 6:].all()
    assert dataset["west"].read_labels().sum() == dataset["east"].read_labels().sum() == 4


def test_several_vector_files_over_one_image_add_up(tmp_path, draw_tile):
    draw_tile(tmp_path / "images" / "town.tif")
    write_shapes(tmp_path / "labels" / "north.gpkg", box_in(0, 0, 2, 8))
    write_shapes(tmp_path / "labels" / "middle.gpkg", box_in(1, 0, 3, 8))
    mask = open_dataset("folder", root=tmp_path)[0].read_labels()
    assert mask[:4].all()  # rows 0-1 and rows 1-3
    assert not mask[4:].any()


def test_a_file_named_after_roads_shows_roads(tmp_path, draw_tile):
    draw_tile(tmp_path / "town.tif", side=64)
    write_shapes(tmp_path / "town_buildings.gpkg", box_in(0, 0, 4, 4))
    write_shapes(tmp_path / "town_roads.gpkg", shapely.LineString([(WEST, NORTH - 10), (WEST + 19, NORTH - 10)]))
    scene = open_dataset("folder", root=tmp_path)[0]
    assert scene.read_labels("buildings").sum() == 16
    assert scene.read_labels("roads")[33].any()  # 10 m south of the edge, at 0.3 m a pixel


def test_labels_may_lie_elsewhere(tmp_path, draw_tile):
    draw_tile(tmp_path / "images" / "town.tif")
    elsewhere = write_shapes(tmp_path / "elsewhere" / "council.gpkg", box_in(0, 0, 1, 1))
    assert open_dataset("folder", root=tmp_path / "images", labels=elsewhere)[0].read_labels().sum() == 1
    assert open_dataset("folder", root=tmp_path / "images", labels=elsewhere.parent)[0].read_labels().sum() == 1
    with pytest.raises(FileNotFoundError, match=r"lost\.gpkg does not exist; give a folder of masks"):
        open_dataset("folder", root=tmp_path / "images", labels=tmp_path / "lost.gpkg")


def test_folders_named_after_splits_are_the_splits(tmp_path, draw_tile):
    for place, part in enumerate(("train", "val", "test")):
        draw_tile(tmp_path / part / "images" / f"{part}1.tif", origin=(WEST + 9 * place, NORTH))
        draw_tile(tmp_path / part / "masks" / f"{part}1.tif", bands=1, value=0)
    splits = {s.name: s.split for s in open_dataset("folder", root=tmp_path)}
    assert splits == {"train1": "train", "val1": "validation", "test1": "test"}


def test_a_manifest_gives_city_split_and_gsd(tmp_path, draw_tile):
    for place, name in enumerate(("a", "b")):
        draw_tile(tmp_path / "mine" / "images" / f"{name}.tif", origin=(WEST + 9 * place, NORTH))
        draw_tile(tmp_path / "mine" / "masks" / f"{name}.tif", bands=1, value=0)
    rows = ["group,city,name,split,gsd_m", "mine,graz,a,validation,0.2", "mine,graz,b,train,", "mine,graz,gone,train,",
            "other,rome,c,train,1"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    with pytest.warns(UserWarning, match="no image of gone, which the manifest names"):
        dataset = open_dataset("folder", root=tmp_path / "mine")
    assert [(s.name, s.city, s.split, s.gsd_hint) for s in dataset] == [
        ("a", "graz", "validation", 0.2), ("b", "graz", "train", None),
    ]
    with pytest.warns(UserWarning, match="gone"), pytest.raises(ValueError, match=r"no city 'rome'; choose from graz"):
        open_dataset("folder", root=tmp_path / "mine", cities="rome")


def test_the_folder_may_be_given_as_a_path_from_here(tmp_path, draw_tile, monkeypatch):
    draw_tile(tmp_path / "mine" / "a.tif")
    (tmp_path / "manifest.csv").write_text("group,name,city\nmine,a,graz")
    monkeypatch.chdir(tmp_path / "mine")
    with pytest.warns(UserWarning, match="no labels for a"):
        assert open_dataset("folder", root=".").cities == ("graz",)


def test_a_share_validates_by_whole_scenes_or_by_blocks_of_a_lone_one(tmp_path, draw_tile):
    for place, name in enumerate("abcde"):
        draw_tile(tmp_path / "images" / f"{name}.tif", origin=(WEST + 9 * place, NORTH))
        draw_tile(tmp_path / "masks" / f"{name}.tif", bands=1, value=0)
    splits = [s.split for s in open_dataset("folder", root=tmp_path, validation=0.4)]
    assert sorted(splits) == ["train"] * 3 + ["validation"] * 2
    draw_tile(tmp_path / "alone" / "big.tif", side=1100)
    write_shapes(tmp_path / "alone" / "big.gpkg", box_in(0, 0, 700, 700))
    blocks = open_dataset("folder", root=tmp_path / "alone", validation=0.25)
    assert sorted(s.split for s in blocks) == ["train"] * 3 + ["validation"]
    assert sum(int(s.read_labels().sum()) for s in blocks) == 700 * 700


def test_images_that_share_ground_across_splits_are_warned_about(tmp_path, draw_tile):
    for part, place in (("train", WEST), ("validation", WEST + 7 * 0.3), ("test", WEST + 20 * 0.3)):
        draw_tile(tmp_path / part / "images" / f"{part}1.tif", origin=(place, NORTH))
        draw_tile(tmp_path / part / "masks" / f"{part}1.tif", bands=1, value=0)
    with pytest.warns(UserWarning, match=r"1 pairs of images share ground .* such as train1 and validation1; put them"):
        open_dataset("folder", root=tmp_path)


def test_shapes_are_at_hand_where_one_file_holds_the_labels(tmp_path, draw_tile):
    draw_tile(tmp_path / "images" / "a.tif")
    draw_tile(tmp_path / "masks" / "a.tif", bands=1, value=0)
    road = shapely.LineString([(WEST, NORTH - 1), (WEST + 2, NORTH)])
    shapes = write_shapes(tmp_path / "masks" / "a_roads.gpkg", road)
    assert open_dataset("folder", root=tmp_path)[0].vectors == {"roads": shapes}


def test_two_images_of_one_name_are_an_error(tmp_path, draw_tile):
    draw_tile(tmp_path / "a.tif")
    draw_tile(tmp_path / "a.tiff")
    with pytest.raises(ValueError, match="have the same name; keep one of them"):
        open_dataset("folder", root=tmp_path)


def test_a_mask_of_another_size_than_its_image_is_an_error(tmp_path, draw_tile):
    draw_tile(tmp_path / "images" / "a.tif")
    draw_tile(tmp_path / "masks" / "a.tif", side=9, bands=1)
    scene = open_dataset("folder", root=tmp_path)[0]
    with pytest.raises(ValueError, match=r"a\.tif is 9 x 9 px, its image a\.tif 8 x 8 px; rasterise the labels"):
        scene.read_labels()


def test_an_image_that_is_none_is_told_when_it_is_read(tmp_path):
    (tmp_path / "a.tif").write_text("not an image")
    with pytest.warns(UserWarning, match="no labels"):
        scene = open_dataset("folder", root=tmp_path)[0]
    with pytest.raises(RasterError, match="is not an image"):
        scene.read()


@pytest.mark.parametrize(("arguments", "message"), [
    ({"name": "atlantis"}, r"dataset 'atlantis' is unknown; choose from sample, inria, massachusetts_buildings"),
    ({"name": "inria", "cities": ["paris"]}, r"INRIA has no city 'paris'; choose from austin, chicago"),
    ({"name": "inria", "tiles": ["austin37"]}, r"INRIA has no tile 'austin37'; a tile is a city of"),
    ({"name": "inria", "split": "val"}, r"split 'val' is unknown; choose from train, validation, test"),
    ({"name": "inria", "nodata": "grey"}, r"no-data rule 'grey' is unknown"),
    ({"name": "inria", "gsd": 0.3}, r"gsd= \(--gsd\) belongs to the dataset 'folder'"),
])
def test_an_unknown_choice_is_told_with_the_known_ones(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        open_dataset(root=tmp_path, **arguments)


def test_centre_lines_in_degrees_are_as_wide_on_the_ground_as_asked(tmp_path):
    # 40 x 40 px of 1e-5 degrees at 60 degrees north: 1.112 m high and 0.556 m wide.
    grid = Grid(40, 40, 3, "uint8", CRS.from_epsg(4326), from_origin(10, 60, 1e-5, 1e-5))
    write_raster(tmp_path / "images" / "a.tif", np.full((40, 40, 3), 9, np.uint8), grid)
    down = shapely.LineString([(10.0002, 60.001), (10.0002, 59.999)])
    write_shapes(tmp_path / "vectors" / "a_roads.geojson", down, crs=4326)
    # 6 m are 5.4 columns on either side of the line, which runs between two columns: 5 + 5 middles of pixels.
    for width, columns in ((6.0, 10), (None, 10), (12.0, 22)):
        scene = open_dataset("folder", root=tmp_path, class_name="roads", width=width)[0]
        assert scene.read_labels("roads").sum(axis=1).tolist() == [columns] * 40
        assert scene.read_labels("roads", (5, 0, 3, 40)).sum(axis=1).tolist() == [columns] * 3


def test_a_folder_needs_a_root_with_images(tmp_path):
    with pytest.raises(ValueError, match="needs root="):
        open_dataset("folder")
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        open_dataset("folder", root=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no images"):
        open_dataset("folder", root=tmp_path)


def test_a_selection_that_leaves_nothing_is_an_error(tmp_path, draw_tile):
    draw_tile(tmp_path / "a.tif")
    nothing = pytest.raises(ValueError, match=r"no scene of split 'test' among those asked for; it has train$")
    with pytest.warns(UserWarning, match="no labels"), nothing:
        open_dataset("folder", root=tmp_path, split="test")


# splits


def plain(name, city="", split="train", labelled=True):
    return Scene(name, Path(f"{name}.tif"), city, split, {"buildings": Path("m.tif")} if labelled else {})


def test_leaving_a_city_out_keeps_the_others_as_they_were():
    dataset = Dataset("d", (plain("a1", "a", "validation"), plain("a6", "a"), plain("b1", "b", "validation"),
                            plain("b6", "b"), plain("c1", "c", "test", labelled=False)))
    assert {s.name: s.split for s in leave_city_out(dataset, "b")} == {
        "a1": "validation", "a6": "train", "b1": "test", "b6": "test",
    }
    with pytest.raises(ValueError, match=r"no labelled city 'c' to hold out; choose from a, b"):
        leave_city_out(dataset, "c")


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    validation=st.floats(0, 0.6), test=st.floats(0, 0.3), seed=st.integers(0, 99),
)
def test_whole_scenes_are_dealt_once_and_every_city_can_train(sizes, validation, test, seed):
    dataset = Dataset("d", tuple(plain(f"{c}{n}", str(c)) for c, size in enumerate(sizes) for n in range(size)))
    if len(dataset) < 2:
        with pytest.raises(ValueError, match="one scene"):
            split_by_share(dataset, validation, test, seed)
        return
    dealt = split_by_share(dataset, validation, test, seed)
    assert [s.name for s in dealt] == [s.name for s in dataset]
    assert dealt == split_by_share(dataset, validation, test, seed)
    for city in dealt.cities:
        splits = [s.split for s in dealt if s.city == city]
        assert "train" in splits
        if len(splits) > 3 and validation > 0:
            assert "validation" in splits


def test_scenes_are_moved_by_name():
    dataset = Dataset("d", (plain("a"), plain("b")))
    assert [s.split for s in split_by_name(dataset, {"b": "test"})] == ["train", "test"]
    with pytest.raises(ValueError, match="no scene c"):
        split_by_name(dataset, {"c": "test"})
    with pytest.raises(ValueError, match="split 'tests' is unknown"):
        split_by_name(dataset, {"a": "tests"})


@pytest.mark.parametrize(("validation", "test"), [(1.0, 0.0), (-0.1, 0.0), (0.5, 0.5)])
def test_shares_that_leave_nothing_to_train_on_are_an_error(validation, test):
    with pytest.raises(ValueError, match="add up to less than 1"):
        split_by_share(Dataset("d", (plain("a"), plain("b"))), validation, test)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A scene whose pixels are all different: their number in two bands."""
    rows, cols = np.mgrid[:61, :83].astype(np.uint8)
    path = tmp_path_factory.mktemp("wide") / "wide.tif"
    grid = Grid(83, 61, 2, "uint8", CRS.from_epsg(32614), from_origin(WEST, NORTH, 0.3, 0.3))
    write_raster(path, np.stack([rows, cols], -1), grid)
    return Scene("wide", path)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(block=st.integers(12, 40), validation=st.floats(0.05, 0.5), test=st.floats(0, 0.4), gap=st.integers(0, 9),
       seed=st.integers(0, 9))
def test_no_pixel_of_a_scene_in_blocks_is_in_two_splits(wide, block, validation, test, gap, seed):
    """Counted on what is read, pixel by pixel: the bands hold each pixel's own row and column."""
    dataset = split_in_blocks(wide, block, validation, test, gap, seed)
    owner = np.full((61, 83), -1)
    for number, scene in enumerate(dataset):
        row, col = np.moveaxis(scene.read().reshape(-1, 2), -1, 0)
        assert (owner[row, col] == -1).all()
        owner[row, col] = number
    if gap == 0:
        assert (owner >= 0).all()
    else:  # neighbours along a row or a column are at least `gap` pixels apart
        for line in (*owner, *owner.T):
            used = np.flatnonzero(line >= 0)
            changes = np.diff(line[used]) != 0
            assert (np.diff(used)[changes] > gap).all()
    assert find_leaks(dataset) == []
    assert {"train", "validation"} <= {s.split for s in dataset}


def test_a_block_is_a_scene_of_its_own_and_cannot_be_left(wide):
    block = split_in_blocks(wide, 30)[1]  # second block of the first row: columns 30 to 82, the rest joins the last
    assert block.part == (0, 30, 30, 53)
    assert block.info.shape == (30, 53)
    assert block.info.bounds == pytest.approx((WEST + 9, NORTH - 9, WEST + 24.9, NORTH))
    assert block.read((1, 2, 1, 1)).tolist() == [[[1, 32]]]
    for window in ((0, -1, 4, 4), (28, 0, 4, 4), (0, 50, 4, 4)):
        with pytest.raises(ValueError, match=r"leaves wide-r0c1, a part of 30 x 53 px of wide\.tif"):
            block.read(window)


def test_a_block_can_be_cut_again(wide):
    inner = split_in_blocks(split_in_blocks(wide, 30)[1], 20)
    assert [s.part for s in inner] == [(0, 30, 30, 20), (0, 50, 30, 33)]


def test_one_block_cannot_be_split(wide):
    with pytest.raises(ValueError, match=r"61 x 83 px holds one block of 60 px; choose smaller blocks"):
        split_in_blocks(wide, 60)
    with pytest.raises(ValueError, match=r"30 px where 90 px are left between them; .* a smaller gap"):
        split_in_blocks(wide, 30, gap=90)
    for block, gap in ((0, 0), (30, -4)):
        with pytest.raises(ValueError, match=rf"block={block} must be 1 px or more, and gap={gap} 0 or more"):
            split_in_blocks(wide, block, gap=gap)


def test_scenes_that_share_ground_across_splits_are_found(tmp_path, draw_tile):
    draw_tile(tmp_path / "images" / "a.tif")
    draw_tile(tmp_path / "images" / "touches.tif", origin=(WEST + 8 * 0.3, NORTH))
    draw_tile(tmp_path / "images" / "overlaps.tif", origin=(WEST + 7 * 0.3, NORTH))
    with pytest.warns(UserWarning, match="no labels"):
        dataset = open_dataset("folder", root=tmp_path)
    assert find_leaks(dataset) == []  # all train
    assert find_leaks(split_by_name(dataset, {"touches": "test", "overlaps": "test"})) == [("a", "overlaps")]


def test_scenes_in_different_projections_that_share_ground_are_found(tmp_path, draw_tile):
    images = tmp_path / "images"
    west, south, east, north = read_info(draw_tile(images / "a.tif")).bounds
    for name, shift in (("there", 0), ("beside", 1.5 * (east - west))):
        ground = gpd.GeoSeries([shapely.box(west + shift, south, east + shift, north)], crs=32614)
        box = ground.to_crs(4326).total_bounds
        grid = Grid(8, 8, 3, "uint8", CRS.from_epsg(4326), from_bounds(*box, 8, 8))
        write_raster(images / f"{name}.tif", np.full((8, 8, 3), 90, np.uint8), grid)
    with pytest.warns(UserWarning, match="no labels"):
        dataset = open_dataset("folder", root=tmp_path)
    assert find_leaks(dataset) == []  # all train
    assert find_leaks(split_by_name(dataset, {"there": "test"})) == [("a", "there")]
    assert find_leaks(split_by_name(dataset, {"beside": "test"})) == []


# Real imagery

RULES = {"inria_crops": "black", "inria_lossless": None, "world_buildings": None, "massachusetts_buildings": "white",
         "massachusetts_roads": "white"}


MORE_COLUMNS = pytest.mark.filterwarnings("ignore:.*the columns width, height, fraction, note are not used")


@MORE_COLUMNS
@pytest.mark.parametrize("group", RULES)
def test_real_folders_open_as_their_manifest_says(shared_data, group):
    class_name = "roads" if group.endswith("roads") else "buildings"
    dataset = open_dataset("folder", root=shared_data / group, nodata=RULES[group], class_name=class_name)
    with (shared_data / "manifest.csv").open(newline="") as file:
        rows = {r["name"]: r for r in csv.DictReader(file) if r["group"] == group}
    assert {s.name for s in dataset} == set(rows)
    assert dataset.missing == ()
    assert {s.name: (s.city, s.split) for s in dataset} == {n: (r["city"], r["split"]) for n, r in rows.items()}
    for scene in dataset[:: max(len(dataset) // 12, 1)]:
        row = rows[scene.name]
        assert scene.gsd == (float(row["gsd_m"]) if row["gsd_m"] else None)
        # Five decimals in the manifest; no-data is counted in.
        assert scene.read_labels(class_name).mean() == pytest.approx(float(row["fraction"]), abs=5e-6 + 1e-9)


@MORE_COLUMNS
def test_no_data_of_real_imagery_is_seen(shared_data):
    padded = open_dataset("folder", root=shared_data / "inria_crops", nodata="black")["000003"]
    assert 0.75 < padded.read_valid().mean() < 0.80  # a black strip of about a fifth
    for scene in open_dataset("folder", root=shared_data / "massachusetts_buildings", nodata="white")[:3]:
        assert 0.24 <= 1 - scene.read_valid().mean() <= 0.72


@pytest.mark.filterwarnings("ignore:.*invalid and repaired")
def test_real_polygons_in_another_crs_and_roads_open_side_by_side(shared_data):
    dataset = open_dataset("folder", root=shared_data / "georeferenced")
    assert {s.name: list(s.labels) for s in dataset} == {"tanzania_sample": ["buildings"], "vegas_img0": ["roads"]}
    # 4,440 polygons in longitude and latitude; by eye about a tenth of the picture is roof.
    assert 0.07 < dataset["tanzania_sample"].read_labels("buildings").mean() < 0.13
    assert dataset["vegas_img0"].gsd == pytest.approx(0.3, rel=0.15)


def test_real_roads_in_degrees_are_labels_as_wide_as_asked(shared_data):
    opened = [open_dataset("folder", root=shared_data / "georeferenced", width=w)["vegas_img0"] for w in (4.0, 8.0)]
    scene = opened[0]
    assert scene.read((0, 0, 8, 8)).shape == (8, 8, 3)  # the fourth band is alpha, a mask and no picture
    lines = gpd.read_file(scene.labels["roads"]).to_crs(32611)
    frame = gpd.GeoSeries([shapely.box(*scene.info.bounds)], crs=4326).to_crs(32611)[0]
    for width, found in zip((4.0, 8.0), opened, strict=True):
        area = shapely.union_all(lines.buffer(width / 2)).intersection(frame).area / 0.9996**2
        assert found.read_labels("roads").sum() * np.prod(scene.info.pixel_size) == pytest.approx(area, rel=0.01)


# Names


def test_images_of_one_name_in_two_folders_are_two_scenes_with_labels_of_their_own(tmp_path, draw_tile):
    for place, (part, value) in enumerate((("train", 0), ("Testing", 1))):
        draw_tile(tmp_path / part / "images" / "0.tif", origin=(WEST + 9 * place, NORTH))
        draw_tile(tmp_path / part / "masks" / "0.tif", bands=1, value=value, origin=(WEST + 9 * place, NORTH))
    dataset = open_dataset("folder", tmp_path)
    assert [(s.name, s.split) for s in dataset] == [("train-0", "train"), ("Testing-0", "test")]
    assert (dataset["train-0"].read_labels().sum(), dataset["Testing-0"].read_labels().sum()) == (0, 64)
    with pytest.raises(KeyError, match="has no scene '0'; it has train-0, Testing-0"):
        dataset["0"]


def test_a_mask_that_may_belong_to_two_images_is_refused(tmp_path, draw_tile):
    for part in ("train", "test"):
        draw_tile(tmp_path / part / "images" / "0.tif")
    mask = draw_tile(tmp_path / "drawn" / "0.tif", bands=1, value=0)
    with pytest.raises(ValueError, match=r"0\.tif may belong to .*train.* or to .*test.*beside their images"):
        open_dataset("folder", tmp_path, labels=mask.parent)


def test_vector_files_of_one_name_in_two_folders_are_asked_about(tmp_path, draw_tile):
    draw_tile(tmp_path / "images" / "a.tif")
    write_shapes(tmp_path / "polygons" / "a.gpkg", box_in(0, 0, 2, 2))
    write_shapes(tmp_path / "vectors" / "a.gpkg", box_in(4, 4, 5, 5))
    with pytest.raises(ValueError, match=r"a\.gpkg and .*a\.gpkg bear the name of the image a; keep one"):
        open_dataset("folder", tmp_path)


def test_a_file_of_several_layers_shows_each_class_that_a_layer_is_named_after(tmp_path, draw_tile):
    draw_tile(tmp_path / "images" / "town.tif", side=64)
    road = shapely.LineString([(WEST, NORTH - 10), (WEST + 19, NORTH - 10)])
    for layer, shape in (("buildings", box_in(0, 0, 4, 4)), ("roads", road)):
        gpd.GeoSeries([shape], crs=32614).to_file(tmp_path / "osm.gpkg", layer=layer)
    scene = open_dataset("folder", tmp_path)[0]
    assert sorted(scene.labels) == ["buildings", "roads"]
    assert scene.read_labels("buildings").sum() == 16
    assert scene.read_labels("roads")[33].all()
    only = open_dataset("folder", tmp_path, layer="buildings")[0]
    assert list(only.labels) == ["buildings"]


def test_a_shapefile_without_prj_whose_numbers_lie_on_the_image_is_in_its_crs(tmp_path, draw_tile):
    draw_tile(tmp_path / "a.tif")
    write_shapes(tmp_path / "a.shp", box_in(0, 0, 2, 2))
    (tmp_path / "a.prj").unlink()
    scene = open_dataset("folder", tmp_path)[0]
    with pytest.warns(UserWarning, match="states no CRS; since its numbers lie on the image, they are taken to be in"):
        assert scene.read_labels().sum() == 4
