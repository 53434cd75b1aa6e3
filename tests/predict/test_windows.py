import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jointnet.predict.windows import (
    WindowGrid,
    mirror_index,
    predict_windows,
    ramp_weights,
    stride_of,
    window_starts,
    with_flips,
)


def reader(image):
    return lambda row, col, height, width: image[row : row + height, col : col + width]


def whole(image, engine, size, stride, batch=1):
    grid = WindowGrid(*image.shape[:2], size, stride)
    return np.concatenate([rows for _, rows in predict_windows(reader(image), grid, engine, batch)])


def on_whole_arrays(image, engine, size, stride):
    """The same prediction with full-size float64 accumulators and np.pad's own mirror."""
    grid = WindowGrid(*image.shape[:2], size, stride)
    pad = [(-s[0], s[-1] + size - n) for s, n in ((grid.tops, grid.height), (grid.lefts, grid.width))]
    padded = np.pad(image, [*pad, (0, 0)], mode="symmetric")
    ramp = ramp_weights(size, stride).astype(float)
    weight = (ramp[:, None] * ramp)[..., None]
    total, weights = np.zeros((*padded.shape[:2], 1)), np.zeros((*padded.shape[:2], 1))
    for y in grid.tops - grid.tops[0]:
        for x in grid.lefts - grid.lefts[0]:
            total[y : y + size, x : x + size] += engine(padded[None, y : y + size, x : x + size])[0] * weight
            weights[y : y + size, x : x + size] += weight
    return (total / weights)[pad[0][0] :, pad[1][0] :][: grid.height, : grid.width]


def off_centre(windows):
    """An answer that depends on where in the window a pixel lies, and on the window's mean."""
    size = windows.shape[1]
    slope = np.linspace(0, 0.5, size, dtype=np.float32)[:, None, None]
    return windows.astype(np.float32).mean(axis=(1, 2, 3), keepdims=True) / 510 + slope * (windows[..., :1] / 255)


def test_a_line_of_10_px_takes_three_windows_of_6_px_with_2_px_of_overlap():
    # 1 px of margin on each side makes 12; 6 + 4 = 10 < 12 <= 6 + 2 * 4 = 14; 4 px hang over, 2 on each side
    assert window_starts(10, 6, 4).tolist() == [-2, 2, 6]


def test_a_line_shorter_than_a_window_is_centred_in_it():
    assert window_starts(3, 8, 6).tolist() == [-2]


def test_a_stride_longer_than_the_window_is_refused_because_it_leaves_gaps():
    with pytest.raises(ValueError, match="between 1 and the window"):
        window_starts(100, 8, 9)


def test_the_ramp_of_two_overlapping_pixels_is_a_squared_sine_of_a_quarter_and_three_quarters():
    # sin^2(pi / 2 * 0.25) = 0.146447, sin^2(pi / 2 * 0.75) = 0.853553
    expected = [0.146447, 0.853553, 1, 1, 0.853553, 0.146447]
    np.testing.assert_allclose(ramp_weights(6, 4), expected, atol=1e-6)


@settings(deadline=None)
@given(size=st.integers(2, 64), share=st.floats(0, 0.5))
def test_neighbours_weights_add_up_to_one_for_any_overlap_up_to_half(size, share):
    stride = size - int(size * share)
    ramp = ramp_weights(size, stride)
    overlap = size - stride
    np.testing.assert_allclose(ramp[stride:] + ramp[:overlap], 1, atol=1e-6)


def test_mirrors_repeat_the_end_pixel_and_fold_as_often_as_needed():
    assert mirror_index(np.arange(-4, 7), 3).tolist() == [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), stride=st.integers(3, 16), batch=st.integers(1, 5))
def test_an_answer_that_is_the_pixel_itself_comes_back_as_the_image(height, width, stride, batch):
    image = np.random.default_rng(height * 71 + width).integers(0, 256, (height, width, 1), dtype=np.uint8)
    answer = whole(image, lambda w: w[..., :1].astype(np.float32), 16, stride, batch)
    np.testing.assert_allclose(answer, image, rtol=1e-5)


@pytest.mark.parametrize("stride", [16, 12, 8, 5])
def test_rows_in_flight_give_what_whole_arrays_give(image, stride):
    np.testing.assert_allclose(
        whole(image, off_centre, 16, stride), on_whole_arrays(image, off_centre, 16, stride), atol=1e-6
    )


@pytest.mark.parametrize("stride", [16, 12, 5])
def test_a_run_that_starts_in_the_middle_gives_the_same_bits_from_there(image, stride):
    grid = WindowGrid(*image.shape[:2], 16, stride)
    full = dict(predict_windows(reader(image), grid, off_centre))
    for first in (1, 4, len(grid.tops) - 1):
        rest = dict(predict_windows(reader(image), grid, off_centre, first=first))
        assert list(rest) == list(full)[first:]
        assert all(np.array_equal(rest[k], full[k]) for k in rest)


def test_memory_does_not_grow_with_the_height_of_the_scene():
    def peak(height):
        grid = WindowGrid(height, 256, 32, 24)
        tracemalloc.start()
        for _ in predict_windows(lambda r, c, h, w: np.zeros((h, w, 3), np.uint8), grid, lambda w: w[..., :1] / 255):
            pass
        _, top = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return top

    assert peak(4096) < 1.1 * peak(512)


def test_eight_flips_of_an_answer_that_ignores_direction_change_nothing(image, network):
    windows = image[None, :64, :64]
    np.testing.assert_allclose(with_flips(network)(windows), network(windows), atol=1e-6)


def test_eight_flips_average_a_slope_down_the_window_away():
    # a slope from 0 to 1 down the rows, seen from eight sides, is 0.5 on average everywhere
    slope = np.linspace(0, 1, 8, dtype=np.float32)[None, :, None, None]
    answer = with_flips(lambda w: np.broadcast_to(slope, (*w.shape[:3], 1)))(np.zeros((1, 8, 8, 3), np.uint8))
    np.testing.assert_allclose(answer, 0.5, atol=1e-6)


@pytest.mark.parametrize(("size", "overlap", "says"), [(100, 0.25, "multiple of 8"), (0, 0.25, "multiple of 8"),
                                                 (64, 1.0, "between 0 and 0.9"), (64, -0.1, "between 0 and 0.9")])
def test_impossible_windows_are_refused(size, overlap, says):
    with pytest.raises(ValueError, match=says):
        stride_of(size, overlap)


def test_the_work_of_a_grid_is_what_the_network_sees_over_what_the_scene_has():
    # 10 px in windows of 8 px, 6 px apart: 1 px hangs over each end, two windows, 16 px of line for 10
    assert WindowGrid(10, 10, 8, 6).work == pytest.approx(1.6**2)
    assert WindowGrid(16, 8, 8, 8).work == 1
