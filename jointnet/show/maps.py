"""Scenes and predictions on a leafmap map; nothing is fetched from anywhere unless a basemap is asked for.

Every raster is warped to the map's projection first and laid down as one picture inside the notebook, so it shows on a
laptop without a network, on a Hub and under any address; colours and sizes are those of `SceneExplorer`.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from html import escape
from pathlib import Path

import geopandas as gpd
import ipyleaflet
import leafmap
import numpy as np
from ipywidgets import HTML, Button, Checkbox, Dropdown, FloatSlider, HBox, Layout, VBox
from shapely.geometry import box

from jointnet.data.labels import read_features
from jointnet.data.raster import RasterError, read_info, warp_to_web_mercator
from jointnet.data.scene import VECTOR_SUFFIXES, Dataset, Scene
from jointnet.show.layers import (
    COLOURS,
    DRAWN,
    as_bytes,
    as_rgb,
    as_scene,
    data_url,
    display_values,
    paint,
    probability_table,
)
from jointnet.show.widgets import SceneExplorer

BLANK_TILE = (
    "data:image/gif;base64,R0lGODlhAQABAIAAAPLy8v///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="  # one light grey pixel
)
BASEMAPS = {
    "osm": ("https://tile.openstreetmap.org/{z}/{x}/{y}.png", "© OpenStreetMap contributors", 19),
}
FINEST_ZOOM = 24
MAP_WIDTH = 760  # pixels: what a notebook beside an open file list leaves a map
MOST_POLYGONS = 5_000  # drawn as they are; more are simplified, and the map says so


def show_map(
    source: Scene | Dataset | Sequence[Scene] | str | Path,
    probability=None,
    mask=None,
    polygons=None,
    truth: bool | str | Path = True,
    basemap: str | None = None,
    threshold: float = 0.6,
    max_size: int = 2048,
    height: str = "600px",
) -> leafmap.Map:
    """A map of a scene with what was predicted for it, or of several scenes, as layers with opacity.

    Args:
        source: scene, image file, dataset, or list of scenes (a city: `dataset.select("austin")`).
        probability: raster file, or array on the scene's grid, in [0, 1] or uint8 with 255 for 1.
        mask: raster file, or array on the scene's grid; 0 is background.
        polygons: vector file or GeoDataFrame, in any CRS.
        truth: show the scene's labels where it has some; or a vector or mask file of them.
        basemap: None for a plain background, "osm" for OpenStreetMap, or the address of a tile server with {z}, {x}
            and {y}. Only a basemap makes the browser fetch anything.
        threshold: probabilities below it are transparent.
        max_size: longest side of a picture in pixels; a larger scene is shrunk for the map.
        height: of the map, in CSS units.

    Raises:
        RasterError: if a scene has no georeference.
        ValueError: if layers are given for several scenes, or the basemap is unknown.
    """
    scenes = _scenes(source)
    _check_georeference(scenes)
    if len(scenes) > 1 and any(layer is not None for layer in (probability, mask, polygons)):
        raise ValueError(f"probability, mask and polygons belong to one scene, not to {len(scenes)}: pick one")
    shown = _new_map(basemap, height)
    panel = _Panel(shown)
    for scene in scenes:
        _add_scene(panel, scene, max_size if len(scenes) == 1 else max(256, max_size // len(scenes)))
    scene = scenes[0]
    if len(scenes) == 1 and truth is not False:
        _add_truth(panel, scene, truth, max_size)
    if probability is not None:
        _add_probability(panel, probability, scene, threshold, max_size)
    if mask is not None:
        _add_mask(panel, mask, scene, "mask", COLOURS["prediction"], max_size)
    if polygons is not None:
        _add_polygons(panel, polygons, scene, "polygons", COLOURS["outline"])
    panel.finish([DRAWN] if any(s.drawn for s in scenes) else [])
    return shown


def show_cities(
    dataset: Dataset,
    predictions: str | Path | None = None,
    split: str | None = "test",
    basemap: str | None = None,
    max_size: int = 2048,
    height: str = "600px",
) -> CityMap:
    """The cities of a dataset on one map: choose a city, then a tile, and look at its prediction.

    Args:
        dataset: scenes with a georeference.
        predictions: folder that `predict` wrote into.
        split: only the scenes of this split; None for all.
        basemap: as in `show_map`.
        max_size: longest side of a picture in pixels.
        height: of the map, in CSS units.

    Raises:
        RasterError: if a scene has no georeference.
        ValueError: if no scene is left.
    """
    scenes = _scenes(dataset if split is None else dataset.select(split=split))
    _check_georeference(scenes)
    return CityMap(scenes, None if predictions is None else Path(predictions), basemap, max_size, height)


class CityMap(VBox):
    """Tiles as outlines on a map, lists to choose a city and a tile, and below it the tile's explorer when wanted."""

    def __init__(self, scenes: list[Scene], predictions: Path | None, basemap: str | None, max_size: int, height: str):
        self._scenes = {scene.name: scene for scene in scenes}
        self._predictions, self._max_size, self._panel = predictions, max_size, None
        self.map = _new_map(basemap, height)
        self.outlines = _tile_outlines(scenes)
        layer = ipyleaflet.GeoJSON(
            data=json.loads(self.outlines.to_json()), name="tiles", hover_style={"weight": 4},
            style={"color": COLOURS["FN"], "weight": 2, "fillOpacity": 0.08})
        layer.on_click(self._clicked)
        self.map.add(layer)
        cities = sorted({s.city for s in scenes})
        self.city = Dropdown(options=[("all cities", ""), *((c, c) for c in cities)], description="city")
        self.tile = Dropdown(options=[("choose a tile", ""), *((n, n) for n in self._scenes)], description="tile")
        self.swipe = Button(description="swipe it in SceneExplorer", disabled=True, layout=Layout(width="200px"))
        self.message = HTML()
        self.city.observe(self._city_chosen, "value")
        self.tile.observe(self._tile_chosen, "value")
        self.swipe.on_click(self._swipe)
        super().__init__([HBox([self.city, self.tile, self.swipe]), self.message, self.map])
        self._zoom(self.outlines)

    def files(self, scene: Scene) -> dict[str, Path]:
        """What is predicted for a scene: "probability" and "polygons", where the files exist."""
        if self._predictions is None:
            return {}
        stem = self._predictions / scene.image.stem
        names = {"probability": f"{stem}_probability.tif", "polygons": f"{stem}_buildings.geojson"}
        return {kind: Path(name) for kind, name in names.items() if Path(name).exists()}

    def _zoom(self, outlines: gpd.GeoDataFrame) -> None:
        west, south, east, north = outlines.total_bounds
        zoom_to(self.map, (south, west, north, east))

    def _clicked(self, feature=None, **_event) -> None:
        self.tile.value = feature["properties"]["name"]

    def _city_chosen(self, change) -> None:
        kept = self.outlines[[change["new"] in ("", self._scenes[n].city) for n in self.outlines["name"]]]
        self.tile.options = [("choose a tile", ""), *((n, n) for n in kept["name"])]
        self._zoom(kept)

    def _tile_chosen(self, change) -> None:
        if self._panel is not None:
            self._panel.remove()
        self._panel, self.children = None, self.children[:3]
        self.swipe.disabled = not change["new"]
        self.message.value = ""
        if not change["new"]:
            return
        scene = self._scenes[change["new"]]
        try:
            self._open(scene)
        except (OSError, ValueError) as error:  # in a callback nobody would see it
            self.message.value = f'<span style="color:#B33C00">{escape(str(error))}</span>'

    def _open(self, scene: Scene) -> None:
        """Lays a tile and its prediction on the map."""
        files = self.files(scene)
        self._panel = _Panel(self.map)
        _add_scene(self._panel, scene, self._max_size)
        if "probability" in files:
            _add_probability(self._panel, files["probability"], scene, 0.5, self._max_size)
        if "polygons" in files:
            _add_polygons(self._panel, files["polygons"], scene, "polygons", COLOURS["outline"])
        self._panel.finish([DRAWN] if scene.drawn else [])
        if not files:
            folder = self._predictions or "runs/predictions"
            self.message.value = (
                f"{escape(scene.name)} is not predicted yet. Run <code>python -m jointnet predict "
                f"{escape(str(scene.image))} --weights sample-buildings --out {escape(str(folder))}</code>, then call "
                f"<code>show_cities(dataset, {escape(repr(str(folder)))})</code>."
            )

    def _swipe(self, _button) -> None:
        """Puts the tile's explorer below the map."""
        scene = self._scenes[self.tile.value]
        files = self.files(scene)
        explorer = SceneExplorer(scene, files.get("probability"), polygons=files.get("polygons"))
        explorer.layer, explorer.swipe = "image", "prediction" if "probability" in files else "off"
        self.children = [*self.children[:3], explorer]


