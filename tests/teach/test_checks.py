"""Checks of the exercises: right answers pass, wrong ones of the right form do not, and no hint tells the answer."""

import re
from dataclasses import replace
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from jointnet.data.raster import write_raster
from jointnet.data.scene import Dataset, Scene
from jointnet.errors import InputError
from jointnet.evaluate.counts import Counts
from jointnet.evaluate.thresholds import count_probabilities
from jointnet.teach.checks import LESSONS, check, exercises_of, known_answer
from tests.data.known_grid import grid_of

NUMBERS = [number for lesson in LESSONS for number in exercises_of(lesson)]


def pixel_of(transform, east, north):
    return int((north - transform.f) // transform.e), int((east - transform.c) // transform.a)


def overlapping(train_at, check_at, size):
    apart = np.abs(check_at[:, None] - train_at[None]).max(axis=-1)
    return (apart < size).any(axis=1).mean()


def windows(size, shares=(0, 0.25, 0.5)):
    """By hand: a line covers the tile and one overlap, in steps of what is not overlap."""
    steps = {s: round(size * (1 - s)) for s in shares}
    over = {s: (size - step) // 2 * 2 for s, step in steps.items()}
    return {s: (-((over[s] + 5000 - size) // -step) + 1) ** 2 for s, step in steps.items()}


SPECKS = pd.DataFrame({"area_m2": [1.0, 4.0, 45.0, 50.0]})  # two of four, 5 of 100 m2
PLAIN = [Counts(5, 1, 2, 8), Counts(3, 3, 3, 7)]
FLIPPED = [Counts(6, 1, 1, 8), Counts(3, 2, 3, 8)]  # the same squares: 7 and 6 of 16 pixels are roof


def run(loss, *ious):
    return SimpleNamespace(card=SimpleNamespace(loss=loss), history={"val_iou": list(ious)})


RUNS = {"dice": run("dice", 0.1, 0.3), "focal": run("focal", 0.2, 0.4)}
# exercise: (given, right answer, wrong answers of the same form)
CASES = {
    "01.1": (None, pixel_of, [
        lambda t, e, n: pixel_of(t, e, n)[::-1], lambda t, e, n: (round((n - t.f) / t.e), round((e - t.c) / t.a)),
        lambda t, e, n: (0, 0), lambda t, e, n: (int((n - t.f) // t.a), int((e - t.c) // t.a))]),
    "01.2": (None, {1: 56, 2: 54.5, 4: 51.8125, 8: 52.390625, 16: 52.21484375}, [
        {1: 56, 2: 218, 4: 829, 8: 3353, 16: 13367}, dict.fromkeys((1, 2, 4, 8, 16), 52.24),
        {1: 56, 2: 54.5, 4: 51.8125}]),
    "01.3": (None, overlapping, [
        lambda train, at, size: overlapping(train, at, size + 1),
        lambda train, at, size: (np.abs(at[:, None] - train[None]) < size).any(axis=(1, 2)).mean(),
        lambda train, at, size: (np.abs(at[:, None] - train[None]).max(axis=-1) < size).mean(),
        lambda train, at, size: 1.0, lambda train, at, size: 100 * overlapping(train, at, size)]),
    "02.1": (None, (3, 1, 5), [(1, 2, 5), (1, 3, 4), (2, 2, 2), (5, 5, 5), (1, 3, 6), (1, 5)]),
    "02.2": (None, [1, 3, 5], [[1, 2, 5], [2, 4, 4], [1, 5, 5], [1, 1, 9]]),
    "02.3": (None, 12008, [12007, 11960, 0, 4785889]),
    "03.1": (None, lambda share, c: 1 - 2 * share * c / (share + c), [
        lambda share, c: 2 * share * c / (share + c), lambda share, c: abs(share - c), lambda share, c: 1 - c,
        lambda share, c: 1 - share * c / (share + c - share * c), lambda share, c: -2 * share * c / (share + c)]),
    "03.3": (None, (RUNS, "focal"), [
        (RUNS, "dice"), ({"dice": RUNS["focal"], "focal": RUNS["dice"]}, "dice"), (RUNS, "both"),
        ({"dice": run("dice", 0.1), "focal": RUNS["focal"]}, "focal"),
        ({"dice": run("dice", 0.0), "focal": run("focal", 0.0)}, "dice")]),
    "04.1": (128, windows(128), [
        {0: 40, 0.25: 53, 0.5: 79}, {0: 39**2, 0.25: 52**2, 0.5: 78**2}, {0: 40**2, 0.25: 40**2, 0.5: 40**2},
        {0: 1600, 0.5: 6241}]),
    "04.2": (None, (0.55, 0.3), [(0.3, 0.55), (0.55, 1), (0.65, 0.3), (0.55, 0.5), (0.55, 0.3, 0)]),
    "04.3": (SPECKS, (2, 0.05), [(2, 0.5), (2, 0.053), (1, 0.05), (3, 0.5)]),
    "05.1": (None, lambda iou: 2 * iou / (1 + iou), [
        lambda iou: iou / (2 - iou), lambda iou: iou, lambda iou: 0.5, lambda iou: min(1, 2 * iou)]),
    "05.4": (PLAIN, FLIPPED, [
        PLAIN, FLIPPED[::-1], FLIPPED[:1], [Counts(5, 1, 1, 9), FLIPPED[1]], [Counts(12, 2, 2, 16), FLIPPED[1]]]),
    "06.1": (None, 9, [3, 6, 8, 12]),
}


@pytest.mark.parametrize("number", CASES)
def test_a_right_answer_is_right_and_a_wrong_one_never(number):
    given, right, wrong = CASES[number]
    assert check(number, right, given).right is True
    assert [w for w in wrong if check(number, w, given)] == []


@pytest.mark.parametrize("number", [n for n in CASES if n in ("01.2", "02.1", "02.3", "04.2", "06.1")])
def test_no_hint_tells_the_number(number):
    """Hints to wrong answers, those of the wrong type, and to none."""
    said = " ".join(check(number, w).says for w in [*CASES[number][2], None, "x", [], {}])
    known = known_answer(number)
    numbers = list(known.values()) if isinstance(known, dict) else np.atleast_1d(known).tolist()
    assert [n for n in numbers if re.search(rf"(?<![\d.]){re.escape(f'{n:g}')}(?![\d.])", said)] == []


@pytest.mark.parametrize("number", NUMBERS)
def test_an_answer_of_another_type_gets_a_hint_and_no_traceback(number):
    for answer in (object(), "x", -1, [], {}, lambda: 1, lambda *a: None):
        assert check(number, answer, CASES.get(number, (None,))[0]).right is False


def test_an_answer_of_another_form_is_told_so_and_a_function_hears_its_own_error():
    for answer in ("9", (9, 3)):
        assert check("06.1", answer).says.startswith(f"not yet: an answer of type {type(answer).__name__} has another")
    assert "the name of the better one belongs beside them" in check("03.3", RUNS).says
    assert "that ended in ZeroDivisionError" in check("05.1", lambda iou: iou / 0).says


def test_a_series_is_a_table():
    given, right, (wrong, *_) = CASES["01.2"]
    assert check("01.2", pd.Series(right), given)
    assert check("01.2", pd.Series(wrong), given).says == check("01.2", wrong, given).says


@pytest.mark.parametrize("number", NUMBERS)
def test_no_answer_yet_says_what_is_expected(number):
    verdict = check(number, None)
    assert verdict.right is None and not verdict
    assert "no answer yet. Expected: " in str(verdict)


def test_a_verdict_is_said_in_words_and_escaped():
    shown = check("05.3", "<b>", pd.DataFrame())._repr_html_()
    assert "&lt;b&gt;" in shown and "<b>" not in shown
    assert "not yet" in shown and 'role="status"' in shown


def test_an_exercise_that_does_not_exist_names_those_of_its_lesson():
    with pytest.raises(InputError, match=r"no exercise '02.9'; this lesson has 02.1, 02.2, 02.3"):
        check("02.9", 1)


@pytest.fixture
def labelled_scene(tmp_path):
    """40 x 40 px; a roof fills the left half."""
    truth = np.zeros((40, 40, 1), np.uint8)
    truth[:, :20] = 255
    image = write_raster(tmp_path / "image.tif", np.full((40, 40, 3), 90, np.uint8), grid_of(40, 40))
    mask = write_raster(tmp_path / "mask.tif", truth, grid_of(40, 40))
    return Scene("drawn1", image, labels={"buildings": mask}, split="train")


def test_shares_of_two_batches_are_drawn_again(labelled_scene):
    from jointnet.data.patches import PatchBatches

    scenes = [labelled_scene]
    drawn = {s: PatchBatches(scenes, 16, 32, foreground_share=s, seed=0)[0][1].mean() for s in (0.0, 1.0)}
    assert check("03.2", drawn, (scenes, 16))
    for wrong in ({0.0: drawn[1.0], 1.0: drawn[0.0]}, {0.0: 0.5, 1.0: 0.5}, {0.0: 50.0, 1.0: 90.0}, {0.0: drawn[0.0]}):
        assert check("03.2", wrong, (scenes, 16)).right is False


def test_a_sure_mistake_is_sure_and_a_mistake(labelled_scene):
    grid = labelled_scene.info
    corners = [grid.transform @ at for at in ((2, 2), (10, 10), (25, 2), (35, 10), (25, 20), (35, 30))]
    boxes = [shapely.box(*np.r_[a, b].reshape(2, 2).min(0), *np.r_[a, b].reshape(2, 2).max(0))
             for a, b in zip(corners[::2], corners[1::2], strict=True)]
    every = gpd.GeoDataFrame({"mean_probability": [0.9, 0.5, 0.95]}, geometry=boxes, crs=grid.crs)
    assert check("04.4", 2, (every, labelled_scene))  # sure, and beside the roof
    assert "100% of this one is roof" in check("04.4", 0, (every, labelled_scene)).says
    assert "not sure" in check("04.4", 1, (every, labelled_scene)).says
    assert "no row 7" in check("04.4", 7, (every, labelled_scene)).says
    bare = replace(labelled_scene, labels={})
    assert "judge by eye" in check("04.4", 2, (every, bare)).says


def test_ten_images_of_ones_own_with_labels_and_without_leaks(labelled_scene):
    ten = Dataset("folder", tuple(replace(labelled_scene, name=f"s{k}") for k in range(10)))
    assert check("01.4", ten)
    leaking = replace(ten, scenes=(*ten.scenes, replace(labelled_scene, name="v", split="validation")))
    bare = replace(ten, scenes=(*ten.scenes[:9], replace(labelled_scene, labels={})))
    for wrong in (replace(ten, scenes=ten.scenes[:9]), replace(ten, name="sample"), leaking, bare):
        assert check("01.4", wrong).right is False


def test_flattery_is_the_gain_of_the_test_cities_own_threshold():
    truth = np.array([[0, 0, 1, 1]])
    counts = count_probabilities(np.array([[0.1, 0.6, 0.7, 0.9]], np.float32), truth)
    chosen = 0.5  # by hand: IoU 2/3 at 0.5, 1 between 0.6 and 0.7
    assert check("05.2", 1 / 3, (counts, chosen))
    assert [w for w in (0.0, -1 / 3, 1.0, 33.3) if check("05.2", w, (counts, chosen))] == []


def test_the_strongest_property_is_the_one_that_decides():
    random = np.random.default_rng(0)
    features = pd.DataFrame(random.normal(size=(60, 5)),
                            columns=["log_area", "brightness", "shadow", "greenness", "neighbour"])
    features["found"] = features["shadow"] + 0.2 * random.normal(size=60) < 0  # shade hides
    assert check("05.3", "shadow", features)
    assert [f for f in features.columns.drop("shadow") if check("05.3", f, features)] == []


@pytest.fixture(scope="module")
def streets():
    """A cross of streets, 7 px broad with a gap of 10 px, on 120 x 120 px of one metre: mask, probability, lines."""
    grid = grid_of(120, 120)
    mask = np.zeros((120, 120), np.uint8)
    mask[42:49] = mask[:, 42:49] = 1
    likely = np.where(mask, 0.8, 0.1)
    mask[:, 80:90] = 0
    likely[:, 80:90] = np.where(likely[:, 80:90] > 0.5, 0.5, 0.1)
    ends = [[(0, 45.5), (120, 45.5)], [(45.5, 0), (45.5, 120)]]
    lines = [shapely.LineString([grid.transform @ at for at in line]) for line in ends]
    return mask, likely, grid, gpd.GeoDataFrame(geometry=lines, crs=grid.crs)


def test_gaps_thresholds_and_blind_lines_are_scored_again(streets):
    from jointnet.evaluate.paths import path_score
    from jointnet.evaluate.roads import line_counts
    from jointnet.predict.vectors.centre_lines import Cleaning, centre_lines
    from jointnet.teach.lesson_06 import lines_every

    mask, likely, grid, truth = streets

    def scores(lines):
        return line_counts(truth, lines).quality, path_score(truth, lines).score

    gaps = {gap: scores(centre_lines(mask, grid, cleaning=Cleaning(gap=gap))) for gap in (0.1, 5.0, 20.0)}
    assert check("06.2", gaps, (mask, grid, truth))
    assert check("06.2", pd.DataFrame(gaps, index=["quality", "path score"]).T, (mask, grid, truth))
    assert not check("06.2", {gap: both[::-1] for gap, both in gaps.items()}, (mask, grid, truth))
    assert not check("06.2", gaps | {20.0: gaps[0.1]}, (mask, grid, truth))
    assert not check("06.2", {0.1: gaps[0.1]}, (mask, grid, truth))

    paths = {t: scores(centre_lines(likely >= t, grid))[1] for t in (0.3, 0.6, 0.7)}
    given = (likely, grid, truth, 0.6)
    assert check("06.3", paths, given)
    assert not check("06.3", dict.fromkeys(paths, 0.5), given)
    assert not check("06.3", {t: p for t, p in paths.items() if t >= 0.6}, given)

    blind = lines_every(50.0, grid.bounds, grid.crs)
    completeness = line_counts(truth, blind).completeness
    right = (completeness, path_score(truth, blind).score)
    assert check("06.4", right, (truth, grid.bounds))
    assert [w for w in (right[::-1], (right[0], 0.9), (0.9, right[1])) if check("06.4", w, (truth, grid.bounds))] == []


def test_every_exercise_is_tried_right_and_wrong():
    """What stands in no table above has a test of its own."""
    assert set(NUMBERS) - set(CASES) == {"01.4", "03.2", "04.4", "05.2", "05.3", "06.2", "06.3", "06.4"}
    assert len(NUMBERS) == 22
