"""Which layers of a file show a class, and files whose names or archives GDAL would misread."""

from __future__ import annotations

import json
import os
import sqlite3
import warnings
import zipfile
from contextlib import closing

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
from shapely import LineString, Point, box

from jointnet.data.labels import rasterize_file
from jointnet.data.layers import LabelError, LabelWarning, classes_in, layers_of, read_column, read_layer
from jointnet.data.plain_names import plainly_named
from tests.data.known_grid import grid_of, on_grid

HOUSE, SHED = box(1, 1, 3, 3), box(5, 5, 6, 6)  # 4 and 1 pixels
STREET = LineString([(-5, 6), (20, 6)])


def write(path, **layers):
    """A file with layers of shapes; of a table where there are none."""
    for number, (name, shapes) in enumerate(layers.items()):
        if shapes is None:
            pyogrio.write_dataframe(pd.DataFrame({"a": [1]}), path, layer=name, append=number > 0)
        else:
            series = on_grid(*(shapes if isinstance(shapes, tuple) else (shapes,)))
            gpd.GeoDataFrame({"id": range(len(series))}, geometry=series).to_file(path, layer=name)
    return path


def chosen(path, class_name=None, layer=None):
    return [one.name for one in layers_of(path, class_name, layer)]


def test_the_layer_named_after_the_class_is_the_one(tmp_path):
    town = write(tmp_path / "town.gpkg", roads=STREET, gis_osm_buildings_a=HOUSE, landuse=SHED)
    assert chosen(town, "buildings") == ["gis_osm_buildings_a"]
    assert chosen(town, "roads") == ["roads"]
    assert classes_in(town) == ("buildings", "roads")
    assert rasterize_file(town, grid_of(), class_name="buildings").sum() == 4
    assert chosen(write(tmp_path / "one.gpkg", Building=HOUSE, sheds=SHED), "buildings") == ["Building"]


def test_layers_of_one_type_are_taken_together_and_that_is_told_once(tmp_path):
    town = write(tmp_path / "town.gpkg", houses=HOUSE, sheds=SHED)
    with pytest.warns(LabelWarning, match=r"houses \(polygons\), sheds \(polygons\) are taken as buildings; layer="):
        assert rasterize_file(town, grid_of(), class_name="buildings").sum() == 5
    assert rasterize_file(town, grid_of(), class_name="buildings", layer="sheds").sum() == 1


def test_layers_in_two_systems_of_coordinates_meet_on_the_image(tmp_path):
    path = tmp_path / "town.gpkg"
    gpd.GeoDataFrame(geometry=on_grid(HOUSE)).to_file(path, layer="houses")
    gpd.GeoDataFrame(geometry=on_grid(SHED).to_crs(4326)).to_file(path, layer="sheds")
    with pytest.warns(LabelWarning, match="are taken as buildings"):
        assert rasterize_file(path, grid_of(), class_name="buildings").sum() == 5


def test_tables_points_and_empty_layers_are_passed_over(tmp_path):
    town = write(tmp_path / "town.gpkg", layer_styles=None, a=HOUSE)
    assert chosen(town, "buildings") == ["a"]
    more = write(tmp_path / "more.gpkg", trees=Point(1, 1), empty=(), houses=HOUSE)
    with pytest.warns(LabelWarning, match=r"houses \(polygons\) are taken as buildings, but not trees \(points\)"):
        assert chosen(more, "buildings") == ["houses"]


def test_of_polygons_and_lines_buildings_are_the_polygons_and_roads_are_asked_about(tmp_path):
    town = write(tmp_path / "town.gpkg", trees=Point(1, 1), ways=STREET, areas=HOUSE)
    with pytest.warns(LabelWarning, match=r"areas \(polygons\) are taken as buildings, but not trees .*, ways"):
        assert chosen(town, "buildings") == ["areas"]
    asked = r"several layers, trees \(points\), ways \(lines\), areas \(polygons\); say which shows roads: layer='ways'"
    with pytest.raises(LabelError, match=asked):
        layers_of(town, "roads")
    assert chosen(town, "roads", "ways") == ["ways"]


def test_two_layers_named_after_the_class_are_asked_about(tmp_path):
    town = write(tmp_path / "town.gpkg", buildings_2019=HOUSE, buildings_2024=SHED)
    with pytest.raises(LabelError, match=r"say which shows buildings: layer='buildings_2019'"):
        layers_of(town, "buildings")
    with pytest.raises(LabelError, match=r"no layer 'houses'; it has buildings_2019 \(polygons\), buildings_2024"):
        layers_of(town, "buildings", "houses")


