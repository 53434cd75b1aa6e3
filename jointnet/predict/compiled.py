"""A weights file in; its network ready to run (OpenVINO's IR) out, without Keras.

A network for windows of one size is one file, `NAME.openvino.zip`: OpenVINO's own `network.xml` and `network.bin`, and
`made_of.json`. The published weights bring theirs; of others it is made once, by another process, because that takes
Keras and TensorFlow, and kept in the user's cache. A file that is damaged, or of other weights, is made anew. A network
whose pixels do not depend on the size of the window, which group normalisation's do, is reshaped for other windows.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
import zlib
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jointnet.files import cache_folder, written_whole
from jointnet.network.card import SUFFIX, WeightsFile, check_same, open_weights
from jointnet.predict.convert import CompileError, halve_exactly, openvino_window

ENDING = ".openvino.zip"
INT8_ENDING = ".int8.openvino.zip"
FORM = ("architecture", "preset", "bands", "classes", "reduction_from", "normalization", "dilation_rates",
        "growth_rates")  # what of a card makes another network of the same weights
KEPT = 20  # networks in the cache; those that were used longest ago are deleted
UNREADABLE = (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
BEGINNING = (1980, 1, 1, 0, 0, 0)  # no date inside, so that the same network is the same file


class CompileWarning(UserWarning):
    """A network that must be made ready to run first, which takes its time."""


def compiled_beside(path: Path) -> Path:
    """Where the network ready to run lies that belongs to a weights file."""
    return path.with_name(path.name.removesuffix(SUFFIX) + ENDING)


def int8_beside(path: Path) -> Path:
    """Where the network in 8-bit numbers lies that belongs to a weights file."""
    return path.with_name(path.name.removesuffix(SUFFIX) + INT8_ENDING)


def read_int8(weights: WeightsFile, size: int) -> Any:
    """As `read_compiled`, of the network in 8-bit numbers beside the weights.

    Raises:
        CompileError: if there is none that was made of these weights.
    """
    path = int8_beside(weights.path)
    if not path.exists():
        raise CompileError(f"{weights.path.name} has no {path.name} beside it, its network in 8-bit numbers; use "
                           f"another engine, or make one: recipes/quantize.py")
    found = _read(path, weights, size)
    if found is None:
        raise CompileError(f"{path.name} is damaged, or was not made of {weights.path.name}; use another engine, or "
                           f"make it anew: recipes/quantize.py")
    return found


def read_compiled(weights: WeightsFile, size: int) -> Any:
    """(`openvino.Model` of uint8 (1, size, size, bands), digest of the network), made first where it has to be.

    Raises:
        CompileError: if it is not there and cannot be made.
        WeightsError: if the weights were exchanged since they were opened, and it is not there.
    """
    found = _read(compiled_beside(weights.path), weights, size)
    if found is not None:
        return found
    cached = _cache() / f"{_key(weights, size)}{ENDING}"
    found = _read_cached(cached, weights, size)
    if found is None:
        _compile_apart(weights, size, cached)
        found = _read_cached(cached, weights, size)
    if found is None:
        check_same(weights)
        raise CompileError(f"OpenVINO cannot read what was made of {weights.path.name}")
    return found


def compile_weights(name_or_path: str | Path, size: int | None = None, out: Path | None = None) -> Path:
    """Makes a weights file's network ready to run, in this process, with Keras and TensorFlow; returns its path.

    Args:
        name_or_path: as in `load_model`.
        size: side of the windows in pixels; without it the card's patch size.
        out: file to write; without it the one beside the weights, which predictions look for.
    """
    from jointnet.network.digest import network_digest
    from jointnet.network.weights import load_model

    weights, model = open_weights(name_or_path), load_model(name_or_path)
    check_same(weights)
    size = size or weights.card.patch_size
    graph = openvino_window(model, size)
    halve_exactly(graph)
    return write_compiled(graph, weights, size, network_digest(model), out or compiled_beside(weights.path))


def write_compiled(graph: Any, weights: WeightsFile, size: int, digest: str, path: Path) -> Path:
    """Writes a network for windows of `size` px that was made of these weights, and returns the path.

    Args:
        graph: the `openvino.Model`.
        weights: what it was made of.
        size: side of the windows in pixels.
        digest: `network_digest` of the network.
        path: file to write.
    """
    from jointnet.predict.runtime import openvino

    made_of = _made_of(weights, size) | {"digest": digest, "openvino": openvino.__version__}
    with tempfile.TemporaryDirectory() as folder:
        openvino.save_model(graph, Path(folder) / "network.xml", compress_to_fp16=False)
        _write(path, {"made_of.json": json.dumps(made_of, indent=1).encode()} | {
            file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())})
    return path


def _made_of(weights: WeightsFile, size: int) -> dict:
    """What a network ready to run must have been made of."""
    card = asdict(weights.card)
    return json.loads(json.dumps({"sha256": weights.sha256, "size": size} | {name: card[name] for name in FORM}))


def _key(weights: WeightsFile, size: int) -> str:
    """The name of a network in the cache."""
    return hashlib.sha256(json.dumps(_made_of(weights, size), sort_keys=True).encode()).hexdigest()[:32]


def _read(path: Path, weights: WeightsFile, size: int) -> Any:
    """(`openvino.Model`, digest) of a file; None where there is none that is whole and made of these weights."""
    from jointnet.predict.runtime import CORE

    wanted = _made_of(weights, size)
    try:
        with zipfile.ZipFile(path) as archive:
            made_of = json.loads(archive.read("made_of.json"))
            differs = [name for name in wanted if made_of.get(name) != wanted[name]]
            if differs and (differs != ["size"] or weights.card.normalization == "group"):
                return None
            graph = CORE.read_model(*(archive.read(name) for name in ("network.xml", "network.bin")))
        return (_reshaped(graph, size) if differs else graph), made_of["digest"]
    except UNREADABLE:
        return None


def _reshaped(graph: Any, size: int) -> Any:
    """A network for windows of another size.

    Raises:
        CompileError: if it was made for its own size alone.
    """
    graph.reshape([1, size, size, graph.input(0).shape[-1]])
    if list(graph.output(0).shape[1:3]) != [size, size]:
        raise CompileError(f"its answer is {graph.output(0).shape}, not of {size} px")
    return graph


def _read_cached(path: Path, weights: WeightsFile, size: int) -> Any:
    """As `_read`; the cache keeps the networks that were used last."""
    found = _read(path, weights, size)
    if found is not None:
        with suppress(OSError):
            os.utime(path)
            for old in sorted(path.parent.glob(f"*{ENDING}"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
                old.unlink()
    return found


def _compile_apart(weights: WeightsFile, size: int, out: Path) -> None:
    """`compile_weights` in a process of its own, which takes TensorFlow's memory with it when it ends."""
    warnings.warn(CompileWarning(
        f"{weights.path.name} is made ready to run in windows of {size} px, which takes Keras and some twenty seconds; "
        f"it is kept, so that the next prediction starts at once"), stacklevel=2)
    command = [sys.executable, "-m", "jointnet", "compile", str(weights.path), "--size", str(size), "--out", str(out)]
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    told = subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    if told.returncode:
        said = [line for line in told.stderr.splitlines() if line.startswith("jointnet: ")]
        why = said[-1] if said else f"its process ended with {told.returncode}"
        raise CompileError(f"{weights.path.name} cannot be made ready for OpenVINO: {why.removeprefix('jointnet: ')}")


def _write(path: Path, parts: dict[str, bytes]) -> None:
    """A ZIP archive of some files, whole or not at all, and the same for the same content."""
    with written_whole(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, BEGINNING), content, zipfile.ZIP_DEFLATED)


def _cache() -> Path:
    """The folder of the networks that were made here."""
    return cache_folder().absolute() / "compiled"  # the process that fills it works in another folder
