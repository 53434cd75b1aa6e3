"""The steps of the lessons as commands, for long runs: `jointnet --help`.

Each command hands its options to the function of the same name; the heavy libraries are loaded when a command runs.
"""

from __future__ import annotations

import glob
import os
import warnings
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup


class Sentences(TyperGroup):
    """Commands whose foreseen errors are one sentence on stderr and exit code 2, and whose warnings are one line."""

    def invoke(self, ctx):
        """Runs the command; --debug shows where an error came from."""
        with warnings.catch_warnings():
            warnings.showwarning = _say_warning
            try:
                return super().invoke(ctx)
            except (BrokenPipeError, typer.Exit):
                raise
            except (ValueError, OSError, KeyError, ImportError) as error:
                if ctx.params.get("debug"):
                    raise
                said = error.args[0] if isinstance(error, KeyError) and error.args else error
                typer.echo(f"jointnet: {said}", err=True)
                raise typer.Exit(2) from error


def _say_warning(message, category, *_, **__) -> None:
    """One line for a warning that is meant for the person at the terminal; the others are for developers."""
    if issubclass(category, UserWarning):
        typer.echo(f"jointnet: note: {message}", err=True)


app = typer.Typer(
    cls=Sentences,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    r"""Find buildings and roads in aerial imagery with JointNet.

    A first try, on the drawn scenes that come with the project:

    \b
    jointnet datasets
    jointnet predict "data/sample/test/images/*.tif" --weights sample-buildings --out runs/maps
    jointnet evaluate runs/maps --dataset sample --split test
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


DatasetName = Annotated[
    str, typer.Option("--dataset", "-d", help="sample, inria, massachusetts_buildings, massachusetts_roads or folder.")
]
Root = Annotated[
    Path | None, typer.Option(help="Folder of the dataset, if not data/NAME; --dataset folder needs it.")
]
Cities = Annotated[str | None, typer.Option(help="Only these cities, as austin,chicago.")]
Split = Annotated[str | None, typer.Option(help="Only this split: train, validation or test.")]
Kind = Annotated[str, typer.Option(help="The class to look at: buildings or roads.")]


def _names(text: str | None) -> list[str] | None:
    """["austin", "chicago"] from "austin, chicago"."""
    return [part.strip() for part in text.split(",") if part.strip()] if text else None


def _numbers(text: str | None, what: str, count: int | None = None, kind: type = float) -> tuple | None:
    """(1, 2, 3) from "1,2,3".

    Raises:
        ValueError: if a part is not a number, or there are not `count` of them.
    """
    if text is None:
        return None
    try:
        numbers = tuple(kind(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or count not in (None, len(numbers)):
        raise ValueError(f"{what} {text!r} should be {count or 'some'} numbers with commas between, as 1,2,3")
    return numbers


def _expand(patterns: list[str]) -> list[Path]:
    """The files of names and of quoted patterns as "tiles/*.tif", in order, each once.

    Raises:
        ValueError: if a pattern matches nothing, or two images would give results of one name.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        is_pattern = glob.has_magic(pattern) and not Path(pattern).exists()
        names = sorted(glob.glob(pattern, recursive=True)) if is_pattern else [pattern]
        if not names:
            raise ValueError(f"no file matches {pattern!r}; check the folder and the ending")
        found |= dict.fromkeys(map(Path, names))
    twice = [stem for stem, count in Counter(path.stem for path in found).items() if count > 1]
    if twice:
        raise ValueError(f"several images are called {', '.join(twice)}, and so would be their results; "
                         f"predict them into different folders")
    return list(found)


@app.command()
def predict(
    images: Annotated[list[str], typer.Argument(help='Image files; a pattern in quotes works too, as "tiles/*.tif".')],
    weights: Annotated[str, typer.Option("--weights", "-w", help="Name from `jointnet weights`, or a weights file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; it is made.")],
    bands: Annotated[str | None, typer.Option(help="Bands to show the network, from 1, as 1,2,3.")] = None,
    bounds: Annotated[
        str | None, typer.Option(help="Only this part: left,bottom,right,top in the image's coordinates.")
    ] = None,
    gsd: Annotated[float | None, typer.Option(help="Metres per pixel, if the image does not say.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Probability from which a pixel counts; the weights bring their own.")
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over eight turns and flips: better, 8 x slower.")] = False,
    engine: Annotated[str, typer.Option(help="auto (the fastest installed), keras or openvino.")] = "auto",
    polygons: Annotated[bool, typer.Option(help="Write GeoPackage and GeoJSON too.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results made with other settings.")] = False,
    workers: Annotated[int | None, typer.Option(help="Predict this many scenes at once (needs Dask).")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to send the scenes to.")] = None,
) -> None:
    """Map buildings or roads: probability and mask as GeoTIFF, polygons as GeoPackage and GeoJSON.

    A run that was stopped goes on where it was when the same command is given again.
    """
    paths = _expand(images)
    chosen = {
        "bands": _numbers(bands, "--bands", kind=int), "bounds": _numbers(bounds, "--bounds", 4), "gsd": gsd,
        "threshold": threshold, "tta": tta, "engine": engine, "polygons": polygons, "overwrite": overwrite,
    }
    if workers is not None or scheduler is not None:
        from jointnet.predict.many import predict_many

        predict_many(weights, paths, out, workers=workers, scheduler=scheduler, **chosen)
        return
    from jointnet.network.weights import load_model
    from jointnet.predict.scenes import predict_scene

    model = load_model(weights)
    failed = 0
    for path in paths:
        try:
            for written in predict_scene(model, path, out, **chosen).paths:
                typer.echo(written)
        except (ValueError, OSError) as error:
            if len(paths) == 1:
                raise
            failed += 1  # the others can still be done
            typer.echo(f"jointnet: {error}", err=True)
    if failed:
        raise ValueError(f"{failed} of {len(paths)} images failed, for the reasons above; the others are done")


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Folder that `jointnet predict` wrote into.")],
    dataset: DatasetName = "sample",
    root: Root = None,
    cities: Cities = None,
    split: Split = None,
    kind: Kind = "buildings",
    threshold: Annotated[
        float | None, typer.Option(help="Apply this to the probabilities; without it the masks are scored.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write every number into this file.")] = None,
) -> None:
    """Score predictions against labels: IoU and accuracy, pooled per city and overall."""
    from jointnet.data.catalogue import open_dataset
    from jointnet.evaluate.scores import evaluate as score

    scores = score(predictions, open_dataset(dataset, root, _names(cities), split), kind, threshold)
    typer.echo(scores.table().to_string(float_format="{:.4f}".format))
    for names, what in ((scores.predicted_only, "predicted, without labels"), (scores.unpredicted, "not predicted")):
        if names:
            typer.echo(f"{what}: {', '.join(names)}")
    if scores.drawn:
        typer.echo("These scenes were drawn by a program; the scores say nothing about real imagery.")
    if json is not None:
        scores.to_json(json)


@app.command()
def datasets() -> None:
    """List the datasets, and which of them are on this machine."""
    from jointnet.data.catalogue import DATA_ROOT, NAMES

    for name in NAMES:
        where = DATA_ROOT / name
        typer.echo(f"{name:24}{'your own images: give --root' if name == 'folder' else _whereabouts(name, where)}")


def _whereabouts(name: str, folder: Path) -> str:
    if folder.is_dir():
        return f"in {folder}"
    return "drawn on first use" if name == "sample" else f"not here yet: jointnet download {name}"
