"""Labels and images of other people that are nearly right: read right, or told, or refused in one sentence."""

from __future__ import annotations

import unicodedata
import warnings

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC
from rasterio.transform import Affine

from jointnet.data.catalogue import open_dataset
from jointnet.data.layers import LabelError, LabelWarning
from jointnet.data.raster import RasterError, RasterWarning, read_info
from jointnet.evaluate.inputs import find_predictions
from jointnet.evaluate.road_breaks import find_breaks, street_table
from jointnet.evaluate.roads import line_counts

UTM = "EPSG:32633"
PLACE = Affine(0.5, 0, 500_000, 0, -0.5, 5_300_000)
DEGREES = Affine(1e-5, 0, 15, 0, -1e-5, 47)
HOUSE = (4, 6, 8, 10)  # row, column, height, width: 80 pixels
SITE = 'LOCAL_CS["works",UNIT["metre",1]]'
FEET = 'LOCAL_CS["works",UNIT["US survey foot",0.304800609601219]]'


def save(path, transform=PLACE, crs=UTM, bands=3, **profile):
    """An image of 32 x 32 px."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {} if transform is None else {"transform": transform}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", "GTiff", 32, 32, bands, dtype="uint8", crs=crs, **place, **profile) as out:
            out.write(np.full((bands, 32, 32), 90, np.uint8))
    return path


def box(row, col, height, width, transform=PLACE):
    return shapely.box(*(transform @ (col, row + height)), *(transform @ (col + width, row)))


def table(*shapes, crs=UTM, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


def truth():
    mask = np.zeros((32, 32), np.uint8)
    mask[4:12, 6:16] = 1
    return mask


@pytest.mark.parametrize(("image_at", "labels_at"), [(-15, 345), (345, -15), (190, -170), (-170, 190)])
def test_longitudes_to_360_degrees_are_those_from_minus_180(tmp_path, image_at, labels_at):
    grid, other = (Affine.translation(lon, 47) @ Affine.scale(1e-5, -1e-5) for lon in (image_at, labels_at))
    save(tmp_path / "images/a.tif", grid, "EPSG:4326")
    table(box(*HOUSE, other), crs=4326).to_file(tmp_path / "images/a.gpkg")
    np.testing.assert_array_equal(open_dataset("folder", tmp_path)[0].read_labels(), truth())


def test_pixels_that_are_called_degrees_are_not_taken_for_a_turn_round_the_earth(tmp_path):
    save(tmp_path / "images/a.tif", DEGREES, "EPSG:4326")
    table(shapely.box(0, 0, 512, 512), crs=4326).to_file(tmp_path / "images/a.gpkg")
    table(shapely.box(300, 10, 480, 80), crs=4326).to_file(tmp_path / "images/a.gpkg")
    with pytest.raises(LabelError, match="no label of .*a.gpkg lies on its image"):
        open_dataset("folder", tmp_path)


def test_a_site_grid_takes_labels_without_a_crs_and_refuses_those_on_the_earth(tmp_path):
    save(tmp_path / "images/a.tif", crs=SITE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pyogrio's, of a file without a CRS
        table(box(*HOUSE), crs=None).to_file(tmp_path / "images/a.shp")
    with pytest.warns(LabelWarning, match="states no CRS; since its numbers lie on the image"):
        np.testing.assert_array_equal(open_dataset("folder", tmp_path)[0].read_labels(), truth())
    table(box(*HOUSE)).to_file(tmp_path / "images/a.shp")
    with pytest.raises(LabelError, match="are in 'WGS 84 / UTM zone 33N', the image in 'works', a site grid"):
        open_dataset("folder", tmp_path)[0].read_labels()


@pytest.mark.parametrize(("crs", "unit"), [(SITE, 1), (FEET, 0.304800609601219)])
def test_roads_of_a_site_grid_are_measured_in_metres(crs, unit):
    """A street of 100 m of which 40 m and 40 m are found: 20 m are missing, less the buffer of 3 m at each end."""
    ends = ((0, 100), (0, 40), (60, 100))
    street, first, last = (shapely.LineString([(a / unit, 0), (b / unit, 0)]) for a, b in ends)
    breaks = find_breaks(table(street, crs=crs), table(first, last, crs=crs))
    assert breaks["length_m"].tolist() == [14]
    assert breaks.length.tolist() == pytest.approx([14 / unit], rel=1e-6)
    assert street_table(table(street, crs=crs)).length.tolist() == pytest.approx([100])
    assert line_counts(table(street, crs=crs), table(first, last, crs=crs)).completeness == pytest.approx(0.86)
    with pytest.raises(ValueError, match="of a site grid nobody knows where on the earth it lies"):
        line_counts(table(street, crs=crs), table(first))


def test_files_on_no_image_are_named_with_the_reason(tmp_path):
    save(tmp_path / "images/a.tif")
    swapped = shapely.transform(table(box(*HOUSE)).to_crs(4326).geometry[0], lambda xy: xy[:, ::-1])
    table(swapped, crs=4326).to_file(tmp_path / "town.gpkg")
    with pytest.raises(LabelError, match="no label of .*town.gpkg lies on its image.*their axes are swapped"):
        open_dataset("folder", tmp_path)
    (tmp_path / "town.gpkg").unlink()
    save(tmp_path / "masks/a_label.tif", bands=1)
    with pytest.warns(UserWarning, match="no labels for a; .*a_label.tif bear no image's name"):
        open_dataset("folder", tmp_path)


@pytest.mark.parametrize("suffix", ["geojson", "parquet"])
def test_features_with_swapped_axes_among_right_ones_are_counted_and_refused(tmp_path, suffix):
    save(tmp_path / "images/a.tif")
    shapes = table(box(*HOUSE), box(0, 0, 2, 2), box(9, 9, 11, 12)).to_crs(4326)
    shapes.loc[1:, "geometry"] = [shapely.transform(s, lambda xy: xy[:, ::-1]) for s in shapes.geometry[1:]]
    (shapes.to_parquet if suffix == "parquet" else shapes.to_file)(tmp_path / f"town.{suffix}")
    with pytest.raises(LabelError, match=r"2 features \(1, 2\) of .*town.* only if their axes were swapped"):
        open_dataset("folder", tmp_path)


def test_an_outline_of_the_area_among_the_labels_is_told(tmp_path):
    save(tmp_path / "images/a.tif")
    table(box(*HOUSE)).to_file(tmp_path / "houses.gpkg")
    table(box(-9, -9, 99, 99)).to_file(tmp_path / "area.gpkg")
    with pytest.warns(LabelWarning, match="a polygon of .*area.gpkg covers its whole image"):
        open_dataset("folder", tmp_path)[0].read_labels()


def test_letters_with_accents_are_one_character_or_two(tmp_path):
    composed, taken_apart = (unicodedata.normalize(form, "Zürich") for form in ("NFC", "NFD"))
    save(tmp_path / f"images/{taken_apart}.tif")
    table(box(*HOUSE)).to_file(tmp_path / f"images/{composed}_buildings.gpkg")
    found = open_dataset("folder", tmp_path)
    assert (found[0].name, list(found[0].labels)) == (composed, ["buildings"])
    mask = save(tmp_path / f"out/{taken_apart}_mask.tif", bands=1)
    assert find_predictions(tmp_path / "out", found)[composed].mask == mask
    save(tmp_path / f"images/{composed}.tif")
    with pytest.raises(ValueError, match="have the same name; keep one of them"):
        open_dataset("folder", tmp_path)


@pytest.mark.parametrize(("yes", "no"), [("yes", "no"), (True, False), (1, 0)])
def test_what_is_tagged_as_no_building_is_left_out(tmp_path, yes, no):
    save(tmp_path / "images/a.tif")
    table(box(*HOUSE), box(20, 20, 4, 4), building=[yes, no]).to_file(tmp_path / "images/a.gpkg")
    with pytest.warns(LabelWarning, match=r"1 feature \(2\) tagged building=no left out"):
        np.testing.assert_array_equal(open_dataset("folder", tmp_path)[0].read_labels(), truth())


def test_a_layer_that_is_said_not_to_be_the_class_is_not_taken(tmp_path):
    save(tmp_path / "images/a.tif")
    table(box(20, 20, 4, 4)).to_file(tmp_path / "images/a.gpkg", layer="non_buildings")
    table(box(*HOUSE)).to_file(tmp_path / "images/a.gpkg", layer="footprints", mode="a")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)
        np.testing.assert_array_equal(open_dataset("folder", tmp_path)[0].read_labels(), truth())


@pytest.mark.parametrize("width", [np.inf, 1e9, -1.0])
def test_widths_that_no_road_has_are_refused(tmp_path, width):
    save(tmp_path / "images/a.tif")
    table(shapely.LineString([PLACE @ (0, 9), PLACE @ (32, 9)]), width_m=[width]).to_file(tmp_path / "images/a.gpkg")
    with pytest.raises(LabelError, match="1 of 1 widths are missing, not above 0 m or above 1000 m; feature 1 has"):
        open_dataset("folder", tmp_path, class_name="roads")[0].read_labels("roads")


def place_by_points(path):
    with rasterio.open(path, "r+") as out:
        out.gcps = ([GroundControlPoint(r, c, *(PLACE @ (c, r))) for r, c in ((0, 0), (0, 32), (32, 0))], CRS())


def place_by_polynomials(path):
    ones = [1.0] + [0.0] * 19
    with rasterio.open(path, "r+") as out:
        out.rpcs = RPC(0, 500, 47.8, 0.01, ones, ones, 16, 16, 15, 0.01, ones, ones, 16, 16, None, None)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(("crs", "place", "words"), [
    (None, place_by_points, "has ground control points that name no CRS"),
    (None, place_by_polynomials, r"is placed by rational polynomials \(RPCs\).*gdalwarp -rpc"),
    (UTM, lambda path: None, r"names a CRS \(EPSG:32633\) and no place in it"),
])
def test_images_whose_place_is_not_followed_say_so_and_have_none(tmp_path, crs, place, words):
    path = save(tmp_path / "a.tif", None, crs)
    place(path)
    with pytest.warns(RasterWarning, match=f"{words}"):
        grid = read_info(path)
    assert (grid.crs, grid.gsd) == (None, None)


def test_pixels_without_a_size_are_refused(tmp_path):
    with pytest.raises(RasterError, match="has pixels without a size in its transform"):
        read_info(save(tmp_path / "a.tif", Affine(0, 0, 5, 0, 0, 5)))


def test_a_world_file_without_a_crs_is_named(tmp_path):
    save(tmp_path / "images/a.tif", crs=None)
    table(box(*HOUSE)).to_file(tmp_path / "images/a.gpkg")
    with pytest.raises(LabelError, match="the image has a place but names no CRS, as with a world file"):
        open_dataset("folder", tmp_path)[0].read_labels()
