"""Any place on a map: draw a box, read what it would take, predict it, and see the outlines where they lie."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipyleaflet
import numpy as np
from ipywidgets import Button, Dropdown, FloatProgress, FloatText, HBox, Layout, Text, VBox

from jointnet.data.places import MOST_TILES, PlacePlan, check_size, open_place, plan_place
from jointnet.data.raster import open_raster
from jointnet.data.services import Service
from jointnet.data.vectors import read_features
from jointnet.data.web_mercator import warp_to_web_mercator
from jointnet.errors import InputError
from jointnet.network.card import Card, card_path, find_weights, published_weights
from jointnet.predict.rasters import class_bands, class_thresholds, to_bytes
from jointnet.show.layers import class_colours, paint
from jointnet.show.map_panel import Panel
from jointnet.show.maps import add_outlines
from jointnet.show.pages import fragment
from jointnet.show.scene_map import FINEST_ZOOM, SceneMap, Words, basemap_switch, with_picture
from jointnet.show.widgets import SceneExplorer
from jointnet.show.widgets.cut import Cut

SECONDS = {"tile": 0.05, "megapixel": 12.0}  # a guess for two cores and a common line, until a first run has told
PICTURE = 2048  # longest side of a probability on the map, in pixels


class PlaceExplorer(VBox):
    """A map to draw a box on; public imagery of it is predicted, and the outlines appear where they lie.

    Nothing is fetched before a place is chosen. Then its imagery is the map's background, and a sentence says how
    large it is, how many tiles it takes and about how long; Predict fetches and predicts, and Stop keeps what is done.

    Args:
        where: a first place, as in `open_place`; without it the map shows the world.
        source: who provides the imagery, as in `open_place`.
        weights: name of published weights, or a weights file.
        gsd: metres per pixel.
        out: folder of the predictions.
        most_tiles: larger places are refused.
        height: height of the map, in CSS units.
    """

    children: Any  # a trait of the box

    def __init__(self, where: Sequence[float] | None = None, source: str | None = None,
                 weights: str | Path = "buildings-small", gsd: float = 0.3, out: str | Path = "runs/places",
                 most_tiles: int = MOST_TILES, height: str = "600px") -> None:
        self.source, self.gsd, self.out, self.most_tiles = source, gsd, Path(out), most_tiles
        self.plan: Any = None  # a PlacePlan, once a box is drawn
        self.scene: Any = None  # a Scene and a ScenePrediction, once the place is predicted
        self.result: Any = None
        self._panel: Any = None
        self._background = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._seconds = dict(SECONDS)
        self.map = SceneMap(None, height)
        self.map.show_land()
        self.map.add(ipyleaflet.AttributionControl(position="bottomright", prefix=""))
        self._make_controls(weights)
        self._make_draw_control()
        bars = [HBox(row, layout=Layout(flex_flow="row wrap", align_items="center"))
                for row in ((self.where, self.width, self.weights, basemap_switch(self.map)),
                            (self.predict, self.stop, self.progress, self.explore, self.download, self.cut))]
        super().__init__([bars[0], self.message, bars[1], self.map])
        if where is not None:
            self.choose(where)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and a still of its map."""
        return with_picture(super()._repr_mimebundle_(**options), self.map)

    def _make_controls(self, weights: str | Path) -> None:
        names = list(dict.fromkeys([str(weights), *published_weights()]))
        self.where = Text(placeholder="lon, lat  or  west, south, east, north", description="place",
                          continuous_update=False, layout=Layout(width="380px"))
        self.width = FloatText(600, description="width (m)", layout=Layout(width="160px"))
        self.weights = Dropdown(options=[(Path(name).name, name) for name in names], description="find with",
                                layout=Layout(width="260px"))
        self.predict = _button("Predict", "fetches the imagery and predicts it", "primary")
        self.stop = _button("Stop", "stops; Predict then goes on where it was", "warning")
        self.explore = _button("open in SceneExplorer", "opens the place below the map", width=170)
        self.download = _button("Download", "a zip of the rasters and the outlines")
        self.progress = FloatProgress(0, min=0, max=1, layout=Layout(width="180px", display="none"))
        self.cut = Cut()
        self.message = Words("Draw a box with the square at the left of the map, or type a place.")
        self.where.observe(lambda change: self._typed(), "value")
        self.width.observe(lambda change: self._typed(), "value")
        self.weights.observe(lambda change: self._say_plan(), "value")
        self.predict.on_click(lambda _: self.run())
        self.stop.on_click(lambda _: self._stop.set())
        self.explore.on_click(lambda _: self._open_explorer())
        self.download.on_click(lambda _: self.cut.save(f"{self.scene.name}.zip", self.to_zip()))

    def _make_draw_control(self) -> None:
        """leaflet's own drawing tool, for boxes alone."""
        style = {"shapeOptions": {"color": "#0072B2", "weight": 2, "fillOpacity": 0.05}}
        others: dict[str, dict] = dict.fromkeys(("polyline", "polygon", "circle", "circlemarker", "marker"), {})
        self.draw = ipyleaflet.DrawControl(rectangle=style, **others)
        self.draw.on_draw(self._drawn)
        self.map.add(self.draw)

    def _drawn(self, _control: Any, action: str, geo_json: dict) -> None:
        if action == "deleted":
            return
        corners = np.array(geo_json["geometry"]["coordinates"][0])
        self._guarded(lambda: self.choose((*corners.min(0).tolist(), *corners.max(0).tolist()), look=False))

    def _typed(self) -> None:
        if self.where.value.strip():
            self._guarded(lambda: self.choose(_numbers(self.where.value), self.width.value))

    def _guarded(self, call: Any) -> None:
        """Runs a callback; what goes wrong is said in the widget, where else nobody would see it."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader sees it
            self._fail(error)

    def choose(self, where: Sequence[float], width: float | None = None, look: bool = True) -> None:
        """Takes a place, and says what its prediction would take.

        Args:
            where: (west, south, east, north), or (longitude, latitude) with the width that is set.
            width: metres, of a point.
            look: False leaves the view as it is.

        Raises:
            PlaceError: if it is none, or too large.
        """
        self.predict.disabled = True
        plan = plan_place(where, self.source, self.gsd, (width or self.width.value) if len(where) == 2 else None)
        check_size(plan, self.most_tiles)
        self.plan = plan
        self._show_background(plan.place.service)
        if look:
            west, south, east, north = plan.box
            self.map.look_at((south, west, north, east))
        self._say_plan()
        self.predict.disabled = self._thread is not None

    def _say_plan(self) -> None:
        """What a prediction would take, before anything runs."""
        if self.plan is None:
            return
        place, (width, height) = self.plan.place, self.plan.size
        seconds = self._seconds["tile"] * self.plan.tiles + self._seconds["megapixel"] * self._megapixels()
        self.message.say("{}", (
            f"{width:,.0f} x {height:,.0f} m, {place.width:,} x {place.height:,} px of {self.gsd} m, "
            f"{self.plan.tiles:,} tiles of {place.service.name} (zoom {place.zoom}, {self.plan.pixel:.2f} m); "
            f"about {max(1, round(seconds)):,} s. "
            f"{'; '.join(filter(None, (place.service.credit, place.service.terms)))}"))

    def _megapixels(self) -> float:
        """Millions of pixels that the network will be shown."""
        card = Card.from_json(card_path(find_weights(self.weights.value)).read_text(encoding="utf-8"))
        shown = self.gsd / (card.gsd or self.gsd)
        return self.plan.place.width * self.plan.place.height * shown**2 / 1e6

    def _show_background(self, service: Service) -> None:
        """The service's imagery under the map. One that needs a key stays out: a saved notebook would hold the key."""
        if self._background is not None:
            ipyleaflet.Map.remove(self.map, self._background)
        self._background = None if service.keys else background_of(service)
        if self._background is not None:
            self.map.add(self._background)

    def run(self, wait: bool = False) -> None:
        """Fetches and predicts the chosen place beside the notebook's own work; `wait=True` returns when it is done."""
        if self.plan is None or self._thread is not None:
            return
        self._stop.clear()
        self.predict.disabled, self.stop.disabled = True, False
        self.progress.value, self.progress.layout.display = 0, ""
        self._thread = threading.Thread(target=self._work, args=(self.plan,), daemon=True)
        thread = self._thread
        thread.start()
        if wait:
            thread.join()

    def _work(self, plan: PlacePlan) -> None:
        """The prediction, in a thread of its own."""
        from jointnet.predict.scenes import predict_scene

        try:
            place = plan.place
            scene = open_place(plan.box, self.source, self.gsd, None, place.name, False, self.most_tiles)
            result = predict_scene(self.weights.value, scene, self.out, progress=self._tell, outlines="regular")
            self.scene, self.result = scene, result
            if result.seconds:
                self._seconds["megapixel"] = result.seconds / self._megapixels()
            self._show_result()
        except KeyboardInterrupt:
            self.message.say("Stopped; what is done is kept, and Predict goes on with it.")
        except Exception as error:  # noqa: BLE001 - a thread's error is seen by nobody else
            self._fail(error)
        finally:
            self._thread = None
            self.predict.disabled, self.stop.disabled = False, True
            self.progress.layout.display = "none"

    def _tell(self, done: int, total: int) -> None:
        self.progress.value = done / max(1, total)
        if self._stop.is_set():
            raise KeyboardInterrupt

    def _fail(self, error: Exception) -> None:
        self.message.complain(error)

    def _show_result(self) -> None:
        """Lays probability and outlines on the map, and counts them."""
        if self._panel is not None:
            self._panel.remove()
        self._panel = Panel(self.map)
        self._add_probability()
        raster = self.result.probability
        shapes = {name: path.with_suffix(".geojson") for name, path in self.result.layers.items()}
        add_outlines(self._panel, shapes, self.scene)
        limits = " and ".join(f"{x:.2f}" for x in dict.fromkeys(class_thresholds(raster, class_bands(raster)).values()))
        fixed = f"outlines are those of {limits}: the slider moves the picture alone"
        self._panel.finish([self.scene.credit, fixed], basemap=False)
        self.draw.clear()  # the box has served, and its line would look like an outline
        self.explore.disabled = self.download.disabled = False
        self.message.say("{}", f"{'; '.join(self.counts())}. Written to {self.out}.")

    def _add_probability(self) -> None:
        """One picture a class, whose opacity is the probability: the slider cuts it in the browser."""
        raster = self.result.probability
        classes = class_bands(raster)
        pixels, valid, bounds = warp_to_web_mercator(raster, None, PICTURE, "nearest")
        colours = {}
        for number, (name, band) in enumerate(classes.items()):
            colour, key = class_colours(name, number)[0], f"jn-{id(self)}-{number}"
            painted = paint(np.ones(valid.shape, bool), colour)
            painted[..., 3] = np.where(valid, to_bytes(pixels[..., band]), 0)
            self._panel.picture(f"found {name}", painted, bounds, 0.6, (f"{colour}55", colour), key=key)
            colours[key] = colour
        self.cut.threshold = next(iter(class_thresholds(raster, classes).values()))
        self.cut.colours = colours

    def counts(self) -> list[str]:
        """What was found, in words: shapes of each class, and the share of the ground that each covers."""
        found = []
        with open_raster(self.result.mask) as mask, open_raster(self.result.probability) as probability:
            height, width = mask.info.shape
            for band, (name, path) in enumerate(self.result.layers.items(), 1):
                covered = seen = 0
                for row in range(0, height, 1024):
                    window = (row, 0, min(1024, height - row), width)
                    covered += int((mask.read(window, [band]) > 0).sum())
                    seen += int(probability.read_valid(window).sum())
                shapes = read_features(path, mask.info)
                found.append(f"{len(shapes):,} {name}, {covered / max(1, seen):.1%} of the ground")
        return found

    def to_zip(self) -> bytes:
        """The rasters and vector files of the last prediction, and who provided the imagery, as a zip."""
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
            for path in self.result.paths:
                file.write(path, path.name)
            tags = self.scene.info.tags or {}
            credits = (tags.get(f"JOINTNET_{name}", "") for name in ("CREDIT", "TERMS", "SOURCE"))
            file.writestr("IMAGERY.txt", "\n".join(credits) + "\n")
        return held.getvalue()

    def _open_explorer(self) -> None:
        """Puts the place's explorer below the map, and scrolls to it."""
        def put() -> None:
            shapes = {name: path.with_suffix(".geojson") for name, path in self.result.layers.items()}
            explorer = SceneExplorer(self.scene, self.result.probability, truth=False, polygons=shapes)
            explorer.arrives = True
            self.children = (*self.children[:4], explorer)

        self._guarded(put)


