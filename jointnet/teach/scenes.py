"""The three words of a lesson's parameters cell in; its scenes out. And a first look at a prediction."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jointnet.data.catalogue import open_dataset
from jointnet.data.drawn import draw_scene, save_scene, scene_files
from jointnet.data.places import open_place
from jointnet.data.scene import Dataset, Scene, as_scene
from jointnet.predict.scenes import predict_array
from jointnet.show.widgets.scene import SceneExplorer

VALIDATION = 0.2  # of a folder that says nothing of splits
LOOK = 300.0  # metres along the sides of a first look
DRAWN_SIDE = 512  # pixels of the scene that is drawn for it
REAL, DRAWN = "buildings-small", "sample-buildings"  # weights


def lesson_scenes(
    name: str, root: str | Path | None = None, split: str | None = None, cities: Sequence[str] | None = None,
) -> Dataset:
    """The scenes of a dataset, for a lesson: a folder of one's own needs neither splits nor cities.

    A folder without scenes for validation is dealt anew: a fifth of its images validates, or of the blocks that its
    only one is cut into. Of a folder without test scenes, "test" gives none.

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
        dataset = open_dataset(name, root=root, validation=VALIDATION)
    known = [city for city in cities or () if city in dataset.cities]
    kept = [s for s in dataset if split in (None, s.split) and (not known or s.city in known)]
    return replace(dataset, name="folder", scenes=tuple(kept))


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
        photo: an aerial image.
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
        return as_scene(photo)
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
