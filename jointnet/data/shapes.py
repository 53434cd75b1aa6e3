"""Features as other programs write them in; footprints and centre lines of a class out, and what was done to them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely import GeometryType

from jointnet.data.layers import LabelError, LabelWarning

FAR = 1e10  # no CRS has coordinates beyond
GAP = 0.02  # a line whose ends are no farther apart than this share of its length is taken for a closed outline
TAGS = {"buildings": "building", "roads": "highway"}  # OpenStreetMap's columns
_OTHER_TAGS = {"building", "highway", "landuse", "natural", "leisure", "waterway", "railway", "boundary", "barrier",
               "amenity", "man_made", "place", "power", "aeroway", "tourism"}
_POLYGONS = (GeometryType.POLYGON, GeometryType.MULTIPOLYGON)
_LINES = (GeometryType.LINESTRING, GeometryType.LINEARRING, GeometryType.MULTILINESTRING)
_POINTS = (GeometryType.POINT, GeometryType.MULTIPOINT)


def shapes_of_class(
    table: gpd.GeoDataFrame, class_name: str | None = None, where: str = "the labels", notes: list[str] | None = None
) -> gpd.GeoDataFrame:
    """Valid polygons and lines, a row for each part, under the numbers of their features.

    Points and features that OpenStreetMap's tags give to another class are left out, collections taken apart, invalid
    polygons mended so that holes stay holes. Of buildings, outlines drawn as closed lines are filled and open lines
    left out.

    Args:
        table: features of any type, indexed by their numbers in the file.
        class_name: "buildings", "roads" or another; None takes polygons and lines as they are.
        where: file and layer, for messages.
        notes: what was odd about the features when they were read, to be told with the rest.

    Raises:
        LabelError: if there are features, but no shape of the class among them.

    Warns:
        LabelWarning: of what was left out or mended, with the numbers of the features.
    """
    notes = list(notes or [])
    kept = _of_class(_placeable(table, notes), class_name, notes)
    parts = _single_parts(kept)
    kinds = shapely.get_type_id(parts.geometry.to_numpy())
    points, lines = np.isin(kinds, _POINTS), np.isin(kinds, _LINES)
    if points.any():
        notes.append(f"{features_said(parts.index[points], 'point')} left out")
    if class_name == "buildings":
        parts = _filled(parts[~points], notes)
    else:
        parts = parts[~points]
        if class_name == "roads" and lines.any() and np.isin(kinds, _POLYGONS).any():
            notes.append(f"{np.isin(kinds, _POLYGONS).sum()} polygons are taken as surfaces of roads, beside "
                         f"{lines.sum()} centre lines")
    parts = _mended(parts, notes)
    if len(table) and not len(parts):
        raise LabelError(f"{where} has no shape that can be drawn{f' as {class_name}' if class_name else ''}: "
                         f"{'; '.join(notes)}")
    if notes:
        warnings.warn(f"{where}: {'; '.join(notes)}", LabelWarning, stacklevel=4)
    return parts


def _placeable(table: gpd.GeoDataFrame, notes: list[str]) -> gpd.GeoDataFrame:
    """The features that have a shape with coordinates that can be."""
    shapes = table.geometry.to_numpy()
    none = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    farthest = np.array([360.0, 90.0]) if table.crs is not None and table.crs.is_geographic else np.array([FAR, FAR])
    wrong = np.zeros(len(table), bool)
    wrong[owner[~(np.abs(points) <= farthest * (1 + 1e-9)).all(axis=1)]] = True
    if none.any():
        notes.append(f"{features_said(table.index[none], 'feature')} without a shape left out")
    if wrong.any():
        notes.append(f"{features_said(table.index[wrong], 'feature')} with coordinates beyond the earth left out")
    return table if not (none | wrong).any() else table[~(none | wrong)]


def _of_class(table: gpd.GeoDataFrame, class_name: str | None, notes: list[str]) -> gpd.GeoDataFrame:
    """The features that OpenStreetMap's tags do not give to something else than the class."""
    columns = {str(c).lower(): c for c in table.columns if c != table.geometry.name}
    own = TAGS.get(class_name or "")
    if own is None or not len(table):
        return table
    if own in columns:
        denied = _says_no(table[columns[own]])
        if denied.any():
            notes.append(f"{features_said(table.index[denied], 'feature')} tagged {own}=no left out")
            table = table[~denied]
    said = {tag: _says_something(table[c]) for tag, c in columns.items() if tag in _OTHER_TAGS}
    mine = said.pop(own, None)
    said = said if mine is not None else {k: v for k, v in said.items() if k in TAGS.values()}
    if not said:
        return table
    other = np.any(list(said.values()), axis=0)
    if mine is not None:
        other &= ~mine
    if other.any():
        notes.append(f"{features_said(table.index[other], 'feature')} tagged as something else left out")
    return table[~other]


