"""`jointnet place`, `show` and `cache` as a person types them, on imagery from this machine."""

import numpy as np
import pytest
from typer.testing import CliRunner

from jointnet.cli import app
from jointnet.data.raster import read_info
from tests.loopback import Provider, draw_original


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JOINTNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def brightness(windows):
    """In place of a network: the mean of the bands."""
    return windows.astype(np.float32).mean(axis=-1, keepdims=True) / 255


@pytest.fixture(autouse=True)
def weights(monkeypatch):
    """The name of published weights, behind which stands `brightness`: networks are loaded in other tests."""
    monkeypatch.setattr("jointnet.predict.arrays.open_weights", lambda name: brightness)
    return "sample-buildings"


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    running = Provider(draw_original(tmp_path_factory.mktemp("original")))
    yield running
    running.close()


def jointnet(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_place_is_predicted_and_shown_offline_and_its_tiles_can_be_forgotten(tmp_path, provider, weights):
    out = tmp_path / "run"
    place = ("place", "11.39,47.26", "--width", 40, "--source", provider.tiles, "--weights", weights, "--out", out,
             "--name", "inn")
    done = jointnet(*place)
    assert done.exit_code == 0, done.output
    assert "imagery: 127.0.0.1 (zoom 19" in done.output
    assert read_info(out / "inn_probability.tif").gsd == pytest.approx(0.3, rel=2e-3)

    asked = len(provider.requests)
    shown = jointnet("show", out)
    assert shown.exit_code == 0, shown.output
    page = (out / "inn.html").read_text(encoding="utf-8")
    assert str(out / "inn.html") in shown.output
    assert "imagery: 127.0.0.1 (zoom 19" in page
    assert len(provider.requests) == asked  # from the cache

    held = jointnet("cache")
    assert "tiles" in held.output
    assert "places" in held.output
    assert jointnet("cache", "--clear", "all").output.startswith("0.0 MB in")
    gone = jointnet("show", out)
    assert gone.exit_code == 2
    assert "the image of inn_probability.tif is not there" in gone.output
    assert "name it with image=" in gone.output


def test_clearing_the_cache_leaves_datasets_that_lie_beside_it(tmp_path):
    for kind in ("compiled", "mask_values", "inria"):
        (tmp_path / "cache" / kind).mkdir(parents=True)
        (tmp_path / "cache" / kind / "file").write_bytes(bytes(1_000_000))
    assert "2.0 MB in" in jointnet("cache").output
    assert jointnet("cache", "--clear", "all").output.startswith("0.0 MB in")
    assert (tmp_path / "cache" / "inria" / "file").exists()
    (tmp_path / "cache" / "tiles").mkdir()
    assert "names nothing; choose from tiles" in jointnet("cache", "--clear", "").output  # a variable that was not set
    assert (tmp_path / "cache" / "tiles").exists()
    assert "holds no inria" in jointnet("cache", "--clear", "inria").output


def test_what_is_wrong_with_a_place_is_one_sentence(tmp_path, provider, weights):
    rest = ("--source", provider.tiles, "--weights", weights, "--out", tmp_path / "run")
    wrongs = {"179.9,0,-179.9,1": "180 degrees", "11.39,47.26": "give width=", "here": "should be some numbers"}
    for where, says in wrongs.items():
        wrong = jointnet("place", where, *rest)
        assert wrong.exit_code == 2
        assert says in wrong.output
    assert "no prediction" in jointnet("show", tmp_path).output
    assert "holds no gold" in jointnet("cache", "--clear", "gold").output
    assert not (tmp_path / "run").exists()


def test_the_list_of_datasets_fetches_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr("jointnet.data.catalogue.DATA_ROOT", tmp_path)
    monkeypatch.setattr("jointnet.data.real_cities.open_place", lambda *a, **k: pytest.fail("asked a network"))
    assert "test_cities             fetched from public services on first use" in jointnet("datasets").output
