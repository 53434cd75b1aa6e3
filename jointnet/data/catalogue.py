"""Datasets as lists of scenes: name, cities and split in; images with their labels out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from jointnet.data.labels import rasterize_file
from jointnet.data.raster import RasterInfo, open_raster, read_info, read_mask, valid_pixels

DATA_ROOT = Path(__file__).resolve().parents[2] / "data"
SPLITS = ("train", "validation", "test")
VECTOR_SUFFIXES = (".geojson", ".json", ".gpkg", ".shp", ".parquet", ".fgb")


@dataclass(frozen=True)
class Scene:
    """One image with its labels, none of it read before it is asked for.

    Attributes:
        name: unique in its dataset, as "austin1".
        image: raster file.
        city: place that the scene belongs to.
        split: "train", "validation" or "test".
        labels: class name -> mask raster, or vector file of polygons or centre lines, in any CRS.
        nodata: rule for pixels without imagery, see `valid_pixels`.
        gsd_hint: metres per pixel for images without a georeference.
        drawn: True for scenes that a program drew; every figure of them says so.
    """

    name: str
    image: Path
    city: str = ""
    split: str = "train"
    labels: dict[str, Path] = field(default_factory=dict)
    nodata: str | None = None
    gsd_hint: float | None = None
    drawn: bool = False

    @cached_property
    def info(self) -> RasterInfo:
        """The image's grid."""
        return read_info(self.image)

    @property
    def gsd(self) -> float | None:
        """Metres per pixel, from the georeference or the dataset; None where neither knows."""
        return self.info.gsd or self.gsd_hint

    def read(self, window: tuple[int, int, int, int] | None = None, bands: Sequence[int] | None = None) -> np.ndarray:
        """uint8 (height, width, bands) of `window`, (row, col, height, width) in pixels; without it, the whole."""
        with open_raster(self.image) as raster:
            return raster.read(window, bands)

    def read_valid(self, window: tuple[int, int, int, int] | None = None) -> np.ndarray:
        """bool (height, width): where there is imagery, by the file's mask and the dataset's rule."""
        with open_raster(self.image) as raster:
            valid = raster.read_valid(window)
            return valid if self.nodata is None else valid & valid_pixels(raster.read(window), self.nodata)

    def read_labels(self, kind: str = "buildings", window: tuple[int, int, int, int] | None = None) -> np.ndarray:
        """uint8 {0, 1} (height, width) of one class.

        Raises:
            KeyError: if the scene has no labels of that class.
            ValueError: if a mask has another size than its image.
        """
        if kind not in self.labels:
            raise KeyError(f"{self.name} has no labels of {kind!r}; it has {sorted(self.labels) or 'none'}")
        path = self.labels[kind]
        if path.suffix.lower() in VECTOR_SUFFIXES:
            grid = self.info if window is None else self.info.crop(*window)
            return rasterize_file(path, grid)
        mask_info = read_info(path)
        if mask_info.shape != self.info.shape:
            raise ValueError(
                f"{path} is {mask_info.shape} px, its image {self.image.name} {self.info.shape} px; "
                f"rasterise the labels on the image's grid"
            )
        return read_mask(path, window)


@dataclass(frozen=True)
class Dataset(Sequence):
    """A named list of scenes. Index it, loop over it, or narrow it with `select`."""

    name: str
    scenes: tuple[Scene, ...]

    def __getitem__(self, index):
        """A scene by position or by name."""
        if isinstance(index, str):
            found = [s for s in self.scenes if s.name == index]
            if not found:
                raise KeyError(f"{self.name} has no scene {index!r}; it has {', '.join(s.name for s in self.scenes)}")
            return found[0]
        return self.scenes[index]

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[Scene]:
        return iter(self.scenes)

    @property
    def cities(self) -> tuple[str, ...]:
        """The cities, sorted."""
        return tuple(sorted({s.city for s in self.scenes}))

    @property
    def drawn(self) -> bool:
        """True if any scene was drawn by a program."""
        return any(s.drawn for s in self.scenes)

    def select(self, cities: Sequence[str] | str | None = None, split: str | None = None) -> Dataset:
        """The scenes of some cities, of one split, or both.

        Raises:
            ValueError: if a city or the split does not exist.
        """
        cities = [cities] if isinstance(cities, str) else cities
        unknown = sorted(set(cities or ()) - set(self.cities))
        if unknown:
            raise ValueError(f"{self.name} has no city {', '.join(unknown)}; choose from {', '.join(self.cities)}")
        if split is not None and split not in SPLITS:
            raise ValueError(f"split {split!r} is unknown; choose from {', '.join(SPLITS)}")
        kept = (s for s in self.scenes if (cities is None or s.city in cities) and split in (None, s.split))
        return Dataset(self.name, tuple(kept))
