import numpy as np
import pytest

from jointnet.network.receptive_field import count_paths, receptive_field, unseen_share


def test_the_networks_rates_see_33_pixels():
    assert receptive_field((1, 2, 5, 1, 2, 5)) == 33  # 1 + 2 * 16


def test_one_convolution_sees_its_nine_pixels_once_each():
    assert np.array_equal(count_paths((1,)), np.ones((3, 3)))
    expected = np.zeros((5, 5))
    expected[::2, ::2] = 1
    assert np.array_equal(count_paths((2,)), expected)


def test_two_plain_convolutions_see_the_middle_in_nine_ways():
    row = np.array([1, 2, 3, 2, 1])
    assert np.array_equal(count_paths((1, 1)), np.outer(row, row))


def test_equal_rates_of_two_leave_three_quarters_of_the_field_unseen():
    # 13 px a side, every second one is reached: 7 x 7 of 13 x 13
    assert unseen_share((2, 2, 2)) == pytest.approx(1 - 49 / 169)
    assert unseen_share((1, 2, 5)) == 0


def test_dense_connections_add_the_ways_around_each_convolution():
    # through: 1 at each of nine; around: 1 more in the middle
    assert np.array_equal(count_paths((1,), dense=True), [[1, 1, 1], [1, 2, 1], [1, 1, 1]])


def test_every_way_is_counted_once():
    assert count_paths((1, 2, 5, 1, 2, 5)).sum() == 9**6
    assert count_paths((1, 2, 5, 1, 2, 5), dense=True).sum() == 10**6


def test_rates_and_kernels_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="1 or more"):
        receptive_field((1, 0))
    with pytest.raises(ValueError, match="no middle"):
        receptive_field((1,), kernel=4)
