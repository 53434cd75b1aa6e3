"""Finished rows of a prediction in; its files out: two rasters, and vector files of each class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import geopandas as gpd
import numpy as np

from jointnet.data.raster import Grid, RasterError, identity_of
from jointnet.options import PredictOptions
from jointnet.predict.rasters import create_mask, create_probability, run_of
from jointnet.predict.settings import Settings
from jointnet.predict.source import Source
from jointnet.predict.spool import Spool
from jointnet.predict.vectors.centre_lines import centre_lines_of_raster
from jointnet.predict.vectors.files import create_vectors, read_notes
from jointnet.predict.vectors.outlines import PIXELS, Tidying
from jointnet.predict.vectors.polygons import polygon_tables


@dataclass(frozen=True)
class ScenePrediction:
    """What `predict_scene` wrote.

    Attributes:
        source: the image.
        probability: raster of 0 to 254 for 0 to 1, 255 where there is no imagery; one band per class.
        mask: raster of 0 and 255; one band per class.
        layers: class -> GeoPackage in the scene's CRS; empty where no polygons were asked for.
        shape: (height, width) of the rasters, in pixels.
        settings: what the rasters were made with.
        tidying: what the polygons were made with.
        parquet: whether there is a GeoParquet file beside each GeoPackage.
        kept: class -> step -> IoU of the polygons after the step with those before, and of the last step with the
            traced patches as "all"; steps that were not asked for are not there.
        seconds: wall-clock time of this run; 0 if everything was there already.
    """

    source: Path
    probability: Path
    mask: Path
    layers: dict[str, Path]
    shape: tuple[int, int]
    settings: dict
    tidying: Tidying = field(default_factory=Tidying)
    parquet: bool = False
    kept: dict[str, dict[str, float]] = field(default_factory=dict)
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
        return [self.probability, self.mask, *(p for layer in self.layers for p in self.vectors(layer))]

    def vectors(self, layer: str) -> list[Path]:
        """The vector files of a class, its GeoPackage first."""
        suffixes = (".gpkg", ".geojson", ".parquet") if self.parquet else (".gpkg", ".geojson")
        return [self.layers[layer].with_suffix(suffix) for suffix in suffixes]


def plan(scene: Source, out: Path, settings: Settings, wanted: PredictOptions, weights: str,
         limits: np.ndarray) -> ScenePrediction:
    """Where the outputs go, and what they are made with: another image, other weights or options change that.

    Args:
        scene: what is predicted, open.
        out: folder of the outputs.
        settings: the network's.
        wanted: the options, with the size of the windows.
        weights: a checksum of the network's weights.
        limits: float32 (classes,), the threshold of each class.
    """
    stem = scene.name
    made_with = {
        "weights": weights, "bounds": wanted.bounds and list(wanted.bounds), "gsd": wanted.gsd, "bands": scene.bands,
        "thresholds": limits.tolist(), "temperature": settings.temperature, "overlap": wanted.overlap,
        "size": wanted.size, "tta": wanted.tta, "dtype": wanted.dtype, "classes": list(settings.classes),
        "shown": list(scene.shape), **identity_of(scene.path), "nodata": scene.nodata_rule,
        "part": [*scene.origin, *scene.grid.shape],
    }
    layers = {name: out / f"{stem}_{name}.gpkg" for name in settings.classes} if wanted.polygons else {}
    return ScenePrediction(
        scene.path, out / f"{stem}_probability.tif", out / f"{stem}_mask.tif", layers, scene.grid.shape,
        json.loads(json.dumps(made_with)), _tidying(scene.grid, wanted), wanted.parquet,
    )


def _tidying(grid: Grid, wanted: PredictOptions) -> Tidying:
    """What is to become of the polygons; a tolerance that was not given is two pixels, whatever their unit."""
    tolerance = PIXELS * (grid.gsd or 1.0) if wanted.tolerance is None else wanted.tolerance
    return Tidying(wanted.min_area, wanted.outlines, tolerance)


def _digest(result: ScenePrediction) -> str:
    """A checksum of the settings, kept in the rasters' tags."""
    return hashlib.sha256(json.dumps(result.settings, sort_keys=True).encode()).hexdigest()[:16]


