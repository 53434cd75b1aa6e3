"""ErrorExplorer: a table of errors beside their scene; sort, fly there, step on, keep a note."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
import traitlets

from jointnet.data.degrees import to_degrees
from jointnet.data.scene import Dataset, Scene
from jointnet.errors import InputError
from jointnet.evaluate.inputs import Prediction, find_predictions
from jointnet.files import written_whole
from jointnet.predict.vectors.polygons import to_world
from jointnet.show.widgets.base import code_of, pack, shows_errors
from jointnet.show.widgets.scene import PARTS, SceneExplorer

if TYPE_CHECKING:  # whoever has errors to look at has loaded these; an import of this module need not
    import geopandas as gpd
    import pandas as pd

WGS84 = "EPSG:4326"
SAME_PLACE = 10  # pixels within which a note that was kept belongs to an error found anew
NAMED = 4  # touching objects that are named; more are counted
# Columns that the table shows where it has them: name, heading, digits after the point (None: text).
COLUMNS = (
    ("scene", "scene", None), ("kind", "kind", None), ("area_m2", "m²", 1), ("area_px", "px", 0), ("iou", "IoU", 2),
    ("mean_probability", "prob.", 2), ("lost_iou", "lost IoU", 4), ("fp", "invented px", 0), ("fn", "missed px", 0),
)


class ErrorExplorer(SceneExplorer):
    """Errors in a table that can be sorted, beside the scene they lie in.

    A click on a row, or the arrow keys in the table, or n and p anywhere inside, fly to an error. A note can be written
    to each; notes are kept in a GeoJSON file, and are there again when the explorer is opened with the same file.

    Args:
        errors: table of `find_errors`, `label_suspects` or `worst_patches`.
        scenes: the dataset, or the scene, that they were found in.
        predictions: folder or mapping, as in `evaluate`.
        class_name: class of the labels.
        threshold: probability from which a pixel is foreground; without it, the one that predictions were made with.
        notes: GeoJSON file for the notes; without it they live in the explorer until `save_notes`.
        limit: rows of the table at most, taken from its top.
        max_size: as in `SceneExplorer`.
        height: height of the scene, in CSS pixels.
        bands: as in `SceneExplorer`.

    Raises:
        ValueError: if there is no error to show, or a scene or its prediction is missing.
    """

    _esm = code_of(*PARTS, "errors")

    columns: Any = traitlets.List().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    selected = traitlets.Unicode("").tag(sync=True)
    sort_by = traitlets.Unicode("").tag(sync=True)
    descending = traitlets.Bool(False).tag(sync=True)
    only = traitlets.Unicode("all").tag(sync=True)
    notes = traitlets.Dict().tag(sync=True)
    notes_place = traitlets.Unicode("").tag(sync=True)
    made_at = traitlets.Unicode("").tag(sync=True)
    packs = traitlets.Dict().tag(sync=True)  # of a page without Python: scene -> its layers

    def __init__(
        self,
        errors: pd.DataFrame,
        scenes: Dataset | Scene,
        predictions: str | Path | Mapping[str, str | Path | Prediction],
        class_name: str = "buildings",
        threshold: float | None = None,
        notes: str | Path | None = None,
        limit: int = 500,
        max_size: int = 2048,
        height: int = 520,
        bands: Sequence[int] | None = None,
    ) -> None:
        scenes = Dataset(scenes.name, (scenes,)) if isinstance(scenes, Scene) else scenes
        self._found = find_predictions(predictions, scenes)
        self._scenes = {s.name: s for s in scenes if s.name in self._found}
        self.table = _with_places(errors.head(limit), self._scenes)
        first = self.table.iloc[0]
        files = self._found[first["scene"]]
        if threshold is None:
            threshold = files.threshold(class_name) or 0.5
        super().__init__(
            self._scenes[first["scene"]], files.probability, None, None, files.mask, threshold, class_name,
            max_size, height, bands,
        )
        self._path = None if notes is None else Path(notes)
        self.made_at = f"found at {threshold:.2f}" if files.probability is not None else ""
        self.columns = [
            {"name": name, "label": label, "digits": digits} for name, label, digits in COLUMNS
            if name in self.table and (name != "area_px" or self.table["area_m2"].isna().all())
            and not self.table[name].isna().all() and (name != "scene" or self.table["scene"].nunique() > 1)
        ]
        self.rows = [self._row(row) for row in self.table.to_dict("records")]
        self.notes_place = "" if self._path is None else self._path.name
        self._strangers: list[dict] = []
        self.notes = self._kept()
        self._known = dict(self.notes)
        self.observe(self._keep, "notes")
        self.selected = str(first["id"])

    @property
    def title(self) -> str:
        """What is looked at."""
        return f"Errors in {', '.join(dict.fromkeys(self.table['scene']))} - JointNet"

    @property
    def chosen(self) -> pd.Series:
        """The row of the table that is looked at."""
        return self.table[self.table["id"] == self.selected].iloc[0]

    def noted(self) -> gpd.GeoDataFrame:
        """The errors that have a note, with it in the column `note`."""
        table = self.table.assign(note=[self.notes.get(name, "") for name in self.table["id"]])
        return table[table["note"] != ""]

    def save_notes(self, path: str | Path) -> Path:
        """Writes the errors that have a note, as GeoJSON in longitude and latitude (pixels without a georeference).

        Notes of another table that the explorer found in its file are written again, so that none is lost.
        """
        path = Path(path)
        with written_whole(path) as draft:  # the file is this explorer's until it is written: another one waits
            if path == self._path:
                self._merge()
            features = [self._feature(row) for row in self.noted().to_dict("records")] + self._strangers
            draft.write_text(json.dumps({"type": "FeatureCollection", "features": features}, indent=1),
                             encoding="utf-8")
        return path

    def page_state(self) -> dict:
        """As the widget's, with the layers of every scene of the table, since there is no Python to ask for them."""
        packs = {}
        for name in dict.fromkeys(self.table["scene"]):
            self._take(name)
            packs[name] = pack(self._page_layers())
        self._take(self.about["name"])
        return self._with_packs(super().page_state(), packs)

    def _take(self, name: str) -> None:
        """Uses the layers of another scene."""
        files = self._found[name]
        self._use(self._scenes[name], files.probability, None, None, files.mask)

    @shows_errors
    def _receive(self, widget: Any, message: Mapping, buffers: Any) -> None:
        """Answers the browser's wish for another scene, or for a closer look."""
        if message.get("type") == "scene":
            self._take(message["scene"])
            self._show(self.threshold)
        else:
            super()._receive(widget, message, buffers)

    @shows_errors
    def _keep(self, _change: Any) -> None:
        """Writes the notes as soon as one changes."""
        if self._path is not None:
            self.save_notes(self._path)

    def _kept(self) -> dict[str, str]:
        """Notes of the file, given to the errors at their places; those of no error here are set aside."""
        self._strangers = []
        if self._path is None or not self._path.exists():
            return {}
        try:
            features = json.loads(self._path.read_text(encoding="utf-8"))["features"]
            kept = [(f, str(f["properties"]["scene"]), float(f["properties"]["row"]), float(f["properties"]["col"]),
                     str(f["properties"]["note"])) for f in features]
        except (KeyError, TypeError, ValueError, OSError, RecursionError) as error:
            raise InputError(f"{self._path} holds no notes of an ErrorExplorer; choose another file") from error
        notes = {}
        for feature, scene, row, col, note in kept:
            near = self.table[self.table["scene"] == scene]
            apart = np.hypot(near["row"] - row, near["col"] - col)
            if len(apart) and apart.min() <= SAME_PLACE:
                notes[str(near["id"][apart.idxmin()])] = note
            else:
                self._strangers.append(feature)
        return notes

    def _merge(self) -> None:
        """Adds what another explorer wrote into the file since it was last read; of one error, both notes stay."""
        there, here, known = self._kept(), dict(self.notes), self._known
        merged = {name: _both(known.get(name, ""), there.get(name, ""), here.get(name, ""))
                  for name in {**there, **here, **known}}
        self._known = {name: note for name, note in merged.items() if note}
        self.unobserve(self._keep, "notes")  # what is written just now need not be written again
        self.notes = dict(self._known)
        self.observe(self._keep, "notes")

    def _row(self, row: Mapping) -> dict:
        """A row of the table as the browser gets it."""
        left, top, right, bottom = row["outline"].bounds
        place = row["geometry"].representative_point() if row["placed"] else None
        return {
            "id": str(row["id"]), "scene": row["scene"], "kind": row.get("kind", ""), "row": float(row["row"]),
            "col": float(row["col"]), "box": [top, left, bottom - top, right - left],
            "place": None if place is None else [round(place.x, 7), round(place.y, 7)],
            "cells": {c["name"]: _plain(row[c["name"]]) for c in self.columns}, "says": _says(row),
        }

    def _feature(self, row: Mapping) -> dict:
        """A noted error as a GeoJSON feature."""
        names = ("id", "scene", "city", "kind", "area_m2", "iou", "mean_probability", "row", "col", "note")
        properties = {name: _plain(row[name]) for name in names if name in row}
        if not row["placed"]:
            properties["coordinates"] = "column and row of the scene, in pixels"
        return {"type": "Feature", "properties": properties,
                "geometry": shapely.geometry.mapping(shapely.set_precision(row["geometry"], 1e-9))}


