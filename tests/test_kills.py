"""Whatever is written in place of something older: killed at any rename it is the old or the new, never a mixture."""

import functools
import json

from jointnet.files import settle
from tests.killing import kill_everywhere
from tests.show.known_errors import THRESHOLD, write_known

FORMATS = {"net.onnx": "_onnx", "net.xml": "_openvino", "net": "_saved_model"}


def exporter():
    """The module that exports, whose writers write a number, as the conversion itself renames nothing."""
    from jointnet.predict import export

    return export


class Network:
    """A network as far as its card, which is the number of an export."""

    def __init__(self, number):
        from jointnet.network.card import Card

        self.card = Card(name=str(number))


def write_parts(model, path, size, card):
    name = json.loads(card)["name"]
    if path.suffix:
        path.write_text(name)
    else:
        (path / "assets.extra").mkdir(parents=True)
        (path / "assets.extra" / "card.json").write_text(card)
    if path.suffix == ".xml":
        path.with_suffix(".bin").write_text(name)


def export_all(module, folder, number=2):
    for name, writer in FORMATS.items():
        setattr(module, writer, write_parts)
        module.export(Network(number), folder / name)


def export_old(module, folder):
    export_all(module, folder, 1)


def test_an_export_killed_at_any_rename_leaves_the_old_one_or_the_new(tmp_path):
    points = kill_everywhere(exporter, export_all, tmp_path, export_old)
    assert points == 2 * (1 + 3 + 1)  # a file; a note and a pair; an exchange of folders
    states = []
    for point in range(points):
        folder = tmp_path / str(point)
        for name in FORMATS:
            settle(folder / name)
        parts = [folder / "net.onnx", folder / "net.xml", folder / "net.bin", folder / "net/assets.extra/card.json"]
        numbers = [p.read_text() if p.suffix != ".json" else json.loads(p.read_text())["name"] for p in parts]
        assert numbers[1] == numbers[2]
        states.append("".join(numbers))
    assert states == sorted(states) and set(states) == {"1111", "2111", "2221", "2222"}


def report():
    from jointnet.show import report as module

    class Analysis:
        number = 1

        def to_json(self):
            return str(self.number)

    class Explorer:
        def to_piece(self):
            return ""

    module._sections, module._explorer = (lambda _: {}), (lambda *_: Explorer())
    module.render = lambda *_, title, **__: title
    return module, Analysis()


class Named:
    def __init__(self, name):
        self.name = name


def report_new(prepared, folder, number=2):
    module, analysis = prepared
    analysis.number = number
    module.write_report(folder / "report.html", folder, Named(str(number)), analysis=analysis)


def report_old(prepared, folder):
    report_new(prepared, folder, 1)


def test_a_report_killed_at_any_rename_has_two_files_that_go_together(tmp_path):
    points = kill_everywhere(report, report_new, tmp_path, report_old)
    assert points == 2 * 3
    seen = []
    for point in range(points):
        page, numbers = tmp_path / str(point) / "report.html", tmp_path / str(point) / "report.json"
        if page.exists():
            assert page.read_text()[-1] == numbers.read_text().strip()
        settle(page)
        assert page.read_text()[-1] == numbers.read_text().strip()
        seen.append(page.read_text()[-1])
    assert seen == sorted(seen) and set(seen) == {"1", "2"}


def explorers(folder):
    from jointnet.evaluate.error_objects import find_errors
    from jointnet.show.widgets import ErrorExplorer

    dataset, predictions = write_known(folder)
    return lambda notes: ErrorExplorer(find_errors(predictions, dataset), dataset, predictions, threshold=THRESHOLD,
                                       notes=notes)


def note_new(open_explorer, folder, note="new"):
    explorer = open_explorer(folder / "notes.geojson")
    explorer.notes = {"vienna1-1": note}
    explorer.to_html(folder / "page.html")


def note_old(open_explorer, folder):
    folder.mkdir()
    note_new(open_explorer, folder, "old")


def test_notes_and_pages_killed_at_any_rename_are_the_old_or_the_new(tmp_path):
    points = kill_everywhere(functools.partial(explorers, tmp_path / "known"), note_new, tmp_path, note_old)
    assert points == 2 * 2
    seen = []
    for point in range(points):
        folder = tmp_path / str(point)
        notes = json.loads((folder / "notes.geojson").read_text())["features"]
        page = (folder / "page.html").read_text()
        assert page.rstrip().endswith("</html>")
        seen.append((notes[0]["properties"]["note"], "old" if '"old"' in page else "new"))
    assert seen == [("old", "old"), ("new", "old"), ("new", "old"), ("new", "new")]
