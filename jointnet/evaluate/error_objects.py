"""Labels and a prediction in, a table of error objects out: what kind of error each is, where, and how sure of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.ndimage import binary_dilation

from jointnet.data.degrees import to_degrees
from jointnet.data.scene import Dataset, Scene
from jointnet.errors import InputError
from jointnet.evaluate.error_kinds import Error, sort_errors
from jointnet.evaluate.inputs import Prediction, find_predictions, read_strips
from jointnet.evaluate.objects import Overlaps, find_overlaps
from jointnet.predict.vectors.polygonize import Tracer
from jointnet.predict.vectors.polygons import to_world

TRACED_ROWS = 512
COLUMNS = ("id", "scene", "city", "kind", "source", "area_m2", "area_px", "label_px", "predicted_px", "iou",
           "mean_probability", "touches", "row", "col", "x", "y")


def scene_errors(
    scene: Scene, prediction: Prediction, class_name: str = "buildings", threshold: float | None = None
) -> gpd.GeoDataFrame:
    """One row per error object of a scene, the largest first, in the scene's CRS (pixels without one).

    The geometry is the labelled object's outline, or the predicted one's where `source` says so. `mean_probability` is
    over that outline (NaN without a probability raster), `touches` names the objects of the other mask that share
    pixels with it, and the scene's edge or missing imagery beside it. `row` and `col` are its middle in pixels, `x` and
    `y` the same in the CRS. The whole scene is held in memory, some 25 bytes for each of its pixels.

    Args:
        scene: a scene with labels of `class_name`.
        prediction: its files.
        class_name: class of the labels.
        threshold: as in `evaluate`.

    Raises:
        ValueError: as `evaluate`.
    """
    truth, predicted, valid, probability = _read_whole(scene, prediction, class_name, threshold)
    overlaps = find_overlaps(truth, predicted, valid)
    del truth, predicted
    errors = sorted(sort_errors(overlaps), key=lambda e: -max(e.label_px, e.predicted_px))
    outlines, means = _outlines(overlaps, errors, probability)
    rows = []
    for index, (error, outline) in enumerate(zip(errors, outlines, strict=True)):
        labels = overlaps.truth if error.source == "label" else overlaps.predicted
        touches = [*_touched(overlaps, error), *_limits(labels, error.number, outline.bounds, valid)]
        rows.append({
            "id": f"{scene.name}-{index + 1}", "scene": scene.name, "city": scene.city, "kind": error.kind,
            "source": error.source, "label_px": error.label_px, "predicted_px": error.predicted_px, "iou": error.iou,
            "mean_probability": means[index], "touches": ", ".join(touches),
        })
    return _table(rows, outlines, scene)


def find_errors(
    predictions: str | Path | Mapping[str, str | Path | Prediction], dataset: Dataset, class_name: str = "buildings",
    threshold: float | None = None,
) -> gpd.GeoDataFrame:
    """The error objects of all labelled and predicted scenes in one table; see `scene_errors`.

    Scenes in one CRS keep it, scenes in several are brought to longitude and latitude. Arguments as `evaluate`.

    Raises:
        ValueError: as `evaluate`, or if some scenes have a CRS and others none.
    """
    found = find_predictions(predictions, dataset)
    scenes = [s for s in dataset if s.name in found and class_name in s.labels]
    systems = {s.info.crs for s in scenes}
    if len(systems) > 1 and None in systems:
        raise InputError("some of these scenes have a georeference and others none; take them apart with select()")
    tables = [scene_errors(s, found[s.name], class_name, threshold) for s in scenes]
    if not tables:
        return gpd.GeoDataFrame(columns=[*COLUMNS, "geometry"], geometry="geometry")
    if len(systems) > 1:
        tables = [table.set_geometry(to_degrees(table.geometry)) for table in tables]
    kept = [t for t in tables if len(t)] or tables[:1]
    return pd.concat(kept, ignore_index=True)


def label_suspects(errors: gpd.GeoDataFrame, confident: float = 0.9) -> gpd.GeoDataFrame:
    """The errors that may be the labels' and not the network's, the largest first, with a reason in `suspicion`.

    Where the network is sure of a building that no label shows, or of bare ground under a label, one of both is wrong;
    only the image can tell which.

    Args:
        errors: table of `scene_errors` or `find_errors`.
        confident: mean probability from which the network is sure; of bare ground, 1 minus this.

    Raises:
        ValueError: if there are no probabilities to be sure by.
    """
    if len(errors) and errors["mean_probability"].isna().all():
        raise InputError("these errors have no probabilities; evaluate predictions with probability rasters")
    seen = (errors["kind"] == "invented") & (errors["mean_probability"] >= confident)
    unseen = (errors["kind"] == "missed") & (errors["mean_probability"] <= 1 - confident)
    reasons = np.where(seen, "seen, not labelled", "labelled, not seen")
    return errors.assign(suspicion=reasons)[seen | unseen].sort_values("area_px", ascending=False)


def _read_whole(
    scene: Scene, prediction: Prediction, class_name: str, threshold: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Labels, prediction and valid pixels as bool (height, width), and float32 probabilities or None."""
    truth, predicted, valid = np.zeros((3, *scene.info.shape), bool)
    probability = None if prediction.probability is None else np.zeros(scene.info.shape, np.float32)
    for strip in read_strips(scene, prediction, class_name, threshold):
        rows = slice(strip.row, strip.row + len(strip.truth))
        truth[rows], predicted[rows], valid[rows] = strip.truth, strip.predicted, strip.valid
        if probability is not None and strip.probability is not None:
            probability[rows] = np.nan_to_num(strip.probability)
    return truth, predicted, valid, probability


