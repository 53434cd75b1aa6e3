"""The steps of the lessons as commands, for long runs: `jointnet --help`.

Each command hands its options to the function of the same name; the heavy libraries are loaded when a command runs.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from jointnet.errors import InputError, JointNetError
from jointnet.options import FolderOptions, PredictOptions, TrainOptions, split_off
from jointnet.terminal import (
    Sentences,
    box,
    expand,
    names,
    number_or_name,
    numbers,
    paths,
    pixel_values,
    stretch_of,
    thresholds,
    typed,
    whole_numbers,
)

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
    """Find buildings and roads in aerial imagery with JointNet.

    A first try, on scenes that a program draws:

    \b
    jointnet download sample --root sample
    jointnet predict "sample/test/images/*.tif" --weights sample-buildings --out runs/maps
    jointnet evaluate runs/maps --dataset sample --root sample --split test
    """  # noqa: D301 (a real \\b, by which click keeps the lines that follow as they are)


DatasetName = Annotated[
    str, typer.Option("--dataset", "-d", help="sample, inria, massachusetts_buildings, massachusetts_roads or folder.")
]
Root = Annotated[
    Path | None, typer.Option(help="Folder of the dataset, if not data/NAME; --dataset folder needs it.")
]
Cities = Annotated[str | None, typer.Option(help="Only these cities, as austin,chicago.")]
Split = Annotated[str | None, typer.Option(help="Only this split: train, validation or test.")]
NoData = Annotated[
    str | None, typer.Option(help="black or white: pixels of this colour are no imagery and do not count.")
]
ClassName = Annotated[str, typer.Option("--class", help="The class to look at: buildings or roads.")]
Stretch = Annotated[
    str | None, typer.Option(help="For images of more than 8 bits: dataset, scene, or two numbers, as 0,3000.")
]
OF_FOLDERS = {"labels": paths, "width": number_or_name, "label_values": pixel_values, "ignore_values": pixel_values}


@app.command()
@typed(TrainOptions)
@typed(FolderOptions, **OF_FOLDERS)
def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run: best weights, their card, history.")],
    dataset: DatasetName = "sample",
    root: Root = None,
    cities: Cities = None,
    held_out_city: Annotated[str | None, typer.Option(help="Keep this city out of training altogether.")] = None,
    validation: Annotated[
        float | None, typer.Option(help="Deal the images anew: this share validates, as 0.2; a lone one is cut up.")
    ] = None,
    nodata: NoData = None,
    stretch: Stretch = None,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another dataset to learn from at once, which may label another class: its "
                     "name, or CLASS=FOLDER for a folder, as roads=my_roads. May be given several times."),
    ] = None,
    preset: Annotated[str, typer.Option(help="Size of the network: tiny, small or base.")] = "small",
    weights: Annotated[str | None, typer.Option("--weights", "-w", help="Start from these, not a preset.")] = None,
    classes: Annotated[str, typer.Option(help="What to learn: buildings, roads or buildings,roads.")] = "buildings",
    architecture: Annotated[str, typer.Option(help="jointnet, or unet for the baseline of that size.")] = "jointnet",
    reduction_from: Annotated[
        str, typer.Option(help="Where a JointNet block's reduction comes from: block or input.")
    ] = "block",
    normalization: Annotated[str, typer.Option(help="group, batch or none.")] = "group",
    dilation_rates: Annotated[str, typer.Option(help="Of a JointNet block's convolutions.")] = "1,2,5,1,2,5",
    **options: Any,
) -> None:
    """Train on a dataset's training scenes; keep the weights that are best on its validation scenes."""
    from jointnet.data.catalogue import open_dataset

    wanted = tuple(names(classes) or ())
    of_folder, options = split_off(FolderOptions, options)
    common: dict[str, Any] = {
        "validation": validation, "nodata": nodata,
        "stretch": None if stretch is None else stretch_of(stretch, "--stretch"),
    }
    datasets = [open_dataset(dataset, root, names(cities), held_out_city=held_out_city,
                             class_name=(*wanted, "buildings")[0], **common, **of_folder)]
    for other in also or ():
        class_name, _, folder = other.rpartition("=")
        datasets.append(open_dataset("folder", folder, class_name=class_name, **common) if class_name else
                        open_dataset(other, **common))
    from jointnet.network.card import Card
    from jointnet.network.checkpoints import StopOnSignal
    from jointnet.network.processes import join
    from jointnet.network.training import PATCH_SIZE
    from jointnet.network.training import train as fit
    from jointnet.network.weights import load_model

    join()  # before weights are loaded
    new = Card(
        architecture=architecture, preset=preset, classes=wanted, reduction_from=reduction_from,
        normalization=normalization, dilation_rates=numbers(dilation_rates, "--dilation-rates", number=int) or (),
        patch_size=PATCH_SIZE.get(preset, 256),
    )
    run = fit(new if weights is None else load_model(weights), datasets, out, new.classes, callbacks=[StopOnSignal()],
              **options)
    best = max(run.history.get("val_iou") or [float("nan")])
    if run.ended == "stopped":
        typer.echo()  # ends the line of the progress bar
    typer.echo(f"{run.ended}: best validation IoU {best:.4f}, weights in {run.out / 'best.weights.h5'}")
    if run.ended == "stopped":
        typer.echo("the same command with --resume goes on after the last finished epoch")
        raise typer.Exit(run.exit_code)


