"""Scenes and predictions on a leafmap map; nothing is fetched from anywhere unless a basemap is asked for.

Every raster is warped to the map's projection first and laid down as one picture inside the notebook, so it shows on a
laptop without a network, on a Hub and under any address; colours and sizes are those of `SceneExplorer`. Where widgets
cannot run, as in a notebook that is not trusted, a still of the map is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np

from jointnet.data.degrees import WGS84, on_earth, past_180
from jointnet.data.raster import RasterError, open_raster, project_points, read_info
from jointnet.data.scene import Dataset, Scene, as_scene, is_vector
from jointnet.data.vectors import read_features
from jointnet.data.web_mercator import warp_to_web_mercator
from jointnet.errors import InputError
from jointnet.predict.rasters import class_bands, class_thresholds, foreground, read_foreground, to_bytes
from jointnet.show.layers import (
    COLOURS,
    Box,
    Layer,
    Shapes,
    as_rgb,
    class_colours,
    data_url,
    fit,
    meaning_of_layer,
    origin_of,
    paint,
    stretched_as,
)
from jointnet.show.map_panel import PHOTOGRAPH, Panel
from jointnet.show.scene_map import SceneMap
from jointnet.show.stills import WIDTH as STILL_WIDTH
from jointnet.show.tile_server import why_no_tiles

LOOKED_AT = 512  # longest side of a mask file's sample that tells whether it is one, in pixels
STRIP = 512  # rows of labels that are read together


def show_map(
    source: Scene | Dataset | Sequence[Scene] | str | Path,
    probability: Layer | None = None,
    mask: Layer | None = None,
    polygons: Shapes | None = None,
    truth: bool | str | Path = True,
    basemap: str | None = None,
    threshold: float | Mapping[str, float] | None = None,
    max_size: int = 2048,
    height: str = "600px",
    tiles: bool = False,
) -> SceneMap:
    """A map of a scene with what was predicted for it, or of several scenes, as layers with opacity.

    Args:
        source: scene, image file, dataset, or list of scenes (a city: `dataset.select("austin")`).
        probability: raster file, or array on the scene's grid, in [0, 1] or uint8 with 255 for 1; one layer for each
            band, in the colour of its class.
        mask: raster file, or array on the scene's grid; 0 is background; one layer for each band.
        polygons: vector file or GeoDataFrame, in any CRS; or class -> one.
        truth: show the scene's labels where it has some; or a vector or mask file of them.
        basemap: None for a plain background with a switch for OpenStreetMap, "osm" to begin with it, or the address
            of a tile server with {z}, {x} and {y}. Only a basemap makes the browser fetch anything.
        threshold: probabilities below it are transparent; one, or class -> threshold; without it the one that the
            probability was made with, else 0.6.
        max_size: longest side of a picture in pixels; a larger scene is shrunk for the map.
        height: height of the map, in CSS units.
        tiles: True reads the imagery piece by piece at full resolution as one moves. It needs the packages
            localtileserver and xarray, and a notebook server that passes tiles on; where they cannot be served the
            map says why, and shows the picture.

    Raises:
        RasterError: if a scene has no georeference.
        ValueError: if layers are given for several scenes, or the basemap is unknown.
    """
    scenes = list_scenes(source)
    check_georeference(scenes)
    if len(scenes) > 1 and any(layer is not None for layer in (probability, mask, polygons)):
        raise InputError(f"probability, mask and polygons belong to one scene, not to {len(scenes)}: pick one")
    shown = SceneMap(basemap, height)
    panel = Panel(shown)
    panel.past_180 = _lie_around_180(scenes)
    trouble = why_no_tiles() if tiles else ""
    if trouble:
        panel.notes.append(f"No tiles here, so a picture of {max_size} px at most: {trouble}.")
    for scene in scenes:
        size = max_size if len(scenes) == 1 else max(256, max_size // len(scenes))
        add_scene(panel, scene, size, tiles and not trouble)
    scene = scenes[0]
    if len(scenes) == 1 and truth is not False:
        _add_truth(panel, scene, truth, max_size)
    if probability is not None:
        add_probability(panel, probability, scene, threshold, max_size)
    if mask is not None:
        _add_masks(panel, mask, scene, max_size)
    if polygons is not None:
        add_outlines(panel, polygons, scene)
    panel.finish(origins(scenes))
    return shown


def list_scenes(source: Scene | Dataset | Sequence[Scene] | str | Path) -> list[Scene]:
    """The scenes that `source` names."""
    if isinstance(source, Scene | str | Path):
        return [as_scene(source)]
    scenes = [as_scene(s) for s in source]
    if not scenes:
        raise InputError("there is no scene to show; the dataset or the selection is empty")
    return scenes


def check_georeference(scenes: Sequence[Scene]) -> None:
    """Raises RasterError for the first scene that has no place on a map."""
    for scene in scenes:
        if not scene.info.on_earth:
            lacks = "no georeference" if scene.info.crs is None else "a site grid for its CRS"
            raise RasterError(
                f"{scene.image.name} has {lacks}, so it has no place on a map; look at it with "
                f"SceneExplorer({scene.name!r}, ...), which needs none"
            )


def origins(scenes: Sequence[Scene]) -> list[str]:
    """What a map must say of where its scenes come from, each once."""
    return [note for note in dict.fromkeys(map(origin_of, scenes)) if note]


def add_scene(panel: Panel, scene: Scene, max_size: int, tiles: bool = False) -> None:
    """Adds the photograph of a scene."""
    served = tiles and scene.part is None
    size = STILL_WIDTH if served else max_size
    pixels, valid, bounds = warp_to_web_mercator(scene.image, scene.info, size, "bilinear", expand=True)
    painted = np.dstack([as_rgb(stretched_as(scene, pixels), valid), np.where(valid, 255, 0).astype(np.uint8)])
    if served:
        panel.tiles(scene.name, scene.image, range(1, min(scene.info.bands, 3) + 1), bounds)
        panel.map.beneath.append((data_url(painted), bounds, 1.0))
    else:
        panel.picture(scene.name, painted, bounds, 1.0, PHOTOGRAPH)


def add_probability(
    panel: Panel, source: Layer, scene: Scene, threshold: float | Mapping[str, float] | None, max_size: int
) -> None:
    """Adds one layer for each class, in its colour: the surer the denser, nothing below the threshold."""
    classes = class_bands(source)
    limits = class_thresholds(source, classes, threshold)
    pixels, valid, bounds = _warped(source, scene, max_size, "nearest")
    values_of_all = to_bytes(pixels, meaning_of_layer(source))
    for number, (class_name, band) in enumerate(classes.items()):
        values = values_of_all[..., band]
        shown = valid & (values >= round(limits[class_name] * 255))
        colour = class_colours(class_name, number)[0]
        painted = paint(shown, colour)
        painted[..., 3] = np.where(shown, values, 0)
        name = "probability" if len(classes) == 1 else f"found {class_name}"
        panel.picture(name, painted, bounds, 0.8, (f"{colour}{round(limits[class_name] * 255):02X}", colour))
    least = " and ".join(dict.fromkeys(f"{v:.2f}" for v in limits.values()))
    panel.notes.append(f"probability from {least} (pale) to 1")


def _add_masks(panel: Panel, source: Layer, scene: Scene, max_size: int) -> None:
    """One layer for each class of a mask, in its colour."""
    classes = class_bands(source)
    for number, (class_name, band) in enumerate(classes.items()):
        name = "mask" if len(classes) == 1 else f"{class_name} mask"
        _add_mask(panel, source, scene, name, class_colours(class_name, number)[0], max_size, band)


def _add_mask(panel: Panel, source: Layer, scene: Scene, name: str, colour: str, max_size: int, band: int = 0) -> None:
    """A mask in one colour."""
    if not isinstance(source, np.ndarray):
        with open_raster(source, fit(read_info(source).shape, LOOKED_AT)) as raster:
            read_foreground(raster)  # refuses what is no mask
    pixels, valid, bounds = _warped(source, scene, max_size, "nearest")
    panel.picture(name, paint(foreground(pixels[..., band]) & valid, colour), bounds, 0.6, (colour,))


def _add_truth(panel: Panel, scene: Scene, truth: bool | str | Path, max_size: int) -> None:
    """The scene's labels, or the ones given: vectors as outlines, masks as pictures."""
    if isinstance(truth, bool):
        for number, class_name in enumerate(scene.vectors or scene.labels):
            _add_labels(panel, scene, class_name, class_colours(class_name, number)[1], max_size)
    elif is_vector(Path(truth)):
        _add_polygons(panel, truth, scene, "truth", COLOURS["truth"])
    else:
        _add_mask(panel, truth, scene, "truth", COLOURS["truth"], max_size)


