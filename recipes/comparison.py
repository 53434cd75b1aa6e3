"""Trains variants of the network on the same crops, steps and seed, scores each, and writes a table and a figure.

    python recipes/comparison.py CROPS --out runs/comparison --seeds 0
    python recipes/comparison.py CROPS --out runs/comparison --report docs

CROPS is laid out as in buildings_crops.py. A variant that is finished is not trained again, so a run that was
stopped goes on, and more seeds can be added later. The report is made from what is finished.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from buildings_crops import CropBatches, CropTiles, read_crops

from jointnet.evaluate.counts import bootstrap_interval
from jointnet.evaluate.thresholds import ProbabilityCounts, count_probabilities
from jointnet.network.card import Card
from jointnet.network.training import fit

BASE = {"loss": "cross_entropy_dice"}
VARIANTS = {
    "JointNet": {},
    "reduction from input": {"reduction_from": "input"},
    "U-Net": {"architecture": "unet"},
    "batch normalisation": {"normalization": "batch"},
    "all dilations 1": {"dilation_rates": (1,) * 6},
    "focal loss": {"loss": "focal"},
    "Dice loss": {"loss": "dice"},
    "focal + Dice loss": {"loss": "focal_dice"},
    "cross-entropy loss": {"loss": "cross_entropy"},
}


def train_variant(name: str, seed: int, training: list[dict], validation: list[dict], args) -> dict:
    """Trains one variant, or loads what it left, and scores it: IoU at its best threshold, with its interval.

    After each epoch a tenth of the validation crops is looked at; all of them are scored once, at the end.
    """
    out = args.out / f"{name.replace(' ', '_')}-{seed}"
    result = out / "result.json"
    if result.exists():
        return json.loads(result.read_text(encoding="utf-8"))
    card = Card(name=out.name, preset=args.preset, patch_size=args.patch_size, gsd=0.3 * args.shrink, seed=seed,
                batch_size=args.batch_size, recipe="recipes/comparison.py", **(BASE | VARIANTS[name]))
    run = fit(
        card, CropBatches(training, args.patch_size, args.batch_size, args.steps, seed=seed),
        CropTiles(validation[::10], args.patch_size, 16), out, args.epochs, learning_rate=args.learning_rate,
        resume=out.exists(), verbose=2,
    )
    scores = score(run.model, validation, args.patch_size)
    scores |= {
        "variant": name, "seed": seed, "parameters": run.model.count_params(), "preset": args.preset,
        "steps": args.steps * args.epochs, "batch_size": args.batch_size, "patch_size": args.patch_size,
        "shrink": args.shrink, "learning_rate": args.learning_rate, "validation_iou_by_epoch": run.history["val_iou"],
    }
    result.write_text(json.dumps(scores, indent=1), encoding="utf-8")
    return scores


def score(model, crops: list[dict], patch_size: int) -> dict:
    """Scores on whole crops cut into patches side by side; the threshold is the best on these crops themselves."""
    counted = []
    for crop in crops:
        tiles = CropTiles([crop], patch_size, 16)
        batches = [tiles[k] for k in range(len(tiles))]
        found = np.concatenate([np.asarray(model.predict_on_batch(images)) for images, _, _ in batches])
        mask, valid = (np.concatenate([b[k] for b in batches]).astype(bool)[..., 0] for k in (1, 2))
        counted.append(count_probabilities(*(a.reshape(-1, a.shape[2]) for a in (found[..., 0], mask, valid))))
    pooled: ProbabilityCounts = sum(counted[1:], counted[0])
    threshold = pooled.best_threshold("iou")
    pixels = [c.counts_at(threshold) for c in counted]
    total = sum(pixels[1:], pixels[0])
    return {
        "threshold": float(threshold), "iou": round(total.iou, 4), "accuracy": round(total.accuracy, 4),
        "background_accuracy": round(total.background_accuracy, 4),
        "average_precision": round(float(pooled.average_precision), 4),
        "iou_interval": [round(v, 4) for v in bootstrap_interval(pixels)], "crops": len(crops),
        "pixels": [[int(p.tp), int(p.fp), int(p.fn)] for p in pixels],
    }


def difference_interval(ours: list[dict], others: list[dict], resamples: int = 2000) -> tuple[float, float]:
    """95 % interval of how much more IoU `ours` has than `others`, by a bootstrap over crops, the same for both.

    Args:
        ours: results, one per seed; seeds are averaged.
        others: those it is compared with, scored on the same crops in the same order.
        resamples: number of bootstrap samples of the crops.
    """
    counts = [np.array([r["pixels"] for r in results]) for results in (ours, others)]  # (seeds, crops, tp fp fn)
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(resamples):
        sample = rng.integers(0, counts[0].shape[1], counts[0].shape[1])
        total = [c[:, sample].sum(axis=1) for c in counts]
        ours_iou, others_iou = (np.mean(t[:, 0] / t.sum(axis=1)) for t in total)
        gains.append(ours_iou - others_iou)
    return tuple(np.quantile(gains, (0.025, 0.975)))


def report(results: list[dict], folder: Path) -> None:
    """Writes comparison.json and images/comparison.png into a folder, and prints the table as Markdown."""
    import matplotlib.pyplot as plt

    rows = ",\n".join(json.dumps(r) for r in results)
    (folder / "comparison.json").write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    print("| variant | parameters | seeds | IoU | 95 % interval over crops | more than JointNet's, 95 % interval | "
          "average precision |")
    print("|---|---|---|---|---|---|---|")
    names = [name for name in VARIANTS if any(r["variant"] == name for r in results)]
    figure, axis = plt.subplots(figsize=(8, 0.5 * len(names) + 1.2), layout="constrained")
    for row, name in enumerate(names):
        each = [r for r in results if r["variant"] == name]
        iou, precision = (np.mean([r[k] for r in each]) for k in ("iou", "average_precision"))
        low, high = np.mean([r["iou_interval"] for r in each], axis=0)
        base = [r for r in results if r["variant"] == names[0] and r["seed"] in {e["seed"] for e in each}]
        gain = "" if name == names[0] else "{:+.3f} to {:+.3f}".format(*difference_interval(each, base))
        print(f"| {name} | {each[0]['parameters']:,} | {len(each)} | {iou:.3f} | {low:.3f} to {high:.3f} | {gain} | "
              f"{precision:.3f} |")
        axis.plot([low, high], [row, row], color="#0072B2", linewidth=2)
        axis.plot([r["iou"] for r in each], [row] * len(each), "o", color="#D55E00")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlabel("IoU on validation crops (dot: a seed; line: 95 % interval over crops)")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "images" / "comparison.png", dpi=110)


def main() -> None:
    """Reads the command line, trains what is missing, and reports if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400, help="an epoch")
    parser.add_argument("--shrink", type=int, default=2, help="2 trains at 0.6 m a pixel instead of 0.3 m")
    parser.add_argument("--patch-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--report", type=Path, help="only report, into this folder, what is finished in --out")
    args = parser.parse_args()
    if args.report:
        found = sorted(args.out.glob("*/result.json"))
        report([json.loads(path.read_text(encoding="utf-8")) for path in found], args.report)
        return
    training = read_crops(args.crops, "inria_crops", "train", keep_empty=0.3, shrink=args.shrink)
    validation = read_crops(args.crops, "inria_crops", "validation", shrink=args.shrink)
    for seed in args.seeds:
        for name in args.variants:
            print(name, seed, train_variant(name, seed, training, validation, args), flush=True)


if __name__ == "__main__":
    main()
