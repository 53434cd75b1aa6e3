"""What predictions, trainings and folders may be told: each option declared once, for Python, Dask, the command line.

A declaration is a dataclass; a field has a name, a type, a default and one line of help. A function that is decorated
with `@takes(PredictOptions)` shows the fields in its signature and its help, takes them as keywords, and gets them
whole from `chosen`:

    @takes(PredictOptions)
    def predict_scene(model, source, out, **options):
        wanted = chosen(PredictOptions, options)
        ... wanted.min_area ...
"""

from __future__ import annotations

import difflib
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from jointnet.errors import InputError, UnknownOptionError

Declared = TypeVar("Declared")
Function = TypeVar("Function", bound=Callable[..., Any])


def option(default: Any, about: str, least: int | None = None, python_only: bool = False) -> Any:
    """A field of a declaration.

    Args:
        default: its value where none is given.
        about: one line of help, without a capital and a full stop.
        least: the smallest number allowed.
        python_only: True for what cannot be typed at a terminal.
    """
    return field(default=default, metadata={"help": about, "least": least, "python_only": python_only})


@dataclass(frozen=True)
class FolderOptions:
    """What the dataset "folder" may be told of images and labels of one's own."""

    labels: str | Path | Sequence[str | Path] | None = option(
        None, "where the labels lie if not beside the images: a folder of masks or vector files, or the files")
    gsd: float | None = option(None, "metres per pixel of images without a georeference")
    width: float | str | None = option(
        None, "how wide roads drawn as centre lines are: metres on the ground, or the name of a column; if not given, "
        "the column width_m where there is one, else 6 m")
    label_values: Any = option(
        None, "values of masks that show the class, where they are not 0 and 1 or 0 and 255; all others are "
        "background. In Python one, several (as range(128, 256)), colours (as [(255, 0, 0)]), or class -> values where "
        "one mask shows several classes; at a terminal 2 or 1,3 or 128-255 or #ff0000 or buildings=1,roads=2")
    ignore_values: Any = option(
        None, "values of masks that nobody has labelled, which count in no loss and no score. Given, what the files "
        "themselves declare (no-data, alpha, mask band) is passed over; () in Python, none at a terminal, says that "
        "every pixel is labelled")
    layer: str | None = option(
        None, "layer that shows the class in vector files of several; if not given, the only one, or the one named "
        "after the class, or all where they are of one type")


@dataclass(frozen=True)
class PredictOptions:
    """What the prediction of a scene may be told."""

    bounds: Sequence[float] | None = option(
        None, "only this part: left, bottom, right, top in the scene's CRS (in pixels without one)")
    gsd: float | None = option(
        None, "metres per pixel of the scene, where its georeference is missing or should be overruled")
    bands: Sequence[int] | None = option(
        None, "numbers of the bands to show the network, from 1, as 1,2,3; alpha is never one of them")
    threshold: float | Mapping[str, float] | None = option(
        None, "probability from which a pixel counts; the weights bring their own. Of several classes each may have "
        "one: class -> threshold in Python, buildings=0.5,roads=0.3 at a terminal")
    overlap: float | None = option(
        None, "share of a window that it has in common with its neighbour; the weights' own, if not given")
    size: int | None = option(
        None, "side of the windows in pixels, a multiple of 8; the weights' patch size, or less for small images, "
        "if not given")
    tta: bool = option(False, "average over eight turns and flips of each window: steadier, 8 x slower")
    engine: str = option("auto", "runs the network: auto (the fastest), keras, openvino, or int8 (rougher, faster)")
    dtype: str = option("uint8", "type of the probability raster's pixels: uint8 or float32")
    polygons: bool = option(True, "write vector files, too: GeoPackage and GeoJSON")
    min_area: float = option(
        0.0, "leave out polygons smaller than this, in square metres (pixels without a georeference)")
    outlines: str = option(
        "traced", "lines of the polygons: traced along pixel edges, simplified, or regular with right angles; the "
        "result's `kept` tells what a step costs in IoU")
    tolerance: float | None = option(
        None, "how far such an outline may move, in metres (pixels without a georeference); two pixels, if not given")
    parquet: bool = option(False, "write the vector files as GeoParquet, too (needs pyarrow)")
    overwrite: bool = option(False, "replace results that were made with other settings")


