"""Two known scenes with predictions whose every error is known, for the tests of the error explorer and the report.

At the threshold of 0.6 each scene has two errors: its second roof is missed (2000 px of 0.25 m2 are 500 m2, p = 0.5),
and there is a false alarm of 20 x 20 px, 100 m2, p = 0.8. The first roof is found, to the pixel.
"""

from pathlib import Path

import numpy as np

from jointnet.data.raster import write_raster
from jointnet.data.scene import Dataset
from tests.show.known_scene import UTM33, draw_scene, known_probability

THRESHOLD = 0.6


def write_known(folder: Path, crs=UTM33, names=("vienna1", "vienna2")) -> tuple[Dataset, Path]:
    """The scenes, and the folder of their predictions."""
    scenes = tuple(draw_scene(folder, crs, name) for name in names)
    probability = known_probability()
    for scene in scenes:
        stem = str(folder / "predictions" / scene.name)
        write_raster(f"{stem}_mask.tif", ((probability >= THRESHOLD) * 255).astype(np.uint8), scene.info)
        write_raster(f"{stem}_probability.tif", np.rint(probability * 254).astype(np.uint8), scene.info, nodata=255)
    return Dataset("known", scenes), folder / "predictions"
