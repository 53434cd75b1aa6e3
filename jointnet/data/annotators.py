"""Annotators that are no people: the truth of a drawn scene in, what a careful or a hasty person keeps of it out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from jointnet.data.edits import Shape

SHIFT = (1.5, -1.0)  # columns and rows that a hasty person's outlines lie beside the roofs
SMALLEST = 400.0  # square pixels; smaller buildings are overlooked
JOINED = 6.0  # pixels; buildings that are no farther apart are drawn as one


def careful(truth: Sequence[Shape], area: shapely.Geometry) -> list[Shape]:
    """Every shape that meets an area, as it is.

    Args:
        truth: shapes in pixels of the scene.
        area: in the same pixels; what is said to be done.
    """
    return [shape for shape in truth if shape.geometry.intersects(area)]


def hasty(truth: Sequence[Shape], area: shapely.Geometry) -> list[Shape]:
    """The same by a person who errs in known ways.

    Every building is a rectangle around it; all lie 1.5 columns to the right and 1 row above; those below 400 square
    pixels are overlooked; those that are no more than 6 pixels apart become one. Arguments as `careful`.
    """
    seen = [shape for shape in careful(truth, area) if shape.geometry.area >= SMALLEST]
    grown = shapely.union_all([shapely.buffer(s.geometry, JOINED / 2, join_style="mitre") for s in seen])
    groups = [shapely.buffer(part, -JOINED / 2, join_style="mitre") for part in shapely.get_parts(grown)]
    boxes = [shapely.minimum_rotated_rectangle(group) for group in groups if not group.is_empty]
    layer = truth[0].layer if truth else "buildings"
    return [Shape(layer, shapely.transform(box, lambda xy: xy + np.array(SHIFT))) for box in boxes]
