"""Half an hour of corrections, simulated: a quarter of a scene is labelled from its truth, the rest tells what for.

    python recipes/town.py runs/town --seeds 0 1 2                                  # drawn, in a style of no data set
    python recipes/town.py runs/town --image a.tif --truth a.geojson --weights buildings-small --old CROPS/inria_crops

For each seed another town, or another quarter of the image, is labelled; `jointnet.train` goes on with the weights
there, with its defaults or those that are given, and both networks are scored on the other three quarters. On drawn
towns both are scored on the sample's validation scenes, too: what was forgotten. Prints a line a seed, and writes
`town.json`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import shapely

import jointnet
from jointnet.data.drawn import draw_scene
from jointnet.data.edits import Shape
from jointnet.data.label_files import label_path, read_vector_file, write_labels
from jointnet.data.raster import write_raster
from jointnet.data.scene import Dataset, Scene, Window
from jointnet.evaluate.gains import Gain, compare_blocks, compare_scores
from jointnet.network.fine_tuning import mixed
from jointnet.network.weights import save_model

PIECE = 128  # side of the pieces of ground that the interval is over, in pixels


def quarter(shape: tuple[int, int], seed: int) -> Window:
    """One of the four quarters of an image, another one for each seed."""
    height, width = shape[0] // 2, shape[1] // 2
    return (seed // 2 % 2 * height, seed % 2 * width, height, width)


def drawn_town(folder: Path, seed: int, size: int) -> Scene:
    """A drawn scene of an unseen style in a folder of its own, with its whole truth."""
    drawn = draw_scene(f"yourtown{seed + 1}", size)
    folder.mkdir(parents=True, exist_ok=True)
    write_raster(folder / "town.tif", drawn.image, drawn.grid)
    drawn.footprints.to_file(folder / "truth.json", driver="GeoJSON")
    return Scene("town", folder / "town.tif", labels={"buildings": folder / "truth.json"})


def own_image(folder: Path, image: Path, truth: Path) -> Scene:
    """A copy of an image, with its whole truth: a vector file or a mask."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(image, folder / f"town{image.suffix}")
    return Scene("town", folder / f"town{image.suffix}", labels={"buildings": truth})


def label(scene: Scene, part: Window) -> int:
    """Keeps the truth of a part as a LabelEditor would, marked as done; how many polygons that are."""
    row, col, height, width = part
    done = shapely.box(col, row, col + width, row + height)
    known = read_vector_file(Path(scene.labels["buildings"]), scene.info, "buildings")
    shapes = [shape for shape in known if shape.geometry.intersects(done)]
    write_labels(label_path(scene), [*shapes, Shape("done", done)], scene.info)
    return len(shapes)


def others(scene: Scene, part: Window, piece: int) -> Dataset:
    """The rest of the scene, in pieces that lie outside the part."""
    height, width = scene.info.shape
    row, col, rows, columns = part
    boxes = tuple((r, c, piece, piece) for r in range(0, height - piece + 1, piece)
                  for c in range(0, width - piece + 1, piece)
                  if not (row - piece < r < row + rows and col - piece < c < col + columns))
    return Dataset("the rest", (replace(scene, split="validation", counted=boxes),))


def old_ground(side: int) -> Dataset:
    """A little of the cities that the sample's weights know, to be shown again: as much ground as a town's quarter.

    Of the validation scenes the lower right corner, which chooses the round; `forgotten` looks at the upper left.
    """
    scenes = jointnet.open_dataset("sample")
    train = [s.crop(0, 0, side, side) for s in scenes.select(split="train")]
    height, width = scenes[0].info.shape
    check = [s.crop(height - side, width - side, side, side) for s in scenes.select(split="validation")]
    return Dataset("sample, in part", (*train, *check))


def told(gain: Gain) -> dict:
    """What is kept of a comparison."""
    low, high = gain.interval()
    rows = gain.table().iloc[-1]
    return {"before": round(rows["before"], 4), "after": round(rows["after"], 4), "gain": round(gain.of(), 4),
            "low": round(low, 4), "high": round(high, 4), "pieces": len(gain.names)}


