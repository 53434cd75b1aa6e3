"""LabelEditor without a browser: messages in, shapes and a file out."""

import io

import geopandas as gpd
import numpy as np
import pytest
import shapely
from PIL import Image

import jointnet
from jointnet import LabelEditor
from jointnet.data.label_files import read_labels
from jointnet.data.layers import LabelError, LabelWarning
from jointnet.errors import InputError
from jointnet.show.layers import COLOURS, rgb
from tests.show.known_scene import BUILDINGS, buildings_mask, draw_scene, known_polygons

SQUARE = [10, 10, 20, 10, 20, 20, 10, 20]


@pytest.fixture
def scene(tmp_path):
    return draw_scene(tmp_path)


def tell(editor, **message):
    """What the browser would send; returns what Python answers."""
    answers = []
    editor.send = lambda content, buffers=None: answers.append(content)
    editor._receive(editor, {"request": 1, **message}, [])
    return answers[-1]


def kept(editor, layer="buildings"):
    found, _ = read_labels(editor.path, editor._scene.info, ("buildings", "roads"))
    return [s.geometry for s in found if s.layer == layer]


def test_each_edit_is_answered_with_what_changed_and_is_on_disk(scene):
    editor = LabelEditor(scene)
    assert not editor.path.exists()
    answer = tell(editor, type="add", layer="buildings", points=SQUARE)
    assert answer["shapes"] == {"0": {"layer": "buildings", "rings": [SQUARE]}}
    assert [round(p.area, 3) for p in kept(editor)] == [100]
    tell(editor, type="reshape", number=0, rings=[[10, 10, 30, 10, 30, 20, 10, 20]])
    assert [round(p.area, 3) for p in kept(editor)] == [200]
    assert tell(editor, type="undo")["request"] == 1
    assert [round(p.area, 3) for p in kept(editor)] == [100]
    assert tell(editor, type="delete", numbers=[0])["shapes"] == {"0": None}
    assert kept(editor) == []
    editor.undo()
    assert len(kept(editor)) == 1


def test_what_cannot_be_drawn_is_said_and_the_browser_gets_what_is_there(scene):
    editor = LabelEditor(scene)
    tell(editor, type="add", layer="buildings", points=SQUARE)
    answer = tell(editor, type="add", layer="buildings", points=[1, 1, 2, 2])
    assert "3 different corners" in editor.error
    assert answer["whole"] and list(answer["shapes"]) == ["0"]
    tell(editor, type="delete", numbers=[7])
    assert "not there any more" in editor.error
    tell(editor, type="undo")
    assert editor.error == ""


def test_several_shapes_are_deleted_and_brought_back_in_one_step(scene):
    editor = LabelEditor(scene, begin=known_polygons())
    tell(editor, type="delete", numbers=[0, 1])
    assert kept(editor) == []
    tell(editor, type="undo")
    assert len(kept(editor)) == 2
    tell(editor, type="delete", numbers=[])
    assert "nothing to delete" in editor.error


def test_a_file_that_was_changed_elsewhere_is_not_written_over(scene):
    """Two editors of one scene, in two cells or two notebooks."""
    first, second = LabelEditor(scene), LabelEditor(scene)
    tell(first, type="add", layer="buildings", points=SQUARE)
    answer = tell(second, type="add", layer="buildings", points=[1, 1, 5, 1, 5, 5])
    assert "changed elsewhere" in second.error and answer["shapes"] == {}
    assert len(kept(first)) == 1
    tell(first, type="add", layer="buildings", points=SQUARE)
    assert first.error == "" and len(kept(first)) == 2


def test_a_table_without_a_crs_is_refused_on_a_placed_image(scene):
    with pytest.raises(LabelError, match="name no CRS"):
        LabelEditor(scene, gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 9, 9)]))


