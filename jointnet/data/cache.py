"""What the kit keeps by itself in the user's cache: how much of what, and how to be rid of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from jointnet.data.place_files import cache_folder
from jointnet.errors import InputError

WHAT = {
    "tiles": "imagery of places, fetched from services",
    "places": "places that were opened, and those saved without a folder",
    "patch_index": "where scenes have imagery and foreground",
    "compiled": "networks ready to run",
}


def kept() -> dict[str, int]:
    """Bytes of each kind that is kept; kinds of other editions are counted too."""
    folder = cache_folder()
    parts = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    return {part.name: sum(f.stat().st_size for f in part.rglob("*") if f.is_file()) for part in parts}


def clear(*kinds: str) -> Path:
    """Deletes some kinds, all without any, and returns the folder. What is needed again is fetched or made again.

    Raises:
        ValueError: if a kind is not kept.
    """
    held = kept()
    unknown = sorted(set(kinds) - set(held) - set(WHAT))
    if unknown:
        raise InputError(f"the cache holds no {', '.join(unknown)}; choose from {', '.join(held or WHAT)}")
    for kind in kinds or held:
        shutil.rmtree(cache_folder() / kind, ignore_errors=True)
    return cache_folder()
