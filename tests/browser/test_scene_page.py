"""SceneExplorer as a page of its own, in a real browser: pixels, hands and numbers."""

import numpy as np
import pytest

from jointnet.show.layers import CLASS_COLOURS, COLOURS, rgb
from jointnet.show.widgets import SceneExplorer
from tests.show.known_scene import (
    GRASS,
    HEIGHT,
    ROOF,
    WIDTH,
    buildings_mask,
    roads_mask,
    two_class_probability,
)

pytestmark = pytest.mark.browser

ROOF_1, ROOF_2, ALARM, MEADOW = (40, 55), (90, 125), (90, 15), (10, 120)  # (row, col): p = 0.9, 0.5, 0.8, 0.1


def colour_at(watched, place) -> tuple[int, ...]:
    """The colour that the canvas shows at (row, col) of the scene, when all of it is in view."""
    pixels = watched.canvas()
    height, width = pixels.shape[:2]
    span = max(WIDTH, HEIGHT * width / height) * 1.02
    y = height / 2 + (place[0] - HEIGHT / 2) * width / span
    x = width / 2 + (place[1] - WIDTH / 2) * width / span
    return tuple(int(v) for v in pixels[int(y), int(x), :3])


def blend(under, over: str, opacity: float) -> np.ndarray:
    return np.array(under) * (1 - opacity) + np.array(rgb(over)) * opacity


def near(found, expected) -> bool:
    return bool(np.abs(np.array(found) - np.array(expected)).max() <= 6)  # JPEG and rounding


def set_slider(page, label: str, keys: list[str]) -> None:
    page.get_by_label(label, exact=True).focus()
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_timeout(120)


@pytest.fixture
def explorer(scene, probability, polygons):
    made = SceneExplorer(scene, probability=probability, polygons=polygons, threshold=0.4)
    made.show_polygons = False
    return made


def test_errors_have_their_colours_where_they_are(open_page, explorer):
    watched = open_page(explorer)
    assert near(colour_at(watched, ROOF_1), blend(ROOF, COLOURS["TP"], 0.7))
    assert near(colour_at(watched, ROOF_2), blend(ROOF, COLOURS["TP"], 0.7))
    assert near(colour_at(watched, ALARM), blend(GRASS, COLOURS["FP"], 0.7))
    assert near(colour_at(watched, MEADOW), GRASS)
    watched.shot("scene_errors_1280")


def test_the_threshold_moves_by_keyboard_and_the_second_roof_is_missed_above_it(open_page, explorer):
    watched = open_page(explorer)
    set_slider(watched.page, "threshold", ["ArrowRight"] * 15)
    assert watched.get("threshold") == pytest.approx(0.55)
    assert near(colour_at(watched, ROOF_2), blend(ROOF, COLOURS["FN"], 0.7))
    assert near(colour_at(watched, ROOF_1), blend(ROOF, COLOURS["TP"], 0.7))


def test_polygons_are_said_not_to_follow_the_threshold(open_page, scene, probability, polygons):
    watched = open_page(SceneExplorer(scene, probability=probability, polygons=polygons, threshold=0.4))
    legend = watched.page.locator(".jn-legend")
    yellow = (np.abs(watched.canvas()[..., :3].astype(int) - rgb(COLOURS["outline"])).max(-1) < 40).sum()
    assert "polygons" in legend.inner_text().splitlines()
    set_slider(watched.page, "threshold", ["ArrowRight"])
    assert "polygons, not of this threshold" in legend.inner_text().splitlines()
    dashed = (np.abs(watched.canvas()[..., :3].astype(int) - rgb(COLOURS["outline"])).max(-1) < 40).sum()
    assert dashed < 0.8 * yellow  # half of the line, and its softer ends
    set_slider(watched.page, "threshold", ["ArrowLeft"])
    assert "polygons" in legend.inner_text().splitlines()


