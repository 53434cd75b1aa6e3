"""Manifests in, scenes with city, split and gsd out: tables as people and spreadsheets write them."""

from __future__ import annotations

import csv
import io
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from jointnet.data.lengths import parse_length
from jointnet.data.scene import SPLITS, Scene, shorten
from jointnet.errors import InputError

COLUMNS = ("name", "city", "split", "gsd_m", "group", "image")
ALIASES = {"image": "name", "file": "name", "filename": "name", "subset": "split", "set": "split", "gsd": "gsd_m"}
SPLIT_WORDS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation",
               "val": "validation", "test": "test", "testing": "test"}
DELIMITERS = ",;\t|"


class ManifestError(InputError):
    """A manifest that cannot be understood; the message names the line and says what to do."""


@dataclass(frozen=True)
class Row:
    """What one line of a manifest says of an image."""

    line: int
    name: str
    city: str = ""
    split: str = ""
    gsd: float | None = None


@dataclass(frozen=True)
class _Table:
    """The cells of a manifest: (line, column -> text) of each row that is not empty."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    notes: tuple[str, ...]


def apply_manifest(root: Path, scenes: Sequence[Scene]) -> tuple[list[Scene], list[str]]:
    """The scenes that a folder's manifest names, with what it says of them, and the names without an image.

    The manifest is `manifest.csv` in `root`, or above it with `root`'s name in its column `group`. Without one the
    scenes stay as they are.

    Raises:
        ManifestError: if the manifest cannot be understood, or contradicts itself.

    Warns:
        UserWarning: of columns that are not used, rows that repeat one another, and images that no row names.
    """
    table = _table_for(root, scenes)
    if table is None:
        return list(scenes), []
    rows, respelt = _one_spelling(_rows_for(table, root.resolve().name))
    found: dict[str, tuple[Row, Scene]] = {}
    absent, repeated = [], []
    for row in rows:
        scene = _scene_of(row, scenes, table.path)
        if scene is None:
            absent.append(row.name)
        elif scene.name in found:
            _check_repeats(found[scene.name][0], row, table.path)
            repeated.append(row.name)
        else:
            found[scene.name] = row, scene
    if not found:
        raise ManifestError(f"the manifest of {root} names {shorten(absent, 3) or 'nothing'}, and none of its images, "
                            f"such as {scenes[0].name}; write the names as the files have them")
    unnamed = [s.name for s in scenes if s.name not in found]
    _tell(table, repeated, unnamed, respelt)
    return [_with_row(scene, row) for row, scene in found.values()], absent


def addresses(root: Path) -> list[tuple[str, str]]:
    """(name, image) of the rows of a folder's manifest that have a column `image` beside the name."""
    table = _table_for(root, ())
    if table is None or "image" not in table.columns:
        return []
    return [(cells["name"], cells["image"]) for _, cells in _rows_of(table, root.resolve().name) if cells["image"]]


def read_table(path: Path) -> _Table:
    """The cells of a manifest, in whichever encoding and with whichever delimiter a spreadsheet gave it.

    Raises:
        ManifestError: if it is no table of text, has no column `name`, or a line has more fields than the header.
    """
    text, notes = _decode(path)
    header, delimiter, body = _header(text)
    names = _canonical(path, next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), []))
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows = []
    skipped = text[: len(text) - len(body)].count("\n")
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                rows.append((reader.line_num + skipped, _named(path, reader.line_num + skipped, names, cells)))
    except csv.Error as error:
        raise ManifestError(f"{path} is not a table of text; save it as CSV in UTF-8 ({error})") from error
    return _Table(path, names, tuple(rows), notes)


def _table_for(root: Path, scenes: Sequence[Scene]) -> _Table | None:
    """The manifest in a folder, or the one above it that has its name; None without either."""
    own = _manifest_in(root)
    if own is not None:
        return read_table(own)
    above = _manifest_in(root.resolve().parent)
    table = None if above is None else read_table(above)
    if table is None or any(cells.get("group") == root.resolve().name for _, cells in table.rows):
        return table
    known = {_key(s.name) for s in scenes}
    if "group" not in table.columns and any(_key(PurePosixPath(c["name"]).stem) in known for _, c in table.rows):
        warnings.warn(f"{above} is not used for {root}, whose images it names: put it into that folder, or give it a "
                      f"column 'group' with {root.resolve().name!r}", stacklevel=5)
    return None


