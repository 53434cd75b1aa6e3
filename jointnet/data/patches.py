"""Scenes to training batches: windows read straight from the files, nothing cut to disk, no scene held whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jointnet.backend import keras
from jointnet.data.augment import SYMMETRIES, colour_table, recoloured, turn
from jointnet.data.lengths import same_gsd
from jointnet.data.patch_index import CELL, SceneIndex, index_scene
from jointnet.data.scene import Scene, Window
from jointnet.errors import InputError

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


def read_patch(
    scene: Scene, row: int, col: int, size: int, classes: Sequence[str] = ("buildings",)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A patch with its labels and weights; what lies beyond the scene is black, unlabelled and without weight.

    Args:
        scene: the scene to read from.
        row, col: place of the patch's first pixel in the scene.
        size: side in pixels.
        classes: labels to read.

    Returns:
        image uint8 (size, size, bands), labels uint8 {0, 1} (size, size, classes), weights float32
        (size, size, classes), 0 where there is no imagery or nobody has labelled the class.
    """
    height, width = (min(size, full - start) for full, start in zip(scene.info.shape, (row, col), strict=True))
    window = (row, col, height, width)
    image = scene.read(window)
    labels, counts = scene.read_classes(classes, window)
    weights = counts.astype(np.float32)
    if (height, width) != (size, size):
        beyond = ((0, size - height), (0, size - width), (0, 0))
        image, labels, weights = (np.pad(a, beyond) for a in (image, labels, weights))
    return image, labels, weights


class PatchBatches(keras.utils.PyDataset):
    """Random patches of labelled scenes, augmented: (image, labels, weights) by the batch, for `fit`.

    A batch depends on seed, epoch and its number alone, so any number of workers gives the same batches.

    Args:
        scenes: scenes with labels of any of `classes`; what a scene does not label weighs nothing.
        patch_size: side of a patch, in pixels.
        batch_size: patches a batch.
        classes: labels to read.
        steps: batches an epoch; by default as many as cover the scenes once.
        foreground_share: share of the patches that surely hold foreground of any class.
        colour_jitter: strength, see `jitter_colours`; 0 leaves colours alone.
        turns: whether patches are flipped and turned.
        seed: start of every random choice; the same seed gives the same batches.
        workers: threads that read ahead.

    Raises:
        ValueError: if there is no scene, no valid pixel in any of them, or a class that none of them labels.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        patch_size: int = 256,
        batch_size: int = 4,
        classes: Sequence[str] = ("buildings",),
        steps: int | None = None,
        foreground_share: float = 0.5,
        colour_jitter: float = 0.2,
        turns: bool = True,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        super().__init__(workers=workers)
        self.scenes, self.classes = list(scenes), tuple(classes)
        self.patch_size, self.batch_size = patch_size, batch_size
        self.foreground_share, self.colour_jitter, self.turns = foreground_share, colour_jitter, turns
        self.seed, self.epoch = seed, 0
        if not self.scenes:
            raise InputError("there is no scene to cut patches from; check the split and the cities")
        _check_labelled(self.scenes, self.classes)
        check_images(self.scenes)
        for scene in self.scenes:
            scene.prepare(self.classes)
        self.sampler = _Sampler([index_scene(s, self.classes) for s in self.scenes], patch_size)
        pixels = sum(s.info.height * s.info.width for s in self.scenes)
        self.steps = steps or max(1, round(pixels / (batch_size * patch_size**2)))

    def __len__(self) -> int:
        """Batches an epoch."""
        return self.steps

    def __getitem__(self, index: int) -> Batch:
        """image uint8 (batch, s, s, bands), labels uint8 and weights float32 (batch, s, s, classes)."""
        return self.part(index, slice(None))

    def part(self, index: int, rows: slice) -> Batch:
        """Some patches of a batch, as when the others were read, too: the share of one of several processes."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        return _stacked([self._read(*drawn) for drawn in [self._draw(rng) for _ in range(self.batch_size)][rows]])

    def on_epoch_end(self) -> None:
        """Moves on to other patches; Keras calls it."""
        self.epoch += 1

    def _draw(self, rng: np.random.Generator) -> tuple[Scene, int, int, int, np.ndarray | None]:
        """All that is chosen at random for a patch: its scene, row and column, its symmetry and its colours."""
        number, row, col = self.sampler.choose(rng, rng.random() < self.foreground_share)
        symmetry = int(rng.integers(SYMMETRIES)) if self.turns else 0
        scene = self.scenes[number]
        colours = colour_table(rng, scene.info.bands, self.colour_jitter) if self.colour_jitter else None
        return scene, row, col, symmetry, colours

    def _read(self, scene: Scene, row: int, col: int, symmetry: int, colours: np.ndarray | None) -> Batch:
        """One patch."""
        patch = read_patch(scene, row, col, self.patch_size, self.classes)
        image, labels, weights = (turn(a, symmetry) for a in patch)
        return image if colours is None else recoloured(image, colours), labels, weights


