"""Vector files in, their layers out, and which of them shows a class; the only module that opens such files to read."""

from __future__ import annotations

import json
import mmap
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import geopandas as gpd
import numpy as np
import pyogrio
import pyproj
import shapely

from jointnet.data.plain_names import plainly_named
from jointnet.errors import InputError
from jointnet.files import state_of

CLASSES = ("buildings", "roads")
DONE = "done"  # a layer of this name, beside others, shows where their labels are complete
PARQUET = (".parquet", ".geoparquet")
NATIVE_TABLE = rb"(?i)\btype\s+native\b"  # in a MapInfo table that describes no image and no other table
INVALID_TEXT = "Ignoring invalid WKT"  # as GDAL tells it of a CSV file
HEAD = 1 << 20  # bytes in which GDAL looks for what a file is, at most
UNPACKED = 4_000_000_000  # bytes that labels in a zip archive may unpack to
# GDAL finds the member by its name in any case, and JSON may write each letter by its number.
_CRS_MEMBER = re.compile(rb'"(?:c|\\u00[46]3)(?:r|\\u00[57]2)(?:s|\\u00[57]3)"\s*:\s*(?=\{)', re.IGNORECASE)
_CODE = re.compile(r"(urn:ogc:def:crs:|https?://(www\.)?opengis\.net/def/crs/|[A-Za-z]+:\w)")
_OPENING = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError)


class LabelError(InputError):
    """Labels that cannot be placed on an image; the message says what to do."""


class LabelWarning(UserWarning):
    """Labels that were placed, but perhaps not as their maker meant: repaired, or none of them on the image."""


@dataclass(frozen=True)
class Layer:
    """A layer of shapes, as its file describes it.

    Attributes:
        path: the file.
        name: the layer's name; None where files of the format hold one layer and do not name it.
        alone: whether it is the file's only layer.
        shapes: "polygons", "lines", "points", or "shapes" where the file does not say or they are of several types.
        crs: the layer's CRS as WKT, or None.
        bounds: (left, bottom, right, top) of all its shapes; None of an empty layer.
        features: how many there are; -1 where the format does not tell.
        fields: names of its columns.
    """

    path: Path
    name: str | None
    alone: bool
    shapes: str
    crs: str | None
    bounds: tuple[float, float, float, float] | None
    features: int
    fields: tuple[str, ...]

    def __str__(self) -> str:
        """What a message calls it: the file, and the layer where there are others."""
        return str(self.path) if self.alone else f"{self.path}, layer {self.name!r}"


def layers_of(path: str | Path, class_name: str | None = None, layer: str | None = None) -> tuple[Layer, ...]:
    """The layers of a file that show a class: the one asked for, the only one, the one named after the class, or all.

    All are taken where their shapes are of one type. Tables without shapes, points, and layers that are named after
    another class are passed over, and for buildings lines, too, where there are polygons.
    Empty layers are, too, but for one of the class's very name: it says that nothing of the class was found.

    Raises:
        LabelError: if the file cannot be read, has no such layer or no shapes, or does not tell which is meant.

    Warns:
        LabelWarning: when several layers are taken together, or the only one is named after another class.
    """
    path = Path(path)
    if not path.exists():
        raise LabelError(f"{path} does not exist; check the path")
    found = all_layers(path)
    if layer is not None:
        asked = [one for one in found if one.name == layer]
        if not asked:
            raise LabelError(f"{path} has no layer {layer!r}; it has {_listed(found)}")
        return tuple(asked)
    found = tuple(one for one in found if one.name != DONE) or found
    if not found:
        raise LabelError(f"{path} is a table without geometry; name a file, or a layer, of polygons or lines (in a "
                         "CSV file, as well-known text in a column WKT)")
    return _chosen(found, class_name)


def all_layers(path: Path) -> tuple[Layer, ...]:
    """Every layer of a file that has shapes.

    Raises:
        LabelError: if the file cannot be read.
    """
    if not path.exists():
        raise LabelError(f"{path} does not exist; check the path")
    return _all_layers(path, state_of(path))


def classes_in(path: Path) -> tuple[str, ...]:
    """The classes that layers of a file are named after, where it has several."""
    found = all_layers(path)
    return () if len(found) < 2 else tuple(name for name in CLASSES if any(_is_named(one, name) for one in found))