def _manifest_in(folder: Path) -> Path | None:
    """The manifest of a folder, whatever the case of its name.

    Raises:
        ManifestError: if there are two, or one in a spreadsheet's own format.
    """
    if not folder.is_dir():
        return None
    found = sorted(p for p in folder.iterdir() if p.stem.lower() == "manifest" and p.is_file())
    tables = [p for p in found if p.suffix.lower() == ".csv"]
    found += sorted(p for p in folder.iterdir() if p.name.lower() == "manifest.csv.txt")  # endings that are not shown
    foreign = [p for p in found if p.suffix.lower() in (".xlsx", ".xls", ".ods", ".tsv", ".txt")]
    if len(tables) > 1:
        raise ManifestError(f"{folder} holds {' and '.join(p.name for p in tables)}; keep one of them")
    if foreign and not tables:
        raise ManifestError(f"{foreign[0]} is not read: save it as manifest.csv, a table of text")
    return tables[0] if tables else None


def _decode(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file, with the line ends of Unix, and what had to be guessed to read it."""
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings, told = ["utf-16"], ""
    else:
        encodings, told = ["utf-8-sig", "cp1252"], "it is not in UTF-8 and was read as Windows-1252"
    for number, encoding in enumerate(encodings):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text.replace("\r\n", "\n").replace("\r", "\n"), (told,) * (number > 0)
    raise ManifestError(f"{path} is not a table of text; save it as CSV in UTF-8")


def _header(text: str) -> tuple[str, str, str]:
    """(header line, delimiter, the rest); the delimiter is the one that makes most of the header's words known."""
    lines = text.split("\n")
    first = next((k for k, line in enumerate(lines) if line.strip(f" {DELIMITERS}")), len(lines) - 1)
    told = lines[first].strip().lower()
    if told.startswith("sep=") and len(told) <= 5:  # as Excel writes it before the header
        delimiter, first = lines[first].strip()[4:] or "\t", min(first + 1, len(lines) - 1)
        return lines[first], delimiter, "\n".join(lines[first + 1 :])

    def known(delimiter: str) -> int:
        words = next(csv.reader([lines[first]], delimiter=delimiter, skipinitialspace=True), [])
        return sum(_word(w) in (*COLUMNS, *ALIASES) for w in words)

    return lines[first], max(DELIMITERS, key=known), "\n".join(lines[first + 1 :])


def _word(cell: str) -> str:
    """A heading without regard to case, blanks and quotes."""
    return cell.strip().strip("\"'").strip().casefold().replace(" ", "_")


def _canonical(path: Path, cells: list[str]) -> tuple[str, ...]:
    """The headings by our names; unknown ones as they are written, without the empty ones at the end."""
    words = [_word(cell) for cell in cells]
    words = [ALIASES.get(w, w) if ALIASES.get(w) not in words else w for w in words]
    while words and not words[-1]:
        words.pop()
    twice = sorted({w for w in words if w in COLUMNS and words.count(w) > 1})
    if twice:
        written = [cell.strip() for word, cell in zip(words, cells, strict=False) if word == twice[0]]
        raise ManifestError(f"{path} has two columns {twice[0]!r}, as {' and '.join(written)} are read; keep one of "
                            f"them, or rename one")
    if "name" not in words:
        shown = ", ".join(cell.strip() for cell in cells if cell.strip()) or "none"
        raise ManifestError(f"{path} has no column 'name', its columns are: {shown}; it should begin with a line of "
                            "headings: name, city, split, gsd_m and, for several folders, group")
    return tuple(w if w in COLUMNS else cell.strip() for w, cell in zip(words, cells, strict=False))


def _named(path: Path, line: int, names: Sequence[str], cells: list[str]) -> dict[str, str]:
    """Column -> cell; cells that a spreadsheet left out at the end are empty."""
    if any(cells[len(names) :]):
        raise ManifestError(f"{path}, line {line}: {len(cells)} fields under {len(names)} headings; put a field that "
                            "holds the delimiter into quotes")
    return dict(zip(names, [*cells, *[""] * len(names)], strict=False))


def _rows_for(table: _Table, folder: str) -> list[Row]:
    """The rows of a folder, checked."""
    return [_row(table.path, line, cells) for line, cells in _rows_of(table, folder)]


def _one_spelling(rows: list[Row]) -> tuple[list[Row], list[str]]:
    """Rows with each city as it is spelt first, and the other spellings: capitals and blanks make no other city.

    Splits by city, and their check, would take them for two.
    """
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(_plain(row.city), row.city)
    respelt = sorted({row.city for row in rows} - set(first.values()))
    return [replace(row, city=first[_plain(row.city)]) for row in rows], respelt


def _plain(city: str) -> str:
    return " ".join(city.casefold().split())


def _rows_of(table: _Table, folder: str) -> Sequence[tuple[int, dict[str, str]]]:
    """(line, cells) of the rows of a folder: those of its group, or all where no row has that group."""
    return [(line, cells) for line, cells in table.rows if cells.get("group") == folder] or table.rows


def _row(path: Path, line: int, cells: dict[str, str]) -> Row:
    """One row, checked."""
    name, split, city = cells["name"], cells.get("split", ""), _key(cells.get("city", ""))
    if not name:
        raise ManifestError(f"{path}, line {line}: the name is empty; write the image's name, or remove the line")
    if split and split.casefold() not in SPLIT_WORDS:
        raise ManifestError(f"{path}, line {line}: gives {name} the split {split!r}; choose from {', '.join(SPLITS)}")
    if not split and "split" in cells and city.casefold() in SPLIT_WORDS:
        raise ManifestError(f"{path}, line {line}: gives {name} the city {city!r} and no split; a field is missing")
    try:
        gsd = parse_length(cells["gsd_m"]) if cells.get("gsd_m") else None
    except ValueError as error:
        raise ManifestError(f"{path}, line {line}: the gsd_m of {name}: {error}") from error
    if gsd is not None and not gsd > 0:
        raise ManifestError(f"{path}, line {line}: the gsd_m of {name} is {gsd:g}; it must be metres, above 0")
    return Row(line, name, city, SPLIT_WORDS.get(split.casefold(), ""), gsd)


def _scene_of(row: Row, scenes: Sequence[Scene], path: Path) -> Scene | None:
    """The scene that a row names: by its name, its file, or the end of its path; None where there is none.

    Raises:
        ManifestError: if it may be one of several.
    """
    for matches in (_is_called, _is_file, _ends_in, _has_last_part):
        found = [s for s in scenes if matches(s, row.name)]
        if len(found) > 1 and row.split:
            found = [s for s in found if s.split == row.split] or found
        if len(found) > 1:
            images = " or ".join(str(s.image) for s in found)
            raise ManifestError(f"{path}, line {row.line}: {row.name} may be {images}; write "
                                f"{' or '.join(s.name for s in found)}")
        if found:
            return found[0]
    return None


def _is_called(scene: Scene, name: str) -> bool:
    return _key(scene.name) == _key(name)


def _is_file(scene: Scene, name: str) -> bool:
    return _key(name) in (_key(scene.image.stem), _key(scene.image.name))


def _ends_in(scene: Scene, name: str) -> bool:
    """Whether a relative path, with either slash, is the end of the image's."""
    parts = _parts(name)
    ends = [[*scene.image.parts[:-1], last][-len(parts) :] for last in (scene.image.name, scene.image.stem)]
    return len(parts) > 1 and [_key(p) for p in parts] in [[_key(p) for p in end] for end in ends]


def _has_last_part(scene: Scene, name: str) -> bool:
    parts = _parts(name)
    return bool(parts) and _is_file(scene, parts[-1])


def _parts(name: str) -> list[str]:
    return [p for p in PurePosixPath(name.replace("\\", "/")).parts if p != "."]


def _key(name: str) -> str:
    """A name as it is compared: a letter with an accent may be one character or two."""
    return unicodedata.normalize("NFC", name)


def _check_repeats(first: Row, row: Row, path: Path) -> None:
    """Raises ManifestError unless two rows of one image say the same."""
    if (first.city, first.split, first.gsd) != (row.city, row.split, row.gsd):
        raise ManifestError(f"{path}, lines {first.line} and {row.line}: they say different things of {row.name}; keep "
                            "one of them")


def _tell(table: _Table, repeated: list[str], unnamed: list[str], respelt: list[str]) -> None:
    """Warns once, of everything in the manifest that its reader may not expect."""
    unused = [name for name in table.columns if name and name not in COLUMNS]
    notes = [*table.notes]
    notes += [f"the columns {', '.join(unused)} are not used (known are {', '.join(COLUMNS)})"] * bool(unused)
    notes += [f"{shorten(repeated, 6)} stands in it twice"] * bool(repeated)
    notes += [f"{shorten(respelt, 6)} is taken for a city above, spelt otherwise"] * bool(respelt)
    notes += [f"{shorten(unnamed, 6)} is left out, since no line names it"] * bool(unnamed)
    if notes:
        warnings.warn(f"{table.path}: {'; '.join(notes)}", stacklevel=5)


def _with_row(scene: Scene, row: Row) -> Scene:
    """The scene with what its row says."""
    gsd = scene.gsd_hint if row.gsd is None else row.gsd
    return replace(scene, city=row.city or scene.city, split=row.split or scene.split, gsd_hint=gsd)
