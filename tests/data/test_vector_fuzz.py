"""Any footprints, in real files of three formats and four systems, against a rasterisation that shares no code.

A pixel's centre is tried against each ring by counting crossings of a ray; GDAL, GEOS and pyogrio have no part in it.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd
import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import GeometryCollection, LineString, MultiPolygon, Point, Polygon

from jointnet.data.catalogue import open_dataset
from jointnet.data.layers import LabelWarning
from jointnet.data.raster import write_raster
from tests.data.known_grid import grid_of, on_grid

SIDE = 24
X, Y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)


def crosses(ring) -> np.ndarray:
    """bool (SIDE, SIDE): pixel centres inside a ring of (column, row), by the even-odd rule."""
    inside = np.zeros((SIDE, SIDE), bool)
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        spans = (y0 > Y) != (y1 > Y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= spans & ((x1 - x0) * (Y - y0) / (y1 - y0) + x0 > X)
    return inside


def near_edge(ring) -> np.ndarray:
    """bool (SIDE, SIDE): pixel centres within a two hundredth of a pixel of a ring."""
    close = np.zeros((SIDE, SIDE), bool)
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        along = np.clip(((X - x0) * (x1 - x0) + (Y - y0) * (y1 - y0)) / (length or 1), 0, 1)
        close |= np.hypot(x0 + along * (x1 - x0) - X, y0 + along * (y1 - y0) - Y) < 0.005
    return close


@st.composite
def outlines(draw):
    """(shell, holes): stars, some across the image's edge; a hole inside, across or outside the shell, or none."""
    x, y = draw(st.floats(0.5, SIDE - 0.5)), draw(st.floats(0.5, SIDE - 0.5))
    reach = draw(st.lists(st.floats(0.8, 8), min_size=4, max_size=9))
    turn = np.linspace(0, 2 * math.pi, len(reach), endpoint=False) + draw(st.floats(0, 1))
    shell = np.column_stack([x + reach * np.cos(turn), y + reach * np.sin(turn)])
    share, shift = draw(st.floats(0.2, 0.7)), draw(st.sampled_from([None, 0.0, 4.0, 30.0]))
    holes = [] if shift is None else [(shell - (x, y)) * share + (x + shift, y)]
    return shell.tolist(), [hole.tolist() for hole in holes]


def written(polygons, form):
    """Features as a program may write them: plain, with heights, every corner twice, all in one, as closed lines."""
    if form == "heights":
        return [shapely.force_3d(Polygon(*p), 7.0) for p in polygons]
    if form == "doubled":
        return [Polygon(np.repeat(shell, 2, axis=0), holes) for shell, holes in polygons]
    if form == "multi":
        return [MultiPolygon([Polygon(*p) for p in polygons])]
    if form == "lines":  # closed; what has a hole cannot be one
        return [Polygon(s, h) if h else LineString([*s, s[0]]) for s, h in polygons]
    shapes = [Polygon(shell[::-1], holes) for shell, holes in polygons]
    return [GeometryCollection([s, Point(1, 1)]) for s in shapes] if form == "collection" else shapes


@settings(deadline=None, max_examples=40)
@given(
    st.lists(outlines(), min_size=1, max_size=4),
    st.sampled_from([("gpkg", "collection"), ("gpkg", "lines"), ("gpkg", "multi"), ("gpkg", "doubled"),
                     ("shp", "plain"), ("shp", "multi"), ("shp", "heights"), ("geojson", "plain"),
                     ("geojson", "collection"), ("geojson", "heights"), ("geojson", "lines")]),
    st.sampled_from([32633, 4326, 3857, 32634]),
    st.booleans(),
)  # fmt: skip
def test_every_pixel_of_any_file_is_what_its_footprints_say(polygons, kind, epsg, with_points):
    suffix, form = kind
    if suffix == "shp":  # whose holes are told by their winding alone: GDAL takes one outside for a shell
        polygons = [(s, [h for h in holes if Polygon(h).within(Polygon(s))]) for s, holes in polygons]
    features = on_grid(*written(polygons, form), *[Point(2, 2)] * (with_points and suffix != "shp"))
    table = gpd.GeoDataFrame({"id": range(len(features) + 1)}, geometry=[*features, None], crs=features.crs)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)  # of points, of repairs, of shapes beside the image
        write_raster(Path(folder) / "a.tif", np.full((SIDE, SIDE, 3), 9, np.uint8), grid_of(SIDE, SIDE))
        places = {"COORDINATE_PRECISION": "10"} if suffix == "geojson" else {}
        table.to_crs(4326 if suffix == "geojson" else epsg).to_file(Path(folder) / f"a.{suffix}", **places)
        scene = open_dataset("folder", folder)[0]
        mask, part = scene.read_labels(), scene.read_labels(window=(5, 3, 9, 11))
    expected, unsure = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    for shell, holes in polygons:
        expected |= crosses(shell) & ~np.any([crosses(h) for h in holes] or [False], axis=0)
        unsure |= np.any([near_edge(ring) for ring in (shell, *holes)], axis=0)
    np.testing.assert_array_equal(mask[~unsure], expected[~unsure])
    np.testing.assert_array_equal(part, mask[5:14, 3:14])
