import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from rasterio.features import rasterize
from scipy import ndimage

from jointnet.predict.vectors.polygonize import Tracer, join_pairs, label_patches


def trace(mask, strip=10**6, values=None):
    tracer = Tracer(mask.shape[1])
    for row in range(0, len(mask), strip):
        tracer.add(mask[row : row + strip], None if values is None else values[row : row + strip])
    return tracer.finish()


def trace_by_strips(mask, strip, values):
    """As `trace`, taking after every strip the patches that have ended."""
    tracer, taken = Tracer(mask.shape[1]), []
    for row in range(0, len(mask), strip):
        tracer.add(mask[row : row + strip], values[row : row + strip])
        taken.append(tracer.take())
    taken.append(tracer.finish())
    return [np.concatenate(parts) for parts in zip(*taken, strict=True)]


def test_one_pixel_is_a_unit_square_at_its_column_and_row():
    mask = np.zeros((4, 5), np.uint8)
    mask[1, 3] = 1
    (polygon,), pixels, _ = trace(mask)
    assert shapely.equals(polygon, shapely.box(3, 1, 4, 2))
    assert pixels.tolist() == [1]


def test_a_courtyard_is_a_hole():
    mask = np.ones((5, 5), np.uint8)
    mask[2, 2] = 0
    (polygon,), _, _ = trace(mask)
    assert shapely.equals(polygon, shapely.box(0, 0, 5, 5) - shapely.box(2, 2, 3, 3))


def test_a_building_in_a_courtyard_is_a_building_of_its_own():
    mask = np.ones((7, 7), np.uint8)
    mask[1:6, 1:6] = 0
    mask[3, 3] = 1
    polygons, pixels, _ = trace(mask)
    assert sorted(pixels.tolist()) == [1, 24]
    assert sorted(len(p.interiors) for p in polygons) == [0, 1]


def test_pixels_that_touch_point_to_point_are_two_buildings():
    polygons, _, _ = trace(np.eye(2, dtype=np.uint8))
    assert len(polygons) == 2


def test_a_ring_that_touches_itself_point_to_point_closes_a_hole():
    # the gap at the upper left is linked to the outside only through a point
    mask = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    (polygon,), _, _ = trace(mask)
    assert polygon.is_valid
    assert [shapely.Polygon(ring).area for ring in polygon.interiors] == [1]


def test_an_empty_mask_has_no_polygons():
    polygons, pixels, mean = trace(np.zeros((3, 4), np.uint8))
    assert (len(polygons), len(pixels), len(mean)) == (0, 0, 0)


def test_the_mean_value_is_that_of_the_patch():
    mask = np.array([[1, 1, 0, 1]], np.uint8)
    _, pixels, mean = trace(mask, values=np.array([[0.5, 0.75, 0.1, 1.0]]))
    assert dict(zip(pixels.tolist(), mean.tolist(), strict=True)) == {2: 0.625, 1: 1.0}


@settings(max_examples=150, deadline=None)
@given(mask=arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1)),
       strip=st.integers(1, 5))
def test_polygons_are_valid_and_drawn_again_give_the_mask_whatever_the_strips(mask, strip):
    polygons, pixels, _ = trace(mask, strip)
    assert len(polygons) == ndimage.label(mask)[1]
    assert shapely.is_valid(polygons).all()
    assert shapely.area(polygons).tolist() == pixels.tolist()
    again = rasterize(polygons, mask.shape, dtype="uint8") if len(polygons) else np.zeros_like(mask)
    assert np.array_equal(again, mask)
    whole, _, _ = trace(mask)
    assert {shapely.normalize(p).wkt for p in polygons} == {shapely.normalize(p).wkt for p in whole}


@settings(max_examples=300, deadline=None)
@given(mask=arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 12)), elements=st.integers(0, 1)),
       strip=st.integers(1, 5))
def test_patches_taken_as_soon_as_they_end_are_those_of_the_whole(mask, strip):
    values = np.random.default_rng(mask.sum()).random(mask.shape)
    tables = [
        {shapely.normalize(p).wkt: (n, round(m, 9)) for p, n, m in zip(*parts, strict=True)}
        for parts in (trace_by_strips(mask, strip, values), trace(mask, values=values))
    ]
    assert tables[0] == tables[1]


def test_a_patch_is_taken_once_and_only_when_it_has_ended():
    tracer = Tracer(3)
    tracer.add(np.array([[1, 0, 1], [0, 0, 1]], np.uint8))
    (ended,), _, _ = tracer.take()
    assert shapely.equals(ended, shapely.box(0, 0, 1, 1))
    assert len(tracer.take()[0]) == 0
    tracer.add(np.array([[0, 0, 1]], np.uint8))
    (rest,), pixels, _ = tracer.finish()
    assert shapely.equals(rest, shapely.box(2, 0, 3, 3))
    assert pixels.tolist() == [3]


def test_values_of_other_patches_do_not_leak_through_strips():
    mask = np.array([[1, 0, 1], [1, 0, 1], [0, 0, 1]], np.uint8)
    values = np.array([[0.2, 9, 0.8], [0.4, 9, 0.8], [9, 9, 0.8]])
    _, pixels, mean = trace(mask, 1, values)
    assert dict(zip(pixels.tolist(), np.round(mean, 6).tolist(), strict=True)) == {2: 0.3, 3: 0.8}


def test_no_values_mean_no_mean():
    assert np.isnan(trace(np.ones((2, 2), np.uint8))[2]).all()


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_patches_are_numbered_as_scipy_numbers_them(mask):
    labels = np.zeros(mask.shape, np.int32)
    expected, count = ndimage.label(mask)
    assert label_patches(mask, labels) == count
    np.testing.assert_array_equal(labels, expected)


def test_a_patch_that_winds_is_one_patch():
    mask = np.zeros((41, 41), bool)  # rows 0, 2, 4, ... linked at their right and left ends by turns
    mask[::2], mask[1::4, -1], mask[3::4, 0] = True, True, True
    for way in (mask, mask.T):
        assert label_patches(way, np.zeros(way.shape, np.int32)) == 1


def test_groups_of_pairs_are_numbered_by_their_first_members():
    assert join_pairs(6, np.array([5, 3]), np.array([1, 5])).tolist() == [0, 1, 2, 1, 3, 1]  # 1, 3 and 5 are one
    assert join_pairs(3, np.array([], int), np.array([], int)).tolist() == [0, 1, 2]
