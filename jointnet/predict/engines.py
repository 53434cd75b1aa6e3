"""A network in; a plain function out that turns a batch of windows into probabilities, on the fastest runtime here.

OpenVINO, compiled for one window, is the fastest that was found on a processor with AVX2; compiled for any number of
windows it is slower than TensorFlow with the weights as constants, which comes next. `benchmarks/prediction.py` has the
table.
"""

from __future__ import annotations

import importlib.util
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from jointnet.errors import InputError, MissingPackageError

ENGINES = ("auto", "keras", "openvino")
TOLERANCE = 1e-3  # how far a runtime may stray from float32 Keras


@dataclass(frozen=True)
class Engine:
    """The network as a function: uint8 (n, size, size, bands) -> float32 (n, size, size, classes) in [0, 1].

    Attributes:
        name: the runtime.
        run: the function.
        batch: windows that it likes to be shown at once.
    """

    name: str
    run: Callable[[np.ndarray], np.ndarray]
    batch: int = 1

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """The probabilities of a batch of windows."""
        return self.run(windows)


def available_engines() -> tuple[str, ...]:
    """The runtimes that this environment has."""
    return tuple(name for name in ENGINES[1:] if name == "keras" or _has_openvino())


def automatic_engine() -> str:
    """The runtime behind "auto".

    A rule and not a race: a run that is resumed must not be finished by another runtime than it was begun with.
    """
    return "openvino" if _has_openvino() and not _has_gpu() else "keras"


def make_engine(model, name: str = "auto", size: int = 256) -> Engine:
    """The network of `model` on a runtime.

    Args:
        model: a Keras model, or any function of a batch (a network of another library), which is used as it is.
        name: "keras", "openvino", or "auto" for the one that is likely the fastest here.
        size: side of the windows in pixels; OpenVINO and TensorFlow compile for it.

    Raises:
        ValueError: if the runtime is unknown.
        ImportError: if the runtime is not installed.
    """
    if name not in ENGINES:
        raise InputError(f"engine {name!r} is unknown; choose from {', '.join(ENGINES)}")
    if not _is_keras(model):
        if not callable(model):
            raise TypeError(f"a model is a Keras model, a name or a function, not {type(model).__name__}")
        return Engine("function", lambda windows: np.asarray(model(windows), np.float32))
    if name == "openvino" and not _has_openvino():
        raise MissingPackageError("OpenVINO cannot run here; pip install 'jointnet[openvino]' and keep KERAS_BACKEND "
                                  "at tensorflow, or use engine='keras' (--engine keras)")
    runtime = automatic_engine() if name == "auto" else name
    return _compiled(model, runtime, size, weights_digest(model))


@lru_cache(maxsize=4)
def _compiled(model, runtime: str, size: int, digest: str) -> Engine:
    """One compiled engine per model, runtime and window; `digest` is there to compile anew when weights change."""
    return _openvino_engine(model, size) if runtime == "openvino" else _keras_engine(model, size)


def weights_digest(model) -> str:
    """A checksum of a Keras model's weights; of a function, its name."""
    if not _is_keras(model):
        return getattr(model, "__qualname__", type(model).__qualname__)
    check = 0
    for variable in model.weights:
        check = zlib.crc32(np.ascontiguousarray(variable.numpy()), check)
    return f"{check:08x}"


def _keras_engine(model, size: int) -> Engine:
    """Keras on its backend; on TensorFlow as one traced function."""
    import keras

    batch = _batch_for(size)
    if keras.backend.backend() == "tensorflow":
        function = traced(model, size)
        return Engine("keras", lambda windows: function(windows).numpy(), batch)
    return Engine("keras", lambda windows: keras.ops.convert_to_numpy(model(windows, training=False)), batch)


def _openvino_engine(model, size: int) -> Engine:
    """OpenVINO on the processor, in float32 throughout."""
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS")  # set where several processes share the machine
    if threads:
        settings["INFERENCE_NUM_THREADS"] = int(threads)
    single = openvino_model(model, size)
    single.reshape([1, size, size, model.input_shape[-1]])
    compiled = openvino.Core().compile_model(single, "CPU", settings)
    return Engine("openvino", lambda windows: np.concatenate([compiled(w[None])[0] for w in windows]), 1)


def openvino_model(model, size: int):
    """The network as an `openvino.Model` of uint8 (n, size, size, bands), scaling inside, with one output."""
    import openvino

    whole = openvino.convert_model(traced(model, size).get_concrete_function())
    output = next(o for o in whole.outputs if o.get_element_type() == openvino.Type.f32)
    return openvino.Model([output], whole.get_parameters(), "jointnet")


def traced(model, size: int):
    """The network as a TensorFlow function of uint8 (n, size, size, bands), with the weights as they are now.

    They are constants of its graph, which oneDNN brings into its own order once and not at every call: a window of
    256 px takes two thirds of the time.
    """
    import tensorflow as tf

    trainable, other = ([v.numpy() for v in group]
                        for group in (model.trainable_variables, model.non_trainable_variables))

    def run(windows):
        weights = ([tf.constant(value) for value in group] for group in (trainable, other))
        return model.stateless_call(*weights, windows, training=False)[0]

    shape = (None, size, size, model.input_shape[-1])
    return tf.function(run, input_signature=[tf.TensorSpec(shape, tf.uint8)], autograph=False)


def _batch_for(size: int) -> int:
    """Windows at once: one on a processor, where more cost memory and save nothing; more on a GPU."""
    return max(1, 16 * 256 * 256 // (size * size)) if _has_gpu() else 1


def _is_keras(model) -> bool:
    """Whether this is a Keras model, without importing Keras to find out."""
    return any(base.__module__.split(".")[0] == "keras" for base in type(model).__mro__)


def _has_openvino() -> bool:
    """Whether OpenVINO is installed and Keras runs on TensorFlow, from which it is converted."""
    if importlib.util.find_spec("openvino") is None:
        return False
    import keras

    return keras.backend.backend() == "tensorflow"


def _has_gpu() -> bool:
    """Whether Keras runs on TensorFlow and that sees a GPU."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
