"""Names, addresses and places against the service that they choose; nothing is asked of a network."""

import logging

import pytest

from jointnet.data.addresses import address_of, hide_keys, is_remote, public_address, stem_of, with_keys
from jointnet.data.services import TABLE, PlaceError, find_service, gdal_text, tile_range, zoom_for

HERE = (11.39, 47.26, 11.40, 47.27)  # Innsbruck


@pytest.mark.parametrize(("place", "name"), [
    ((-122.496, 48.747), "naip"), ((-86.526, 39.165), "naip"), ((-122.479, 37.755), "naip"),  # INRIA's test cities
    ((11.392, 47.264), "basemap.at"), ((12.764, 46.829), "basemap.at"),
    ((8.54, 47.37), "swissimage"), ((2.35, 48.86), "ign"), ((5.37, 43.30), "ign"), ((4.90, 52.37), "pdok"),
])
def test_our_table_knows_who_covers_a_place(place, name):
    lon, lat = place
    assert find_service(None, (lon - 0.005, lat - 0.005, lon + 0.005, lat + 0.005)).name == name


@pytest.mark.parametrize("place", [(11.57, 48.14), (7.59, 47.56), (-0.12, 51.5), (-106.49, 31.74), (151.2, -33.9)])
def test_where_no_service_is_certain_a_sentence_says_so(place):
    lon, lat = place  # Munich, Basel on its border, London, Ciudad Juarez, Sydney
    with pytest.raises(PlaceError, match="no provider of our list .* is certain to cover"):
        find_service(None, (lon - 0.005, lat - 0.005, lon + 0.005, lat + 0.005))


def test_every_service_of_the_table_states_its_terms_and_the_day_they_were_read():
    assert all(s.attribution and s.terms and s.read and s.area and not s.keys for s in TABLE)


def test_addresses_are_told_apart():
    forms = {
        "https://a.org/{z}/{x}/{y}.png": "xyz", "https://a.org/{z}/{x}/{-y}": "xyz",
        "https://a.org/wms?layers=photo": "wms", "https://a.org/WMTSCapabilities.xml": "wmts",
        "https://a.org/caps?layer=photo": "wmts",
    }
    assert {address: find_service(address, HERE).form for address in forms} == forms
    with pytest.raises(PlaceError, match="neither an address of tiles"):
        find_service("https://a.org/photo", HERE)
    with pytest.raises(PlaceError, match="'nowhere' is unknown; choose from basemap.at"):
        find_service("nowhere", HERE)


def test_a_name_of_xyzservices_is_taken_and_one_that_needs_a_key_says_how():
    assert find_service("Esri.WorldImagery", HERE).attribution.startswith("Tiles (C) Esri")
    with pytest.raises(PlaceError, match=r"MapTiler.Satellite needs a key: .*key=\{MY_KEY\}"):
        find_service("MapTiler.Satellite", HERE)


def test_a_key_in_an_address_is_refused_since_addresses_are_written_down():
    with pytest.raises(PlaceError, match=r"access_token=\{MY_KEY\}") as caught:
        find_service("https://a.org/{z}/{x}/{y}?access_token=sesame", HERE)
    assert "sesame" not in str(caught.value)


def test_a_key_is_filled_from_the_environment_and_hidden_from_messages(monkeypatch, caplog):
    address = "https://a.org/{z}/{x}/{y}?key={PLACE_KEY}"
    with pytest.raises(ValueError, match="needs the environment variable PLACE_KEY"):
        with_keys(address)
    monkeypatch.setenv("PLACE_KEY", "sesame")
    assert with_keys(address) == "https://a.org/{z}/{x}/{y}?key=sesame"
    assert hide_keys("cannot open ?key=sesame") == "cannot open ?key=***"
    with caplog.at_level(logging.INFO, "rasterio._env"):
        logging.getLogger("rasterio._env").info("GDAL says %s", "sesame")
    assert caplog.text.count("***") == 1
    assert "sesame" not in caplog.text


def test_gdal_gets_rows_from_the_south_where_the_address_asks_for_it():
    north = gdal_text(find_service("https://a.org/{z}/{y}/{x}?a=1&b=2", HERE), 19, "/tmp")
    assert "https://a.org/${z}/${y}/${x}?a=1&amp;b=2" in north
    assert "<YOrigin>top" in north
    south = gdal_text(find_service("https://a.org/{z}/{x}/{-y}", HERE), 19, "/tmp")
    assert "https://a.org/${z}/${x}/${y}<" in south
    assert "<YOrigin>bottom" in south


def test_the_zoom_follows_from_the_pixel_and_the_latitude():
    # A pixel of zoom 19 has 156543.034 m / 2**19 = 0.2986 m on the equator, times cos(60 degrees) = 0.1493 m.
    assert zoom_for(0.3, 0, 22) == 19
    assert zoom_for(0.3, 60, 22) == 18
    assert zoom_for(0.15, 60, 22) == 19
    assert zoom_for(0.3, 0, 17) == 17