def test_folders_of_a_kml_file_are_layers(tmp_path):
    """As Google Earth saves them: one folder of outlines, one of pins; longitude and latitude, heights."""
    ring = " ".join(f"{x:.8f},{y:.8f},12" for x, y in on_grid(HOUSE).to_crs(4326)[0].exterior.coords)
    outline = f"<Polygon><outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs>"
    (tmp_path / "town.kml").write_text(
        '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<Folder><name>houses</name><Placemark>{outline}</Polygon></Placemark></Folder>"
        f"<Folder><name>pins</name><Placemark><Point><coordinates>{ring.split()[0]}</coordinates></Point></Placemark>"
        "</Folder>"
        "</Document></kml>"
    )
    with pytest.warns(LabelWarning, match="houses .*pins .* are taken as buildings"):
        layers_of(tmp_path / "town.kml", "buildings")
    with pytest.raises(LabelError, match="pins.* has no shape that can be drawn as buildings: 1 point"):
        rasterize_file(tmp_path / "town.kml", grid_of(), class_name="buildings", layer="pins")
    assert rasterize_file(tmp_path / "town.kml", grid_of(), layer="houses", class_name="buildings").sum() == 4


@pytest.mark.parametrize("name", ["a;b", "a\tb", "a\nb", "a!b", "a[1]", "-a", "100%", "a%20b", "a:b", "zip:a", "a#b?c"])
@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".geojson"])
def test_a_files_name_may_hold_any_character(tmp_path, name, suffix):
    plain = write(tmp_path / f"x{suffix}", x=(HOUSE, SHED))
    folder = tmp_path / name
    folder.mkdir()
    for part in tmp_path.glob("x.*"):
        part.rename(folder / f"{name}{part.suffix}")
    path = (folder / name).with_name(name + plain.suffix)
    assert rasterize_file(path, grid_of(), crs="EPSG:32633" if suffix == ".geojson" else None).sum() in (0, 5)
    table, _ = read_layer(layers_of(path)[0])
    assert len(table) == 2


