"""Files and folders that appear under their names only when they are complete; places that one process has to itself.

The one module that renames. Drafts grow in a hidden folder beside their place, so what a writer leaves around them goes
with them, and what a killed process left is cleared away when the same place is written again.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jointnet.errors import InputError, JointNetError

WHOLE = ".whole.json"  # beside the drafts of several files once all are complete; it holds their names


def cache_folder() -> Path:
    """The folder of all that the kit keeps by itself: JOINTNET_CACHE, or the user's cache."""
    import platformdirs  # a machine for training alone may not have it

    return Path(os.environ.get("JOINTNET_CACHE") or platformdirs.user_cache_dir("jointnet"))


class InUseError(JointNetError, RuntimeError):
    """A place that another process is writing to; the message says what to do."""


@contextmanager
def written_whole(path: str | Path, *companions: str | Path) -> Iterator[Path]:
    """Where to write what appears at `path`, complete, when the block ends without an error; else nothing changes.

    The draft has the name of `path` and lies in a folder of its own. Another process that writes to the same place is
    waited for. A link stays one: what it points at is written.

    Args:
        path: a file or a folder, new or to be replaced; its folder is made. What is no file, as /dev/stdout, is
            written to as it is.
        companions: files beside `path` that belong to it alone, as a network's weights to its description. They are
            written beside the draft, and come to their places together with it: where a process is killed meanwhile,
            `path` is missing rather than beside companions of another, until `settle` or the next writer ends it.

    Raises:
        OSError: if the place cannot be written to.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        yield path
        return
    if path.is_symlink() and not companions:
        path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = _drafts(path)
    with alone(_lock_of(folder)):
        _clear(folder, path)
        folder.mkdir()
        try:
            yield folder / path.name
            _commit(folder, path, [Path(c).name for c in companions])
        finally:
            if not (folder / WHOLE).exists():
                shutil.rmtree(folder, ignore_errors=True)


def settle(path: str | Path) -> None:
    """Ends what a killed process had begun to put in place at `path`, as before it is read, and removes its drafts."""
    folder = _drafts(Path(path))
    if not (folder.exists() or _lock_of(folder).exists()):
        return
    busy = "" if (folder / WHOLE).exists() else f"{path} is being written"  # what is complete is in place in a moment
    with suppress(InUseError, PermissionError), alone(_lock_of(folder), busy):  # where nobody may write, it stays so
        _clear(folder, Path(path))


def state_of(path: str | Path) -> tuple[tuple[int, int] | None, ...]:
    """(size, time of change) of a file and of those beside it that say more of it; None for what is not there.

    A shapefile has its columns and its CRS beside it, a raster what hides its pixels and what GDAL noted of it: to
    change a value there leaves the file itself as it was.
    """
    path = Path(path)
    if path.suffix.lower() == ".shp":
        parts = [path, *(path.with_suffix(end) for end in (".dbf", ".DBF", ".prj", ".PRJ", ".cpg", ".CPG"))]
    elif path.suffix.lower() == ".gpkg":
        parts = [path, Path(f"{path}-wal")]  # where changes lie while QGIS has it open
    else:
        parts = [path, Path(f"{path}.msk"), Path(f"{path}.aux.xml")]
    return tuple(map(_size_and_time, parts))


def _size_and_time(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written anew; None where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size, found.st_mtime_ns


def put_in_place(draft: str | Path, path: str | Path) -> None:
    """Gives a finished file, which grew under another name on the same disk, its own, over what was there."""
    _rename(Path(draft), Path(path))


def check_file_name(name: object, what: str) -> None:
    """Raises InputError where a name cannot be part of a file's name, on any system, without leading elsewhere."""
    bad = sorted({c for c in name if c in '/\\:*?"<>|' or not c.isprintable()}) if isinstance(name, str) else []
    if not isinstance(name, str) or bad or name != name.strip(" .") or not 0 < len(name) <= 100:
        raise InputError(f"{what} is called {name!r}; names of 1 to 100 characters are possible, none of them "
                         f"/ \\ : * ? \" < > | or unprintable, without a dot or blank at either end")


@contextmanager
def alone(lock: Path, busy: str = "") -> Iterator[None]:
    """Keeps other processes out of this block for the same lock file, which is there only meanwhile.

    The system frees the lock of a process that dies.

    Args:
        lock: the file; its folder exists.
        busy: message of the error where another process is inside; without it, this one waits for the other.

    Raises:
        InUseError: if another process is inside, with `busy` as its message.
        OSError: if the file cannot be made.
    """
    import filelock  # late: reading needs no lock

    held = filelock.FileLock(lock, timeout=0 if busy else -1)
    try:
        held.acquire()
    except filelock.Timeout as error:
        raise InUseError(busy) from error
    try:
        yield
    finally:
        with suppress(OSError):  # removed while it is held: whoever waits for it sees that, and makes another
            lock.unlink()
        held.release()


def _drafts(path: Path) -> Path:
    """The folder in which what belongs at `path` grows."""
    return path.with_name(f".draft-{path.name}")


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _clear(folder: Path, path: Path) -> None:
    """Removes the drafts of a process that was killed, once those that were complete are in their places."""
    if (folder / WHOLE).exists():
        _place(folder, path)
    if folder.exists():
        shutil.rmtree(folder)


def _commit(folder: Path, path: Path, companions: list[str]) -> None:
    """Brings the drafts to their places: in one step where the system has one, else so that it can be gone on with."""
    for name in (*companions, path.name):
        _check_kind(folder / name, path.with_name(name))
    if not companions and not path.is_dir():
        _rename(folder / path.name, path)
    elif companions or not _exchange(folder / path.name, path):
        note = folder / f"{WHOLE}.draft"
        note.write_text(json.dumps(companions), encoding="utf-8")
        _rename(note, folder / WHOLE)
        _place(folder, path)


def _check_kind(draft: Path, place: Path) -> None:
    """Raises an OSError where a draft is missing, or would put a file in the place of a folder or the reverse."""
    if not draft.exists():
        raise FileNotFoundError(f"{draft} was not written")
    if place.exists() and draft.is_dir() != place.is_dir():
        raise FileExistsError(f"{place} is {'a folder' if place.is_dir() else 'a file'}; remove it, or name another")


def _place(folder: Path, path: Path) -> None:
    """Brings complete drafts to their places, or those that are left; `path` is missing while its companions change."""
    draft = folder / path.name
    if draft.exists():
        if path.is_dir():
            _rename(path, folder / ".before")
        else:
            path.unlink(missing_ok=True)
        for name in json.loads((folder / WHOLE).read_text(encoding="utf-8")):
            if (folder / name).exists():
                _rename(folder / name, path.with_name(name))
        _rename(draft, path)
    (folder / WHOLE).unlink()


def _rename(source: Path, target: Path) -> None:
    """One step: before it the target is what it was, after it what the source was."""
    os.replace(source, target)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges the names of two folders in one step, where the system has that, as Linux; whether it has."""
    if not sys.platform.startswith("linux"):
        return False
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)
    system = ctypes.CDLL(None, use_errno=True)
    if not hasattr(system, "renameat2"):
        return False
    return system.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0