def test_the_scores_are_those_of_every_pixel(open_page, explorer):
    watched = open_page(explorer)
    # found 2000 + 2500 - no: both roofs, 40 x 50 each; the false alarm is 20 x 20: IoU 4000 / 4400
    assert "IoU 0.909   precision 0.909   recall 1.000" in watched.page.inner_text(".jn-scores")
    set_slider(watched.page, "threshold", ["ArrowRight"] * 15)
    # the second roof is lost: 2000 / 4400, 2000 / 2400, 2000 / 4000
    assert "IoU 0.455   precision 0.833   recall 0.500" in watched.page.inner_text(".jn-scores")


def test_opacity_and_the_image_switch_change_the_mixture(open_page, explorer):
    watched = open_page(explorer)
    set_slider(watched.page, "opacity", ["End"])
    assert near(colour_at(watched, ALARM), rgb(COLOURS["FP"]))
    watched.page.get_by_label("image", exact=True).uncheck()
    watched.page.wait_for_timeout(80)
    assert watched.canvas()[5, 5, 3] == 0  # nothing is drawn where there is no layer


def test_each_layer_has_its_colours(open_page, explorer):
    watched = open_page(explorer)
    expected = {"prediction": COLOURS["prediction"], "truth": COLOURS["truth"]}
    for layer, colour in expected.items():
        watched.page.get_by_label("layer", exact=True).select_option(layer)
        watched.page.wait_for_timeout(80)
        assert near(colour_at(watched, ROOF_1), blend(ROOF, colour, 0.7))
    watched.page.get_by_label("layer", exact=True).select_option("probability")
    watched.page.wait_for_timeout(80)
    assert near(colour_at(watched, MEADOW), blend(GRASS, explorer.about["ramp"][26], 0.7))  # 0.1 * 255 = 25.5 -> 26


def test_the_swipe_cuts_between_two_layers_and_moves_by_mouse_and_keyboard(open_page, explorer):
    watched = open_page(explorer)
    page = watched.page
    page.get_by_label("swipe against", exact=True).select_option("image")
    page.wait_for_timeout(80)
    assert near(colour_at(watched, ROOF_1), blend(ROOF, COLOURS["TP"], 0.7))  # column 55, left of the middle
    assert near(colour_at(watched, ROOF_2), ROOF)
    box = page.locator(".jn-divider").bounding_box()
    stage = page.locator(".jn-stage").bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(stage["x"] + 0.1 * stage["width"], box["y"] + 60, steps=3)
    page.mouse.up()
    page.wait_for_timeout(80)
    assert watched.get("swipe_at") == pytest.approx(0.1, abs=0.01)
    assert near(colour_at(watched, ROOF_1), ROOF)
    page.locator(".jn-divider").focus()
    page.keyboard.press("End")
    page.wait_for_timeout(80)
    assert watched.get("swipe_at") == 1
    assert near(colour_at(watched, ROOF_2), blend(ROOF, COLOURS["TP"], 0.7))


