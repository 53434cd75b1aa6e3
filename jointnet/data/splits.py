"""Splits that cannot leak: a dataset in, the same ground with other splits out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import shapely

from jointnet.data.scene import SPLITS, Dataset, Scene
from jointnet.errors import InputError

LARGEST_BLOCK, SMALLEST_BLOCK = 512, 128  # pixels: a tile of a usual file, a patch of the smallest network
Placed = tuple[Scene, tuple[float, float, float, float]]  # a scene and its box


def split_by_name(dataset: Dataset, splits: Mapping[str, str]) -> Dataset:
    """The dataset with whole scenes moved: scene name -> split; scenes that are not named keep theirs.

    Raises:
        ValueError: if a scene or a split does not exist.
    """
    names = {s.name for s in dataset}
    unknown = sorted(set(splits) - names)
    if unknown:
        raise InputError(f"{dataset.name} has no scene {', '.join(unknown)}")
    wrong = sorted(set(splits.values()) - set(SPLITS))
    if wrong:
        raise InputError(f"split {wrong[0]!r} is unknown; choose from {', '.join(SPLITS)}")
    return replace(dataset, scenes=tuple(replace(s, split=splits.get(s.name, s.split)) for s in dataset))


def leave_city_out(dataset: Dataset, city: str) -> Dataset:
    """The dataset with one labelled city as its test split.

    The other cities keep their training and validation scenes, so no choice made on validation has seen the
    held-out city. Scenes without labels, such as INRIA's own test tiles, are left out: nothing can be scored there.

    Raises:
        ValueError: if the city has no labelled scene.
    """
    labelled = [s for s in dataset if s.labels]
    cities = sorted({s.city for s in labelled})
    if city not in cities:
        raise InputError(f"{dataset.name} has no labelled city {city!r} to hold out; choose from {', '.join(cities)}")
    held = [replace(s, split="test") for s in labelled if s.city == city]
    rest = [s for s in labelled if s.city != city and s.split != "test"]
    return replace(dataset, scenes=(*rest, *held))


def find_leaks(dataset: Dataset) -> list[tuple[str, str]]:
    """Pairs of scenes that share ground though their splits differ; none is what a fair score needs.

    Scenes are compared by their boxes where they lie in the same CRS, by their outlines in degrees where they do not
    (a thousandth of the smaller one may lie in both), and by their pixels where they are parts of one file. Tiles that
    touch do not share ground. Images without a georeference are taken to lie apart.
    """
    leaks = []
    groups = _grouped(dataset)
    for group in groups.values():
        boxes = np.array([box for _, box in group])
        tree = shapely.STRtree(shapely.box(*boxes.T))
        for first, second in tree.query(tree.geometries, predicate="intersects").T:
            a, b = group[first][0], group[second][0]
            if first < second and a.split != b.split and _shares_ground(boxes[first], boxes[second]):
                leaks.append((a.name, b.name))
    leaks = list(dict.fromkeys(leaks))  # scenes of several boxes may meet in several
    return leaks + _leaks_between_systems([group for group in groups.values() if group[0][0].info.on_earth])


def _leaks_between_systems(groups: list[list[Placed]]) -> list[tuple[str, str]]:
    """Pairs of scenes of different groups, each in a CRS of its own, that share ground though their splits differ."""
    if len(groups) < 2:
        return []
    import geopandas as gpd  # most datasets have one CRS and need none of it

    from jointnet.data.degrees import to_degrees

    shapes: list[np.ndarray] = []
    for group in groups:
        boxes = np.array([box for _, box in group])
        side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
        outlines = shapely.segmentize(shapely.box(*boxes.T), side / 16)  # straight lines bend in another projection
        shapes.append(to_degrees(gpd.GeoSeries(outlines, crs=group[0][0].info.crs)).to_numpy())
    number = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    scenes, outlines = [scene for group in groups for scene, _ in group], np.concatenate(shapes)
    area = shapely.area(outlines)
    leaks = []
    for first, second in shapely.STRtree(outlines).query(outlines, predicate="intersects").T:
        a, b = scenes[first], scenes[second]
        if number[first] < number[second] and a.split != b.split:
            shared = shapely.area(shapely.intersection(outlines[first], outlines[second]))
            if shared > 1e-3 * min(area[first], area[second]):
                leaks.append((a.name, b.name))
    return leaks


def _grouped(dataset: Dataset) -> dict[str, list[Placed]]:
    """The scenes with their boxes, or those where labels count, by what makes boxes comparable: CRS or file."""
    groups: dict[str, list] = {}
    for scene in dataset:
        top, left = scene.part[:2] if scene.part else (0, 0)
        for row, col, height, width in scene.counted or ((top, left, *scene.info.shape),):
            if scene.info.crs is not None:
                key, box = scene.info.crs.to_wkt(), scene.info.crop(row - top, col - left, height, width).bounds
            else:
                key, box = str(scene.image.resolve()), (col, row, col + width, row + height)
            groups.setdefault(key, []).append((scene, box))
    return groups


def _shares_ground(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two boxes overlap by more than rounding: a millionth of the smaller one's side, both ways."""
    overlap = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return bool((overlap > 1e-6 * np.minimum(a[2:] - a[:2], b[2:] - b[:2])).all())


