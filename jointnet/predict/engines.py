"""A network in; a plain function out that turns a batch of windows into probabilities, on the fastest runtime here.

OpenVINO, compiled for one window, is the fastest that was found on a processor with AVX2; compiled for any number of
windows it is slower than TensorFlow with the weights as constants, which comes next. `benchmarks/prediction.py` has the
table.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from jointnet.errors import InputError, MissingPackageError
from jointnet.network.card import WeightsFile, check_same, open_weights
from jointnet.network.digest import is_keras, network_digest
from jointnet.predict.compiled import compile_weights, compiled_beside, read_compiled, read_int8
from jointnet.predict.convert import CompileError, openvino_window, traced
from jointnet.predict.graphs import without_copies

ENGINES = ("auto", "keras", "openvino", "int8")
GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # what a driver shows: NVIDIA's, AMD's, Windows' under Linux
TOLERANCE = 1e-3  # how far a runtime may stray from float32 Keras
_COMPILING = RLock()  # so that no two threads compile the same network


@dataclass(frozen=True)
class Engine:
    """The network as a function: uint8 (n, size, size, bands) -> float32 (n, size, size, classes) in [0, 1].

    Attributes:
        name: the runtime.
        run: the function.
        batch: windows that it likes to be shown at once.
        release: gives back the memory that a run needs; the next run takes it anew.
    """

    name: str
    run: Callable[[np.ndarray], np.ndarray]
    batch: int = 1
    release: Callable[[], object] = lambda: None

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """The probabilities of a batch of windows."""
        return self.run(windows)


class EngineWarning(UserWarning):
    """A network that runs on another runtime than it would best."""


def available_engines() -> tuple[str, ...]:
    """The runtimes that this environment has."""
    return ("keras", "openvino") if _has_openvino() else ("keras",)


def automatic_engine() -> str:
    """The runtime behind "auto".

    A rule and not a race: a run that is resumed must not be finished by another runtime than it was begun with.
    """
    return "openvino" if _has_openvino() and not _has_gpu() else "keras"


def make_engine(model: Any, name: str = "auto", size: int = 256) -> Engine:
    """The network of `model` on a runtime.

    Args:
        model: `WeightsFile`, or a name or path of one; a Keras model; or any function of a batch (a network of another
            library), which is used as it is.
        name: "keras", "openvino", "int8" for OpenVINO in 8-bit numbers (half the time; nearly the same answer, and only
            of weights that have such a network beside them), or "auto" for the exact one that is likely the fastest.
        size: side of the windows in pixels; OpenVINO and TensorFlow compile for it.

    Raises:
        ValueError: if the runtime is unknown, or "int8" is asked for a model in memory.
        CompileError: if the weights have no network in 8-bit numbers.
        ImportError: if the runtime is not installed.
    """
    if name not in ENGINES:
        raise InputError(f"engine {name!r} is unknown; choose from {', '.join(ENGINES)}")
    model = open_weights(model) if isinstance(model, str | Path) else model
    if not isinstance(model, WeightsFile) and not is_keras(model):
        if not callable(model):
            raise TypeError(f"a model is a Keras model, a name or a function, not {type(model).__name__}")
        return Engine("function", lambda windows: np.asarray(model(windows), np.float32))
    if name == "int8" and not isinstance(model, WeightsFile):
        raise InputError("engine 'int8' runs what lies beside published weights; give their name or path, or use "
                         "another engine for a model in memory")
    if name in ("openvino", "int8") and not _has_openvino():
        raise MissingPackageError("OpenVINO is not installed here; pip install openvino, or use engine='keras' "
                                  "(--engine keras)")
    digest = model.sha256 if isinstance(model, WeightsFile) else network_digest(model)
    with _COMPILING:
        return _compiled(model, _runtime(model) if name == "auto" else name, size, digest, name == "auto")


def begin_engine(model: Any, name: str | None = None) -> None:
    """Has a thread load OpenVINO and the network, where it is there, ready to run.

    That happens outside Python, which can import meanwhile what else a prediction needs.

    Args:
        model: as in `make_engine`; nothing is begun of what is in memory already.
        name: as in `make_engine`; None for "auto".
    """
    if not isinstance(model, WeightsFile) or name in ("keras", "int8") or not _has_openvino():
        return
    if compiled_beside(model.path).exists():
        ThreadPoolExecutor(1).submit(read_compiled, model, model.card.patch_size)  # its errors come again


def prepare(weights: WeightsFile, name: str = "auto", size: int | None = None, beside: bool = False) -> None:
    """Has a network made ready to run before several processes want it at once; where that fails, each of them says so.

    Args:
        weights: the network's.
        name: as in `make_engine`.
        size: side of the windows in pixels; without it the card's patch size.
        beside: makes it in this process, which has Keras loaded, and leaves it beside the weights, which will go.
    """
    if (_runtime(weights) if name == "auto" else name) != "openvino":
        return
    with suppress(CompileError):
        if beside:
            compile_weights(weights.path, size)
        else:
            read_compiled(weights, size or weights.card.patch_size)


def _runtime(model: Any) -> str:
    """The runtime behind "auto" for this model: what is in memory is converted out of TensorFlow, or not at all."""
    if isinstance(model, WeightsFile):
        if not _has_openvino():
            _say_once("OpenVINO is not installed; networks run on Keras, which takes longer to start")
        return automatic_engine()
    from jointnet.backend import keras

    return automatic_engine() if keras.backend.backend() == "tensorflow" else "keras"


@lru_cache(maxsize=4)
def _compiled(model: Any, runtime: str, size: int, digest: str, falls_back: bool) -> Engine:
    """One compiled engine per model, runtime and window; `digest` is there to compile anew when weights change."""
    if runtime == "int8":
        return _openvino_engine(read_int8(model, size)[0])
    if runtime == "openvino":
        try:
            is_file = isinstance(model, WeightsFile)
            return _openvino_engine(read_compiled(model, size)[0] if is_file else openvino_window(model, size))
        except CompileError as error:
            if not falls_back:
                raise
            warnings.warn(EngineWarning(f"{error}; it runs on Keras, which takes longer to start"), stacklevel=3)
    return _keras_engine(_loaded(model) if isinstance(model, WeightsFile) else model, size)


def weights_digest(model: Any, size: int = 256, engine: str = "auto") -> str:
    """`network_digest` of a Keras model or a function; of a `WeightsFile` the same, as its card has it.

    Args:
        model: as in `make_engine`.
        size: side of the windows that are about to be predicted, in pixels.
        engine: what runs it; "int8" gives other pixels, and so is another network.
    """
    digest = _file_digest(model, size) if isinstance(model, WeightsFile) else network_digest(model)
    return f"{digest} in 8 bits" if engine == "int8" else digest


@lru_cache(maxsize=4)
def _file_digest(weights: WeightsFile, size: int) -> str:
    """`network_digest` of the network of a weights file."""
    if weights.card.digest:
        return weights.card.digest
    if _runtime(weights) == "openvino":  # a card of earlier days
        with suppress(CompileError):
            return read_compiled(weights, size)[1]
    return network_digest(_loaded(weights))


def _loaded(weights: WeightsFile) -> Any:
    """The Keras model of a weights file.

    Raises:
        WeightsError: if another network has taken its place since it was opened.
    """
    from jointnet.network.weights import load_model

    model = load_model(weights.path)
    check_same(weights)
    return model


def _keras_engine(model: Any, size: int) -> Engine:
    """Keras on its backend: as one function that TensorFlow traced or JAX compiled, or step by step on PyTorch."""
    import keras

    batch, backend = _batch_for(size), keras.backend.backend()
    if backend == "tensorflow":
        function = traced(model, size)
        return Engine("keras", lambda windows: function(windows).numpy(), batch)
    return Engine("keras", _jitted(model, batch) if backend == "jax" else _without_gradients(model), batch)


def _jitted(model: Any, batch: int) -> Callable[[np.ndarray], np.ndarray]:
    """A network on JAX, compiled once: it is always shown `batch` windows, blank ones where there are fewer."""
    function = _jitted_network(model)
    values = [[v.value for v in kind] for kind in (model.trainable_variables, model.non_trainable_variables)]

    def run(windows: np.ndarray) -> np.ndarray:
        blank = np.zeros((-len(windows) % batch, *windows.shape[1:]), windows.dtype)
        return np.asarray(function(values, np.concatenate([windows, blank])), np.float32)[: len(windows)]

    return run


@lru_cache(maxsize=4)
def _jitted_network(model: Any) -> Callable:
    """A network as a function of its values and windows: what a training changes does not have it compiled anew."""
    import jax

    return jax.jit(lambda values, windows: model.stateless_call(*values, windows, training=False)[0])


def _without_gradients(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A network on PyTorch, which else keeps what a training would need."""
    import torch

    def run(windows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(windows, training=False).float().cpu().numpy()

    return run


def _openvino_engine(graph: Any) -> Engine:
    """OpenVINO on the processor, in float32 throughout."""
    from jointnet.predict.runtime import CORE

    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS")  # set where several processes share the machine
    if threads:
        settings["INFERENCE_NUM_THREADS"] = int(threads)
    compiled = CORE.compile_model(without_copies(graph), "CPU", settings)
    return Engine("openvino", lambda windows: np.concatenate([compiled(w[None])[0] for w in windows]),
                  release=compiled.release_memory)


def _batch_for(size: int) -> int:
    """Windows at once: one on a processor, where more cost memory and save nothing; more on a GPU."""
    return max(1, 16 * 256 * 256 // (size * size)) if _has_gpu() else 1


def _has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


@lru_cache(maxsize=1)
def _has_gpu() -> bool:
    """Whether Keras would run on a GPU; it is asked only where the machine shows signs of one."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    plugged = importlib.util.find_spec("tensorflow-plugins") is not None  # Apple's, for one
    if not plugged and (hidden or not any(map(os.path.exists, GPUS))):
        return False
    from jointnet.backend import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    if backend == "torch":
        import torch

        return torch.cuda.is_available()
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


@cache
def _say_once(text: str) -> None:
    """Warns of something, the first time that it happens in this process."""
    warnings.warn(EngineWarning(text), stacklevel=4)
