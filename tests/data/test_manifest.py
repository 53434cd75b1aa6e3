"""A manifest says city, split and gsd of images, however a spreadsheet wrote it; what cannot be read is refused."""

from __future__ import annotations

import re
import warnings

import pytest

from jointnet.data.catalogue import open_dataset
from jointnet.data.lengths import parse_length
from jointnet.data.manifest import ManifestError, apply_manifest, read_table
from jointnet.data.scene import Scene


def scene(path, split="train", name=None):
    return Scene(name or path.stem, path, split=split)


def said(folder, data, *names, encoding="utf-8"):
    """(name, city, split, gsd) of images whose manifest holds some text, and what was warned of."""
    folder.mkdir(exist_ok=True)
    (folder / "manifest.csv").write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        scenes, absent = apply_manifest(folder, [scene(folder / f"{n}.tif") for n in names or ("a",)])
    return [(s.name, s.city, s.split, s.gsd_hint) for s in scenes], absent, " ".join(str(w.message) for w in told)


A = [("a", "Zürich", "validation", 0.3)]
TABLE = "name,city,split,gsd_m\na,Zürich,validation,0.3\n"


@pytest.mark.parametrize("data", [
    TABLE,
    TABLE.replace("\n", "\r\n"),
    TABLE.replace("\n", "\r"),
    TABLE.encode("utf-8-sig"),
    TABLE.encode("utf-16"),
    TABLE.replace(",", ";"),
    TABLE.replace(",", "\t"),
    TABLE.replace(",", "|"),
    TABLE.replace(",", ";").replace("0.3", "0,3"),
    "sep=;\n" + TABLE.replace(",", ";"),
    TABLE.replace(",", ", ") + "\n  \n,,,\n",
    "\n\n" + TABLE,
    TABLE.replace("name,city,split,gsd_m", "Name, CITY ,Split,GSD_m,,"),
    '"name","city","split","gsd_m"\n"a","Zürich","validation","0.3"\n',
    TABLE.replace("name", "file").replace("a,", "a.tif,").replace("gsd_m", "gsd").replace("0.3", "0.3 m"),
    TABLE.replace("validation", "Val"),
    TABLE.replace("validation", "VALID"),
], ids=repr)  # fmt: skip
def test_a_table_is_understood_however_a_spreadsheet_wrote_it(tmp_path, data):
    assert said(tmp_path, data) == (A, [], "")


def test_a_table_in_the_encoding_of_windows_is_read_and_that_is_told(tmp_path):
    found, _, told = said(tmp_path, TABLE, encoding="cp1252")
    assert found == A
    assert "is not in UTF-8 and was read as Windows-1252" in told


@pytest.mark.parametrize("name", ["a.tif", "./a.tif", "images/a.tif", r"images\a.tif", r"C:\data\images\a.tif", "/b/a"])
def test_an_image_may_be_named_by_its_file_or_its_path(tmp_path, name):
    found, absent, told = said(tmp_path / "images", f"name,split\n{name},test\n")
    assert (found, absent, told) == ([("a", "", "test", None)], [], "")


def test_letters_with_accents_are_compared_as_people_do(tmp_path):
    """Zu + two dots of its own, as macOS names files, and Zü as a spreadsheet writes it."""
    assert said(tmp_path, "name,split\nZ\u00fcrich,test\n", "Zu\u0308rich")[0] == [("Zu\u0308rich", "", "test", None)]


def test_names_with_delimiters_and_quotes_stand_in_quotes(tmp_path):
    names = ("a,b", 'a"b', "a;b", "a b", "ümlaut")
    rows = "".join('"' + n.replace('"', '""') + '",test\n' for n in names)
    assert [s[0] for s in said(tmp_path, "name,split\n" + rows, *names)[0]] == list(names)


def test_one_row_per_split_folder_is_told_apart_by_split_name_or_path(tmp_path):
    (tmp_path / "manifest.csv").write_text("name,split,city\n0,train,graz\n0,test,rome\n")
    scenes = [scene(tmp_path / s / "images" / "0.tif", s, f"{s}-0") for s in ("train", "test")]
    assert [(s.name, s.city) for s in apply_manifest(tmp_path, scenes)[0]] == [("train-0", "graz"), ("test-0", "rome")]
    (tmp_path / "manifest.csv").write_text("name,city\ntest/images/0.tif,rome\ntrain-0,graz\n")
    assert {s.name: s.city for s in apply_manifest(tmp_path, scenes)[0]} == {"train-0": "graz", "test-0": "rome"}
    (tmp_path / "manifest.csv").write_text("name,city\n0,rome\n")
    with pytest.raises(ManifestError, match=r"line 2: 0 may be .*train.* or .*test.*; write train-0 or test-0"):
        apply_manifest(tmp_path, scenes)


def test_columns_rows_and_images_that_are_not_used_are_told(tmp_path):
    found, absent, told = said(tmp_path, "name,split,weather,CRS\na,test,fog,\nc,test,,\na,test,,\n", "a", "b")
    assert (found, absent) == ([("a", "", "test", None)], ["c"])
    assert "the columns weather, CRS are not used (known are name, city, split, gsd_m, group, image)" in told
    assert "a stands in it twice" in told
    assert "b is left out, since no line names it" in told


