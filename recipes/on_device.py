r"""Trains a network on labelled crops with everything on one accelerator: crops, augmentation, steps, average. JAX.

    export KERAS_BACKEND=jax
    python recipes/on_device.py CROPS --groups inria_crops world_buildings --preset base --patch-size 320 \
        --seconds 1200 --out runs/buildings-base
    python recipes/on_device.py CROPS --groups massachusetts_buildings massachusetts_roads --classes buildings,roads \
        --gsd 1 --steps 20000 --out runs/massachusetts-joint

CROPS is a folder with `manifest.csv` (group, city, name, split, gsd_m) and, for each group, `GROUP/images/NAME.jpg` and
`GROUP/masks/NAME.png`. All crops lie in the device's memory; a compiled function draws patches (moved, turned, zoomed,
recoloured), makes a step and goes on, a hundred times before the host hears of it. Where `fit` waits for patches drawn
by processors, this waits for nothing. The rate falls along half a cosine, over --steps or over --seconds, whichever
comes to its end first. The weights' running average is scored on whole validation crops and kept
(`last.weights.h5`, and `best.weights.h5` by IoU); the state is written every minute, and the same command goes on with
it after any end. Needs NumPy, Pillow, h5py, filelock, Keras and JAX; neither rasterio nor TensorFlow.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import datetime
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from buildings_crops import CONTENTS
from PIL import Image

from jointnet.backend import keras
from jointnet.files import written_whole
from jointnet.network.card import Card
from jointnet.network.losses import PixelLoss
from jointnet.network.training import build_network
from jointnet.network.weights import save_model

CLASS_OF = {"massachusetts_roads": "roads"}  # what a group labels; the others label buildings
NODATA = {"massachusetts_roads": "white", "massachusetts_buildings": "white"}
UNKNOWN_GSD = 0.3  # metres a pixel taken for crops that do not say
BINS = 200  # of probability, for the best threshold
FOREGROUND, KNOWN = 0b01010101, 0b10101010  # the bits of any class in a packed label
LEAST_KNOWN = 0.25  # share of a tile with labels, of those that are used
CLIP = 1.0  # largest length of a gradient
ENDLESS = 10**9  # steps or seconds: the other one ends it
WARM_UP = 0.02  # share of the training


@dataclasses.dataclass(frozen=True)
class Tiles:
    """Crops cut into tiles of at most one size, on the device.

    Attributes:
        pixels: uint32 (tiles, side, side): red, green and blue in the lower bytes; in the highest, for class k, bit 2k
            says foreground and bit 2k + 1 says that this pixel is labelled.
        shapes: int32 (tiles, 2): rows and columns in use.
        scales: float32 (tiles,): pixels of a tile to one of the network's.
        chances: float32 (tiles,): how often each is chosen, summed up.
    """

    pixels: jax.Array
    shapes: jax.Array
    scales: jax.Array
    chances: jax.Array


def read_crop(root: Path, row: dict, classes: Sequence[str], gsd: float) -> tuple[np.ndarray, float]:
    """One crop packed as `Tiles` has it, uint32 (rows, columns), and its pixels to one of the network's."""
    image = Image.open(root / row["group"] / "images" / f"{row['name']}.jpg").convert("RGB")
    mask = Image.open(root / row["group"] / "masks" / f"{row['name']}.png").convert("L").point(lambda v: 255 * (v > 0))
    known = np.asarray(image)
    valid = ~(known >= 254).all(-1) if NODATA.get(row["group"]) == "white" else known.any(-1)
    scale = gsd / float(row["gsd_m"] or UNKNOWN_GSD)
    shrink = max(1, int(scale + 0.01))
    image, mask = np.asarray(image.reduce(shrink), np.uint32), np.asarray(mask.reduce(shrink)) > 127
    valid = np.asarray(Image.fromarray(valid.astype(np.uint8) * 255).reduce(shrink)) > 127
    packed = image[..., 0] | image[..., 1] << 8 | image[..., 2] << 16
    bit = 24 + 2 * classes.index(CLASS_OF.get(row["group"], "buildings"))
    return packed | mask.astype(np.uint32) << bit | valid.astype(np.uint32) << (bit + 1), scale / shrink


