r"""Trains weights of roads, of buildings or of both, and chooses the thresholds on the validation scenes.

    python recipes/roads.py --out runs/sample-roads --epochs 6 --steps 50                       # the drawn scenes
    for loss in cross_entropy dice focal; do                                                    # lesson 06's comparison
        python recipes/roads.py --loss $loss --growth-rates 4,8,16 --patch-size 64 --epochs 8 --steps 40 \
            --check-side 256 --score-side 384 --purpose "lesson 06" --out runs/roads-by-$loss; done
    python recipes/roads.py --classes buildings --epochs 15 --steps 15 --score-side 384 --purpose "lesson 03" --half \
        --out runs/buildings-first-run                                                          # lesson 03's run
    python recipes/roads.py --classes buildings,roads --weights sample-buildings --patch-size 96 --epochs 3 \
        --steps 30 --learning-rate 2e-3 --check-side 192 --score-side 384 --out runs/sample-joint   # both at once
    python recipes/roads.py --root ROADS --weights sample-roads --epochs 3 --steps 30 \
        --out runs/roads-massachusetts-tiny                                                     # real ones
    python recipes/roads.py --root ROADS --buildings-root BUILDINGS --classes buildings,roads --normalization batch \
        --epochs 15 --steps 100 --batch-size 4 --out runs/massachusetts-joint-tiny              # from two real sets

ROADS and BUILDINGS are folders of images and masks with `manifest.csv` (name, city, split, gsd_m), as
`open_dataset("folder")` reads it; white pixels are no-data. What a set does not label weighs nothing in its scenes, and
each class is scored on the scenes that label it. `--publish` copies weights, card and history to data/weights.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np

import jointnet
from jointnet.evaluate.paths import path_score
from jointnet.evaluate.roads import LineCounts, line_counts
from jointnet.evaluate.tuning import tuned_card
from jointnet.network.card import DEFAULT_THRESHOLD, PUBLISHED, SUFFIX, Card
from jointnet.network.losses import DEFAULT_LOSS, TYPICAL_THRESHOLD
from jointnet.network.weights import save_model
from jointnet.predict.rasters import read_probability
from jointnet.predict.vectors.centre_lines import centre_lines

DRAWN = {"terms": "drawn by this project: no terms"}
DRAWN_LIMITS = "Knows drawn scenes only: on photographs it is of no use. "
HIDDEN = {"buildings": "Roofs under trees or in shade are missed.", "roads": "Roads under trees or in shade break."}
REAL = {
    "terms": "Massachusetts Roads Dataset (V. Mnih, 2013) as re-published on Hugging Face and Roboflow; terms not "
             "verified",
    "limits": "A demonstration: trained for minutes on 9 images, mostly of rural Massachusetts. Broad, bright roads "
              "are found, roads under trees break; driveways, parking lots and bare fields are taken for roads.",
}
REAL_JOINT = {
    "terms": "Massachusetts Roads and Buildings Datasets (V. Mnih, 2013) as re-published on Hugging Face and Roboflow; "
             "terms not verified",
    "limits": "A demonstration that one network learns roads from images that label only roads, and buildings from "
              "others that label only buildings: trained for less than an hour on few images of one American state, at "
              "1 m a pixel. Never tried anywhere else.",
}


def main() -> None:
    """Reads the command line, trains, chooses thresholds, and says where the weights are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of real images with roads; the drawn sample without it")
    parser.add_argument("--buildings-root", type=Path, help="folder of other real images, with buildings")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--classes", default="roads")
    parser.add_argument("--loss", help="one, or one for each class by commas; the default follows the classes")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--normalization", default="group", choices=("group", "batch"))
    parser.add_argument("--growth-rates", help="of a network narrower than the preset's, as 4,8,16")
    parser.add_argument("--weights", help="begin with these; where the classes differ, with new outputs")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--steps", type=int, default=50, help="an epoch")
    parser.add_argument("--patch-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=4, help="patches a step")
    parser.add_argument("--check-side", type=int, default=384, help="square of a validation scene scored each epoch")
    parser.add_argument("--score-side", type=int, help="score the end result on such squares, too, not on whole scenes")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--purpose", default="", help="why they are published, if not to map anything: lesson 06")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--half", action="store_true", help="publish in half precision")
    args = parser.parse_args()
    datasets = open_all(args.root, args.buildings_root)
    classes = tuple(args.classes.split(","))
    widths = tuple(int(g) for g in args.growth_rates.split(",")) if args.growth_rates else None
    start = Card(preset=args.preset, classes=classes, growth_rates=widths, patch_size=args.patch_size,
                 normalization=args.normalization)
    run = jointnet.train(
        begin_with(args.weights, classes) if args.weights else start,
        [lighter(scenes, args.check_side) for scenes in datasets], args.out,
        classes=classes, epochs=args.epochs, steps=args.steps, patch_size=args.patch_size, batch_size=args.batch_size,
        loss=args.loss, learning_rate=args.learning_rate, seed=args.seed, resume=args.resume, verbose=2,
        recipe="recipes/roads.py" + (f", begun with {args.weights}" if args.weights else ""),
        **(REAL_JOINT if args.buildings_root else REAL if args.root else drawn_terms(classes)),
    )
    tune(run, [(lighter(scenes, args.score_side) if args.score_side else scenes).select(split="validation")
               for scenes in datasets])
    print(f"{run.ended}: {run.out / 'best.weights.h5'}, {run.card.thresholds}, {run.card.scores}")
    if args.publish:
        run.model.card.purpose = args.purpose
        save_model(run.model, PUBLISHED / f"{run.card.name}{SUFFIX}", half=args.half)
        shutil.copyfile(run.out / "history.csv", PUBLISHED / f"{run.card.name}.history.csv")


