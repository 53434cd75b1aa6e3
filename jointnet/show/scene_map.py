"""The map that everything is shown on: leafmap's, on the theme's ground, which leaves a still where it cannot live."""

from __future__ import annotations

import base64
import json
import math
import warnings
from typing import TYPE_CHECKING, Any

import ipyleaflet
import leafmap
from ipywidgets import HTML, Checkbox, Layout

from jointnet.errors import InputError
from jointnet.show.pages import fragment, read_asset
from jointnet.show.stills import Still, draw_still
from jointnet.show.widgets.backdrop import Backdrop

if TYPE_CHECKING:
    from jointnet.show.map_panel import Panel

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
