"""A folder of predictions is shown by what its files say."""

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

from jointnet.data.raster import Grid, write_raster
from jointnet.predict.scenes import predict_scene
from jointnet.predict.settings import Settings
from jointnet.show.predicted import explore, write_pages

SITE = CRS.from_wkt('LOCAL_CS["site",UNIT["foot",0.3048],AXIS["Easting",EAST],AXIS["Northing",NORTH]]')


def network(windows):
    """What is bright is a building."""
    return windows[..., :1].astype(np.float32) / 255


network.card = Settings(bands=3, classes=("buildings",), patch_size=32)


@pytest.mark.parametrize("crs", [CRS.from_epsg(32633), SITE])
def test_polygons_lie_on_their_buildings_in_the_map_of_a_country_and_in_a_site_grid(tmp_path, crs):
    image = np.full((32, 40, 3), 30, np.uint8)
    image[4:10, 8:20] = 250
    grid = Grid(40, 32, 3, "uint8", crs, Affine(0.5, 0, 5e5, 0, -0.5, 5e6))
    path = write_raster(tmp_path / "town.tif", image, grid)
    predict_scene(network, path, tmp_path / "out", progress=False)
    points = explore(tmp_path / "out")._rings[0]
    np.testing.assert_allclose([points.min(0), points.max(0)], [(8, 4), (20, 10)], atol=0.05)  # (column, row)
    assert [page.name for page in write_pages(tmp_path / "out")] == ["town.html"]
