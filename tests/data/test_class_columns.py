"""Files of several classes: which features a column of class names gives to the one that is looked for."""

import warnings

import pytest
from shapely import box

from jointnet.data.labels import place_file, rasterize_file
from jointnet.data.layers import LabelError, LabelWarning
from tests.data.known_grid import grid_of, on_grid

FIRST, SECOND = box(1, 1, 3, 3), box(5, 5, 7, 7)  # 4 pixels each


def file_of(folder, suffix="gpkg", **columns):
    table = on_grid(FIRST, SECOND, box(300, 5, 302, 7)).to_frame("geometry").assign(**columns)
    (table.to_parquet if suffix == "parquet" else table.to_file)(folder / f"a.{suffix}")
    return folder / f"a.{suffix}"


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
@pytest.mark.parametrize("column", ["class", "Label", "type", "layer"])  # the last of QGIS' "merge" and of CAD files
def test_of_a_file_with_buildings_and_trees_the_buildings_are_taken_and_the_trees_told(tmp_path, suffix, column):
    path = file_of(tmp_path, suffix, **{column: ["Residential building", "tree", None]})
    for class_name, corner in (("buildings", 1), ("trees", 5)):
        with pytest.warns(LabelWarning, match=rf"left out, whose {column} is"):
            mask = place_file(path, grid_of(), class_name=class_name).burn(grid_of())
        assert mask.sum() == 4
        assert mask[corner, corner] == 1


def test_a_list_of_words_in_a_column_of_geojson_is_no_building_and_one_with_building_is(tmp_path):
    path = file_of(tmp_path, "geojson", **{"class": [["tall", "building"], ["tree", "old"], ["tree"]]})
    with pytest.warns(LabelWarning, match=r"1 feature \(1\) left out, whose class is 'tree, old'"):
        assert rasterize_file(path, grid_of(), class_name="buildings").sum() == 4


def test_what_a_column_says_is_decided_for_the_file_and_not_for_a_window(tmp_path):
    """The only building lies off the grid: shrubs, unknown here, are then not taken for buildings."""
    path = file_of(tmp_path, **{"class": ["shrub", "shrub", "building"]})
    with pytest.warns(LabelWarning, match=r"2 features \(1, 2\) left out, whose class is 'shrub'"):
        assert not rasterize_file(path, grid_of(), class_name="buildings", empty_ok=True).any()


@pytest.mark.filterwarnings("ignore::jointnet.data.layers.LabelWarning")
@pytest.mark.parametrize(("kinds", "taken"), [
    (["street", "close", "street"], 8),  # as the drawn sample has them; the third lies off the grid
    (["street", "tree", "street"], 4), (["tree", "street", "road"], 4), (["road", "street", "path"], 8)])
def test_a_street_is_a_road(tmp_path, kinds, taken):
    mask = place_file(file_of(tmp_path, kind=kinds), grid_of(), class_name="roads").burn(grid_of())
    assert mask.sum() == taken


@pytest.mark.parametrize("denied", ["non-building", "not a building", "Not any building"])
def test_what_is_said_to_be_no_building_is_none(tmp_path, denied):
    path = file_of(tmp_path, category=["building", denied, "building"])
    with pytest.warns(LabelWarning, match="1 feature .* left out"):
        assert rasterize_file(path, grid_of(), class_name="buildings").sum() == 4


def test_a_file_of_other_classes_alone_is_refused(tmp_path):
    path = file_of(tmp_path, category=["tree", "roads", "tree"])
    with pytest.raises(LabelError, match="no buildings: its column 'category' holds 'roads', 'tree'; choose"):
        place_file(path, grid_of(), class_name="buildings")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"class": [1, 2, 2]}, "its column 'class' holds '1', '2', and all of them are taken as buildings"),
        ({"landuse": ["farmland", None, "residential"]},  # OpenStreetMap's areas, without a column `building`
         "its column 'landuse' holds nothing, 'farmland', 'residential', and all of them are taken as buildings"),
        ({"class": ["house", "barn", None]}, "'class' holds nothing, 'barn', 'house', and all of them are taken"),
        ({"class": ["house", "tree", "tree"]}, "1 feature (2) left out, whose class is 'tree'"),
        ({"type": ["house", "barn", None]}, None),
        ({"class": ["roof", "roof", "roof"]}, None),
        ({"class": [*"ab", None], "building": ["yes", "yes", "yes"]}, None),  # OpenStreetMap's tag says it
        ({"name": ["tree", "Old building", None]}, None),
    ],
)
def test_values_that_name_no_class_are_taken_and_told_where_they_may_be_several(tmp_path, columns, said):
    path, everything = file_of(tmp_path, **columns), "tree" not in columns.get("class", ())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mask = rasterize_file(path, grid_of(), class_name="buildings")
    assert mask.sum() == (8 if everything else 4)
    assert len(told) == (said is not None)
    assert said is None or said in str(told[0].message)
