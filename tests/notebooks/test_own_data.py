"""One image and one vector file of one's own in the parameters cell: cells of every lesson, in this process."""

import os
import re
from pathlib import Path

import nbformat
import pytest

from jointnet.data.drawn import draw_scene
from jointnet.data.raster import write_raster
from jointnet.data.scene import Scene

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
# The cells up to the first that holds this text; the rest of 02, 03 and 06 sees the same scenes through a network, and
# that of 07 trains one.
UNTIL = {
    "00": "## end", "01": "## end", "02": "scene = lesson_scenes(", "03": "checks = GridBatches(",
    "04": "jointnet.PlaceExplorer(", "05": "overlapping = [counted(", "06": "## end", "07": "PatchBatches(",
}
SKIP = ("show_architecture(", "PatchExplorer(", "TileBrowser(", "NetworkExplorer(", "plain = keras.Model(",
        "PlaceExplorer(")
ONLY = {"06": ("import jointnet", "dataset_name")}  # what is not about the reader's images takes minutes
SEEN = {"01": "labelled", "02": "scene", "03": "check_scenes", "04": "test", "05": "validation", "06": "mine",
        "07": "town"}


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
        if number in ONLY and not any(text in cell.source for text in ONLY[number]):
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


@pytest.fixture(scope="module")
def tanzania(tmp_path_factory, shared_data):
    """A photograph from a drone, and outlines of its buildings in degrees; its middle is bare ground."""
    folder = tmp_path_factory.mktemp("tanzania")
    for name, ending in (("my town", "tif"), ("outlines", "geojson")):
        (folder / f"{name}.{ending}").symlink_to(shared_data / "georeferenced" / f"tanzania_sample.{ending}")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::jointnet.predict.settings.PredictionWarning")  # it is shown at 0.6 m a pixel
@pytest.mark.filterwarnings("ignore:.*invalid and repaired:UserWarning")  # outlines of Tanzania
@pytest.mark.parametrize("number", UNTIL)
@pytest.mark.parametrize("images", ["stand_in", "tanzania"])
def test_one_image_and_one_vector_file_go_through_a_lesson(images, number, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = request.getfixturevalue(images)
    before = sorted(root.iterdir())
    left = run_cells(number, root)
    assert left["root"] == str(root)
    seen = left[SEEN[number]] if number in SEEN else []
    seen = [seen] if isinstance(seen, Scene) else seen
    assert len(seen) >= (number in SEEN)
    assert {os.path.basename(s.image) for s in seen} <= {"my town.tif"}
    if number in ("03", "05"):  # blocks are dealt so that something is to be found in those that are scored
        assert any(scene.read_labels().any() for scene in seen)
    if number in ("02", "04", "05", "07"):
        assert left["weights"] == "buildings-small"
    assert sorted(root.iterdir()) == before  # nothing is written among the reader's files
