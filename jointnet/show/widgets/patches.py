"""PatchExplorer: patches with their masks and augmentations, by city and share of foreground."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import traitlets

from jointnet.data.augment import colour_table
from jointnet.data.scene import Scene, as_scene
from jointnet.errors import InputError
from jointnet.show.layers import COLOURS, as_rgb, encode, encode_photo, origin_of, outline, paint, resize
from jointnet.show.widgets.base import Explorer, code_of

LARGEST = 128  # side of a patch in the browser, in pixels
COLUMNS = 10  # patches in a row of the sheet that is sent
NOT_COUNTED = 2

Patches = tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]  # images, codes, descriptions


class PatchExplorer(Explorer):
    """What a network is trained on: patches with their masks, and each one's flips, turns and lights.

    Of each scene, patches are picked evenly from its emptiest to its fullest. The lights are those of
    `jitter_colours`, the turns those of `turn`.

    Args:
        source: dataset, scenes or a scene; or arrays: images uint8 (n, size, size, bands).
        masks: for arrays, their masks: {0, 1} (n, size, size[, 1]).
        weights: for arrays, their weights: (n, size, size[, 1]), 0 where a pixel counts in no loss.
        size: side of a patch in pixels, of scenes.
        limit: patches to show.
        class_name: class of the scenes' labels.
        seed: start of the random lights.

    Raises:
        ValueError: if there is no patch, or arrays do not fit each other.
    """

    _esm = code_of("patches")
    title = "Patches - JointNet"

    about = traitlets.Dict().tag(sync=True)
    photos = traitlets.Bytes().tag(sync=True)
    masks = traitlets.Bytes().tag(sync=True)
    city = traitlets.Unicode("all").tag(sync=True)
    low = traitlets.Float(0.0).tag(sync=True)
    high = traitlets.Float(1.0).tag(sync=True)
    selected = traitlets.Int(0).tag(sync=True)
    show_mask = traitlets.Bool(True).tag(sync=True)

    def __init__(
        self, source: Any, masks: np.ndarray | None = None, weights: np.ndarray | None = None, size: int = 128,
        limit: int = 60, class_name: str = "buildings", seed: int = 0,
    ) -> None:
        super().__init__()
        if size < 1 or limit < 1:
            raise InputError(f"size={size} px and limit={limit} patches must be 1 or more")
        if isinstance(source, np.ndarray):
            images, codes, patches = _from_arrays(source[:limit], masks, weights)
            origins = [""]
        else:
            scenes = [as_scene(s) for s in ([source] if isinstance(source, Scene) else source)]
            images, codes, patches = _from_scenes(scenes, size, limit, class_name)
            origins = [origin_of(s) for s in scenes]
        self.images, self.codes, self.patches = images, codes, patches
        self.selected = int(np.argmax([p["share"] for p in patches]))
        side = min(LARGEST, images.shape[1])
        small = np.stack([resize(as_rgb(i), (side, side), "average") for i in images])
        flags = np.stack([resize(c, (side, side), "nearest") for c in codes])
        self.photos, self.masks = encode_photo(_sheet(small)), encode(_sheet(flags))
        self.about = {
            "side": side, "columns": COLUMNS, "patches": patches, "outline": COLOURS["outline"],
            "cities": sorted({p["city"] for p in patches if p["city"]}),
            "note": "; ".join(dict.fromkeys(filter(None, origins))),
            "tables": [colour_table(np.random.default_rng(seed + i), 3).ravel().tolist() for i in range(4)],
        }

    @property
    def shown(self) -> list[dict]:
        """The patches that pass the filter: scene, city, row, col and share of foreground of each."""
        return [
            p for p in self.patches if self.city in ("all", p["city"]) and self.low <= p["share"] <= self.high
        ]

    def preview(self) -> bytes:
        """A PNG of the first patches with their masks outlined."""
        first = []
        for image, codes in zip(self.images[: 3 * COLUMNS], self.codes, strict=False):
            side = min(LARGEST, image.shape[0])
            picture, flags = resize(as_rgb(image), (side, side), "average"), resize(codes, (side, side), "nearest")
            rim = paint(outline(flags == 1), COLOURS["outline"])
            first.append(np.where(rim[..., 3:] > 0, rim[..., :3], picture))
        return encode(_sheet(np.stack(first)))


def _sheet(patches: np.ndarray) -> np.ndarray:
    """All patches on one picture, `COLUMNS` in a row."""
    rows = math.ceil(len(patches) / COLUMNS)
    side = patches.shape[1]
    filled = np.zeros((rows * COLUMNS, *patches.shape[1:]), patches.dtype)
    filled[: len(patches)] = patches
    grid = filled.reshape(rows, COLUMNS, *patches.shape[1:]).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(rows * side, COLUMNS * side, *patches.shape[3:]))


def _from_arrays(images: np.ndarray, masks: np.ndarray | None, weights: np.ndarray | None) -> Patches:
    """Images, codes and descriptions of arrays."""
    if images.ndim != 4 or not len(images) or images.shape[1] != images.shape[2]:
        raise InputError(f"PatchExplorer got images of shape {images.shape}; it needs (n, size, size, bands), n > 0")
    codes = np.zeros(images.shape[:3], np.uint8)
    if masks is not None:
        codes = (np.asarray(masks)[: len(images)].reshape(codes.shape) > 0).astype(np.uint8)
    share = [round(float((c == 1).mean()), 4) for c in codes]
    if weights is not None:
        codes = np.where(np.asarray(weights)[: len(images)].reshape(codes.shape) > 0, codes, NOT_COUNTED)
    patches = [{"scene": f"patch {i}", "city": "", "row": 0, "col": 0, "share": s} for i, s in enumerate(share)]
    return images.astype(np.uint8), codes.astype(np.uint8), patches


def _from_scenes(scenes: Sequence[Scene], size: int, limit: int, class_name: str) -> Patches:
    """Images, codes and descriptions of patches picked from scenes."""
    if not scenes:
        raise InputError("there is no scene to take patches from; the dataset or the selection is empty")
    picked = _evenly(scenes, limit)
    images, codes, patches = [], [], []
    for scene in picked:
        for row, col, share, flags in _spread(_grid(scene, size, class_name), math.ceil(limit / len(picked))):
            images.append(scene.read((row, col, size, size)))
            codes.append(flags)
            patches.append({"scene": scene.name, "city": scene.city, "row": row, "col": col, "share": share})
    if not patches:
        raise InputError(f"no scene is as large as a patch of {size} px; choose a smaller size")
    return np.stack(images[:limit]), np.stack(codes[:limit]), patches[:limit]


def _grid(scene: Scene, size: int, class_name: str) -> Iterator[tuple[int, int, float, np.ndarray]]:
    """(row, col, share of foreground, codes) of every patch of a scene that holds imagery."""
    height, width = scene.info.shape
    for row in range(0, height - size + 1, size):
        strip = (row, 0, size, width)
        labelled = class_name in scene.labels
        valid = scene.read_valid(strip, class_name if labelled else None)
        truth = scene.read_labels(class_name, strip) if labelled else np.zeros((size, width), np.uint8)
        codes = np.where(valid, truth, NOT_COUNTED).astype(np.uint8)
        for col in range(0, width - size + 1, size):
            flags = codes[:, col : col + size]
            if (flags != NOT_COUNTED).any():
                yield row, col, round(float((flags == 1).mean()), 4), flags


def _spread(cells: Iterable[tuple[int, int, float, np.ndarray]], count: int) -> list:
    """`count` cells at even steps from the emptiest to the fullest."""
    return _evenly(sorted(cells, key=lambda cell: cell[2]), count)


def _evenly(items: Sequence, count: int) -> list:
    """At most `count` items at even steps from the first to the last."""
    steps = np.linspace(0, len(items) - 1, min(count, len(items)))
    return [items[int(i)] for i in steps.round()]
