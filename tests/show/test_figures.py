"""Figures show the pixels and the numbers that they were given."""

import warnings
from dataclasses import replace

import geopandas as gpd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from shapely import LineString

from jointnet.predict.vectors.polygons import vectorize
from jointnet.show import figures
from jointnet.show.layers import (
    DRAWN,
    fit,
    outline,
    probability_table,
    resize,
    round_length,
)
from tests.show.known_scene import GRASS, ROOF


def texts(figure) -> str:
    """Every word in a figure."""
    figure.canvas.draw()
    return " | ".join(t.get_text() for t in figure.findobj(plt.Text))


def test_a_drawn_scene_says_that_it_is_no_photograph(scene):
    assert DRAWN in texts(figures.show_scene(scene))
    assert DRAWN in texts(figures.show_overlay(scene, mask=scene.read_labels()))
    assert DRAWN in texts(figures.show_errors(scene, scene.read_labels()))
    assert DRAWN not in texts(figures.show_overlay(scene.read(), mask=scene.read_labels()))


def test_a_figure_is_shown_once_because_pyplot_has_let_go_of_it(scene):
    before = plt.get_fignums()
    figures.show_scene(scene)
    assert plt.get_fignums() == before


def test_a_scene_is_shown_with_its_own_colours_and_its_share_of_buildings(scene):
    figure = figures.show_scene(scene)
    image = figure.axes[0].images[0].get_array()
    assert tuple(image[40, 50]) == ROOF
    assert tuple(image[5, 5]) == GRASS
    # (40 x 50 + 40 x 50) of 120 x 160 px = 20.8 %
    assert "buildings: 20.8% of the ground" in texts(figure)
    assert "vienna1, 0.5 m per pixel" in texts(figure)


def test_the_share_of_buildings_is_of_the_ground_that_is_labelled(scene):
    counted = replace(scene, counted=((0, 0, 120, 40),))
    share = scene.read_labels()[:, :40].mean()
    assert f"buildings: {share:.1%} of the ground" in texts(figures.show_scene(counted))
    nothing = replace(scene, counted=())
    assert "buildings: no ground that is labelled" in texts(figures.show_scene(nothing))


def test_probabilities_over_an_image_are_no_mask(scene):
    with pytest.raises(ValueError, match="numbers between 0 and 1, as probabilities do"):
        figures.show_overlay(scene, mask=scene.read_labels() * 0.4)
    with pytest.raises(ValueError, match="numbers between 0 and 1, as probabilities do"):
        figures.show_errors(scene, scene.read_labels() * 0.4)


def test_a_window_shows_that_part_only(scene):
    image = figures.show_scene(scene, window=(70, 100, 40, 50)).axes[0].images[0].get_array()
    assert image.shape[:2] == (40, 50)
    assert (image == ROOF).all()


def test_the_scale_bar_has_a_round_length(scene):
    # a quarter of 160 px x 0.5 m is 20 m
    assert "20 m" in texts(figures.show_scene(scene))
    assert [round_length(x) for x in (0.7, 1, 4.9, 5, 19.9, 250)] == [0.5, 1, 2, 5, 10, 200]


def test_errors_state_the_iou_of_the_whole_scene(scene):
    mask = np.zeros((120, 160), np.uint8)
    mask[20:60, 30:80] = 1  # the first roof, 2000 px, is found
    mask[0:10, 0:100] = 1  # 1000 px are false
    figure = figures.show_errors(scene, mask, max_size=40)
    # TP 2000, FP 1000, FN 2000: 2000 / 5000
    assert "IoU 0.400" in texts(figure)
    assert "missed 40%" in texts(figure)


def test_errors_without_truth_say_what_to_pass(scene, tmp_path):
    with pytest.raises(ValueError, match="pass truth="):
        figures.show_errors(scene.image, np.zeros((120, 160), np.uint8))


def test_an_overlay_of_another_size_is_refused(scene):
    with pytest.raises(ValueError, match="10 x 20 px, the scene vienna1 is 120 x 160 px"):
        figures.show_overlay(scene, mask=np.zeros((10, 20), np.uint8))
    with pytest.raises(ValueError, match="must be equal"):
        figures.show_overlay(scene.read(), mask=np.zeros((10, 20), np.uint8))
    with pytest.raises(ValueError, match="needs a mask or a probability"):
        figures.show_overlay(scene)


def test_an_outline_is_the_rim_of_a_shape():
    mask = np.zeros((5, 5), np.uint8)
    mask[1:4, 1:4] = 1
    rim = mask.astype(bool)
    rim[2, 2] = False
    assert np.array_equal(outline(mask), rim)


def test_the_colours_of_probability_grow_lighter_evenly():
    linear = (probability_table() / 255) ** 2.2 @ (0.2126, 0.7152, 0.0722)  # relative luminance
    assert (np.diff(linear) >= -1e-3).all()


