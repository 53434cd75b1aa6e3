"""A provider of imagery on this machine: tiles, WMS, WMTS and files, cut from one GeoTIFF, with faults on demand."""

from __future__ import annotations

import io
import math
import re
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import numpy as np
import pyproj
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_bounds
from rasterio.vrt import WarpedVRT
from scipy.ndimage import gaussian_filter

from jointnet.data.raster import Grid, write_raster

SIDE = 500  # of the original, in pixels of 0.3 m
HALF = math.pi * 6_378_137.0  # of the Web Mercator square, in metres
TILE = re.compile(r"/tiles/(\d+)/(\d+)/(\d+)$")


def draw_original(folder, lon=11.39, lat=47.26, gsd=0.3):
    """A GeoTIFF of smooth noise on its UTM grid, and the middle of it as (longitude, latitude)."""
    zone = f"EPSG:{32600 + int((lon + 180) // 6) + 1}"
    x, y = pyproj.Transformer.from_crs("EPSG:4326", zone, always_xy=True).transform(lon, lat)
    corner = round(x / gsd) * gsd - SIDE / 2 * gsd, round(y / gsd) * gsd + SIDE / 2 * gsd
    noise = gaussian_filter(np.random.default_rng(7).normal(size=(SIDE, SIDE, 3)), (2, 2, 0))
    pixels = np.clip(128 + noise * 300, 1, 254).astype(np.uint8)
    grid = Grid(SIDE, SIDE, 3, "uint8", CRS.from_string(zone), Affine(gsd, 0, corner[0], 0, -gsd, corner[1]))
    return write_raster(folder / "original.tif", pixels, grid)


class Loopback:
    """A server on this machine, in a thread of its own; a handler finds it as `state`."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]):
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (handler,), {"state": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class Provider(Loopback):
    """Serves `raster` under /tiles/z/x/y, /wms and /wmts.xml, and `files`, path -> bytes, with byte ranges.

    Attributes:
        requests: path and query of every request.
        fault: None, or a function of a path that gives None, a status, "html", "grey", or seconds to wait.
        flipped: True counts tile rows from the south, as TMS does.
    """

    def __init__(self, raster: str | Path | None = None):
        self.raster, self.files = raster, {}
        self.requests: list[str] = []
        self.agents: Counter = Counter()
        self.fault = None
        self.flipped = False
        self._cut: dict[tuple, bytes | None] = {}
        self._lock = threading.Lock()
        super().__init__(_Handler)

    @property
    def tiles(self) -> str:
        """The address template of the tiles."""
        return self.url + "/tiles/{z}/{x}/{y}"

    @property
    def wms(self) -> str:
        return self.url + "/wms?layers=photo"

    def tile(self, z: int, x: int, y: int) -> bytes | None:
        """PNG of a tile, None outside the raster."""
        side = 2 * HALF / 2**z
        left, top = -HALF + x * side, HALF - y * side
        return self.picture((left, top - side, left + side, top), 256, 256)

    def picture(self, box: tuple[float, ...], width: int, height: int) -> bytes | None:
        """PNG of a box in Web Mercator metres, None outside the raster."""
        key = (*box, width, height)
        with self._lock:
            if key not in self._cut:
                self._cut[key] = _cut(self.raster, box, width, height)
            return self._cut[key]

    def capabilities(self, finest: int = 19) -> str:
        """A WMTS document with one layer, in the square of Web Mercator."""
        matrices = "".join(
            f"<TileMatrix><ows:Identifier>{z}</ows:Identifier><ScaleDenominator>{2 * HALF / 256 / 2**z / 0.00028:.10f}"
            f"</ScaleDenominator><TopLeftCorner>{-HALF} {HALF}</TopLeftCorner><TileWidth>256</TileWidth>"
            f"<TileHeight>256</TileHeight><MatrixWidth>{2**z}</MatrixWidth><MatrixHeight>{2**z}</MatrixHeight></TileMatrix>"
            for z in range(finest + 1))
        return (
            '<?xml version="1.0"?><Capabilities xmlns="http://www.opengis.net/wmts/1.0" '
            'xmlns:ows="http://www.opengis.net/ows/1.1" xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0.0">'
            "<Contents><Layer><ows:Title>photo</ows:Title><ows:Identifier>photo</ows:Identifier>"
            '<Style isDefault="true"><ows:Identifier>default</ows:Identifier></Style><Format>image/png</Format>'
            "<TileMatrixSetLink><TileMatrixSet>web</TileMatrixSet></TileMatrixSetLink>"
            f'<ResourceURL format="image/png" resourceType="tile" template="{self.url}/tiles/{{TileMatrix}}/'
            '{TileCol}/{TileRow}"/></Layer><TileMatrixSet><ows:Identifier>web</ows:Identifier>'
            f"<ows:SupportedCRS>urn:ogc:def:crs:EPSG::3857</ows:SupportedCRS>{matrices}</TileMatrixSet></Contents>"
            "</Capabilities>")


def _cut(raster, box, width: int, height: int) -> bytes | None:
    """PNG of a part of a raster, transparent where it ends."""
    transform = from_bounds(*box, width, height)
    with rasterio.open(raster) as dataset, WarpedVRT(
        dataset, crs="EPSG:3857", transform=Affine(*transform[:6]), width=width, height=height,
        resampling=Resampling.cubic, add_alpha=True,
    ) as warped:
        pixels = np.moveaxis(warped.read(), 0, -1)
    if not pixels[..., -1].any():
        return None
    return encode(pixels)


def encode(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


GREY = encode(np.full((256, 256, 3), 204, np.uint8))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Provider

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        state = self.state
        with state._lock:
            state.requests.append(self.path)
            state.agents[self.headers.get("User-Agent", "")] += 1
        fault = state.fault(self.path) if state.fault else None
        if fault == "html":
            return self.answer(200, b"<html>please log in</html>", "text/html")
        if fault == "grey":
            return self.answer(200, GREY, "image/png")
        if isinstance(fault, float):
            time.sleep(fault)
        elif isinstance(fault, int):
            return self.answer(fault, b"")
        parts = urlparse(self.path)
        found = TILE.match(parts.path)
        if found:
            z, x, y = map(int, found.groups())
            return self.picture(state.tile(z, x, 2**z - 1 - y if state.flipped else y))
        if parts.path == "/wms":
            query = {k.lower(): v[0] for k, v in parse_qs(parts.query).items()}
            box = tuple(map(float, query["bbox"].split(",")))
            return self.picture(state.picture(box, int(query["width"]), int(query["height"])))
        if parts.path == "/wmts.xml":
            return self.answer(200, state.capabilities().encode(), "application/xml")
        if parts.path in state.files:
            return self.part(state.files[parts.path])
        return self.answer(404, b"")

    def picture(self, data: bytes | None):
        return self.answer(404, b"") if data is None else self.answer(200, data, "image/png")

    def part(self, whole: bytes):
        """A file, or the bytes of it that are asked for."""
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not asked:
            return self.answer(200, whole, headers={"Accept-Ranges": "bytes"})
        start, stop = int(asked[1]), min(int(asked[2] or len(whole) - 1), len(whole) - 1) + 1
        if start >= len(whole):
            return self.answer(416, b"")
        return self.answer(206, whole[start:stop], headers={"Content-Range": f"bytes {start}-{stop - 1}/{len(whole)}"})

    def answer(self, status: int, body: bytes, form: str = "application/octet-stream", headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": form, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):  # who asked may be gone
                self.wfile.write(body)

    def log_message(self, *_):
        pass
