"""One image and one vector file of one's own in the parameters cell: cells of every lesson, in this process."""

import os
import re
from pathlib import Path

import nbformat
import pytest

from jointnet.data.drawn import draw_scene
from jointnet.data.raster import write_raster

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
# The cells up to the first that holds this text; the rest of 02, 03 and 06 sees the same scenes through a network.
UNTIL = {
    "01": "## end", "02": "scene = lesson_scenes(", "03": "checks = GridBatches(", "04": "jointnet.PlaceExplorer(",
    "05": "overlapping = [counted(",
}
SKIP = ("first_look(", "PatchExplorer(", "TileBrowser(", "NetworkExplorer(", "plain = keras.Model(", "PlaceExplorer(")


def own_folder(folder: Path) -> Path:
    """A drawn stand-in: 400 x 400 px in UTM, its footprints in degrees, no name of a dataset, a split or a city."""
    folder.mkdir()
    scene = draw_scene("vienna6", 400)
    write_raster(folder / "my town.tif", scene.image, scene.grid)
    scene.footprints[["geometry"]].to_file(folder / "outlines.geojson")
    return folder


def run_cells(number: str, root: Path) -> dict:
    """What the lesson's cells leave behind, with the three words set and the small values of the tests."""
    (lesson,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    left = {"display": lambda *shown: None, "__name__": "lesson"}
    for cell in nbformat.read(lesson, 4).cells:
        if cell.cell_type != "code" or any(text in cell.source for text in SKIP):
            continue
        source = re.sub(r"^dataset_name = .*$", 'dataset_name = "folder"', cell.source, flags=re.MULTILINE)
        source = re.sub(r"^root = .*$", f"root = {str(root)!r}", source, flags=re.MULTILINE)
        exec(compile(source, f"{lesson.stem}, cell {cell.id}", "exec"), left)
        left |= cell.metadata.get("nbmake", {}).get("mock", {})
        if UNTIL[number] in cell.source:
            break
    return left


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    return own_folder(tmp_path_factory.mktemp("own") / "images")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::jointnet.predict.settings.PredictionWarning")  # it is shown at 0.6 m a pixel
@pytest.mark.parametrize("number", UNTIL)
def test_one_image_and_one_vector_file_go_through_a_lesson(number, stand_in, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    left = run_cells(number, stand_in)
    assert left["root"] == str(stand_in)
    scenes = {"01": "labelled", "02": "scene", "03": "check_scenes", "04": "test", "05": "validation"}[number]
    seen = left[scenes] if number != "02" else [left[scenes]]
    assert len(seen) >= 1
    assert {os.path.basename(s.image) for s in seen} == {"my town.tif"}
    if number in ("02", "04", "05"):
        assert left["weights"] == "buildings-small"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_photograph_from_tanzania_is_scored_in_lesson_5(shared_data, tmp_path, monkeypatch):
    """Its middle is bare ground: blocks are dealt so that something is to be found in those that are scored."""
    (tmp_path / "mine").mkdir()
    for ending in ("tif", "geojson"):
        (tmp_path / "mine" / f"own.{ending}").symlink_to(shared_data / "georeferenced" / f"tanzania_sample.{ending}")
    monkeypatch.chdir(tmp_path)
    from jointnet.teach import lesson_scenes

    with pytest.warns(UserWarning, match="invalid and repaired"):
        found = [scene.read_labels().any() for scene in lesson_scenes("folder", tmp_path / "mine", "validation")]
    assert any(found)
