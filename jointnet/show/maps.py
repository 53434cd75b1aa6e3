"""Scenes and predictions on a leafmap map; nothing is fetched from anywhere unless a basemap is asked for.

Every raster is warped to the map's projection first and laid down as one picture inside the notebook, so it shows on a
laptop without a network, on a Hub and under any address; colours and sizes are those of `SceneExplorer`. Where widgets
cannot run, as in a notebook that is not trusted, a still of the map is shown.
"""

from __future__ import annotations

import base64
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import ipyleaflet
import leafmap
import numpy as np
import shapely
from ipywidgets import HTML, Button, Checkbox, FloatSlider, HBox, Layout, VBox

from jointnet.data.degrees import WGS84, past_180
from jointnet.data.raster import RasterError, project_points
from jointnet.data.scene import VECTOR_SUFFIXES, Dataset, Scene, as_scene
from jointnet.data.vectors import read_features
from jointnet.data.web_mercator import warp_to_web_mercator
from jointnet.errors import InputError
from jointnet.predict.rasters import class_bands, class_thresholds, to_bytes
from jointnet.show.layers import (
    COLOURS,
    Box,
    Layer,
    Shapes,
    as_rgb,
    class_colours,
    data_url,
    meaning_of_layer,
    origin_of,
    paint,
)
from jointnet.show.pages import fragment, read_asset
from jointnet.show.stills import WIDTH as STILL_WIDTH
from jointnet.show.stills import Still, draw_still
from jointnet.show.tile_server import tile_prefix, why_no_tiles
from jointnet.show.widgets.backdrop import Backdrop

BLANK_TILE = (  # one transparent pixel: the theme's colour is seen through it
    "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
)
BASEMAPS = {
    "osm": ("https://tile.openstreetmap.org/{z}/{x}/{y}.png", "© OpenStreetMap contributors", 19),
}
BASEMAP_NAMES = {"osm": "OpenStreetMap (online)"}
FINEST_ZOOM = 24
LAND = {
    "color": "#B9BDB2", "weight": 1, "opacity": 1, "fillColor": "#E4E6DF", "fillOpacity": 1, "className": "jn-land",
}
FAR = 7  # zoom up to which the outline of land is true to a pixel or so
MAP_WIDTH = 760  # pixels: what a notebook beside an open file list leaves a map
PANEL_WIDTH = 296  # pixels that the list of layers takes of it
PHOTOGRAPH = ("#5B7F4B", "#A89A86")  # of its legend
MOST_POLYGONS = 3_000  # on the map at once; of more, the largest in view are drawn, and the map says so


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


class Words(HTML):
    """Text beside a map, in tags of ours; every value in it is escaped."""

    def __init__(self, html: str = "", *values: object, **options: Any) -> None:
        super().__init__(fragment(html, *values), **options)

    def say(self, html: str, *values: object) -> None:
        """Shows other words, with values in their {}."""
        self.value = fragment(html, *values)

    def complain(self, error: Exception) -> None:
        """Shows what went wrong."""
        self.say('<span style="color:#B33C00">{}</span>', str(error) or type(error).__name__)