@app.command()
@typed(PredictOptions, bounds=box, bands=whole_numbers, threshold=thresholds)
def predict(
    images: Annotated[list[str], typer.Argument(help='Image files; a pattern in quotes works too, as "tiles/*.tif".')],
    weights: Annotated[str, typer.Option("--weights", "-w", help="Name from `jointnet weights`, or a weights file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; it is made.")],
    workers: Annotated[int | None, typer.Option(help="Predict this many scenes at once (needs Dask).")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to send the scenes to.")] = None,
    **options: Any,
) -> None:
    """Map buildings or roads: probability and mask as GeoTIFF, polygons as GeoPackage and GeoJSON.

    A run that was stopped goes on where it was when the same command is given again.
    """
    paths = expand(images)
    from jointnet.network.card import open_weights

    model = open_weights(weights)
    if workers is not None or scheduler is not None:
        from jointnet.predict.many import predict_many

        report = predict_many(model, paths, out, scheduler, workers, **options)
        typer.echo(report)
        if report.failed:
            raise InputError("; ".join(f"{name}: {why}" for name, why in report.failed.items()))
        return
    if not any((out / f"{path.stem}_probability.tif").exists() for path in paths):  # done ones need no network
        from jointnet.predict.engines import begin_engine

        begin_engine(model, options["engine"])  # beside the imports that follow
    from jointnet.predict.scenes import predict_scene
    from jointnet.predict.settings import BusyError

    failed, queue = 0, list(paths)
    for path in queue:
        try:
            result = predict_scene(model, path, out, **options)
            for written in result.paths:
                typer.echo(written)
            for name, steps in result.kept.items():
                if steps:
                    typer.echo(f"{path.name}, {name}: IoU kept by " + ", ".join(f"{k} {v}" for k, v in steps.items()))
        except (JointNetError, OSError) as error:
            if len(paths) == 1:
                raise
            if isinstance(error, BusyError) and queue.count(path) == 1:
                queue.append(path)  # the other run may be done with it when the rest is done
                continue
            failed += 1  # the others can still be done
            typer.echo(f"jointnet: {error}", err=True)
    if failed:
        raise InputError(f"{failed} of {len(paths)} images failed, for the reasons above; the others are done")


@app.command()
def export(
    weights: Annotated[str, typer.Argument(help="Name from `jointnet weights`, or a weights file.")],
    out: Annotated[
        Path, typer.Argument(help="What to write: NAME.onnx, NAME.xml for OpenVINO, or a folder for a SavedModel.")
    ],
    size: Annotated[
        int | None, typer.Option(help="Side of the windows in pixels, a multiple of 8; the card's, if not given.")
    ] = None,
) -> None:
    """Write a network for other programs: it takes 8-bit windows, gives probabilities, and holds its card."""
    from jointnet.network.weights import load_model
    from jointnet.predict.export import export as write

    typer.echo(write(load_model(weights), out, size=size))


@app.command()
@typed(FolderOptions, **OF_FOLDERS)
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="Folder that `jointnet predict` wrote into.")],
    dataset: DatasetName = "sample",
    root: Root = None,
    cities: Cities = None,
    split: Split = None,
    nodata: NoData = None,
    class_name: ClassName = "buildings",
    threshold: Annotated[
        float | None, typer.Option(help="Apply this to the probabilities; without it the masks are scored.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write these and the pixel counts into this file.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write an error analysis too: this web page, with its numbers as .json.")
    ] = None,
    stretch: Stretch = None,
    **of_folder: Any,
) -> None:
    """Score predictions against labels: IoU and accuracy, pooled per city and overall.

    --report writes a page that works offline: tables, figures, and an explorer in which each error can be flown to.
    """
    from jointnet.data.catalogue import open_dataset
    from jointnet.evaluate.scores import evaluate as score

    scenes = open_dataset(
        dataset, root, names(cities), split, nodata=nodata, class_name=class_name,
        stretch=None if stretch is None else stretch_of(stretch, "--stretch"), **of_folder,
    )
    scores = score(predictions, scenes, class_name, threshold)
    shown = ["tiles", "iou", "iou_low", "iou_high", "accuracy", "background_accuracy", "precision", "recall", "f1"]
    typer.echo(scores.table()[shown].to_string(float_format="{:.4f}".format, na_rep="-"))
    for tiles, what in ((scores.predicted_only, "predicted, without labels"), (scores.unpredicted, "not predicted")):
        if tiles:
            typer.echo(f"{what}: {', '.join(tiles)}")
    if scores.drawn:
        typer.echo("These scenes were drawn by a program; the scores say nothing about real imagery.")
    if json is not None:
        scores.to_json(json)
    if report is not None:
        from jointnet.show.report import write_report

        page = write_report(report, predictions, scenes, class_name, threshold)
        typer.echo(f"{page}, and its numbers in {page.with_suffix('.json')}")


