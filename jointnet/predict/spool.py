"""Finished rows of a prediction in; the same rows out after a crash. One small file per band of rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jointnet.data.raster import RasterError
from jointnet.files import written_whole


class Spool:
    """A folder of finished bands of rows, numbered from 0, each of which appears whole or not at all.

    Attributes:
        folder: where the bands lie.
        settings: what the rows were made with; a folder of other settings is emptied.
    """

    def __init__(self, folder: Path, settings: dict):
        self.folder = folder
        self.settings = json.loads(json.dumps(settings))
        note = folder / "settings.json"
        if folder.exists() and _read_json(note) != self.settings:
            shutil.rmtree(folder)
        if not folder.exists():
            folder.mkdir(parents=True)
            with written_whole(note) as draft:
                draft.write_text(json.dumps(self.settings), encoding="utf-8")

    def finished(self) -> int:
        """How many bands are there without a gap, from 0."""
        count = 0
        while self._path(count).exists():
            count += 1
        return count

    def add(self, number: int, start: int, probability: np.ndarray, mask: np.ndarray) -> None:
        """Stores band `number`, whose first row is `start`: both arrays (rows, width, classes), mask of {0, 1}.

        Raises:
            RasterError: if it cannot be written, as on a full disk.
        """
        try:
            with written_whole(self._path(number)) as draft:
                np.savez_compressed(draft, start=start, probability=probability, mask=np.packbits(mask, axis=1))
        except OSError as error:
            raise RasterError(f"{self.folder.parent} cannot be written to: check that the disk is not full and that "
                              f"the folder is yours ({error})") from error

    def rows(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(first row, probability, mask) of every band, in order."""
        for number in range(self.finished()):
            with np.load(self._path(number), allow_pickle=False) as band:
                probability = band["probability"]
                mask = np.unpackbits(band["mask"], axis=1, count=probability.shape[1])
                yield int(band["start"]), probability, mask

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"


def _read_json(path: Path):
    """The content of a JSON file, or None where there is no whole one."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
