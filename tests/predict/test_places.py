"""Predictions of places and of images at addresses: the pixels of a file, through every loss of the network."""

import json
import shutil
from dataclasses import replace

import ipyleaflet
import numpy as np
import pytest

import jointnet.data.raster as door
from jointnet.data.catalogue import open_dataset
from jointnet.data.place_files import write_place
from jointnet.data.places import open_place, plan_place
from jointnet.data.raster import ServiceError, read_info, read_raster
from jointnet.data.scene import Scene, remote_scene
from jointnet.data.services import PlaceError
from jointnet.predict.many import predict_many
from jointnet.predict.scenes import predict_scene
from jointnet.show.cities import show_cities
from tests.loopback import Provider, draw_original

WHERE = (11.39, 47.26)


def brightness(windows):
    """A network whose answer is the mean of the bands."""
    return windows.astype(np.float32).mean(axis=-1, keepdims=True) / 255


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JOINTNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    monkeypatch.setattr(door, "PAUSES", (0.0,))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return draw_original(tmp_path_factory.mktemp("original"))


@pytest.fixture(scope="module")
def running(original):
    provider = Provider(original)
    provider.files["/town.tif"] = original.read_bytes()
    yield provider
    provider.close()


@pytest.fixture
def provider(running):
    running.fault = None
    running.requests.clear()
    return running


def predict(source, out, **options):
    return predict_scene(brightness, source, out, progress=False, size=64, polygons=False, **options)


def test_a_place_is_predicted_as_the_file_that_it_was_saved_to(provider, tmp_path):
    live = open_place(WHERE, provider.tiles, width=60)
    saved = open_place(WHERE, provider.tiles, width=60, save=tmp_path / "saved", progress=False)
    one, other = predict(live, tmp_path / "live"), predict(saved, tmp_path / "file")
    assert np.abs(read_raster(one.probability).astype(int) - read_raster(other.probability)).max() <= 1
    assert read_info(one.probability).transform == live.info.transform
    assert read_info(one.probability).tags["JOINTNET_CREDIT"] == live.credit


