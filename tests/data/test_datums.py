"""Where labels in a CRS of another datum come to lie."""

import geopandas as gpd
import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine
from shapely import LineString, box

from jointnet.data.datums import to_image
from jointnet.data.labels import place_file, rasterize_lines, rasterize_polygons
from jointnet.data.layers import LabelWarning
from jointnet.data.raster import Grid
from tests.data.known_grid import grid_of, on_grid

STYRIA = {"epsg": 31287, "west": 524_700.0, "north": 440_300.0}  # at the edge of a province with a shift of its own


def test_what_was_drawn_on_an_image_comes_back_there_though_two_datum_shifts_are_near(tmp_path):
    """PROJ takes another shift for the way back than for the way out, 0.43 m from it: two of these pixels."""
    grid, right = grid_of(40, 40, 0.25, **STYRIA), np.zeros((40, 40), np.uint8)
    right[8:20, 8:20] = 1  # 2 to 5 m from the corner, in pixels of 0.25 m
    drawn = on_grid(box(2, 2, 5, 5), **STYRIA).to_crs(4326)
    np.testing.assert_array_equal(rasterize_polygons(drawn, grid), right)
    drawn.to_file(tmp_path / "a.gpkg")
    np.testing.assert_array_equal(place_file(tmp_path / "a.gpkg", grid).burn(grid), right)


def test_a_road_is_as_wide_and_where_it_was_drawn_in_a_datum_of_its_own():
    grid, right = grid_of(40, 40, 0.25, **STYRIA), np.zeros((40, 40), np.uint8)
    right[12:28] = 1  # 4 m around the middle of 10 m
    road = on_grid(LineString([(-20, 5), (30, 5)]), **STYRIA).to_crs(4326)
    np.testing.assert_array_equal(rasterize_lines(road, grid, width=4), right)


@pytest.mark.parametrize(
    ("crs", "xy", "said"),
    [
        ("EPSG:31287", (400_000, 480_000), r"right to 1.5 m, 6 px; look at them on the image"),
        ("EPSG:27700", (400_000, 200_000), r"right to 2 m, 8 px"),
        ("+proj=utm +zone=33 +ellps=bessel +units=m", (500_000, 5_300_000), r"as if both had one datum.*many metres"),
    ],
)
def test_a_datum_shift_that_is_right_to_metres_only_is_told(crs, xy, said):
    grid = Grid(8, 8, 3, "uint8", CRS.from_user_input(crs), Affine(0.25, 0, xy[0], 0, -0.25, xy[1]))
    drawn = gpd.GeoSeries([box(xy[0], xy[1] - 1, xy[0] + 1, xy[1])], crs=crs).to_crs(4326)
    with pytest.warns(LabelWarning, match=said):
        placed = to_image(drawn, grid)
    assert placed[0].hausdorff_distance(box(xy[0], xy[1] - 1, xy[0] + 1, xy[1])) < 0.002


@pytest.mark.parametrize(("epsg", "west", "north"), [(26918, 585_000, 4_510_000), (25833, 500_000, 5_300_000)])
def test_published_shifts_of_nothing_are_no_news(epsg, west, north):
    """NAD83 and ETRS89 to WGS 84: said to be right to 4 m and 1 m, and every program takes none."""
    grid = grid_of(40, 40, 0.25, epsg=epsg, west=west, north=north)
    drawn = on_grid(box(2, 2, 5, 5), epsg=epsg, west=west, north=north).to_crs(4326)
    assert rasterize_polygons(drawn, grid)[8:20, 8:20].sum() == 144
    assert rasterize_polygons(drawn, grid).sum() == 144
