"""Features and what a column of class names says of them in, those of one class out."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from jointnet.data.layers import LabelError, Layer, denies_class, names_class, read_column
from jointnet.data.shapes import TAGS, features_said
from jointnet.files import state_of

CLASS_COLUMNS = ("class", "class_name", "classname", "category", "label", "class_id", "label_id")
TYPE_COLUMNS = ("fclass", "subtype", "type", "kind", "object", "layer")  # which may as well tell houses from garages
AREA_COLUMNS = ("landuse", "natural", "leisure", "waterway")  # of OpenStreetMap's areas; of footprints, their use
OTHERS = ("building", "road", "street", "tree", "vegetation", "grass", "forest", "water", "river", "lake", "pool",
          "car", "vehicle", "field", "crop", "background", "railway")
STREETS = ("road", "street")  # two words for one class
MANY = 20  # a column of more values says something else


def features_of_class(
    table: gpd.GeoDataFrame, layer: Layer, class_name: str | None, notes: list[str]
) -> gpd.GeoDataFrame:
    """The features of a layer that its column of class names, where it has one, does not give to another class.

    Of a column that names the class, the features that bear the name are taken; of one that does not, those that bear
    the name of no other class that is known here. What every window of a file holds is decided once, for the file.

    Args:
        table: some features of the layer.
        layer: the layer that they were read from.
        class_name: the class that is looked for; None takes all.
        notes: to these is added what was left out, or what may have been taken wrongly.

    Raises:
        LabelError: if the column gives every feature of the layer to other classes.
    """
    if class_name is None or TAGS.get(class_name) in [f.lower() for f in layer.fields]:
        return table  # OpenStreetMap's own tags say it better
    column, values, left = _said(layer, class_name, state_of(layer.path))
    if column is None:
        return table
    if not left:
        notes.append(f"its column {column!r} holds {_listed(values)}, and all of them are taken as {class_name}; where "
                     f"some are not, save the others in a file of their own")
        return table
    other = table[column].map(_word).isin(left).to_numpy()
    if other.any():
        found = sorted(set(table[column][other].map(_word)))
        notes.append(f"{features_said(table.index[other], 'feature')} left out, whose {column} is {_listed(found)}")
    return table[~other]


@lru_cache(maxsize=64)
def _said(layer: Layer, class_name: str, _state: tuple) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """The column of a layer that tells classes, its values and those of other classes; None where none needs telling.

    A column without values of other classes is worth telling only where it cannot be known what its values mean.
    """
    columns = {f.lower(): f for f in reversed(layer.fields)}
    unclear: tuple[str | None, tuple[str, ...], tuple[str, ...]] = (None, (), ())
    for name in (n for n in (*CLASS_COLUMNS, *TYPE_COLUMNS, *AREA_COLUMNS) if n in columns):
        cells = pd.Series(read_column(layer, columns[name]))
        values = tuple(sorted(set(cells.map(_word))))
        mine = {v for v in values if names_class(v, class_name)}
        left = {v for v in values if _is_other(v, class_name) or (mine and not _is_one_of(v, _words_for(class_name)))}
        left -= mine
        if left and len(left) == len(values):
            raise LabelError(f"{layer} has no {class_name}: its column {columns[name]!r} holds {_listed(values)}; "
                             f"choose one of these as the class, or give the labels of {class_name}")
        if left:
            return columns[name], values, tuple(sorted(left))
        if mine:
            return unclear
        doubtful = 1 < len(values) <= MANY if name in CLASS_COLUMNS else name in AREA_COLUMNS and any(values)
        if doubtful and unclear[0] is None:
            unclear = columns[name], values, ()
    return unclear


def _word(value: Any) -> str:
    """A cell as it is compared: its text in small letters, "" of an empty one, several words with commas between."""
    if np.ndim(value):  # a list of words, as GeoJSON may have it
        return ", ".join(filter(None, map(_word, value)))
    return "" if pd.isna(value) else str(value).strip().lower()


def _is_other(value: str, class_name: str) -> bool:
    """Whether a value names a class that is not the one looked for."""
    own = _words_for(class_name)
    return denies_class(value, class_name) or _is_one_of(value, [word for word in OTHERS if word not in own])


def _words_for(class_name: str) -> tuple[str, ...]:
    """The class in the singular, and another word for it."""
    own = class_name.lower().removesuffix("s")
    return STREETS if own in STREETS else (own,)


def _is_one_of(value: str, words: Collection[str]) -> bool:
    """Whether a value is one of some words, in the plural or not."""
    return bool(re.fullmatch(rf"({'|'.join(map(re.escape, words))})e?s?", value))


def _listed(values: Collection[str]) -> str:
    shown = [repr(v) if v else "nothing" for v in list(values)[:6]]
    return ", ".join(shown) + (", ..." if len(values) > 6 else "")
