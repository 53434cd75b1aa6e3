"""Trains the weights of the drawn sample that the lessons load, data/weights/sample-buildings and sample-roads.

    python recipes/sample.py --classes buildings --out runs/sample-buildings [--resume]

Takes some minutes on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jointnet

TERMS = "drawn by this project: no terms"
LIMITS = (
    "Knows drawn scenes only: on photographs it is of no use. Roofs under trees or in shade are missed; parking "
    "lots, containers and bare soil are taken for roofs."
)


def main() -> None:
    """Reads the command line, trains, and says where the weights are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", default="buildings", help="one class, or several by commas")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=100, help="an epoch")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    run = jointnet.train(
        args.preset, jointnet.open_dataset("sample"), args.out, classes=tuple(args.classes.split(",")),
        epochs=args.epochs, steps=args.steps, learning_rate=args.learning_rate, precision=args.precision,
        terms=TERMS, limits=LIMITS, recipe="recipes/sample.py", resume=args.resume, verbose=2,
    )
    print(f"{run.ended}: {run.out / 'best.weights.h5'}, validation {run.card.scores}")


if __name__ == "__main__":
    main()