class SceneMap(leafmap.Map):
    """A leafmap map on a ground of the theme's colour, with a scale; it leaves a still where widgets cannot run."""

    def __init__(self, basemap: str | None, height: str) -> None:
        blank = ipyleaflet.TileLayer(url=BLANK_TILE, name="no basemap", base=True, max_zoom=FINEST_ZOOM, attribution="")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # leafmap hands its own arguments on to traitlets
            super().__init__(
                layers=[blank], draw_control=False, measure_control=False, toolbar_control=False, search_control=False,
                attribution_control=False, scale_control=False, fullscreen_control=True, layers_control=False,
                max_zoom=FINEST_ZOOM, zoom_snap=0.25,
            )
        blank.name = "no basemap"  # leafmap calls the first layer of any map OpenStreetMap
        self.layout.height = height
        self.add(ipyleaflet.ScaleControl(position="bottomleft", imperial=False, max_width=140))
        self.add(ipyleaflet.WidgetControl(widget=Backdrop(), position="bottomleft", transparent_bg=True))
        self.panels: list[Panel] = []
        self.beneath: list[tuple] = []  # pictures that the still shows in place of tiles
        self.box = (-60.0, -180.0, 75.0, 180.0)  # (south, west, north, east) that the still shows
        self.basemap = _basemap("osm" if basemap is None else basemap)
        self._credit = ipyleaflet.AttributionControl(position="bottomright", prefix="")
        if basemap is not None:
            self.show_basemap(True)

    def show_basemap(self, wanted: bool) -> None:
        """Puts the basemap under the layers, or takes it away."""
        if wanted == (self.basemap in self.layers):
            return
        if wanted:
            self.add(self.basemap)
            self.add(self._credit)
        else:  # leafmap's own `remove` would close them for good
            ipyleaflet.Map.remove(self, self.basemap)
            ipyleaflet.Map.remove(self, self._credit)

    def show_land(self) -> None:
        """Puts the land of the world under everything, for views from afar; its outline is too rough for near ones."""
        land = json.loads(read_asset("land.geojson"))
        layer = ipyleaflet.GeoJSON(data={"type": "FeatureCollection", "features": [land]}, name="land", style=LAND)
        self.add(layer)

        def fade(change: Any) -> None:
            layer.style = LAND if change["new"] <= FAR else {**LAND, "opacity": 0, "fillOpacity": 0}

        self.observe(fade, "zoom")

    def look_at(self, bounds: tuple[float, float, float, float]) -> None:
        """Moves to (south, west, north, east) in degrees, beside the list of layers if there is one."""
        south, west, north, east = map(float, bounds)
        self.box = south, west, north, east
        zoom_to(self, bounds, PANEL_WIDTH if self.panels else 0)

    def preview(self) -> bytes:
        """A PNG of the layers that are switched on, of no basemap."""
        still = Still(pictures=list(self.beneath))
        for layer in self.layers:
            if isinstance(layer, ipyleaflet.ImageOverlay):
                still.pictures.append((layer.url, [x for corner in layer.bounds for x in corner], layer.opacity))
            elif isinstance(layer, ipyleaflet.GeoJSON):
                shapes = [feature["geometry"] for feature in layer.data["features"]]
                still.shapes.append((shapes, layer.style["color"], layer.style.get("opacity", 1)))
            elif isinstance(layer, ipyleaflet.Marker):
                still.places.append((*layer.location, layer.title, layer.side))
        for panel in self.panels:
            still.legend += panel.legend()
            still.notes += panel.small_print()
        return draw_still(still, self.box)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and a still for notebooks that are not trusted or have no kernel."""
        return with_picture(super()._repr_mimebundle_(**options), self)


def with_picture(bundle: Any, shown: SceneMap) -> Any:
    """What a notebook keeps of a widget, with a map's still."""
    if bundle is None:
        return None
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    return data | {"image/png": base64.b64encode(shown.preview()).decode()}, metadata


def basemap_switch(shown: SceneMap) -> Checkbox:
    """A box to tick for the basemap; nothing is fetched before."""
    switch = Checkbox(
        value=shown.basemap in shown.layers, indent=False, description=BASEMAP_NAMES.get(shown.basemap.name, "basemap"),
        tooltip="fetches a map from the internet", layout=Layout(width="190px", margin="0"))
    switch.observe(lambda change: shown.show_basemap(change["new"]), "value")
    return switch


def zoom_to(shown: leafmap.Map, bounds: tuple[float, float, float, float], taken: int = 0) -> None:
    """Moves a map so that (south, west, north, east) in degrees fills it, but for `taken` pixels at its right.

    Worked out here for a map of usual width: leaflet's own fit asks the browser and the kernel in turn, and leaves the
    map at the whole world where either is slow.
    """
    south, west, north, east = map(float, bounds)
    bottom, top = (math.asinh(math.tan(math.radians(y))) / (2 * math.pi) for y in (south, north))
    across, down = max((east - west) / 360, 1e-9), max(top - bottom, 1e-9)  # shares of the world
    fits = math.log2(min((MAP_WIDTH - taken) * 0.94 / across, _pixels(shown.layout.height) * 0.94 / down) / 256)
    zoom = min(math.floor(fits * 4) / 4, FINEST_ZOOM)
    middle = math.degrees(math.atan(math.sinh(math.pi * (top + bottom))))
    aside = taken / 2 * 360 / (256 * 2**zoom)  # degrees
    shown.center, shown.zoom = (middle, (west + east) / 2 + aside), zoom


