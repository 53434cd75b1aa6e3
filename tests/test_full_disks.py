"""Writers on disks of every size: what has its name is whole, what could not be written is an error, and is gone."""

import json
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from jointnet.errors import JointNetError
from jointnet.predict.compiled import _write
from jointnet.predict.vectors.files import write_vectors
from tests.disks import small_disk

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, 200_000, np.uint8).tobytes()
CORNERS = RANDOM.random((700, 2)) * 1000
SHAPES = gpd.GeoDataFrame({"probability": RANDOM.random(700)}, crs="EPSG:32633", geometry=[
    shapely.box(6e5 + x, 5e6 + y, 6e5 + x + 3, 5e6 + y + 2) for x, y in CORNERS])


def is_zip(path):
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None and archive.read("noise") == NOISE


WRITERS = {
    "geojson": (lambda path: write_vectors(SHAPES, path),
                lambda path: len(json.loads(path.read_text())["features"]) == 700),
    "gpkg": (lambda path: write_vectors(SHAPES, path), lambda path: len(gpd.read_file(path)) == 700),
    "parquet": (lambda path: write_vectors(SHAPES, path), lambda path: len(gpd.read_parquet(path)) == 700),
    "zip": (lambda path: _write(path, {"noise": NOISE}), is_zip),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_a_file_on_a_disk_of_any_size_is_whole_or_not_there(tmp_path, ending):
    write, is_whole = WRITERS[ending]
    if ending == "parquet":
        pytest.importorskip("pyarrow", reason="GeoParquet needs pyarrow")
    write(tmp_path / f"whole.{ending}")
    size = (tmp_path / f"whole.{ending}").stat().st_size
    said = []
    for share in (0.1, 0.4, 0.7, 0.9, 1.0, 1.2, 3.0):
        with small_disk(tmp_path / str(share), max(16, int(size * share / 1000))) as disk:
            path = Path(disk) / f"a.{ending}"
            try:
                write(path)
            except (OSError, JointNetError) as error:
                said.append(str(error))
                assert list(disk.iterdir()) == []
            else:
                assert is_whole(path)
    assert 3 <= len(said) <= 6
    assert all("disk" in text or "No space left" in text for text in said)


def test_a_file_on_a_full_disk_keeps_what_it_was(tmp_path):
    """What was there before is whole after each writer that failed."""
    for ending, (write, _) in WRITERS.items():
        with small_disk(tmp_path / ending, 40) as disk:
            path = Path(disk) / f"a.{ending}"
            path.write_bytes(b"old")
            with pytest.raises((OSError, JointNetError)):
                write(path)
            assert path.read_bytes() == b"old"
            assert [p.name for p in disk.iterdir()] == [path.name]
