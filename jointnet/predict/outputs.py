"""Finished rows of a prediction in; its files out: two rasters, and a GeoPackage and a GeoJSON per class."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jointnet.data.raster import RasterError, RasterInfo, create_raster, read_info
from jointnet.predict.lines import centre_lines_of_raster
from jointnet.predict.settings import Settings
from jointnet.predict.source import Source
from jointnet.predict.spool import Spool
from jointnet.predict.values import LEVELS, NODATA
from jointnet.predict.vectorize import vectorize_raster, write_vectors


@dataclass(frozen=True)
class ScenePrediction:
    """What `predict_scene` wrote.

    Attributes:
        source: the image.
        probability: raster of 0 to 254 for 0 to 1, 255 where there is no imagery; one band per class.
        mask: raster of 0 and 255; one band per class.
        layers: class -> GeoPackage in the scene's CRS; empty where no polygons were asked for.
        shape: (height, width) of the rasters, in pixels.
        settings: what it was made with.
        seconds: wall-clock time of this run; 0 if everything was there already.
    """

    source: Path
    probability: Path
    mask: Path
    layers: dict[str, Path]
    shape: tuple[int, int]
    settings: dict
    seconds: float = 0.0

    @property
    def geopackage(self) -> Path:
        """GeoPackage of the first class."""
        return next(iter(self.layers.values()))

    @property
    def geojson(self) -> Path:
        """GeoJSON (WGS 84) of the first class."""
        return self.geopackage.with_suffix(".geojson")

    @property
    def paths(self) -> list[Path]:
        """Every file of the prediction."""
        vectors = [p for gpkg in self.layers.values() for p in (gpkg, gpkg.with_suffix(".geojson"))]
        return [self.probability, self.mask, *vectors]


def plan(source, scene: Source, out: Path, settings: Settings, polygons: bool, made_with: dict) -> ScenePrediction:
    """Where the outputs go, and what they are made with: another image, other weights or settings change that."""
    stem = getattr(source, "name", None) if hasattr(source, "image") else None
    stem = stem or scene.path.stem
    stat = scene.path.stat()
    made_with |= {"image": str(scene.path.resolve()), "bytes": stat.st_size, "modified": stat.st_mtime_ns,
                  "nodata": scene.nodata_rule}
    layers = {name: out / f"{stem}_{name}.gpkg" for name in settings.classes} if polygons else {}
    return ScenePrediction(
        scene.path, out / f"{stem}_probability.tif", out / f"{stem}_mask.tif", layers, scene.grid.shape,
        json.loads(json.dumps(made_with)),
    )


def _digest(result: ScenePrediction) -> str:
    """A checksum of the settings, kept in the rasters' tags."""
    return hashlib.sha256(json.dumps(result.settings, sort_keys=True).encode()).hexdigest()[:16]


def _spool_folder(result: ScenePrediction) -> Path:
    return result.probability.with_name(f".{result.probability.stem}_rows")


def is_finished(result: ScenePrediction) -> bool:
    """Whether every output is there, made with the same settings, and no run is under way."""
    if _spool_folder(result).exists() or not all(path.exists() for path in result.paths):
        return False
    rasters = (result.probability, result.mask)
    return all(read_info(path).tags.get("JOINTNET_RUN") == _digest(result) for path in rasters)


def refuse_to_replace(result: ScenePrediction, overwrite: bool) -> None:
    """Stops before outputs of other settings are lost."""
    there = [path for path in (result.probability, result.mask) if path.exists()]
    if overwrite or not there:
        return
    if all(read_info(path).tags.get("JOINTNET_RUN") == _digest(result) for path in there):
        return
    raise FileExistsError(f"{there[0]} exists and was made with other settings; pass overwrite=True, or another folder")


def open_spool(result: ScenePrediction) -> Spool:
    """The folder of finished rows beside the outputs; those of an earlier run with the same settings are in it."""
    try:
        return Spool(_spool_folder(result), result.settings)
    except OSError as error:
        folder = result.probability.parent
        raise RasterError(f"{folder} cannot be written to; name a folder that you may write to ({error})") from error


def write_rasters(spool: Spool, grid: RasterInfo, result: ScenePrediction, dtype: str) -> None:
    """The two rasters, out of the finished rows."""
    classes = len(result.settings["classes"])
    tags = {"JOINTNET_RUN": _digest(result), "JOINTNET_SETTINGS": json.dumps(result.settings, sort_keys=True)}
    scale = {"uint8": f"probability = value / {LEVELS}; {NODATA} = no imagery", "float32": "NaN = no imagery"}[dtype]
    nodata = NODATA if dtype == "uint8" else float("nan")
    with create_raster(result.probability, grid, classes, dtype, nodata, tags | {"JOINTNET_VALUES": scale}) as raster:
        for start, probability, _ in spool.rows():
            if len(probability):
                raster.write(probability, start)
    with create_raster(result.mask, grid, classes, tags=tags, overview="nearest") as raster:
        for start, _, mask in spool.rows():
            if len(mask):
                raster.write(mask * np.uint8(255), start)


def write_polygons(result: ScenePrediction) -> None:
    """A GeoPackage and a GeoJSON per class: polygons, or the centre lines of roads."""
    if not result.layers:
        return
    stem = result.probability.stem.removesuffix("_probability")
    for number, (name, path) in enumerate(result.layers.items(), 1):
        lines = name == "roads"
        make = centre_lines_of_raster if lines else vectorize_raster
        table = make(result.mask, result.probability, number, stem)
        for file in (path, path.with_suffix(".geojson")):
            write_vectors(table, file, name, "LineString" if lines else "Polygon")