def zoom_to(shown: leafmap.Map, bounds: tuple[float, float, float, float]) -> None:
    """Moves a map so that (south, west, north, east) in degrees fills it.

    Worked out here for a map of usual width: leaflet's own fit asks the browser and the kernel in turn, and leaves the
    map at the whole world where either is slow.
    """
    south, west, north, east = map(float, bounds)
    bottom, top = (math.asinh(math.tan(math.radians(y))) / (2 * math.pi) for y in (south, north))
    across, down = max((east - west) / 360, 1e-9), max(top - bottom, 1e-9)  # shares of the world
    fits = math.log2(min(MAP_WIDTH / across, _pixels(shown.layout.height) * 0.94 / down) / 256)
    middle = math.degrees(math.atan(math.sinh(math.pi * (top + bottom))))
    shown.center, shown.zoom = (middle, (west + east) / 2), min(math.floor(fits * 4) / 4, FINEST_ZOOM)


def _pixels(height: str) -> float:
    """The number in "600px"; 400 for other units."""
    return float(height[:-2]) if height.endswith("px") else 400.0


def _scenes(source) -> list[Scene]:
    """The scenes that `source` names."""
    if isinstance(source, Scene | str | Path):
        return [as_scene(source)]
    scenes = [as_scene(s) for s in source]
    if not scenes:
        raise ValueError("there is no scene to show; the dataset or the selection is empty")
    return scenes


