"""The list of a map's layers: their switches, opacity sliders and legend, and how many shapes are drawn at once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import ipyleaflet
import numpy as np
import shapely
from ipywidgets import Button, Checkbox, FloatSlider, HBox, Layout, VBox

from jointnet.show.layers import Box, data_url
from jointnet.show.scene_map import FINEST_ZOOM, MAP_WIDTH, PANEL_WIDTH, SceneMap, Words, basemap_switch, zoom_to
from jointnet.show.tile_server import tile_prefix

PHOTOGRAPH = ("#5B7F4B", "#A89A86")  # of its legend
MOST_POLYGONS = 3_000  # on the map at once; of more, the largest in view are drawn, and the map says so


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
