"""Rows of a prediction in; its files out: rows that outlive their process, two rasters, vector files of each class.

Everything that one prediction has on disk belongs to this module: the folder of finished rows, the lock, final names.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jointnet.data.raster import Grid, RasterError, identity_of
from jointnet.files import InUseError, alone, check_file_name, written_whole
from jointnet.network.digest import OLD
from jointnet.options import PredictOptions
from jointnet.predict.rasters import create_mask, create_probability, run_of
from jointnet.predict.settings import BusyError, Settings
from jointnet.predict.source import Source
from jointnet.predict.vectors.files import create_vectors, read_notes
from jointnet.predict.vectors.outlines import PIXELS, Tidying
from jointnet.predict.vectors.polygons import polygon_tables

if TYPE_CHECKING:
    import geopandas as gpd


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
        scene: the opened scene that is predicted.
        out: folder of the outputs.
        settings: the network's.
        wanted: the options, with the size of the windows.
        weights: a checksum of the network's weights.
        limits: float32 (classes,), the threshold of each class.
    """
    stem = scene.name
    check_file_name(stem, "the scene")
    for name in settings.classes or ():
        check_file_name(name, "a class")
    made_with = {
        "weights": weights, "bounds": wanted.bounds and list(wanted.bounds), "gsd": wanted.gsd, "bands": scene.bands,
        "thresholds": limits.tolist(), "temperature": settings.temperature, "overlap": wanted.overlap,
        "size": wanted.size, "tta": wanted.tta, "dtype": wanted.dtype, "classes": list(settings.classes or ()),
        "shown": list(scene.shape), **identity_of(scene.path), "nodata": scene.nodata_rule,
        "part": [*scene.origin, *scene.grid.shape],
    }
    if scene.stretch is not None:
        made_with["stretch"] = [scene.stretch.low, scene.stretch.high]
    layers = {name: out / f"{stem}_{name}.gpkg" for name in settings.classes or ()} if wanted.polygons else {}
    result = ScenePrediction(
        scene.path, out / f"{stem}_probability.tif", out / f"{stem}_mask.tif", layers, scene.grid.shape,
        json.loads(json.dumps(made_with)), _tidying(scene.grid, wanted), wanted.parquet,
    )
    before = replace(result, settings=result.settings | {"weights": weights[:OLD]})
    if wanted.overwrite or not result.probability.exists():
        return result
    return before if run_of(result.probability) == _digest(before) else result


def _tidying(grid: Grid, wanted: PredictOptions) -> Tidying:
    """What is to become of the polygons; a tolerance that was not given is two pixels, whatever their unit."""
    tolerance = PIXELS * (grid.gsd or 1.0) if wanted.tolerance is None else wanted.tolerance
    return Tidying(wanted.min_area, wanted.outlines, tolerance)


def _digest(result: ScenePrediction) -> str:
    """A checksum of the settings, kept in the rasters' tags."""
    return hashlib.sha256(json.dumps(result.settings, sort_keys=True).encode()).hexdigest()[:16]


def _spool_folder(result: ScenePrediction) -> Path:
    return result.probability.with_name(f".{result.probability.stem}_rows")


@contextmanager
def alone_with(result: ScenePrediction, overwrite: bool) -> Iterator[None]:
    """Keeps other runs away from a prediction's files; the system lets them in again if this process dies.

    Raises:
        BusyError: if another run is predicting the scene into the same folder.
        FileExistsError: as `refuse_to_replace`, unless `overwrite`, if another run has ended in the meantime.
        RasterError: if the folder cannot be written to.
    """
    folder, name = result.probability.parent, result.probability.stem.removesuffix("_probability")
    busy = (f"another run is predicting {name} into {folder} just now; wait until it is done, then give the same "
            f"command again, or choose another folder")
    with alone_in(folder, name, busy):
        if not overwrite:
            refuse_to_replace(result)
        yield


