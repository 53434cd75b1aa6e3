import numpy as np
import pytest

from jointnet.predict.seams import seam_ratio
from jointnet.predict.windows import WindowGrid, predict_windows


def offset_per_window(windows):
    """The first pixel's brightness over the whole window: windows of one scene disagree by constants."""
    values = windows[:, :1, :1, :1].astype(np.float32) / 255
    ripple = np.linspace(0, 0.2, windows.shape[1], dtype=np.float32)[:, None, None]
    return np.broadcast_to(values, (*windows.shape[:3], 1)) + ripple + np.swapaxes(ripple, 0, 1)


def blended(image, stride):
    grid = WindowGrid(*image.shape[:2], 64, stride)
    read = lambda row, col, height, width: image[row : row + height, col : col + width]  # noqa: E731
    return np.concatenate([rows for _, rows in predict_windows(read, grid, offset_per_window)])[..., 0], grid


def test_a_slope_has_no_seams():
    slope = np.add.outer(np.arange(200.0), np.arange(300.0))
    assert seam_ratio(slope, WindowGrid(200, 300, 64, 48)) == pytest.approx(1)


def test_a_step_of_ten_more_across_half_the_borders_of_a_slope_of_one_counts_six():
    slope = np.add.outer(np.arange(128.0), np.arange(128.0) + 10 * (np.arange(128) >= 64))
    grid = WindowGrid(128, 128, 64, 64)
    assert grid.lefts.tolist() == [0, 64]
    # across columns 11, down rows 1: 128 steps of each; (11 + 1) / 2 over 1
    assert seam_ratio(slope, grid) == pytest.approx(6)


def test_blending_hides_what_disagreeing_windows_show():
    image = np.random.default_rng(0).integers(0, 256, (256, 320, 1), dtype=np.uint8)
    hard = seam_ratio(*blended(image, 64))
    soft = seam_ratio(*blended(image, 48))
    assert hard > 5
    assert soft < 1.05


def test_a_scene_of_one_window_has_no_seam_to_measure():
    with pytest.raises(ValueError, match="no seam to measure"):
        seam_ratio(np.zeros((64, 64)), WindowGrid(64, 64, 64, 48))
