"""The cities of a dataset on one map: choose a city, then a tile, and look at its prediction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import ipyleaflet
import shapely
from ipywidgets import Button, Dropdown, HBox, Layout, VBox
from shapely.geometry import box

from jointnet.data.scene import Dataset, Scene
from jointnet.show.layers import COLOURS
from jointnet.show.map_panel import Panel
from jointnet.show.maps import (
    add_outlines,
    add_probability,
    add_scene,
    check_georeference,
    degrees_of,
    list_scenes,
    origins,
)
from jointnet.show.pages import fragment
from jointnet.show.scene_map import SceneMap, Words, basemap_switch, with_picture
from jointnet.show.widgets import SceneExplorer


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
        height: height of the map, in CSS units.

    Raises:
        RasterError: if a scene has no georeference.
        ValueError: if no scene is left.
    """
    scenes = list_scenes(dataset if split is None else dataset.select(split=split))
    check_georeference(scenes)
    return CityMap(scenes, None if predictions is None else Path(predictions), basemap, max_size, height)


class CityMap(VBox):
    """Cities as names on a map, their tiles as outlines; lists to choose one, and below it the tile's explorer."""

    children: Any  # a trait of the box

    def __init__(
        self, scenes: list[Scene], predictions: Path | None, basemap: str | None, max_size: int, height: str
    ) -> None:
        self._scenes = {scene.name: scene for scene in scenes}
        self._predictions, self._max_size = predictions, max_size
        self._panel: Panel | None = None
        self.map = SceneMap(basemap, height)
        self.map.show_land()
        self.outlines = _tile_outlines(scenes)
        self._done = {s.name for s in scenes if self.files(s)}
        for known, style in ((True, {"weight": 2, "fillOpacity": 0.15}),
                             (False, {"weight": 1.5, "fillOpacity": 0.04, "dashArray": "5 4"})):
            self._add_outlines(known, style)
        cities = sorted({s.city for s in scenes} - {""})  # images of one's own may have none
        self._cities = set(cities)
        options = [("all cities", ""), *((c, c) for c in cities)]
        self.city = Dropdown(options=options, description="city", **_narrow(210, 32))
        self.tile = Dropdown(description="tile", **_narrow(210, 28))
        self.swipe = Button(
            description="open in SceneExplorer", disabled=True, layout=Layout(width="170px"),
            tooltip="opens the tile below the map, where imagery is swiped against prediction")
        self.online = basemap_switch(self.map)
        self.message = Words()
        self._names: list = []
        self.city.observe(self._city_chosen, "value")
        self.tile.observe(self._tile_chosen, "value")
        self.swipe.on_click(self._swipe)
        bar = HBox([self.city, self.tile, self.swipe, self.online])
        bar.layout.flex_flow, bar.layout.align_items = "row wrap", "center"
        super().__init__([bar, self.message, self.map])
        self._city_chosen({"new": ""})

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and a still of its map."""
        return with_picture(super()._repr_mimebundle_(**options), self.map)

    def files(self, scene: Scene) -> dict[str, Any]:
        """What is predicted for a scene: "probability", and "polygons" of each class, where the files exist."""
        if self._predictions is None:
            return {}
        for stem in dict.fromkeys((scene.name, scene.image.stem)):
            raster = self._predictions / f"{stem}_probability.tif"
            if raster.exists():
                found = {raster.name.removeprefix(f"{stem}_").removesuffix(".geojson"): raster
                         for raster in sorted(self._predictions.glob(f"{stem}_*.geojson"))}
                return {"probability": raster} | ({"polygons": found} if found else {})
        return {}

    def _add_outlines(self, known: bool, style: dict) -> None:
        """The outlines of the tiles that are predicted, or of the others."""
        table = self.outlines[[(name in self._done) == known for name in self.outlines["name"]]]
        if len(table):
            layer = ipyleaflet.GeoJSON(
                data=json.loads(table.to_json()), name="tiles", hover_style={"weight": 4},
                style={"color": COLOURS["FN"], **style})
            layer.on_click(self._clicked)
            self.map.add(layer)

    def _look(self, outlines: gpd.GeoDataFrame) -> None:
        west, south, east, north = outlines.total_bounds
        self.map.look_at((south, west, north, east))

    def _clicked(self, feature: Any = None, **_event: Any) -> None:
        self.tile.value = feature["properties"]["name"]

    def _city_chosen(self, change: Any) -> None:
        kept = self.outlines[[change["new"] in ("", self._scenes[n].city) for n in self.outlines["name"]]]
        self.tile.options = [("choose a tile", ""), *((n, n) for n in kept["name"])]
        self.tile.value = ""
        self._clear()
        self._name(kept, change["new"] == "")
        self._look(kept)
        self._say_state(list(kept["name"]), "a city, then a tile" if change["new"] == "" else "a tile")
        if change["new"] and len(kept) == 1:  # there is nothing left to choose
            self.tile.value = kept["name"].iloc[0]

    def _name(self, outlines: gpd.GeoDataFrame, by_city: bool) -> None:
        """Writes the name of each city, or of each tile, on the map; a click on it chooses it."""
        for marker in self._names:
            self.map.remove(marker)
        labels = [self._scenes[n].city or n if by_city else n for n in outlines["name"]]
        groups = outlines.assign(label=labels)
        places = {label: shapely.box(*rows.total_bounds).centroid for label, rows in groups.groupby("label")}
        self._names = [
            _label(label, point, _crowded(point, places.values()) if by_city else "middle")
            for label, point in places.items()]
        for marker in self._names:
            def chosen(label: Any = marker.title, **_event: Any) -> None:
                (self.city if label in self._cities else self.tile).value = label

            marker.on_click(chosen)
            self.map.add(marker)

    def _say_state(self, names: Sequence[str], choose: str) -> None:
        """How many tiles are predicted, in words; what to run where none is."""
        done = [n for n in names if n in self._done]
        tiles = f"{len(names)} tile{'s' * (len(names) != 1)}"
        if done:
            self.message.say("{}, {} predicted (solid outlines). Choose {}, here or on the map.",
                             tiles, len(done), choose)
        else:
            self._say_what_to_run(f"{tiles}, none predicted yet.", self._scenes[names[0]])

    def _say_what_to_run(self, state: str, scene: Scene) -> None:
        """The command that predicts a scene, behind what is to be said first."""
        folder = self._predictions or "runs/predictions"
        weights = "sample-buildings" if scene.drawn else "buildings-small"
        run = f"python -m jointnet predict {scene.image} --weights {weights} --out {folder}"
        call = f"show_cities(dataset, {str(folder)!r})"
        self.message.say("{} Run <code>{}</code>, then call <code>{}</code>.", state, run, call)

    def _clear(self) -> None:
        """Takes the tile that was open off the map."""
        if self._panel is not None:
            self._panel.remove()
        self._panel = None
        self.children = self.children[:3]

    def _tile_chosen(self, change: Any) -> None:
        self._clear()
        self.swipe.disabled = not change["new"]
        self.message.say("")
        if not change["new"]:
            return
        scene = self._scenes[change["new"]]
        for marker in self._names:
            self.map.remove(marker)
        self._names = []
        try:
            self._open(scene)
        except (OSError, ValueError) as error:  # in a callback nobody would see it
            self.message.complain(error)

    def _open(self, scene: Scene) -> None:
        """Lays a tile and its prediction on the map."""
        files = self.files(scene)
        panel = self._panel = Panel(self.map)
        add_scene(panel, scene, self._max_size)
        if "probability" in files:
            add_probability(panel, files["probability"], scene, None, self._max_size)
        if "polygons" in files:
            add_outlines(panel, files["polygons"], scene)
        panel.finish(origins([scene]), basemap=False)
        if not files:
            self._say_what_to_run(f"{scene.name} is not predicted yet.", scene)

    def _swipe(self, _button: Any) -> None:
        """Puts the tile's explorer below the map."""
        scene = self._scenes[self.tile.value]
        files = self.files(scene)
        explorer = SceneExplorer(scene, files.get("probability"), polygons=files.get("polygons"))
        many = "classes" in explorer.about["layers"]
        explorer.arrives = True
        explorer.layer, explorer.swipe = "image", ("classes" if many else "prediction") if files else "off"
        self.children = [*self.children[:3], explorer]


