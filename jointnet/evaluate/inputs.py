"""Predictions on disk and scenes in, strips of aligned arrays out: no more of a scene in memory than a strip."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jointnet.data.raster import Grid, binary_mask, open_raster, read_info
from jointnet.data.scene import Dataset, Scene
from jointnet.errors import InputError
from jointnet.predict.rasters import class_bands, made_with, read_probability, read_shown, stored_thresholds

STRIP_PIXELS = 3_000_000  # pixels of one strip; the distance transforms need some 50 bytes for each
STRIP_STEP = 512  # strips start on the rows where the tiles of a raster start
RASTER_SUFFIXES = (".tif", ".tiff", ".png")


@dataclass(frozen=True)
class Prediction:
    """The files of one scene's prediction; either may be missing, not both."""

    mask: Path | None = None
    probability: Path | None = None

    def threshold(self, class_name: str) -> float | None:
        """The threshold that the prediction was made with, if its probability raster tells, else None."""
        if self.probability is None:
            return None
        return stored_thresholds(self.probability, class_bands(self.probability, class_name)).get(class_name)


@dataclass(frozen=True)
class Strip:
    """Full-width rows of one scene, arrays (height, width): masks are bool, `probability` is float32 or None."""

    row: int
    truth: np.ndarray
    predicted: np.ndarray
    valid: np.ndarray
    probability: np.ndarray | None = None


def find_predictions(
    source: str | Path | Mapping[str, str | Path | Prediction], dataset: Dataset
) -> dict[str, Prediction]:
    """Scene name -> prediction, of the scenes that have one.

    Args:
        source: folder of `NAME_mask.tif` and `NAME_probability.tif`, or a mapping of scene names to a `Prediction`
            or a file, a probability raster if its name ends in `_probability` and a mask otherwise.
        dataset: the scenes that may be predicted.

    Raises:
        ValueError: if the folder is missing, or no prediction belongs to a scene.
    """
    twice = [name for name, count in Counter(s.name for s in dataset).items() if count > 1]
    if twice:
        raise InputError(f"{dataset.name} has several scenes called {', '.join(twice)}; narrow it with "
                         "select(split=...)")
    if isinstance(source, Mapping):
        found = {name: _as_prediction(item) for name, item in source.items()}
        unknown = sorted(set(found) - {s.name for s in dataset})
        if unknown:
            raise InputError(f"{dataset.name} has no scene {', '.join(unknown)}; it has {_names(dataset)}")
    else:
        found = _predictions_in(Path(source), dataset)
    if not found:
        raise InputError(f"{source} holds no prediction of {dataset.name}; expected NAME_mask.tif or "
                         f"NAME_probability.tif with NAME one of {_names(dataset)}")
    return found


def read_strips(
    scene: Scene, prediction: Prediction, class_name: str, threshold: float | None = None, probabilities: bool = True
) -> Iterator[Strip]:
    """The scene's labels, prediction and valid pixels, strip after strip from the top.

    Args:
        scene: a scene with labels of `class_name`.
        prediction: its files.
        class_name: class of the labels, "buildings" or "roads".
        threshold: applied to the probabilities; None takes the mask, or the threshold stored with the probabilities.
        probabilities: read them too, where there are any.

    Raises:
        ValueError: if a file lies on another grid than the scene, or holds other values than its type allows.
    """
    threshold = choose_threshold(scene, prediction, class_name, threshold)
    for path in (prediction.mask, prediction.probability):
        if path is not None:
            check_grid(read_info(path), scene.info, path, scene.name)
    mask_band, band = (1 if path is None else class_bands(path, class_name)[class_name] + 1
                       for path in (prediction.mask, prediction.probability))
    height, width = scene.info.shape
    for row, rows in strip_rows(height, width):
        window = (row, 0, rows, width)
        probability = None
        if prediction.probability is not None and (probabilities or threshold is not None):
            probability = read_probability(prediction.probability, window, [band])[..., 0]
        if threshold is not None and probability is not None:
            predicted = probability >= np.float32(threshold)
        else:
            predicted = _read_mask(prediction.mask, window, mask_band)
        truth, labelled = scene.read_truth(class_name, window)
        yield Strip(row, truth > 0, predicted, labelled & scene.read_valid(window), probability)