def _spool_folder(result: ScenePrediction) -> Path:
    return result.probability.with_name(f".{result.probability.stem}_rows")


def has_rasters(result: ScenePrediction) -> bool:
    """Whether both rasters are there, made with the same settings, and no run is under way."""
    rasters = (result.probability, result.mask)
    if _spool_folder(result).exists() or not all(path.exists() for path in rasters):
        return False
    return all(run_of(path) == _digest(result) for path in rasters)


def has_vectors(result: ScenePrediction) -> bool:
    """Whether every vector file that is asked for is there, made of these rasters with the same settings."""
    there = all(path.exists() for layer in result.layers for path in result.vectors(layer))
    return there and all(read_notes(path).get("made_with") == _vector_settings(result)
                         for path in result.layers.values())


def with_notes(result: ScenePrediction) -> ScenePrediction:
    """A finished prediction with what its GeoPackages say of it."""
    return replace(result, kept={name: read_notes(path).get("kept", {}) for name, path in result.layers.items()})


def _vector_settings(result: ScenePrediction) -> dict:
    """What the vector files are made with."""
    return {"run": _digest(result), **asdict(result.tidying)}


def refuse_to_replace(result: ScenePrediction) -> None:
    """Stops before outputs of other settings are lost.

    Raises:
        FileExistsError: if there are some.
    """
    for path in (result.probability, result.mask):
        if path.exists() and run_of(path) != _digest(result):
            raise FileExistsError(f"{path} exists and was made with other settings; pass overwrite=True, or another "
                                  f"folder")
    for path in result.layers.values():
        if path.exists() and read_notes(path).get("made_with") != _vector_settings(result):
            raise FileExistsError(f"{path} exists and was made with other settings; delete it to have it made anew "
                                  f"from the rasters, or pass overwrite=True to make everything anew")


def open_spool(result: ScenePrediction) -> Spool:
    """The folder of finished rows beside the outputs; those of an earlier run with the same settings are in it."""
    try:
        return Spool(_spool_folder(result), result.settings)
    except OSError as error:
        folder = result.probability.parent
        raise RasterError(f"{folder} cannot be written to; name a folder that you may write to ({error})") from error


def write_rasters(spool: Spool, grid: Grid, result: ScenePrediction, dtype: str) -> None:
    """The two rasters, out of the finished rows."""
    classes, run = len(result.settings["classes"]), _digest(result)
    with create_probability(result.probability, grid, classes, dtype, result.settings, run) as raster:
        for start, probability, _ in spool.rows():
            if len(probability):
                raster.write(probability, start)
    with create_mask(result.mask, grid, classes, result.settings, run) as raster:
        for start, _, mask in spool.rows():
            if len(mask):
                raster.write(mask * np.uint8(255), start)


def write_vectors(result: ScenePrediction) -> ScenePrediction:
    """Writes the vector files of each class out of the rasters; returns the result with what tidying kept."""
    kept = {}
    for number, name in enumerate(result.layers, 1):
        tidying = replace(result.tidying)  # its sums are of one class
        with ExitStack() as stack:
            geometry_type = "LineString" if name == "roads" else "Polygon"
            files = [stack.enter_context(create_vectors(path, name, geometry_type)) for path in result.vectors(name)]
            for table in _tables(result, number, name, tidying):
                for file in files:
                    file.write(table)
            kept[name] = tidying.kept
            files[0].note({"made_with": _vector_settings(result), "kept": tidying.kept})
    return replace(result, kept=kept)


def _tables(result: ScenePrediction, band: int, name: str, tidying: Tidying) -> Iterator[gpd.GeoDataFrame]:
    """The shapes of a class, a table at a time: centre lines of roads, tidied polygons of all else."""
    scene = result.probability.stem.removesuffix("_probability")
    if name == "roads":
        yield centre_lines_of_raster(result.mask, result.probability, band, scene)
        return
    for table in polygon_tables(result.mask, result.probability, band, scene):
        yield tidying(table)