class GridBatches(keras.utils.PyDataset):
    """Every pixel that may count once, in patches side by side, in order and as they are: for validation.

    At the right and bottom edges patches reach beyond the scene, with weight 0 there. Arguments as `PatchBatches`.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        patch_size: int = 256,
        batch_size: int = 4,
        classes: Sequence[str] = ("buildings",),
        workers: int = 1,
    ) -> None:
        super().__init__(workers=workers)
        self.patch_size, self.batch_size, self.classes = patch_size, batch_size, tuple(classes)
        scenes = list(scenes)
        check_images(scenes)
        for scene in scenes:
            scene.prepare(classes)
        self.places = [
            (scene, row, col)
            for scene in scenes
            for row in range(0, scene.info.height, patch_size)
            for col in range(0, scene.info.width, patch_size)
            if counts_in(scene, (row, col, patch_size, patch_size))
        ]
        if not self.places:
            raise InputError("there is no scene to cut patches from; check the split and the cities")
        _check_labelled(scenes, self.classes)

    def __len__(self) -> int:
        """Batches in all."""
        return -(-len(self.places) // self.batch_size)

    def __getitem__(self, index: int) -> Batch:
        """As `PatchBatches`; the last batch may be smaller."""
        places = self.places[index * self.batch_size : (index + 1) * self.batch_size]
        return _stacked([read_patch(scene, row, col, self.patch_size, self.classes) for scene, row, col in places])


def _stacked(patches: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Batch:
    """Patches as one batch."""
    images, masks, weights = zip(*patches, strict=True)
    return np.stack(images), np.stack(masks), np.stack(weights)


class _Sampler:
    """Draws places of patches: scenes by their valid area, or by their foreground, then a place within.

    Args:
        indexes: one for each scene.
        size: side of a patch, in pixels.
    """

    def __init__(self, indexes: Sequence[SceneIndex], size: int) -> None:
        self.indexes, self.size = indexes, size
        valid = np.array([i.valid.sum() for i in indexes], float)
        foreground = np.array([i.foreground.sum() for i in indexes], float)
        if not valid.any():
            raise InputError("no scene holds a valid pixel: every pixel is no-data; check the dataset's no-data rule")
        self.cells = {}
        for name, weight in (("valid", valid), ("foreground", foreground)):
            self.cells[name] = None if not weight.any() else weight / weight.sum()
        self.nonzero = [
            {"valid": _cell_numbers(i.valid), "foreground": _cell_numbers(i.foreground)} for i in indexes
        ]

    def choose(self, rng: np.random.Generator, foreground: bool) -> tuple[int, int, int]:
        """(number of the scene, row, col) of a patch that holds at least one cell of what is asked for."""
        kind = "foreground" if foreground and self.cells["foreground"] is not None else "valid"
        number = int(rng.choice(len(self.indexes), p=self.cells[kind]))
        places = self.nonzero[number][kind]
        cell = np.unravel_index(places[rng.integers(len(places))], self.indexes[number].valid.shape)
        starts = []
        for position, length in zip(cell, self.indexes[number].shape, strict=True):
            low = position * CELL + CELL - self.size  # the patch ends with the cell, or begins with it
            starts.append(int(np.clip(rng.integers(min(low, position * CELL), position * CELL + 1), 0,
                                      max(0, length - self.size))))
        return number, starts[0], starts[1]


def check_images(scenes: Sequence[Scene]) -> None:
    """Refuses images that one network cannot be shown: of other types than 8 bits, or of differing bands or gsd.

    Raises:
        InputError: names the file and says what to do.
    """
    for scene in scenes:
        first, info = scenes[0], scene.info
        if info.dtype != "uint8" and scene.stretch is None:
            raise InputError(f"{scene.image} holds {info.dtype} values and a network is shown 0 to 255; let them be "
                             f"stretched to that: open_dataset(..., stretch='dataset'), or --stretch dataset")
        if info.bands != first.info.bands:
            raise InputError(f"{scene.image} has {info.bands} bands, {first.image} {first.info.bands}; one network "
                             f"takes images of as many bands: convert them, or take the others out of the dataset")
        if scene.gsd and first.gsd and not same_gsd(scene.gsd, first.gsd):
            raise InputError(f"{scene.image} has {scene.gsd:.3g} m per pixel, {first.image} {first.gsd:.3g} m; one "
                             f"network learns one: resample, for example with gdalwarp -tr, or take the others out")


def counts_in(scene: Scene, window: Window) -> bool:
    """Whether labels may count in a window of a scene: everywhere, or where `Scene.counted` meets it."""
    top, left = scene.part[:2] if scene.part else (0, 0)
    row, col = top + window[0], left + window[1]
    return scene.counted is None or any(
        r < row + window[2] and row < r + height and c < col + window[3] and col < c + width
        for r, c, height, width in scene.counted)


def _check_labelled(scenes: Sequence[Scene], classes: Sequence[str]) -> None:
    """Raises ValueError for a class that no scene labels."""
    known = {class_name for scene in scenes for class_name in scene.labels}
    absent = [class_name for class_name in classes if class_name not in known]
    if absent:
        raise InputError(
            f"none of the {len(scenes)} scenes has labels of {', '.join(absent)}; they have "
            f"{', '.join(sorted(known)) or 'none'}: add scenes that label it, or leave the class out"
        )


def _cell_numbers(counts: np.ndarray) -> np.ndarray:
    """The cells that hold any, numbered row by row; int32, for there may be thousands of large scenes."""
    return np.flatnonzero(counts).astype(np.int32)
