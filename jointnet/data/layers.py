"""Vector files in, their layers out, and which of them shows a class; the only module that opens such files to read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import geopandas as gpd
import numpy as np
import pyogrio

from jointnet.data.plain_names import plainly_named
from jointnet.errors import InputError

CLASSES = ("buildings", "roads")
PARQUET = (".parquet", ".geoparquet")
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

    Raises:
        LabelError: if the file cannot be read, has no such layer or no shapes, or does not tell which is meant.

    Warns:
        LabelWarning: when several layers are taken together.
    """
    path = Path(path)
    if not path.exists():
        raise LabelError(f"{path} does not exist; check the path")
    state = path.stat()
    found = _all_layers(path, (state.st_size, state.st_mtime_ns))
    if layer is not None:
        asked = [one for one in found if one.name == layer]
        if not asked:
            raise LabelError(f"{path} has no layer {layer!r}; it has {_listed(found)}")
        return tuple(asked)
    if not found:
        raise LabelError(f"{path} is a table without geometry; name a file, or a layer, of polygons or lines")
    return _chosen(found, class_name)


def classes_in(path: Path) -> tuple[str, ...]:
    """The classes that layers of a file are named after, where it has several."""
    state = path.stat()
    found = _all_layers(path, (state.st_size, state.st_mtime_ns))
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
    try:
        with plainly_named(layer.path) as path, warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            table = pyogrio.read_dataframe(
                path, layer=layer.name, bbox=box, force_2d=True, fid_as_index=True, on_invalid="fix"
            )
    except _OPENING as error:
        raise LabelError(f"{layer} is damaged or cut short; make or fetch it again ({error})") from error
    if table.crs is None and layer.crs is not None:
        table = table.set_crs(layer.crs)
    closed = any("Non closed ring" in str(one.message) for one in told)
    return table, ["rings that did not end where they began were closed"] * closed


def read_column(layer: Layer, column: str) -> np.ndarray | None:
    """The values of one column, without the shapes; None where there is no such column."""
    if column not in layer.fields:
        return None
    if layer.path.suffix.lower() in PARQUET:
        return _read_parquet(layer.path)[column].to_numpy()
    with plainly_named(layer.path) as path:
        table = pyogrio.read_dataframe(path, layer=layer.name, columns=[column], read_geometry=False)
    return table[column].to_numpy()


@lru_cache(maxsize=1024)
def _all_layers(path: Path, _state: tuple[int, int]) -> tuple[Layer, ...]:
    """Every layer of a file that has shapes."""
    _check_own_shapes(path)
    if path.suffix.lower() in PARQUET:
        return (_parquet_layer(path),)
    try:
        with plainly_named(path) as plain:
            names = [str(name) for name, kind in pyogrio.list_layers(plain) if kind is not None]
            infos = [pyogrio.read_info(plain, layer=name, force_total_bounds=True) for name in names]
    except BadZipFile as error:
        raise LabelError(f"{path} is no zip archive, or is cut short; make or fetch it again") from error
    except _OPENING as error:
        raise LabelError(f"{path} is not a vector file that GDAL can read; save it as GeoPackage or GeoJSON ({error})"
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
    if path.is_file():
        with path.open("rb") as file:
            if b"<OGR" in file.read(4096):  # OGRVRTDataSource, OGRWFSDataSource, ...
                raise LabelError(f"{path} describes other files or addresses, which are not followed; save the shapes "
                                 "themselves, as GeoPackage")


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
        return found
    filled = [one for one in found if one.features != 0] or list(found)
    named = [one for one in filled if class_name and _is_named(one, class_name)]
    if len(named) == 1:
        return tuple(named)
    if len(named) > 1:
        raise _unclear(named, class_name)
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


def _is_named(layer: Layer, class_name: str) -> bool:
    """Whether a layer's name holds the class, in the plural or not: "osm_buildings", "Building"."""
    single = class_name.removesuffix("s")
    return bool(re.search(rf"(?<![a-z]){re.escape(single)}s?(?![a-z])", (layer.name or "").lower()))


def _unclear(layers: Sequence[Layer], class_name: str | None) -> LabelError:
    example = next((one for one in layers if one.shapes != "points"), layers[0])
    return LabelError(f"{example.path} has several layers, {_listed(layers)}; say which shows "
                      f"{class_name or 'the labels'}: layer={example.name!r}")


def _listed(layers: Sequence[Layer]) -> str:
    return ", ".join(f"{one.name} ({one.shapes})" for one in layers)
