"""What ErrorExplorer does in Python: rows, notes and their file."""

import json
import sys

import pytest
from shapely.geometry import shape

from jointnet.data.raster import write_raster
from jointnet.evaluate.error_objects import find_errors, label_suspects
from jointnet.evaluate.worst import worst_patches
from jointnet.show.widgets import ErrorExplorer
from tests.killing import CONTEXT, both
from tests.show.known_errors import THRESHOLD, write_known
from tests.show.known_scene import known_probability


@pytest.fixture
def known(tmp_path):
    return write_known(tmp_path)


def explorer_of(known, **options) -> ErrorExplorer:
    dataset, folder = known
    return ErrorExplorer(find_errors(folder, dataset), dataset, folder, threshold=THRESHOLD, **options)


def test_each_error_has_a_row_with_its_box_in_pixels(known):
    rows = explorer_of(known).rows
    assert [(r["scene"], r["kind"], r["box"]) for r in rows] == [
        ("vienna1", "missed", [70, 100, 40, 50]), ("vienna1", "invented", [80, 5, 20, 20]),
        ("vienna2", "missed", [70, 100, 40, 50]), ("vienna2", "invented", [80, 5, 20, 20]),
    ]
    assert rows[0]["says"] == "missed: 500 m², mean probability 0.50, touches nothing"
    assert rows[0]["place"] == pytest.approx([16.345, 48.203], abs=0.01)  # near Vienna


def test_a_page_holds_each_scene_once_and_leaves_the_explorer_as_it_was(known):
    explorer = explorer_of(known)
    state = explorer.page_state()
    assert list(state["packs"]) == ["vienna1", "vienna2"]
    assert state["about"]["name"] == "vienna1"  # whose pack the page begins with
    assert (state["image"], state["probability"], state["truth"]) == (b"", b"", b"")
    assert explorer.packs == {} and len(explorer.image) > 0


def test_a_note_is_written_at_once_and_is_there_again(known, tmp_path):
    path = tmp_path / "notes" / "mine.geojson"
    explorer = explorer_of(known, notes=path)
    explorer.notes = {"vienna1-2": "a red lorry"}
    saved = json.loads(path.read_text())["features"]
    assert [f["properties"]["note"] for f in saved] == ["a red lorry"]
    assert shape(saved[0]["geometry"]).centroid.coords[0] == pytest.approx([16.344, 48.203], abs=0.01)
    assert explorer_of(known, notes=path).notes == {"vienna1-2": "a red lorry"}
    explorer.notes = {}
    assert explorer.error == ""
    assert json.loads(path.read_text())["features"] == []


def test_a_note_finds_its_error_by_place_when_the_errors_are_numbered_anew(known, tmp_path):
    path = tmp_path / "mine.geojson"
    explorer_of(known, notes=path).notes = {"vienna1-2": "a red lorry", "vienna2-1": "a new house"}
    dataset, folder = known
    probability = known_probability()
    probability[2:8, 2:8] = probability[70:110, 100:150] = 0.9  # nothing is missed now, and something else invented
    write_raster(folder / "vienna1_mask.tif", ((probability >= THRESHOLD) * 255).astype("uint8"), dataset[0].info)
    first = dataset.select(names="vienna1")
    again = ErrorExplorer(find_errors(folder, first), first, folder, notes=path)
    assert again.notes == {"vienna1-1": "a red lorry"}
    again.notes = again.notes | {"vienna1-2": "a shed"}  # what belongs to the other scene stays in the file
    notes = {f["properties"]["note"] for f in json.loads(path.read_text())["features"]}
    assert notes == {"a red lorry", "a new house", "a shed"}


def test_a_file_of_something_else_is_never_overwritten(known, tmp_path):
    path = tmp_path / "mine.geojson"
    path.write_text('{"type": "FeatureCollection", "features": [{"properties": {}}]}')
    with pytest.raises(ValueError, match="holds no notes of an ErrorExplorer; choose another file"):
        explorer_of(known, notes=path)
    assert '"properties": {}' in path.read_text()


def test_scenes_without_a_place_keep_their_notes_in_pixels(tmp_path):
    explorer = explorer_of(write_known(tmp_path, None))
    explorer.notes = {"vienna1-2": "a red lorry"}
    feature = json.loads(explorer.save_notes(tmp_path / "mine.geojson").read_text())["features"][0]
    assert shape(feature["geometry"]).bounds == (5, 80, 25, 100)
    assert feature["properties"]["coordinates"] == "column and row of the scene, in pixels"