def _says_no(column: pd.Series) -> np.ndarray:
    """Where a tag is denied: "no", "false" or 0; a column that says nothing else is no tag."""
    words = column.astype(str).str.strip().str.lower()
    denied = ~column.isna().to_numpy() & words.isin(["no", "false", "0", "0.0"]).to_numpy()
    return denied & bool((~denied & ~column.isna().to_numpy()).any())


def _says_something(column: pd.Series) -> np.ndarray:
    """Where a tag is given: not empty, and not "no"."""
    return ~column.isna().to_numpy() & ~column.astype(str).str.strip().str.lower().isin(["", "no", "none"]).to_numpy()


def _single_parts(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """One row for each part of multiple shapes and of collections."""
    shapes, rows = shapely.force_2d(table.geometry.to_numpy()), np.arange(len(table))
    while len(shapes) and (shapely.get_type_id(shapes) >= GeometryType.MULTIPOINT).any():
        shapes, owner = shapely.get_parts(shapes, return_index=True)
        rows = rows[owner]
    there = ~shapely.is_empty(shapes)
    return _with_shapes(table.iloc[rows[there]], shapes[there])


def _filled(table: gpd.GeoDataFrame, notes: list[str]) -> gpd.GeoDataFrame:
    """Outlines of buildings that were drawn as lines, as polygons; lines that do not close are left out."""
    shapes = table.geometry.to_numpy().copy()
    is_line = np.isin(shapely.get_type_id(shapes), _LINES)
    if not is_line.any():
        return table
    ends = shapely.distance(shapely.get_point(shapes, 0), shapely.get_point(shapes, -1))
    with np.errstate(invalid="ignore"):
        closes = is_line & (shapely.get_num_coordinates(shapes) >= 4) & (ends <= GAP * shapely.length(shapes))
    for row in np.flatnonzero(closes):
        shapes[row] = shapely.Polygon(shapely.get_coordinates(shapes[row]))
    if closes.any():
        notes.append(f"{features_said(table.index[closes], 'closed line')} filled")
    open_lines = is_line & ~closes
    if open_lines.any():
        notes.append(f"{features_said(table.index[open_lines], 'line')} left out, not being closed to outlines")
    return _with_shapes(table, shapes)[~open_lines]


def _mended(table: gpd.GeoDataFrame, notes: list[str]) -> gpd.GeoDataFrame:
    """The table with its invalid polygons made valid; what has no area is dropped."""
    shapes = table.geometry.to_numpy()
    invalid = np.isin(shapely.get_type_id(shapes), _POLYGONS) & ~shapely.is_valid(shapes)
    if not invalid.any():
        return table
    notes.append(f"{features_said(table.index[invalid], 'polygon')} invalid and repaired")
    shapes = shapes.copy()
    shapes[invalid] = mend(shapes[invalid])
    return _single_parts(_with_shapes(table, shapes))


def mend(polygons: np.ndarray) -> np.ndarray:
    """Invalid polygons as valid ones; what lies in a hole, wherever that reaches, stays empty.

    Rings that cross themselves are filled by the even-odd rule, as GDAL does.
    """
    return np.array([_mend_one(polygon) for polygon in polygons], object)


def _mend_one(polygon: shapely.Polygon) -> shapely.MultiPolygon:
    holes = [_areas(shapely.Polygon(ring)) for ring in polygon.interiors]
    return shapely.difference(_areas(shapely.Polygon(polygon.exterior)), shapely.union_all(holes))


def _areas(ring: shapely.Polygon) -> shapely.MultiPolygon:
    """What a ring encloses, without the lines and points that are left where it encloses nothing."""
    parts = np.array([shapely.make_valid(ring)], object)
    while (shapely.get_type_id(parts) >= GeometryType.MULTIPOINT).any():
        parts = shapely.get_parts(parts)
    return shapely.MultiPolygon(list(parts[shapely.get_type_id(parts) == GeometryType.POLYGON]))


def _with_shapes(table: gpd.GeoDataFrame, shapes: np.ndarray) -> gpd.GeoDataFrame:
    return table.set_geometry(gpd.GeoSeries(shapes, index=table.index, crs=table.crs))


def features_said(numbers: Iterable[Any], word: str) -> str:
    """A count with the first of its features, for a message: "3 points (features 1, 4, 7)"."""
    numbers = list(numbers)
    each = list(dict.fromkeys(numbers))
    shown = ", ".join(map(str, each[:5])) + (", ..." if len(each) > 5 else "")
    plural = "" if len(numbers) == 1 else "s"
    of = shown if word == "feature" else f"feature{'' if len(each) == 1 else 's'} {shown}"
    return f"{len(numbers)} {word}{plural} ({of})"
