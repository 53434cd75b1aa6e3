"""Places read from a provider on this machine, against the scene that its tiles were cut from."""

import json
import os
import time

import numpy as np
import pytest

import jointnet.data.raster as door
from jointnet.data.cache import forget_oldest_tiles, kept
from jointnet.data.place_files import read_place, tile_folder
from jointnet.data.places import PlaceWarning, open_place, plan_place
from jointnet.data.raster import RasterError, ServiceError, open_raster, read_info, read_raster
from jointnet.data.services import PlaceError
from tests.loopback import Provider, draw_original, encode


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache of the test's own, and no waiting between tries."""
    monkeypatch.setenv("JOINTNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(door, "PAUSES", (0.0, 0.0))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return draw_original(tmp_path_factory.mktemp("original"))


@pytest.fixture(scope="module")
def running(original):
    provider = Provider(original)
    yield provider
    provider.close()


@pytest.fixture
def provider(running):
    """The provider, healthy and with an empty record."""
    running.fault, running.flipped = None, False
    running.requests.clear()
    return running


def shift_of(scene, original) -> tuple[int, int]:
    """(rows, columns) by which the original fits best under a scene, of nine neighbours; they share one grid."""
    near, far = scene.info.transform, read_info(original).transform
    row, col = round((far.f - near.f) / far.e * -1), round((near.c - far.c) / far.a)
    assert (far.f - near.f) / 0.3 == pytest.approx(row)  # corners to the pixel
    assert (near.c - far.c) / 0.3 == pytest.approx(col)
    seen, truth = scene.read()[2:-2, 2:-2], read_raster(original)
    height, width = seen.shape[:2]
    fits = {
        (down, right): np.corrcoef(
            seen.ravel(), truth[row + 2 + down :, col + 2 + right :][:height, :width].ravel())[0, 1]
        for down in (-1, 0, 1) for right in (-1, 0, 1)}
    return max(fits, key=fits.get)


@pytest.mark.parametrize(("lon", "lat"), [(11.39, 0.001), (2.5, 48.0), (25.1, 65.0)])
def test_a_place_lies_to_the_pixel_where_its_tiles_were_cut_from(tmp_path, lon, lat):
    original = draw_original(tmp_path, lon, lat)
    provider = Provider(original)
    try:
        scene = open_place((lon, lat), provider.tiles, width=60)
        assert shift_of(scene, original) == (0, 0)
        assert scene.gsd == pytest.approx(0.3, rel=2e-3)
        assert scene.read_valid().all()
    finally:
        provider.close()


@pytest.mark.parametrize("form", ["flipped", "wms", "wmts"])
def test_tiles_from_the_south_a_wms_and_a_wmts_give_the_same_place(provider, original, form):
    provider.flipped = form == "flipped"
    source = {"flipped": provider.url + "/tiles/{z}/{x}/{-y}", "wms": provider.wms,
              "wmts": provider.url + "/wmts.xml?layer=photo"}[form]
    assert shift_of(open_place((11.39, 47.26), source, width=60), original) == (0, 0)


def test_a_tile_is_fetched_once_and_kept(provider):
    scene = open_place((11.39, 47.26), provider.tiles, width=60)
    scene.read()
    first = len(provider.requests)
    assert first == len(set(provider.requests))
    again = open_place((11.39, 47.26), provider.tiles, width=60, name="again")
    assert (again.read() == scene.read()).all()
    assert len(provider.requests) == first
    assert plan_place((11.39, 47.26), provider.tiles, width=60).tiles <= first


def test_the_provider_is_told_who_asks(provider):
    open_place((11.39, 47.26), provider.tiles, width=30)
    assert all("jointnet" in agent for agent in provider.agents)


def test_a_place_knows_source_attribution_zoom_and_day(provider):
    scene = open_place((11.39, 47.26), provider.tiles, width=30)
    tags = scene.info.tags
    assert tags["JOINTNET_SOURCE"] == f"127.0.0.1, {provider.tiles}"
    assert tags["JOINTNET_ZOOM"] == "19"
    assert tags["JOINTNET_ACCESSED"] in scene.credit
    assert tags["JOINTNET_CREDIT"] == scene.credit


@pytest.mark.parametrize(("fault", "says"), [
    (500, "did not give its imagery: its answer was HTTP 500"),
    (403, "its answer was HTTP 403"),
    ("html", "what came is no image, perhaps a page that asks to log in"),
    (204, "9 of 9 spots are missing"),
    (404, "9 of 9 spots are missing"),
    ("grey", "9 of 9 spots are missing, of one colour"),
])
def test_a_service_without_imagery_is_a_sentence_and_never_a_blank_picture(provider, fault, says):
    provider.fault = lambda path: fault
    with pytest.raises(ServiceError, match=says):
        open_place((11.39, 47.26), provider.tiles, width=60)


def test_a_service_that_is_too_slow_is_given_up(provider, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "1")
    monkeypatch.setattr(door, "PAUSES", ())
    provider.fault = lambda path: 3.0
    began = time.monotonic()
    with pytest.raises(ServiceError, match="it took too long to answer"):
        open_place((11.39, 47.26), provider.tiles, width=30)
    assert time.monotonic() - began < 10


def test_a_service_that_cannot_be_reached_is_a_sentence():
    with pytest.raises(ServiceError, match="127.0.0.1 did not give its imagery: it cannot be reached"):
        open_place((11.39, 47.26), "http://127.0.0.1:9/{z}/{x}/{y}", width=30)


def test_a_server_that_stumbles_now_and_then_is_asked_again(provider, original):
    provider.fault = lambda path: 503 if len(provider.requests) % 5 == 0 else None
    assert shift_of(open_place((11.39, 47.26), provider.tiles, width=60), original) == (0, 0)


def test_single_missing_tiles_are_no_imagery(provider):
    # the place reaches out of the original, whose tiles end there, by a third
    scene = open_place((11.3905, 47.2603), provider.tiles, width=100)
    valid = scene.read_valid()
    assert 0.4 < valid.mean() < 0.99
    assert (scene.read()[~valid] == 0).all()


def test_a_key_is_in_no_file_tag_message_or_log(provider, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PLACE_KEY", "open-sesame-4711")
    source = provider.tiles + "?key={PLACE_KEY}"
    scene = open_place((11.39, 47.26), source, width=30, save=tmp_path / "saved", progress=False)
    assert "key=open-sesame-4711" in provider.requests[0]
    provider.fault = lambda path: "html"
    with caplog.at_level("DEBUG"), pytest.raises(ServiceError) as caught:
        open_place((11.391, 47.261), source, width=30)
    assert "open-sesame" not in caplog.text + str(caught.value) + json.dumps(scene.info.tags)
    assert caught.value.__suppress_context__
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 3
    assert not [path for path in written if b"open-sesame" in path.read_bytes() or "open-sesame" in path.name]


def test_a_saved_place_works_without_its_provider(provider, tmp_path):
    live = open_place((11.39, 47.26), provider.tiles, width=60)
    saved = open_place((11.39, 47.26), provider.tiles, width=60, save=tmp_path, progress=False)
    assert saved.image.suffix == ".tif"
    assert (saved.read() == np.maximum(live.read(), 1)).all()
    assert saved.info.transform == live.info.transform
    assert saved.info.tags["JOINTNET_CREDIT"] == live.credit
    provider.requests.clear()
    again = open_place((11.39, 47.26), provider.tiles, width=60, save=tmp_path, progress=False)
    assert again.image == saved.image
    assert provider.requests == []
    with pytest.raises(RasterError, match="shows something else"):
        open_place((11.39, 47.26), provider.tiles, width=30, name=saved.name, save=tmp_path, progress=False)


def test_saving_a_place_that_is_mostly_missing_writes_nothing(provider, tmp_path):
    # the original has 150 m, and reaches 61 m into the 250 m: at most a quarter of them
    with pytest.raises(PlaceError, match="has no imagery for 79% of this place"):
        open_place((11.3915, 47.2603), provider.tiles, width=250, save=tmp_path / "saved", progress=False)
    assert not list((tmp_path / "saved").rglob("*.tif"))


@pytest.mark.parametrize(("where", "width", "says"), [
    ((179.9, 0, -179.9, 1), None, "crosses the line of 180 degrees"),
    ((179.9, 0, 180.1, 1), None, "crosses the line of 180 degrees"),
    ((11, 48, 10, 49), None, "the order is west, south, east, north"),
    ((11, 86, 11.1, 86.1), None, "beyond 84 degrees"),
    ((11, 47, 18, 48), None, "more than a UTM zone"),
    ((11, 47), None, "give width= in metres"),
    ((11, 47), -5, "give width= in metres"),
    ((47.4, 111), 50, "longitude comes first"),
    ((11, 47, 12), None, "must be"),
    ((11, 47, float("nan"), 48), None, "must be"),
    ("11.39,47.26", 60, "must be"), (("11,39", "47,26"), 60, "must be"), (None, 60, "must be"),
    (((47, 11), (48, 12)), None, "must be"), ({"west": 11, "south": 47}, 60, "must be"),
    ((11, 47), "60", "give width= in metres.*not '60'"), ((11, 47), float("inf"), "give width= in metres"),
    ((682_000, 5_237_000), 60, "must be degrees"), ((6.8e5, 5.2e6, 6.9e5, 5.3e6), None, "must be degrees"),
])
def test_a_place_that_is_none_is_a_sentence(where, width, says):
    with pytest.raises(PlaceError, match=says):
        plan_place(where, "http://127.0.0.1:9/{z}/{x}/{y}", width=width)


@pytest.mark.parametrize(("options", "says"), [
    ({"gsd": "0.3"}, "gsd='0.3' must be metres"), ({"gsd": None}, "gsd=None must be metres"),
    ({"name": 5}, "becomes the name of files"), ({"name": "a\nb"}, "becomes the name of files"),
    ({"name": "x" * 300}, "becomes the name of files"), ({"name": ".."}, "becomes the name of files"),
    ({"most_tiles": 0}, "most_tiles=0 must be"), ({"most_tiles": "9"}, "most_tiles='9' must be"),
])
def test_an_option_of_a_place_that_cannot_be_is_a_sentence(options, says):
    with pytest.raises(PlaceError, match=says):
        open_place((11.39, 47.26), "http://127.0.0.1:9/{z}/{x}/{y}", width=60, **options)


def test_where_no_square_is_small_enough_none_is_advised():
    # (0, 0) is the corner of four tiles, so that every square around it needs four
    with pytest.raises(PlaceError, match="more than 3; take a larger gsd="):
        open_place((0, 0), "http://127.0.0.1:9/{z}/{x}/{y}", width=60, most_tiles=3)


def test_a_cache_that_cannot_be_written_to_is_a_sentence(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JOINTNET_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(PlaceError, match="set the environment variable JOINTNET_CACHE to a folder"):
        open_place((11.39, 47.26), "http://127.0.0.1:9/{z}/{x}/{y}", width=60)


def test_tiles_of_another_size_are_told_from_a_page_that_asks_to_log_in(provider, monkeypatch):
    monkeypatch.setattr(provider, "tile", lambda z, x, y: encode(np.full((512, 512, 3), 9, np.uint8)))
    with pytest.raises(ServiceError, match="its tiles have another size than 256 px"):
        open_place((11.39, 47.26), provider.tiles + "?size=512", width=30)


def test_a_place_that_is_too_large_is_refused_with_the_size_that_would_do(provider):
    with pytest.raises(PlaceError, match=r"take a square of (\d+) m") as caught:
        open_place((11.39, 47.26), provider.tiles, width=20_000)
    assert provider.requests == []
    fits = int(str(caught.value).split("a square of ")[1].split()[0])
    assert plan_place((11.39, 47.26), provider.tiles, width=fits).tiles <= 4096
    assert plan_place((11.39, 47.26), provider.tiles, width=fits * 1.05).tiles > 4096


def test_a_service_that_is_coarser_than_asked_says_so(provider, monkeypatch):
    from dataclasses import replace

    import jointnet.data.places as places

    coarse = places.find_service
    monkeypatch.setattr(places, "find_service", lambda *a: replace(coarse(*a), finest=17))
    with pytest.warns(PlaceWarning, match=r"the finest pixels of 127.0.0.1 are 0.81 m there"):  # 1.194 m x cos 47.26
        open_place((11.39, 47.26), provider.tiles, width=120)


def test_a_file_that_is_no_place_is_a_sentence(tmp_path):
    (tmp_path / "a.place").write_text("{}")
    with pytest.raises(PlaceError, match="a.place is not a place that open_place wrote"):
        read_info(tmp_path / "a.place")
    with pytest.raises(PlaceError, match="b.place is not a place"):
        read_place(tmp_path / "b.place")


def test_the_same_place_keeps_its_digest_and_its_day(provider, monkeypatch):
    first = open_place((11.39, 47.26), provider.tiles, width=30)
    held = json.loads(first.image.read_text())
    first.image.write_text(json.dumps(held | {"accessed": "2020-01-01"}))
    second = open_place((11.39, 47.26), provider.tiles, width=30)
    assert read_place(second.image).accessed == "2020-01-01"
    assert "2020-01-01" in second.credit
    assert door.identity_of(second.image) == door.identity_of(first.image)
    coarser = open_place((11.39, 47.26), provider.tiles, gsd=0.5, width=30)
    assert coarser.name == first.name
    assert door.identity_of(coarser.image) != door.identity_of(first.image)
    assert read_info(first.image).transform.a == 0.3


def test_tiles_lie_in_the_kits_cache_and_nowhere_else(provider, tmp_path):
    open_place((11.39, 47.26), provider.tiles, width=30)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix == ".place" or tile_folder() in path.parents for path in files} == {True}


def test_tiles_that_were_fetched_longest_ago_are_forgotten_when_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setenv("JOINTNET_CACHE", str(tmp_path / "small"))
    for day, name in enumerate(("oldest", "middle", "newest")):
        file = tile_folder() / "x" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(100))
        os.utime(file, (day, day))
    forget_oldest_tiles(most=210)  # 300 bytes: one goes
    assert kept() == {"tiles": 200}
    assert sorted(path.name for path in tile_folder().rglob("*") if path.is_file()) == ["middle", "newest"]


def test_tiles_that_another_process_deletes_meanwhile_are_passed_over(monkeypatch):
    tile_folder().mkdir(parents=True)
    (tile_folder() / "kept").write_bytes(bytes(100))
    gone = tile_folder() / "gone"
    monkeypatch.setattr("pathlib.Path.rglob", lambda folder, _: iter([gone, folder / "kept"]))
    assert kept() == {"tiles": 100}
    forget_oldest_tiles(most=50)
    assert not (tile_folder() / "kept").exists()


def test_an_image_at_an_address_is_read_by_windows(provider, original):
    provider.files["/original.tif"] = original.read_bytes()
    provider.files["/page.tif"] = b"<html>please log in</html>"
    address = provider.url + "/original.tif"
    with open_raster(address) as raster:
        assert (raster.read((10, 20, 30, 40)) == read_raster(original, (10, 20, 30, 40))).all()
    assert read_info(address).transform == read_info(original).transform
    with pytest.raises(ServiceError, match=r"gone.tif cannot be opened: its answer was HTTP 404"):
        read_info(provider.url + "/gone.tif?token=sesame")
    with pytest.raises(ServiceError, match="page.tif cannot be opened: what came is no image"):
        read_info(provider.url + "/page.tif")