def drawn_terms(classes: tuple[str, ...]) -> dict[str, str]:
    """Terms and limits of what was trained on the drawn sample."""
    return DRAWN | {"limits": DRAWN_LIMITS + " ".join(HIDDEN[c] for c in classes)}


def begin_with(name: str, classes: tuple[str, ...]):
    """Published weights; for other classes, their network with new outputs."""
    model = jointnet.load_model(name)
    if model.card.classes == classes:
        return model
    thresholds = {c: TYPICAL_THRESHOLD.get(DEFAULT_LOSS[c], DEFAULT_THRESHOLD) for c in classes}
    card = replace(model.card, classes=classes, thresholds=thresholds, steps=0)
    wider = card.build()
    for new, old in zip(wider.weights, model.weights, strict=True):
        if new.shape == old.shape:
            new.assign(old)
    wider.card = card
    return wider


def open_all(roads: Path | None, buildings: Path | None) -> list:
    """The drawn sample; or the images of one or two folders, white pixels left out."""
    if roads is None:
        return [jointnet.open_dataset("sample")]
    roots = {"roads": roads} | ({"buildings": buildings} if buildings else {})
    return [replace(jointnet.open_dataset("folder", root=root, class_name=name, nodata="white"), name=root.name)
            for name, root in roots.items()]


def lighter(scenes, side: int):
    """The scenes with a square from the middle of each validation scene, so that an epoch's check takes seconds."""

    def middle(scene):
        rows, columns = scene.info.shape
        return scene.crop((rows - side) // 2, (columns - side) // 2, side, side)

    return replace(scenes, scenes=tuple(middle(s) if s.split == "validation" else s for s in scenes))


def tune(run, datasets) -> None:
    """Puts the thresholds of highest IoU and the scores at them into the run's card, beside its best weights."""
    card, scores = run.card, {}
    for number, scenes in enumerate(datasets):
        maps = run.out / "validation" / str(number)
        for scene in scenes:
            part = scene.info.bounds if scene.part else None
            jointnet.predict_scene(run.model, scene, maps, bounds=part, polygons=False, overwrite=True, progress=False)
        for class_name in (c for c in card.classes if c in scenes[0].labels):
            found = jointnet.evaluate(maps, scenes, class_name, detail=False)
            card = tuned_card(card, found.probabilities, class_name)
            scores[class_name] = score_class(maps, scenes, card, class_name)
    count = sum(len(scenes) for scenes in datasets)
    run.model.card = replace(card, scores={"validation": {"scenes": count, **scores}})
    save_model(run.model, run.out / f"best{SUFFIX}")


def score_class(maps: Path, scenes, card: Card, class_name: str) -> dict[str, float]:
    """Scores of a class at its threshold, pooled over scenes: of pixels, relaxed, and of the lines of roads."""
    found = jointnet.evaluate(maps, scenes, class_name, card.thresholds[class_name])
    relaxed, pixels = found.pooled("relaxed").scores(), found.overall.scores()
    names = ("iou", "precision", "recall", "f1")
    scores = {n: round(pixels[n], 4) for n in names}
    scores |= {f"relaxed_{n}_rho3": round(relaxed[n], 4) for n in names[1:]}
    scores["average_precision"] = round(found.probabilities.average_precision, 4)
    if class_name == "roads":
        scores |= score_lines(maps, scenes, card.thresholds[class_name], card.classes.index(class_name))
    return scores


def score_lines(maps: Path, scenes, threshold: float, band: int) -> dict[str, float]:
    """Scores of the centre lines within 3 m, pooled, and the mean path score of the scenes."""
    counts, paths = LineCounts(), []
    for scene in scenes:
        probability = np.nan_to_num(read_probability(maps / f"{scene.name}_probability.tif")[..., band])
        predicted = centre_lines(probability >= threshold, scene.info, probability, gsd=scene.gsd)
        if "roads" in scene.vectors:
            truth = gpd.read_file(scene.vectors["roads"]).to_crs(scene.info.crs).clip(scene.info.bounds)
        else:  # labels of one width: their middle lines are what they were drawn from
            truth = centre_lines(scene.read_labels("roads") * scene.read_valid(), scene.info, gsd=scene.gsd)
        counts += line_counts(truth, predicted)
        paths.append(path_score(truth, predicted).score)
    scores = counts.scores() | {"path_score": float(np.mean(paths))}
    return {name: round(value, 4) for name, value in scores.items()}


if __name__ == "__main__":
    main()
