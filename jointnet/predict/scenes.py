"""One scene in; its probability raster, its mask and its polygons out, in bounded memory and resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from jointnet.data.place_files import is_place
from jointnet.data.raster import DamagedRasterError, block_cache
from jointnet.data.services import PlaceError
from jointnet.files import settle
from jointnet.network.card import class_names
from jointnet.options import PredictOptions, chosen, takes
from jointnet.predict.arrays import check_answer, network_of, resolve
from jointnet.predict.arrays import predict_array as predict_array  # where others look for it, too
from jointnet.predict.arrays import predict_mask as predict_mask
from jointnet.predict.engines import make_engine, weights_digest
from jointnet.predict.outputs import (
    ScenePrediction,
    Spool,
    alone_with,
    has_rasters,
    is_finished,
    open_spool,
    plan,
    refuse_to_replace,
    with_notes,
    write_rasters,
    write_vectors,
)
from jointnet.predict.rasters import TYPES, to_probability, to_values
from jointnet.predict.resample import completed, needed_from, resample_rows
from jointnet.predict.settings import PredictionError, Settings, settings_of, with_temperature
from jointnet.predict.source import Source, open_source
from jointnet.predict.windows import WindowGrid, predict_windows, stride_of
from jointnet.progress import tqdm

CACHE = 48  # MB of blocks of rasters that GDAL holds during a prediction, which reads and writes each row once

Progress = Callable[[int, int], object]


@takes(PredictOptions)
def predict_scene(
    model: Any, source: Any, out: str | Path, progress: bool | Progress = True, **options: Any
) -> ScenePrediction:
    """Predicts one scene and writes `{stem}_probability.tif`, `{stem}_mask.tif` and `{stem}_{class}.gpkg/.geojson`.

    Rows are kept as they are finished, so a run that was stopped or killed goes on where it was when it is called
    again with the same arguments, and gives the same pixels. Files appear under their names only when complete.
    Where the rasters are there already, only the vector files that are missing are made.

    Args:
        model: a name or path as `open_weights` takes it, what that gives, a Keras model, or a function of a batch of
            windows; a name starts in a second, without TensorFlow.
        source: path or address of an image (https://, s3://, gs://, /vsi..., or of a STAC item), or a scene of a
            dataset or of `open_place`, or a part of one (`Scene.part`).
        out: folder for the outputs; it is made.
        progress: False shows no progress bar; or a function of (windows done, windows in all), which may stop the run
            by raising KeyboardInterrupt: the same call goes on with what was done.
        options: those of `PredictOptions`, by name, as `min_area=10`.

    Raises:
        RasterError: if the image cannot be read or the folder not be written to.
        ServiceError: if imagery did not come over the network; the same call goes on with what was done.
        PredictionError: if image, part or settings do not fit the network, or it answers with no probabilities.
        FileExistsError: if the folder holds a prediction of that name made with other settings, or another file there.
        UnknownOptionError: if there is no option of a name; the message names the closest.
    """
    began = time.perf_counter()
    wanted = chosen(PredictOptions, options)
    if wanted.dtype not in TYPES:
        raise PredictionError(f"dtype={wanted.dtype!r} is unknown; choose from {', '.join(TYPES)}")
    model = resolve(model)
    settings = settings_of(model)
    with block_cache(CACHE), open_source(source, settings, wanted.bounds, wanted.gsd, wanted.bands) as scene:
        size = settings.window_for(scene.shape) if wanted.size is None else wanted.size
        overlap = settings.overlap if wanted.overlap is None else wanted.overlap
        wanted = replace(wanted, size=size, overlap=overlap)
        grid = WindowGrid(*scene.shape, size, stride_of(size, overlap))
        settings = _with_classes(settings, model, size, len(scene.bands))
        limits = settings.threshold_array(wanted.threshold)
        result = plan(scene, Path(out), settings, wanted, weights_digest(model, size, wanted.engine), limits)
        if not wanted.overwrite:
            refuse_to_replace(result)
            if is_finished(result):
                return with_notes(result)
        if wanted.polygons and len(grid.tops) * len(grid.lefts) == 1:
            Thread(target=import_module, args=("geopandas",), daemon=True).start()  # takes as long as the window
        run, network = network_of(model, wanted.engine, size, wanted.tta)
        with alone_with(result, wanted.overwrite), _kept_rows(result) as spool:
            if wanted.overwrite or not has_rasters(result):
                _fill(spool, scene, grid, run, network.batch, settings, limits, wanted.dtype, progress)
                network.release()  # what makes polygons brings as much, so they must not meet
                _check_imagery(spool, scene)
                write_rasters(spool, scene.grid, result, wanted.dtype, wanted.overwrite)
            result = write_vectors(result)
            for path in result.paths:
                settle(path)  # a run that was killed may have left drafts of what was done by then
    return replace(result, seconds=time.perf_counter() - began)


@contextmanager
def _kept_rows(result: ScenePrediction) -> Iterator[Spool]:
    """The finished rows, which are kept where the block ends early, unless there are none or the image is at fault."""
    spool = open_spool(result)
    try:
        yield spool
    except Exception as error:
        if isinstance(error, DamagedRasterError | PlaceError) or not spool.finished():
            spool.remove()
        raise
    spool.remove()


def _with_classes(settings: Settings, model: Any, size: int, bands: int) -> Settings:
    """The settings with names for the classes, which a function without a card tells only by running."""
    if settings.classes is not None:
        return settings
    run = make_engine(model, size=size)
    return replace(settings, classes=class_names(run(np.zeros((1, size, size, bands), np.uint8)).shape[-1]))


def _fill(spool: Spool, scene: Source, grid: WindowGrid, run: Any, batch: int, settings: Settings, limits: np.ndarray,
          dtype: str, progress: bool | Progress) -> None:
    """Predicts the bands of rows that are not in the spool yet."""
    number = spool.finished()
    if number == len(grid.tops):
        return
    with _told(progress, scene.name, len(grid.lefts) * number, len(grid.lefts) * len(grid.tops)) as on_windows:
        for start, rows in _bands(scene, grid, run, batch, number, on_windows):
            rows = with_temperature(check_answer(rows, settings), settings.temperature)
            valid = scene.read_valid(start, start + len(rows)) if len(rows) else np.ones(rows.shape[:2], bool)
            mask = (rows >= limits) & valid[..., None]
            spool.add(start, to_values(rows, valid, dtype), mask)


@contextmanager
def _told(progress: bool | Progress, name: str, done: int, total: int) -> Iterator[Callable[[int], object]]:
    """A function to call with the windows just done: it moves a bar, or tells whoever wants to know."""
    if not callable(progress):
        with tqdm(total=total, initial=done, desc=name, unit="window", disable=not progress) as bar:
            yield bar.update
        return
    counted = done
    progress(counted, total)

    def count(windows: int) -> None:
        nonlocal counted
        counted += windows
        progress(counted, total)

    yield count


def _check_imagery(spool: Spool, scene: Source) -> None:
    """Raises PlaceError where a service had no imagery for most of a scene: a blank answer would look like one."""
    if not is_place(scene.path):
        return
    from jointnet.data.places import check_covered  # opens services, which a file has no need of

    blank = sum(int(np.isnan(to_probability(rows[..., 0])).sum()) for _, rows, _ in spool.rows() if len(rows))
    check_covered(blank, scene.grid.height * scene.grid.width, scene.path)


def _bands(scene: Source, grid: WindowGrid, run: Any, batch: int, number: int, on_windows: Any
           ) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, probability rows) of the scene's grid, from band `number` on."""
    if scene.rows is None or scene.columns is None:
        for k, rows in predict_windows(scene.read, grid, run, batch, number, on_windows):
            yield grid.finished(k)[0], rows
        return
    done = completed(scene.rows, grid.finished(number - 1)[1]) if number else 0
    back = number
    while back and grid.finished(back)[0] > needed_from(scene.rows, done):
        back -= 1
    blocks = predict_windows(scene.read, grid, run, batch, back, on_windows)
    first = grid.finished(back)[0]
    for k, rows in resample_rows(blocks, scene.rows, scene.columns, first, done):
        if k >= number:
            yield done, rows
        done += len(rows)
