"""Masks of other people: what their values mean, what of them is labelled, and where they lie."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from jointnet.data.catalogue import open_dataset
from jointnet.data.mask_facts import MaskError
from jointnet.data.patches import GridBatches
from jointnet.data.raster import RasterWarning
from jointnet.data.scene import Scene
from jointnet.evaluate.scores import evaluate

PLACE = Affine(0.5, 0, 500_000, 0, -0.5, 5_300_000)
UTM = "EPSG:32633"
TRUTH = np.zeros((12, 16), np.uint8)
TRUTH[2:5, 3:9] = 1  # 18 pixels


@pytest.fixture
def saved(tmp_path):
    """Writes arrays (height, width[, bands]) as files: saved("masks/a.tif", array, transform=..., crs=...)."""

    def save(name, array, transform=PLACE, crs=UTM, driver="GTiff", mask=None, **profile):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bands = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
        georeference = {} if transform is None else {"transform": transform, "crs": crs}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, "w", driver, bands.shape[2], bands.shape[1], len(bands), dtype=bands.dtype,
                               **georeference, **profile) as file:
                file.write(bands)
                if mask is not None:
                    file.write_mask(mask)
        return path

    return save


def image(saved, name="images/a.tif", **profile):
    return saved(name, np.full((12, 16, 3), 90, np.uint8), **profile)


def read(folder, **options):
    """(labels, where they count) of the only scene."""
    scene = open_dataset("folder", root=folder, **options)[0]
    return scene.read_labels(), scene.read_valid(class_name="buildings")


AS_INT16 = np.where(TRUTH > 0, 1, 0).astype(np.int16)


@pytest.mark.parametrize(("mask", "profile"), [
    (TRUTH, {}), (TRUTH * 255, {}), (TRUTH.astype(np.float32), {}), (TRUTH.astype(np.uint16), {}), (AS_INT16, {}),
    (np.dstack([TRUTH * 255] * 3), {}), (np.dstack([TRUTH * 255, TRUTH * 0, TRUTH * 0]), {}), (TRUTH, {"nbits": 1}),
    (np.dstack([TRUTH * 255] * 3 + [TRUTH * 0 + 255]), {}),
])
def test_masks_of_usual_values_speak_for_themselves(saved, tmp_path, mask, profile):
    image(saved)
    saved("masks/a.tif", mask, **profile)
    labels, counts = read(tmp_path)
    np.testing.assert_array_equal(labels, TRUTH)
    assert counts.all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA"])
def test_pictures_of_each_kind_are_masks(saved, tmp_path, mode):
    image(saved)
    (tmp_path / "masks").mkdir()
    Image.fromarray(TRUTH * 255).convert(mode).save(tmp_path / "masks" / "a.png")
    np.testing.assert_array_equal(read(tmp_path)[0], TRUTH)


UNKNOWN = np.zeros(TRUTH.shape, bool)
UNKNOWN[8:, :5] = True  # 20 pixels


def with_unknown(value, dtype=np.uint8, shown=1):
    return np.where(UNKNOWN, value, TRUTH.astype(dtype) * shown).astype(dtype)


@pytest.mark.parametrize(("mask", "profile"), [
    (with_unknown(255), {}),  # beside 0 and 1
    (with_unknown(-9999, np.int16), {"nodata": -9999}),
    (with_unknown(np.nan, np.float32), {}),
    (with_unknown(7), {"nodata": 7}),
    (with_unknown(0), {"mask": ~UNKNOWN}),
    (np.dstack([TRUTH * 255] * 3 + [np.where(UNKNOWN, 0, 255).astype(np.uint8)]), {"alpha": "yes"}),
])
def test_what_nobody_has_labelled_weighs_nothing(saved, tmp_path, mask, profile):
    image(saved)
    saved("masks/a.tif", mask, **profile)
    labels, counts = read(tmp_path)
    np.testing.assert_array_equal(labels, TRUTH)
    np.testing.assert_array_equal(counts, ~UNKNOWN)
    _, _, weights = GridBatches([open_dataset("folder", root=tmp_path)[0]], 16, 1)[0]
    np.testing.assert_array_equal(weights[0, :12, :, 0], ~UNKNOWN)


def test_a_window_reads_what_the_whole_file_means(saved, tmp_path):
    """In the lower left corner there is nothing but 255 and 0: by itself it would read as buildings."""
    image(saved)
    saved("masks/a.tif", with_unknown(255))
    scene = open_dataset("folder", root=tmp_path)[0]
    assert scene.read_labels("buildings", (8, 0, 4, 8)).sum() == 0
    assert scene.read_valid((8, 0, 4, 8), "buildings").sum() == 4 * 8 - 20


def test_a_tile_reads_what_all_its_neighbours_mean(saved, tmp_path):
    """The second tile holds only 0 and 255; the first says that 255 is not labelled."""
    image(saved)
    image(saved, "images/b.tif", transform=PLACE @ Affine.translation(16, 0))
    saved("masks/a.tif", with_unknown(255))
    saved("masks/b.tif", UNKNOWN.astype(np.uint8) * 255, transform=PLACE @ Affine.translation(16, 0))
    scene = open_dataset("folder", root=tmp_path)["b"]
    with pytest.warns(RasterWarning, match="b.tif holds 255 and no 1, other masks 0, 1 and 255"):
        assert scene.read_labels().sum() == 0
    np.testing.assert_array_equal(scene.read_valid(class_name="buildings"), ~UNKNOWN)


def test_masks_of_two_conventions_are_not_guessed_about(saved, tmp_path):
    image(saved)
    image(saved, "images/b.tif", transform=PLACE @ Affine.translation(16, 0))
    saved("masks/a.tif", TRUTH)
    saved("masks/b.tif", TRUTH * 255, transform=PLACE @ Affine.translation(16, 0))
    with pytest.raises(MaskError, match="a.tif holds 1 and .*b.tif holds 255, and no mask both"):
        open_dataset("folder", root=tmp_path)[0].read_labels()
    both = open_dataset("folder", root=tmp_path, label_values=[1, 255])
    assert [int(scene.read_labels().sum()) for scene in both] == [18, 18]


@pytest.mark.parametrize(("mask", "profile", "says"), [
    (TRUTH + 1, {}, "values other than 0 and 1, or 0 and 255: 1, 2"),
    (TRUTH * 2, {}, "0, 2"),
    (with_unknown(-1, np.int16), {}, "-1, 0, 1"),
    (TRUTH * np.uint16(65535), {}, "0, 65535"),
    (TRUTH * np.float32(0.5), {}, "0, 0.5"),
    (np.arange(192, dtype=np.uint8).reshape(12, 16), {}, "more than 64 values"),
    (TRUTH * 255, {"nodata": 0}, "is that background, the class, or not labelled"),
    (TRUTH * 255, {"nodata": 255}, "is that background, the class, or not labelled"),
    (np.dstack([TRUTH * 255, UNKNOWN.astype(np.uint8) * 255, TRUTH * 0]), {}, "several colours"),
])
def test_values_that_say_nothing_are_asked_about(saved, tmp_path, mask, profile, says):
    image(saved)
    saved("masks/a.tif", mask, **profile)
    with pytest.raises(MaskError, match=says):
        open_dataset("folder", root=tmp_path)[0].read_labels()


@pytest.mark.parametrize(("mask", "profile", "told"), [
    (TRUTH + 1, {}, {"label_values": 2}),
    (TRUTH * 255, {"nodata": 0}, {"ignore_values": ()}),
    (with_unknown(-1, np.int16), {}, {"ignore_values": -1}),
    (with_unknown(9, shown=5), {}, {"label_values": [5], "ignore_values": [9]}),
    (np.where(TRUTH > 0, 251, 3).astype(np.uint8), {}, {"label_values": range(128, 256)}),
    (np.dstack([TRUTH * 255, UNKNOWN.astype(np.uint8) * 255, TRUTH * 0]), {}, {"label_values": [(255, 0, 0)]}),
])
def test_values_are_what_the_caller_says(saved, tmp_path, mask, profile, told):
    image(saved)
    saved("masks/a.tif", mask, **profile)
    labels, counts = read(tmp_path, **told)
    np.testing.assert_array_equal(labels, TRUTH)
    assert counts.sum() == (192 - 20 if len(np.unique(mask)) == 3 and "ignore_values" in told else 192)


def test_one_mask_may_show_several_classes(saved, tmp_path):
    image(saved)
    saved("masks/a.tif", np.where(UNKNOWN, 2, TRUTH).astype(np.uint8))
    scene = open_dataset("folder", root=tmp_path, label_values={"buildings": 1, "roads": 2})[0]
    np.testing.assert_array_equal(scene.read_labels("buildings"), TRUTH)
    np.testing.assert_array_equal(scene.read_labels("roads"), UNKNOWN)


def test_a_palette_that_paints_the_shown_black_on_white_is_asked_about(saved, tmp_path):
    image(saved)
    (tmp_path / "masks").mkdir()
    picture = Image.fromarray(TRUTH, "P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.save(tmp_path / "masks" / "a.png")
    with pytest.raises(MaskError, match="paints 0 light"):
        open_dataset("folder", root=tmp_path)[0].read_labels()


def turned(array, rows, columns):
    return array[:: -1 if rows else 1, :: -1 if columns else 1]


def grid_of(rows, columns, transform=PLACE):
    """The transform of a file whose rows run north, or whose columns run west, over the same ground."""
    return transform @ Affine.translation(16 * columns, 12 * rows) @ Affine.scale(1 - 2 * columns, 1 - 2 * rows)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("of_image", [False, True])
def test_a_mask_that_runs_another_way_is_turned(saved, tmp_path, rows, columns, of_image):
    """Of mask or image the rows run north, the columns west, or both; the labels lie as the image does."""
    own, other = (grid_of(rows, columns), PLACE) if of_image else (PLACE, grid_of(rows, columns))
    image(saved, transform=own)
    saved("masks/a.tif", TRUTH if of_image else turned(TRUTH, rows, columns), transform=other)
    expected = turned(TRUTH, rows, columns) if of_image else TRUTH
    scene = open_dataset("folder", root=tmp_path)[0]
    np.testing.assert_array_equal(scene.read_labels(), expected)
    np.testing.assert_array_equal(scene.read_labels("buildings", (1, 2, 5, 9)), expected[1:6, 2:11])


@pytest.mark.parametrize(("transform", "crs"), [
    (PLACE @ Affine.translation(16, 0), UTM), (PLACE @ Affine.translation(0.7, 0), UTM), (PLACE, "EPSG:32634"),
    (PLACE @ Affine.scale(1.2), UTM), (PLACE @ Affine.rotation(30), UTM), (PLACE @ Affine.translation(0, 3), None),
    (Affine(1e-5, 0, 15, 0, -1e-5, 47.8), "EPSG:4326"),
])
def test_a_mask_of_another_place_is_refused(saved, tmp_path, transform, crs):
    image(saved)
    saved("masks/a.tif", TRUTH, transform=transform, crs=crs)
    saved("maps/a_mask.tif", TRUTH * 255)
    dataset = open_dataset("folder", root=tmp_path)
    for use in (dataset[0].read_labels, lambda: GridBatches([dataset[0]], 16, 1),
                lambda: evaluate(tmp_path / "maps", dataset)):
        with pytest.raises(MaskError, match="has the size of a.tif but lies"):
            use()


@pytest.mark.parametrize(("own", "other"), [
    ({}, {"transform": None}), ({"transform": None}, {}), ({}, {"crs": None}), ({}, {"crs": "EPSG:25833"}),
    ({"transform": PLACE @ Affine.rotation(20)}, {"transform": PLACE @ Affine.rotation(20)}),
    ({}, {"transform": PLACE @ Affine.translation(0.05, 0)}),
])
def test_masks_that_lie_as_their_image_does_are_taken(saved, tmp_path, own, other):
    """EPSG:25833 is the same zone on another datum, less than a metre off, and PROJ takes both for one."""
    image(saved, **own)
    saved("masks/a.tif", TRUTH, **other)
    np.testing.assert_array_equal(read(tmp_path)[0], TRUTH)


def test_a_mask_that_is_off_by_less_than_half_a_pixel_is_taken_and_told_about(saved, tmp_path):
    image(saved)
    path = saved("masks/a.tif", TRUTH, transform=PLACE @ Affine.translation(0.4, 0))
    with pytest.warns(RasterWarning, match="lies 0.40 px beside a.tif"):
        assert Scene("a", tmp_path / "images" / "a.tif", labels={"buildings": path}).read_labels().sum() == 18


KINDS = {
    "0 and 1": (0, 1, None, None), "0 and 255": (0, 255, None, None), "0, 1 and 255": (0, 1, 255, None),
    "tag": (0, 1, 9, 9), "tag of 255": (0, 1, 255, 255), "tag below 0": (0, 1, -7, -7),
    "fractions": (0.0, 1.0, None, None),
}


@pytest.mark.filterwarnings("ignore:.* show the class on .* of their pixels:jointnet.data.raster.RasterWarning")
@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mask_file_is_read_as_it_was_meant(tmp_path_factory, data):
    """Random masks of every kind, dtype and orientation, against the arrays that they were written from."""
    folder = tmp_path_factory.mktemp("fuzz")
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    cells = data.draw(st.lists(st.sampled_from("..#?"), min_size=height * width, max_size=height * width))
    drawn = np.array(cells).reshape(height, width)
    drawn.flat[0] = "."  # a mask without background is another question
    ground, shown, unknown, nodata = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    if unknown is not None and "#" not in drawn and nodata is None:
        unknown = None  # without a 1 beside it, 255 is the class
    low = min(v for v in (ground, shown, unknown, nodata) if v is not None)
    dtype = "float32" if isinstance(ground, float) else data.draw(
        st.sampled_from(["int16", "int32", "float64"] + (["uint8", "uint16"] if low >= 0 else [])))
    values = np.where(drawn == "#", shown, np.where((drawn == "?") & (unknown is not None), unknown or 0, ground))
    rows, columns = data.draw(st.booleans()), data.draw(st.booleans())
    lies = PLACE @ Affine.translation(width * columns, height * rows) @ Affine.scale(1 - 2 * columns, 1 - 2 * rows)
    for name, array, transform in (("images/a.tif", np.full((3, height, width), 9, np.uint8), PLACE),
                                   ("masks/a.tif", turned(values, rows, columns).astype(dtype)[None], lies)):
        (folder / name).parent.mkdir()
        with rasterio.open(folder / name, "w", "GTiff", width, height, len(array), UTM, transform, array.dtype,
                           nodata=nodata if "masks" in name else None) as file:
            file.write(array)
    scene = open_dataset("folder", root=folder)[0]
    np.testing.assert_array_equal(scene.read_labels(), drawn == "#")
    np.testing.assert_array_equal(scene.read_valid(class_name="buildings"), (drawn != "?") | (unknown is None))


RED, GREEN = (255, 0, 0), (0, 255, 0)
THREE = TRUTH.copy()
THREE[8:10, 2:6] = 2  # 8 pixels of another class, so that the masks hold three


def paletted(path, numbers, colours):
    """A GeoTIFF with a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", "GTiff", 16, 12, 1, dtype="uint8", transform=PLACE, crs=UTM) as out:
        out.write(numbers, 1)
        out.write_colormap(1, {n: (*c, 255) for n, c in enumerate(colours)})