def _narrow(width: int, label: int) -> dict:
    """Layout of a drop-down whose label takes `label` pixels of `width`."""
    return {"layout": Layout(width=f"{width}px"), "style": {"description_width": f"{label}px"}}


def _label(text: str, point: Any, side: str) -> ipyleaflet.Marker:
    """A name on the map: on a dot, to one side of it, or alone in the middle of what it names."""
    shift = {"left": "calc(-100% - 9px)", "right": "9px", "middle": "-50%"}[side]
    dot = "" if side == "middle" else fragment(
        '<span style="position:absolute;left:-6px;top:-6px;width:12px;height:12px;border-radius:6px;'
        'box-sizing:border-box;border:2px solid #ffffff;background:{}"></span>', COLOURS["FN"])
    name = fragment(
        '<span style="position:absolute;transform:translate({},-50%);white-space:nowrap;color:#1f1f1f;'
        'font:13px/1.2 system-ui,sans-serif;background:rgba(255,255,255,.85);border-radius:3px;padding:1px 5px">'
        '{}</span>', shift, text)
    icon = ipyleaflet.DivIcon(html=dot + name, icon_size=[0, 0], icon_anchor=[0, 0], bg_pos=[0, 0])
    marker = ipyleaflet.Marker(location=(point.y, point.x), icon=icon, draggable=False, title=text, name=text)
    marker.side = side
    return marker


def _crowded(point: Any, others: Iterable) -> str:
    """The side for a name: left where another place lies close by in the east, where its name would go."""
    near = any(0 < other.x - point.x < 25 and abs(other.y - point.y) < 6 for other in others)
    return "left" if near else "right"


def _tile_outlines(scenes: Sequence[Scene]) -> gpd.GeoDataFrame:
    """The outline of each scene in degrees, with its name."""
    rows = [degrees_of(gpd.GeoSeries([box(*s.info.bounds)], crs=s.info.crs), s).iloc[0] for s in scenes]
    return gpd.GeoDataFrame({"name": [s.name for s in scenes]}, geometry=rows, crs="EPSG:4326")