def test_worst_patches_and_suspects_are_looked_at_in_the_same_way(known):
    dataset, folder = known
    patches = ErrorExplorer(worst_patches(folder, dataset, size=64), dataset, folder)
    assert patches.rows[0]["box"] == [64, 64, 56, 64]  # where the roof is missed; the scene ends at row 120
    assert {c["name"] for c in patches.columns} == {"scene", "iou", "lost_iou", "fp", "fn"}
    suspects = ErrorExplorer(label_suspects(find_errors(folder, dataset), 0.7), dataset, folder)
    assert suspects.rows[0]["says"].startswith("invented (seen, not labelled): 100 m²")


def test_of_many_touching_objects_the_number_is_told(known):
    dataset, folder = known
    errors = find_errors(folder, dataset)
    errors["touches"] = ["predicted 1, predicted 2", ", ".join(f"predicted {n}" for n in range(9)) + ", scene edge"] * 2
    says = [row["says"] for row in ErrorExplorer(errors, dataset, folder).rows]
    assert says[0].endswith("touches predicted 1, predicted 2")
    assert says[1].endswith("touches 9 predicted objects, scene edge")


def test_no_error_and_errors_of_other_scenes_are_said_to_be_so(known):
    dataset, folder = known
    errors = find_errors(folder, dataset)
    with pytest.raises(ValueError, match="there is no error to look at"):
        ErrorExplorer(errors.iloc[:0], dataset, folder)
    with pytest.raises(ValueError, match="vienna2 is not among the scenes with a prediction"):
        ErrorExplorer(errors, dataset.select(names="vienna1"), folder)


def notes_of(path):
    return {f["properties"]["scene"]: f["properties"]["note"] for f in json.loads(path.read_text())["features"]}


def test_two_explorers_of_one_file_of_notes_lose_none(known, tmp_path):
    """One has not seen what the other wrote, takes a note back, and writes about the same error."""
    path = tmp_path / "mine.geojson"
    one, two = (explorer_of(known, notes=path) for _ in range(2))
    one.notes = {"vienna1-1": "a garage"}
    two.notes = {"vienna2-1": "a shed"}
    assert two.notes == {"vienna1-1": "a garage", "vienna2-1": "a shed"}
    one.notes = {}
    assert one.notes == {"vienna2-1": "a shed"} and notes_of(path) == {"vienna2": "a shed"}
    two.notes = {"vienna2-1": "a shed of wood"}
    one.notes = {"vienna2-1": "no shed"}
    assert one.notes == {"vienna2-1": "a shed of wood\nno shed"}
    assert notes_of(path) == {"vienna2": one.notes["vienna2-1"]}
    assert (one.error, two.error) == ("", "")


@pytest.mark.parametrize("content", [
    b"", b"\xff\xfe\0", b"[]", b"[" * 100_000, b'{"features": [null]}', b'{"features": [{"properties": {}}]}',
    b'{"features": [{"properties": {"scene": "vienna1", "row": "far", "col": 1, "note": "x"}}]}'])
def test_a_damaged_file_of_notes_is_a_sentence_and_stays(known, tmp_path, content):
    path = tmp_path / "mine.geojson"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="holds no notes of an ErrorExplorer; choose another file"):
        explorer_of(known, notes=path)
    assert path.read_bytes() == content


def note_in_rounds(number, folder, path, barrier):
    """Ten explorers one after the other, each begun with another process, that note one of their own errors."""
    dataset, predictions = write_known(folder / f"known{number}")
    errors = find_errors(predictions, dataset)
    for turn in range(50):
        if turn % 5 == 0:
            explorer = ErrorExplorer(errors, dataset, predictions, threshold=THRESHOLD, notes=path)
            barrier.wait()
        name = f"vienna{number + 1}-{turn % 2 + 1}"
        explorer.notes = {**explorer.notes, name: f"{turn}"}
        if explorer.error:
            sys.exit(3)


def test_fifty_pairs_of_notes_from_two_processes_are_all_kept(tmp_path):
    path = tmp_path / "mine.geojson"
    assert both(note_in_rounds, tmp_path, path, CONTEXT.Barrier(2)) == [0, 0]
    kept = [f["properties"]["note"] for f in json.loads(path.read_text())["features"]]
    assert sorted(kept) == ["48", "48", "49", "49"]
