"""PlaceExplorer in Python: what it says before anything runs, what it lays on the map, what it refuses."""

import io
import zipfile

import ipyleaflet
import numpy as np
import pytest

from jointnet import PlaceExplorer
from jointnet.data.services import Service
from jointnet.show.places import background_of
from tests.loopback import Provider, draw_original

BOX = (11.3897, 47.2598, 11.3903, 47.2602)  # 45 x 44 m


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JOINTNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    running = Provider(draw_original(tmp_path_factory.mktemp("original")))
    yield running
    running.close()


def two_answers(windows):
    """In place of a network of two classes: the mean of the bands, and its opposite."""
    bright = windows.astype(np.float32).mean(axis=-1, keepdims=True) / 255
    return np.concatenate([bright, 1 - bright], axis=-1)


@pytest.fixture(autouse=True)
def weights(monkeypatch):
    """The name of published weights, behind which stands `two_answers`: networks are loaded in other tests."""
    monkeypatch.setattr("jointnet.predict.arrays.open_weights", lambda name: two_answers)
    return "sample-buildings"


def draw(explorer, box):
    """What leaflet's tool tells Python when a box was drawn."""
    west, south, east, north = box
    ring = [[west, south], [west, north], [east, north], [east, south], [west, south]]
    explorer._drawn(None, "created", {"geometry": {"type": "Polygon", "coordinates": [ring]}})


def test_a_box_says_what_it_would_take_before_anything_is_fetched(provider, weights):
    provider.requests.clear()
    explorer = PlaceExplorer(source=provider.tiles, weights=weights)
    assert explorer.predict.disabled
    draw(explorer, BOX)
    said = explorer.message.value
    assert f"{explorer.plan.place.width} x {explorer.plan.place.height} px of 0.3 m" in said
    assert f"{explorer.plan.tiles} tiles of 127.0.0.1 (zoom 19, 0.20 m)" in said
    assert "about 1 s" in said
    assert not explorer.predict.disabled
    assert provider.requests == []  # the browser alone shows the background


def test_what_is_too_large_or_no_place_is_refused_in_words(provider, weights):
    explorer = PlaceExplorer(source=provider.tiles, weights=weights)
    draw(explorer, (11.0, 47.0, 11.5, 47.5))
    assert "take a square of" in explorer.message.value
    assert explorer.predict.disabled
    explorer.where.value = "here"
    assert "is no place; type longitude and latitude" in explorer.message.value
    explorer.where.value = "11.39, 47.26"
    assert explorer.plan.size[0] == pytest.approx(600, rel=0.05)
    assert not explorer.predict.disabled


def test_a_prediction_lies_on_the_map_in_each_class_with_its_outlines_and_counts(provider, weights, tmp_path):
    explorer = PlaceExplorer(BOX, provider.tiles, weights, out=tmp_path / "runs")
    explorer.run(wait=True)
    assert "Written to" in explorer.message.value, explorer.message.value
    names = [layer.name for layer in explorer.map.layers]
    assert {"found buildings", "found roads", "127.0.0.1"} <= set(names)
    pictures = [layer for layer in explorer.map.layers if isinstance(layer, ipyleaflet.ImageOverlay)]
    assert {layer.url.rpartition("#")[2] for layer in pictures} == set(explorer.cut.colours)
    assert explorer.cut.threshold == pytest.approx(0.6)  # what a network without a card gets
    assert [text.split(",")[0].split()[-1] for text in explorer.counts()] == ["buildings", "roads"]
    print_of_map = " ".join(explorer.map.panels[0].small_print())
    assert "127.0.0.1" in print_of_map
    assert "outlines are those of 0.60: the slider moves the picture alone" in print_of_map
    assert explorer.map.preview()[:4] == b"\x89PNG"

    with zipfile.ZipFile(io.BytesIO(explorer.to_zip())) as held:
        assert sorted(held.namelist()) == sorted([*(path.name for path in explorer.result.paths), "IMAGERY.txt"])
        assert b"imagery: 127.0.0.1" in held.read("IMAGERY.txt")

    explorer.explore.click()
    assert explorer.children[-1].about["note"] == explorer.scene.credit


def test_stop_keeps_what_is_done_and_predict_goes_on(provider, weights, tmp_path, monkeypatch):
    explorer = PlaceExplorer(BOX, provider.tiles, weights, out=tmp_path / "runs")
    told = explorer._tell

    def stop_soon(done, total):
        if done >= total / 3:
            explorer._stop.set()
        told(done, total)

    monkeypatch.setattr(explorer, "_tell", stop_soon)
    explorer.run(wait=True)
    assert explorer.message.value.startswith("Stopped")
    assert not explorer.predict.disabled
    monkeypatch.setattr(explorer, "_tell", told)
    explorer.run(wait=True)
    assert "Written to" in explorer.message.value


def test_what_goes_wrong_while_it_works_is_said(weights, tmp_path):
    explorer = PlaceExplorer(BOX, "http://127.0.0.1:9/{z}/{x}/{y}", weights, out=tmp_path / "runs")
    explorer.run(wait=True)
    assert "it cannot be reached" in explorer.message.value
    assert not explorer.predict.disabled


def test_a_service_with_a_key_is_no_background_since_a_saved_notebook_would_hold_it(provider, weights, monkeypatch):
    monkeypatch.setenv("PLACE_KEY", "open-sesame-4711")
    explorer = PlaceExplorer(BOX, provider.tiles + "?key={PLACE_KEY}", weights)
    assert not [layer for layer in explorer.map.layers if layer.name == "127.0.0.1"]
    assert "open-sesame" not in str([layer.get_state() for layer in explorer.map.layers])


def test_tiles_from_the_south_and_a_wms_are_backgrounds_too():
    south = background_of(Service("a", "https://a.org/{z}/{x}/{-y}"))
    assert (south.url, south.tms) == ("https://a.org/{z}/{x}/{y}", True)
    wms = background_of(Service("b", "https://b.org/wms?layers=photo", "wms"))
    assert (wms.url, wms.layers) == ("https://b.org/wms", "photo")
    assert background_of(Service("c", "https://c.org/wmts.xml", "wmts")) is None


def test_the_world_is_shown_at_first_and_nothing_is_fetched():
    explorer = PlaceExplorer()
    assert [layer.name for layer in explorer.map.layers if isinstance(layer, ipyleaflet.TileLayer)] == ["no basemap"]
    assert np.isfinite(explorer.map.zoom)
