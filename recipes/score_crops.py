"""Scores building weights on the validation crops, fits threshold and temperature there, and writes them to the card.

    python recipes/score_crops.py CROPS WEIGHTS --out data/weights/NAME.weights.h5

CROPS is laid out as in buildings_crops.py. Whole crops are predicted as scenes are, in blended windows of the patch
size. Group `inria_crops` decides threshold and temperature; `inria_lossless` is only scored. The card also gets the IoU
of one crop of each city, the one with most buildings, by which anyone can check the weights in seconds.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from buildings_crops import read_crops

from jointnet import load_model, predict_array
from jointnet.evaluate.calibration import at_temperature, calibration_summary, fit_temperature
from jointnet.evaluate.counts import bootstrap_interval
from jointnet.evaluate.thresholds import ProbabilityCounts, count_probabilities
from jointnet.network.card import SUFFIX
from jointnet.network.weights import save_model


def count_crops(model, crops: list[dict]) -> list[tuple[str, ProbabilityCounts]]:
    """(city, histogram of probabilities) of each crop, without temperature."""
    model.card = replace(model.card, temperature=1.0)
    return [
        (c["city"], count_probabilities(predict_array(model, c["image"])[..., 0], c["mask"], c["valid"]))
        for c in crops
    ]


def score_table(counted: list[tuple[str, ProbabilityCounts]], temperature: float, threshold: float) -> dict:
    """Scores by city and pooled, with an interval by bootstrap over crops."""
    tempered = [(city, at_temperature(counts, temperature)) for city, counts in counted]
    table = {}
    for city in (*sorted({city for city, _ in tempered}), "pooled"):
        each = [counts for name, counts in tempered if city in (name, "pooled")]
        pixels = [c.counts_at(threshold) for c in each]
        pooled = sum(pixels[1:], pixels[0])
        names = ("iou", "accuracy", "background_accuracy", "precision", "recall", "f1")
        table[city] = {n: round(getattr(pooled, n), 4) for n in names} | {"crops": len(each)}
        table[city]["iou_interval"] = [round(v, 4) for v in bootstrap_interval(pixels)]
    everything = sum((c for _, c in tempered[1:]), tempered[0][1])
    return table | {"calibration": {k: round(float(v), 4) for k, v in calibration_summary(everything).items()}}


def examples(crops: list[dict], counted: list[tuple[str, ProbabilityCounts]], temperature: float, threshold: float
             ) -> dict[str, float]:
    """Name -> IoU of the crop of each city that holds most buildings."""
    most: dict[str, int] = {}
    for number, crop in enumerate(crops):
        best = most.setdefault(crop["city"], number)
        if crop["mask"].sum() > crops[best]["mask"].sum():
            most[crop["city"]] = number
    counts = {crops[n]["name"]: at_temperature(counted[n][1], temperature).counts_at(threshold)
              for n in most.values()}
    return {name: round(c.iou, 4) for name, c in counts.items()}


def main() -> None:
    """Reads the command line, scores, writes, and prints the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limits", help="known failures, for the card, in place of what the training wrote")
    parser.add_argument("--recipe", help="how to make these weights again, for the card")
    parser.add_argument("--window", type=int, help="side of prediction windows in pixels, for the card; the patch size "
                        "of the training without it, as group normalisation needs it")
    parser.add_argument("--overlap", type=float, help="share of a window that it has in common with its neighbour, for "
                        "the card; the card's without it. choose_overlap.py measures what one costs")
    parser.add_argument("--half", action="store_true", help="store and score them in half precision")
    args = parser.parse_args()
    model = load_model(args.weights)
    if args.half:
        model = load_model(save_model(model, args.out, half=True))
    model.card = replace(model.card, patch_size=args.window or model.card.patch_size,
                         overlap=model.card.overlap if args.overlap is None else args.overlap)
    crops = read_crops(args.crops, "inria_crops", "validation")
    validation = count_crops(model, crops)
    lossless = count_crops(model, read_crops(args.crops, "inria_lossless", "validation"))
    everything = sum((c for _, c in validation[1:]), validation[0][1])
    temperature = round(float(fit_temperature(everything)), 3)
    threshold = at_temperature(everything, temperature).best_threshold("iou")
    scores = {
        "inria_crops validation": score_table(validation, temperature, threshold)
        | {"examples": examples(crops, validation, temperature, threshold)},
        "inria_lossless": score_table(lossless, temperature, threshold),
    }
    card = replace(model.card, name=args.out.name.removesuffix(SUFFIX), thresholds={"buildings": float(threshold)},
                   temperature=temperature, scores=scores, limits=args.limits or model.card.limits,
                   recipe=args.recipe or model.card.recipe)
    save_model(model, args.out, card, args.half)
    print(card.to_json())


if __name__ == "__main__":
    main()
