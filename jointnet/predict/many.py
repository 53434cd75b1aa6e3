"""Many scenes in; their predictions out, spread over the workers of a Dask cluster, one scene a task."""

from __future__ import annotations

import json
import os
import shutil
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jointnet.data.addresses import stem_of
from jointnet.data.scene import Scene
from jointnet.errors import MissingPackageError
from jointnet.files import written_whole
from jointnet.network.card import WeightsFile, open_weights
from jointnet.network.digest import is_keras
from jointnet.options import PredictOptions, chosen, takes
from jointnet.predict.engines import prepare
from jointnet.predict.outputs import alone_in
from jointnet.predict.settings import PredictionError, PredictionWarning
from jointnet.progress import tqdm

REPORT = "prediction_report.json"


@dataclass
class ManyReport:
    """What `predict_many` did.

    Attributes:
        scenes: how many were asked for.
        done: name -> seconds, of the scenes that were predicted now.
        skipped: names of the scenes that were there already.
        failed: name -> why, of the scenes that could not be predicted.
        pixels: number of pixels of all scenes that were predicted in this run.
        seconds: wall-clock time of the whole run.
    """

    scenes: int
    done: dict[str, float] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    pixels: int = 0
    seconds: float = 0.0

    def __str__(self) -> Any:
        """One line for people."""
        speed = self.pixels / self.seconds / 1e6 if self.seconds else 0
        return (f"{len(self.done)} of {self.scenes} scenes predicted, {len(self.skipped)} were there, "
                f"{len(self.failed)} failed; {self.pixels / 1e6:.1f} million pixels in {self.seconds:.0f} s "
                f"({speed:.2f} million a second)")


@takes(PredictOptions)
def predict_many(model: Any, sources: Sequence, out: str | Path, scheduler: str | None = None,
                 workers: int | None = None, retries: int = 1, progress: bool = True, **options: Any) -> ManyReport:
    """Predicts many scenes, each as `predict_scene` does, and writes a report beside them.

    Scenes that are finished are skipped. A scene whose worker dies goes on, on another worker, after the last rows that
    were finished. A scene that fails is tried again, then listed; the others are done all the same.

    Args:
        model: as in `predict_scene`; a Keras model is saved beside the outputs for the workers to load. Workers on
            other machines must see the same paths.
        sources: image files, or scenes of a dataset; no two of one name.
        out: folder for the outputs and `prediction_report.json`.
        scheduler: address of a Dask scheduler, as "tcp://10.0.0.1:8786"; without it a cluster on this machine.
        workers: processes of that local cluster; without it one for every four cores.
        retries: how often a scene that failed is tried again.
        progress: False shows no progress bar.
        options: those of `PredictOptions`, the same for every scene.

    Raises:
        PredictionError: if there is no scene, two have one name, or another `predict_many` into `out` is running.
        ImportError: if Dask is not installed.
        OSError: if the scheduler does not answer.
        UnknownOptionError: if there is no option of a name; the message names the closest.
    """
    began = time.perf_counter()
    out = Path(out)
    wanted = chosen(PredictOptions, options)
    names = _names(sources)
    if workers is not None and not workers > 0:
        raise PredictionError(f"workers={workers} must be a number of processes, 1 or more")
    report = ManyReport(len(names))
    busy = f"another run is predicting many scenes into {out} just now; wait until it is done, or choose another folder"
    with (alone_in(out, REPORT, busy), _client(scheduler, workers, len(names)) as client,
          _shared(model, out, wanted) as weights):
        futures = {
            client.submit(_predict_one, weights, source, str(out.resolve()), wanted, retries=retries, pure=False): name
            for name, source in zip(names, sources, strict=True)
        }
        _collect(client, futures, report, progress)
        report.seconds = time.perf_counter() - began
        with written_whole(out / REPORT) as draft:
            draft.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    return report


def _names(sources: Sequence) -> list[str]:
    """The name of each scene's outputs."""
    names = [source.name if isinstance(source, Scene) else stem_of(source) for source in sources]
    if not names:
        raise PredictionError("there is no scene to predict; name at least one image")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise PredictionError(f"several scenes are called {', '.join(twice)} and so would be their outputs; "
                              f"predict them into different folders")
    return names


def _predict_one(weights: Any, source: Any, out: str, wanted: PredictOptions) -> tuple[float, int]:
    """(seconds, pixels) of one scene, on a worker. 0 seconds: it was there already."""
    from jointnet.predict.scenes import predict_scene

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredictionWarning)
        result = predict_scene(weights, source, out, progress=False, **vars(wanted))
    height, width = result.shape
    return result.seconds, height * width


def _collect(client: Any, futures: dict, report: ManyReport, progress: bool) -> None:
    """Sorts finished tasks into the report; an interrupt cancels those that are left."""
    from distributed import as_completed

    try:
        for future in tqdm(as_completed(futures), total=len(futures), unit="scene", disable=not progress):
            name = futures[future]
            if future.status != "finished":
                report.failed[name] = _reason(future)
                continue
            seconds, pixels = future.result()
            if seconds:
                report.done[name] = round(seconds, 3)
                report.pixels += pixels
            else:
                report.skipped.append(name)
    except BaseException:
        client.cancel(list(futures))
        raise


def _reason(future: Any) -> str:
    """Why a task failed, in a sentence."""
    error = future.exception()
    return str(error) or type(error).__name__


@contextmanager
def _client(scheduler: str | None, workers: int | None, scenes: int) -> Iterator:
    """A client of the scheduler, or of a cluster on this machine that lasts as long as the block."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingPackageError("many scenes at once need Dask; pip install 'jointnet[dask]'") from error
    if scheduler is not None:
        with Client(scheduler, timeout="30s") as client:
            yield client
        return
    cores = os.cpu_count() or 1
    count = min(workers or max(1, cores // 4), scenes)
    threads = str(max(1, cores // count))
    cluster = LocalCluster(
        n_workers=count, threads_per_worker=1, dashboard_address=None, memory_limit=None,
        env={"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    with cluster, Client(cluster) as client:
        yield client


@contextmanager
def _shared(model: Any, out: Path, wanted: PredictOptions) -> Iterator:
    """The model in a form that workers can get: weights that are ready to run, or a function as it is."""
    if isinstance(model, str | Path):
        model = open_weights(model)
    if not is_keras(model):
        if isinstance(model, WeightsFile):
            prepare(model, wanted.engine, wanted.size)
        yield model
        return
    from jointnet.network.weights import save_model

    folder = out / ".shared_weights"
    try:
        weights = open_weights(save_model(model, folder / "model.weights.h5"))
        prepare(weights, wanted.engine, wanted.size, beside=True)
        yield weights
    finally:
        shutil.rmtree(folder, ignore_errors=True)