def test_what_is_written_under_an_odd_name_comes_to_lie_there(tmp_path):
    target = tmp_path / "a;b.gpkg"
    with plainly_named(target) as path:
        gpd.GeoDataFrame(geometry=on_grid(HOUSE)).to_file(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a;b.gpkg"]
    assert rasterize_file(target, grid_of()).sum() == 4


def test_shapes_in_a_zip_archive_are_found_wherever_they_lie_in_it(tmp_path):
    write(tmp_path / "town.shp", town=HOUSE)
    for number, inner in enumerate(("", "folder/deep/")):
        archive = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for part in tmp_path.glob("town.*"):
                file.write(part, inner + part.name)
            file.writestr("__MACOSX/._town.shp", "")
        assert rasterize_file(archive, grid_of()).sum() == 4
    with zipfile.ZipFile(tmp_path / "bare.zip", "w") as file:
        file.writestr("readme.txt", "nothing")
    with pytest.raises(LabelError, match="bare.zip: expected vector files in one folder, found none; unpack"):
        layers_of(tmp_path / "bare.zip")
    (tmp_path / "cut.zip").write_bytes(archive.read_bytes()[:200])
    with pytest.raises(LabelError, match="cut.zip is no zip archive, or is cut short"):
        layers_of(tmp_path / "cut.zip")


def test_topojson_is_in_degrees(tmp_path):
    ring = np.array(on_grid(HOUSE).to_crs(4326)[0].exterior.coords).tolist()
    topology = {"type": "Topology", "objects": {"a": {"type": "Polygon", "arcs": [[0]]}}, "arcs": [ring]}
    (tmp_path / "a.topojson").write_text(json.dumps(topology))
    assert rasterize_file(tmp_path / "a.topojson", grid_of()).sum() == 4


def test_a_file_that_does_not_count_its_features_is_read_all_the_same(tmp_path):
    gml = write(tmp_path / "a.gml", a=(HOUSE, SHED))
    assert layers_of(gml)[0].features == -1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rasterize_file(gml, grid_of(), class_name="buildings").sum() == 5


def test_an_empty_layer_of_the_class_says_that_there_is_none(tmp_path):
    """As a LabelEditor leaves it where a scene has roads and no buildings."""
    town = write(tmp_path / "town.gpkg", buildings=(), roads=STREET)
    assert chosen(town, "buildings") == ["buildings"]
    assert rasterize_file(town, grid_of(), class_name="buildings", empty_ok=True).sum() == 0
    more = write(tmp_path / "more.gpkg", buildings=(), trees=HOUSE)  # the trees were taken as buildings
    with pytest.warns(LabelWarning, match=r"'buildings' is empty, so nothing is taken of trees \(polygons\); layer="):
        assert chosen(more, "buildings") == ["buildings"]


def test_an_only_layer_that_is_named_after_another_class_is_told(tmp_path):
    town = write(tmp_path / "town.gpkg", road_surfaces=HOUSE)
    with pytest.warns(LabelWarning, match="its layer 'road_surfaces' is taken as buildings, though it is named after"):
        assert chosen(town, "buildings") == ["road_surfaces"]
    assert chosen(town, "roads") == chosen(town, "buildings", "road_surfaces") == ["road_surfaces"]


def test_a_crs_and_columns_that_came_to_a_shapefile_later_are_seen(tmp_path):
    path, place = tmp_path / "a.shp", tmp_path / "a.prj"
    gpd.GeoDataFrame({"id": [1]}, geometry=on_grid(HOUSE)).to_file(path)
    crs = place.read_text()
    place.unlink()
    with pytest.raises(LabelError, match="have no CRS"):
        rasterize_file(path, grid_of())
    place.write_text(crs)  # the .shp itself stays as it is
    assert rasterize_file(path, grid_of()).sum() == 4


def test_text_in_another_encoding_than_the_file_names_is_told_as_such(tmp_path):
    path = tmp_path / "a.shp"
    gpd.GeoDataFrame({"art": ["B\u00e4ume"]}, geometry=on_grid(HOUSE)).to_file(path, encoding="ISO-8859-1")
    path.with_suffix(".cpg").write_text("UTF-8")
    with pytest.raises(LabelError, match=r"is not in utf-8, which a.cpg names: mend or remove that file"):
        read_layer(layers_of(path)[0])
    with pytest.raises(LabelError, match="is not in utf-8"):
        read_column(layers_of(path)[0], "art")


def test_files_of_annotation_tools_are_refused_by_name(tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": [], "annotations": [{"id": 1, "segmentation": [[0, 0, 9, 0, 9, 9]]}]}))
    with pytest.raises(LabelError, match=r"as COCO, YOLO, LabelMe and CVAT, are not read; [^;]*format\)$"):
        layers_of(path)


def test_what_another_program_saved_and_has_open_still_is_seen(tmp_path):
    """QGIS writes into the file's -wal meanwhile, and leaves the file itself as it was."""
    path = write(tmp_path / "town.gpkg", buildings=HOUSE)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        assert layers_of(path)[0].features == 1
        for table in other.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%AFTER DELETE%'").fetchall():
            other.execute(f'DROP TRIGGER "{table[0]}"')  # they call functions that GDAL adds to SQLite
        other.execute("DELETE FROM buildings")
        other.execute("UPDATE gpkg_ogr_contents SET feature_count = 0")
        other.commit()
        assert layers_of(path)[0].features == 0


GML = """<ogr:FeatureCollection xmlns:ogr="http://ogr.maptools.org/" xmlns:gml="http://www.opengis.net/gml">
<gml:featureMember><ogr:NAME><ogr:geometryProperty><gml:Polygon srsName="http://www.opengis.net/gml/srs/epsg.xml#32633">
<gml:outerBoundaryIs><gml:LinearRing><gml:coordinates>PLACES</gml:coordinates></gml:LinearRing></gml:outerBoundaryIs>
</gml:Polygon></ogr:geometryProperty></ogr:NAME></gml:featureMember></ogr:FeatureCollection>"""


def test_gml_with_its_crs_by_an_address_is_read_and_another_in_its_place_too(tmp_path):
    """GDAL would keep what it found out of the first in a.gfs, and find nothing in the second, which is no newer."""
    path = tmp_path / "a.gml"
    for name, shape in (("house", HOUSE), ("shed", SHED)):
        places = " ".join(f"{x},{y}" for x, y in on_grid(shape)[0].exterior.coords)
        path.write_text(GML.replace("NAME", name).replace("PLACES", places))
        os.utime(path, (0, 1e9))
        assert rasterize_file(path, grid_of(), class_name="buildings").sum() == shape.area
    assert [file.name for file in tmp_path.iterdir()] == ["a.gml"]


def test_a_layer_asked_of_a_format_without_names_is_refused_as_such(tmp_path):
    path = tmp_path / "a.parquet"
    gpd.GeoDataFrame({"id": [1]}, geometry=on_grid(HOUSE)).to_parquet(path)
    with pytest.raises(LabelError, match=r"has no layer 'a'; it has one without a name \(shapes\)"):
        layers_of(path, layer="a")
