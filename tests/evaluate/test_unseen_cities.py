import json
import math

import pytest

from jointnet.evaluate.counts import Counts
from jointnet.evaluate.scene_scores import TileScores
from jointnet.evaluate.scores import Scores
from jointnet.evaluate.unseen_cities import ALL_CITIES, HELD_OUT_CITIES, city_gap, cover_table, load_city_runs


def scores_of(**tiles):
    """Scores of tiles given as city=Counts."""
    return Scores("toy", "buildings", None, tuple(TileScores(f"{c}1", c, n) for c, n in tiles.items()))


def test_the_gap_of_a_city_is_between_the_runs_that_saw_it_and_the_one_that_did_not():
    runs = {
        "a": scores_of(a=Counts(5, 5, 0, 90), b=Counts(8, 2, 0, 90)),  # trained without a
        "b": scores_of(a=Counts(9, 1, 0, 90), b=Counts(6, 4, 0, 90)),
    }
    table = city_gap(runs)[["seen", "unseen", "gap"]]
    assert table.loc["a"].tolist() == pytest.approx([0.9, 0.5, 0.4])
    assert table.loc["b"].tolist() == pytest.approx([0.8, 0.6, 0.2])
    assert table.loc["mean", "gap"] == pytest.approx(0.3)


def test_the_run_that_left_no_city_out_has_seen_them_all_and_the_spread_of_runs_is_told():
    counts = {"a": Counts(5, 5, 0, 90), "b": Counts(8, 2, 0, 90)}  # IoU 0.5 and 0.8
    everything = {"a": Counts(7, 3, 0, 90), "b": Counts(6, 4, 0, 90)}
    table = city_gap({"a": counts, "b": {"a": Counts(9, 1, 0, 90), "b": Counts(3, 7, 0, 90)}, "all": everything})
    assert list(table.index) == ["a", "b", "mean"]
    assert table.loc["a"].tolist() == pytest.approx([0.8, 0.7, 0.9, 0.5, 0.3])  # seen by two runs, at 0.7 and 0.9
    assert table.loc["b", "unseen"] == 0.3


def test_runs_are_read_from_the_recipes_file(tmp_path):
    path = tmp_path / "runs.json"
    path.write_text(json.dumps({"runs": {"a": {"a": [1, 2, 3, 4]}}}))
    assert load_city_runs(path) == {"a": {"a": Counts(1, 2, 3, 4)}}
    path.write_text("{}")
    with pytest.raises(ValueError, match="holds no runs as recipes/held_out_cities.py writes them"):
        load_city_runs(path)
    with pytest.raises(FileNotFoundError, match="held_out_cities.py writes it"):
        load_city_runs(tmp_path / "nowhere.json")


def test_the_shipped_runs_were_all_scored_on_the_same_drawn_pixels():
    assert json.loads(HELD_OUT_CITIES.read_text())["drawn"] is True
    runs = load_city_runs()
    assert ALL_CITIES in runs
    for city in ("austin", "chicago", "kitsap", "tyrol-w", "vienna"):
        labelled = {(counts[city].total, counts[city].tp + counts[city].fn) for counts in runs.values()}
        assert len(labelled) == 1  # the same pixels, and the same roofs among them
        assert labelled.pop()[0] == 2 * 512**2


def test_a_run_that_was_not_scored_where_it_never_was_is_refused():
    with pytest.raises(ValueError, match="the run without a was not scored there"):
        city_gap({"a": scores_of(b=Counts(1, 1, 1, 1))})


def test_a_single_run_has_no_gap_to_tell():
    assert math.isnan(city_gap({"a": scores_of(a=Counts(5, 5, 0, 90))}).loc["a", "gap"])


def test_tiles_are_grouped_by_their_share_of_foreground_and_pooled():
    table = cover_table(scores_of(a=Counts(0, 0, 0, 100), b=Counts(4, 1, 1, 94), c=Counts(20, 5, 20, 55)), (0, 0.05, 1))
    assert table["tiles"].tolist() == [2, 1]
    assert table["iou"].tolist() == [4 / 6, 20 / 45]
    assert table["background_accuracy"].tolist() == [195 / 200, 0.6]


def test_limits_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="must rise"):
        cover_table(scores_of(a=Counts()), (0.5, 0.1))