def choose_threshold(scene: Scene, prediction: Prediction, class_name: str, threshold: float | None) -> float | None:
    """The threshold to apply to the probabilities, or None where the mask is to be taken as it is.

    Raises:
        ValueError: if the threshold is not within 0 and 1, or needs a probability raster that is not there.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"threshold {threshold} is not a probability; choose one from 0 to 1")
    if threshold is None and prediction.mask is None:
        threshold = prediction.threshold(class_name)
        if threshold is None:
            raise InputError(f"{prediction.probability} has no mask beside it and no threshold in its tags; "
                             f"pass threshold= (--threshold)")
    if threshold is not None and prediction.probability is None:
        raise InputError(f"{scene.name} has a mask only, so threshold={threshold} cannot be applied; "
                         f"leave it out, or predict with probabilities")
    return threshold


def strip_rows(height: int, width: int) -> list[tuple[int, int]]:
    """(first row, rows) of strips of about `STRIP_PIXELS`, a multiple of 512 rows but for the last."""
    step = max(STRIP_STEP, STRIP_PIXELS // width // STRIP_STEP * STRIP_STEP)
    return [(row, min(step, height - row)) for row in range(0, height, step)]


def with_halo(strips: Iterable[Strip], halo: int) -> Iterator[tuple[Strip, slice]]:
    """Each strip grown by up to `halo` rows of its neighbours, and the slice of its own rows. Files are read once.

    Strips lower than the halo are no trouble: rows are gathered from as many neighbours as it takes.
    """
    held: list[Strip] = []
    current = 0  # index in `held` of the strip that is to be given next
    for strip in strips:
        held.append(strip)
        while current < len(held) and _rows(held[current + 1 :]) >= halo:
            yield _joined(held, current, halo)
            current += 1
            while current > 0 and _rows(held[1:current]) >= halo:
                held.pop(0)
                current -= 1
    for index in range(current, len(held)):
        yield _joined(held, index, halo)


def check_grid(found: Grid, expected: Grid, path: Path, name: str) -> None:
    """Raises ValueError unless a raster lies on a scene's grid; one without a georeference only needs its size."""
    if found.shape != expected.shape:
        raise InputError(f"{path} is {found.shape} px, {name} {expected.shape} px; predict on the image's own grid")
    if found.crs is None or expected.crs is None:
        return
    if found.crs != expected.crs:
        raise InputError(f"{path} is in {found.crs}, {name} in {expected.crs}; reproject the prediction first")
    tolerance = 1e-3 * max(abs(expected.transform.a), abs(expected.transform.b))
    if not found.transform.almost_equals(expected.transform, tolerance):
        raise InputError(f"{path} has the size of {name} but lies elsewhere: its transform is "
                         f"{tuple(found.transform)[:6]}, expected {tuple(expected.transform)[:6]}")


def _as_prediction(item: str | Path | Prediction) -> Prediction:
    if isinstance(item, Prediction):
        return item
    path = Path(item)
    return Prediction(probability=path) if path.stem.endswith("_probability") else Prediction(mask=path)


def _predictions_in(folder: Path, dataset: Dataset) -> dict[str, Prediction]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the one that the predictions were written to")
    found = {}
    for scene in dataset:
        pair = _pair(folder, scene.name) or _pair_by_file(folder, scene, dataset)
        if pair:
            found[scene.name] = pair
    return found


def _pair(folder: Path, name: str) -> Prediction | None:
    """The prediction in a folder whose files bear a name."""
    mask, probability = (_first(folder, f"{name}_{what}") for what in ("mask", "probability"))
    return Prediction(mask, probability) if mask or probability else None


def _pair_by_file(folder: Path, scene: Scene, dataset: Dataset) -> Prediction | None:
    """The prediction that bears the name of a scene's image, where the scene is called otherwise: "test-a" for "a".

    Which of several images of that name it was made from is told by its tags, or by its place.

    Raises:
        ValueError: if it has neither, and so may belong to several scenes.
    """
    stem = scene.image.stem
    if scene.part or not scene.name.endswith(f"-{stem}"):
        return None
    pair = _pair(folder, stem)
    if pair is None:
        return None
    path = pair.mask or pair.probability or folder
    info = read_info(path)
    made_from = made_with(path).get("image")
    if made_from is not None and Path(made_from).exists():
        return pair if Path(made_from) == scene.image.resolve() else None
    rivals = [s for s in dataset if s.image.stem == stem]
    if info.crs is not None and len(rivals) > 1:
        rivals = [s for s in rivals if _lies_on(info, s.info)] or rivals
    if len(rivals) > 1:
        images = " or to ".join(str(s.image) for s in rivals)
        raise InputError(f"{path} may belong to {images}; narrow the dataset with split=, or call it "
                         f"{path.name.replace(stem, scene.name, 1)} if it is of {scene.name}")
    return pair if scene in rivals else None


def _lies_on(found: Grid, expected: Grid) -> bool:
    """Whether `check_grid` has nothing against a raster."""
    try:
        check_grid(found, expected, Path(), "")
    except ValueError:
        return False
    return True


def _first(folder: Path, stem: str) -> Path | None:
    """The raster of a name, in which a letter with an accent may be one character or two."""
    stems = dict.fromkeys((stem, *(unicodedata.normalize(form, stem) for form in ("NFC", "NFD"))))
    return next((p for name in stems for s in RASTER_SUFFIXES if (p := folder / f"{name}{s}").exists()), None)


def _names(dataset: Dataset) -> str:
    names = [s.name for s in dataset]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _read_mask(path: Path | None, window: tuple[int, int, int, int], band: int) -> np.ndarray:
    if path is None:
        raise InputError("the prediction has neither a mask nor probabilities to cut")
    with open_raster(path) as raster:
        return binary_mask(read_shown(raster, window, [band])[..., 0], str(path)) > 0


def _rows(strips: list[Strip]) -> int:
    return sum(len(s.truth) for s in strips)


def _joined(strips: list[Strip], index: int, halo: int) -> tuple[Strip, slice]:
    """The strip at `index` with up to `halo` rows on either side, and the slice of its own rows."""
    own = strips[index]
    before, after = _rows(strips[:index]), _rows(strips[index + 1 :])
    cut_top, cut_bottom = max(0, before - halo), max(0, after - halo)

    def gather(name: str) -> np.ndarray:
        rows = np.concatenate([getattr(s, name) for s in strips])
        return rows[cut_top : len(rows) - cut_bottom]

    probability = None if own.probability is None else gather("probability")
    top = before - cut_top
    joined = Strip(own.row - top, gather("truth"), gather("predicted"), gather("valid"), probability)
    return joined, slice(top, top + len(own.truth))
