"""Vector files are read as they are meant, or refused in one sentence."""

from __future__ import annotations

import pytest
from shapely import box

from jointnet.data.layers import LabelError
from jointnet.data.vectors import read_features
from tests.data.known_grid import grid_of, on_grid


def test_only_features_near_the_image_are_read(tmp_path):
    boxes = [box(30 * k, 0, 30 * k + 2, 2) for k in range(50)]
    on_grid(*boxes).to_crs(4326).to_file(tmp_path / "many.gpkg")
    assert len(read_features(tmp_path / "many.gpkg", grid_of())) == 1
    assert len(read_features(tmp_path / "many.gpkg", grid_of(), margin=45)) == 2


def test_files_that_hold_no_labels_are_refused(tmp_path):
    with pytest.raises(LabelError, match="does not exist"):
        read_features(tmp_path / "none.gpkg", grid_of())
    (tmp_path / "text.geojson").write_text("not json")
    with pytest.raises(LabelError, match="not a vector file that GDAL can read"):
        read_features(tmp_path / "text.geojson", grid_of())
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(LabelError, match="table without geometry"):
        read_features(tmp_path / "table.csv", grid_of())
