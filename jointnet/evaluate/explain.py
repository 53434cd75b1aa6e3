"""Labelled objects and the image under them in, what the found and the missed ones look like out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import shapely
from scipy.ndimage import distance_transform_edt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from jointnet.data.scene import Scene
from jointnet.data.stretch import in_bytes
from jointnet.errors import InputError
from jointnet.evaluate.inputs import Prediction, read_strips, strip_rows
from jointnet.evaluate.objects import MATCH_IOU, Overlaps, find_overlaps
from jointnet.predict.vectors.polygonize import Tracer

FEATURES = ("log_area", "brightness", "shadow", "greenness", "neighbour")
DARK = 50  # of 255; mean of the bands of a pixel in shadow
RING = 3.0  # metres around a building in which shadow is looked for
RING_PIXELS = 8  # the same where the gsd is unknown
FOLDS = 5


def object_features(
    scene: Scene, prediction: Prediction, class_name: str = "buildings", threshold: float | None = None,
    bands: tuple[int, int, int] = (1, 2, 3),
) -> pd.DataFrame:
    """One row per labelled object: whether it was found, and what might explain it.

    Columns: `found` (matched at IoU 0.5), `area` in m2, `log_area` (base 10), `brightness` (mean of the bands, 0 to 1),
    `shadow` (share of dark pixels within 3 m around it), `greenness` (mean of (2 g - r - b) / (r + g + b): trees over
    the roof; Woebbecke et al. 1995), `neighbour` (metres to the nearest other object; of a single object, the
    scene's diagonal). Without a gsd, areas and distances are in pixels. The whole scene is held in memory.

    Args:
        scene: a scene with labels of `class_name`.
        prediction: its files.
        class_name: class of the labels.
        threshold: as in `evaluate`.
        bands: 1-based numbers of red, green and blue.

    Raises:
        ValueError: as `evaluate`.
    """
    scene = in_bytes(scene)
    masks = np.zeros((3, *scene.info.shape), bool)
    for strip in read_strips(scene, prediction, class_name, threshold, probabilities=False):
        masks[:, strip.row : strip.row + len(strip.truth)] = strip.truth, strip.predicted, strip.valid
    overlaps = find_overlaps(*masks)
    gsd = scene.gsd or 1.0
    found = np.zeros(len(overlaps.truth_areas), bool)
    found[overlaps.pairs[overlaps.matches(MATCH_IOU), 0]] = True
    area = overlaps.truth_areas[1:] * gsd**2
    columns = {"scene": scene.name, "city": scene.city, "found": found[1:], "area": area, "log_area": np.log10(area)}
    columns |= _colours(scene, overlaps.truth, bands, masks[2], RING / gsd if scene.gsd else RING_PIXELS)
    return pd.DataFrame(columns | {"neighbour": _neighbours(overlaps) * gsd})


def recall_by(features: pd.DataFrame, column: str, bins: int = 4) -> pd.DataFrame:
    """Share of objects found in bins of equally many objects: limits, objects, recall.

    Args:
        features: the table of `object_features` for one or more scenes.
        column: one of its numbers.
        bins: largest number of bins; there are fewer where values repeat.

    Raises:
        ValueError: if the column does not exist or there is no object.
    """
    if column not in features or column in ("scene", "city", "found"):
        raise InputError(f"{column!r} is no feature; choose one of area, {', '.join(FEATURES)}")
    if features.empty:
        raise InputError("there are no labelled objects to explain; choose scenes that hold some")
    groups = features.groupby(pd.qcut(features[column], bins, duplicates="drop"), observed=True)
    table = groups.agg(low=(column, "min"), high=(column, "max"), objects=("found", "size"), recall=("found", "mean"))
    return table.reset_index(drop=True)


def explain_recall(features: pd.DataFrame, resamples: int = 200, seed: int = 0) -> pd.DataFrame:
    """A logistic regression of `found` on the standardised features: what goes along with being found.

    `odds_ratio` says by what the odds of being found are multiplied when a feature grows by one standard deviation and
    the others stay; `low` and `high` are its 95 % interval over bootstrap samples of the objects. The table's `attrs`
    hold the number of objects, the recall and the cross-validated area under the ROC curve `auc`: at 0.5 the features
    explain nothing. This is correlation: small buildings may be missed because they are small, or because they are
    sheds under trees; the table cannot tell.

    Args:
        features: the table of `object_features` for one or more scenes.
        resamples: number of bootstrap samples.
        seed: start of the random samples and folds; the same seed gives the same table.

    Raises:
        ValueError: if fewer than five objects were found, or fewer than five missed.
    """
    x, y = features[list(FEATURES)].to_numpy(float), features["found"].to_numpy(bool)
    if min(y.sum(), (~y).sum()) < FOLDS:
        raise InputError(f"{y.sum()} objects were found and {(~y).sum()} missed; a regression needs {FOLDS} of each")
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    odds = np.exp(_fit(x, y))
    resampled = np.array([np.exp(_fit(x[i], y[i])) for i in _samples(y, resamples, seed)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    guessed = cross_val_predict(LogisticRegression(), x, y, cv=folds, method="predict_proba")[:, 1]
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    table = pd.DataFrame({"odds_ratio": odds, "low": low, "high": high}, index=pd.Index(FEATURES, name="feature"))
    table.attrs = {"objects": len(y), "recall": float(y.mean()), "auc": float(roc_auc_score(y, guessed))}
    return table


def _fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return LogisticRegression().fit(x, y).coef_[0]


def _samples(y: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Indexes of objects, chosen with replacement among the found and among the missed: both are always there."""
    random = np.random.default_rng(seed)
    sides = np.flatnonzero(y), np.flatnonzero(~y)
    for _ in range(resamples):
        yield np.concatenate([random.choice(side, len(side)) for side in sides])


def _colours(scene: Scene, labels: np.ndarray, bands: tuple[int, int, int], valid: np.ndarray, ring: float) -> dict:
    """Mean brightness and greenness on each object, and the share of dark pixels nearest to it within the ring."""
    bands = bands if scene.info.bands >= 3 else (1, 1, 1)
    count, halo = labels.max() + 1, int(np.ceil(ring))
    sums = np.zeros((5, count))  # pixels, brightness, greenness; pixels of the ring, dark ones
    for top, rows in strip_rows(*labels.shape):
        own = slice(top, top + rows)
        image = scene.read((top, 0, rows, labels.shape[1]), bands)
        grown = labels[max(0, top - halo) : top + rows + halo]
        nearest = _nearest_within(grown, ring)[min(top, halo) :][:rows]
        sums[:3] += _sums_on(labels[own], image, count)
        around = (labels[own] == 0) & (nearest > 0) & valid[own]
        dark = image[around].mean(axis=1) < DARK
        sums[3] += np.bincount(nearest[around], minlength=count)
        sums[4] += np.bincount(nearest[around], dark, count)
    pixels, bright, green, whole, dark = sums[:, 1:]
    return {"brightness": bright / pixels, "shadow": dark / np.maximum(whole, 1), "greenness": green / pixels}


def _sums_on(labels: np.ndarray, image: np.ndarray, count: int) -> np.ndarray:
    """Pixels, brightness and greenness summed over each object: float64 (3, count)."""
    numbers, pixels = labels[labels > 0], image[labels > 0].astype(float)
    total = pixels.sum(axis=1)
    green = (3 * pixels[:, 1] - total) / np.maximum(total, 1)
    return np.stack([np.bincount(numbers, v, count) for v in (np.ones(len(numbers)), total / 765, green)])


def _nearest_within(labels: np.ndarray, distance: float) -> np.ndarray:
    """Number of the nearest object where one lies within the distance in pixels, else 0."""
    if not labels.any():
        return labels
    apart, (rows, cols) = distance_transform_edt(labels == 0, return_indices=True)
    return np.where(apart <= distance, labels[rows, cols], 0)


def _neighbours(overlaps: Overlaps) -> np.ndarray:
    """Pixels from each labelled object's outline to the nearest other one's."""
    count, (height, width) = len(overlaps.truth_areas) - 1, overlaps.truth.shape
    distances = np.full(count, np.hypot(height, width))
    if count > 1:
        tracer = Tracer(width)
        tracer.add(overlaps.truth > 0)
        polygons = tracer.finish()[0]
        x, y = (get(shapely.point_on_surface(polygons)).astype(int) for get in (shapely.get_x, shapely.get_y))
        (own, _), apart = shapely.STRtree(polygons).query_nearest(
            polygons, exclusive=True, return_distance=True, all_matches=False
        )
        distances[overlaps.truth[y, x][own] - 1] = apart
    return distances