def half_hour(scene: Scene, part: Window, weights: str, out: Path, piece: int, seed: int, again: list[Dataset],
              mix: float, **options) -> dict:
    """Labels a part, goes on with the weights, there and on what is shown again, and compares both networks.

    With a `mix` below 1 the second network is so much of the new weights and the rest of the old ones.
    """
    count = label(scene, part)
    dataset = jointnet.open_dataset("folder", root=scene.image.parent, validation=0.25)
    before = jointnet.predict_scene(weights, scene, out / "before", polygons=False, progress=False)
    start, cpu = time.perf_counter(), time.process_time()
    run = jointnet.train(jointnet.load_model(weights), [dataset, *again], out / "run", seed=seed, verbose=0, **options)
    spent = {"seconds": round(time.perf_counter() - start), "cpu_seconds": round(time.process_time() - cpu)}
    best = run.out / "best.weights.h5"
    if mix < 1:
        best = save_model(mixed(jointnet.load_model(weights), run.model, mix), run.out / "mixed.weights.h5")
    after = jointnet.predict_scene(best, scene, out / "after", polygons=False, progress=False)
    gain = compare_blocks(before.mask, after.mask, others(scene, part, piece))
    judged = compare_blocks(before.mask, after.mask, dataset)
    return {"polygons": count, **spent, **told(gain), "validation": told(judged),
            "val_iou": [round(v, 3) for v in run.history["val_iou"]], "weights": str(best)}


def old_places(side: int, folder: Path | None = None) -> Dataset:
    """Validation scenes that the network was not trained on, of places that it knew: a folder's, or the sample's."""
    if folder:
        return jointnet.open_dataset("folder", folder, split="validation", nodata="black")
    scenes = jointnet.open_dataset("sample", split="validation")
    return Dataset("validation", tuple(s.crop(0, 0, side, side) for s in scenes))


def forgotten(before: str, after: str, out: Path, places: Dataset) -> Gain:
    """Both networks on the old places."""
    scores = []
    for number, weights in enumerate((before, after)):
        for scene in places:
            jointnet.predict_scene(weights, scene, out / f"old{number}", polygons=False, progress=False, overwrite=True)
        scores.append(jointnet.evaluate(out / f"old{number}", places, detail=False))
    return compare_scores(*scores)


def main() -> None:
    """Reads the command line, runs the seeds, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--image", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--old", type=Path, help="folder of labelled images of places that the weights knew")
    parser.add_argument("--weights", default="sample-buildings")
    parser.add_argument("--size", type=int, default=1024, help="side of a drawn town, in pixels")
    parser.add_argument("--piece", type=int, default=PIECE)
    for name, kind in (("learning-rate", float), ("epochs", int), ("steps", int), ("batch-size", int)):
        parser.add_argument(f"--{name}", type=kind)
    parser.add_argument("--again", type=int, default=0, metavar="SIDE",
                        help="show this much of each of the sample's scenes again, in pixels")
    parser.add_argument("--mix", type=float, default=1.0, help="share of the new weights, the rest being the old ones")
    parser.add_argument("--moving-statistics", action="store_true", help="let batch normalisation move")
    args = parser.parse_args()
    options = {n: getattr(args, n) for n in ("learning_rate", "epochs", "steps", "batch_size")}
    if args.moving_statistics:
        options["frozen_statistics"] = False
    again = [old_ground(args.again)] if args.again else []
    results = []
    for seed in args.seeds:
        out = args.out / str(seed)
        town = out / "town"
        scene = own_image(town, args.image, args.truth) if args.image else drawn_town(town, seed, args.size)
        found = half_hour(scene, quarter(scene.info.shape, seed), args.weights, out, args.piece, seed, again,
                          args.mix, **options)
        if args.old or not args.image:
            places = old_places(args.size // 2, args.old)
            found["forgotten"] = told(forgotten(args.weights, found["weights"], out, places))
        results.append({"seed": seed, **found})
        print(json.dumps(results[-1]), flush=True)
    (args.out / "town.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