def test_an_edit_that_cannot_be_kept_is_said(scene, monkeypatch):
    editor = LabelEditor(scene)

    def full(*_arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr("jointnet.show.widgets.labels.write_labels", full)
    tell(editor, type="add", layer="buildings", points=SQUARE)
    assert editor.error == "not kept: No space left on device"


def test_the_file_that_is_there_is_gone_on_with_whatever_is_given_to_begin_with(scene):
    first = LabelEditor(scene)
    tell(first, type="add", layer="buildings", points=SQUARE)
    again = LabelEditor(scene, begin=known_polygons())
    assert len(again.editor.of("buildings")) == 1


@pytest.mark.parametrize("form", ["table", "geojson", "other crs"])
def test_it_begins_with_a_table_or_with_a_file_in_any_crs(scene, tmp_path, form):
    table = known_polygons()
    begin = table if form == "table" else tmp_path / "town.gpkg"
    if form != "table":
        (table.to_crs(3857) if form == "other crs" else table).to_file(begin)
    editor = LabelEditor(scene, begin)
    boxes = sorted(tuple(np.round(s.geometry.bounds, 1)) for s in editor.editor.of("buildings"))
    assert boxes == [(col, row, stop, end) for row, col, end, stop in BUILDINGS]
    assert not editor.path.exists()  # until something is edited


def test_it_begins_with_a_prediction_whose_measures_an_edit_would_make_wrong(scene, tmp_path):
    model = lambda batch: batch[..., :1] / np.float32(255)  # noqa: E731 - roofs are red: 200 of 255
    result = jointnet.predict_scene(model, scene, tmp_path / "out", threshold=0.5, outlines="regular", progress=False)
    editor = LabelEditor(scene, result)
    assert [s.columns for s in editor.editor.of("buildings")] == [{}, {}]


def test_roads_are_lines_and_done_areas_are_their_own_layer(scene):
    editor = LabelEditor(scene, classes=("buildings", "roads"))
    tell(editor, type="add", layer="roads", points=[5, 5, 60, 5])
    editor.mark_done(0, 0, 60, 160)
    assert editor.done_share == 0.5
    assert [line.length for line in kept(editor, "roads")] == pytest.approx([55])
    assert [area.area for area in kept(editor, "done")] == pytest.approx([60 * 160])


def test_right_angles_on_demand(scene):
    editor = LabelEditor(scene)
    tell(editor, type="add", layer="buildings", points=[10, 10, 50, 11, 50, 40, 10.5, 40])
    tell(editor, type="square", number=0)
    points = shapely.get_coordinates(editor.editor.shapes[0].geometry)
    edges = np.diff(points, axis=0)
    assert len(edges) == 4
    assert all(abs(np.dot(a, b)) < 1e-6 * np.linalg.norm(a) * np.linalg.norm(b)
               for a, b in zip(edges, np.roll(edges, -1, 0), strict=True))
    tell(editor, type="square", number=-1)
    assert "choose a building" in editor.error


def test_labels_of_the_editor_train_where_they_are_done(scene):
    """What was drawn over the first roof is its mask; nothing counts outside the done area."""
    editor = LabelEditor(scene)
    row, col, end, stop = BUILDINGS[0]
    tell(editor, type="add", layer="buildings", points=[col, row, stop, row, stop, end, col, end])
    editor.mark_done(0, 0, 70, 160)
    (scene.image.parent / "vienna1_gt.tif").unlink()
    opened, = jointnet.open_dataset("folder", root=scene.image.parent)
    labels, labelled = opened.read_truth()
    assert (labels[:70] == buildings_mask()[:70]).all() and not labelled[70:].any()


def test_a_page_shows_the_shapes_and_says_that_nothing_can_be_kept(scene):
    editor = LabelEditor(scene, known_polygons())
    state = editor.page_state()
    assert len(state["shapes"]) == 2 and not state["about"]["live"]


def test_the_picture_that_stays_in_a_notebook_shows_the_shapes(scene):
    editor = LabelEditor(scene, known_polygons())
    picture = np.asarray(Image.open(io.BytesIO(editor.preview())).convert("RGB"))
    row, col, end, stop = BUILDINGS[0]
    assert tuple(picture[row, (col + stop) // 2]) == rgb(COLOURS["outline"])
    assert tuple(picture[(row + end) // 2, (col + stop) // 2]) != rgb(COLOURS["outline"])


def test_a_damaged_file_is_refused_and_stays_as_it_is(scene):
    path = scene.image.with_name("vienna1_labels.gpkg")
    path.write_bytes(b"SQLite format 3\0 cut short")
    with pytest.raises(LabelError, match="vienna1_labels"):
        LabelEditor(scene)
    assert path.read_bytes() == b"SQLite format 3\0 cut short"


@pytest.mark.parametrize("classes", [(), "done"])
def test_classes_that_cannot_be_labelled_are_refused(scene, classes):
    with pytest.raises(InputError, match="choose 'buildings', 'roads'"):
        LabelEditor(scene, classes=classes)


def test_another_place_can_be_named(scene, tmp_path):
    editor = LabelEditor(scene, path=tmp_path / "mine" / "second.gpkg")
    tell(editor, type="add", layer="buildings", points=SQUARE)
    assert len(gpd.read_file(tmp_path / "mine" / "second.gpkg", layer="buildings")) == 1


def test_a_table_of_odd_shapes_is_mended_and_what_is_left_out_is_said(scene):
    at = scene.info.transform
    bow = shapely.Polygon([at @ p for p in ((1, 1), (9, 9), (9, 1), (1, 9))])
    odd = gpd.GeoSeries([bow, None, shapely.Point(*(at @ (5, 5)))], crs=scene.info.crs)
    with pytest.warns(LabelWarning, match=r"1 feature \(1\) without a shape left out.*1 point .*invalid and repaired"):
        editor = LabelEditor(scene, begin=odd)
    assert [s.geometry.area for s in editor.editor.of("buildings")] == pytest.approx([16, 16])  # two triangles
    tell(editor, type="cut", layer="buildings", points=[4, 0, 6, 0, 6, 10, 4, 10])
    assert editor.error == ""


@pytest.mark.parametrize("form", ["table", "file"])
def test_shapes_to_begin_with_that_lie_elsewhere_are_refused(scene, tmp_path, form):
    far = gpd.GeoDataFrame(geometry=[shapely.box(1, 1, 2, 2)], crs=4326)
    far.to_file(tmp_path / "far.geojson")
    with pytest.raises(LabelError, match="lies on"):
        LabelEditor(scene, begin=far if form == "table" else tmp_path / "far.geojson")


def test_what_cannot_be_begun_with_or_written_to_is_a_sentence(scene, tmp_path):
    with pytest.raises(InputError, match="begin is a int"):
        LabelEditor(scene, begin=5)
    with pytest.raises(LabelError, match="1 shapes of roads are no centre lines"):
        LabelEditor(scene, begin=known_polygons().iloc[:1], classes="roads")
    known_polygons().to_file(tmp_path / "mine.geojson")
    before = (tmp_path / "mine.geojson").read_bytes()
    with pytest.raises(LabelError, match="kept as a GeoPackage, not in mine.geojson.*give another file as begin="):
        LabelEditor(scene, path=tmp_path / "mine.geojson")
    assert (tmp_path / "mine.geojson").read_bytes() == before


def test_layers_that_are_kept_and_not_shown_are_said(scene):
    known_polygons().to_file(scene.image.with_name("vienna1_labels.gpkg"), layer="houses")
    assert LabelEditor(scene).said.startswith("gone on with vienna1_labels.gpkg; its houses stay as they are, unseen")
