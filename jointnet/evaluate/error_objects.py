"""Labels and a prediction in, a table of error objects out: what kind of error each is, where, and how sure of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.ndimage import binary_dilation, find_objects, mean

from jointnet.data.scene import Dataset, Scene
from jointnet.evaluate.inputs import Prediction, find_predictions, read_strips
from jointnet.evaluate.kinds import Error, sort_errors
from jointnet.evaluate.objects import Overlaps, find_overlaps
from jointnet.predict.vectorize import mask_polygons, to_world

COLUMNS = ("id", "scene", "city", "kind", "source", "area_m2", "area_px", "label_px", "predicted_px", "iou",
           "mean_probability", "touches", "row", "col", "x", "y")


def scene_errors(
    scene: Scene, prediction: Prediction, kind: str = "buildings", threshold: float | None = None
) -> gpd.GeoDataFrame:
    """One row per error object of a scene, the largest first, in the scene's CRS (pixels without one).

    The geometry is the labelled object's outline, or the predicted one's where `source` says so. `mean_probability` is
    over that outline (NaN without a probability raster), `touches` names the objects of the other mask that share
    pixels with it, and the scene's edge or missing imagery beside it. `row` and `col` are its middle in pixels, `x` and
    `y` the same in the CRS. The whole scene is held in memory, some 25 bytes for each of its pixels.

    Args:
        scene: with labels of `kind`.
        prediction: its files.
        kind: class of the labels.
        threshold: as in `evaluate`.

    Raises:
        ValueError: as `evaluate`.
    """
    truth, predicted, valid, probability = _read_whole(scene, prediction, kind, threshold)
    overlaps = find_overlaps(truth, predicted, valid)
    errors = sorted(sort_errors(overlaps), key=lambda e: -max(e.label_px, e.predicted_px))
    places = {"label": find_objects(overlaps.truth), "predicted": find_objects(overlaps.predicted)}
    means = _mean_probabilities(overlaps, probability, errors)
    outlines, rows = [], []
    for index, error in enumerate(errors):
        labels = overlaps.truth if error.source == "label" else overlaps.predicted
        place = places[error.source][error.number - 1]
        outlines.append(_outline(labels, error.number, place))
        touches = [*_touched(overlaps, error), *_limits(labels, error.number, place, valid)]
        rows.append({
            "id": f"{scene.name}-{index + 1}", "scene": scene.name, "city": scene.city, "kind": error.kind,
            "source": error.source, "label_px": error.label_px, "predicted_px": error.predicted_px, "iou": error.iou,
            "mean_probability": means[index], "touches": ", ".join(touches),
        })
    return _table(rows, outlines, scene)


def find_errors(
    predictions: str | Path | Mapping[str, str | Path | Prediction], dataset: Dataset, kind: str = "buildings",
    threshold: float | None = None,
) -> gpd.GeoDataFrame:
    """The error objects of all labelled and predicted scenes in one table; see `scene_errors`.

    Scenes in one CRS keep it, scenes in several are brought to longitude and latitude. Arguments as `evaluate`.

    Raises:
        ValueError: as `evaluate`, or if some scenes have a CRS and others none.
    """
    found = find_predictions(predictions, dataset)
    scenes = [s for s in dataset if s.name in found and kind in s.labels]
    systems = {s.info.crs for s in scenes}
    if len(systems) > 1 and None in systems:
        raise ValueError("some of these scenes have a georeference and others none; take them apart with select()")
    tables = [scene_errors(s, found[s.name], kind, threshold) for s in scenes]
    if not tables:
        return gpd.GeoDataFrame(columns=[*COLUMNS, "geometry"], geometry="geometry")
    if len(systems) > 1:
        tables = [table.to_crs("EPSG:4326") for table in tables]
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
        raise ValueError("these errors have no probabilities; evaluate predictions with probability rasters")
    seen = (errors["kind"] == "invented") & (errors["mean_probability"] >= confident)
    unseen = (errors["kind"] == "missed") & (errors["mean_probability"] <= 1 - confident)
    reasons = np.where(seen, "seen, not labelled", "labelled, not seen")
    return errors.assign(suspicion=reasons)[seen | unseen].sort_values("area_px", ascending=False)


def _read_whole(scene: Scene, prediction: Prediction, kind: str, threshold: float | None):
    """Labels, prediction and valid pixels as bool (height, width), and float32 probabilities or None."""
    strips = list(read_strips(scene, prediction, kind, threshold))
    truth, predicted, valid = (np.concatenate([getattr(s, n) for s in strips]) for n in ("truth", "predicted", "valid"))
    known = strips[0].probability is not None
    return truth, predicted, valid, np.concatenate([s.probability for s in strips]) if known else None


def _mean_probabilities(overlaps: Overlaps, probability: np.ndarray | None, errors: list[Error]) -> np.ndarray:
    """Mean probability over each error's outline; NaN without probabilities."""
    means = np.full(len(errors), np.nan)
    if probability is None:
        return means
    probability = np.nan_to_num(probability, copy=False)
    for source, labels in (("label", overlaps.truth), ("predicted", overlaps.predicted)):
        rows = [i for i, e in enumerate(errors) if e.source == source]
        if rows:
            means[rows] = mean(probability, labels, [errors[i].number for i in rows])
    return means


def _outline(labels: np.ndarray, number: int, place: tuple[slice, slice]) -> shapely.Polygon:
    """The object's outline in (column, row) pixels of the scene."""
    polygon = mask_polygons(labels[place] == number)[0]
    return shapely.transform(polygon, lambda points: points + (place[1].start, place[0].start))


def _touched(overlaps: Overlaps, error: Error) -> list[str]:
    """Names of the objects of the other mask that share pixels with this one."""
    own, other = (0, 1) if error.source == "label" else (1, 0)
    numbers = overlaps.pairs[overlaps.pairs[:, own] == error.number, other]
    return [f"{'predicted' if error.source == 'label' else 'label'} {n}" for n in numbers]


def _limits(labels: np.ndarray, number: int, place: tuple[slice, slice], valid: np.ndarray) -> list[str]:
    """Whether the object lies at the scene's edge, or beside missing imagery."""
    ends = [(s.start, s.stop, size) for s, size in zip(place, labels.shape, strict=True)]
    limits = ["scene edge"] if any(start == 0 or stop == size for start, stop, size in ends) else []
    around = tuple(slice(max(0, start - 1), stop + 1) for start, stop, _ in ends)
    if not valid[around].all() and (binary_dilation(labels[around] == number) & ~valid[around]).any():
        limits.append("no imagery")
    return limits


def _table(rows: list[dict], outlines: list, scene: Scene) -> gpd.GeoDataFrame:
    """Rows and outlines in pixels as a table in the scene's CRS."""
    outlines = np.array(outlines, object)
    table = gpd.GeoDataFrame(rows, geometry=to_world(outlines, scene.info), crs=scene.info.crs)
    middles = shapely.point_on_surface(outlines)
    table["area_px"] = shapely.area(outlines)
    table["area_m2"] = table["area_px"] * (np.nan if scene.gsd is None else scene.gsd**2)
    table["row"], table["col"] = shapely.get_y(middles), shapely.get_x(middles)
    placed = to_world(middles, scene.info)
    table["x"], table["y"] = shapely.get_x(placed), shapely.get_y(placed)
    return table.reindex(columns=[*COLUMNS, "geometry"])
