"""Names of vector files as GDAL's programs must be given them: odd names and zip archives in, plain paths out."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from jointnet.errors import InputError

_MISREAD = set(";!\t\n\r")  # pyogrio takes names with these for addresses or archives
IN_ZIP = (".shp", ".gpkg", ".geojson", ".json", ".kml", ".gml", ".fgb")


@contextmanager
def plainly_named(path: Path) -> Iterator[Path | str]:
    """A path that pyogrio takes as it is: the file's own, or for the time being a link with a plain name.

    The files that belong to it by their name, as those of a shapefile, are linked beside it. What is written through
    the link comes to lie at `path`. A GML file is always linked: GDAL writes a schema beside it, and would believe
    that of an earlier file of its name.
    """
    path = Path(os.path.abspath(path))
    if not _MISREAD & set(str(path)) and path.suffix.lower() != ".gml":
        yield _in_zip(path) if path.suffix.lower() == ".zip" else path
        return
    with TemporaryDirectory() as folder:
        beside = path.parent.glob(f"{glob.escape(path.stem)}.*")
        for file in {path, *(one for one in beside if one.suffix.lower() != ".gfs")}:
            (Path(folder) / f"vectors{file.name.removeprefix(path.stem)}").symlink_to(file)
        link = Path(folder) / f"vectors{path.suffix}"
        yield _in_zip(link) if link.suffix.lower() == ".zip" else link


def _in_zip(path: Path) -> str:
    """The one vector file in a zip archive, or the folder of several, as GDAL names it."""
    with ZipFile(path) as archive:
        names = [Path(n) for n in archive.namelist() if Path(n).suffix.lower() in IN_ZIP and "__MACOSX" not in n]
    if len({name.parent for name in names}) != 1:
        raise InputError(f"expected vector files in one folder, found {', '.join(map(str, names)) or 'none'}; "
                         "unpack it, and name the file that is meant")
    return f"/vsizip/{path}/{names[0] if len(names) == 1 else names[0].parent}"
