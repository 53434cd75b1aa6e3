"""What a LabelEditor keeps: shapes of a scene in, a GeoPackage with a layer for each class and the done area out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from jointnet.data.addresses import is_remote
from jointnet.data.datums import to_image
from jointnet.data.edits import DONE, LINES, Shape
from jointnet.data.layers import LabelError, all_layers, read_layer
from jointnet.data.place_files import is_place
from jointnet.data.plain_names import plainly_named
from jointnet.data.raster import Grid
from jointnet.data.scene import LABELS_ENDING, Scene
from jointnet.data.shapes import shapes_of_class
from jointnet.data.vectors import PIXELS, check_meets, read_shapes
from jointnet.files import settle, written_whole

Layers = Mapping[str, gpd.GeoDataFrame | pd.DataFrame]


def label_path(scene: Scene) -> Path:
    """Where the labels of a scene are kept unless it is said otherwise: NAME_labels.gpkg beside its image.

    Raises:
        LabelError: if the image is not on this disk.
    """
    if is_remote(scene.image) or is_place(scene.image):
        raise LabelError(f"{scene.name} is not an image on this disk; say where its labels are to be kept: "
                         f"path='{scene.name}{LABELS_ENDING}.gpkg'")
    return scene.image.with_name(f"{scene.image.stem}{LABELS_ENDING}.gpkg")


def write_labels(path: Path, shapes: Iterable[Shape], grid: Grid, classes: Sequence[str] = ("buildings",),
                 others: Layers | None = None) -> Path:
    """Writes shapes as a GeoPackage in the grid's CRS, whole or not at all; a class or an area without any, too.

    Args:
        path: the file.
        shapes: in pixels of the grid.
        grid: of the scene.
        classes: layers that are written even if they are empty: an empty layer says that nothing of it was found.
        others: further layers, as they are.

    Raises:
        LabelError: if another program has the file open, with changes that are not in it yet.
    """
    check_closed(path)
    shapes = list(shapes)
    layers = dict.fromkeys([*classes, *(s.layer for s in shapes), DONE])
    tables = {name: _table([s for s in shapes if s.layer == name], grid) for name in layers}
    with written_whole(path) as draft, plainly_named(draft) as plain, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)  # of an image without: in its pixels
        for name, table in {**tables, **(others or {})}.items():
            bare = table.empty and isinstance(table, gpd.GeoDataFrame)
            pyogrio.write_dataframe(table, plain, layer=name, driver="GPKG",
                                    geometry_type=("LineString" if name in LINES else "Polygon") if bare else None)
    return path


def read_labels(path: Path, grid: Grid, classes: Sequence[str]) -> tuple[list[Shape], Layers]:
    """Every shape of a file that `write_labels` wrote, in pixels of a grid, and its layers of other names as they are.

    Raises:
        LabelError: if the file is damaged, or none that can be read.
    """
    settle(path)
    shapes: list[Shape] = []
    others: dict[str, gpd.GeoDataFrame | pd.DataFrame] = {}
    for layer in all_layers(path):
        (table, notes), name = read_layer(layer), str(layer.name)
        if name in (*classes, DONE):
            shapes += to_pixels(shapes_of_class(table, None if name == DONE else name, str(layer), notes), grid, name)
        else:
            others[name] = table
    return shapes, others | _plain_tables(path)


def _plain_tables(path: Path) -> dict[str, pd.DataFrame]:
    """The tables of a file that have no shapes, as the one in which QGIS keeps the styles of layers."""
    with plainly_named(path) as plain:
        return {name: pyogrio.read_dataframe(plain, layer=name)
                for name, form in pyogrio.list_layers(plain) if form is None}


def read_vector_file(path: Path, grid: Grid, class_name: str) -> list[Shape]:
    """The shapes of a class in any vector file that lie on a grid, in its pixels. Errors as `read_shapes`."""
    table = read_shapes(path, grid, class_name, None if grid.crs else PIXELS)
    return to_pixels(table, grid, class_name)


def begin_with(source: Path | gpd.GeoDataFrame, grid: Grid, class_name: str) -> list[Shape]:
    """The shapes of a class in a vector file or a table, in pixels of a grid, some of which lie there.

    Raises:
        LabelError: as `read_shapes`, or if all of them lie elsewhere.
    """
    if isinstance(source, Path):
        check_meets(source, grid, class_name)
        return read_vector_file(source, grid, class_name)
    shapes = to_pixels(shapes_of_class(source, class_name, "the table to begin with"), grid, class_name)
    if shapes and not any(s.geometry.intersects(shapely.box(0, 0, grid.width, grid.height)) for s in shapes):
        raise LabelError(f"none of the {len(shapes)} shapes to begin with lies on the image; check their CRS, and that "
                         f"x stands before y")
    return shapes


def to_pixels(table: gpd.GeoDataFrame, grid: Grid, layer: str) -> list[Shape]:
    """The rows of a table of single polygons or lines as shapes in (column, row) pixels of a grid.

    Raises:
        LabelError: if the table names no CRS and the grid has one.
    """
    if grid.crs is not None and table.crs is None:
        raise LabelError("the shapes name no CRS, so their place on the image is unknown; set it, for example with "
                         "table.set_crs(4326)")
    back = ~grid.transform
    placed = to_image(table.geometry, grid) if grid.crs is not None else table.geometry
    places = shapely.transform(shapely.force_2d(placed.to_numpy()),
                               lambda xy: np.column_stack(back @ (xy[:, 0], xy[:, 1])))
    columns = pd.DataFrame(table.drop(columns=table.geometry.name)).to_dict("records")
    return [Shape(layer, place, row) for place, row in zip(places, columns, strict=True) if not place.is_empty]


def _table(shapes: Sequence[Shape], grid: Grid) -> gpd.GeoDataFrame:
    """Shapes as a table in the grid's CRS, with the columns that any of them has."""
    t = grid.transform
    places = shapely.transform(np.array([s.geometry for s in shapes], object),
                               lambda xy: np.column_stack(t @ (xy[:, 0], xy[:, 1]))) if shapes else []
    columns = pd.DataFrame([dict(s.columns) for s in shapes])
    columns.columns = _names_for_geopackage(columns.columns)
    return gpd.GeoDataFrame(columns.convert_dtypes() if columns.size else None, geometry=places, crs=grid.crs)


def _names_for_geopackage(names: Iterable[object]) -> list[str]:
    """Names of columns, with a number behind those that a GeoPackage cannot hold: its own, and the same in capitals."""
    found: list[str] = []
    taken = {"fid", "geom"}
    for name in map(str, names):
        tries = chain([name], (f"{name}_{number}" for number in count(2)))
        free = next(one for one in tries if one.lower() not in taken)
        taken.add(free.lower())
        found.append(free)
    return found


def check_closed(path: Path) -> None:
    """Raises LabelError for a GeoPackage with changes beside it: another program has it open, or died over it.

    A new file in its place would lose them, or be taken for the one that they belong to.
    """
    for beside in (path.with_name(path.name + ending) for ending in ("-wal", "-journal")):
        if beside.exists() and beside.stat().st_size:
            raise LabelError(f"{path.name} is open in another program, as QGIS, which has changes of it in "
                             f"{beside.name}: save and close it there, and run the cell again")


__all__ = ["begin_with", "check_closed", "label_path", "read_labels", "read_vector_file", "to_pixels", "write_labels"]