def test_tiles_are_counted_from_the_north_west():
    # Zoom 1 has four tiles; (0, 0) is the corner of the south-eastern one.
    assert tile_range((0.0, -80.0, 170.0, -0.1), 1) == (1, 1, 1, 1)
    assert tile_range((-170.0, -80.0, 170.0, 80.0), 1) == (0, 0, 1, 1)


def test_an_address_outlives_pathlib_which_makes_one_slash_of_two():
    from pathlib import Path

    for address in ("https://a.org/b/c.tif?x=1", "s3://bucket/c.tif", "/vsicurl/https://a.org/c.tif"):
        assert is_remote(Path(address))
        assert address_of(Path(address)) == address
        assert stem_of(Path(address)) == "c"
    assert not is_remote("/data/c.tif")
    assert not is_remote("C:/data/c.tif")


def test_what_is_written_of_an_address_holds_no_key():
    address = "https://user:pass@a.org/c.tif?sig=abc&version=2&X-Amz-Signature=def"
    assert public_address(address) == "https://a.org/c.tif?version=2"


@pytest.mark.parametrize(("theirs", "ours"), [
    ("https://{switch:a,b}.a.org/{zoom}/{x}/{y}.png", "https://a.a.org/{z}/{x}/{y}.png"),  # OpenStreetMap's editors
    ("https://a.org/${z}/${x}/${y}.png", "https://a.org/{z}/{x}/{y}.png"),  # a template of JavaScript
    ("https://a.org/wmts/photo/web/{TileMatrix}/{TileRow}/{TileCol}.jpeg", "https://a.org/wmts/photo/web/{z}/{y}/{x}.jpeg"),
    ("https://a.org/wms?LAYERS=photo&SRS={proj}&WIDTH={width}&BBOX={bbox-epsg-3857}&Map=m", "https://a.org/wms?LAYERS=photo&Map=m"),
])
def test_an_address_as_other_programs_write_it_is_understood(theirs, ours):
    assert find_service(theirs, HERE) == find_service(ours, HERE)
    assert find_service(theirs, HERE).keys == []
    assert gdal_text(find_service(theirs, HERE), 19, "/tmp")


def test_the_other_words_of_a_wms_keep_their_capitals_since_a_key_may_need_them(monkeypatch):
    monkeypatch.setenv("PLACE_KEY", "sesame")
    service = find_service("https://a.org/wms?Layers=photo&apiKey={PLACE_KEY}&FORMAT=image/jpeg", HERE)
    text = gdal_text(service, 19, "/tmp")
    assert "https://a.org/wms?apiKey=sesame&amp;<" in text
    assert "<ImageFormat>image/jpeg<" in text


@pytest.mark.parametrize("address", [
    "https://sesame@a.org/{z}/{x}/{y}", "https://me:sesame@a.org/{z}/{x}/{y}", "https://a.org/{z}/{x}/{y}?tk=sesame",
    "https://a.org/wms?layers=photo&connectId=sesame", "https://a.org/{z}/{x}/{y}?pwd=sesame",
])
def test_other_forms_of_a_key_are_refused_too(address):
    with pytest.raises(PlaceError, match="which would be written into files") as caught:
        find_service(address, HERE)
    assert "sesame" not in str(caught.value)


def test_a_key_is_hidden_as_a_query_holds_it_too(monkeypatch):
    monkeypatch.setenv("PLACE_KEY", "open sesame/47==")
    with_keys("https://a.org/?key={PLACE_KEY}")
    assert hide_keys("?key=open+sesame%2F47%3D%3D&a=open%20sesame%2F47%3D%3D") == "?key=***&a=***"


@pytest.mark.parametrize(("source", "says"), [
    ("http://[::1/{z}/{x}/{y}", "is not an address of a service: Invalid IPv6 URL"),
    ("https://a.org:port/{z}/{x}/{y}", "is not an address of a service: Port"),
    ("https://a.org/wms?layers=", "neither an address of tiles"),
    (5, "source=5 must be a name or an address"), ("", "source='' must be a name or an address"),
])
def test_a_source_that_is_none_is_a_sentence(source, says):
    with pytest.raises(PlaceError, match=says):
        find_service(source, HERE)


def test_a_place_with_its_axes_swapped_is_told_so_where_our_table_can_know_it():
    swapped = (47.26, 11.39, 47.27, 11.40)  # Innsbruck, latitude first: off Somalia
    for source in (None, "basemap.at"):
        with pytest.raises(PlaceError, match="longitude comes first, and here they seem to be swapped"):
            find_service(source, swapped)
    assert find_service("basemap.at", (11.57, 48.13, 11.58, 48.14)).name == "basemap.at"  # Munich: for it to say