@pytest.mark.parametrize("values", [{"buildings": 1, "roads": 2}, {"buildings": [RED], "roads": [GREEN]}])
def test_a_palette_of_three_classes_is_read_by_its_numbers_or_its_colours(saved, tmp_path, values):
    image(saved)
    paletted(tmp_path / "masks/a.tif", THREE, [(0, 0, 0), RED, GREEN])
    scene = open_dataset("folder", root=tmp_path, label_values=values)["a"]
    np.testing.assert_array_equal(scene.read_labels("buildings"), TRUTH)
    np.testing.assert_array_equal(scene.read_labels("roads"), THREE == 2)


@pytest.mark.parametrize(("given", "words"), [
    ({"label_values": RED}, r"may be one colour or 3 values; write the colour as label_values=\[\(255, 0, 0\)\]"),
    ({"label_values": [RED, 2]}, "name colours and numbers of a palette together"),
    ({"label_values": "1"}, "label_values='1' should be numbers, as 1"),
    ({"label_values": []}, "label_values is empty"),
    ({"label_values": 1, "ignore_values": [1, 2]}, "1 stands in label_values and in ignore_values"),
])
def test_values_that_cannot_be_meant_so_are_refused(saved, tmp_path, given, words):
    image(saved)
    paletted(tmp_path / "masks/a.tif", THREE, [(0, 0, 0), RED, GREEN])
    with pytest.raises(MaskError, match=words):
        open_dataset("folder", root=tmp_path, **given)["a"].read_labels()