def _pixels(height: str) -> float:
    """The number in "600px"; 400 for other units."""
    return float(height[:-2]) if height.endswith("px") else 400.0


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


def _basemap(name: str) -> ipyleaflet.TileLayer:
    """The layer of a basemap."""
    if name.lower() in BASEMAPS:
        url, credit, finest = BASEMAPS[name.lower()]
    elif all(part in name for part in ("{x}", "{y}", "{z}")):
        url, credit, finest = name, "", 19
    else:
        raise InputError(f"basemap {name!r} is unknown; choose osm, or give an address with {{z}}, {{x}} and {{y}}")
    return ipyleaflet.TileLayer(
        url=url, name=name, base=False, max_zoom=FINEST_ZOOM, max_native_zoom=finest,
        attribution=fragment("{}", credit))


class Panel:
    """Collects a map's layers, and draws their switches, opacity sliders and legend."""

    def __init__(self, shown: SceneMap) -> None:
        self.map = shown
        self.rows: list = []
        self.layers: list = []
        self.entries: list[tuple] = []  # (name, colours, switch) of each row
        self.control = None
        self.notes: list[str] = []
        self.pointed = ""  # what the shape under the pointer says of itself
        self.boxes: list[tuple[float, float, float, float]] = []
        self.past_180 = False  # whether what lies west of Greenwich is shown beyond 180 degrees
        self.crowds: list[_Crowd] = []
        self.print = Words()
        shown.panels.append(self)

    def picture(
        self, name: str, pixels: np.ndarray, bounds: Box, opacity: float, colours: Sequence[str], form: str = "png",
        key: str = "",
    ) -> None:
        """Adds an image overlay; `colours` are those of its legend, one or a ramp, and `key` is for a `Cut`."""
        bounds = self._turned(bounds)
        south, west, north, east = bounds
        layer = ipyleaflet.ImageOverlay(
            url=data_url(pixels, form) + (f"#{key}" if key else ""), bounds=((south, west), (north, east)),
            opacity=opacity, name=name)
        self.map.add(layer)
        self._row(layer, name, opacity, colours, bounds)

    def tiles(self, name: str, path: Path, bands: Sequence[int], bounds: Box) -> None:
        """Adds a raster that the browser fetches piece by piece, at full resolution."""
        prefix = tile_prefix()
        options = {} if prefix is None else {"prefix": prefix}  # leafmap hands it to localtileserver as a variable
        self.map.add_raster(
            str(path), indexes=list(bands), layer_name=name, zoom_to_layer=False, attribution="", max_zoom=FINEST_ZOOM,
            **options)
        self._row(self.map.layers[-1], name, 1.0, PHOTOGRAPH, bounds)

    def vectors(self, name: str, table: gpd.GeoDataFrame, colour: str, filled: float) -> None:
        """Adds polygons or lines, in degrees; of a crowd, those that fit the view."""
        style = {"color": colour, "weight": 2, "opacity": 1.0, "fillColor": colour, "fillOpacity": filled}
        layer = ipyleaflet.GeoJSON(data={"type": "FeatureCollection", "features": []}, style=style, name=name)
        crowd = _Crowd(layer, table, self.say)
        self.crowds.append(crowd)
        layer.on_hover(self._point)
        self.map.observe(crowd.follow, "bounds")
        crowd.show(None)
        self.map.add(layer)
        west, south, east, north = map(float, table.total_bounds)
        self._row(layer, name, 1.0, (colour,), (south, west, north, east), filled)

    def _point(self, feature: Any = None, **_event: Any) -> None:
        """Says in the small print what the shape under the pointer is."""
        self.pointed = feature["properties"].get("says", "") if feature else ""
        self.say()

    def _turned(self, bounds: Box) -> Box:
        """A box as the map counts longitudes."""
        south, west, north, east = bounds
        return (south, west + 360, north, east + 360) if self.past_180 and west < 0 else bounds

    def _row(
        self, layer: Any, name: str, opacity: float, colours: Sequence[str], bounds: Box, filled: float | None = None
    ) -> None:
        """A switch, an opacity slider and a way to look at the whole of one layer."""
        self.layers.append(layer)
        if filled is None:  # a street or a file of outlines may go on far beyond the image
            self.boxes.append(self._turned(bounds))
        switch = Checkbox(value=True, indent=False, description=name, tooltip=name, layout=_size(138))
        slider = FloatSlider(
            value=opacity, min=0, max=1, step=0.05, readout=False, layout=_size(78), tooltip=f"opacity of {name}",
            continuous_update=True)
        whole = Button(icon="crosshairs", tooltip=f"zoom to {name}", layout=_size(28, 24))
        whole.layout.padding = "0"
        whole.on_click(lambda _: zoom_to(self.map, bounds, PANEL_WIDTH))

        def change(_: Any = None) -> None:
            value = slider.value if switch.value else 0
            if filled is None:
                layer.opacity = value
            else:
                layer.style = {**layer.style, "opacity": value, "fillOpacity": value * filled}

        switch.observe(change, "value")
        slider.observe(change, "value")
        self.entries.append((name, colours, switch))
        row = HBox([_swatch(colours, filled is not None), switch, slider, whole], layout=_size(None, 28))
        row.layout.align_items = "center"
        self.rows.append(row)

    def legend(self) -> list[tuple[str, Sequence[str]]]:
        """(name, colours) of the layers that are switched on."""
        return [(name, colours) for name, colours, switch in self.entries if switch.value]

    def small_print(self) -> list[str]:
        """What is to be known of the layers, as plain text."""
        return [*([self.pointed] if self.pointed else []), *[c.says for c in self.crowds if c.says], *self.notes]

    def say(self) -> None:
        """Writes the small print anew."""
        line = '<div style="line-height:1.35;font-size:11px;max-width:264px;white-space:normal">{}</div>'
        self.print.say(line * len(self.small_print()), *self.small_print())

    def finish(self, notes: Sequence[str], basemap: bool = True) -> None:
        """Puts the panel on the map and zooms to its pictures."""
        self.notes += notes
        self.say()
        online = [basemap_switch(self.map)] if basemap else []
        body = VBox([*self.rows, *online, self.print], layout=_size(PANEL_WIDTH - 8))
        body.layout.padding = "4px 8px"
        self.control = ipyleaflet.WidgetControl(widget=body, position="topright", transparent_bg=False)
        self.map.add(self.control)
        corners = np.array(self.boxes)
        self.map.look_at((*corners[:, :2].min(0), *corners[:, 2:].max(0)))

    def remove(self) -> None:
        """Takes everything off the map again."""
        for crowd in self.crowds:
            self.map.unobserve(crowd.follow, "bounds")
        for layer in self.layers:
            self.map.remove(layer)
        if self.control is not None:
            self.map.remove(self.control)
        self.map.panels.remove(self)


