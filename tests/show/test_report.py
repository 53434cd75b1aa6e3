"""The report: one page that holds all it shows, and the same as JSON."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from jointnet.cli import app
from jointnet.data.raster import write_raster
from jointnet.evaluate.analysis import analyse
from jointnet.show.report import write_report
from tests.show.known_errors import THRESHOLD, write_known
from tests.show.known_scene import buildings_mask


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return write_known(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="module")
def report(known, tmp_path_factory):
    dataset, folder = known
    return write_report(tmp_path_factory.mktemp("report") / "report.html", folder, dataset)


def test_the_analysis_gathers_what_each_part_finds(known):
    dataset, folder = known
    analysis = analyse(folder, dataset, threshold=THRESHOLD)
    # Each scene: 2000 px found, 2000 missed, 400 invented, of 19200.
    assert analysis.scores.overall[:3] == (4000, 800, 4000)
    assert analysis.kinds["errors"].to_dict() == {"missed": 2, "invented": 2}
    assert analysis.kinds["area_m2"].to_dict() == {"missed": 1000, "invented": 200}
    assert analysis.choices["best_threshold"] == pytest.approx(0.3)  # anything from 0.11 to 0.49 finds both roofs
    assert analysis.explanation is None  # two objects found and two missed tell nothing


def test_errors_smaller_than_a_building_are_not_counted_among_the_kinds(known):
    dataset, folder = known
    analysis = analyse(folder, dataset, threshold=THRESHOLD)
    small = analysis.errors.copy()
    small["area_m2"] = [500.0, 9.9, 500.0, 100.0]  # of missed, invented, missed, invented
    assert replace(analysis, errors=small).without_specks().kinds["errors"].to_dict() == {"missed": 2, "invented": 1}
    small["area_m2"], small["area_px"] = np.nan, [2000, 25, 2000, 24]
    assert replace(analysis, errors=small).without_specks().kinds["errors"].to_dict() == {"missed": 2, "invented": 1}


def test_the_json_beside_the_page_holds_the_same_numbers_and_is_strict(report):
    read = json.loads(report.with_suffix(".json").read_text(), parse_constant=lambda c: pytest.fail(f"{c} in JSON"))
    assert read["scores"]["overall"]["tp"] == 4000
    assert {k["kind"]: k["errors"] for k in read["kinds"]} == {"missed": 2, "invented": 2}
    assert [s["metres"] for s in read["shifts"]] == [0, 0]
    assert read["explanation"] is None
    assert read["worst_patches"][0]["fn"] == 2000


def test_the_page_says_what_was_scored_and_that_it_was_drawn(report):
    page = report.read_text()
    assert "IoU 0.455" in page  # 4000 of 8800
    assert "drawn by a program" in page
    for heading in ("Scores by city", "Where and what the errors are", "Look for yourself", "Boundary against area",
                    "Threshold", "Calibration", "The network or the labels?"):
        assert f"<h2>{heading}</h2>" in page


def test_the_page_asks_for_nothing_from_outside(report):
    addresses = re.findall(r"""(?:src|href)=["']([^"']{1,40})|url\(([^)]{1,40})""", report.read_text())
    assert {(a or b).split(",")[0].split(";")[0] for a, b in addresses} <= {"data:", "data:image/svg+xml"}
    assert "<link rel=\"stylesheet\"" not in report.read_text()


def test_names_of_scenes_cannot_break_the_page(tmp_path):
    dataset, folder = write_known(tmp_path, names=("a<b>&c",))
    page = write_report(tmp_path / "report.html", folder, dataset).read_text()
    assert "<b>" not in page
    assert "a&lt;b&gt;&amp;c" in page


def test_perfect_masks_and_masks_of_nothing_are_reported_too(tmp_path):
    dataset, folder = write_known(tmp_path, names=("vienna1",))
    (folder / "vienna1_probability.tif").unlink()
    write_raster(folder / "vienna1_mask.tif", buildings_mask() * 255, dataset[0].info)
    page = write_report(tmp_path / "perfect.html", folder, dataset).read_text()
    assert "IoU 1.000" in page
    assert "Zoom with the wheel" in page  # no error to fly to
    write_raster(folder / "vienna1_mask.tif", buildings_mask() * np.uint8(0), dataset[0].info)
    assert "IoU 0.000" in write_report(tmp_path / "empty.html", folder, dataset).read_text()


def test_roads_are_reported_without_the_scores_of_objects(tmp_path):
    dataset, folder = write_known(tmp_path, names=("vienna1",))
    scene = dataset[0]
    scene.labels["roads"] = scene.labels.pop("buildings")
    analysis = analyse(folder, dataset, "roads")
    assert analysis.errors is None
    page = write_report(tmp_path / "roads.html", folder, dataset, "roads", analysis=analysis).read_text()
    assert "object recall" not in page
    assert "a patch with 400 pixels invented and 2000 missed" in page


def test_a_report_of_scenes_without_labels_and_one_of_another_ending_are_refused(known, tmp_path):
    dataset, folder = known
    with pytest.raises(ValueError, match="no scene of known has both a prediction and labels of 'roads'"):
        write_report(tmp_path / "report.html", folder, dataset, "roads")
    with pytest.raises(ValueError, match=r"report.pdf should end in .html"):
        write_report(tmp_path / "report.pdf", folder, dataset)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_both_files(known, tmp_path):
    dataset, folder = known
    for part, files in (("images", [s.image for s in dataset]), ("masks", [s.labels["buildings"] for s in dataset])):
        (tmp_path / "mine" / part).mkdir(parents=True)
        for scene, file in zip(dataset, files, strict=True):
            (tmp_path / "mine" / part / f"{scene.name}.tif").write_bytes(file.read_bytes())
    page = tmp_path / "out" / "report.html"
    done = CliRunner().invoke(app, ["evaluate", str(folder), "--dataset", "folder", "--root", str(tmp_path / "mine"),
                                    "--report", str(page)])
    assert done.exit_code == 0, done.output
    assert "its numbers in" in done.stdout
    assert sorted(f.name for f in page.parent.iterdir()) == ["report.html", "report.json"]