def read_layer(
    layer: Layer, box: tuple[float, float, float, float] | None = None
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """The features whose boxes meet `box`, by their numbers in the file, heights dropped, and what was odd about them.

    Raises:
        LabelError: if the file is damaged.
    """
    if layer.path.suffix.lower() in PARQUET:
        return _read_parquet(layer.path), []
    whole = layer.path.suffix.lower() == ".gml"  # of a part of it, GDAL asks the address that names its CRS
    try:
        with plainly_named(layer.path) as path, warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            table = pyogrio.read_dataframe(
                path, layer=layer.name, bbox=None if whole else box, force_2d=True, fid_as_index=True, on_invalid="fix"
            )
    except UnicodeDecodeError as error:
        raise _not_decoded(layer, error) from error
    except _OPENING as error:
        raise LabelError(f"{layer} is damaged or cut short; make or fetch it again ({error})") from error
    if table.crs is None and layer.crs is not None:
        table = table.set_crs(layer.crs)
    if whole and box is not None:
        table = table.iloc[np.sort(table.sindex.query(shapely.box(*box)))]
    return table, _oddities([str(one.message) for one in told])


def _oddities(told: Sequence[str]) -> list[str]:
    """What GDAL mended or passed over, of all that it told while it read."""
    notes = ["rings that did not end where they began were closed"] * any("Non closed ring" in one for one in told)
    texts = [one.removeprefix(INVALID_TEXT).strip(": ") for one in told if one.startswith(INVALID_TEXT)]
    if texts:
        notes.append(f"{len(texts)} row{'s' * (len(texts) > 1)} left out, whose shape is no well-known text, as "
                     f"{texts[0][:40]!r}")
    return notes


def read_column(layer: Layer, column: str) -> np.ndarray | None:
    """The values of one column, without the shapes; None where there is no such column.

    Raises:
        LabelError: if its text is not in the encoding that the file names.
    """
    if column not in layer.fields:
        return None
    if layer.path.suffix.lower() in PARQUET:
        return _read_parquet(layer.path)[column].to_numpy()
    try:
        with plainly_named(layer.path) as path:
            table = pyogrio.read_dataframe(path, layer=layer.name, columns=[column], read_geometry=False)
    except UnicodeDecodeError as error:
        raise _not_decoded(layer, error) from error
    return table[column].to_numpy()


def _not_decoded(layer: Layer, error: UnicodeDecodeError) -> LabelError:
    beside = f", which {layer.path.with_suffix('.cpg').name} names: mend or remove that file"
    return LabelError(f"the text in the columns of {layer} is not in {error.encoding}"
                      f"{beside if layer.path.with_suffix('.cpg').exists() else ''}, or save the labels as GeoPackage")


def _reason(error: Exception) -> str:
    """What GDAL says, without pyogrio's advice, which is of no use here."""
    return str(error).split("; It might help")[0].rstrip(".")


@lru_cache(maxsize=1024)
def _all_layers(path: Path, _state: tuple) -> tuple[Layer, ...]:
    """Every layer of a file that has shapes."""
    _check_own_shapes(path)
    if path.suffix.lower() in PARQUET:
        return (_parquet_layer(path),)
    try:
        with plainly_named(path) as plain, warnings.catch_warnings():
            warnings.filterwarnings("ignore", INVALID_TEXT)  # told when the shapes are read
            names = [str(name) for name, kind in pyogrio.list_layers(plain) if kind is not None]
            infos = [pyogrio.read_info(plain, layer=name, force_total_bounds=True) for name in names]
    except BadZipFile as error:
        raise LabelError(f"{path} is no zip archive, or is cut short; make or fetch it again") from error
    except InputError as error:
        raise LabelError(f"{path}: {error}") from error
    except _OPENING as error:
        raise LabelError(f"{path} is not a vector file that GDAL can read; save it as GeoPackage or GeoJSON (those "
                         f"of annotation tools, as COCO, YOLO, LabelMe and CVAT, are not read; {_reason(error)})"
                         ) from error
    return tuple(
        Layer(path, name, len(names) == 1, _shapes(info["geometry_type"]), _crs(info), info["total_bounds"],
              info["features"], tuple(map(str, info["fields"])))
        for name, info in zip(names, infos, strict=True)
    )


def _check_own_shapes(path: Path) -> None:
    """Raises LabelError for what holds no shapes itself: pipes, devices, descriptions that GDAL would follow."""
    if not (path.is_file() or path.is_dir()):
        raise LabelError(f"{path} is a pipe or a device; name a vector file")
    if not path.is_file():
        return
    with path.open("rb") as file:
        if not file.read(1):
            return  # GDAL says what it makes of an empty file
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _check_text(path, content)
    if is_zipfile(path):
        for part in _in_archive(path):
            _check_text(path, part)


def _in_archive(path: Path) -> Iterator[bytes]:
    """The content of each file in a zip archive that may be text.

    Raises:
        LabelError: if it is encrypted, damaged, or so large that it is meant to fill the memory.
    """
    try:
        with ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.filename.lower().endswith((".shp", ".dbf", ".shx"))]
            if sum(one.file_size for one in members) > UNPACKED:
                raise LabelError(f"{path} unpacks to more than {UNPACKED / 1e9:.0f} GB; unpack it by hand, and name "
                                 f"the file that is meant")
            for one in members:
                yield archive.read(one)
    except (RuntimeError, NotImplementedError, BadZipFile, zlib.error, EOFError) as error:
        raise LabelError(f"{path} cannot be unpacked; unpack it by hand, without a password, and name the file that is "
                         f"meant ({error})") from error