def _size(width: int | None, height: int | None = None) -> Layout:
    """A layout of a width and height in pixels, without margin or scroll bars."""
    sizes = {name: f"{value}px" for name, value in (("width", width), ("height", height)) if value}
    return Layout(margin="0", overflow="hidden", **sizes)


def _swatch(colours: Sequence[str], outlined: bool) -> Words:
    """The colour of a layer: a square of it, a ramp, or an outline."""
    fill = colours[0] if len(colours) == 1 else f"linear-gradient(90deg,{','.join(colours)})"
    fill = f"{fill}33;border:2px solid {fill}" if outlined else fill
    square = "box-sizing:border-box;width:16px;height:14px;border-radius:2px;margin-top:5px"
    return Words('<div style="{};background:{}"></div>', square, fill, layout=_size(22, 24))


class _Crowd:
    """The shapes of one layer: all of a few; of many, the largest in view, simplified to half a pixel of the screen."""

    def __init__(self, layer: ipyleaflet.GeoJSON, table: gpd.GeoDataFrame, tell: Callable[[], object]) -> None:
        self.layer, self.shapes, self.tell = layer, table.geometry.to_numpy(), tell
        columns = table.drop(columns=table.geometry.name)
        self.words = np.array([describe(row) for row in columns.to_dict("records")], object)
        self.many = len(self.shapes) > MOST_POLYGONS
        self.says = ""
        if self.many:
            self.tree = shapely.STRtree(self.shapes)
            self.size = shapely.area(self.shapes) + shapely.length(self.shapes) * 1e-9  # lines have no area

    def follow(self, change: Any) -> None:
        """Shows what lies in the new view."""
        if self.many and change["new"]:
            (south, west), (north, east) = change["new"]
            self.show(shapely.box(west, south, east, north))

    def show(self, view: shapely.Geometry | None) -> None:
        """Puts the shapes of a view (a box in degrees; None for everywhere) on the map."""
        shapes, words = self.shapes, self.words
        if self.many:
            inside = np.arange(len(shapes)) if view is None else self.tree.query(view, predicate="intersects")
            kept = inside[np.argsort(-self.size[inside])[:MOST_POLYGONS]]
            west, _, east, _ = view.bounds if view is not None else shapely.total_bounds(shapes)
            shapes = shapely.simplify(shapes[np.sort(kept)], (east - west) / MAP_WIDTH / 2)
            words = words[np.sort(kept)]
            part = len(kept) < len(inside)
            what = f"the {len(kept):,} largest of {len(inside):,}" if part else f"all {len(kept):,}"
            self.says = (f"{self.layer.name}: {what} in view, {len(self.shapes):,} in all, simplified to half a pixel"
                         f"{'; zoom in for the others' if part else ''}")
        self.layer.data = json.loads(gpd.GeoDataFrame({"says": words}, geometry=shapes).to_json())
        self.tell()