@contextmanager
def alone_in(folder: Path, name: str, busy: str) -> Iterator[None]:
    """Keeps other runs that ask for the same name out of a folder, which is made.

    Args:
        folder: where predictions go.
        name: what the run is there for.
        busy: the message of the error where another run is there.

    Raises:
        BusyError: if another run is there.
        RasterError: if the folder cannot be written to.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone(folder / f".{name}.lock", busy))
        except InUseError as error:
            raise BusyError(busy) from error
        except OSError as error:
            raise RasterError(f"{folder} cannot be written to; name a folder that you may write to ({error})"
                              ) from error
        yield


def is_finished(result: ScenePrediction) -> bool:
    """Whether every file is there, made with the same settings, and nothing is left of the run."""
    return has_rasters(result) and has_vectors(result) and not _spool_folder(result).exists()


def has_rasters(result: ScenePrediction) -> bool:
    """Whether both rasters are there, made with the same settings."""
    return all(run_of(path) == _digest(result) for path in (result.probability, result.mask))


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
        if path.exists() and (run := run_of(path)) != _digest(result):
            raise FileExistsError(f"{path} exists and was made with other settings; pass overwrite=True (--overwrite), "
                                  f"or another folder" if run else _foreign(path))
    for layer, path in result.layers.items():
        made_with = read_notes(path).get("made_with")
        if path.exists() and made_with != _vector_settings(result):
            raise FileExistsError(f"{path} exists and was made with other settings; delete it to have it made anew "
                                  f"from the rasters, or pass overwrite=True (--overwrite) to make everything anew"
                                  if made_with else _foreign(path))
        beside = [p for p in result.vectors(layer)[1:] if p.exists()]
        if beside and not path.exists() and not has_rasters(result):  # of a run that was killed, the rasters are there
            raise FileExistsError(_foreign(beside[0]))


def _foreign(path: Path) -> str:
    """What to say of a file that is in the way and that no prediction wrote, as labels beside their image."""
    return (f"{path} exists and is of no prediction, or damaged; as it may be labels, predict into another folder, or "
            f"pass overwrite=True (--overwrite) to lose it")


def open_spool(result: ScenePrediction) -> Spool:
    """The folder of finished rows beside the outputs; those of an earlier run with the same settings are in it."""
    try:
        return Spool(_spool_folder(result), result.settings)
    except OSError as error:
        folder = result.probability.parent
        raise RasterError(f"{folder} cannot be written to; name a folder that you may write to ({error})") from error


class Spool:
    """A folder of finished bands of rows, numbered from 0, each of which appears whole or not at all.

    Attributes:
        folder: where the bands lie.
        settings: what the rows were made with; a folder of other settings is emptied.
    """

    def __init__(self, folder: Path, settings: dict) -> None:
        self.folder, self.settings = folder, settings
        note = folder / "settings.json"
        if folder.exists() and _read_json(note) != settings:
            shutil.rmtree(folder)
        if not folder.exists():
            folder.mkdir(parents=True)
            with written_whole(note) as draft:
                draft.write_text(json.dumps(settings), encoding="utf-8")
        self._finished = self._count()
        if self._path(self._finished).is_dir():
            shutil.rmtree(self._path(self._finished))  # no file can take its place

    def _count(self) -> int:
        """How many bands lie there that follow on each other, in one width."""
        start, number = 0, 0
        forms: set[Any] = set()
        while True:
            band = _form_of(self._path(number))
            if band is None or band[0] != start or (forms and band[2] not in forms):
                return number
            start += band[1]
            forms.add(band[2])
            number += 1

    def finished(self) -> int:
        """How many bands are there without a gap, from 0."""
        return self._finished

    def add(self, start: int, probability: np.ndarray, mask: np.ndarray) -> None:
        """Stores the next band, whose first row is `start`: both arrays (rows, width, classes), mask of {0, 1}.

        Raises:
            RasterError: if it cannot be written, as on a full disk.
        """
        try:
            with written_whole(self._path(self._finished)) as draft:
                np.savez_compressed(draft, start=start, probability=probability, mask=np.packbits(mask, axis=1))
        except OSError as error:
            raise RasterError(f"{self.folder.parent} cannot be written to: check that the disk is not full and that "
                              f"the folder is yours ({error})") from error
        self._finished += 1

    def rows(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(first row, probability, mask) of every band, in order."""
        for number in range(self._finished):
            with np.load(self._path(number), allow_pickle=False) as band:
                probability = band["probability"]
                mask = np.unpackbits(band["mask"], axis=1, count=probability.shape[1])
                yield int(band["start"]), probability, mask

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"


def _form_of(path: Path) -> tuple[int, int, tuple[int, ...]] | None:
    """(first row, rows, (width, classes)) of a band of rows; None where it is not there or its arrays are damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as band:
            start, probability, mask = (band[name] for name in ("start", "probability", "mask"))
            rows, width, classes = probability.shape
            whole = mask.dtype == np.uint8 and mask.shape == (rows, -(-width // 8), classes)
            return (int(start), rows, (width, classes)) if whole else None
    except (OSError, ValueError, TypeError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return None


def _read_json(path: Path) -> Any:
    """The content of a JSON file, or None where there is no whole one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_rasters(spool: Spool, grid: Grid, result: ScenePrediction, dtype: str, anew: bool = False) -> None:
    """The two rasters, out of the finished rows; one that an earlier run finished stays, unless `anew`."""
    classes, run = len(result.settings["classes"]), _digest(result)
    if anew or run_of(result.probability) != run:
        with create_probability(result.probability, grid, classes, dtype, result.settings, run) as raster:
            for start, probability, _ in spool.rows():
                if len(probability):
                    raster.write(probability, start)
    if anew or run_of(result.mask) != run:
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
    if name == "roads":  # each brings libraries of its own
        from jointnet.predict.vectors.centre_lines import centre_lines_of_raster

        yield centre_lines_of_raster(result.mask, result.probability, band, scene)
        return
    for table in polygon_tables(result.mask, result.probability, band, scene):
        yield tidying(table)
