"""The format of a prediction's rasters, known here alone: pixels, no-data, tags, classes and thresholds, both ways.

Rasters of other programs are read, too: what their values mean follows from their type and their declared no-data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from jointnet.data.raster import Grid, RasterError, RasterReader, RasterWriter, create_raster, open_raster, read_info
from jointnet.network.card import DEFAULT_THRESHOLD, class_names
from jointnet.predict.settings import PredictionError

LEVELS = 254  # in a uint8 raster of ours, 0 to 254 stand for 0 to 1
NODATA = 255  # and this for "no imagery"; in a float32 raster NaN does
RUN, SETTINGS, VALUES = "JOINTNET_RUN", "JOINTNET_SETTINGS", "JOINTNET_VALUES"  # names of our tags
CREDITS = ("JOINTNET_CREDIT", "JOINTNET_TERMS", "JOINTNET_SOURCE")  # tags of imagery that go with what it shows
TYPES = ("uint8", "float32")
BEYOND = 1e-5  # probabilities may lie so far outside 0 to 1: they are sums of float32 weights


@dataclass(frozen=True)
class Meaning:
    """What the values of a probability raster stand for.

    Attributes:
        one: the value that stands for a probability of 1; 0 stands for 0.
        nodata: the value that stands for "no imagery", as NaN always does; None where there is none.
    """

    one: float
    nodata: float | None = None


OURS = Meaning(LEVELS, NODATA)


@dataclass(frozen=True)
class ProbabilityReader:
    """An open probability raster that reads windows as probabilities."""

    raster: RasterReader
    meaning: Meaning

    def read(self, window: tuple[int, int, int, int] | None = None, bands: Sequence[int] | None = None) -> np.ndarray:
        """float32 (height, width, bands) in [0, 1], NaN where there is no imagery; see `RasterReader.read`."""
        return to_probability(self.raster.read(window, bands), self.meaning)


@contextmanager
def open_probability(path: str | Path) -> Iterator[ProbabilityReader]:
    """An open `ProbabilityReader`. Errors as `open_raster` and `meaning_of`."""
    with open_raster(path) as raster:
        yield ProbabilityReader(raster, meaning_of(raster.info, path))


def read_probability(path: str | Path, window: tuple[int, int, int, int] | None = None,
                     bands: Sequence[int] | None = None) -> np.ndarray:
    """A probability raster as float32 (height, width, classes) in [0, 1], NaN where there is no imagery."""
    with open_probability(path) as raster:
        return raster.read(window, bands)


def meaning_of(info: Grid, path: str | Path) -> Meaning:
    """What the values of a probability raster stand for, by its tags or else by its type and its declared no-data.

    Of 8-bit values without our tags 255 stands for 1, or for "no imagery" where it is the declared no-data; 254 then
    stands for 1, as in rasters of ours.

    Raises:
        RasterError: if the type leaves it open.
    """
    if np.issubdtype(np.dtype(info.dtype), np.floating):
        return Meaning(1.0, info.nodata)
    if info.dtype != "uint8":
        raise RasterError(f"{path} holds {info.dtype} values and does not say which of them is a probability of 1; "
                          f"convert it to float32 from 0 to 1, for example with: gdal_translate -ot Float32 -scale 0 "
                          f"65535 0 1")
    # A mask of ours holds the settings, too; what 255 means there is the class, so it is read as another program's.
    is_ours = VALUES in (info.tags or {}) or info.nodata == NODATA
    return OURS if is_ours else Meaning(255, info.nodata)


def read_shown(raster: RasterReader, window: tuple[int, int, int, int] | None = None,
               bands: Sequence[int] | None = None) -> np.ndarray:
    """The values of a mask of any program, (height, width, bands), 0 where it says no-data or holds no number.

    Raises:
        PredictionError: if it holds probabilities, or calls no-data what may be the class: 1 or 255.
    """
    if VALUES in (raster.info.tags or {}):
        raise PredictionError(f"{raster.path} holds probabilities, a mask is needed: give NAME_mask.tif")
    values = raster.read(window, bands, resampling="nearest")
    valid = raster.read_valid(window)[..., None]
    hidden = values[np.broadcast_to(~valid, values.shape)]
    if np.isin(hidden, (1, 255)).any():
        raise PredictionError(f"{raster.path} calls {hidden[np.isin(hidden, (1, 255))][0]} no-data and holds it: is "
                              f"that the class? Then take the declaration away (gdal_edit.py -unsetnodata); else write "
                              f"0 there, for example with: gdalwarp -dstnodata 0")
    return np.where(foreground(values, str(raster.path)) & valid, values, 0)


def read_foreground(raster: RasterReader, window: tuple[int, int, int, int] | None = None,
                    bands: Sequence[int] | None = None) -> np.ndarray:
    """Where a mask of any program shows its class: bool (height, width, bands). Errors as `read_shown`."""
    return read_shown(raster, window, bands) != 0


def foreground(values: np.ndarray, name: str = "the mask") -> np.ndarray:
    """Where the values of a mask are not 0: bool, of the same shape; what is no number shows nothing.

    Raises:
        PredictionError: if they are probabilities: numbers between 0 and 1.
    """
    if values.dtype.kind != "f":
        return values != 0
    if ((values > 0) & (values < 1)).any():
        raise PredictionError(f"{name} holds numbers between 0 and 1, as probabilities do; a mask is needed: cut them "
                              f"at a threshold")
    return (values != 0) & np.isfinite(values)


def to_values(probability: np.ndarray, valid: np.ndarray, dtype: str = "uint8") -> np.ndarray:
    """The pixels of a probability raster of ours.

    Args:
        probability: float (height, width, classes) in [0, 1].
        valid: bool (height, width), False where there is no imagery.
        dtype: "uint8" or "float32".
    """
    if dtype == "float32":
        return np.where(valid[..., None], probability, np.float32(np.nan)).astype(np.float32)
    return np.where(valid[..., None], np.rint(probability * LEVELS), NODATA).astype(np.uint8)


def to_probability(values: np.ndarray, meaning: Meaning = OURS) -> np.ndarray:
    """Pixels as float32 in [0, 1], NaN where there is no imagery; same shape."""
    if values.dtype == np.uint8:
        return _table(meaning)[values]
    probability = values.astype(np.float32, copy=False)
    if meaning.nodata is None or np.isnan(meaning.nodata):
        return probability
    return np.where(values == meaning.nodata, np.float32(np.nan), probability)


def to_bytes(values: np.ndarray, meaning: Meaning = OURS) -> np.ndarray:
    """Pixels as uint8 for the screen: 255 stands for 1, and 0 for no imagery, too; same shape.

    Raises:
        PredictionError: if they are not between 0 and 1, as percentages are not.
    """
    probability = np.nan_to_num(to_probability(values, meaning))
    if probability.size and not (probability.min() >= -BEYOND and probability.max() <= 1 + BEYOND):
        raise PredictionError(f"probabilities must lie in 0 to 1, these in {probability.min():g} to "
                              f"{probability.max():g}; divide percentages by 100")
    return np.round(np.clip(probability, 0, 1) * 255).astype(np.uint8)


@lru_cache(maxsize=16)
def _table(meaning: Meaning) -> np.ndarray:
    """The probability of each 8-bit value, float32 (256,)."""
    table = np.minimum(np.arange(256) / meaning.one, 1).astype(np.float32)
    if meaning.nodata is not None and 0 <= meaning.nodata <= 255:
        table[int(meaning.nodata)] = np.nan
    return table


@contextmanager
def create_probability(path: Path, grid: Grid, classes: int, dtype: str, made_with: Mapping[str, Any], run: str
                       ) -> Iterator[RasterWriter]:
    """A writer of a probability raster; see `create_raster`.

    Args:
        path: where it appears.
        grid: size, CRS and transform.
        classes: bands to write.
        dtype: "uint8" or "float32".
        made_with: what the prediction was made with, with "classes" and "thresholds", each of a band.
        run: a checksum of that.
    """
    means = {"uint8": f"probability = value / {LEVELS}; {NODATA} = no imagery", "float32": "NaN = no imagery"}[dtype]
    nodata = NODATA if dtype == "uint8" else float("nan")
    with create_raster(path, grid, classes, dtype, nodata, _tags(grid, made_with, run) | {VALUES: means}) as raster:
        yield raster


@contextmanager
def create_mask(path: Path, grid: Grid, classes: int, made_with: Mapping[str, Any], run: str) -> Iterator[RasterWriter]:
    """A writer of a mask of 0 and 255; arguments as of `create_probability`."""
    with create_raster(path, grid, classes, tags=_tags(grid, made_with, run), overview="nearest") as raster:
        yield raster


def _tags(grid: Grid, made_with: Mapping[str, Any], run: str) -> dict[str, str]:
    credits = {name: text for name, text in (grid.tags or {}).items() if name in CREDITS}
    return {RUN: run, SETTINGS: json.dumps(made_with, sort_keys=True), **credits}


def is_probability(info: Grid) -> bool:
    """Whether a raster holds probabilities rather than a mask, by its tags or its type."""
    return VALUES in (info.tags or {}) or info.dtype.startswith("float")


def run_of(path: str | Path) -> str | None:
    """The checksum of what a raster of ours was made with; None of other files, damaged ones and none."""
    try:
        return (read_info(path).tags or {}).get(RUN)
    except RasterError:
        return None


def made_with(path: str | Path) -> dict[str, Any]:
    """What a raster of ours was made with; {} of other files."""
    return json.loads((read_info(path).tags or {}).get(SETTINGS, "{}"))


def class_bands(source: str | Path | np.ndarray, class_name: str | Sequence[str] | None = None) -> dict[str, int]:
    """Class -> index of its band, of a prediction.

    A file of one band is of the class that is asked for, unless it says buildings and is asked for roads, or the
    reverse. Planes of an array that nobody names are called as the classes of a network without a card.

    Args:
        source: raster file or array (height, width[, classes]).
        class_name: the class that is wanted, or the name of each band; without it all that the file names.

    Raises:
        PredictionError: if the prediction has no such class, or several bands and no names.
    """
    what = "the array" if isinstance(source, np.ndarray) else str(source)
    count = np.atleast_3d(source).shape[2] if isinstance(source, np.ndarray) else read_info(source).bands
    if class_name is not None and not isinstance(class_name, str):
        if len(class_name) != count:
            raise PredictionError(f"class_name names {len(class_name)} classes ({', '.join(class_name)}), {what} has "
                                  f"{count} bands")
        return {name: band for band, name in enumerate(class_name)}
    names = () if isinstance(source, np.ndarray) else tuple(made_with(source).get("classes", ()))
    if count == 1 and class_name is not None:
        if len(names) == 1 and {names[0], class_name} == set(class_names(2)):  # else it may be another word for it
            raise PredictionError(f"{what} is of {names[0]}, not of {class_name}; name the class that was predicted")
        return {class_name: 0}
    if not names and count > 1 and not isinstance(source, np.ndarray):
        raise PredictionError(f"{what} has {count} bands and does not say of which classes; name them in order where "
                              f"class_name takes several, or give a file of one band, for example of: gdal_translate "
                              f"-b 1")
    names = names or class_names(count)
    if class_name is None:
        return {name: band for band, name in enumerate(names)}
    if class_name not in names:
        raise PredictionError(f"{what} has {count} bands, for {', '.join(names)}; none is for {class_name!r}")
    return {class_name: names.index(class_name)}


def stored_thresholds(path: str | Path, classes: Mapping[str, int]) -> dict[str, float]:
    """Class -> the threshold that a raster of ours was made with; {} of other files.

    Args:
        path: the raster.
        classes: class -> index of its band.
    """
    held = made_with(path)
    stored = held.get("thresholds", [])
    by_name = dict(zip(held.get("classes", ()), stored, strict=False))  # of a file that lost some of its bands, too
    found = {name: stored[band] for name, band in classes.items() if band < len(stored)} | by_name
    return {name: float(found[name]) for name in classes if name in found}


def class_thresholds(source: str | Path | np.ndarray | None, classes: Mapping[str, int],
                     threshold: float | Mapping[str, float] | None = None) -> dict[str, float]:
    """Class -> threshold: the one given, else the one that the file was made with, else a card's default.

    Args:
        source: raster file or array; None where nothing is predicted.
        classes: see `class_bands`.
        threshold: one for all classes, or class -> threshold.

    Raises:
        PredictionError: if one is not between 0 and 1, or is of a class that is not there.
    """
    given: Mapping[str, float]
    if threshold is None or isinstance(threshold, Mapping):
        given = threshold or {}
    else:
        given = dict.fromkeys(classes, threshold)
    unknown = sorted(set(given) - set(classes))
    if unknown:
        raise PredictionError(f"threshold names {', '.join(unknown)}; the classes here are {', '.join(classes)}")
    stored = {} if source is None or isinstance(source, np.ndarray) else stored_thresholds(source, classes)
    limits = {name: float(given.get(name, stored.get(name, DEFAULT_THRESHOLD))) for name in classes}
    for value in limits.values():
        if not 0 < value < 1:
            raise PredictionError(f"threshold={value} must lie between 0 and 1, for example {DEFAULT_THRESHOLD}")
    return limits