def test_a_city_in_other_capitals_is_the_same_city(tmp_path):
    """Else a split by city has one town in training and in validation."""
    table = "name,city\na,Bad Ischl\nb,BAD  ISCHL\nc,Linz\n"
    found, _, told = said(tmp_path, table, "a", "b", "c")
    assert [city for _, city, _, _ in found] == ["Bad Ischl", "Bad Ischl", "Linz"]
    assert told.endswith("BAD  ISCHL is taken for a city above, spelt otherwise")


@pytest.mark.parametrize(("data", "message"), [
    ("title,split\na,train", r"has no column 'name', its columns are: title, split; it should begin"),
    ("a,train\n", "has no column 'name'"),
    ("", "has no column 'name', its columns are: none"),
    ("name,split\n\na,trian", r"line 3: gives a the split 'trian'; choose from train, validation, test"),
    ("name,split\nz,train", "names z, and none of its images, such as a; write the names as the files have them"),
    ("file,filename\na,a.tif", "has two columns 'name', as file and filename are read; keep one of them"),
    ("name,split", "names nothing, and none of its images"),
    ("name,split\n,train", "line 2: the name is empty"),
    ("name,city,split\na,test\n", "line 2: gives a the city 'test' and no split; a field is missing"),
    ("name,split\na,b,test\n", "line 2: 3 fields under 2 headings; put a field that holds the delimiter into quotes"),
    ("name,gsd_m\na,thirty", r"line 2: the gsd_m of a: 'thirty' is no length; write a number of metres"),
    ("name,gsd_m\na,0", "line 2: the gsd_m of a is 0; it must be metres, above 0"),
    ("name,gsd_m\na,-1", "line 2: the gsd_m of a: '-1' is no length"),
    ("name;gsd_m\na;1,000", "'1,000' may be 1.000 or 1000; write the decimals after a point"),
    ("name,Split,split\na,train,test\n", "has two columns 'split', as Split and split are read; keep one"),
    ("name,split\na,train\na,test\n", "lines 2 and 3: they say different things of a; keep one"),
    (b"PK\x03\x04\0\0", "is not a table of text; save it as CSV in UTF-8"),
    (b"name,split\n\x81\x8d,train\n", "is not a table of text"),
])  # fmt: skip
def test_a_manifest_that_cannot_be_understood_names_the_line(tmp_path, data, message):
    with pytest.raises(ManifestError, match=message):
        said(tmp_path, data)


def test_a_manifest_in_a_format_that_is_not_read_is_no_secret(tmp_path):
    (tmp_path / "Manifest.xlsx").write_bytes(b"PK")
    with pytest.raises(ManifestError, match=r"Manifest\.xlsx is not read: save it as manifest\.csv"):
        apply_manifest(tmp_path, [scene(tmp_path / "a.tif")])
    (tmp_path / "MANIFEST.CSV").write_text("name,city\na,graz\n")
    assert apply_manifest(tmp_path, [scene(tmp_path / "a.tif")])[0][0].city == "graz"


def test_a_manifest_above_serves_its_groups_and_one_without_groups_is_told(tmp_path):
    (tmp_path / "mine").mkdir()
    scenes = [scene(tmp_path / "mine" / "a.tif")]
    (tmp_path / "manifest.csv").write_text("group;name;city;split\nother;b;rome;nonsense\nmine;a;graz;\n")
    assert [s.city for s in apply_manifest(tmp_path / "mine", scenes)[0]] == ["graz"]
    (tmp_path / "manifest.csv").write_text("name,city\na,graz\n")
    with pytest.warns(UserWarning, match=r"is not used for .*mine, whose images it names: put it into that folder"):
        assert apply_manifest(tmp_path / "mine", scenes) == (scenes, [])


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text('\nname,city\na,"two\nlines"\n\nb,graz\n')
    assert [line for line, _ in read_table(path).rows] == [4, 6]  # each where it ends


def test_a_spreadsheets_manifest_goes_through_the_door(tmp_path, draw_tile):
    draw_tile(tmp_path / "images" / "a.tif")
    draw_tile(tmp_path / "masks" / "a.tif", bands=1, value=0)
    (tmp_path / "manifest.csv").write_bytes(TABLE.replace(",", ";").encode("utf-8-sig"))
    assert [(s.name, s.split, s.city) for s in open_dataset("folder", tmp_path)] == [("a", "validation", "Zürich")]


@pytest.mark.parametrize(("text", "metres"), [
    ("6", 6), ("6.5", 6.5), ("6,5", 6.5), (" 6 m ", 6), ("6m", 6), ("6 Metres", 6), ("350 cm", 3.5), ("0,300", 0.3),
    ("20 ft", 6.096), ("20'", 6.096), ("16'6\"", 5.0292), (".5", 0.5), ("+3", 3),
])  # fmt: skip
def test_a_length_is_understood_with_its_unit(text, metres):
    assert parse_length(text) == pytest.approx(metres)


@pytest.mark.parametrize("text", ["", "wide", "6-8", "6 miles", "1,000", "-6", "nan", "inf", "6;8", "1e3", "6 m x"])
def test_what_is_no_length_is_refused(text):
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_length(text)
