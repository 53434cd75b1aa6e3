"""A network in; a short text out that is the same for the same network, and another for any other. No Keras needed."""

from __future__ import annotations

import hashlib
import inspect
import json
import uuid
import zlib
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

OLD = 8  # leading characters of a digest; earlier predictions name their network by these alone
_ONE_OFF: dict[int, tuple[object, str]] = {}  # keeps each object alive, so that no other can get its id


def is_keras(model: Any) -> bool:
    """Whether this is a Keras model, without importing Keras to find out."""
    return any(base.__module__.split(".")[0] == "keras" for base in type(model).__mro__)


def network_digest(model: Any) -> str:
    """32 hexadecimal digits of what a network computes: its form and its weights, as they are now.

    Of a function, its code and all that it refers to; an attribute `digest` (text) of its own stands in place of that,
    as one needs that counts its calls: what it refers to is never twice the same.
    What cannot be read from outside, as a session of another runtime, is taken for a new network in every process.
    """
    if is_keras(model):
        return _keras_digest(model)
    own = getattr(model, "digest", None)
    return own if isinstance(own, str) else _function_digest(model)


def _keras_digest(model: Any) -> str:
    """CRC-32 of the weights, then SHA-256 of form and weights: 8 and 24 digits."""
    check, digest = 0, hashlib.sha256(json.dumps(_form(model), sort_keys=True, default=repr).encode())
    for variable in model.weights:
        values = np.ascontiguousarray(variable.numpy(), np.float32)
        check = zlib.crc32(values.data, check)
        digest.update(repr(values.shape).encode())
        digest.update(values.data)
    return f"{check:08x}{digest.hexdigest()[:24]}"


def _form(model: Any) -> dict | list:
    """What `build_jointnet` or `build_unet` was told; of another model, its layers without their names."""
    shapes = {"bands": model.input_shape[-1], "classes": model.output_shape[-1]}
    built_with = getattr(model, "built_with", None)
    if built_with is not None:
        return built_with | shapes
    layers = [(type(layer).__name__, layer.get_config()) for layer in model.layers]
    return [[kind, {key: value for key, value in config.items() if key != "name"}] for kind, config in layers]


def _function_digest(function: Any) -> str:
    """A digest of what a function is made of; of what cannot be taken apart, one that nothing else has."""
    from joblib import hash as content_hash  # takes arrays and objects apart, as scikit-learn's caches do

    try:
        return content_hash(_parts(function, ()))
    except Exception:  # noqa: BLE001 - whatever an object of another library raises when it is pickled
        return _ONE_OFF.setdefault(id(function), (function, uuid.uuid4().hex))[1]


def _parts(value: Any, inside: tuple) -> object:
    """A function as its name, code and what it refers to, so that it can be hashed; anything else as it is."""
    if isinstance(value, MethodType):
        return (_parts(value.__func__, inside), value.__self__)
    if isinstance(value, ModuleType) or any(value is outer for outer in inside):
        return getattr(value, "__qualname__", value.__name__)
    if not isinstance(value, FunctionType):
        call = vars(type(value)).get("__call__")
        return (_parts(call, inside), value) if isinstance(call, FunctionType) else value
    found = inspect.getclosurevars(value)
    used = sorted({**found.globals, **found.nonlocals}.items())
    inside = (*inside, value)
    return (value.__module__, value.__qualname__, _code(value.__code__), value.__defaults__,
            [(name, _parts(item, inside)) for name, item in used])


def _code(code: CodeType) -> tuple:
    """What a piece of code does and with which constants."""
    return (code.co_code, code.co_names, [_constant(item) for item in code.co_consts])


def _constant(value: Any) -> object:
    """A constant of a piece of code; sets come in another order in each process."""
    if isinstance(value, CodeType):
        return _code(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)
