"""Where a scene has imagery and where it has foreground, counted once on a coarse grid and kept in a cache."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jointnet.data.scene import Scene
from jointnet.files import cache_folder, state_of, written_whole

CELL = 32  # side of a cell, in pixels
RULES = 3  # edition of what is counted, and how; another number makes every index anew
STRIP = 16 * CELL  # rows read at a time


@dataclass(frozen=True)
class SceneIndex:
    """Counts on a grid of cells of `CELL` px.

    Attributes:
        shape: (height, width) of the scene, in pixels.
        valid: pixels of each cell with imagery and labels of any class, int32 (rows, cols).
        foreground: valid pixels of any class in each cell, int32 (rows, cols).
    """

    shape: tuple[int, int]
    valid: np.ndarray
    foreground: np.ndarray

    @property
    def foreground_share(self) -> float:
        """Foreground in valid pixels; 0 where nothing is valid."""
        return float(self.foreground.sum() / max(1, self.valid.sum()))


def index_scene(scene: Scene, classes: Sequence[str], cache: Path | None = None) -> SceneIndex:
    """The index of a scene, from the cache unless a file has changed since.

    Args:
        scene: a scene with labels of any of `classes`.
        classes: the classes that count as foreground.
        cache: folder of the cache; the user's cache folder without it. One that cannot be written to is no error.
    """
    cache = cache_folder() / "patch_index" if cache is None else cache
    path = cache / f"{_fingerprint(scene, classes)}.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            index = SceneIndex(scene.info.shape, kept["valid"], kept["foreground"])
        if _is_possible(index):
            return index
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        pass  # not there, or damaged: counted anew
    index = count_cells(scene, classes)
    _keep(path, index)
    return index


def _is_possible(index: SceneIndex) -> bool:
    """Whether counts are those of a scene of this size: a number for each cell, and no more foreground than pixels."""
    cells = tuple(-(-side // CELL) for side in index.shape)
    if any(part.dtype != np.int32 or part.shape != cells for part in (index.valid, index.foreground)):
        return False
    return bool(np.all((index.foreground >= 0) & (index.foreground <= index.valid) & (index.valid <= CELL * CELL)))


def count_cells(scene: Scene, classes: Sequence[str]) -> SceneIndex:
    """Counts a scene strip by strip, so that no more than 512 rows are held."""
    height, width = scene.info.shape
    rows = []
    for top in range(0, height, STRIP):
        window = (top, 0, min(STRIP, height - top), width)
        labels, counts = scene.read_classes(classes, window)
        rows.append((_cells(np.any(counts, axis=-1)), _cells(np.any(counts & (labels > 0), axis=-1))))
    valid, foreground = (np.concatenate(part) for part in zip(*rows, strict=True))
    return SceneIndex((height, width), valid, foreground)


def _cells(flags: np.ndarray) -> np.ndarray:
    """True pixels in each cell; cells at the edge may be smaller."""
    height, width = flags.shape
    padded = np.pad(flags, ((0, -height % CELL), (0, -width % CELL)))
    blocks = padded.reshape(padded.shape[0] // CELL, CELL, padded.shape[1] // CELL, CELL)
    return blocks.sum(axis=(1, 3), dtype=np.int32)


def _fingerprint(scene: Scene, classes: Sequence[str]) -> str:
    """Changes when the image, a label, the rule or the part does."""
    files = [scene.image]
    for class_name in classes:
        found = scene.labels.get(class_name, ())
        files += found if isinstance(found, tuple) else [found]
    stats = [(str(Path(file).resolve()), state_of(file)) for file in files]
    masks = [repr(scene.masks[c].values) for c in classes if c in scene.masks and scene.masks[c].files]
    layers = [scene.layers.get(c) for c in classes]
    text = json.dumps([stats, list(classes), scene.nodata, scene.part, scene.counted, scene.line_width, masks, layers,
                       RULES, CELL])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _keep(path: Path, index: SceneIndex) -> None:
    """Writes the cache in one step; a place that cannot be written to only costs the next count."""
    with suppress(OSError), written_whole(path) as draft:
        np.savez_compressed(draft, valid=index.valid, foreground=index.foreground)