def _with_places(errors: pd.DataFrame, scenes: Mapping[str, Scene]) -> gpd.GeoDataFrame:
    """The errors with `id`, middle (`row`, `col`), `outline` in pixels, and `geometry` in longitude and latitude.

    Raises:
        ValueError: if there is none, or one lies in a scene that is not there.
    """
    import geopandas as gpd
    import pandas as pd

    if errors.empty:
        raise InputError("there is no error to look at; the prediction agrees with the labels")
    missing = sorted(set(errors["scene"]) - set(scenes))
    if missing:
        raise InputError(f"{', '.join(missing)} is not among the scenes with a prediction; pass the dataset and the "
                         f"predictions that the errors were found in")
    table = errors.reset_index(drop=True)
    if "id" not in table:  # of worst_patches: row and col are the top left corner
        corners = table["col"], table["row"], table["col"] + table["width"], table["row"] + table["height"]
        table = table.assign(
            id=[f"{s}-r{r}c{c}" for s, r, c in zip(table["scene"], table["row"], table["col"], strict=True)],
            outline=shapely.box(*corners), row=table["row"] + table["height"] / 2,
            col=table["col"] + table["width"] / 2,
        )
        places = [_to_wgs84([o], scenes[s])[0] for o, s in zip(table["outline"], table["scene"], strict=True)]
    else:
        shapes = errors.geometry.to_numpy()
        table = pd.DataFrame(table.drop(columns="geometry"))
        table["outline"] = [
            _to_pixels(shape, errors.crs, scenes[s]) for shape, s in zip(shapes, table["scene"], strict=True)]
        places = list(to_degrees(gpd.GeoSeries(shapes, crs=errors.crs)))
    table["placed"] = [scenes[s].info.on_earth for s in table["scene"]]
    return gpd.GeoDataFrame(table, geometry=places)


