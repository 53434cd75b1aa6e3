"""Trains building weights on labelled crops with a manifest, as those shipped in data/weights were.

    python recipes/buildings_crops.py CROPS --preset small --out runs/buildings-small [--resume]

For a training without an end, at a constant rate with an average beside it, and the short fall of the rate that makes
of its last state what is shipped; SIGTERM (`kill`) ends it, `--resume` goes on with the last finished epoch:

    python recipes/buildings_crops.py CROPS --endless --average 0.998 --out runs/endless
    python recipes/buildings_crops.py CROPS --finish 600 --branch-of runs/endless --out runs/finished

CROPS is a folder with `manifest.csv` (group, city, name, split, gsd_m, fraction) and, for each group,
`GROUP/images/NAME.jpg` and `GROUP/masks/NAME.png`. Needs NumPy, Pillow, h5py, filelock and Keras with any backend;
neither rasterio nor TensorFlow.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from PIL import Image

from jointnet.backend import keras  # before TensorFlow: it asks for oneDNN, twice as fast
from jointnet.data.augment import SYMMETRIES, jitter_colours, turn
from jointnet.network.card import Card
from jointnet.network.checkpoints import StopOnSignal
from jointnet.network.losses import PixelLoss
from jointnet.network.training import build_network, fit
from jointnet.network.weights import load_model
from jointnet.predict.arrays import predict_array

ENDLESS = 1_000_000  # epochs; it is stopped by hand
BLOCK = 16  # pixels a side, of the blocks by which false alarms are known
FINISHED = 0.9  # average of the last ten steps: at a rate near 0 it hardly differs from the moment's weights
TERMS = "crops re-published under a CC BY 4.0 claim of the uploader; terms not verified"
CONTENTS = {
    "inria_crops": "crops of INRIA's training tiles (western Tyrol, Chicago, Austin by eye; tile numbers unknown)",
    "world_buildings": "satellite crops of many countries, resolution unknown",
    "massachusetts_buildings": "images of Mnih's Massachusetts Buildings, labels of buildings only",
    "massachusetts_roads": "images of Mnih's Massachusetts Roads, labels of roads only",
}
LIMITS = (
    "Trained on few crops, of INRIA's cities mostly Tyrolean villages, some of Austin and Chicago. Roofs the colour of "
    "soil or road, large flat roofs and buildings under trees are missed; bright parking lots are taken for roofs. "
    "Never call the score below a score on INRIA's own validation tiles."
)


def read_crops(root: Path, group: str, split: str, keep_empty: float = 1.0, seed: int = 0, shrink: int = 1
               ) -> list[dict]:
    """The crops of a group and split in memory, as dicts of name, image, mask, valid and city.

    Args:
        root: folder with manifest.csv.
        group: subfolder of the crops.
        split: "train" or "validation".
        keep_empty: share of the crops without a building that is kept.
        seed: of the choice among them.
        shrink: so many pixels a side become one: the mean of the image, the majority of the mask.
    """
    rng = np.random.default_rng(seed)
    with (root / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    crops = []
    for row in rows:
        if (row["group"], row["split"]) != (group, split):
            continue
        if float(row["fraction"]) == 0 and rng.random() >= keep_empty:
            continue
        image = Image.open(root / group / "images" / f"{row['name']}.jpg").convert("RGB")
        mask = Image.open(root / group / "masks" / f"{row['name']}.png").convert("L")
        mask = mask.point(lambda v: 255 * (v > 0)).reduce(shrink)
        image, mask = np.asarray(image.reduce(shrink)), np.asarray(mask) > 127
        crops.append({"name": row["name"], "image": image, "mask": mask, "valid": image.any(axis=-1),
                      "city": row["city"]})
    return crops


class CropBatches(keras.utils.PyDataset):
    """Random patches of the crops: zoomed, turned and recoloured; the same for the same seed and epoch.

    Crops with more buildings are chosen more often; with `balanced`, each city has the same share of the patches.
    `smooth` is the share of labels that is turned over: in the mean, labels that keep so far from 0 and 1. `hard` is
    the share of the patches that lie around a block of `alarms`, chosen by its false alarm (`false_alarms`).
    """

    def __init__(self, crops, patch_size, batch_size, steps, zoom=(0.75, 1.33), colour=0.3, seed=0, balanced=False,
                 workers=1, smooth=0.0, hard=0.0, alarms=()):
        super().__init__(workers=workers)
        self.crops, self.patch_size, self.batch_size, self.steps = crops, patch_size, batch_size, steps
        self.zoom, self.colour, self.seed, self.epoch = zoom, colour, seed, 0
        self.smooth, self.hard = smooth, hard
        self.alarms = np.array([(k, *at) for k, values in enumerate(alarms) for at in np.ndindex(values.shape)])
        sizes = np.concatenate([values.ravel() for values in alarms]) if len(alarms) else np.ones(0)
        self.alarm_chance = sizes / sizes.sum() if len(sizes) else sizes
        chance = 0.05 + np.minimum([c["mask"].mean() for c in crops], 0.2)
        if balanced:
            cities = np.array([c["city"] for c in crops])
            for city in np.unique(cities):
                chance[cities == city] /= chance[cities == city].sum()
        self.chance = chance / chance.sum()

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, self.epoch, index])
        chosen = rng.choice(len(self.crops), self.batch_size, p=self.chance)
        patches = [self._hard_patch(rng) if self.hard and rng.random() < self.hard else self._patch(self.crops[k], rng)
                   for k in chosen]
        return tuple(np.stack(part) for part in zip(*patches, strict=True))

    def on_epoch_end(self):
        """Moves on to other patches."""
        self.epoch += 1

    def _hard_patch(self, rng):
        """A patch that holds a block of false alarm, anywhere in it."""
        crop, row, column = self.alarms[rng.choice(len(self.alarms), p=self.alarm_chance)]
        return self._patch(self.crops[crop], rng, (BLOCK * (row + 0.5), BLOCK * (column + 0.5)))

    def _patch(self, crop, rng, around=None):
        """One patch: image uint8 (side, side, 3), labels and weights float32 (side, side, 1)."""
        height, width = crop["mask"].shape
        side = min(self.patch_size * np.exp(rng.uniform(*np.log(self.zoom))), height, width)
        top, left = rng.uniform(0, height - side), rng.uniform(0, width - side)
        if around is not None:
            top, left = np.clip(np.subtract(around, rng.uniform(0, side, 2)), 0, (height - side, width - side))
        box, size = (left, top, left + side, top + side), (self.patch_size, self.patch_size)
        image = np.asarray(Image.fromarray(crop["image"]).resize(size, Image.Resampling.BILINEAR, box))
        mask, valid = (
            np.asarray(Image.fromarray(crop[k].astype(np.uint8)).resize(size, Image.Resampling.NEAREST, box))
            for k in ("mask", "valid")
        )
        symmetry = int(rng.integers(SYMMETRIES))
        image = jitter_colours(turn(image, symmetry), rng, self.colour)
        if self.smooth:
            mask = mask ^ (rng.random(mask.shape) < self.smooth)
        return image, *(turn(m, symmetry)[..., None].astype("float32") for m in (mask, valid))


def false_alarms(model, crops: list[dict]) -> list[np.ndarray]:
    """How wrongly each block of each crop is taken for a building: means of probability over background."""
    alarms = []
    for crop in crops:
        rows, columns = (n // BLOCK for n in crop["mask"].shape)
        wrong = predict_array(model, crop["image"], gsd=model.card.gsd)[..., 0] * (crop["valid"] & ~crop["mask"])
        alarms.append(wrong[:rows * BLOCK, :columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).mean((1, 3)))
    return alarms


class CropTiles(keras.utils.PyDataset):
    """Every crop, cut into equal tiles side by side, the smallest that patches of this size fit into."""

    def __init__(self, crops, patch_size, batch_size):
        super().__init__(workers=1)
        self.batch_size = batch_size
        side = min(min(c["mask"].shape) for c in crops)
        patch_size = side // max(1, side // patch_size) // 8 * 8
        tiles = [
            (c["image"][r:r + patch_size, q:q + patch_size],
             *(c[k][r:r + patch_size, q:q + patch_size, None].astype("float32") for k in ("mask", "valid")))
            for c in crops
            for r in range(0, c["mask"].shape[0] - patch_size + 1, patch_size)
            for q in range(0, c["mask"].shape[1] - patch_size + 1, patch_size)
        ]
        self.tiles = tiles

    def __len__(self):
        return -(-len(self.tiles) // self.batch_size)

    def __getitem__(self, index):
        part = self.tiles[index * self.batch_size:(index + 1) * self.batch_size]
        return tuple(np.stack(p) for p in zip(*part, strict=True))


def first_steps(card, model, batches, precision: str, count: int = 20) -> tuple[list[float], float]:
    """Losses of the first two steps at a rate of 0.01, to compare backends by, and seconds a step of those after."""
    network = build_network(card, precision)
    network.set_weights(model.get_weights())
    network.compile(keras.optimizers.SGD(0.01), PixelLoss(card.loss))
    losses = [float(network.train_on_batch(*batches[0])) for _ in range(2)]
    begin = time.perf_counter()
    for number in range(count):
        float(network.train_on_batch(*batches[number % len(batches)]))
    return losses, (time.perf_counter() - begin) / count


def main() -> None:
    """Reads the command line, trains, and says where the weights are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--groups", nargs="+", default=["inria_crops"], help="to train on; the first one validates")
    parser.add_argument("--balanced", action="store_true", help="as many patches of each city")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--normalization", default="group", choices=("group", "batch"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--steps", type=int, default=200, help="an epoch")
    parser.add_argument("--shrink", type=int, default=1, help="2 trains at 0.6 m a pixel instead of 0.3 m")
    parser.add_argument("--patch-size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--keep-empty", type=float, default=0.3, help="share of crops without buildings")
    parser.add_argument("--zoom", type=float, default=1.33, help="patches are shown up to so much larger or smaller")
    parser.add_argument("--colour", type=float, default=0.3, help="strength of the colour jitter")
    parser.add_argument("--smooth", type=float, default=0.0, help="share of labels turned over, which smooths them")
    parser.add_argument("--hard", type=float, default=0.0, help="share of patches around false alarms of --weights")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="go on from these weights, with a new schedule")
    parser.add_argument("--average", type=float, help="share that the average of the weights keeps at each step")
    parser.add_argument("--endless", action="store_true", help="constant rate, until SIGTERM")
    parser.add_argument("--finish", type=int, help="so many steps with a falling rate, from the state of --branch-of")
    parser.add_argument("--branch-of", type=Path, help="folder of the run to finish; it stays as it is")
    parser.add_argument("--workers", type=int, default=1, help="threads that draw patches ahead")
    parser.add_argument("--first-minute", action="store_true", help="train nothing: print the losses of two steps from "
                        "--weights, the same on every backend, and the seconds of a step")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    if (args.finish is None) != (args.branch_of is None):
        parser.error("--finish and --branch-of belong together: how many steps, and of which run")
    if args.finish:
        args.epochs, args.average = -(-args.finish // args.steps), FINISHED
    if args.hard and not args.weights:
        parser.error("--hard draws patches where a network is wrong: give its weights as --weights")
    if args.first_minute and not args.weights:
        parser.error("--first-minute compares backends from the same weights: give them as --weights")
    start = load_model(args.weights) if args.weights else None
    if start and start.card.normalization != args.normalization:
        parser.error(f"{args.weights} has {start.card.normalization} normalisation; go on with the same, or leave "
                     f"--weights out and begin anew")
    groups = {g: read_crops(args.crops, g, "train", args.keep_empty, args.seed, args.shrink) for g in args.groups}
    training = [crop for crops in groups.values() for crop in crops]
    validation = read_crops(args.crops, args.groups[0], "validation", shrink=args.shrink)
    card = Card(
        name=args.out.name, preset=args.preset, patch_size=args.patch_size, gsd=0.3 * args.shrink, image_gsd=0.3,
        loss="cross_entropy_dice", normalization=args.normalization,
        data="; ".join(f"{g}, split train: {len(c)} {CONTENTS.get(g, 'crops')}" for g, c in groups.items()),
        terms=TERMS, limits=LIMITS, seed=args.seed,
        batch_size=args.batch_size, recipe="recipes/buildings_crops.py",
        steps=start.card.steps if start else 0,
    )
    seed = args.seed + bool(args.finish)  # a branch draws other patches than its run
    batches = CropBatches(training, args.patch_size, args.batch_size, args.steps, (1 / args.zoom, args.zoom),
                          args.colour, seed, args.balanced, args.workers, args.smooth, args.hard,
                          false_alarms(start, training) if args.hard else ())
    if args.first_minute:
        losses, seconds = first_steps(card, start, batches, args.precision)
        print(f"{keras.backend.backend()}, {args.precision}: losses {losses[0]:.4f} {losses[1]:.4f}, {seconds:.3f} s")
        return
    run = fit(
        card, batches,
        CropTiles(validation, args.patch_size, args.batch_size),
        args.out, ENDLESS if args.endless else args.epochs, model=start, branch_of=args.branch_of,
        learning_rate=args.learning_rate, average=args.average, precision=args.precision, resume=args.resume,
        schedule="falling" if args.finish else "constant" if args.endless else "cosine",
        callbacks=[StopOnSignal()], verbose=2,
    )
    print(f"{run.ended}: {run.out / 'best.weights.h5'}, validation {run.card.scores}")


if __name__ == "__main__":
    main()