def test_the_wheel_zooms_about_the_cursor_once_the_scene_was_clicked(open_page, explorer):
    watched = open_page(explorer)
    page = watched.page
    box = page.locator(".jn-stage canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2 - 100, box["y"] + box["height"] / 2 + 50
    page.mouse.move(x, y)
    page.mouse.wheel(0, -200)
    page.wait_for_timeout(80)
    assert watched.get("view") == []  # the page scrolls; a hint says why
    assert page.locator(".jn-hint").is_visible()
    before = page.inner_text(".jn-readout")
    page.mouse.click(x, y)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(80)
    assert watched.get("view")[2] < 200
    page.mouse.move(x, y + 0.4)
    assert page.inner_text(".jn-readout").split("·")[0] == before.split("·")[0]


def test_dragging_and_keys_move_the_view_and_zero_brings_it_back(open_page, explorer):
    watched = open_page(explorer)
    page = watched.page
    box = page.locator(".jn-stage canvas").bounding_box()
    page.mouse.move(box["x"] + 400, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 300, steps=4)
    page.mouse.up()
    span = 120 * box["width"] / box["height"] * 1.02
    assert watched.get("view") == pytest.approx([60, 80 - 100 * span / box["width"], span], rel=1e-3)
    page.keyboard.press("+")
    assert watched.get("view")[2] == pytest.approx(span / 1.5, rel=1e-3)
    row = watched.get("view")[0]
    page.keyboard.press("ArrowDown")
    assert watched.get("view")[0] > row
    page.keyboard.press("0")
    assert watched.get("view") == []


def test_the_cursor_reads_pixel_place_and_probability(open_page, explorer):
    watched = open_page(explorer)
    page = watched.page
    box = page.locator(".jn-stage canvas").bounding_box()
    scale = box["height"] / (HEIGHT * 1.02)
    x = box["x"] + box["width"] / 2 + (55.5 - 80) * scale
    page.mouse.move(x, box["y"] + box["height"] / 2 + (40.5 - 60) * scale)
    text = page.inner_text(".jn-readout")
    assert "row 40, column 55" in text
    # 600000 + 55.5 * 0.5 = 600027.75, 5340000 - 40.5 * 0.5 = 5339979.75; the mouse is right to a third of a pixel
    east, north = (float(x) for x in text.split("EPSG:32633 ")[1].split("·")[0].split(","))
    assert (east, north) == pytest.approx((600027.75, 5339979.75), abs=0.2)
    assert "probability 0.90" in text
    assert "truth building" in text


def test_polygons_are_drawn_on_their_roofs(open_page, scene, probability, polygons):
    watched = open_page(SceneExplorer(scene, probability=probability, polygons=polygons))
    pixels = watched.canvas()
    yellow = np.abs(pixels[..., :3].astype(int) - rgb(COLOURS["outline"])).max(-1) < 12
    rows, columns = np.nonzero(yellow)
    height, width = pixels.shape[:2]
    zoom = height / (HEIGHT * 1.02)
    top, left = height / 2 + (20 - 60) * zoom, width / 2 + (30 - 80) * zoom
    bottom, right = height / 2 + (110 - 60) * zoom, width / 2 + (150 - 80) * zoom
    assert (rows.min(), rows.max()) == (pytest.approx(top, abs=2), pytest.approx(bottom, abs=2))
    assert (columns.min(), columns.max()) == (pytest.approx(left, abs=2), pytest.approx(right, abs=2))


@pytest.fixture
def two_classes(scene):
    """Buildings at 0.4 and roads at 0.3."""
    return SceneExplorer(scene, two_class_probability(), threshold={"buildings": 0.4, "roads": 0.3},
                         truth={"buildings": buildings_mask(), "roads": roads_mask()})


def test_a_class_is_chosen_with_its_own_colour_threshold_and_scores(open_page, two_classes):
    watched = open_page(two_classes)
    page, road, lost = watched.page, (30, 92), (90, 92)
    assert near(colour_at(watched, road), GRASS)
    page.get_by_label("class", exact=True).select_option("roads")
    page.wait_for_timeout(80)
    assert watched.get("threshold") == pytest.approx(0.3)
    assert near(colour_at(watched, road), blend(GRASS, COLOURS["TP"], 0.7))
    assert near(colour_at(watched, lost), blend(GRASS, COLOURS["FN"], 0.7))
    assert "IoU 0.500   precision 1.000   recall 0.500" in page.inner_text(".jn-scores")  # 300 of 600 pixels
    page.get_by_label("layer", exact=True).select_option("prediction")
    page.wait_for_timeout(80)
    assert near(colour_at(watched, road), blend(GRASS, CLASS_COLOURS["roads"][0], 0.7))
    assert near(colour_at(watched, ROOF_1), ROOF)
    assert "predicted roads" in page.inner_text(".jn-legend")
    set_slider(page, "threshold", ["ArrowRight"] * 20)  # 0.5: no road is left
    assert near(colour_at(watched, road), GRASS)
    page.get_by_label("class", exact=True).select_option("buildings")
    assert watched.get("threshold") == pytest.approx(0.4)
    page.get_by_label("class", exact=True).select_option("roads")
    assert watched.get("threshold") == pytest.approx(0.5)


def test_all_classes_are_shown_at_once_each_at_its_threshold(open_page, two_classes):
    two_classes.layer = "classes"
    watched = open_page(two_classes)
    assert near(colour_at(watched, (30, 92)), blend(GRASS, CLASS_COLOURS["roads"][0], 0.7))
    assert near(colour_at(watched, ROOF_1), blend(ROOF, CLASS_COLOURS["buildings"][0], 0.7))
    watched.shot("scene_classes_1280")


def test_python_follows_the_class(scene, two_classes):
    assert two_classes.scores["iou"] == pytest.approx(4000 / 4400)
    two_classes.class_name = "roads"
    assert two_classes.threshold == 0.3
    assert two_classes.scores["iou"] == 0.5
    with pytest.raises(ValueError, match="choose from buildings, roads"):
        two_classes.class_name = "water"
    assert two_classes.class_name == "roads"
    with pytest.raises(ValueError, match="say which it is of"):
        SceneExplorer(scene, two_class_probability(), truth=buildings_mask())
    only = SceneExplorer(scene, two_class_probability(), class_name="roads", truth=roads_mask(), threshold=0.3)
    assert only.scores["recall"] == 0.5


def test_polygons_of_a_class_are_shown_with_it(open_page, scene, polygons):
    explorer = SceneExplorer(scene, two_class_probability(), polygons={"buildings": polygons}, truth=False)
    watched = open_page(explorer)

    def outlined() -> bool:
        return bool((np.abs(watched.canvas()[..., :3].astype(int) - rgb(COLOURS["outline"])).max(-1) < 12).any())

    assert outlined()
    watched.page.get_by_label("class", exact=True).select_option("roads")
    watched.page.wait_for_timeout(80)
    assert not outlined()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1920, False), (1280, True), (640, False)])