def _to_wgs84(shapes: Any, scene: Scene) -> list:
    """Shapes in pixels of a scene in longitude and latitude; in pixels where it has no georeference."""
    import geopandas as gpd

    placed = to_world(np.array(shapes, object), scene.info)
    return list(to_degrees(gpd.GeoSeries(placed, crs=scene.info.crs)))


def _to_pixels(shape: Any, crs: Any, scene: Scene) -> Any:
    """A shape in (column, row) pixels of its scene."""
    if crs is None:
        return shape
    import geopandas as gpd

    own = gpd.GeoSeries([shape], crs=crs).to_crs(scene.info.crs).iloc[0]
    back = ~scene.info.transform
    return shapely.transform(own, lambda xy: np.column_stack(back @ (xy[:, 0], xy[:, 1])))


def _says(row: Mapping) -> str:
    """An error in words."""
    if "lost_iou" in row:
        return f"a patch with {row['fp']} pixels invented and {row['fn']} missed, IoU {row['iou']:.2f}"
    area = f"{row['area_px']:.0f} px" if _plain(row["area_m2"]) is None else f"{row['area_m2']:.0f} m²"
    sure = "" if _plain(row["mean_probability"]) is None else f", mean probability {row['mean_probability']:.2f}"
    fit = f", IoU {row['iou']:.2f}" if row["iou"] > 0 else ""
    suspicion = f" ({row['suspicion']})" if "suspicion" in row else ""
    return f"{row['kind']}{suspicion}: {area}{sure}{fit}, touches {_touched(row['touches'])}"


def _touched(names: str) -> str:
    """What an error touches; of many objects their number."""
    parts = names.split(", ") if names else ["nothing"]
    objects = [part for part in parts if part.startswith(("predicted ", "label "))]
    if len(objects) <= NAMED:
        return ", ".join(parts)
    limits = [part for part in parts if part not in objects]
    what = "predicted objects" if objects[0].startswith("predicted") else "labels"
    return ", ".join([f"{len(objects)} {what}", *limits])


def _plain(value: Any) -> Any:
    """A number or text of Python's; None for what is not known."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _both(before: str, there: str, here: str) -> str:
    """A note that may have been changed in two places since both knew it."""
    if before in (there, here):
        return here if there == before else there
    return "\n".join(note for note in dict.fromkeys((there, here)) if note)
