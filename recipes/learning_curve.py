"""Draws the learning curve of a long training: validation IoU against steps and CPU hours, as figure and table.

    python recipes/learning_curve.py runs/endless runs/finished --steps 75 100 --out docs

RUN is the folder of one run, or of several that followed each other, in their order, each with its steps an epoch.
Writes `learning_curve.csv` and `images/learning_curve.png` into the folder OUT, and prints the table, an epoch of every
tenth of the way to a row.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure


def learning_curve(runs: Sequence[Path], steps: Sequence[int]) -> pd.DataFrame:
    """One row an epoch: steps and CPU hours since the first run began, training loss, validation IoU.

    Args:
        runs: folders with `history.csv`, in the order in which they followed each other.
        steps: an epoch of each run.
    """
    parts = [pd.read_csv(run / "history.csv").assign(steps=s) for run, s in zip(runs, steps, strict=True)]
    history = pd.concat(parts, ignore_index=True)
    return pd.DataFrame({
        "steps": history["steps"].cumsum(),
        "cpu_hours": (history["cpu_seconds"].cumsum() / 3600).round(3),
        "training_loss": history["loss"].round(4),
        "validation_iou": history["val_iou"].round(4),
    })


def draw(curve: pd.DataFrame) -> Figure:
    """The validation IoU against steps, with the CPU hours on a second axis."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axis = figure.add_subplot(xlabel="steps", ylabel="validation IoU")
    axis.plot(curve["steps"], curve["validation_iou"], marker="o", markersize=4)
    axis.grid(axis="y", alpha=0.4)
    hours = axis.twiny()
    hours.set(xlabel="CPU hours", xlim=axis.get_xlim())
    shown = curve.iloc[:: max(1, len(curve) // 6)]
    hours.set_xticks(shown["steps"], [f"{h:.1f}" for h in shown["cpu_hours"]])
    return figure


def main() -> None:
    """Reads the command line, writes, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, nargs="+", required=True, help="an epoch, of each run")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    curve = learning_curve(args.runs, args.steps)
    (args.out / "images").mkdir(parents=True, exist_ok=True)
    curve.to_csv(args.out / "learning_curve.csv", index=False)
    draw(curve).savefig(args.out / "images" / "learning_curve.png", dpi=130)
    rows = curve.iloc[:: max(1, len(curve) // 10)]
    print("| steps | CPU hours | training loss | validation IoU |\n|---|---|---|---|")
    for row in rows.itertuples():
        print(f"| {row.steps:,} | {row.cpu_hours:.2f} | {row.training_loss:.3f} | {row.validation_iou:.4f} |")


if __name__ == "__main__":
    main()