def test_nothing_overlaps_or_sticks_out(open_page, explorer, width, dark):
    explorer.swipe = "probability"
    explorer.show_polygons = True
    watched = open_page(explorer, width=width, dark=dark)
    watched.shot(f"scene_swipe_{width}{'_dark' if dark else ''}")
    boxes = watched.page.eval_on_selector_all(
        ".jn-bar > *, .jn-foot > *", "all => all.map(e => { const b = e.getBoundingClientRect(); "
        "return [b.left, b.top, b.right, b.bottom]; })")
    assert max(b[2] for b in boxes) <= width
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert a[2] <= b[0] + 0.5 or b[2] <= a[0] + 0.5 or a[3] <= b[1] + 0.5 or b[3] <= a[1] + 0.5


def test_two_predictions_are_swiped_against_each_other_under_their_own_names(open_page, scene):
    from jointnet.show.widgets import ChangeExplorer
    from tests.show.known_scene import buildings_mask

    before = buildings_mask()
    before[70:] = 0
    watched = open_page(ChangeExplorer(scene, before, buildings_mask()))
    page = watched.page
    assert page.locator("select").nth(1).evaluate("s => [...s.options].map(o => o.text)") == [
        "off", "image only", "after", "before", "what changed"]
    assert page.inner_text(".jn-legend").split("\n") == ["in both", "new", "gone"]
    assert page.get_by_label("threshold", exact=True).count() == 0
    page.get_by_label("layer", exact=True).select_option("truth")
    page.get_by_label("swipe against", exact=True).select_option("prediction")
    assert page.inner_text(".jn-legend").split("\n") == ["after", "before"]
    watched.shot("change")
