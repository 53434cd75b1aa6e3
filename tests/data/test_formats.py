"""Vector files whose endings may be anything: found as labels where they hold shapes, and passed over where not."""

import json

import geopandas as gpd
import numpy as np
import pytest
from shapely import box

from jointnet.data.catalogue import open_dataset
from jointnet.data.layers import LabelError, LabelWarning, layers_of
from jointnet.data.raster import write_raster
from tests.data.known_grid import grid_of, on_grid

HOUSE = box(1, 1, 3, 3)  # 4 pixels


def write_image(path):
    write_raster(path, np.full((8, 8, 3), 90, np.uint8), grid_of())


def test_geojson_called_json_is_found_by_name_and_by_place_and_other_json_is_not(tmp_path):
    house = gpd.GeoDataFrame(geometry=on_grid(HOUSE).to_crs(4326))
    item, coco = {"type": "FeatureCollection", "stac_version": "1.0.0"}, {"images": [], "annotations": []}
    (tmp_path / "a.json").write_text(json.dumps(item))
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    write_image(tmp_path / "a.tif")
    house.to_file(tmp_path / "town.json", driver="GeoJSON")
    for name in ("town.json", "a.json"):
        (tmp_path / "town.json").rename(tmp_path / name)
        found = open_dataset("folder", root=tmp_path)[0]
        assert found.labels == {"buildings": tmp_path / name}
        assert found.read_labels().sum() == 4
        house.to_file(tmp_path / "town.json", driver="GeoJSON")


@pytest.mark.parametrize("suffix", ["tab", "mif"])
def test_mapinfo_files_are_labels_and_a_table_that_places_an_image_is_none(tmp_path, suffix):
    write_image(tmp_path / "a.tif")
    gpd.GeoDataFrame({"no": [1]}, geometry=on_grid(HOUSE)).to_file(tmp_path / f"a.{suffix}", driver="MapInfo File")
    assert open_dataset("folder", root=tmp_path)[0].read_labels().sum() == 4
    placing = '!table\n!version 300\nDefinition Table\n  File "a.tif"\n  Type "RASTER"\n'
    (tmp_path / "a.tab").write_text(placing)
    with pytest.raises(LabelError, match="is a MapInfo table of an image"):
        layers_of(tmp_path / "a.tab")


def test_a_csv_file_of_well_known_text_is_read_where_it_is_named_and_one_without_is_refused(tmp_path):
    write_image(tmp_path / "images/a.tif")
    (tmp_path / "images/notes.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.csv").write_text(f'no,WKT\n1,"{on_grid(HOUSE)[0].wkt}"\n')
    scene = open_dataset("folder", root=tmp_path, labels=tmp_path / "a.csv")[0]
    with pytest.warns(LabelWarning, match="states no CRS; since its numbers lie on the image"):
        assert scene.read_labels().sum() == 4
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(LabelError, match="a table without geometry.*in a CSV file, as well-known text in a column WKT"):
        open_dataset("folder", root=tmp_path, labels=tmp_path / "a.csv")