def test_colours_of_a_mask_without_any_and_other_classes_than_asked_for_are_refused(saved, tmp_path):
    image(saved)
    saved("masks/a.tif", TRUTH)
    with pytest.raises(MaskError, match=r"names the colour \(255, 0, 0\), and .*a.tif is not in colour: it holds 0, 1"):
        open_dataset("folder", root=tmp_path, label_values=[RED])["a"].read_labels()
    with pytest.raises(ValueError, match="says what shows 'water', and the class asked for is 'buildings'"):
        open_dataset("folder", root=tmp_path, label_values={"water": 1})


def test_a_value_that_no_mask_holds_is_told(saved, tmp_path):
    image(saved)
    saved("masks/a.tif", TRUTH * 255)
    scene = open_dataset("folder", root=tmp_path, label_values=1)["a"]
    with pytest.warns(RasterWarning, match="no mask holds label_values=1, so none shows the class.* hold 0, 255"):
        assert scene.read_labels().sum() == 0


@pytest.mark.parametrize("nodata", [0, 255])
def test_one_mask_of_many_that_hides_a_side_as_no_data_is_refused(saved, tmp_path, nodata):
    image(saved)
    image(saved, "images/b.tif", transform=PLACE @ Affine.translation(16, 0))
    saved("masks/a.tif", TRUTH * 255)
    saved("masks/b.tif", TRUTH * 255, transform=PLACE @ Affine.translation(16, 0), nodata=nodata)
    with pytest.raises(MaskError, match=f"b.tif holds nothing but {255 - nodata} beside what its own no-data"):
        open_dataset("folder", root=tmp_path)["a"].read_labels()


