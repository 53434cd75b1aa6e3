"""A local server that breaks and lies on demand, and small datasets in the layouts of the real ones."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import from_origin

from jointnet.data.raster import Grid, write_raster
from tests.loopback import Loopback


class Server(Loopback):
    """Serves `files`, path -> bytes. Each request takes the next of `faults`: a status, or a word of `Handler`."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.pages: dict[str, str] = {}
        self.redirects: dict[str, tuple[str, dict]] = {}
        self.faults: deque = deque()
        self.ranges: list[str | None] = []  # what each request for a file asked for
        self.stalled = threading.Event()
        self.go_on = threading.Event()
        super().__init__(Handler)

    def close(self) -> None:
        self.go_on.set()
        super().close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Server

    def do_GET(self):
        if self.path in self.state.redirects:
            target, headers = self.state.redirects[self.path]
            return self.answer(302, b"", {"Location": f"{self.state.url}{target}"} | headers)
        if self.path in self.state.pages:
            return self.answer(200, self.state.pages[self.path].encode(), {"Content-Type": "text/html"})
        fault = self.state.faults.popleft() if self.state.faults else None
        self.state.ranges.append(self.headers.get("Range"))
        if isinstance(fault, int):
            return self.answer(fault, b"", {"Retry-After": "7"} if fault == 429 else {})
        if self.path not in self.state.files:
            return self.answer(404, b"")
        return self.send_file_part(self.state.files[self.path], fault)

    def send_file_part(self, whole: bytes, fault):
        tag = f'"{hashlib.md5(whole, usedforsecurity=False).hexdigest()}"'
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if fault in ("no ranges", "no ranges, drop") or self.headers.get("If-Range", tag) != tag:
            start = 0
        if start >= len(whole) > 0:
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(whole)}"})
        body = whole[start:]
        if fault == "corrupt":
            body = bytes([body[0] ^ 255]) + body[1:]
        headers = {"ETag": tag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        if fault == "web page":
            return self.answer(200, b"<html>please log in</html>", {"Content-Type": "text/html; charset=utf-8"})
        if fault == "short":
            return self.answer(206 if start else 200, body[: len(body) // 2], headers)
        if fault in ("drop", "stall", "no ranges, drop"):
            self.answer(206 if start else 200, body[: len(body) // 2], headers, promised=len(body))
            if fault == "stall":
                self.wfile.flush()
                self.state.stalled.set()
                self.state.go_on.wait(30)
            self.close_connection = True
            return None
        return self.answer(206 if start else 200, body, headers)

    def answer(self, status, body, headers=None, promised=None):
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    yield running
    running.close()


@pytest.fixture
def draw_tile():
    """Writes a small image, or a mask, with a real CRS: draw_tile(path, side=8, value=120, bands=3, origin=...)."""

    def draw(path, side=8, value=120, bands=3, origin=(620_000.0, 3_350_000.0), crs=32614, gsd=0.3, tags=None):
        grid = Grid(side, side, bands, "uint8", CRS.from_epsg(crs), from_origin(*origin, gsd, gsd))
        shape = (side, side, bands) if bands > 1 else (side, side)
        return write_raster(path, np.full(shape, value, np.uint8), grid, tags=tags)

    return draw
