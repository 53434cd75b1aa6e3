"""A network in; a file that runs without this package out, with scaling and card inside."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jointnet.errors import InputError, MissingPackageError
from jointnet.files import settle, written_whole
from jointnet.predict.convert import openvino_model, traced

FORMATS = {"openvino": ".xml", "savedmodel": "", "onnx": ".onnx"}
CARD_KEY = "jointnet_card"
OF_SAVED_MODEL = {"saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "variables", "assets", "assets.extra"}


def export(model: Any, path: str | Path, format: str | None = None, size: int | None = None) -> Path:
    """Writes the network of uint8 windows (n, size, size, bands) -> float32 probabilities; returns the path.

    Args:
        model: a Keras model, or a name or path for `load_model`.
        path: what to write; OpenVINO's ends in .xml and gets a .bin beside it, a SavedModel is a folder.
        format: "openvino", "savedmodel" or "onnx"; without it, what the path ends in decides.
        size: side of the windows in pixels; without it the patch size of the card.

    The card is JSON: under `jointnet_card` in OpenVINO's rt_info and in ONNX's metadata, in
    `assets.extra/card.json` of a SavedModel.

    Raises:
        ValueError: if the format is unknown or the path does not end as it should.
        ImportError: if the format needs a package that is not installed.
    """
    from jointnet.network.card import card_of

    path = Path(path)
    if format is None:
        format = _format_of(path)
    if format not in FORMATS:
        raise InputError(f"format {format!r} is unknown; choose from {', '.join(FORMATS)}")
    if path.suffix != FORMATS[format]:
        raise InputError(f"{path} must end in {FORMATS[format] or 'a folder name without a suffix'} for {format}")
    if path.is_dir():
        _check_replaceable(path)
    if isinstance(model, str | Path):
        from jointnet.network.weights import load_model

        model = load_model(model)
    card = card_of(model)
    write = {"openvino": _openvino, "savedmodel": _saved_model, "onnx": _onnx}[format]
    companions = [path.with_suffix(".bin")] if format == "openvino" else []
    with written_whole(path, *companions) as draft:
        write(model, draft, size or card.patch_size, json.dumps(asdict(card)))
    return path


def _check_replaceable(folder: Path) -> None:
    """Raises InputError for a folder with other files than a SavedModel's, which would be gone with it."""
    others = sorted(p.name for p in folder.iterdir() if p.name not in OF_SAVED_MODEL)
    if others:
        raise InputError(f"{folder} is there and holds other files, as {others[0]}, which an export would delete; name "
                         f"a new folder")


def _format_of(path: Path) -> str:
    """The format that a path's ending stands for."""
    found = [name for name, suffix in FORMATS.items() if suffix == path.suffix]
    if not found:
        raise InputError(f"{path} ends in {path.suffix}; end it in .onnx, in .xml for OpenVINO, or in nothing for a "
                         f"folder with TensorFlow's SavedModel")
    return found[0]


def read_card(path: str | Path) -> dict:
    """The card inside an exported network.

    Raises:
        ValueError: if there is no network, or one that `export` did not write.
    """
    path = Path(path)
    settle(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; name what export wrote")
    try:
        return _card_in(path)
    except (KeyError, ValueError, OSError, RuntimeError) as error:
        raise InputError(f"{path} is damaged, or no network that export wrote: it holds no card") from error


def _card_in(path: Path) -> dict:
    """The card inside an exported network, by its format."""
    if path.is_dir():
        return json.loads((path / "assets.extra" / "card.json").read_text(encoding="utf-8"))
    if path.suffix == ".xml":
        from jointnet.predict.runtime import CORE

        return json.loads(CORE.read_model(path).get_rt_info(CARD_KEY).astype(str))
    import onnx
    from google.protobuf.message import DecodeError

    try:
        held = onnx.load(path, load_external_data=False).metadata_props
    except DecodeError as error:
        raise InputError(f"{path} is no ONNX") from error
    return json.loads({p.key: p.value for p in held}[CARD_KEY])


def _openvino(model: Any, path: Path, size: int, card: str) -> None:
    """OpenVINO's intermediate representation, in float32."""
    try:
        from jointnet.predict.runtime import openvino
    except ImportError as error:
        raise MissingPackageError("exporting to OpenVINO needs it; pip install openvino") from error
    converted = openvino_model(model, size)
    converted.set_rt_info(card, CARD_KEY)
    openvino.save_model(converted, path, compress_to_fp16=False)


def _saved_model(model: Any, path: Path, size: int, card: str) -> None:
    """TensorFlow's SavedModel, with the signature `serving_default`."""
    import tensorflow as tf

    holder = tf.Module()
    holder.serve = traced(model, size)
    tf.saved_model.save(holder, path, signatures={"serving_default": holder.serve})
    extra = path / "assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / "card.json").write_text(card, encoding="utf-8")


def _onnx(model: Any, path: Path, size: int, card: str) -> None:
    """ONNX, through tf2onnx."""
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise MissingPackageError("exporting to ONNX needs two more packages; pip install 'jointnet[onnx]'") from error
    function = traced(model, size)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=18)
    proto.metadata_props.add(key=CARD_KEY, value=card)
    onnx.save(proto, path)