@app.command()
def place(
    where: Annotated[str, typer.Argument(help='"longitude,latitude" with --width, or "west,south,east,north".')],
    weights: Annotated[str, typer.Option("--weights", "-w", help="Name from `jointnet weights`, or a weights file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; it is made.")],
    width: Annotated[float | None, typer.Option(help="Metres along the sides of a square around the point.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Who provides the imagery: basemap.at, swissimage, ign, pdok, naip, a name of "
                                      "xyzservices, or an address; the list decides, if not given.")
    ] = None,
    gsd: Annotated[float, typer.Option(help="Metres per pixel of the scene.")] = 0.3,
    name: Annotated[str | None, typer.Option(help="Of the results.")] = None,
    save: Annotated[bool, typer.Option("--save", help="Keep the imagery in --out, too, as a GeoTIFF.")] = False,
    most_tiles: Annotated[int, typer.Option(min=1, help="Refuse a place of more tiles.")] = 4096,
    outlines: Annotated[str, typer.Option(help="traced, simplified or regular.")] = "traced",
    min_area: Annotated[float, typer.Option(help="Leave out polygons smaller than this, in square metres.")] = 0.0,
) -> None:
    """Map any place: fetch public imagery of it, and predict. `jointnet show OUT` then makes a page to look at.

    A run that was stopped, or lost the network, goes on where it was when the same command is given again.
    """
    from jointnet.data.places import open_place

    found = numbers(where, "WHERE") or ()
    scene = open_place(found, source, gsd, width, name, out if save else False, most_tiles)
    typer.echo(f"{scene.name}: {scene.info.width} x {scene.info.height} px; {scene.credit}")
    from jointnet.predict.scenes import predict_scene

    result = predict_scene(weights, scene, out, outlines=outlines, min_area=min_area)
    for written in result.paths:
        typer.echo(written)


@app.command()
def show(
    predictions: Annotated[Path, typer.Argument(help="Folder that `jointnet predict` or `jointnet place` wrote into.")],
    image: Annotated[Path | None, typer.Option(help="Where the image lies, if it was moved.")] = None,
) -> None:
    """Write a page beside each prediction: zoom, threshold and swipe in any browser, offline."""
    from jointnet.show.predicted import write_pages

    for page in write_pages(predictions, image):
        typer.echo(page)


