"""Files of labels: what was drawn comes back to the pixel, with the area in which it is complete."""

import sqlite3

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

import jointnet
from jointnet.data.edits import Shape
from jointnet.data.label_files import label_path, read_labels, read_vector_file, write_labels
from jointnet.data.layers import LabelError
from jointnet.data.patches import PatchBatches
from jointnet.data.raster import write_raster
from jointnet.data.scene import Scene
from tests.data.known_grid import grid_of

HOUSE = shapely.Polygon([(1.03, 1.52), (5.5, 1.52), (5.5, 6), (1.03, 6)], [[(2, 2), (3, 2), (3, 3), (2, 3)]])
LEFT_HALF = shapely.box(0, 0, 4, 8)


def corners(shape) -> np.ndarray:
    return shapely.get_coordinates(shapely.normalize(shape.geometry))


@pytest.mark.parametrize(("epsg", "pixel"), [(32633, 0.3), (4326, 2.5e-6), (3857, 0.3), (None, 1)])
def test_corners_come_back_within_a_twentieth_of_a_pixel(tmp_path, epsg, pixel):
    grid = grid_of(8, 8, pixel, epsg, *((15.0, 47.0) if epsg == 4326 else (500_000.0, 5_200_000.0)))
    shapes = [Shape("buildings", HOUSE), Shape("done", LEFT_HALF)]
    path = write_labels(tmp_path / "a_labels.gpkg", shapes, grid)
    found, others = read_labels(path, grid, ("buildings",))
    assert [s.layer for s in found] == ["buildings", "done"] and others == {}
    for shape, kept in zip(shapes, found, strict=True):
        assert np.abs(corners(shape) - corners(kept)).max() < 0.05


def test_columns_of_the_file_and_layers_of_other_names_are_kept(tmp_path):
    grid = grid_of()
    path = write_labels(tmp_path / "a_labels.gpkg", [Shape("buildings", HOUSE, {"storeys": 3, "name": "hall"})], grid)
    mine = gpd.GeoDataFrame({"note": ["look"]}, geometry=[shapely.Point(500_001, 5_199_999)], crs=32633)
    pyogrio.write_dataframe(mine, path, layer="remarks")
    found, others = read_labels(path, grid, ("buildings",))
    write_labels(path, [*found, Shape("buildings", LEFT_HALF)], grid, others=others)
    found, others = read_labels(path, grid, ("buildings",))
    assert found[0].columns == {"storeys": 3, "name": "hall"}
    assert list(others) == ["remarks"] and others["remarks"]["note"].tolist() == ["look"]


@pytest.mark.parametrize("columns", [{"fid": 1}, {"FID": "a"}, {"geom": 2}, {"Name": 1, "name": "b"}, {5: 1}])
def test_columns_that_a_geopackage_cannot_hold_get_another_name(tmp_path, columns):
    """A GeoPackage that QGIS saved as GeoJSON has a column `fid`; both parts of a shape that was cut have the same."""
    shapes = [Shape("buildings", HOUSE, columns), Shape("buildings", HOUSE, columns)]
    path = write_labels(tmp_path / "a_labels.gpkg", shapes, grid_of())
    found, _ = read_labels(path, grid_of(), ("buildings",))
    assert [list(s.columns.values()) for s in found] == [list(columns.values())] * 2


def test_changes_that_another_program_has_not_saved_yet_are_not_lost(tmp_path):
    """QGIS keeps them in a file beside the GeoPackage (SQLite's write-ahead log)."""
    path = write_labels(tmp_path / "a_labels.gpkg", [Shape("buildings", HOUSE)], grid_of())
    other = sqlite3.connect(path)
    other.execute("pragma journal_mode=wal")
    other.execute("update gpkg_contents set description='mine' where table_name='buildings'")
    other.commit()
    with pytest.raises(LabelError, match="a_labels.gpkg is open in another program, as QGIS"):
        write_labels(path, [], grid_of())
    other.close()
    with sqlite3.connect(path) as file:
        assert file.execute("select count(*) from gpkg_contents where description='mine'").fetchone() == (1,)
    write_labels(path, [], grid_of())


