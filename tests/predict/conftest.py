"""Networks of one line, and scenes drawn small, for the tests of prediction."""

import numpy as np
import pytest

from jointnet.data.raster import Grid, write_raster


def brightness(windows):
    """A network whose answer is the mean of the bands: (n, size, size, bands) -> (n, size, size, 1)."""
    return windows.astype(np.float32).mean(axis=-1, keepdims=True) / 255


@pytest.fixture
def network():
    return brightness


@pytest.fixture
def grid():
    """120 x 200 px of 0.5 m in UTM zone 33."""
    from rasterio.crs import CRS
    from rasterio.transform import Affine

    return Grid(200, 120, 3, "uint8", CRS.from_epsg(32633), Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000))


@pytest.fixture
def image(grid):
    """Smooth hills of brightness from 1 to 255, never all-zero: uint8 (120, 200, 3)."""
    y, x = np.mgrid[: grid.height, : grid.width]
    hills = 128 + 127 * np.sin(x / 23) * np.cos(y / 17)
    return np.stack([np.clip(hills + shift, 1, 255) for shift in (-5, 0, 5)], axis=-1).astype(np.uint8)


@pytest.fixture
def scene_path(tmp_path, grid, image):
    """The image as a GeoTIFF."""
    return write_raster(tmp_path / "town.tif", image, grid)