def _add_labels(panel: Panel, scene: Scene, class_name: str, colour: str, max_size: int) -> None:
    """The labels of a class; of masks, what their values mean, and where they lie, as training takes them."""
    found = (scene.vectors or scene.labels)[class_name]
    files = found if isinstance(found, tuple) else (found,)
    for path in filter(is_vector, files):
        _add_polygons(panel, path, scene, f"true {class_name}", colour)
    if not all(map(is_vector, files)):
        truth = _small_truth(scene, class_name, max_size)
        pixels, valid, bounds = warp_to_web_mercator(truth, scene.info.resized(*truth.shape), max_size, "nearest")
        panel.picture(f"true {class_name}", paint((pixels[..., 0] > 0) & valid, colour), bounds, 0.6, (colour,))


def _small_truth(scene: Scene, class_name: str, max_size: int) -> np.ndarray:
    """uint8 {0, 1} of a class, no side over `max_size` pixels, read a strip of the scene at a time."""
    (height, width), (rows, columns) = scene.info.shape, fit(scene.info.shape, max_size)
    row = ((np.arange(rows) + 0.5) * height / rows).astype(int)
    column = ((np.arange(columns) + 0.5) * width / columns).astype(int)
    parts = []
    for top in range(0, height, STRIP):
        window = (top, 0, min(STRIP, height - top), width)
        kept = row[(row >= top) & (row < top + window[2])] - top
        parts.append(scene.read_labels(class_name, window)[kept][:, column])
    return np.concatenate(parts)


