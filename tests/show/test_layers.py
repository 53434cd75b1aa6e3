"""What is shown of a file is what the file means."""


import numpy as np

from jointnet.data.raster import Affine, Grid, write_raster
from jointnet.show.layers import ArrayScene, encode_photo, read_layer, read_probability_layer


def test_a_probability_raster_is_shown_by_its_own_scale(tmp_path):
    """predict_scene writes 0 to 254 for 0 to 1, and 255 for no imagery; other programs 255 for 1."""
    grid = Grid(4, 1, 1, "uint8", None, Affine.identity())
    values = np.array([[0, 127, 254, 255]], np.uint8)
    for name, tags in (("own.tif", {"JOINTNET_VALUES": "0-254"}), ("foreign.tif", {})):
        write_raster(tmp_path / name, values, grid, tags=tags)
    scene = ArrayScene(np.zeros((1, 4, 3), np.uint8))
    assert read_probability_layer(tmp_path / "own.tif", scene)[..., 0].tolist() == [[0, 128, 255, 0]]  # 127.5
    assert read_probability_layer(tmp_path / "foreign.tif", scene)[..., 0].tolist() == [[0, 127, 254, 255]]
    assert read_layer(tmp_path / "own.tif", scene)[..., 0].tolist() == [[0, 127, 254, 255]]  # as an image or a mask


def test_a_small_photograph_stays_exact_and_a_large_one_takes_less_as_webp_than_as_jpeg():
    noise = np.random.default_rng(0).integers(100, 140, (710, 710, 3), np.uint8)  # half a megapixel is 707 x 707
    assert encode_photo(noise[:700], "webp").startswith(b"\x89PNG")
    jpeg, webp = encode_photo(noise), encode_photo(noise, "webp")
    assert jpeg.startswith(b"\xff\xd8") and webp[8:12] == b"WEBP"
    assert len(webp) < len(jpeg)
