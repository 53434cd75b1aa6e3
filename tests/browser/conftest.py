"""A real Chromium, pages that it may open, and a record of every request and complaint."""

import base64
import io
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image

from tests.show.known_scene import draw_scene, known_polygons, known_probability

SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars"]


def find_chromium() -> str | None:
    """The browser: JOINTNET_CHROMIUM, or the first that the system has."""
    named = os.environ.get("JOINTNET_CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "chrome"]
    return next((path for path in map(shutil.which, names) if path), None)


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium found; install it, or name it in JOINTNET_CHROMIUM")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@dataclass
class Watched:
    """A page with what it asked for and what it complained about."""

    page: object
    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def canvas(self, selector: str = ".jn-stage canvas") -> np.ndarray:
        """uint8 (height, width, 4): the pixels of a canvas."""
        url = self.page.eval_on_selector(selector, "c => c.toDataURL('image/png')")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGBA"))

    def shot(self, name: str) -> Path:
        """A screenshot in build/screenshots."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")
        return SHOTS / f"{name}.png"

    def get(self, trait: str):
        """A trait of the explorer of a standalone page."""
        return self.page.evaluate(f"window.jointnet.model.get('{trait}')")


def watch(page) -> Watched:
    """Refuses and records every request that leaves this machine, and records errors."""
    watched = Watched(page)

    def route(handler):
        parts = urlparse(handler.request.url)
        if parts.scheme in ("data", "blob", "file") or parts.hostname in ("127.0.0.1", "localhost"):
            handler.continue_()
        else:
            watched.outside.append(handler.request.url)
            handler.abort()

    page.route("**/*", route)
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on("console", lambda m: watched.complaints.append(m.text) if m.type == "error" else None)
    return watched


@pytest.fixture
def open_page(browser, tmp_path):
    """A function that saves an explorer as a page and opens it; afterwards it must have been quiet."""
    opened = []

    def open_one(explorer, width=1280, height=900, dark=False):
        path = explorer.to_html(tmp_path / f"page{len(opened)}.html")
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        watched = watch(context.new_page())
        opened.append((context, watched))
        watched.page.goto(path.as_uri())
        watched.page.wait_for_selector(".jn[data-ready=true]", timeout=15_000)
        return watched

    yield open_one
    for context, watched in opened:
        context.close()
        assert watched.outside == []
        assert watched.complaints == []


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    """The known scene, 120 x 160 px."""
    return draw_scene(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="session")
def probability():
    """The known probability."""
    return known_probability()


@pytest.fixture(scope="session")
def polygons():
    """The known outlines."""
    return known_polygons()


def read_shot(path: Path) -> np.ndarray:
    """uint8 (height, width, 3) of a screenshot."""
    return np.asarray(Image.open(path).convert("RGB"))