def _check_georeference(scenes: Sequence[Scene]) -> None:
    """Raises RasterError for the first scene that has no place on a map."""
    for scene in scenes:
        if scene.info.crs is None:
            raise RasterError(
                f"{scene.image.name} has no georeference, so it has no place on a map; look at it with "
                f"SceneExplorer({scene.name!r}, ...), which needs none"
            )


def _tile_outlines(scenes: Sequence[Scene]) -> gpd.GeoDataFrame:
    """The outline of each scene in degrees, with its name."""
    rows = [gpd.GeoSeries([box(*s.info.bounds)], crs=s.info.crs).to_crs("EPSG:4326").iloc[0] for s in scenes]
    return gpd.GeoDataFrame({"name": [s.name for s in scenes]}, geometry=rows, crs="EPSG:4326")


def _new_map(basemap: str | None, height: str) -> leafmap.Map:
    """A leafmap map with a plain background, no toolbar that needs a network, a layer control and a scale."""
    blank = ipyleaflet.TileLayer(url=BLANK_TILE, name="no basemap", base=True, max_zoom=FINEST_ZOOM, attribution="")
    layers = [blank]
    if basemap is not None:
        url, credit, finest = _basemap(basemap)
        layers.append(ipyleaflet.TileLayer(
            url=url, name=basemap, base=True, max_zoom=FINEST_ZOOM, max_native_zoom=finest, attribution=credit))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # leafmap hands its own arguments on to traitlets
        shown = leafmap.Map(
            layers=layers, draw_control=False, measure_control=False, toolbar_control=False, search_control=False,
            attribution_control=basemap is not None, scale_control=True, fullscreen_control=True,
            layers_control=False, max_zoom=FINEST_ZOOM, zoom_snap=0.25,
        )
    blank.name = "no basemap"  # leafmap calls the first layer of any map OpenStreetMap
    shown.layout.height = height
    return shown


def _basemap(name: str) -> tuple[str, str, int]:
    """(address of the tiles, credit, finest zoom that is served)."""
    if name.lower() in BASEMAPS:
        return BASEMAPS[name.lower()]
    if all(part in name for part in ("{x}", "{y}", "{z}")):
        return name, "", 19
    raise ValueError(f"basemap {name!r} is unknown; choose osm, or give an address with {{z}}, {{x}} and {{y}}")


class _Panel:
    """Collects a map's layers, and draws their opacity sliders and the legend."""

    def __init__(self, shown: leafmap.Map):
        self.map = shown
        self.rows: list = []
        self.layers: list = []
        self.control = None
        self.notes: list[str] = []
        self.boxes: list[tuple[float, float, float, float]] = []

    def picture(self, name: str, pixels: np.ndarray, bounds, opacity: float, swatch: str, form: str = "png") -> None:
        """Adds an image overlay; `swatch` is the CSS background of its legend."""
        south, west, north, east = bounds
        layer = ipyleaflet.ImageOverlay(
            url=data_url(pixels, form), bounds=((south, west), (north, east)), opacity=opacity, name=name)
        self.map.add(layer)
        self.layers.append(layer)
        self.boxes.append(bounds)
        self._row(layer, name, opacity, swatch, "opacity")

    def vectors(self, name: str, table: gpd.GeoDataFrame, colour: str, filled: float) -> None:
        """Adds polygons or lines, in degrees."""
        style = {"color": colour, "weight": 2, "opacity": 1.0, "fillColor": colour, "fillOpacity": filled}
        layer = ipyleaflet.GeoJSON(data=json.loads(table[["geometry"]].to_json()), style=style, name=name)
        self.map.add(layer)
        self.layers.append(layer)
        self._row(layer, name, 1.0, f"{colour}44; border: 2px solid {colour}", "style")

    def _row(self, layer, name: str, opacity: float, swatch: str, target: str) -> None:
        """A switch and an opacity slider for one layer."""
        switch = Checkbox(value=True, indent=False, description=name, layout=Layout(width="124px", margin="0"))
        slider = FloatSlider(
            value=opacity, min=0, max=1, step=0.05, readout=False, layout=Layout(width="96px", margin="0"),
            tooltip=f"opacity of {name}", continuous_update=True,
        )
        shape = "box-sizing:border-box;width:14px;height:14px;margin:7px 6px 0 0"
        box = HTML(f'<div style="{shape};background:{swatch}"></div>')

        def change(_=None) -> None:
            value = slider.value if switch.value else 0
            if target == "opacity":
                layer.opacity = value
            else:
                layer.style = {**layer.style, "opacity": value, "fillOpacity": value * 0.2}

        switch.observe(change, "value")
        slider.observe(change, "value")
        self.rows.append(HBox([box, switch, slider], layout=Layout(margin="0", overflow="hidden")))

    def finish(self, notes: Sequence[str]) -> None:
        """Puts the panel on the map and zooms to what it shows."""
        text = "".join(f'<div style="line-height:1.3;font-size:11px">{note}</div>' for note in (*self.notes, *notes))
        body = [*self.rows, *([HTML(text)] if text else [])]
        self.control = ipyleaflet.WidgetControl(
            widget=VBox(body, layout=Layout(padding="4px 8px", overflow="hidden")), position="topright",
            transparent_bg=False)
        self.map.add(self.control)
        corners = np.array(self.boxes)
        zoom_to(self.map, (*corners[:, :2].min(0), *corners[:, 2:].max(0)))


    def remove(self) -> None:
        """Takes everything off the map again."""
        for layer in self.layers:
            self.map.remove(layer)
        if self.control is not None:
            self.map.remove(self.control)