def _check_text(path: Path, content: bytes | mmap.mmap) -> None:
    """Raises LabelError where a text has GDAL follow another file or address, or names a CRS that nobody knows."""
    if b"\0" in content[:HEAD]:
        return  # no text
    if b"<OGR" in content[:HEAD]:  # OGRVRTDataSource, OGRWFSDataSource, ...
        raise LabelError(f"{path} describes other files or addresses, which are not followed; save the shapes "
                         "themselves, as GeoPackage")
    if path.suffix.lower() == ".tab" and not re.search(NATIVE_TABLE, content[:HEAD]):
        raise LabelError(f"{path} is a MapInfo table of an image or of other tables; save the shapes as GeoPackage")
    for found in _CRS_MEMBER.finditer(content):
        crs = _json_at(content, found.end())
        if isinstance(crs, dict) and not _is_known(crs):
            raise LabelError(f"{path} names a CRS that is not known here, or is to be fetched from elsewhere: "
                             f"{json.dumps(crs)[:100]}; write its code, as urn:ogc:def:crs:EPSG::32633")


def _json_at(content: bytes | mmap.mmap, start: int) -> Any:
    """The JSON value that begins somewhere in a text; an empty object, which is no CRS, for what is none."""
    try:
        return json.JSONDecoder().raw_decode(content[start : start + HEAD].decode("utf-8", "replace"))[0]
    except (ValueError, RecursionError):
        return {}


def _is_known(crs: dict) -> bool:
    """Whether a GeoJSON file's CRS is named by a code that PROJ has; GDAL would take any other for degrees."""
    about = {str(key).lower(): value for key, value in crs.items()}
    if not {"type", "properties"} & set(about):
        return True  # a value that a feature has under that name
    properties = about.get("properties")
    values = {str(k).lower(): v for k, v in properties.items()} if isinstance(properties, dict) else {}
    if str(about.get("type")).lower() == "epsg":
        name = f"EPSG:{values.get('code')}"
    elif str(about.get("type")).lower() == "name":
        name = str(values.get("name"))
    else:
        return False
    try:
        return bool(_CODE.match(name) and pyproj.CRS.from_user_input(name))
    except pyproj.exceptions.CRSError:
        return False


def _crs(info: dict) -> str | None:
    """The CRS that a layer names; TopoJSON, which cannot name one, is in degrees like GeoJSON."""
    return "EPSG:4326" if info["crs"] is None and info["driver"] == "TopoJSON" else info["crs"]


def _shapes(geometry_type: str) -> str:
    """What a layer's type of geometry amounts to; curves and surfaces are read as lines and polygons."""
    for shapes, words in (("polygons", ("Polygon", "Surface")), ("lines", ("Line", "Curve")), ("points", ("Point",))):
        if any(word in geometry_type for word in words):
            return shapes
    return "shapes"


def _parquet_layer(path: Path) -> Layer:
    table = _read_parquet(path)
    placed = table[~(table.geometry.isna() | table.geometry.is_empty)]
    left, bottom, right, top = map(float, placed.total_bounds)  # NaN without any
    box = (left, bottom, right, top) if len(placed) else None
    crs = None if table.crs is None else table.crs.to_wkt()
    return Layer(path, None, True, "shapes", crs, box, len(table), tuple(map(str, table.columns)))