@dataclass(frozen=True)
class FitOptions:
    """What a training on any batches may be told."""

    learning_rate: float | None = option(
        None, "highest learning rate of Adam; 1e-3 for a new network, 3e-4 for one that goes on, if not given")
    schedule: str = option(
        "cosine", "how the rate goes: cosine, a short warm-up and a fall over all epochs; constant, a warm-up alone, "
        "for a run that may end at any time; falling, in a straight line, to finish such a run")
    average: float | None = option(
        None, "share that a running average of the weights keeps at each step, as 0.998; then it is the average that "
        "is validated and kept as the best")
    branch_of: str | None = option(
        None, "folder of another run: begin with its last state, the optimizer's included; that run stays as it is")
    patience: int | None = option(
        None, "stop after this many epochs without a better validation IoU; never early, if not given")
    precision: str = option(
        "float32", "numbers to compute in: float32, or bfloat16 on processors that have it (about twice as fast on "
        "recent ones)")
    accumulate: int = option(
        1, "average the gradients of this many steps before the weights change: large batches in little memory",
        least=1)
    mirrored: bool = option(
        False, "share each batch among all graphics cards of this machine (TensorFlow); Dice is then taken over each "
        "card's share of the batch")
    tensorboard: bool = option(False, "write curves for TensorBoard into OUT/tensorboard, beside history.csv")
    frozen_statistics: bool | None = option(
        None, "keep batch normalisation as it is, for few labels; a network that goes on does, if not given")
    resume: bool = option(False, "go on from the last finished epoch in the folder of the run")
    callbacks: Sequence[Any] | None = option(
        None, "more callbacks of Keras to tell of each step and epoch", python_only=True)
    verbose: int | str = option("auto", "how much is told meanwhile, as in Keras' `fit`", python_only=True)


@dataclass(frozen=True)
class TrainOptions(FitOptions):
    """What a training on a dataset may be told."""

    epochs: int | None = option(
        None, "rounds, after each of which the weights are checked on the validation scenes; 20 for a new network, 8 "
        "for one that goes on, if not given", least=1)
    steps: int | None = option(
        None, "batches an epoch; as many as cover the scenes once, if not given, and 15 or more for a network that "
        "goes on", least=1)
    patch_size: int | None = option(
        None, "side of a patch in pixels, a multiple of 8; the card's or the preset's, if not given")
    batch_size: int | None = option(None, "patches a step; the preset's, if not given", least=1)
    loss: str | None = option(
        None, "name of a loss, or one for each class by commas; the default follows the classes")
    seed: int = option(0, "what the first weights and the patches follow from: the same seed gives the same batches")
    foreground_share: float = option(0.5, "share of the patches that surely hold foreground")
    colour_jitter: float = option(0.2, "how much the colours of a patch are changed, from 0")
    terms: str = option("", "words for the card: the terms of the data")
    limits: str = option("", "words for the card: known failures")
    recipe: str = option("", "words for the card: what made the weights")


def flag_of(name: str) -> str:
    """--min-area from min_area."""
    return "--" + name.replace("_", "-")


def takes(declaration: type) -> Callable[[Function], Function]:
    """Decorates a function with `**options`: its signature and its help list those that are declared."""

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        named = [p for p in signature.parameters.values() if p.kind != inspect.Parameter.VAR_KEYWORD]
        declared = [inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type)
                    for f in fields(declaration)]
        vars(function)["__signature__"] = signature.replace(parameters=[*named, *declared])
        lines = (textwrap.fill(f"{f.name}: {f.metadata['help']}.", 112, initial_indent=" " * 4,
                               subsequent_indent=" " * 8) for f in fields(declaration))
        function.__doc__ = "\n".join([inspect.getdoc(function) or "", "", "Options:", *lines])
        return function

    return decorate


def split_off(declaration: type, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that a declaration has, and the others."""
    known = {f.name for f in fields(declaration)}
    return {n: v for n, v in given.items() if n in known}, {n: v for n, v in given.items() if n not in known}


def chosen(declaration: type[Declared], given: Mapping[str, Any]) -> Declared:
    """The options that were given, and the defaults of the others.

    Raises:
        UnknownOptionError: if there is none of a name.
        InputError: if a number is below the least that is allowed.
    """
    known = {f.name: f for f in fields(cast(Any, declaration))}
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known)}"
            raise UnknownOptionError(f"there is no option {name!r}; {hint}")
        least, value = known[name].metadata["least"], given[name]
        if least is not None and value is not None and value < least:
            raise InputError(f"{name} is {value} and must be {least} or more")
    return declaration(**given)