def add_outlines(panel: Panel, polygons: Shapes, scene: Scene) -> None:
    """Adds predicted polygons or centre lines, of one class or of several."""
    if not isinstance(polygons, Mapping):
        _add_polygons(panel, polygons, scene, "polygons", COLOURS["outline"])
        return
    for number, (class_name, source) in enumerate(polygons.items()):
        _add_polygons(panel, source, scene, class_name.removesuffix("s"),
                      COLOURS["outline"] if number == 0 else class_colours(class_name, number)[0])


def _add_polygons(panel: Panel, source: Any, scene: Scene, name: str, colour: str) -> None:
    """Vectors in degrees."""
    table = source if isinstance(source, gpd.GeoDataFrame) else read_features(source, scene.info)
    if table.crs is None:
        raise InputError("the polygons state no CRS, so they have no place on a map; set it with polygons.set_crs(...)")
    if not on_earth(table.crs):
        raise InputError(f"the polygons are in {table.crs.name!r}, a site grid, so they have no place on a map; save "
                         f"them in a CRS of the earth")
    table = table[~(table.geometry.isna() | table.geometry.is_empty)]
    table = table.set_geometry(degrees_of(table.geometry, scene))
    if name != "polygons":
        name += " centre lines" if len(table) and table.geom_type.str.contains("Line").all() else " outlines"
    if len(table):
        panel.vectors(name, table, colour, 0.08)
    else:
        panel.notes.append(f"no {name} found here")


def _lie_around_180(scenes: Sequence[Scene]) -> bool:
    """Whether scenes lie on both sides of 180 degrees, nearer to one another across it than round the earth."""
    centres = [(s.info, s.info.transform @ (s.info.width / 2, s.info.height / 2)) for s in scenes]
    longitudes = np.array([project_points([xy], info.crs, WGS84)[0][0] for info, xy in centres])
    return bool(np.ptp(longitudes) > 180 > 2 * np.ptp(longitudes % 360))


def degrees_of(shapes: gpd.GeoSeries, scene: Scene) -> gpd.GeoSeries:
    """Shapes in degrees as the map counts them: around 180 degrees on beyond it, as the picture of the scene does."""
    return past_180(shapes) if scene.info.crosses_180 else shapes.to_crs(WGS84)


def _warped(source: Layer, scene: Scene, max_size: int, resampling: str) -> tuple[np.ndarray, np.ndarray, Box]:
    """A layer of a scene in the map's projection: an array lies on the scene's grid, a file on its own."""
    grid = scene.info if isinstance(source, np.ndarray) else None
    return warp_to_web_mercator(source, grid, max_size, resampling)