def rows_of(root: Path, groups: Sequence[str], split: str) -> list[dict]:
    """The manifest's rows of these groups and split."""
    with (root / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["group"] in groups and row["split"] == split]


def cut(crop: np.ndarray, side: int) -> list[np.ndarray]:
    """The crop in equal tiles of at most `side` pixels."""
    lines = [np.linspace(0, n, -(-n // side) + 1).astype(int) for n in crop.shape]
    return [crop[a:b, c:d] for a, b in zip(lines[0], lines[0][1:], strict=False)
            for c, d in zip(lines[1], lines[1][1:], strict=False)]


def load_tiles(root: Path, groups: dict[str, float], classes: Sequence[str], gsd: float, side: int) -> Tiles:
    """The training crops of the groups, each group as often as its number says.

    Within a group, a city's share grows with the root of its number of tiles, and a tile's with its foreground and with
    the square of the part of it that has labels.
    """
    pixels, scales, chances = [], [], []
    for group, share in groups.items():
        cities: dict[str, list[float]] = {}
        first = len(pixels)
        owners = []
        for row in rows_of(root, [group], "train"):
            crop, scale = read_crop(root, row, classes, gsd)
            for tile in cut(crop, side):
                labels = tile >> 24
                known = float((labels & KNOWN > 0).mean())
                if known < LEAST_KNOWN:
                    continue
                pixels.append(tile)
                scales.append(scale)
                owners.append(row["city"])
                foreground = float((labels & FOREGROUND > 0).mean()) / known
                chances.append(known ** 2 * (0.05 + min(foreground, 0.2)))
                cities.setdefault(row["city"], []).append(chances[-1])
        total = sum(len(c) ** 0.5 for c in cities.values())
        for number, city in enumerate(owners, first):
            chances[number] *= share * len(cities[city]) ** 0.5 / total / sum(cities[city])
    packed = np.zeros((len(pixels), side, side), np.uint32)
    for number, tile in enumerate(pixels):
        packed[number, :tile.shape[0], :tile.shape[1]] = tile
    return Tiles(jnp.asarray(packed), jnp.asarray([t.shape for t in pixels], jnp.int32),
                 jnp.asarray(scales, jnp.float32), jnp.asarray(np.cumsum(chances) / sum(chances), jnp.float32))


def draw_patch(key: jax.Array, tiles: Tiles, size: int, zoom: float) -> jax.Array:
    """One patch, packed: (size, size, 4 corners) of uint32, and the bilinear weight of each corner beside it."""
    chosen, where, turns, angles, zooms, flips = jax.random.split(key, 6)
    number = jnp.searchsorted(tiles.chances, jax.random.uniform(chosen))
    shape = tiles.shapes[number].astype(jnp.float32)
    scale = tiles.scales[number] * zoom ** jax.random.uniform(zooms, minval=-1.0, maxval=1.0)
    half = jnp.minimum(scale * size / 2, shape / 2)
    centre = half + jax.random.uniform(where, (2,)) * (shape - 2 * half)
    kind, free = jax.random.uniform(turns, (2,))  # half of them by quarter turns, which keep pixels sharp
    angle = jnp.pi / 2 * jax.random.randint(angles, (), 0, 4) + jnp.where(kind < 0.5, 0.0, (free - 0.5) * jnp.pi / 2)
    axis = (jnp.arange(size) - (size - 1) / 2) * scale
    mirror = jnp.where(jax.random.bernoulli(flips), -1.0, 1.0)
    u, v = axis[:, None], mirror * axis[None, :]
    rows = centre[0] - 0.5 + jnp.cos(angle) * u - jnp.sin(angle) * v
    columns = centre[1] - 0.5 + jnp.sin(angle) * u + jnp.cos(angle) * v
    rows, columns = reflected(rows, shape[0]), reflected(columns, shape[1])
    top, left = jnp.floor(rows), jnp.floor(columns)
    down, right = rows - top, columns - left
    top, left = top.astype(jnp.int32), left.astype(jnp.int32)
    below = jnp.minimum(top + 1, tiles.shapes[number, 0] - 1)
    beside = jnp.minimum(left + 1, tiles.shapes[number, 1] - 1)
    side = tiles.pixels.shape[1]
    flat = tiles.pixels.reshape(-1)
    first = number * side * side
    corners = jnp.stack([flat[first + r * side + c] for r in (top, below) for c in (left, beside)], -1)
    weights = jnp.stack([a * b for a in (1 - down, down) for b in (1 - right, right)], -1)
    return corners, weights


def reflected(at: jax.Array, length: jax.Array) -> jax.Array:
    """Positions folded back into 0 to length - 1, as in a mirror at each end."""
    last = jnp.maximum(length - 1, 1.0)
    at = jnp.mod(at, 2 * last)
    return jnp.minimum(at, 2 * last - at)


def recoloured(key: jax.Array, image: jax.Array, strength: float) -> jax.Array:
    """Images 0 to 1, (batch, size, size, 3), each under another light.

    As `jointnet.data.augment.colour_table` makes it, and with more or less colour and some noise.
    """
    gains, casts, gammas, offsets, greys, noises, levels = jax.random.split(key, 7)
    one = (image.shape[0], 1, 1, 1)

    def swing(key, width, shape=one):
        return jax.random.uniform(key, shape, minval=-width, maxval=width)

    gain = (1 + swing(gains, strength)) * (1 + swing(casts, strength / 2, (*one[:3], 3)))
    image = jnp.maximum(image, 1e-6) ** (2 ** swing(gammas, strength)) * gain + swing(offsets, strength / 4)
    grey = image.mean(-1, keepdims=True)
    image = grey + (image - grey) * (1 + swing(greys, 1.5 * strength))
    noise = jax.random.normal(noises, image.shape) * jax.random.uniform(levels, one, maxval=0.1 * strength)
    return jnp.clip(image + noise, 0, 1)


def draw_batch(key: jax.Array, tiles: Tiles, batch: int, size: int, classes: int, zoom: float, strength: float
               ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images 0 to 255, labels and weights: float32 (batch, size, size, 3 or classes)."""
    patches, colours = jax.random.split(key)
    corners, weights = jax.vmap(lambda k: draw_patch(k, tiles, size, zoom))(jax.random.split(patches, batch))
    image = jnp.stack([((corners >> shift & 255) * weights).sum(-1) for shift in (0, 8, 16)], -1) / 255
    nearest = jnp.argmax(weights, -1)[..., None]
    labels = jnp.take_along_axis(corners, nearest, -1) >> 24  # (batch, size, size, 1)
    bits = 2 * jnp.arange(classes, dtype=jnp.uint32)
    truth, known = (labels >> bits & 1), (labels >> (bits + 1) & 1)
    image = recoloured(colours, image, strength)
    image = jnp.where((known > 0).any(-1, keepdims=True), image, 0.0)
    return 255 * image, truth.astype(jnp.float32), known.astype(jnp.float32)


def as_products(network: keras.Model) -> None:
    """Has every 3x3 convolution computed as one matrix product and nine shifts; their gradients are of the same kind.

    The gradient of a dilated convolution's kernel is a convolution with a kernel as large as the image, which not
    every library computes quickly (--convolutions library leaves it to JAX).
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size == (3, 3):
            layer.convolution_op = shifted_products(layer.dilation_rate[0])


def shifted_products(rate: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A 3x3 convolution with zeros around and this dilation: (batch, h, w, c), (3, 3, c, g) -> (batch, h, w, g)."""

    def convolve(image: jax.Array, kernel: jax.Array) -> jax.Array:
        height, width = image.shape[1:3]
        inside, outside = kernel.shape[2:]
        flat = jnp.asarray(kernel).transpose(2, 0, 1, 3).reshape(inside, 9 * outside)
        products = jnp.pad(image @ flat, ((0, 0), (rate, rate), (rate, rate), (0, 0)))
        parts = [products[:, r * rate:r * rate + height, c * rate:c * rate + width,
                          (3 * r + c) * outside:(3 * r + c + 1) * outside] for r in range(3) for c in range(3)]
        return sum(part.astype(jnp.float32) for part in parts).astype(image.dtype)

    return convolve


def step_function(network: keras.Model, loss: PixelLoss, draw: Callable, decay: float, average: float) -> Callable:
    """One compiled function: (state as `new_state` makes it, keys, rates) -> (state, losses), a step for each key."""
    decays = [len(v.shape) > 1 for v in network.trainable_variables]

    def loss_of(weights, others, batch):
        image, truth, known = batch
        found, others = network.stateless_call(weights, others, image, training=True)
        return loss(truth, found, known), others

    def step(state, key_and_rate):
        key, rate = key_and_rate
        weights, others, first, second, mean, mean_others, count = state
        (value, others), slopes = jax.value_and_grad(loss_of, has_aux=True)(weights, others, draw(key))
        length = jnp.sqrt(sum((g ** 2).sum() for g in slopes))
        slopes = [g * jnp.minimum(1.0, CLIP / (length + 1e-12)) for g in slopes]
        count = count + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, slopes, strict=True)]
        second = [0.999 * v + 0.001 * g ** 2 for v, g in zip(second, slopes, strict=True)]
        a, b = 1 - 0.9 ** count, 1 - 0.999 ** count
        weights = [w - rate * (m / a / (jnp.sqrt(v / b) + 1e-7) + (decay * w if d else 0.0))  # AdamW
                   for w, m, v, d in zip(weights, first, second, decays, strict=True)]
        kept = jnp.minimum(average, (1 + count) / (10 + count))
        mean = [kept * m + (1 - kept) * w for m, w in zip(mean, weights, strict=True)]
        mean_others = [kept * m + (1 - kept) * w for m, w in zip(mean_others, others, strict=True)]
        return (weights, others, first, second, mean, mean_others, count), value

    return jax.jit(lambda state, keys, rates: jax.lax.scan(step, state, (keys, rates)), donate_argnums=0)


class Scores:
    """Scores weights on whole crops: IoU of each class at its best threshold.

    Crops whose pixels are not the network's by more than a twentieth, once shrunk, are left out. `ProbabilityCounts`
    does the like, but comes with rasterio, which may be missing where this runs.
    """

    def __init__(self, network: keras.Model, root: Path, rows: Sequence[dict], classes: Sequence[str], gsd: float):
        self.classes, self.crops = classes, []
        for row in rows:
            crop, scale = read_crop(root, row, classes, gsd)
            if abs(scale - 1) <= 0.05:
                side = [n // 8 * 8 for n in crop.shape]
                self.crops.append(crop[:side[0], :side[1]])
        if not self.crops:
            raise SystemExit(f"no validation crop has {gsd:g} m a pixel; name other groups with --validation")
        bits = 2 * jnp.arange(len(classes), dtype=jnp.uint32)

        def count(weights, others, crop):
            image = jnp.stack([crop >> shift & 255 for shift in (0, 8, 16)], -1)[None].astype(jnp.float32)
            found, _ = network.stateless_call(weights, others, image, training=False)
            truth, known = (crop[..., None] >> (24 + bits) & 1), (crop[..., None] >> (25 + bits) & 1)
            bin_ = jnp.clip((found[0] * BINS).astype(jnp.int32), 0, BINS - 1)
            at = 2 * bin_ + truth.astype(jnp.int32)
            return jnp.stack([jnp.zeros(2 * BINS).at[at[..., k].reshape(-1)].add(known[..., k].reshape(-1).astype(
                jnp.float32)) for k in range(len(classes))])

        self._count = jax.jit(count)

    def __call__(self, weights: list, others: list) -> dict[str, tuple[float, float]]:
        """Class -> (IoU, threshold)."""
        counts = sum(np.asarray(self._count(weights, others, crop), np.float64) for crop in self.crops)
        result = {}
        for name, each in zip(self.classes, counts.reshape(len(self.classes), BINS, 2), strict=True):
            above = each[::-1].cumsum(0)[::-1]  # background and foreground pixels from each bin on
            iou = above[:, 1] / np.maximum(each[:, 1].sum() + above[:, 0], 1)
            result[name] = round(float(iou.max()), 4), float(iou.argmax() / BINS)
        return result


def save_state(path: Path, state: Any, seconds: float) -> None:
    """The whole state and the seconds so far, in one file that is there complete or not at all."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
    with written_whole(path) as draft, draft.open("wb") as file:
        np.savez(file, *leaves, seconds=seconds)


def load_state(path: Path, state: Any) -> tuple[Any, float]:
    """What `save_state` wrote, in the form of `state`."""
    with np.load(path) as saved:
        leaves = [jnp.asarray(saved[f"arr_{k}"]) for k in range(len(saved.files) - 1)]
        return jax.tree.unflatten(jax.tree.structure(state), leaves), float(saved["seconds"])


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--groups", nargs="+", default=["inria_crops"],
                        help="to train on, as inria_crops or world_buildings:0.5, which is shown half as often")
    parser.add_argument("--validation", nargs="+", help="groups that choose the best weights; the first without it")
    parser.add_argument("--classes", default="buildings", help="by commas")
    parser.add_argument("--loss", default="cross_entropy_dice")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--normalization", default="batch", choices=("group", "batch"))
    parser.add_argument("--gsd", type=float, default=0.3, help="metres a pixel that the network sees")
    parser.add_argument("--patch-size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--tile", type=int, default=512, help="crops are kept in tiles of at most so many pixels")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.02)
    parser.add_argument("--average", type=float, default=0.999)
    parser.add_argument("--zoom", type=float, default=1.5, help="patches are shown up to so much larger or smaller")
    parser.add_argument("--colour", type=float, default=0.3, help="strength of the change of colours")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--convolutions", default="products", choices=("products", "library"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=ENDLESS)
    parser.add_argument("--seconds", type=float, default=ENDLESS, help="of training, compiling not counted")
    parser.add_argument("--together", type=int, default=100, help="steps between two words with the host")
    parser.add_argument("--check-every", type=float, default=60, help="seconds between two validations")
    parser.add_argument("--terms", default="")
    parser.add_argument("--limits", default="")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def card_of_run(args: argparse.Namespace, groups: Sequence[str], classes: tuple[str, ...]) -> Card:
    """What will be trained, from what, and how."""
    unsaid = ("crops", "out", "terms", "limits")
    options = " ".join(f"--{name.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, list) else value}"
                       for name, value in vars(args).items() if name not in unsaid and value not in (None, ENDLESS))
    described = "; ".join(f"{g}, split train: {len(rows_of(args.crops, [g], 'train'))} {CONTENTS.get(g, 'images')}"
                          for g in groups)
    return Card(
        name=args.out.name, preset=args.preset, classes=classes, patch_size=args.patch_size, gsd=args.gsd,
        image_gsd=UNKNOWN_GSD if args.gsd <= 2 * UNKNOWN_GSD else None, loss=args.loss, data=described,
        normalization=args.normalization, terms=args.terms, limits=args.limits, seed=args.seed,
        batch_size=args.batch_size, date=datetime.date.today().isoformat(),
        recipe=f"recipes/on_device.py on {jax.devices()[0].device_kind}, {options}",
    )


class Training:
    """A network in training, its state on the device, and what is kept of it in a folder."""

    def __init__(self, args: argparse.Namespace, card: Card, network: keras.Model, step: Callable, validate: Scores):
        self.args, self.card, self.step, self.validate = args, card, step, validate
        self.plain, self.state = card.build(), new_state(network)  # the first is what is written, in float32
        self.kept, self.log = args.out / "state.npz", args.out / "history.csv"
        self.seconds, self.per_step, self.best = 0.0, 0.0, -1.0
        order = {id(v): k for k, v in enumerate(network.weights)}
        self._places = [order[id(v)] for v in (*network.trainable_variables, *network.non_trainable_variables)]
        if self.kept.exists():
            self.state, self.seconds = load_state(self.kept, self.state)
            rows = self.log.read_text(encoding="utf-8").splitlines()[1:]
            self.best = max(float(row.rsplit(",", 1)[1]) for row in rows)
            print(f"goes on after {self.steps} steps, {self.seconds:.0f} s", flush=True)
        else:
            scores = ",".join(f"iou_{c},threshold_{c}" for c in card.classes)
            self.log.write_text(f"step,seconds,rate,loss,{scores},mean_iou\n", encoding="utf-8")

    @property
    def steps(self) -> int:
        """Steps so far."""
        return int(self.state[-1])

    def rate(self) -> float:
        """The learning rate now: a short rise, then half a cosine; 0 at the end."""
        progress = min(1.0, max(self.steps / self.args.steps, self.seconds / self.args.seconds))
        return self.args.learning_rate * min(1.0, (progress + 1e-3) / WARM_UP) * (1 + np.cos(np.pi * progress)) / 2

    def go_on(self, key: jax.Array, rate: float, timed: bool) -> float:
        """As many steps as are made together; their mean loss.

        Raises:
            FloatingPointError: if the loss is no number.
        """
        begin, count = time.monotonic(), min(self.args.together, self.args.steps - self.steps)
        keys = jax.random.split(jax.random.fold_in(key, self.steps), count)
        self.state, losses = self.step(self.state, keys, jnp.full(count, rate, jnp.float32))
        loss = float(losses.mean())
        self.per_step = (time.monotonic() - begin) / count
        self.seconds += timed * self.per_step * count
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} after {self.steps} steps; try a lower --learning-rate")
        return loss

    def check(self, rate: float, losses: Sequence[float]) -> None:
        """Scores the average, writes it and the state, and says where the training stands."""
        mean, mean_others = self.state[4:6]
        found = self.validate(mean, mean_others)
        iou = float(np.mean([v[0] for v in found.values()]))
        row = [self.steps, round(self.seconds), f"{rate:.3g}", f"{np.mean(losses):.4f}",
               *(number for values in found.values() for number in values), f"{iou:.4f}"]
        values = dict(zip(self._places, (np.asarray(v) for v in (*mean, *mean_others)), strict=True))
        self.plain.set_weights([values[k] for k in range(len(values))])
        scores = {"validation crops": {c: {"iou": v[0]} for c, v in found.items()}}
        card = dataclasses.replace(self.card, steps=self.steps, scores=scores, sha256="",
                                   thresholds={c: min(max(v[1], 0.05), 0.95) for c, v in found.items()})
        save_model(self.plain, self.args.out / "last.weights.h5", card, half=True)
        if iou >= self.best:
            self.best = iou
            save_model(self.plain, self.args.out / "best.weights.h5", card, half=True)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(",".join(map(str, row)) + "\n")
        save_state(self.kept, self.state, self.seconds)
        print(self.args.out.name, *row, f"{1000 * self.per_step:.1f} ms a step", flush=True)


def new_state(network: keras.Model) -> tuple:
    """Weights, other variables, both moments of Adam, the averages of the first two, and the number of steps."""
    weights, others = ([jnp.array(v.value) for v in vs]
                       for vs in (network.trainable_variables, network.non_trainable_variables))
    first, second = ([jnp.zeros_like(w) for w in weights] for _ in range(2))
    return (weights, others, first, second, [w.copy() for w in weights], [o.copy() for o in others],
            jnp.zeros((), jnp.int32))


def main() -> None:
    """Trains, and says every minute where it stands."""
    args = parse()
    classes = tuple(args.classes.split(","))
    groups = {name: float(share or 1) for name, _, share in (g.partition(":") for g in args.groups)}
    args.out.mkdir(parents=True, exist_ok=True)
    tiles = load_tiles(args.crops, groups, classes, args.gsd, args.tile)
    card = card_of_run(args, list(groups), classes)
    keras.utils.set_random_seed(args.seed)
    network = build_network(card, args.precision)
    if args.convolutions == "products":
        as_products(network)

    def draw(key):
        return draw_batch(key, tiles, args.batch_size, args.patch_size, len(classes), args.zoom, args.colour)

    step = step_function(network, PixelLoss(args.loss), draw, args.weight_decay, args.average)
    validation = rows_of(args.crops, args.validation or list(groups)[:1], "validation")
    training = Training(args, card, network, step, Scores(network, args.crops, validation, classes, args.gsd))
    key, checked, losses, compiled = jax.random.key(args.seed), time.monotonic(), [], False
    while (rate := training.rate()) > 0:
        losses.append(training.go_on(key, rate, timed=compiled))
        compiled = True
        if time.monotonic() - checked > args.check_every:
            training.check(rate, losses)
            checked, losses = time.monotonic(), []
    if losses:
        training.check(rate, losses)
    done = json.dumps({"steps": training.steps, "seconds": training.seconds})
    (args.out / "done.json").write_text(done, encoding="utf-8")


if __name__ == "__main__":
    main()