def describe(row: Mapping[Any, Any]) -> str:
    """What a shape says of itself under the pointer: "missed, 120 m², probability 0.91"; of other columns nothing."""
    forms = {"area_m2": "{:.0f} m²", "length_m": "{:.0f} m long", "width_m": "{:.1f} m wide",
             "mean_probability": "probability {:.2f}"}
    numbers = {name: row[name] for name in forms if isinstance(row.get(name), float) and math.isfinite(row[name])}
    kind = [row["kind"]] if isinstance(row.get("kind"), str) else []
    return ", ".join([*kind, *(forms[name].format(value) for name, value in numbers.items())])


def add_scene(panel: Panel, scene: Scene, max_size: int, tiles: bool = False) -> None:
    """Adds the photograph of a scene."""
    served = tiles and scene.part is None
    size = STILL_WIDTH if served else max_size
    pixels, valid, bounds = warp_to_web_mercator(scene.image, scene.info, size, "bilinear", expand=True)
    painted = np.dstack([as_rgb(pixels), np.where(valid, 255, 0).astype(np.uint8)])
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
    pixels, valid, bounds = _warped(source, scene, max_size, "nearest")
    panel.picture(name, paint((pixels[..., band] > 0) & valid, colour), bounds, 0.6, (colour,))


def _add_truth(panel: Panel, scene: Scene, truth: bool | str | Path, max_size: int) -> None:
    """The scene's labels, or the ones given: vectors as outlines, masks as pictures."""
    labels: Mapping[str, Any] = scene.vectors or scene.labels
    sources = labels if truth is True else {"truth": truth}
    for number, (name, paths) in enumerate(sources.items()):
        for path in paths if isinstance(paths, tuple) else (paths,):
            label = name if truth is not True else f"true {name}"
            colour = COLOURS["truth"] if truth is not True else class_colours(name, number)[1]
            if Path(path).suffix.lower() in VECTOR_SUFFIXES:
                _add_polygons(panel, path, scene, label, colour)
            else:
                _add_mask(panel, path, scene, label, colour, max_size)


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
