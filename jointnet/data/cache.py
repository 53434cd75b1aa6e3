"""What the kit keeps by itself in the user's cache: how much of what, and how to be rid of it."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jointnet.data.place_files import tile_folder
from jointnet.errors import InputError
from jointnet.files import cache_folder

MOST = 2_000_000_000  # bytes of tiles

WHAT = {
    "tiles": "imagery of places, fetched from services",
    "places": "places that were opened, and those saved without a folder",
    "patch_index": "where scenes have imagery and foreground",
    "mask_values": "what large masks hold",
    "compiled": "networks ready to run",
}


def kept() -> dict[str, int]:
    """Kind of what is kept -> its bytes. Datasets, which may lie in the same folder, are the user's and not counted."""
    parts = [cache_folder() / kind for kind in WHAT if (cache_folder() / kind).is_dir()]
    return {part.name: sum(size for _, size, _ in _files_in(part)) for part in parts}


def _files_in(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """(time, bytes, file) of each; another process may delete some meanwhile, which are passed over."""
    for path in folder.rglob("*"):
        try:
            found = path.stat()
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode):
            yield found.st_mtime, found.st_size, path


def forget_oldest_tiles(most: int = MOST) -> None:
    """Deletes the tiles that were fetched longest ago, until the others take no more bytes than that."""
    held = list(_files_in(tile_folder()))
    surplus = sum(size for _, size, _ in held) - most
    for _, size, file in sorted(held):
        if surplus <= 0:
            return
        with suppress(OSError):  # it is gone, or others' to delete: tiles too many are no reason to stop
            file.unlink()
        surplus -= size


def clear(*kinds: str) -> Path:
    """Deletes some kinds, all without any, and returns the folder. What is needed again is fetched or made again.

    Raises:
        ValueError: if a kind is not kept.
    """
    held = kept()
    unknown = sorted(set(kinds) - set(WHAT))
    if unknown:
        raise InputError(f"the cache holds no {', '.join(unknown)}; choose from {', '.join(WHAT)}")
    for kind in kinds or held:
        shutil.rmtree(cache_folder() / kind, ignore_errors=True)
    return cache_folder()
