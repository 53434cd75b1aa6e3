"""Writes what a training on another machine should send home: average and moment in half precision, no optimizer.

    python recipes/bring_home.py runs/buildings-base --out home

`home/average.weights.h5` holds the best weights (the average's, where the run keeps one), `home/moment.weights.h5`
those of the last finished epoch; each has its card beside it, and `home/history.csv` is the run's. Of preset `base`
each is about 10 MB, where the state with the optimizer has 77.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

from jointnet.backend import keras  # noqa: F401 (before any backend: it asks for oneDNN)
from jointnet.network.weights import load_model, save_model


def bring_home(run: Path, out: Path) -> list[Path]:
    """Writes the two and returns their paths."""
    average = load_model(run / "best.weights.h5")
    state = json.loads((run / "state.json").read_text(encoding="utf-8"))
    moment = average.card.build()
    moment.load_weights(run / state["weights"])
    card = replace(average.card, name="moment", scores={}, sha256="")
    written = [save_model(average, out / "average.weights.h5", replace(average.card, name="average"), half=True),
               save_model(moment, out / "moment.weights.h5", card, half=True)]
    shutil.copyfile(run / "history.csv", out / "history.csv")
    return written


def main() -> None:
    """Reads the command line, writes, and prints the sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    for path in bring_home(args.run, args.out):
        print(f"{path} {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
