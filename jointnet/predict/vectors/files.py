"""Tables of shapes in, one after another; a GeoJSON, GeoPackage or GeoParquet file out, whole or not at all."""

from __future__ import annotations

import importlib.util
import io
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jointnet.data.degrees import on_earth, to_degrees
from jointnet.data.plain_names import plainly_named
from jointnet.errors import InputError, MissingPackageError
from jointnet.files import written_whole

if TYPE_CHECKING:
    import geopandas as gpd

NOTE = "JOINTNET_"  # begins the names of what is noted in a GeoPackage


def write_vectors(table: gpd.GeoDataFrame, path: str | Path, name: str | None = None, geometry_type: str = "Polygon"
                  ) -> Path:
    """Writes a table of shapes in the format of the path's suffix; the file appears whole or not at all.

    Args:
        table: polygons or lines.
        path: ending in .geojson, .gpkg or .parquet.
        name: name of the layer; the file's name without it.
        geometry_type: the type of shape that an empty table would hold.

    Formats and errors as `create_vectors`.
    """
    with create_vectors(path, name, geometry_type) as file:
        file.write(table)
    return Path(path)


@contextmanager
def create_vectors(path: str | Path, name: str | None = None, geometry_type: str = "Polygon") -> Iterator[VectorFile]:
    """A `VectorFile` that appears at `path`, complete, when the block ends without an error.

    GeoJSON is brought to WGS 84 and cut at 180 degrees, as RFC 7946 wants it; tables without a CRS stay in pixels,
    those of a site grid (engineering CRS) in its units, and their layer is named so. GeoPackage and GeoParquet keep the
    tables' CRS.

    Args:
        path: ending in .geojson, .gpkg or .parquet.
        name: name of the layer; the file's name without it.
        geometry_type: the type of shape that an empty table would hold.

    Raises:
        ValueError: if the suffix is another.
        ImportError: if GeoParquet is wanted and pyarrow is not installed.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise InputError(f"{path} must end in {', '.join(FORMATS)}")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingPackageError("GeoParquet needs one more package; pip install 'jointnet[parquet]', or write .gpkg")
    try:
        with written_whole(path) as draft:
            file = FORMATS[path.suffix](draft, name or path.stem, geometry_type)
            yield file
            file.close()
    except (OSError, RuntimeError) as error:
        raise OSError(f"{path} cannot be written: check that {path.parent} is a folder that you may write to and "
                      f"that the disk is not full ({error})") from error


class VectorFile:
    """A file that tables of the same columns and CRS are written to, at least one. Use it through `create_vectors`."""

    def __init__(self, path: Path, name: str, geometry_type: str) -> None:
        self._path, self._name, self._geometry_type = path, name, geometry_type
        self._begun = False

    def write(self, table: gpd.GeoDataFrame) -> None:
        """Adds the rows of a table, which may be empty."""
        raise NotImplementedError

    def note(self, notes: dict[str, Any]) -> None:
        """Stores values that JSON can hold, where the format has room for them."""

    def close(self) -> None:
        """Ends the file."""

    def _layer(self, table: gpd.GeoDataFrame) -> str:
        """The name of the layer, which says when its shapes are in pixels."""
        return self._name + ("_pixels" if table.crs is None else "" if on_earth(table.crs) else "_site_grid")


class GeoPackage(VectorFile):
    """A GeoPackage of one layer, in the tables' CRS; keeps notes."""

    def write(self, table: gpd.GeoDataFrame) -> None:
        """Adds the rows of a table."""
        self._write(table, {})
        self._last = table.iloc[:0]

    def note(self, notes: dict[str, Any]) -> None:
        """Stores values that JSON can hold beside the shapes; `read_notes` finds them. Call it after the tables."""
        self._write(self._last, {NOTE + key.upper(): json.dumps(value) for key, value in notes.items()})

    def _write(self, table: gpd.GeoDataFrame, metadata: dict[str, str]) -> None:
        import pyogrio  # loads GeoPandas, which whoever wants no polygons keeps

        with warnings.catch_warnings(), plainly_named(self._path) as path:
            warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
            pyogrio.write_dataframe(
                table, path, layer=self._layer(table), driver="GPKG", append=self._begun,
                geometry_type=self._geometry_type if table.empty else None, layer_metadata=metadata or None,
            )
        self._begun = True


class GeoJson(VectorFile):
    """One feature a line, in degrees of WGS 84; in pixels where the tables have no CRS, as it is in a site grid."""

    def write(self, table: gpd.GeoDataFrame) -> None:
        """Adds the rows of a table."""
        with self._path.open("ab") as file:
            if not self._begun:
                file.write(b'{"type": "FeatureCollection", "name": %s, "features": [' %
                           json.dumps(self._layer(table)).encode())
            if len(table):
                lines = self._features(table).rstrip(b"\n").replace(b"\n", b",\n")
                file.write((b",\n" if self._rows else b"\n") + lines)
        self._begun, self._rows = True, self._rows + len(table)

    def close(self) -> None:
        """Ends the list."""
        with self._path.open("ab") as file:
            file.write(b"\n]}\n")

    _rows = 0

    @staticmethod
    def _features(table: gpd.GeoDataFrame) -> bytes:
        """The rows as GDAL writes them for RFC 7946: rings wound its way, seven decimals, a line each."""
        import pyogrio

        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
            warnings.filterwarnings("ignore", "No SRS set on layer", RuntimeWarning)
            placed = table.set_geometry(to_degrees(table.geometry))
            if not on_earth(table.crs):
                placed = placed.set_crs(None, allow_override=True)
            pyogrio.write_dataframe(placed, buffer, driver="GeoJSONSeq")
        return buffer.getvalue()


class GeoParquet(VectorFile):
    """A GeoParquet file in the tables' CRS, one group of rows a table."""

    _file: Any = None

    def write(self, table: gpd.GeoDataFrame) -> None:
        """Adds the rows of a table."""
        import pyarrow.parquet as pq

        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        rows = pq.read_table(buffer)
        if self._file is None:
            self._file = pq.ParquetWriter(self._path, rows.schema.with_metadata(self._describe(rows.schema, table)))
        self._file.write_table(rows.cast(self._file.schema))

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _describe(self, schema: Any, table: gpd.GeoDataFrame) -> dict[bytes, bytes]:
        """The first table's description of its geometry, without what tables to come may change: bounds and kinds."""
        geo = json.loads(schema.metadata[b"geo"])
        column = geo["columns"][table.geometry.name]
        column.pop("bbox", None)
        column["geometry_types"] = []  # any
        return {**schema.metadata, b"geo": json.dumps(geo).encode()}


FORMATS = {".geojson": GeoJson, ".gpkg": GeoPackage, ".parquet": GeoParquet}


def read_notes(path: str | Path) -> dict[str, Any]:
    """What was noted in a GeoPackage; nothing where there is no such file."""
    if not Path(path).exists():
        return {}
    import pyogrio

    try:
        with plainly_named(Path(path)) as plain:
            found = pyogrio.read_info(plain)["layer_metadata"] or {}
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
        return {}
    return {key.removeprefix(NOTE).lower(): json.loads(v) for key, v in found.items() if key.startswith(NOTE)}
