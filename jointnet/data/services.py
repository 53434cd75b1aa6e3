"""Imagery services of the web: a name, an address or a place in; the text by which GDAL opens the service out.

Nothing here asks a network for anything.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from jointnet import __version__
from jointnet.data.addresses import keys_of, open_secret, with_keys
from jointnet.errors import InputError

AGENT = f"JointNet/{__version__} (Python package jointnet; buildings and roads from aerial imagery)"
CONNECTIONS = 4  # at once, to one provider
PATIENCE = "60"  # seconds until a request is given up, where GDAL_HTTP_TIMEOUT does not say
TILE = 256  # pixels
FOR_EVER = 315_360_000  # seconds, ten years: GDAL would ask for each tile again after a week
HALF = math.pi * 6_378_137.0  # of the Web Mercator square, in metres
OTHER_WORDS = {"zoom": "z", "TileMatrix": "z", "TileCol": "x", "TileRow": "y"}
OF_A_WINDOW = ("service", "request", "version", "srs", "crs", "bbox", "width", "height", "transparent")  # GDAL's own
FINEST = 22  # zoom; a finer square has more pixels than GDAL counts


class PlaceError(InputError):
    """A place or a service that cannot be opened as asked; the message says what to do."""


@dataclass(frozen=True)
class Service:
    """Where imagery comes from.

    Attributes:
        name: the name by which the service is asked for and cited.
        address: where tiles are, with {z} {x} {y} or {-y}; or a WMS with its layers; or a WMTS document with its layer.
        form: "xyz", "wms" or "wmts".
        finest: the zoom beyond which the service has nothing, or nothing new.
        attribution: what a figure or a map that shows the imagery must say.
        terms: the terms on which it may be used, as far as we know them.
        read: day on which these facts were looked up, with the provider or, where its pages were not to be had, in
            other public software; "" of services that are not in our table.
        area: (longitude, latitude) around ground that the service surely covers.
    """

    name: str
    address: str
    form: str = "xyz"
    finest: int = FINEST
    attribution: str = ""
    terms: str = ""
    read: str = ""
    area: tuple[tuple[float, float], ...] = ()

    def covers(self, box: tuple[float, float, float, float]) -> bool:
        """Whether (west, south, east, north) in degrees surely lies in the area."""
        import shapely  # a description is opened without it

        return bool(self.area) and shapely.Polygon(self.area).contains(shapely.box(*box))

    @property
    def keys(self) -> list[str]:
        """The environment variables that the address needs."""
        return keys_of(self.address)

    @property
    def credit(self) -> str:
        """What a figure or a map must say."""
        return self.attribution or f"imagery: {self.name}"


# Outlines are rough: along land borders they stay inside the country, along coasts they reach out to sea.
TABLE = (
    Service(
        "basemap.at", "https://mapsneu.wien.gv.at/basemap/bmaporthofoto30cm/normal/google3857/{z}/{y}/{x}.jpeg",
        finest=19, attribution="Datenquelle: basemap.at", terms="said to be CC BY 4.0: check https://basemap.at",
        read="2026-11-26",
        area=((16.8, 48.5), (16.8, 47.8), (16.2, 47.8), (16.4, 47.5), (16.0, 46.8), (15.1, 46.75), (14.6, 46.55),
              (13.7, 46.58), (12.6, 46.72), (12.3, 46.9), (12.2, 47.2), (11.1, 47.1), (11.0, 46.9), (9.7, 47.2),
              (9.7, 47.4), (9.9, 47.5), (10.4, 47.2), (10.6, 47.4), (11.4, 47.4), (12.2, 47.6), (12.6, 47.6),
              (13.0, 47.4), (13.1, 47.6), (13.03, 47.7), (13.0, 47.87), (12.95, 48.1), (13.3, 48.3), (13.6, 48.7),
              (14.4, 48.4), (15.0, 48.9), (15.2, 48.9), (16.0, 48.6), (16.5, 48.7)),
    ),
    Service(
        "swissimage", "https://wmts.geo.admin.ch/1.0.0/ch.swisstopo.swissimage/default/current/3857/{z}/{x}/{y}.jpeg",
        finest=19, attribution="© swisstopo",
        terms="free, under fair use: no bulk fetching, https://www.geo.admin.ch/terms-of-use", read="2026-11-26",
        area=((9.5, 47.4), (9.4, 47.0), (10.3, 46.8), (10.3, 46.6), (9.9, 46.4), (9.2, 46.6), (8.9, 46.2), (8.5, 46.1),
              (8.3, 46.3), (7.7, 45.95), (7.3, 45.95), (7.0, 46.1), (6.9, 46.4), (6.5, 46.45), (6.2, 46.35),
              (6.2, 46.6), (6.9, 47.1), (7.0, 47.3), (7.2, 47.35), (7.5, 47.45), (8.3, 47.5), (8.6, 47.6)),
    ),
    Service(
        "ign",
        "https://data.geopf.fr/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=ORTHOIMAGERY.ORTHOPHOTOS"
        "&STYLE=normal&FORMAT=image/jpeg&TILEMATRIXSET=PM&TILEMATRIX={z}&TILEROW={y}&TILECOL={x}",
        finest=19, attribution="© IGN, BD ORTHO",
        terms="said to be Licence Ouverte 2.0: check https://cartes.gouv.fr",
        read="2026-11-26",
        area=((6.2, 49.3), (6.6, 49.1), (7.8, 48.9), (7.5, 48.4), (7.3, 47.7), (6.7, 47.7), (6.6, 47.4), (5.9, 46.7),
              (5.9, 46.3), (5.8, 46.1), (6.7, 45.95), (6.7, 45.7), (6.9, 45.4), (6.6, 45.0), (6.9, 44.2), (7.4, 43.9),
              (7.38, 43.72), (7.3, 43.4), (6.4, 42.9), (4.6, 43.1), (3.2, 42.8), (2.9, 42.6), (1.8, 42.55), (0.7, 42.9),
              (0.3, 42.8), (-1.4, 43.2), (-1.7, 43.45), (-1.7, 44.7), (-2.5, 46.1), (-3.4, 47.2), (-5.2, 47.8),
              (-5.2, 48.7), (-3.3, 49.0), (-2.2, 48.8), (-2.0, 49.75), (0.0, 49.8), (1.3, 50.3), (1.5, 50.95),
              (2.4, 51.05), (2.6, 50.7), (3.1, 50.6), (4.1, 49.85), (4.8, 49.8), (5.8, 49.35)),
    ),
    Service(
        "pdok", "https://service.pdok.nl/hwh/luchtfotorgb/wmts/v1_0/Actueel_orthoHR/EPSG:3857/{z}/{x}/{y}.jpeg",
        finest=19, attribution="Beeldmateriaal Nederland, PDOK", terms="said to be CC BY 4.0: check https://www.pdok.nl",
        read="2026-11-26",
        area=((3.4, 51.45), (3.9, 52.0), (4.5, 53.1), (5.3, 53.5), (6.8, 53.5), (7.0, 53.1), (6.8, 52.3), (6.5, 51.95),
              (5.95, 51.85), (6.1, 51.2), (5.95, 50.85), (5.75, 50.87), (5.85, 51.2), (5.0, 51.55), (4.3, 51.5),
              (3.7, 51.4)),
    ),
    Service(
        "naip", "https://imagery.nationalmap.gov/arcgis/services/USGSNAIPPlus/ImageServer/WMSServer"
        "?layers=USGSNAIPPlus:NaturalColor", "wms",
        finest=18, attribution="USDA NAIP, USGS The National Map",
        terms="said to be public domain: check https://apps.nationalmap.gov/services/", read="2026-11-26",
        area=((-124.9, 48.2), (-123.2, 48.15), (-122.7, 48.95), (-95.3, 48.95), (-94.4, 48.6), (-92.6, 48.2),
              (-89.3, 47.8), (-88.4, 48.1), (-85.0, 46.7), (-84.5, 46.3), (-83.5, 45.8), (-82.6, 45.2), (-82.6, 43.0),
              (-83.2, 42.0), (-82.7, 41.7), (-79.0, 42.7), (-79.1, 43.3), (-76.8, 43.5), (-75.0, 44.8), (-71.5, 44.95),
              (-70.4, 45.8), (-69.2, 47.3), (-67.9, 47.0), (-67.9, 45.7), (-67.1, 44.9), (-69.5, 41.0), (-74.0, 38.0),
              (-75.0, 34.9), (-80.0, 30.0), (-79.9, 25.0), (-82.0, 24.4), (-84.0, 28.0), (-90.0, 28.8), (-96.9, 27.5),
              (-97.1, 26.05), (-98.9, 26.5), (-99.4, 27.6), (-100.2, 28.4), (-100.9, 29.6), (-101.6, 29.9),
              (-102.5, 29.9), (-103.2, 29.1), (-104.4, 29.8), (-105.0, 30.8), (-106.4, 31.9), (-108.3, 31.9),
              (-108.3, 31.45), (-111.0, 31.5), (-114.6, 32.6), (-117.1, 32.6), (-118.8, 33.4), (-121.0, 34.3),
              (-123.0, 37.5), (-125.0, 40.3)),
    ),
)


def find_service(source: str | None, box: tuple[float, float, float, float]) -> Service:
    """The service of a name or an address; without one, that of our table which surely covers the box.

    Args:
        source: a name of `TABLE`, a name of xyzservices ("Esri.WorldImagery"), or an address: of tiles, with {z} {x}
            {y} (or {-y}, {s}); of a WMS, with `layers=`; of a WMTS document, with `layer=`. A key stands as {MY_KEY},
            the name of an environment variable.
        box: (west, south, east, north) in degrees.

    Raises:
        PlaceError: if no service is certain, or the source cannot be understood.
    """
    if source is None:
        found = next((service for service in TABLE if service.covers(box)), None)
        if found is None:
            raise PlaceError(
                f"no provider of our list ({', '.join(s.name for s in TABLE)}) is certain to cover {_degrees(box)}"
                f"{_swapped(box, TABLE)}; name one with source=, for example the address of tiles with {{z}} {{x}} "
                f"{{y}}, or of a WMS")
        return found
    if not isinstance(source, str) or not source:
        raise PlaceError(f"source={source!r} must be a name or an address, in quotes; leave it out for one of our list")
    if "://" in source:
        return _of_address(_as_ours(source))
    ours = next((service for service in TABLE if service.name == source.lower()), None)
    if ours and not ours.covers(box) and (hint := _swapped(box, (ours,))):
        raise PlaceError(f"{ours.name} has nothing at {_degrees(box)}{hint}")
    return ours or _of_list(source)


def _swapped(box: tuple[float, float, float, float], services: Sequence[Service]) -> str:
    """What to say of a box that one of some services would cover if its axes were swapped; "" of others."""
    west, south, east, north = box
    if max(abs(west), abs(east)) > 90 or not any(s.covers((south, west, north, east)) for s in services):
        return ""
    return " - longitude comes first, and here they seem to be swapped"


def _degrees(box: Sequence[float]) -> str:
    return "({:.4f}, {:.4f}, {:.4f}, {:.4f})".format(*box)


def _of_list(name: str) -> Service:
    """A service of xyzservices."""
    import xyzservices  # takes a second

    try:
        known = xyzservices.providers.query_name(name)
    except ValueError as error:
        raise PlaceError(f"source {name!r} is unknown; choose from {', '.join(s.name for s in TABLE)}, take a name of "
                         f"xyzservices, or give an address with {{z}}, {{x}} and {{y}}") from error
    if known.requires_token():
        raise PlaceError(f"{known.name} needs a key: give source= its address with the name of an environment variable "
                         f"in the key's place, such as {_without_key(known)}")
    address = known.build_url(fill_subdomain=True)
    return replace(_of_address(address), name=known.name, attribution=known.get("attribution", ""),
                   finest=min(known.get("max_zoom", FINEST), FINEST))


def _without_key(known: Mapping[str, Any]) -> str:
    """The address of a provider with {MY_KEY} where its key goes."""
    text = known["url"]
    for name, value in known.items():
        if name not in ("url", "name"):
            text = text.replace(f"{{{name}}}", "{MY_KEY}" if "<insert your" in str(value) else str(value))
    return text


def _as_ours(address: str) -> str:
    """An address as other programs write it, with our placeholders.

    They are those of OpenStreetMap's editors and of templates in JavaScript, and the names of a WMTS document.
    """
    address = re.sub(r"\{switch:([^,{}]*)[^{}]*\}", r"\1", address.replace("${", "{"))
    for theirs, ours in OTHER_WORDS.items():
        address = re.sub(rf"\{{{theirs}\}}", f"{{{ours}}}", address, flags=re.IGNORECASE)
    return address


def _of_address(address: str) -> Service:
    """A service of an address, named after its host."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise PlaceError(f"{address!r} is not an address of a service: {error}") from error
    query = {name.lower(): values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    secret = open_secret(address)
    if secret:
        raise PlaceError(f"the address holds a {secret}, which would be written into files; put it into an environment "
                         f"variable, and that variable's name into the address, as {secret}={{MY_KEY}}")
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise PlaceError(f"{address!r} is not an address of a service; it starts with https://")
    if "{z}" in address and "{x}" in address and ("{y}" in address or "{-y}" in address):
        return Service(host, address.replace("{s}", "a").replace("{r}", ""))
    if query.get("layers"):
        return Service(host, _without_window(address), "wms")
    if "layer" in query or "wmts" in address.lower():
        return Service(host, address, "wmts")
    raise PlaceError(f"{address!r} is neither an address of tiles, with {{z}}, {{x}} and {{y}}, nor of a WMS, with "
                     f"layers=..., nor of a WMTS document, with layer=...")


def zoom_for(gsd: float, latitude: float, finest: int) -> int:
    """The coarsest zoom whose pixels are no larger on the ground than `gsd` metres (a tenth is let pass)."""
    return min(finest, max(0, math.ceil(math.log2(2 * HALF / TILE * math.cos(math.radians(latitude)) / (gsd * 1.1)))))


def ground_pixel(zoom: int, latitude: float) -> float:
    """Metres on the ground of a pixel of a tile."""
    return 2 * HALF / TILE / 2**zoom * math.cos(math.radians(latitude))


def tile_range(box: tuple[float, float, float, float], zoom: int) -> tuple[int, int, int, int]:
    """(first column, first row, last column, last row) of the tiles under (west, south, east, north) in degrees."""
    west, south, east, north = box
    return (*_tile(west, north, zoom), *_tile(east, south, zoom))


def _tile(lon: float, lat: float, zoom: int) -> tuple[int, int]:
    """(column, row) of the tile that holds a point."""
    across = (lon + 180) / 360
    down = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return tuple(min(2**zoom - 1, max(0, math.floor(share * 2**zoom))) for share in (across, down))


def gdal_text(service: Service, zoom: int, cache: str) -> str:
    """The description that GDAL opens, with keys: it stays in memory.

    Four bands: where a tile is missing, the fourth is 0. Tiles that the service has not (204, 404) are missing; any
    other answer than an image is an error.
    """
    address = with_keys(service.address)
    patience = escape(os.environ.get("GDAL_HTTP_TIMEOUT", PATIENCE))
    common = (f"<BandsCount>4</BandsCount><MaxConnections>{CONNECTIONS}</MaxConnections><Timeout>{patience}</Timeout>"
              f"<ZeroBlockHttpCodes>204,404</ZeroBlockHttpCodes>"
              f"<UserAgent>{escape(AGENT)}</UserAgent><Cache><Path>{escape(cache)}</Path><Type>file</Type>"
              f"<Depth>2</Depth><Expires>{FOR_EVER}</Expires></Cache>")
    if service.form == "wmts":
        return _wmts_text(address, zoom, common)
    rows = "bottom" if "{-y}" in address else "top"
    window = (f"<DataWindow><UpperLeftX>{-HALF!r}</UpperLeftX><UpperLeftY>{HALF!r}</UpperLeftY>"
              f"<LowerRightX>{HALF!r}</LowerRightX><LowerRightY>{-HALF!r}</LowerRightY><TileLevel>{zoom}</TileLevel>"
              f"<TileCountX>1</TileCountX><TileCountY>1</TileCountY><YOrigin>{rows}</YOrigin>"
              f"<SizeX>{TILE * 2**zoom}</SizeX><SizeY>{TILE * 2**zoom}</SizeY></DataWindow>")
    inside = _tms_text(address) if service.form == "xyz" else _wms_text(address)
    return (f"<GDAL_WMS>{inside}{window}<Projection>EPSG:3857</Projection><BlockSizeX>{TILE}</BlockSizeX>"
            f"<BlockSizeY>{TILE}</BlockSizeY><OverviewCount>0</OverviewCount>{common}</GDAL_WMS>")


def _tms_text(address: str) -> str:
    """Tiles by number, in GDAL's placeholders."""
    server = re.sub(r"\{-?([xyz])\}", r"${\1}", address)
    return f'<Service name="TMS"><ServerUrl>{escape(server)}</ServerUrl></Service>'


def _without_window(address: str) -> str:
    """The address of a WMS without what is said anew for each window, as {bbox}, which is no name of a key."""
    parts = urlsplit(address)
    kept = [part for part in parts.query.split("&") if part.partition("=")[0].lower() not in OF_A_WINDOW]
    return urlunsplit((*parts[:3], "&".join(kept), ""))


def _wms_text(address: str) -> str:
    """GetMap of a WMS: its layers from the address, PNG with a transparent ground unless the address says otherwise."""
    parts = urlsplit(_without_window(address))
    asked = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    own = {name.lower(): asked.pop(name) for name in list(asked) if name.lower() in ("layers", "format", "styles")}
    layers, form, styles = own["layers"], own.get("format") or "image/png", own.get("styles", "")
    server = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(asked), "")) + ("&" if asked else "?")
    return (f'<Service name="WMS"><Version>1.1.1</Version><ServerUrl>{escape(server)}</ServerUrl><SRS>EPSG:3857</SRS>'
            f"<ImageFormat>{escape(form)}</ImageFormat><Layers>{escape(layers)}</Layers><Styles>{escape(styles)}"
            f"</Styles><Transparent>TRUE</Transparent><BBoxOrder>xyXY</BBoxOrder></Service>")


def _wmts_text(address: str, zoom: int, common: str) -> str:
    """A WMTS by its document; `layer=` of the address chooses the layer."""
    parts = urlsplit(address)
    asked = parse_qs(parts.query, keep_blank_values=True)
    layer = next((values[0] for name, values in asked.items() if name.lower() == "layer"), "")
    kept = {name: values for name, values in asked.items() if name.lower() != "layer"}
    document = urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(kept, doseq=True), ""))
    chosen = f"<Layer>{escape(layer)}</Layer>" if layer else ""
    return (f"<GDAL_WMTS><GetCapabilitiesUrl>{escape(document)}</GetCapabilitiesUrl>{chosen}"
            f"<ZoomLevel>{zoom}</ZoomLevel>{common}</GDAL_WMTS>")
