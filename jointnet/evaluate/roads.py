"""Centre lines in, how much of the road is found and how much of what was found is road out; in metres."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import geopandas as gpd
import numpy as np
import pyproj
import shapely

from jointnet.data.degrees import on_earth
from jointnet.errors import InputError
from jointnet.evaluate.counts import MatchedCounts

BUFFER = 3.0  # metres
ARC_SEGMENTS = 32  # per quarter circle: a buffer's round ends are within 0.03 % of its width

Lines: TypeAlias = gpd.GeoDataFrame | gpd.GeoSeries | Iterable[shapely.LineString]


class LineCounts(MatchedCounts):
    """Metres of line: the extraction, the reference, and how much of each matches the other. They add up."""

    @property
    def completeness(self) -> float:
        """Share of the reference within the buffer of the extraction."""
        return self.recall

    @property
    def correctness(self) -> float:
        """Share of the extraction within the buffer of the reference."""
        return self.precision

    @property
    def quality(self) -> float:
        """Matched extraction out of all extraction and unmatched reference; 1 where there is neither."""
        whole = self.predicted + self.truth - self.truth_matched
        return self.predicted_matched / whole if whole else 1.0

    def __add__(self, other: MatchedCounts) -> LineCounts:  # type: ignore[override]  # pools, where a tuple appends
        """Both pooled."""
        return LineCounts(*super().__add__(other))

    def scores(self) -> dict[str, float]:
        """The three scores by name."""
        return {"completeness": self.completeness, "correctness": self.correctness, "quality": self.quality}


def line_counts(truth: Lines, predicted: Lines, buffer: float = BUFFER) -> LineCounts:
    """Lengths of reference and extraction within a buffer of each other (Wiedemann, 2003).

    Lines in a CRS are measured in metres, geographic ones in their UTM zone. Where lines lie twice over one another
    they count once. Lines at right angles match near their crossing, so a dense network finds a little of anything.

    Args:
        truth: reference centre lines.
        predicted: extracted centre lines, in any CRS if `truth` has one.
        buffer: half width of the tolerance, in metres (in the lines' own units without a CRS).

    Raises:
        ValueError: if only one side has a CRS, or the buffer is not positive.
    """
    if not buffer > 0:
        raise InputError(f"buffer={buffer} must be above 0 metres; 3 is usual")
    reference, extracted = (shapely.union_all(lines) for lines in in_metres(truth, predicted))
    right, found = _length_within(extracted, reference, buffer), _length_within(reference, extracted, buffer)
    return LineCounts(right, extracted.length, found, reference.length)


def in_metres(truth: Lines, predicted: Lines) -> tuple[np.ndarray, np.ndarray]:
    """Both sides as arrays of LineStrings in one CRS of metres; without CRS, as they are.

    A site grid (engineering CRS) is scaled to metres by its unit.

    Raises:
        ValueError: if only one side has a CRS, or a place on the earth, or something else than lines is among them.
    """
    sides = [s.geometry if isinstance(s, gpd.GeoDataFrame) else gpd.GeoSeries(s) for s in (truth, predicted)]
    systems = [s.crs for s in sides]
    filled = [s.crs for s in sides if len(s)]
    if (None in filled) and any(filled):
        raise InputError(f"one side is in {systems[0] or systems[1]}, the other has no CRS; set it with set_crs()")
    placed = [s for s in sides if s.crs is not None and len(s)]
    if len(placed) == 2 and on_earth(placed[0].crs) != on_earth(placed[1].crs):
        raise InputError(f"one side is in {placed[0].crs.name!r}, the other in {placed[1].crs.name!r}: of a site grid "
                         "nobody knows where on the earth it lies; save both in one CRS")
    metres = metric_crs(placed[0]) if placed else None
    if metres is not None:
        sides = [s.to_crs(metres) if len(s) else s for s in sides]
    elif placed:
        sides = [s.scale(*[unit_of(s.crs)] * 2, origin=(0, 0)) if len(s) else s for s in sides]
    return _line_strings(sides[0]), _line_strings(sides[1])


def metric_crs(lines: gpd.GeoDataFrame | gpd.GeoSeries) -> pyproj.CRS | None:
    """The UTM zone of lines; None of those without a CRS, or in a site grid, which has no place on the earth."""
    return lines.estimate_utm_crs() if len(lines) and on_earth(lines.crs) else None


def unit_of(crs: pyproj.CRS | None) -> float:
    """Metres of a unit of a site grid; 1 where there is none."""
    return float(crs.axis_info[0].unit_conversion_factor) if crs is not None and crs.axis_info else 1.0


def _line_strings(series: gpd.GeoSeries) -> np.ndarray:
    lines = np.array(shapely.get_parts(np.asarray(series.dropna(), dtype=object)), object)
    kinds = set(shapely.get_type_id(lines).tolist()) - {1, 2}  # LineString and LinearRing
    if kinds:
        raise InputError("these shapes are not all lines; give centre lines, not outlines")
    return lines[shapely.length(lines) > 0] if len(lines) else lines


def _length_within(lines: shapely.Geometry, others: shapely.Geometry, buffer: float) -> float:
    return lines.intersection(others.buffer(buffer, quad_segs=ARC_SEGMENTS)).length
