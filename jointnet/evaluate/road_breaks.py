"""Labelled streets and predicted ones in; where roads break, what lies there and what each break costs out."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from jointnet.data.scene import Scene
from jointnet.data.stretch import in_bytes
from jointnet.evaluate.paths import SNAP, SPACING, node_lines, path_score
from jointnet.evaluate.roads import ARC_SEGMENTS, BUFFER, Lines, in_metres, metric_crs, unit_of

SHORTEST = 4.0  # metres; a shorter gap is no break


def find_breaks(
    truth: gpd.GeoDataFrame, predicted: Lines, buffer: float = BUFFER, shortest: float = SHORTEST
) -> gpd.GeoDataFrame:
    """Stretches of labelled streets that no predicted line comes near, longest first, in the labels' CRS.

    Column: `length_m` (in the lines' own units without a CRS). A break between two predicted ends is shorter by the
    buffer at each of them.

    Args:
        truth: labelled centre lines.
        predicted: predicted centre lines, in any CRS if `truth` has one.
        buffer: how near is found, in metres.
        shortest: shorter stretches are left out, in metres.

    Raises:
        ValueError: if only one side has a CRS.
    """
    streets, found = in_metres(truth, predicted)
    metres = metric_crs(truth)
    near = shapely.union_all(found).buffer(buffer, quad_segs=ARC_SEGMENTS)
    parts = [part for s in node_lines(streets) for part in shapely.get_parts(s.difference(near))]
    parts = sorted((p for p in parts if p.length >= shortest), key=lambda p: -p.length)
    table = gpd.GeoDataFrame({"length_m": [round(p.length, 2) for p in parts]}, geometry=parts, crs=metres)
    if metres is not None:
        return table.to_crs(truth.crs)
    unit = 1 / unit_of(truth.crs)
    return table.set_geometry(table.geometry.scale(unit, unit, origin=(0, 0)).set_crs(truth.crs))


def break_costs(
    truth: gpd.GeoDataFrame, breaks: gpd.GeoDataFrame, spacing: float = SPACING, snap: float = SNAP
) -> np.ndarray:
    """What each break would cost if it were the only one: the share of routes lost, 1 - `found` of `path_score`.

    Args:
        truth: labelled centre lines.
        breaks: the table of `find_breaks`.
        spacing: farthest that control points lie apart along a street, in metres.
        snap: farthest that a control point may lie from the network, in metres.
    """
    streets, gone = in_metres(truth, breaks)
    whole = shapely.union_all(streets)
    rests = [shapely.get_parts(whole.difference(piece.buffer(0.01, cap_style="flat"))) for piece in gone]
    return np.array([1 - path_score(streets, rest, spacing, snap).found for rest in rests])


def look_along(scene: Scene, lines: gpd.GeoDataFrame, bands: tuple[int, int, int] = (1, 2, 3)) -> pd.DataFrame:
    """What the image shows along each line: mean `brightness` (0 to 255) and `greenness`; NaN off the scene.

    Greenness is the mean of (2 g - r - b) / (r + g + b): trees over the road (Woebbecke et al. 1995). The whole scene
    is held in memory.

    Args:
        scene: the image.
        lines: table of lines in any CRS; for a scene without georeference, in (column, row) pixels.
        bands: 1-based numbers of red, green and blue.
    """
    image = in_bytes(scene).read(None, bands)
    placed = scene.info.crs is not None
    shapes = (lines.to_crs(scene.info.crs) if placed else lines).geometry
    if placed:
        t = ~scene.info.transform
        shapes = shapes.affine_transform([t.a, t.b, t.d, t.e, t.c, t.f])
    rows = [_colours(image, line) for line in shapes]
    return pd.DataFrame(rows, index=lines.index, columns=["brightness", "greenness"])


def street_table(lines: Lines) -> gpd.GeoDataFrame:
    """Any centre lines as streets from junction to junction, for `street_graph`: cut where they cross or meet.

    Args:
        lines: table of lines. With a CRS, the result is in metres of its UTM zone, or of a site grid without a CRS;
            without one, in the lines' units.
    """
    placed = lines if isinstance(lines, gpd.GeoDataFrame | gpd.GeoSeries) else gpd.GeoSeries(list(lines))
    metres = metric_crs(placed)
    streets = node_lines(in_metres(placed, placed)[0])
    return gpd.GeoDataFrame(geometry=list(streets), crs=metres)


def _colours(image: np.ndarray, line: shapely.LineString) -> tuple[float, float]:
    """Mean brightness and greenness of the pixels under a line in (column, row) pixels."""
    places = line.interpolate(np.arange(0.5, max(line.length, 1.0)))
    columns, rows = np.floor(shapely.get_coordinates(places)).astype(int).T
    inside = (rows >= 0) & (rows < image.shape[0]) & (columns >= 0) & (columns < image.shape[1])
    if not inside.any():
        return float("nan"), float("nan")
    red, green, blue = image[rows[inside], columns[inside]].astype(float).T
    total = red + green + blue
    return float(total.mean() / 3), float(((2 * green - red - blue) / np.maximum(total, 1)).mean())

