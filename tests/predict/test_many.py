import json
import os
import signal
import threading
import time

import numpy as np
import pytest
import rasterio

from jointnet.data.raster import write_raster
from jointnet.predict.many import predict_many
from jointnet.predict.scenes import predict_scene
from jointnet.predict.settings import Settings
from jointnet.predict.source import PredictionError
from tests.killing import CONTEXT, both

distributed = pytest.importorskip("distributed")
OPTIONS = {"size": 32, "threshold": 153.5 / 255, "progress": False}


def slow_network(windows):
    """Brightness, 0.02 s a window; defined without imports of the test, so that workers can run it."""
    import time

    import numpy

    time.sleep(0.02)
    return windows.astype(numpy.float32).mean(axis=-1, keepdims=True) / 255


slow_network.card = Settings(bands=3, classes=("buildings",), patch_size=32)


@pytest.fixture
def scenes(tmp_path, grid, image):
    """Four different towns as GeoTIFFs."""
    return [write_raster(tmp_path / f"town{i}.tif", np.roll(image, 20 * i, axis=1), grid) for i in range(4)]


def pixels(path):
    with rasterio.open(path) as raster:
        return raster.read()


@pytest.mark.slow
def test_a_worker_killed_in_mid_run_costs_no_scene_and_changes_no_pixel(tmp_path, scenes):
    out = tmp_path / "out"
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:

        def kill():
            while len(list(out.glob(".town*_rows/00000*.npz"))) < 2:
                time.sleep(0.02)
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        report = predict_many(slow_network, scenes, out, scheduler=cluster.scheduler_address, **OPTIONS)
        killer.join()
    assert report.failed == {}
    assert sorted([*report.done, *report.skipped]) == ["town0", "town1", "town2", "town3"]
    left = sorted(path.name for path in out.iterdir())
    endings = ("_buildings.geojson", "_buildings.gpkg", "_mask.tif", "_probability.tif")
    assert left == sorted(["prediction_report.json", *(f"town{i}{end}" for i in range(4) for end in endings)])
    for number, path in enumerate(scenes):
        alone = predict_scene(slow_network, path, tmp_path / "alone", **OPTIONS)
        assert np.array_equal(pixels(alone.probability), pixels(out / f"town{number}_probability.tif"))
        assert np.array_equal(pixels(alone.mask), pixels(out / f"town{number}_mask.tif"))


@pytest.mark.slow
def test_finished_scenes_are_skipped_and_broken_ones_listed(tmp_path, scenes):
    out = tmp_path / "out"
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"not an image")
    predict_scene(slow_network, scenes[0], out, **OPTIONS)
    report = predict_many(slow_network, [scenes[0], scenes[1], broken], out, workers=1, **OPTIONS)
    assert report.skipped == ["town0"]
    assert list(report.done) == ["town1"]
    assert report.pixels == 120 * 200
    assert "not an image" in report.failed["broken"]
    assert json.loads((out / "prediction_report.json").read_text())["failed"] == report.failed
    assert "1 of 3 scenes predicted, 1 were there, 1 failed" in str(report)


def test_two_scenes_of_one_name_are_refused(tmp_path):
    with pytest.raises(PredictionError, match="several scenes are called town"):
        predict_many(slow_network, [tmp_path / "a" / "town.tif", tmp_path / "b" / "town.tif"], tmp_path / "out")


@pytest.mark.parametrize("workers", [0, -3])
def test_no_worker_at_all_is_refused(tmp_path, workers):
    with pytest.raises(PredictionError, match=f"workers={workers} must be"):
        predict_many(slow_network, [tmp_path / "a.tif"], tmp_path / "out", workers=workers)
    assert not (tmp_path / "out").exists()


def test_no_scene_at_all_is_refused(tmp_path):
    with pytest.raises(PredictionError, match="at least one image"):
        predict_many(slow_network, [], tmp_path / "out")


def predict_in_rounds(number, scenes, out, barrier):
    """One of a pair: many scenes into each of three folders, at the same moments as the other."""
    said = []
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as own:
        for turn in range(3):
            barrier.wait(60)
            try:
                report = predict_many(slow_network, scenes, out / str(turn), own.scheduler_address, **OPTIONS)
                said.append("done" if not report.failed else str(report.failed))
            except PredictionError as error:
                said.append("refused" if "another run is predicting many scenes into" in str(error) else str(error))
    (out / f"said-{number}.json").write_text(json.dumps(said))


def test_pairs_of_runs_into_one_folder_predict_every_scene_once(tmp_path, scenes):
    """One of a pair succeeds; the other refuses in a sentence, or comes when all is done."""
    out = tmp_path / "out"
    out.mkdir()
    assert both(predict_in_rounds, scenes[:2], out, CONTEXT.Barrier(2)) == [0, 0]
    one, other = (json.loads((out / f"said-{number}.json").read_text()) for number in (0, 1))
    rounds = [set(pair) for pair in zip(one, other, strict=True)]
    assert {"done", "refused"} in rounds and all(pair in ({"done"}, {"done", "refused"}) for pair in rounds)
    predict_scene(slow_network, scenes[1], tmp_path / "alone", **OPTIONS)
    for turn in range(3):
        folder = out / str(turn)
        report = json.loads((folder / "prediction_report.json").read_text())
        assert sorted([*report["done"], *report["skipped"]]) == ["town0", "town1"]
        assert len(list(folder.iterdir())) == 2 * 4 + 1
        assert (folder / "town1_mask.tif").read_bytes() == (tmp_path / "alone" / "town1_mask.tif").read_bytes()