def background_of(service: Service) -> ipyleaflet.Layer | None:
    """The imagery of a service as a layer that the browser fetches; None of a WMTS document."""
    if service.form == "xyz":
        tms = "{-y}" in service.address
        return ipyleaflet.TileLayer(
            url=service.address.replace("{-y}", "{y}"), tms=tms, name=service.name, base=False,
            attribution=fragment("{}", service.credit), max_zoom=FINEST_ZOOM, max_native_zoom=service.finest)
    if service.form == "wms":
        server, _, query = service.address.partition("?")
        layers = next(part.partition("=")[2] for part in query.split("&") if part.lower().startswith("layers="))
        return ipyleaflet.WMSLayer(url=server, layers=layers, format="image/png", transparent=True, name=service.name,
                                   attribution=fragment("{}", service.credit), max_zoom=FINEST_ZOOM)
    return None


def _button(text: str, tooltip: str, style: str = "", width: int = 100) -> Button:
    """A button that cannot be pressed yet."""
    return Button(description=text, tooltip=tooltip, button_style=style, disabled=True,
                  layout=Layout(width=f"{width}px"))


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers between commas or spaces.

    Raises:
        ValueError: if a part is none.
    """
    parts = text.replace(",", " ").split()
    try:
        return tuple(map(float, parts))
    except ValueError as error:
        raise InputError(f"{text!r} is no place; type longitude and latitude, or west, south, east, north, in degrees"
                         ) from error
