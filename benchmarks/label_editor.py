"""How fast LabelEditor answers a hand with many polygons: from a move, a choice and an edit to the frame that shows it.

    python benchmarks/label_editor.py [polygons ...]

Prints for each number of polygons, over a scene of 2,048 px that is seen whole: the median and the slowest time in
milliseconds from a step of the view, from a choice and from a move of the hand to the painted frame, in a real
Chromium; the same, in Python, from an edit to a file on disk that has it; and that file's size in kilobytes.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from playwright.sync_api import sync_playwright

from jointnet import LabelEditor
from jointnet.data.raster import Affine, Grid, write_raster

SIDE, TIMES = 2048, 25
CLOCK = """
async ([what, times]) => {
  const canvas = document.querySelector('.jn-stage canvas'), over = document.querySelector('.jn-over'), found = [];
  const box = canvas.getBoundingClientRect(), model = window.jointnet.model;
  const hand = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
    clientX: x, clientY: y, bubbles: true, isPrimary: true, pointerId: 1, button: 0 }));
  canvas.setPointerCapture = () => {};
  for (let i = 0; i < times; i++) {
    const x = box.x + 300 + 11 * i, y = box.y + 100 + 7 * i, start = performance.now();
    if (what === 'pan') model.set('view', [1024 + i, 1024 + i, 2400 - i]);
    else if (what === 'choose') { hand('pointerdown', x, y); hand('pointerup', x, y); }
    else hand('pointermove', x, y);
    await new Promise(requestAnimationFrame);
    await new Promise((r) => { requestAnimationFrame(r); });
    over.getContext('2d').getImageData(0, 0, 1, 1); // waits until it is really painted
    found.push(performance.now() - start);
  }
  return found;
}
"""


def houses(count: int) -> gpd.GeoDataFrame:
    """Houses of six corners, evenly over the scene, in pixels."""
    house = shapely.Polygon([(0, 0), (16, 0), (16, 10), (9, 10), (9, 14), (0, 14)])
    side = int(np.ceil(np.sqrt(count)))
    places = [divmod(i, side) for i in range(count)]
    step = SIDE / side
    return gpd.GeoDataFrame(geometry=[shapely.affinity.translate(house, c * step, r * step) for r, c in places])


def measure(browser, folder: Path, count: int) -> str:
    """One line of the table."""
    image = np.random.default_rng(0).integers(60, 200, (SIDE, SIDE, 3)).astype(np.uint8)
    write_raster(folder / "town.tif", image, Grid(SIDE, SIDE, 3, "uint8", None, Affine.identity()))
    editor = LabelEditor(folder / "town.tif", houses(count), folder / f"{count}.gpkg")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(editor.to_html(folder / f"{count}.html").as_uri())
    page.wait_for_selector(".jn-labels[data-ready=true]", timeout=60_000)
    times = [page.evaluate(CLOCK, [what, TIMES])[3:] for what in ("pan", "choose", "move")]
    page.close()
    saved = []
    for number in range(TIMES):
        start = time.perf_counter()
        editor._apply(lambda number=number: editor.editor.reshape(number, [[(0, 0), (9, 0), (9, 9 + number), (0, 9)]]))
        saved.append(1000 * (time.perf_counter() - start))
    shown = " ".join(f"{statistics.median(t):>8.0f} {max(t):>7.0f}" for t in (*times, saved))
    return f"{count:>8} {shown} {editor.path.stat().st_size / 1000:>8.0f}"


def main() -> None:
    """Prints the table."""
    counts = [int(a) for a in sys.argv[1:]] or [2_000]
    heads = " ".join(f"{name:>8} {'most':>7}" for name in ("view", "choose", "hand", "edit"))
    print(f"{'polygons':>8} {heads} {'kB':>8}", flush=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = shutil.which(os.environ.get("JOINTNET_CHROMIUM", "chromium"))
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for count in counts:
            print(measure(browser, Path(folder), count), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
