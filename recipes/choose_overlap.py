"""How far windows must overlap: work, seams and agreement of several overlaps, on images larger than a few windows.

    python recipes/choose_overlap.py buildings-small photo.jpg scene.tif --pixels 64 32 16

The first overlap is what the others are compared with. A seam ratio is read beside that of the first prediction at the
same places: where no window ends there, it tells what the scene itself does. Choose the least overlap whose ratio
stays at 1.05, and write it to the card: `score_crops.py --overlap`, which fits threshold and temperature anew.
"""

from __future__ import annotations

import argparse

import numpy as np

from jointnet import open_weights
from jointnet.predict.engines import make_engine
from jointnet.predict.seams import seam_ratio
from jointnet.predict.settings import Settings, settings_of
from jointnet.predict.source import open_source
from jointnet.predict.windows import WindowGrid, predict_windows


def predict_pixels(weights, settings: Settings, image: str, size: int, pixels: int) -> tuple[np.ndarray, WindowGrid]:
    """The first class's probability of an image on the network's grid, and the windows it is blended from."""
    engine = make_engine(weights, "auto", size)
    with open_source(image, settings) as scene:
        grid = WindowGrid(*scene.shape, size, size - pixels)
        rows = [part for _, part in predict_windows(scene.read, grid, engine, engine.batch)]
    return np.concatenate(rows)[..., 0], grid


def agreement(one: np.ndarray, other: np.ndarray, threshold: float) -> float:
    """IoU of two probabilities' masks."""
    a, b = one >= threshold, other >= threshold
    return float((a & b).sum() / max(1, (a | b).sum()))


def main() -> None:
    """Prints a row for each image and overlap."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("images", nargs="+", help="larger than two windows at the network's metres per pixel")
    parser.add_argument("--pixels", type=int, nargs="+", default=[64, 32, 16], help="overlaps to compare")
    parser.add_argument("--window", type=int, help="side of the windows; the card's without it")
    args = parser.parse_args()
    weights = open_weights(args.weights)
    settings = settings_of(weights)
    size, threshold = args.window or settings.patch_size, float(settings.threshold_array()[0])
    print("| image | overlap | work of 5000 px | seams | the first's there | IoU with the first |\n" + 6 * "|---" + "|")
    for image in args.images:
        first = None
        for pixels in args.pixels:
            found, grid = predict_pixels(weights, settings, image, size, pixels)
            first = found if first is None else first
            print(f"| {image} | {pixels} px of {size} | {WindowGrid(5000, 5000, size, size - pixels).work:.2f} | "
                  f"{seam_ratio(found, grid):.3f} | {seam_ratio(first, grid):.3f} | "
                  f"{agreement(found, first, threshold):.4f} |", flush=True)


if __name__ == "__main__":
    main()
