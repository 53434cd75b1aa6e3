"""Small georeferenced scenes with labels and predictions, written as the package writes them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from rasterio.crs import CRS
from rasterio.transform import Affine

from jointnet.data.raster import Grid, write_raster
from jointnet.data.scene import Dataset, Scene

settings.register_profile("without_deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("without_deadline")


def grid_of(shape, gsd=0.5, epsg=32633):
    """A grid with its top left corner at (500000, 5300000) metres."""
    crs = CRS.from_epsg(epsg) if epsg else None
    transform = Affine(gsd, 0, 500_000, 0, -gsd, 5_300_000) if epsg else Affine.identity()
    return Grid(shape[1], shape[0], 3, "uint8", crs, transform)


@pytest.fixture
def make_grid():
    """A grid with its top left corner at (500000, 5300000) metres: `make_grid(shape, gsd=0.5, epsg=32633)`."""
    return grid_of


@pytest.fixture
def make_scene(tmp_path):
    """Writes an image and its labels; the image is mid-grey where `image` is not given."""

    def make(name, truth, city="city", image=None, class_name="buildings", grid=None, **options) -> Scene:
        shape = image.shape[:2] if truth is None else truth.shape
        grid = grid or grid_of(shape)
        image = np.full((*shape, 3), 120, np.uint8) if image is None else image
        labels = {}
        if truth is not None:
            labels[class_name] = write_raster(tmp_path / f"{name}_labels.tif", truth.astype(np.uint8) * 255, grid)
        return Scene(name, write_raster(tmp_path / f"{name}.tif", image, grid), city, labels=labels, **options)

    return make


@pytest.fixture
def make_prediction(tmp_path):
    """Writes a mask, probabilities or both for a scene into one folder and returns the folder."""

    def make(scene, mask=None, probability=None, grid=None) -> Path:
        grid = grid or scene.info
        folder = tmp_path / "predictions"
        if mask is not None:
            write_raster(folder / f"{scene.name}_mask.tif", mask.astype(np.uint8) * 255, grid)
        if probability is not None:
            codes = np.rint(np.asarray(probability) * 254).astype(np.uint8)
            write_raster(folder / f"{scene.name}_probability.tif", codes, grid, nodata=255)
        return folder

    return make


@pytest.fixture
def dataset_of():
    """A dataset of the scenes given."""
    return lambda *scenes: Dataset("toy", scenes)