def test_shrinking_keeps_the_form_and_averages():
    assert fit((300, 600), 200) == (100, 200)
    assert fit((30, 60), 200) == (30, 60)
    values = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert resize(values, (2, 2), "average").tolist() == [[2, 4], [10, 12]]  # 2.5, 4.5, 10.5, 12.5 to even
    assert resize(values, (2, 2), "nearest").tolist() == [[5, 7], [13, 15]]


def test_patches_fill_rows_and_name_their_share(scene):
    images = np.stack([scene.read((0, 0, 64, 64)), scene.read((20, 30, 64, 64))])
    masks = np.zeros((2, 64, 64, 1), np.uint8)
    masks[1] = 1
    figure = figures.show_patches(images, masks, np.ones_like(masks), np.full(masks.shape, 0.5, np.float32), columns=2)
    assert len(figure.axes) == 4
    assert "100%" in texts(figure)
    assert "0%" in texts(figure)
    with pytest.raises(ValueError, match="n > 0"):
        figures.show_patches(images[:0])


def test_a_history_marks_the_best_epoch_of_the_validation():
    figure = figures.show_history({"loss": [3, 2, 1], "val_loss": [3, 1.25, 2], "iou": [0.1, 0.2, 0.3]})
    assert "best: 1.250" in texts(figure)
    ring = next(line for line in figure.axes[0].lines if line.get_label().startswith("best"))
    assert ring.get_xydata().tolist() == [[2, 1.25]]


def test_a_history_may_be_a_csv_file_or_be_held_by_an_object(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,val_loss\n0,2.0,3.0\n1,1.0,2.5\n")
    assert "best: 2.500" in texts(figures.show_history(path))
    with pytest.raises(ValueError, match="holds no loss"):
        figures.show_history({"iou": [1]})


def test_scores_are_written_beside_their_bars():
    table = pd.DataFrame({"IoU": [0.5, 0.25], "accuracy": [0.9, np.nan]}, index=["austin", "overall"])
    figure = figures.show_scores(table)
    assert "0.250" in texts(figure)
    assert "no truth" in texts(figure)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.5, 0.25]
    with pytest.raises(ValueError, match="none of iou"):
        figures.show_scores({"austin": {"recall": 1}}, ["iou"])


def test_blending_weights_are_shown_with_their_sum():
    weights = np.array([0.25, 0.75, 0.75, 0.25])
    figure = figures.show_blending_weights(weights, stride=2)
    total = next(line for line in figure.axes[1].lines if line.get_label() == "their sum")
    assert total.get_ydata().tolist() == [0.25, 0.75, 1, 1, 1, 1, 1, 1, 0.75, 0.25]


def test_curves_mark_the_threshold_in_use():
    figure = figures.show_pr_curve([0.5, 0.8, 1], [1, 0.7, 0.2], [0.2, 0.5, 0.8], chosen=0.5)
    assert "threshold 0.50" in texts(figure)
    figure = figures.show_reliability([0.1, 0.5, 0.9], [0.2, np.nan, 0.8], [10, 0, 5])
    line = next(x for x in figure.axes[0].lines if x.get_label() == "the network")
    assert line.get_xydata().tolist() == [[0.1, 0.2], [0.9, 0.8]]


def test_curves_of_drawn_scenes_say_so():
    assert DRAWN in texts(figures.show_pr_curve([0.5, 1], [1, 0.2], drawn=True))
    assert DRAWN in texts(figures.show_reliability([0.1, 0.9], [0.2, 0.8], drawn=True))


def test_pictures_side_by_side_keep_their_names_and_values():
    image, probability = np.full((8, 8, 3), 90, np.uint8), np.full((8, 8, 1), 0.25, np.float32)
    figure = figures.show_side_by_side({"the image": image, "a probability": probability}, drawn=True)
    shown = [axis.images[0].get_array() for axis in figure.axes]
    assert shown[0].shape == (8, 8, 3) and (shown[1] == 0.25).all()
    assert [axis.get_title("left") for axis in figure.axes] == ["the image", "a probability"]
    assert DRAWN in texts(figure)


def test_outlines_lie_on_the_pixels_that_they_surround(scene):
    labels = vectorize(scene.read_labels(), scene.info)
    figure = figures.show_outlines(scene, {"labels": labels}, (0, 0, 120, 160))
    drawn = np.concatenate([path.vertices for path in figure.axes[0].collections[0].get_paths()])
    rows, cols = np.nonzero(scene.read_labels())
    # the first roof pixel's outer edge lies half a pixel before its middle
    assert drawn[:, 0].min() == pytest.approx(cols.min() - 0.5, abs=1e-6)
    assert drawn[:, 1].max() == pytest.approx(rows.max() + 0.5, abs=1e-6)


