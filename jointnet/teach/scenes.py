"""The three words of a lesson's parameters cell in; its scenes out. And a first look at a prediction."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import geopandas as gpd

from jointnet.data.catalogue import open_dataset
from jointnet.data.drawn import draw_scene, save_scene, scene_files
from jointnet.data.labels import rasterize_polygons
from jointnet.data.places import open_place
from jointnet.data.scene import Dataset, Scene, as_scene
from jointnet.data.splits import split_by_share, split_in_blocks
from jointnet.evaluate.counts import count_pixels
from jointnet.predict.arrays import predict_array
from jointnet.show.widgets.scene import SceneExplorer

VALIDATION = 0.2  # of a folder that says nothing of splits
DRAWS = 12  # ways of dealing that are tried
LOOK = 300.0  # metres along the sides of a first look
DRAWN_SIDE = 512  # pixels of the scene that is drawn for it
EXAMPLES, NEAR = 60, 160  # polygons to choose one from; pixels
REAL, DRAWN = "buildings-small", "sample-buildings"  # weights


def lesson_scenes(
    name: str, root: str | Path | None = None, split: str | None = None, cities: Sequence[str] | None = None,
) -> Dataset:
    """The scenes of a dataset, for a lesson: a folder of one's own needs neither splits nor cities.

    A folder without scenes for validation is dealt anew: a fifth of its images validates, or of the blocks that its
    only one is cut into, such that there is something to find in it. Of a folder without test scenes, "test" gives
    none.

    Args:
        name: as in `open_dataset`.
        root: folder of the dataset.
        split: "train", "validation" or "test"; None for all.
        cities: only scenes of these; of a folder that has no such city, all.
    """
    if name != "folder":
        return open_dataset(name, root=root, cities=cities, split=split)
    dataset = open_dataset(name, root=root)
    if not any(scene.split == "validation" for scene in dataset):
        dataset = _dealt(dataset)
    known = [city for city in cities or () if city in dataset.cities]
    kept = [s for s in dataset if split in (None, s.split) and (not known or s.city in known)]
    return replace(dataset, name="folder", scenes=tuple(kept))


def _dealt(dataset: Dataset) -> Dataset:
    """Dealt to training and validation, by the first of some draws after which both have something to find."""
    draws = [split_in_blocks(dataset[0], None, VALIDATION, seed=seed) if len(dataset) == 1 else
             split_by_share(dataset, VALIDATION, seed=seed) for seed in range(DRAWS)]
    return next(filter(_is_shown_in_both, draws), draws[0])


def _is_shown_in_both(dataset: Dataset) -> bool:
    parts = [[s for s in dataset if s.split == split and s.labels] for split in ("train", "validation")]
    return all(any(s.read_labels(next(iter(s.labels))).any() for s in part) for part in parts)


def whole_images(name: str, root: str | Path | None = None, cities: Sequence[str] | None = None) -> Dataset:
    """The scenes that a lesson maps: those for the test; of a folder that has none, all of its images, uncut.

    Args:
        name: as in `open_dataset`.
        root: folder of the dataset.
        cities: only scenes of these, where the dataset has them.
    """
    tests = lesson_scenes(name, root, "test", cities)
    return tests if len(tests) else open_dataset(name, root=root)


def first_look(
    photo: str | Path | None = None, place: Sequence[float] | None = None, gsd: float | None = None
) -> SceneExplorer:
    """Buildings in the middle of a photograph, or at a place; of a drawn scene where neither is named.

    Args:
        photo: an aerial image, or a folder of which the first is taken, as "folder" of `open_dataset`.
        place: (longitude, latitude); its imagery is fetched from a public service.
        gsd: metres per pixel of a photograph that does not say.
    """
    whole = _scene_of(photo, place)
    scene = _middle(whole, round(LOOK / (whole.gsd or gsd or 0.3)))
    weights = DRAWN if scene.drawn else REAL
    probability = predict_array(weights, scene.read(), gsd=scene.gsd or gsd)
    return SceneExplorer(scene, probability)


def _scene_of(photo: str | Path | None, place: Sequence[float] | None) -> Scene:
    if photo is not None:
        return open_dataset("folder", root=photo)[0] if Path(photo).is_dir() else as_scene(photo)
    return _drawn_scene() if place is None else open_place(place, width=LOOK, gsd=0.6)


def _drawn_scene() -> Scene:
    """A small drawn scene with its truth; quicker than the fifteen of the sample."""
    name, folder = "innsbruck21", Path(tempfile.mkdtemp(prefix="jointnet-"))
    save_scene(draw_scene(name, DRAWN_SIDE), folder)
    files = scene_files(folder, name)
    return Scene(name, files["images"], city="innsbruck", split="test", labels={"buildings": files["gt"]}, drawn=True)


def _middle(scene: Scene, side: int) -> Scene:
    height, width = scene.info.shape
    rows, columns = min(side, height), min(side, width)
    return scene.crop((height - rows) // 2, (width - columns) // 2, rows, columns)


def clear_example(polygons: gpd.GeoDataFrame, scene: Scene) -> tuple[int, int, int, int]:
    """The window of one predicted polygon with a margin: the one that agrees best with the truth.

    Where the scene has no truth it is the largest; without any polygon, the middle of the scene.

    Args:
        polygons: outlines in the scene's CRS, with `area_m2`.
        scene: the image that they were found on.
    """
    largest = polygons.sort_values("area_m2", ascending=False).head(EXAMPLES)
    windows = [_framed(shape.bounds, scene) for shape in largest.geometry]
    if not windows:
        side = min(*scene.info.shape, NEAR)
        return (scene.info.height - side) // 2, (scene.info.width - side) // 2, side, side
    if "buildings" not in scene.labels:
        return windows[0]
    found = [_agreement(largest.iloc[[k]], scene, window) for k, window in enumerate(windows)]
    return windows[found.index(max(found))]


def _framed(bounds: tuple[float, float, float, float], scene: Scene) -> tuple[int, int, int, int]:
    """A square of pixels around bounds of the scene's CRS, half as wide again, inside the scene."""
    left, bottom, right, top = bounds
    corners = [~scene.info.transform @ (x, y) for x in (left, right) for y in (bottom, top)]
    columns, rows = zip(*corners, strict=True)
    side = int(1.5 * max(max(columns) - min(columns), max(rows) - min(rows))) + 8
    side = min(side, *scene.info.shape)
    middle = (max(rows) + min(rows)) / 2, (max(columns) + min(columns)) / 2
    row, col = (int(min(max(m - side / 2, 0), n - side)) for m, n in zip(middle, scene.info.shape, strict=True))
    return row, col, side, side


def _agreement(polygon: gpd.GeoDataFrame, scene: Scene, window: tuple[int, int, int, int]) -> float:
    """IoU of a polygon and the truth in a window."""
    there = rasterize_polygons(polygon, scene.info.crop(*window), empty_ok=True)
    return count_pixels(scene.read_labels("buildings", window), there).iou