def _add_scene(panel: _Panel, scene: Scene, max_size: int) -> None:
    """The photograph."""
    pixels, valid, bounds = warp_to_web_mercator(scene.image, scene.info, max_size, "bilinear")
    painted = np.dstack([as_rgb(pixels), np.where(valid, 255, 0).astype(np.uint8)])
    panel.picture(scene.name, painted, bounds, 1.0, "linear-gradient(135deg,#5B7F4B 50%,#A89A86 50%)")


def _add_probability(panel: _Panel, source, scene: Scene, threshold: float, max_size: int) -> None:
    """Probabilities by colour, transparent below the threshold."""
    pixels, valid, bounds = _warped(source, scene, max_size, "nearest")
    values = as_bytes(pixels if isinstance(source, np.ndarray) else display_values(pixels, read_info(source).tags))
    shown = valid & (values >= round(threshold * 255))
    painted = np.dstack([probability_table()[values], np.where(shown, 255, 0).astype(np.uint8)])
    colours = ",".join(f"rgb({r},{g},{b})" for r, g, b in probability_table()[:: 51])
    panel.picture("probability", painted, bounds, 0.7, f"linear-gradient(90deg,{colours})")


def _add_mask(panel: _Panel, source, scene: Scene, name: str, colour: str, max_size: int) -> None:
    """A mask in one colour."""
    pixels, valid, bounds = _warped(source, scene, max_size, "nearest")
    panel.picture(name, paint((pixels[..., 0] > 0) & valid, colour), bounds, 0.6, colour)


def _add_truth(panel: _Panel, scene: Scene, truth, max_size: int) -> None:
    """The scene's labels, or the ones given: vectors as outlines, masks as pictures."""
    sources = {"truth": truth} if truth is not True else (scene.vectors or scene.labels)
    for name, paths in sources.items():
        for path in paths if isinstance(paths, tuple) else (paths,):
            label = name if truth is not True else f"true {name}"
            if Path(path).suffix.lower() in VECTOR_SUFFIXES:
                _add_polygons(panel, path, scene, label, COLOURS["truth"])
            else:
                _add_mask(panel, path, scene, label, COLOURS["truth"], max_size)


def _add_polygons(panel: _Panel, source, scene: Scene, name: str, colour: str) -> None:
    """Vectors in degrees; a large set is simplified to half a metre first."""
    table = source if isinstance(source, gpd.GeoDataFrame) else read_features(source, scene.info)
    if table.crs is None:
        raise ValueError("the polygons state no CRS, so they have no place on a map; set it with polygons.set_crs(...)")
    if len(table) > MOST_POLYGONS:
        metres = table.to_crs(table.estimate_utm_crs())
        table = metres.set_geometry(metres.simplify(0.5))
        panel.notes.append(f"{len(table):,} {name}: outlines simplified to 0.5 m for the map")
    table = table.to_crs("EPSG:4326")
    if len(table):
        panel.vectors(name, table, colour, 0.2)
    else:
        panel.notes.append(f"no {name} found here")


def _warped(source, scene: Scene, max_size: int, resampling: str):
    """A layer of a scene in the map's projection: an array lies on the scene's grid, a file on its own."""
    grid = scene.info if isinstance(source, np.ndarray) else None
    return warp_to_web_mercator(source, grid, max_size, resampling)