def test_the_styles_that_qgis_keeps_in_the_file_are_kept(tmp_path):
    path = write_labels(tmp_path / "a_labels.gpkg", [Shape("buildings", HOUSE)], grid_of())
    pyogrio.write_dataframe(pd.DataFrame({"styleQML": ["<qgis/>"]}), path, layer="layer_styles")
    shapes, others = read_labels(path, grid_of(), ("buildings",))
    write_labels(path, shapes, grid_of(), others=others)
    assert pyogrio.read_dataframe(path, layer="layer_styles")["styleQML"].tolist() == ["<qgis/>"]


def test_a_vector_file_in_another_crs_is_opened_in_pixels(tmp_path):
    grid = grid_of()
    west = gpd.GeoSeries([shapely.box(500_001, 5_199_994, 500_005, 5_199_998)], crs=32633).to_crs(4326)
    west.to_file(tmp_path / "town.geojson")
    shape, = read_vector_file(tmp_path / "town.geojson", grid, "buildings")
    assert np.allclose(shape.geometry.bounds, (1, 2, 5, 6), atol=0.05)


def test_a_file_that_is_no_geopackage_is_refused_and_stays(tmp_path):
    path = tmp_path / "a_labels.gpkg"
    path.write_text("not a GeoPackage")
    with pytest.raises(LabelError, match="a_labels.gpkg"):
        read_labels(path, grid_of(), ("buildings",))
    assert path.read_text() == "not a GeoPackage"


def test_an_image_on_another_machine_asks_for_a_path():
    from pathlib import Path

    with pytest.raises(LabelError, match="path='town_labels.gpkg'"):
        label_path(Scene("town", Path("https://example.org/town.tif")))


@pytest.fixture
def town(tmp_path):
    """A grey image of 8 x 8 px with one house, drawn on columns 2 to 6, of which the left half is marked as done."""
    grid = grid_of()
    write_raster(tmp_path / "a.tif", np.full((8, 8, 3), 99, np.uint8), grid)
    house = Shape("buildings", shapely.box(2, 2, 6, 6))
    write_labels(tmp_path / "a_labels.gpkg", [house, Shape("done", LEFT_HALF)], grid)
    return tmp_path


def test_a_folder_counts_pixels_where_labels_are_done_and_no_others(town):
    """Left half: 8 rows of 4 columns; of the house 4 rows of 2 columns lie in it."""
    scene, = jointnet.open_dataset("folder", root=town)
    labels, labelled = scene.read_truth("buildings")
    assert labelled[:, :4].all() and not labelled[:, 4:].any()
    assert labels.sum() == 4 * 2 and labels[2:6, 2:4].all()
    assert len(scene.read_vectors("buildings")) == 1


def test_batches_weigh_nothing_outside_the_done_area(town):
    scene, = jointnet.open_dataset("folder", root=town)
    _, _, weights = PatchBatches([scene], 8, 1, turns=False)[0]
    assert weights[0, :, :4, 0].all() and not weights[0, :, 4:, 0].any()


def test_labels_of_the_editor_come_before_a_mask_of_the_same_image(town):
    (town / "masks").mkdir()
    write_raster(town / "masks" / "a.tif", np.full((8, 8), 255, np.uint8), grid_of())
    scene, = jointnet.open_dataset("folder", root=town)
    assert scene.read_labels().sum() == 4 * 2


def test_an_area_that_lies_on_another_image_leaves_this_one_without_a_counted_pixel(town):
    """One file for two images, of which only the other was worked on."""
    far = grid_of(west=500_100.0)
    write_raster(town / "b.tif", np.full((8, 8, 3), 99, np.uint8), far)
    (town / "a_labels.gpkg").rename(town / "both.gpkg")
    there = gpd.GeoDataFrame(geometry=[shapely.box(500_102, 5_199_994, 500_104, 5_199_998)], crs=32633)
    pyogrio.write_dataframe(there, town / "both.gpkg", layer="buildings", append=True)
    a, b = jointnet.open_dataset("folder", root=town)
    assert a.read_truth()[1].any() and not b.read_truth()[1].any()