def test_houses_that_only_the_alpha_band_shows_are_refused(saved, tmp_path):
    image(saved)
    black = np.zeros_like(TRUTH)
    saved("masks/a.tif", np.stack([black, black, black, TRUTH * 255], axis=-1), photometric="rgb", alpha="yes")
    with pytest.raises(MaskError, match=r"a.tif holds nothing but 0 beside what its own .*leaves out \(0\)"):
        open_dataset("folder", root=tmp_path)["a"].read_labels()


def test_masks_that_seem_inverted_are_told(saved, tmp_path):
    image(saved)
    saved("masks/a.tif", 255 - TRUTH * 255)  # 174 of 192 pixels: 91 %
    with pytest.warns(RasterWarning, match="show the class on 91% of their pixels: .* say label_values=0"):
        open_dataset("folder", root=tmp_path)["a"].read_labels()
    np.testing.assert_array_equal(open_dataset("folder", root=tmp_path, label_values=0)["a"].read_labels(), TRUTH)


@pytest.mark.parametrize(("mask", "advice"), [
    (TRUTH.astype(np.uint16) * 65535, "label_values=65535 "), (-TRUTH.astype(np.int16), "label_values=-1 "),
    (TRUTH * 247 + np.indices(TRUTH.shape).sum(0).astype(np.uint8) % 9, r"label_values=range\(128, 256\)"),
])
def test_the_advice_of_a_refusal_can_be_followed(saved, tmp_path, mask, advice):
    image(saved)
    saved("masks/a.tif", mask)
    with pytest.raises(MaskError, match=f"for example {advice}"):
        open_dataset("folder", root=tmp_path)["a"].read_labels()
