"""Error analysis of building weights on real validation crops: predicts them, writes a report and its numbers.

    python recipes/analyse_crops.py CROPS/inria_crops WEIGHTS --out runs/crops_analysis [--limit 20]

WEIGHTS is a name that `jointnet weights` lists, or a file. The folder is opened as `open_dataset("folder")` opens it,
with the split of the manifest above it and black pixels as no-data. Crops that are predicted are not predicted again.
Threshold and temperature of a card may have been chosen on these very crops; the card says so, and then they flatter.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import jointnet
from jointnet.evaluate.analysis import Analysis, analyse
from jointnet.network.card import card_of
from jointnet.show.report import write_report


def spread(dataset, limit: int | None):
    """At most `limit` scenes of a dataset, evenly over its cities and numbers."""
    if limit is None or limit >= len(dataset):
        return dataset
    scenes = sorted(dataset, key=lambda s: (s.city, s.name))
    return replace(dataset, scenes=tuple(scenes[i] for i in np.linspace(0, len(scenes) - 1, limit).round().astype(int)))


def summary(analysis: Analysis, name: str) -> str:
    """The numbers in lines to read."""
    scores, deep = analysis.scores, analysis.scores.detail_table().loc["overall"]
    low, high = scores.interval()
    shifts = analysis.shifts[(analysis.shifts["rows"] != 0) | (analysis.shifts["cols"] != 0)]
    lines = [
        f"{name} on {len(scores.tiles)} crops: IoU {scores.overall.iou:.4f} ({low:.4f} to {high:.4f})",
        scores.table()[["tiles", "iou", "accuracy", "background_accuracy", "precision", "recall"]].round(4).to_string(),
        deep.round(4).to_string(),
        scores.object_table().query("city == 'overall'").round(3).to_string(index=False),
        analysis.kinds.round(3).to_string(),
        f"choices of these crops for themselves: {analysis.choices}",
        f"{len(shifts)} of {len(analysis.shifts)} crops fit better when their labels move; mean move "
        f"{analysis.shifts[['rows', 'cols']].mean().round(2).to_dict()} px",
    ]
    if analysis.explanation is not None:
        lines += [analysis.explanation.round(3).to_string(), str(analysis.explanation.attrs)]
    return "\n\n".join(lines)


def main() -> None:
    """Reads the command line, predicts what is not predicted yet, writes, and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("weights")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="only so many crops, evenly chosen")
    parser.add_argument("--overlap", type=float, default=0.25, help="of the windows")
    args = parser.parse_args()
    dataset = spread(jointnet.open_dataset("folder", args.crops, split="validation", nodata="black"), args.limit)
    model = jointnet.load_model(args.weights)
    card, predictions = card_of(model), args.out / "predictions"
    for scene in dataset:
        jointnet.predict_scene(model, scene, predictions, overlap=args.overlap, polygons=False, progress=False)
    analysis = analyse(predictions, dataset)
    page = write_report(args.out / f"{card.name}.html", predictions, dataset, analysis=analysis)
    print(summary(analysis, card.name), f"\n{page}")


if __name__ == "__main__":
    main()