def test_a_server_that_dies_amid_a_prediction_costs_nothing_that_was_done(provider, tmp_path):
    scene = open_place(WHERE, provider.tiles, width=100)
    whole = read_raster(predict(open_place(WHERE, provider.tiles, width=100, name="whole"), tmp_path / "w").probability)
    rows = sorted({int(path.split("/")[4]) for path in provider.requests})
    shutil.rmtree(tmp_path / "cache" / "tiles")
    provider.fault = lambda path: 503 if int(path.split("/")[4]) > rows[len(rows) // 2] else None
    with pytest.raises(ServiceError, match="HTTP 503; call again to go on where it stopped"):
        predict(scene, tmp_path / "maps")
    assert [p for p in (tmp_path / "maps").iterdir() if not p.name.startswith(".")] == []  # nothing half-written
    done = len(list((tmp_path / "maps").rglob("*.npz")))
    assert done > 0
    provider.fault = None
    told = []
    result = predict_scene(brightness, scene, tmp_path / "maps", progress=lambda n, total: told.append((n, total)),
                           size=64, polygons=False)
    assert told[0][0] > 0  # it goes on where it was
    assert told[-1][0] == told[-1][1]
    assert (read_raster(result.probability) == whole).all()


def test_a_prediction_that_was_stopped_goes_on(provider, tmp_path):
    scene = open_place(WHERE, provider.tiles, width=60)

    def stop(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_scene(brightness, scene, tmp_path / "maps", progress=stop, size=64, polygons=False)
    told = []
    predict_scene(brightness, scene, tmp_path / "maps", progress=lambda n, total: told.append(n), size=64,
                  polygons=False)
    assert told[0] > 0


def test_a_place_that_is_mostly_missing_is_never_predicted_blank(provider, tmp_path):
    scene = open_place(WHERE, provider.tiles, width=60)
    moved = json.loads(scene.image.read_text())
    moved["transform"][2] += 60  # metres to the east: three quarters lie beyond the original's 150 m
    path = tmp_path / "moved.place"
    path.write_text(json.dumps(moved | {"width": 400}))
    with pytest.raises(PlaceError, match=r"has no imagery for \d\d% of this place"):
        predict(replace(scene, image=path), tmp_path / "maps")
    assert not list((tmp_path / "maps").rglob("*.*"))


def test_dask_workers_open_a_place_by_its_description(provider, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[dask]'")
    monkeypatch.setenv("PLACE_KEY", "open-sesame-4711")
    scene = open_place(WHERE, provider.tiles + "?key={PLACE_KEY}", width=30)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, protocol="tcp",
                                  dashboard_address=None) as cluster:
        report = predict_many(brightness, [scene], tmp_path / "maps", cluster.scheduler_address, progress=False,
                              size=64, polygons=False)
    assert report.failed == {}
    here = predict(scene, tmp_path / "here")
    assert (read_raster(tmp_path / "maps" / here.probability.name) == read_raster(here.probability)).all()
    written = [path for path in (tmp_path / "maps").rglob("*") if path.is_file()]
    assert not [path for path in written if b"open-sesame" in path.read_bytes()]


def test_an_image_at_an_address_gives_the_prediction_of_the_file(provider, original, tmp_path):
    far = predict(provider.url + "/town.tif?token=sesame", tmp_path / "far")
    near = predict(original, tmp_path / "near")
    assert far.probability.name == "town_probability.tif"
    assert (read_raster(far.probability) == read_raster(near.probability)).all()
    assert "sesame" not in json.dumps(read_info(far.probability).tags)


def test_an_address_without_an_image_is_a_sentence_and_leaves_nothing(provider, tmp_path):
    provider.files["/cut.tif"] = provider.files["/town.tif"][: 200_000]
    for name, says in {"gone.tif": "HTTP 404", "cut.tif": "call again"}.items():
        with pytest.raises(ServiceError, match=says):
            predict(f"{provider.url}/{name}", tmp_path / "maps")
    with pytest.raises(ServiceError, match="it cannot be reached"):
        predict("http://127.0.0.1:9/town.tif", tmp_path / "maps")
    assert not [p for p in tmp_path.glob("maps/*") if not p.name.startswith(".")]


def stac_item(assets: dict) -> bytes:
    return json.dumps({
        "type": "Feature", "stac_version": "1.0.0", "id": "town", "geometry": None, "links": [], "assets": assets,
        "properties": {"datetime": "2024-05-01T00:00:00Z", "providers": [{"name": "Town Survey"}]},
    }).encode()


@pytest.mark.parametrize(("held", "says"), [
    ({"type": "Collection", "id": "a", "links": [], "description": "d", "stac_version": "1.0.0", "license": "x",
      "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [[None, None]]}}}, "but a Collection"),
    ({"type": "Catalog", "id": "a", "links": [], "description": "d", "stac_version": "1.0.0"}, "but a Catalog"),
    ({"type": "FeatureCollection", "features": []}, "but a FeatureCollection"),
    ({"type": "Feature", "geometry": None, "properties": {}}, "is not a STAC item; name one"),
    ([1], "is not a STAC item; name one"), ("text", "is not a STAC item; name one"),
])
def test_what_is_no_stac_item_is_a_sentence_that_says_what_it_is(provider, held, says):
    provider.files["/other.json"] = json.dumps(held).encode()
    with pytest.raises(PlaceError, match=says):
        remote_scene(f"{provider.url}/other.json")


def test_a_stac_item_with_odd_providers_is_read_and_assets_are_named_without_their_signatures(provider):
    item = json.loads(stac_item({"visual": {"href": "./a.tif", "type": "image/tiff"}}))
    item["properties"]["providers"] = None
    provider.files["/odd.json"] = json.dumps(item).encode()
    assert remote_scene(f"{provider.url}/odd.json").credit == ""
    signed = {"href": "./b.tif?sig=sesame", "type": "image/tiff"}
    provider.files["/two.json"] = stac_item({"red": signed, "nir": signed})
    with pytest.raises(PlaceError, match=rf"red \({provider.url}/b.tif\)") as caught:
        remote_scene(f"{provider.url}/two.json")
    assert "sesame" not in str(caught.value)


def test_the_address_of_a_stac_item_is_that_of_its_image(provider, original, tmp_path):
    visual = {"href": "./town.tif", "type": "image/tiff; application=geotiff"}
    provider.files["/item.json"] = stac_item({"thumbnail": {"href": "./t.png", "type": "image/png"}, "visual": visual})
    scene = remote_scene(provider.url + "/item.json")
    assert (scene.name, scene.credit) == ("town", "Town Survey")
    assert (scene.read((0, 0, 9, 9)) == read_raster(original, (0, 0, 9, 9))).all()
    provider.files["/two.json"] = stac_item({"red": visual, "nir": visual})
    with pytest.raises(PlaceError, match=r"no asset called visual or image; name the address of one of red \("):
        remote_scene(provider.url + "/two.json")
    provider.files["/page.json"] = b"<html>"
    with pytest.raises(PlaceError, match="is not a STAC item"):
        remote_scene(provider.url + "/page.json")
    with pytest.raises(PlaceError, match="HTTP 404"):
        remote_scene(provider.url + "/none.json")


def test_a_manifest_names_images_by_their_address(provider, tmp_path):
    (tmp_path / "manifest.csv").write_text(f"name,city,split,image\ntown,graz,test,{provider.url}/town.tif\n")
    with pytest.warns(UserWarning, match="no labels for town"):
        scenes = open_dataset("folder", root=tmp_path)
    assert (scenes[0].city, scenes[0].split) == ("graz", "test")
    assert scenes[0].read((0, 0, 5, 5)).shape == (5, 5, 3)


def test_a_folder_never_opens_what_names_other_files_by_itself(provider, tmp_path, original):
    (tmp_path / "town.tif").write_bytes(original.read_bytes())
    (tmp_path / "other.vrt").write_text("<VRTDataset/>")
    (tmp_path / "there.place").write_text(open_place(WHERE, provider.tiles, width=30).image.read_text())
    with pytest.warns(UserWarning, match="no labels"):
        assert [scene.name for scene in open_dataset("folder", root=tmp_path)] == ["town"]


def test_inrias_test_cities_are_fetched_once_and_then_are_shown_without_a_network(provider, tmp_path, monkeypatch):
    import jointnet.data.real_cities as cities

    monkeypatch.setattr(cities, "WIDTH", 60.0)
    monkeypatch.setattr(cities, "TEST_CITIES", {"innsbruck21": (provider.tiles, 0.3)})
    monkeypatch.setattr(cities, "CITIES", {"innsbruck": cities.CITIES["innsbruck"].__class__(
        *WHERE, 32632, "riverside", (0, 0), ())})
    scenes = open_dataset("test_cities", root=tmp_path / "cities")
    assert [(s.name, s.city, s.split, s.labels) for s in scenes] == [("innsbruck21", "innsbruck", "test", {})]
    assert "127.0.0.1" in scenes[0].credit
    provider.fault = lambda path: 503
    provider.requests.clear()
    assert (open_dataset("test_cities", root=tmp_path / "cities")[0].read() == scenes[0].read()).all()
    predict(scenes[0], tmp_path / "maps")
    shown = show_cities(scenes, tmp_path / "maps")
    shown.tile.value = "innsbruck21"
    overlays = [layer.name for layer in shown.map.layers if isinstance(layer, ipyleaflet.ImageOverlay)]
    assert overlays == ["innsbruck21", "probability"]
    assert shown.message.value == ""
    assert provider.requests == []
    monkeypatch.setenv("JOINTNET_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ServiceError, match=r"innsbruck21: .*HTTP 503.*without a network the drawn scenes serve"):
        open_dataset("test_cities", root=tmp_path / "others")


def test_of_a_large_place_only_the_spot_that_is_read_is_fetched(provider):
    scene = Scene("large", write_place(plan_place(WHERE, provider.tiles, width=5990).place))
    assert min(scene.info.shape) > 20_000
    # 256 px of 0.3 m are 77 m; GDAL reads blocks of 512 x 128 px: 154 m, four tiles of 52 m and what it touches beside
    assert scene.read((scene.info.height // 2, scene.info.width // 2, 256, 256)).std() > 5
    assert len(provider.requests) <= 6 * 6
