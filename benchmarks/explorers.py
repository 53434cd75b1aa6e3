"""How fast SceneExplorer answers a hand: from a new threshold to its picture, in a real Chromium.

    python benchmarks/explorers.py [side ...]

Prints, for scenes of each side in pixels: seconds until Python has made the explorer, megabytes sent, and
the median and slowest time in milliseconds from setting a threshold to the frame that shows it.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright
from scipy.ndimage import gaussian_filter

from jointnet.data.raster import Affine, Grid, write_raster
from jointnet.data.scene import Scene
from jointnet.show.widgets import SceneExplorer

TIMES = 25
CLOCK = """
async (times) => {
  const model = window.jointnet.model, root = document.querySelector('.jn-scene'), found = [];
  for (let i = 0; i < times; i++) {
    const drawn = root.dataset.drawn, start = performance.now();
    model.set('threshold', 0.2 + 0.6 * (i % 10) / 10 + 0.001 * i);
    while (root.dataset.drawn === drawn) await new Promise(requestAnimationFrame);
    // reading one pixel waits until the canvas is really painted
    document.querySelector('.jn-stage canvas').getContext('2d').getImageData(0, 0, 1, 1);
    found.push(performance.now() - start);
  }
  return found;
}
"""


def draw(folder: Path, side: int) -> tuple[Scene, np.ndarray]:
    """A noisy scene with blocks for buildings, and a smooth probability for it."""
    rng = np.random.default_rng(side)
    coarse = rng.random((side // 32 + 1, side // 32 + 1)) > 0.7
    truth = coarse.repeat(32, 0).repeat(32, 1)[:side, :side].astype(np.uint8)
    image = np.clip(90 + 80 * truth[..., None] + rng.normal(0, 20, (side, side, 3)), 0, 255).astype(np.uint8)
    probability = np.clip(gaussian_filter(truth.astype(np.float32), 6) + rng.normal(0, 0.05, (side, side)), 0, 1)
    grid = Grid(side, side, 3, "uint8", None, Affine.identity())
    write_raster(folder / f"{side}.tif", image, grid)
    write_raster(folder / f"{side}_gt.tif", truth * np.uint8(255), grid)
    scene = Scene(f"{side} px", folder / f"{side}.tif", labels={"buildings": folder / f"{side}_gt.tif"}, gsd_hint=0.3)
    return scene, probability.astype(np.float32)


def measure(browser, folder: Path, side: int) -> str:
    """One line of the table."""
    scene, probability = draw(folder, side)
    start = time.perf_counter()
    explorer = SceneExplorer(scene, probability=probability)
    made = time.perf_counter() - start
    sent = sum(len(v) for v in (explorer.image, explorer.probability, explorer.truth)) / 1e6
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(explorer.to_html(folder / f"{side}.html").as_uri())
    page.wait_for_selector(".jn[data-ready=true]", timeout=60_000)
    times = page.evaluate(CLOCK, TIMES)[3:]
    page.close()
    return f"{side:>6} {made:>8.2f} {sent:>8.1f} {statistics.median(times):>10.0f} {max(times):>10.0f}"


def main() -> None:
    """Prints the table."""
    sides = [int(a) for a in sys.argv[1:]] or [2048]
    print(f"{'side':>6} {'made s':>8} {'sent MB':>8} {'median ms':>10} {'slowest ms':>10}", flush=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = shutil.which(os.environ.get("JOINTNET_CHROMIUM", "chromium"))
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for side in sides:
            print(measure(browser, Path(folder), side), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
