"""The known scene and its predictions, for every test of what is shown."""

import geopandas as gpd
import numpy as np
import pytest

from jointnet.data.scene import Scene
from tests.show.known_scene import draw_scene, known_polygons, known_probability


@pytest.fixture(scope="session")
def scene(tmp_path_factory) -> Scene:
    """120 x 160 px at 0.5 m: two red roofs on green grass, with a mask of them."""
    return draw_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="session")
def plain_scene(tmp_path_factory) -> Scene:
    """The same without a georeference."""
    return draw_scene(tmp_path_factory.mktemp("plain"), None, "plain1")


@pytest.fixture(scope="session")
def probability() -> np.ndarray:
    """float32 (120, 160): 0.9 on the first roof, 0.5 on the second, 0.1 elsewhere, a false alarm of 0.8 at the left."""
    return known_probability()


@pytest.fixture(scope="session")
def polygons() -> gpd.GeoDataFrame:
    """The outlines of the two roofs, in the scene's CRS."""
    return known_polygons()