@app.command()
def cache(
    clear: Annotated[
        str | None, typer.Option(help="Delete these kinds, as tiles,compiled; all deletes every kind.")
    ] = None,
) -> None:
    """Show what the kit keeps by itself, and clear it."""
    from jointnet.data.cache import WHAT, kept
    from jointnet.data.cache import clear as forget
    from jointnet.files import cache_folder

    if clear is not None:
        kinds = names(clear) or ()
        if not kinds:
            raise InputError(f"--clear {clear!r} names nothing; choose from {', '.join(WHAT)}, or all")
        forget(*(() if clear == "all" else kinds))
    held = kept()
    for kind, size in held.items():
        typer.echo(f"{kind:16}{size / 1e6:10.1f} MB  {WHAT.get(kind, '')}")
    typer.echo(f"{sum(held.values()) / 1e6:.1f} MB in {cache_folder()}")


@app.command()
def datasets() -> None:
    """List the datasets, and which of them are on this machine."""
    from jointnet.data.catalogue import DATA_ROOT, NAMES

    for name in NAMES:
        where = DATA_ROOT / name
        typer.echo(f"{name:24}{'your own images: give --root' if name == 'folder' else _whereabouts(name, where)}")


def _whereabouts(name: str, folder: Path) -> str:
    """Where a dataset lies, and how much of it."""
    from jointnet.data.catalogue import SIZES, open_dataset

    if name == "sample":  # opening it would draw it
        return f"in {folder}" if folder.is_dir() else "drawn on first use, or by: jointnet download sample"
    if name == "test_cities":  # opening it would fetch it
        found = len(list(folder.glob("*.tif")))
        return f"{found} of 5 images in {folder}" if found else "fetched from public services on first use"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is missing shows in the count
            found = len(open_dataset(name, folder))
    except FileNotFoundError:
        return f"not here yet: jointnet download {name}"
    return f"{found} of {SIZES[name]} images in {folder}"


@app.command()
def download(
    dataset: Annotated[str, typer.Argument(help="inria, massachusetts_buildings, massachusetts_roads or sample.")],
    root: Root = None,
    tiles: Annotated[str | None, typer.Option(help="Of inria, only these tiles, as bellingham15,sfo36.")] = None,
    cities: Cities = None,
    keep_archive: Annotated[bool, typer.Option("--keep-archive", help="Keep INRIA's archive once unpacked.")] = False,
) -> None:
    """Fetch a dataset. What was cut off goes on where it was; data/README.md tells source, terms and size."""
    from jointnet.data.catalogue import DATA_ROOT, open_dataset
    from jointnet.data.download import download as fetch

    where = DATA_ROOT / dataset if root is None else root
    if dataset == "sample":
        open_dataset(dataset, where)
        typer.echo(where)
        return
    typer.echo(fetch(dataset, where, names(tiles), names(cities), keep_archive=keep_archive))


@app.command()
def verify(
    dataset: Annotated[str, typer.Argument(help="inria, massachusetts_buildings or massachusetts_roads.")],
    root: Root = None,
) -> None:
    """Compare a dataset's files with the checksums that were recorded when they were fetched."""
    from jointnet.data.catalogue import DATA_ROOT
    from jointnet.data.download import NAMES
    from jointnet.data.download import verify as find_changed
    from jointnet.data.scene import shorten

    if dataset not in NAMES:
        raise InputError(f"dataset {dataset!r} is never fetched; choose from {', '.join(NAMES)}")
    where = DATA_ROOT / dataset if root is None else root
    changed = find_changed(where, progress=True)
    if changed:
        raise InputError(f"in {where}, {len(changed)} files are gone or are not what was fetched: {shorten(changed)}; "
                         f"remove them and run `jointnet download {dataset}` again with the same options")
    typer.echo(f"every file in {where} is as it was fetched")


@app.command()
def weights() -> None:
    """List the published weights: trained on real imagery, on drawn scenes, or for a lesson, and their IoU."""
    from jointnet.network.card import describe, published_cards

    for card in published_cards():
        typer.echo(describe(card))


@app.command(name="compile")
def compile_network(
    weights: Annotated[list[str], typer.Argument(help="Names from `jointnet weights`, or weights files.")],
    size: Annotated[
        int | None, typer.Option(help="Side of the windows in pixels, a multiple of 8; the card's, if not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write, NAME.openvino.zip; beside the weights, if not given.")
    ] = None,
) -> None:
    """Make networks ready to run, so that predictions with them start in a second; needed after publishing weights."""
    from jointnet.predict.compiled import compile_weights

    for name in weights:
        typer.echo(compile_weights(name, size, out))
