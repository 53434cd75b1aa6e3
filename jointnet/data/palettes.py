"""Images whose numbers stand for colours in, the colours out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning
from rasterio.shutil import copy as copy_raster

from jointnet.data.grid import Grid
from jointnet.data.image_grid import grid_of_dataset


def is_paletted(dataset: rasterio.DatasetReader) -> bool:
    """Whether the numbers of a dataset's one band stand for colours."""
    return dataset.count == 1 and dataset.colorinterp[0] == ColorInterp.palette


@contextmanager
def expanded_copy(dataset: rasterio.DatasetReader, copied: bool) -> Iterator[rasterio.DatasetReader]:
    """A paletted dataset in its colours.

    With `copied`, from a file aside: what is resampled must be colours, and GDAL resamples the numbers.
    """
    with open_expanded(dataset) as colours:
        if not copied:
            yield colours
            return
        with TemporaryDirectory() as folder:
            aside = Path(folder) / "colours.tif"
            copy_raster(colours, aside, driver="GTiff", tiled=True, compress="deflate", zlevel=1, bigtiff="if_safer")
            with rasterio.open(aside) as copy:
                yield copy


def open_expanded(dataset: rasterio.DatasetReader) -> rasterio.DatasetReader:
    """A virtual dataset (GDAL's VRT) of the colours of a paletted one: red, green, blue, and alpha where it has some.

    No-data, a mask band and colours that are transparent become the alpha.
    """
    table = dataset.colormap(1)
    red, green, blue, alpha = (
        ",".join(f"{number}:{colour[part]}" for number, colour in sorted(table.items())) for part in range(4)
    )
    bands = [("1", red, "Red"), ("1", green, "Green"), ("1", blue, "Blue")]
    if dataset.mask_flag_enums[0] != [MaskFlags.all_valid]:
        bands.append(("mask,1", "", "Alpha"))
    elif any(colour[3] < 255 for colour in table.values()):
        bands.append(("1", alpha, "Alpha"))
    name = escape(str(Path(dataset.name).resolve()))
    text = "".join(
        f'<VRTRasterBand dataType="Byte" band="{i}"><ColorInterp>{colour}</ColorInterp><ComplexSource>'
        f'<SourceFilename relativeToVRT="0">{name}</SourceFilename><SourceBand>{band}</SourceBand>'
        + (f"<LUT>{lut}</LUT>" if lut else "") + "</ComplexSource></VRTRasterBand>"
        for i, (band, lut, colour) in enumerate(bands, 1)
    )
    size = f'rasterXSize="{dataset.width}" rasterYSize="{dataset.height}"'
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(f"<VRTDataset {size}>{text}</VRTDataset>", driver="VRT")


def expanded_grid(dataset: rasterio.DatasetReader, colours: rasterio.DatasetReader) -> Grid:
    """The grid of a paletted dataset in its colours."""
    alpha = 4 if colours.count == 4 else None
    return replace(grid_of_dataset(dataset), bands=3, dtype="uint8", nodata=None, alpha=alpha)