def split_by_share(dataset: Dataset, validation: float = 0.2, test: float = 0.0, seed: int = 0) -> Dataset:
    """The dataset with whole scenes dealt to the splits at random, city by city.

    Args:
        dataset: at least two scenes; for one scene, see `split_in_blocks`.
        validation: share of each city's scenes that validate, rounded; at least one of a city with two or more.
        test: share that tests, by the same rule.
        seed: start of the random choice; the same seed deals alike.

    Raises:
        ValueError: if the shares leave nothing to train on.
    """
    _check_shares(validation, test)
    if len(dataset) < 2:
        raise InputError(f"{dataset.name} has one scene; split it inside with split_in_blocks")
    splits: dict[str, str] = {}
    for number, city in enumerate(dataset.cities):
        names = [s.name for s in dataset if s.city == city]
        order = [names[i] for i in np.random.default_rng([seed, number]).permutation(len(names))]
        splits |= dict(zip(order, _deal(len(names), validation, test), strict=True))
    return split_by_name(dataset, splits)


def split_in_blocks(
    scene: Scene, block: int | None = 512, validation: float = 0.2, test: float = 0.0, gap: int = 0, seed: int = 0
) -> Dataset:
    """One scene cut into square blocks that share no pixel, each a scene of its own, dealt to the splits.

    Neighbouring pixels resemble each other, so blocks beside each other still share a roof or a street that a cut
    goes through; `gap` leaves ground unused around every block, and larger blocks have fewer such neighbours.

    Args:
        scene: the image to cut; a `part` of an image is cut inside its rectangle.
        block: side of a block in pixels; what remains at the right and lower edge joins the last block. None takes
            the side that fits the image, see `fitting_block`.
        validation: share of the blocks that validate, rounded, at least one.
        test: share that tests, by the same rule; none where it is 0.
        gap: pixels left unused between neighbouring blocks, at least.
        seed: start of the random choice; the same seed deals alike.

    Raises:
        ValueError: if the scene has fewer than two blocks, or the shares leave nothing to train on.
    """
    _check_shares(validation, test)
    if gap < 0 or (block is not None and block < 1):
        raise InputError(f"block={block} must be 1 px or more, and gap={gap} 0 or more: blocks may not overlap")
    block = fitting_block(scene.info.shape, validation, test) if block is None else block
    rows, cols = _cuts(scene.info.height, block, gap), _cuts(scene.info.width, block, gap)
    if len(rows) * len(cols) < 2:
        raise InputError(
            f"{scene.name} of {scene.info.height} x {scene.info.width} px holds one block of {block} px"
            f"{f' where {gap} px are left between them' if gap else ''}; choose smaller blocks"
            f"{' or a smaller gap' if gap else ''}"
        )
    top, left = scene.part[:2] if scene.part else (0, 0)
    parts = [(top + r, left + c, h, w) for r, h in rows for c, w in cols]
    order = np.random.default_rng(seed).permutation(len(parts))
    deal = dict(zip(order.tolist(), _deal(len(parts), validation, test), strict=True))
    names = [f"{scene.name}-r{r}c{c}" for r in range(len(rows)) for c in range(len(cols))]
    return Dataset(
        f"{scene.name} in blocks",
        tuple(replace(scene, name=names[i], part=part, split=deal[i]) for i, part in enumerate(parts)),
    )


def fitting_block(shape: tuple[int, int], validation: float = 0.2, test: float = 0.0) -> int:
    """Side in pixels of the blocks that an image is cut into: the largest that give each split its share.

    So many blocks that the smallest share is one of them, but no side above 512 px, and none below 128 px unless the
    image would stay whole.

    Args:
        shape: (height, width) of the image, in pixels.
        validation: share of the blocks that validate.
        test: share that tests.

    Raises:
        InputError: if the image is too small to be cut at all.
    """
    shares = [share for share in (validation, test, 1 - validation - test) if share > 0]
    wanted, least = math.ceil(1 / min(shares) - 1e-9), len(shares)
    for side in range(LARGEST_BLOCK, 0, -1):
        count = max(1, shape[0] // side) * max(1, shape[1] // side)
        if count >= (wanted if side >= SMALLEST_BLOCK else least):
            return side
    raise InputError(f"an image of {shape[0]} x {shape[1]} px cannot be cut into blocks for {least} splits; "
                     f"bring more images, or a larger one")


def _cuts(length: int, block: int, gap: int) -> list[tuple[int, int]]:
    """(start, size) of the blocks along one side; each gives half the gap (rounded up) on its inner edges."""
    count = max(length // block, 1)
    half = -(-gap // 2)
    edges = [*(i * block for i in range(count)), length]
    cuts = []
    for i, (start, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        start, stop = start + half * (i > 0), stop - half * (i < count - 1)
        if stop > start:
            cuts.append((start, stop - start))
    return cuts


def _deal(count: int, validation: float, test: float) -> list[str]:
    """The splits of `count` shuffled things; training gets what is left, and at least one."""
    tests = _share(count, test)
    validations = _share(count, validation)
    while tests + validations >= count and tests + validations > 0:
        tests, validations = (tests - 1, validations) if tests >= validations else (tests, validations - 1)
    return ["test"] * tests + ["validation"] * validations + ["train"] * (count - tests - validations)


def _share(count: int, share: float) -> int:
    """`share` of `count`, rounded; at least one where the share is more than nothing."""
    return max(round(count * share), 1) if share > 0 else 0


def _check_shares(validation: float, test: float) -> None:
    """Raises ValueError unless both shares are in [0, 1) and leave something to train on."""
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise InputError(f"shares validation={validation} and test={test} must be 0 or more and add up to less than 1")