def test_errors_of_one_of_two_classes_are_those_of_its_band(scene):
    nothing, all_right = np.zeros_like(scene.read_labels()), scene.read_labels()
    both = np.stack([nothing, all_right], axis=-1)
    two = replace(scene, labels=scene.labels | {"roads": scene.labels["buildings"]})
    assert "IoU 1.000" in texts(figures.show_errors(two, both, class_name="roads"))
    assert "IoU 0.000" in texts(figures.show_errors(two, both, class_name="buildings"))


def test_centre_lines_are_drawn_as_they_are(scene):
    street = gpd.GeoDataFrame(geometry=[LineString([(600010, 5339990), (600020, 5339990), (600020, 5339980)])],
                              crs=scene.info.crs)
    figure = figures.show_outlines(scene, {"streets": street}, (0, 0, 120, 160))
    # 10 m right and below the corner at 0.5 m a pixel is column 20, row 20, which a picture draws half a pixel earlier
    drawn = figure.axes[0].collections[0].get_paths()[0].vertices
    assert drawn.tolist() == [[19.5, 19.5], [39.5, 19.5], [39.5, 39.5]]


def test_a_sweep_marks_the_threshold_in_use():
    table = pd.DataFrame({"iou": [0.2, 0.6], "recall": [0.9, 0.7]}, index=[0.3, 0.6])
    figure = figures.show_sweep(table, 0.6, ("iou", "recall"))
    assert list(figure.axes[0].lines[0].get_ydata()) == [0.2, 0.6]
    assert "threshold 0.60" in texts(figure)


def test_drawing_warns_of_nothing(scene):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        texts(figures.show_scene(scene))


def test_small_arrays_are_shown_pixel_by_pixel_with_the_rings_over_them():
    figure = figures.show_grids({"a": np.eye(3), "b": np.zeros((3, 3))}, rings=[[(0, 0), (2, 0), (2, 2)]], centres=True)
    first = figure.axes[0]
    assert np.array_equal(first.collections[0].get_array().reshape(3, 3), np.eye(3))
    assert first.lines[0].get_xydata().tolist() == [[0, 0], [2, 0], [2, 2], [0, 0]]  # closed
    assert first.lines[1].get_xydata()[0].tolist() == [0.5, 0.5]
    assert first.get_ylim() == (3, 0)  # row 0 on top


def test_a_small_array_of_ones_is_not_shown_as_one_of_zeros():
    axis = figures.show_grids({"ones": np.ones((2, 2))}).axes[0]
    assert axis.collections[0].get_clim() == (0, 1)


def test_curves_are_named_and_keep_their_values():
    axis = figures.show_curves(np.arange(3), {"one": [1, 2, 3], "two": [3, 2, 1]}, "x", "y").axes[0]
    assert [line.get_label() for line in axis.lines] == ["one", "two"]
    assert axis.lines[1].get_ydata().tolist() == [3, 2, 1]


def test_the_gap_of_each_city_stands_between_its_two_scores_and_the_mean_is_left_out():
    table = pd.DataFrame({"seen": [0.8, 0.8], "seen_low": 0.7, "seen_high": 0.9, "unseen": [0.5, 0.5], "gap": 0.3},
                         index=["vienna", "mean"])
    figure = figures.show_gap(table, drawn=True)
    axis = figure.axes[0]
    assert [dots.get_offsets().tolist() for dots in axis.collections[2:]] == [[[0.8, 0]], [[0.5, 0]]]
    assert "-0.300" in texts(figure)
    assert "mean" not in texts(figure)


def test_the_picture_of_the_network_names_the_channels_of_its_blocks():
    """Preset "base": four times the growth rate out of each block, the decoder as wide as the growth rates."""
    texts = [t.get_text() for t in figures.show_architecture((32, 64, 128), 256).axes[0].texts]
    for channels in ("128 channels, full size", "256 channels, 1/2", "512 channels, 1/4", "256 channels, 1/8"):
        assert any(channels in text for text in texts)
    assert sum("distribution output" in text for text in texts) == 3


def test_cities_that_were_never_seen_have_a_colour_and_a_legend_of_their_own():
    table = {"austin": {"iou": 0.5}, "vienna": {"iou": 0.4}}
    figure = figures.show_scores(table, ("iou",), unseen=pd.Index(["vienna"]))
    seen, unseen = (bar.get_facecolor() for bar in figure.axes[0].patches)
    assert seen != unseen
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["trained there", "never seen"]
    assert figure.axes[0].get_xlabel() == "share"


def test_three_charts_of_scores_fit_side_by_side_beside_the_list_of_files():
    """A window of 900 px leaves a notebook about 720; a picture of more is shrunk, and its letters with it."""
    table = {"austin": {"iou": 0.5, "precision": 0.4, "recall": 0.3}}
    assert figures.show_scores(table, ("iou", "precision", "recall")).get_size_inches()[0] <= 7.21  # 100 px an inch


def test_patches_can_be_numbered():
    masks = np.zeros((2, 8, 8), np.uint8)
    figure = figures.show_patches(np.zeros((2, 8, 8, 3)), masks, numbered=True)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["1: 0%", "2: 0%"]
