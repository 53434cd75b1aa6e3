import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, Point, box

from jointnet.evaluate.paths import node_lines
from jointnet.evaluate.roads import LineCounts, in_metres, line_counts


def test_a_network_against_itself_is_complete_and_correct():
    lines = [LineString([(0, 0), (100, 0)]), LineString([(50, -20), (50, 30)])]
    counts = line_counts(lines, lines)
    assert counts.scores() == pytest.approx({"completeness": 1, "correctness": 1, "quality": 1})
    assert counts.truth == 150


def test_the_scores_of_a_toy_are_those_worked_out_by_hand():
    # 60 of 100 m are found, 2 m aside; their buffer of 3 m reaches sqrt(9 - 4) past the end. 40 m are invented far off.
    truth = [LineString([(0, 0), (100, 0)])]
    predicted = [LineString([(0, 2), (60, 2)]), LineString([(0, 50), (40, 50)])]
    counts = line_counts(truth, predicted, buffer=3)
    reach = np.sqrt(5)
    assert counts == pytest.approx((60, 100, 60 + reach, 100), rel=1e-3)
    assert counts.quality == pytest.approx(60 / (100 + 40 - reach), rel=1e-3)


def test_beyond_the_buffer_nothing_matches():
    counts = line_counts([LineString([(0, 0), (10, 0)])], [LineString([(0, 5), (10, 5)])], buffer=3)
    assert counts.scores() == {"completeness": 0, "correctness": 0, "quality": 0}


def test_lines_drawn_twice_count_once():
    line = LineString([(0, 0), (10, 0)])
    assert line_counts([line, line], [line]).truth == 10


@pytest.mark.parametrize(("truth", "predicted", "expected"), [
    ([], [], (1, 1, 1)),
    ([LineString([(0, 0), (9, 0)])], [], (0, 0, 0)),
    ([], [LineString([(0, 0), (9, 0)])], (0, 0, 0)),
])
def test_scores_of_no_lines_are_defined(truth, predicted, expected):
    assert tuple(line_counts(truth, predicted).scores().values()) == expected


def test_counts_are_pooled_by_their_sums():
    assert LineCounts(1, 2, 3, 4) + LineCounts(10, 20, 30, 40) == LineCounts(11, 22, 33, 44)
    assert (LineCounts(1, 2, 3, 4) + LineCounts()).quality == 1 / 3  # 1 / (2 + 4 - 3)


def test_geographic_lines_are_measured_in_metres():
    # A degree of latitude near the equator is 110,574 m on the ellipsoid; UTM's scale on its middle meridian is 0.9996.
    line = gpd.GeoSeries([LineString([(3, 0), (3, 0.01)])], crs=4326)
    assert line_counts(line, line.to_crs(32631)).truth == pytest.approx(1105.74 * 0.9996, rel=1e-4)


def test_lines_without_a_crs_are_not_measured_against_lines_with_one():
    line = gpd.GeoSeries([LineString([(3, 0), (3, 0.01)])], crs=4326)
    with pytest.raises(ValueError, match="the other has no CRS; set it"):
        line_counts(line, line.set_crs(None, allow_override=True))


def test_polygons_and_a_negative_buffer_are_refused():
    with pytest.raises(ValueError, match="not all lines"):
        line_counts([box(0, 0, 1, 1)], [Point(0, 0)])
    with pytest.raises(ValueError, match="buffer=-1 must be above 0"):
        line_counts([], [], buffer=-1)


def lengths_by_points(lines, others, buffer, step=0.05):
    """(length within the buffer of others, length) from points every 5 cm: slow, and without any buffer polygon."""
    points = [line.interpolate(np.arange(step / 2, line.length, step)) for line in lines]
    tree = shapely.STRtree(others)
    distances = tree.query_nearest(np.concatenate(points), return_distance=True, all_matches=False)[1]
    return (distances <= buffer).sum() * step, sum(line.length for line in lines)


def test_real_streets_score_one_and_less_without_one_by_its_length_beyond_the_buffer(shared_data):
    roads = gpd.read_file(shared_data / "georeferenced" / "vegas_img0_roads.geojson")
    assert line_counts(roads, roads).scores() == pytest.approx({"completeness": 1, "correctness": 1, "quality": 1})
    lines = node_lines(in_metres(roads, roads)[0])
    longest = int(np.argmax(shapely.length(lines)))
    rest = np.delete(lines, longest)
    counts = line_counts(lines, rest)
    street, total = lines[longest], shapely.length(lines).sum()
    near, _ = lengths_by_points([street], rest, 3.0)  # its ends lie beside the streets that it meets
    missing = street.length - near
    assert missing > 100
    assert counts.completeness == pytest.approx(1 - missing / total, abs=1e-4)
    assert counts.correctness == pytest.approx(1)
    assert counts.quality == pytest.approx((total - street.length) / (total - street.length + missing), abs=1e-4)


ENDS = st.tuples(*[st.integers(0, 40)] * 4)


@settings(max_examples=20, deadline=None)
@given(ENDS, ENDS)
def test_line_scores_agree_with_points_along_the_lines(one, other):
    a, b, c, d = one
    truth = [LineString([(a / 3, b / 7), (c / 3 + 0.1, d / 7)])]
    a, b, c, d = other
    predicted = [LineString([(a / 3 + 0.05, b / 7), (c / 3, d / 7 + 0.02)])]
    expected = *lengths_by_points(predicted, truth, 2, 0.005), *lengths_by_points(truth, predicted, 2, 0.005)
    assert line_counts(truth, predicted, buffer=2) == pytest.approx(expected, abs=0.05)