def _read_parquet(path: Path) -> gpd.GeoDataFrame:
    """GeoParquet, which pyogrio's wheels cannot read."""
    try:
        return gpd.read_parquet(path).reset_index(drop=True)
    except ImportError as error:
        raise LabelError(f"{path} needs pyarrow to be read; install it, or save the labels as GeoPackage") from error
    except (OSError, ValueError) as error:
        raise LabelError(f"{path} is not GeoParquet; save the labels again, or as GeoPackage ({error})") from error


@lru_cache(maxsize=1024)
def _chosen(found: tuple[Layer, ...], class_name: str | None) -> tuple[Layer, ...]:
    """The layers of a file that show a class; where the choice was not plain, one warning says so."""
    if len(found) == 1:
        _warn_of_another(found[0], class_name)
        return found
    empty = [one for one in found if class_name and one.features == 0
             and (one.name or "").lower() == class_name.lower()]
    filled = [one for one in found if one.features != 0 and not _denies(one, class_name)] or list(found)
    named = [one for one in filled if class_name and _is_named(one, class_name)]
    if len(named) == 1:
        return tuple(named)
    if len(named) > 1:
        raise _unclear(named, class_name)
    if empty:  # as a LabelEditor says that nothing of the class was found
        _warn_of_unused(found[0].path, empty, filled)
        return tuple(empty)
    fit = [one for one in filled if one.shapes != "points" and not any(_is_named(one, c) for c in CLASSES)]
    if class_name == "buildings" and any(one.shapes == "polygons" for one in fit):
        fit = [one for one in fit if one.shapes in ("polygons", "shapes")]
    if not fit or len({one.shapes for one in fit}) > 1:
        raise _unclear(found, class_name)
    if len(fit) > 1 or len(filled) > 1:
        others = [one for one in filled if one not in fit]
        left = f", but not {_listed(others)}" if others else ""
        warnings.warn(f"{found[0].path}: of its layers, {_listed(fit)} are taken as {class_name or 'labels'}{left}; "
                      "layer= picks one", LabelWarning, stacklevel=4)
    return tuple(fit)


def _warn_of_another(layer: Layer, class_name: str | None) -> None:
    """Warns of a file's only layer that is named after another class than the one looked for."""
    other = next((c for c in CLASSES if _is_named(layer, c)), None)
    if class_name and other and not _is_named(layer, class_name):
        warnings.warn(f"{layer.path}: its layer {layer.name!r} is taken as {class_name}, though it is named after "
                      f"{other}; if it shows these, give the labels of {class_name}", LabelWarning, stacklevel=5)


def _warn_of_unused(path: Path, empty: Sequence[Layer], filled: Sequence[Layer]) -> None:
    """Warns of polygons and lines in a file whose layer of the class is empty, where these are of no known class."""
    unused = [one for one in filled if one.features and one.shapes != "points"
              and not any(_is_named(one, c) for c in CLASSES)]
    if unused:
        warnings.warn(f"{path}: its layer {empty[0].name!r} is empty, so nothing is taken of {_listed(unused)}; layer= "
                      "picks one of them", LabelWarning, stacklevel=5)


def _is_named(layer: Layer, class_name: str) -> bool:
    """Whether a layer's name holds the class, in the plural or not: "osm_buildings", "Building"."""
    return names_class(layer.name or "", class_name)


def _denies(layer: Layer, class_name: str | None) -> bool:
    """Whether a layer's name says that it is not the class: "non_buildings"."""
    return denies_class(layer.name or "", class_name or "-")


def names_class(text: str, class_name: str) -> bool:
    """Whether a name holds a class, in the plural or not, and does not deny it: "osm_buildings", "Building"."""
    single = re.escape(class_name.lower().removesuffix("s"))
    return not denies_class(text, class_name) and bool(re.search(rf"(?<![a-z]){single}s?(?![a-z])", text.lower()))


def denies_class(text: str, class_name: str) -> bool:
    """Whether a name says that it is not the class: "non_buildings"."""
    single = re.escape(class_name.lower().removesuffix("s"))
    return bool(re.search(rf"(?<![a-z])(no|non|not|without|except)[^a-z]*((an?|any)[^a-z]+)?{single}", text.lower()))


def _unclear(layers: Sequence[Layer], class_name: str | None) -> LabelError:
    example = next((one for one in layers if one.shapes != "points"), layers[0])
    return LabelError(f"{example.path} has several layers, {_listed(layers)}; say which shows "
                      f"{class_name or 'the labels'}: layer={example.name!r}")


def _listed(layers: Sequence[Layer]) -> str:
    return ", ".join(f"{one.name or 'one without a name'} ({one.shapes})" for one in layers)
