"""TileBrowser: the tiles of a dataset one by one, by city and name, under their masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import traitlets

from jointnet.data.scene import Scene, shorten
from jointnet.errors import InputError
from jointnet.show.widgets.base import code_of, pack, shows_errors
from jointnet.show.widgets.scene import PARTS, STRIP, SceneExplorer

PAGE_TILES = 12  # at most, in a page without Python: of some 0.3 MB each they come to 4 MB


class TileBrowser(SceneExplorer):
    """A dataset to leaf through: choose a city and a tile, fade its mask, move and zoom as in `SceneExplorer`.

    Only the tile that is shown has been read. A page of its own (`to_html`) holds 12 tiles at most, evenly picked.

    Args:
        scenes: dataset or scenes.
        tile: name of the one to begin with; the first without it.
        class_name: class of the labels.
        max_size: longest side in pixels of what is sent at first; closer looks are fetched at full resolution.
        height: height of the canvas, in CSS pixels.
        bands: 1-based numbers of the bands to show as red, green, blue.

    Raises:
        ValueError: if there is no scene, none of the name, or several of one name.
    """

    _esm = code_of(*PARTS, "tiles")

    tiles: Any = traitlets.List().tag(sync=True)
    city = traitlets.Unicode("all").tag(sync=True)
    tile = traitlets.Unicode().tag(sync=True)
    says = traitlets.Unicode().tag(sync=True)
    packs = traitlets.Dict().tag(sync=True)  # of a page without Python: tile -> its layers

    def __init__(
        self,
        scenes: Iterable[Scene],
        tile: str | None = None,
        class_name: str = "buildings",
        max_size: int = 2048,
        height: int = 520,
        bands: Sequence[int] | None = None,
    ) -> None:
        scenes = list(scenes)
        self._scenes = {s.name: s for s in scenes}
        if len(self._scenes) < len(scenes):
            twice = [name for name, count in Counter(s.name for s in scenes).items() if count > 1]
            raise InputError(f"several tiles are called {shorten(twice)}; show them apart, as with select(split=...)")
        if not self._scenes:
            raise InputError("there is no tile to look at; the dataset or the selection is empty")
        self._shown_class = class_name
        first = next(iter(self._scenes)) if tile is None else tile
        super().__init__(self._scene_of(first), class_name=class_name, max_size=max_size, height=height, bands=bands)
        self.tiles = [{"name": s.name, "city": s.city} for s in self._scenes.values()]
        self.tile = first
        self.says = self._describe_tile()
        self.observe(self._turn_to, "tile")

    def page_state(self) -> dict:
        """As the widget's, with the layers of some tiles, evenly picked, since there is no Python to ask for them."""
        steps = np.linspace(0, len(self._scenes) - 1, min(PAGE_TILES, len(self._scenes))).round().astype(int)
        names = list(self._scenes)
        state = super().page_state()
        packs = {}
        for name in dict.fromkeys([names[i] for i in steps] + [self.tile]):
            self._use(self._scene_of(name))
            layers = self._page_layers()
            packs[name] = pack(layers | {"says": self._describe_tile(), "layer": self._first_layer(layers["about"])})
        self._use(self._scene_of(self.tile))
        return self._with_packs(state, packs) | {"tiles": [t for t in self.tiles if t["name"] in packs]}

    @shows_errors
    def _turn_to(self, _change: Any) -> None:
        """Shows the tile that was chosen, the whole of it."""
        self._use(self._scene_of(self.tile))
        with self.hold_sync():
            self.view, self.says = [], self._describe_tile()
            self._show(self.threshold)
            self.layer, self.swipe = self._first_layer(self.about), "off"

    def _scene_of(self, name: str) -> Scene:
        """A scene by its name.

        Raises:
            ValueError: if there is none of it.
        """
        if name not in self._scenes:
            raise InputError(f"there is no tile {name!r}; choose from {', '.join(self._scenes)}")
        return self._scenes[name]

    @staticmethod
    def _first_layer(about: dict) -> str:
        """The mask where there is one."""
        return "truth" if "truth" in about["layers"] else "image"

    def _describe_tile(self) -> str:
        """Its split and its share of foreground, counted at full resolution where there is imagery."""
        scene, class_name = self._scene, self._shown_class
        if class_name not in scene.labels:
            return f"{scene.split}, no labels"
        height, width = scene.info.shape
        valid = foreground = 0
        for row in range(0, height, STRIP):
            window = (row, 0, min(STRIP, height - row), width)
            seen = scene.read_valid(window, class_name)
            valid += int(seen.sum())
            foreground += int((seen & (scene.read_labels(class_name, window) > 0)).sum())
        unseen = 1 - valid / (height * width)
        told = f"{scene.split}, {foreground / max(1, valid):.1%} {class_name}"
        return f"{told}, {unseen:.0%} without imagery" if unseen else told
