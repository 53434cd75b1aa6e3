"""A folder of predictions in; each scene with its layers as an explorer, and as a page that opens offline, out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jointnet.data.addresses import is_remote
from jointnet.data.place_files import SUFFIX
from jointnet.data.scene import Scene, as_scene
from jointnet.files import cache_folder
from jointnet.predict.rasters import made_with
from jointnet.show.widgets.scene import SceneExplorer

ENDING = "_probability.tif"


def list_predictions(folder: str | Path) -> list[str]:
    """Names of the scenes that are predicted in a folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    found = sorted(path.name.removesuffix(ENDING) for path in Path(folder).glob(f"*{ENDING}"))
    if not found:
        raise FileNotFoundError(f"{folder} holds no prediction, a file NAME{ENDING}; predict into it first")
    return found


def layers_of(folder: str | Path, name: str) -> tuple[Path, dict[str, Path]]:
    """(probability raster, class -> GeoJSON) of a scene."""
    folder = Path(folder)
    raster = folder / f"{name}{ENDING}"
    shapes = {p.stem.removeprefix(f"{name}_"): p for p in sorted(folder.glob(f"{name}_*.geojson"))}
    return raster, {c: p for c, p in shapes.items() if c in made_with(raster).get("classes", shapes)}


def image_of(raster: Path) -> Scene:
    """The scene that a probability raster was made of, as its tags name it.

    Raises:
        FileNotFoundError: if the image is not there any more.
    """
    held = made_with(raster)
    image = held.get("image", "")
    if "place" in held:
        image = str(cache_folder() / "places" / held["place"][:16] / (Path(image).stem + SUFFIX))
    if not image or not (is_remote(image) or Path(image).exists()):
        known = f" as {image}" if image else ""
        raise FileNotFoundError(f"the image of {raster.name} is not there{known}; name it with image=")
    scene = as_scene(image)
    part = tuple(held.get("part") or ())
    return replace(scene, part=part) if part and part != (0, 0, *scene.info.shape) else scene


def explore(folder: str | Path, name: str | None = None, image: str | Path | None = None) -> SceneExplorer:
    """The explorer of a prediction: the scene, its probability and its polygons.

    Args:
        folder: that `predict_scene` wrote into.
        name: name of the scene; without it, the only or the first one.
        image: where the image lies, if it was moved.
    """
    name = name or list_predictions(folder)[0]
    raster, shapes = layers_of(folder, name)
    scene = image_of(raster) if image is None else as_scene(image)
    if scene.info.crs is not None and not scene.info.on_earth:  # of a site grid GeoJSON cannot tell; GeoPackage does
        shapes = {class_name: path.with_suffix(".gpkg") for class_name, path in shapes.items()}
    return SceneExplorer(scene, raster, truth=False, polygons=shapes or None)


def write_pages(folder: str | Path, image: str | Path | None = None) -> list[Path]:
    """A page beside each prediction of a folder, that opens in any browser without a network."""
    pages = {name: Path(folder) / f"{name}.html" for name in list_predictions(folder)}
    for name, page in pages.items():
        explore(folder, name, image).to_html(page)
    return list(pages.values())