def _outlines(
    overlaps: Overlaps, errors: list[Error], probability: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Outline of each error in (column, row) pixels of the scene, and mean probability over it (NaN without any)."""
    outlines, means = np.empty(len(errors), object), np.full(len(errors), np.nan)
    for source, labels in (("label", overlaps.truth), ("predicted", overlaps.predicted)):
        index = np.array([i for i, e in enumerate(errors) if e.source == source], int)
        if not len(index):
            continue
        place_of = np.full(labels.max() + 1, -1)  # object -> its error
        place_of[[errors[i].number for i in index]] = index
        tracer = Tracer(labels.shape[1])
        for top in range(0, len(labels), TRACED_ROWS):
            rows = slice(top, top + TRACED_ROWS)
            tracer.add(place_of[labels[rows]] >= 0, None if probability is None else probability[rows])
        polygons, _, mean = tracer.finish()
        x, y = (get(shapely.point_on_surface(polygons)).astype(int) for get in (shapely.get_x, shapely.get_y))
        places = place_of[labels[y, x]]
        outlines[places], means[places] = polygons, mean
    return outlines, means


def _touched(overlaps: Overlaps, error: Error) -> list[str]:
    """Names of the objects of the other mask that share pixels with this one."""
    own, other = (0, 1) if error.source == "label" else (1, 0)
    numbers = overlaps.pairs[overlaps.pairs[:, own] == error.number, other]
    return [f"{'predicted' if error.source == 'label' else 'label'} {n}" for n in numbers]


def _limits(labels: np.ndarray, number: int, bounds: tuple[float, ...], valid: np.ndarray) -> list[str]:
    """Whether the object lies at the scene's edge, or beside missing imagery."""
    left, top, right, bottom = map(int, bounds)
    height, width = labels.shape
    limits = ["scene edge"] if left == 0 or top == 0 or right == width or bottom == height else []
    around = slice(max(0, top - 1), bottom + 1), slice(max(0, left - 1), right + 1)
    if not valid[around].all() and (binary_dilation(labels[around] == number) & ~valid[around]).any():
        limits.append("no imagery")
    return limits


def _table(rows: list[dict], outlines: np.ndarray, scene: Scene) -> gpd.GeoDataFrame:
    """Rows and outlines in pixels as a table in the scene's CRS."""
    table = gpd.GeoDataFrame(rows, geometry=to_world(outlines, scene.info), crs=scene.info.crs)
    middles = shapely.point_on_surface(outlines)
    table["area_px"] = shapely.area(outlines)
    table["area_m2"] = table["area_px"] * (np.nan if scene.gsd is None else scene.gsd**2)
    table["row"], table["col"] = shapely.get_y(middles), shapely.get_x(middles)
    placed = to_world(middles, scene.info)
    table["x"], table["y"] = shapely.get_x(placed), shapely.get_y(placed)
    return table.reindex(columns=[*COLUMNS, "geometry"])
