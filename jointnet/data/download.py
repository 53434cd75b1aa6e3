"""The published datasets, fetched into the folders that the catalogue reads: name and tiles in, root out."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pooch

from jointnet.data.fetch import ChecksumError, DownloadError, Fetcher, alone_in
from jointnet.data.inria import TEST_TILES, TILES, image_path, inria_root, mask_path, parse_tile, tiles_of
from jointnet.data.massachusetts import COUNTS
from jointnet.data.unpack import unpack_volumes
from jointnet.errors import InputError
from jointnet.files import written_whole
from jointnet.progress import tqdm

NAMES = ("inria", "massachusetts_buildings", "massachusetts_roads")
INRIA_TILES_URL = "https://huggingface.co/datasets/blanchon/INRIA-Aerial-Image-Labeling/resolve/main/data"
MASSACHUSETTS_URL = "https://www.cs.toronto.edu/~vmnih/data"
AT_ONCE = 50  # checksums of unpacked tiles that are recorded together
SUMS = "SHA256SUMS"  # in a dataset's folder; `sha256sum -c` reads it too
IMAGE_BYTES, MASK_BYTES = 75_100_000, 25_100_000  # of one INRIA tile, uncompressed
PAIR_BYTES = 13_600_000  # of one Massachusetts image and its map, uncompressed, at most


@dataclass(frozen=True)
class Archive:
    """An archive in volumes: address, name -> bytes of each, MD5 of the zip inside, bytes unpacked (about)."""

    url: str
    volumes: dict[str, int]
    md5: str | None
    unpacked: int


INRIA_ARCHIVE = Archive(
    "https://files.inria.fr/aerialimagelabeling",
    {f"aerialimagelabeling.7z.00{n}": 4_294_967_296 if n < 5 else 3_777_396_691 for n in range(1, 6)},
    "4b1acfe84ae9961edc1a6049f940380f",
    360 * IMAGE_BYTES + 180 * MASK_BYTES,
)


def download(
    name: str,
    root: str | Path,
    tiles: Sequence[str] | None = None,
    cities: Sequence[str] | None = None,
    progress: bool = True,
    url: str | None = None,
    keep_archive: bool = False,
    fetcher: Fetcher | None = None,
) -> Path:
    """The folder that now holds the dataset. What is there already is not fetched; what was cut off goes on.

    Args:
        name: "inria", "massachusetts_buildings" or "massachusetts_roads".
        root: folder of the dataset, as `open_dataset` takes it.
        tiles: names of single INRIA tiles to fetch, as "bellingham15", from a mirror that has them one by one.
        cities: INRIA cities whose tiles to fetch; with `tiles` too, the tiles of both are fetched.
        progress: show bars with rate and time left.
        url: another address of the same files.
        keep_archive: keep INRIA's five volumes after they have been unpacked and checked.
        fetcher: what fetches the files, where its timeouts and retries should be others.

    Raises:
        ValueError: if the dataset, a tile or a city does not exist.
        DownloadError: if the disk is too small, a file cannot be fetched whole, or another download into `root` runs.
        ArchiveError: if the archive is damaged or dangerous.
    """
    if name not in NAMES:
        hint = "; the sample is drawn when it is first opened" if name == "sample" else ""
        raise InputError(f"dataset {name!r} cannot be downloaded; choose from {', '.join(NAMES)}{hint}")
    if name != "inria" and (tiles is not None or cities is not None):
        raise InputError(f"tiles and cities can be chosen for inria alone; {name} is fetched whole")
    root = Path(root).expanduser()
    fetcher = fetcher or Fetcher(progress=progress)
    chosen = None if tiles is None and cities is None else _chosen(tiles, cities)
    try:
        with alone_in(root):
            if name != "inria":
                _download_massachusetts(name, root, url or MASSACHUSETTS_URL, fetcher)
            elif chosen is None:
                archive = INRIA_ARCHIVE if url is None else replace(INRIA_ARCHIVE, url=url)
                download_archive(archive, root, fetcher, keep_archive)
            else:
                _download_tiles(chosen, root, url or INRIA_TILES_URL, fetcher)
    except OSError as error:
        raise DownloadError(f"{root} cannot be written to: {error.strerror or error}; free some space, check the "
                            f"folder's permissions, or choose another with root= (--root)") from error
    return root


def download_archive(archive: Archive, root: Path, fetcher: Fetcher, keep: bool = False) -> None:
    """INRIA's whole benchmark from its archive into `root`; no second full copy is made while unpacking.

    Raises:
        DownloadError: if the disk is too small for the volumes and what they hold, or a volume cannot be fetched.
        ArchiveError: if a volume is damaged.
    """
    place = inria_root(root)
    volumes = {root / name: size for name, size in archive.volumes.items()}
    if all(_is_here(place, tile) for tile in TILES):
        if not any(path.exists() for path in volumes):
            return
    else:
        _fetch_volumes(archive, volumes, root, fetcher)
        with tqdm(
            desc="unpacking", total=archive.unpacked, unit="B", unit_scale=True, disable=not fetcher.progress
        ) as bar:
            unpack_volumes(list(volumes), place, archive.md5, bar.update, strip="AerialImageDataset",
                           most=2 * archive.unpacked)
    _record_all(root, place, fetcher.progress)
    for path in () if keep else volumes:
        path.unlink(missing_ok=True)


def verify(root: str | Path, progress: bool = False) -> list[str]:
    """The files whose SHA-256 is not the one recorded when they were fetched, or that are gone; none if all is well.

    An archive's volumes may be gone: what was unpacked of them is recorded too.

    Args:
        root: folder of the dataset.
        progress: show a bar with rate and time left.

    Raises:
        FileNotFoundError: if nothing is recorded for the folder.
    """
    root = Path(root).expanduser()
    sums = _read_sums(root)
    if not sums:
        raise FileNotFoundError(
            f"{root / SUMS} names no file: nothing was fetched into this folder, so there is nothing to hold it against"
        )
    there = [name for name in sums if (root / name).exists()]
    gone = [name for name in sums if name not in set(there) and not re.fullmatch(r"[^/]+\.7z\.\d{3}", name)]
    bar = tqdm(there, desc="verifying", unit="file", disable=not progress)
    return sorted([name for name in bar if pooch.file_hash(str(root / name)) != sums[name]] + gone)


def _fetch_volumes(archive: Archive, volumes: dict[Path, int], root: Path, fetcher: Fetcher) -> None:
    """Every volume that is not there yet, once the disk is known to have room for them and for what they hold."""
    _check_space(root, sum(size - _arrived(path) for path, size in volumes.items()) + archive.unpacked)
    for path, size in volumes.items():
        if path.exists() and path.stat().st_size != size:
            raise DownloadError(f"{path} is {path.stat().st_size:,} bytes, not {size:,}; remove it and run this again")
        _fetch_recorded(fetcher, f"{archive.url}/{path.name}", path, root, size)


def _record_all(root: Path, place: Path, progress: bool) -> None:
    """Records the sum of every tile that has none yet."""
    files = [p for tile in TILES for p in (image_path(place, tile), mask_path(place, tile)) if p.exists()]
    known = _read_sums(root)
    new = {name: path for path in files if (name := path.relative_to(root).as_posix()) not in known}
    found: dict[str, str] = {}
    for name, path in tqdm(new.items(), desc="recording checksums", unit="file", disable=not progress):
        found[name] = pooch.file_hash(str(path))
        if len(found) == AT_ONCE:
            _record(root, found)
            found = {}
    _record(root, found)


def _chosen(tiles: Sequence[str] | None, cities: Sequence[str] | None) -> list[str]:
    """The tiles of a call, checked."""
    for tile in tiles or ():
        parse_tile(tile)
    of_cities = TILES if cities is None else tiles_of(cities)
    chosen = [t for t in of_cities if tiles is None or t in tiles]
    if not chosen:
        raise InputError(f"none of the tiles {', '.join(tiles or ())} lies in {', '.join(cities or ())}")
    return chosen


def _download_tiles(tiles: Sequence[str], root: Path, url: str, fetcher: Fetcher) -> None:
    """Single tiles: an image each, and a mask where there is one."""
    place = inria_root(root)
    files = {image_path(place, t): IMAGE_BYTES for t in tiles}
    files |= {mask_path(place, t): MASK_BYTES for t in tiles if t not in TEST_TILES}
    wanted = {path: size for path, size in files.items() if not path.exists()}
    _check_space(root, sum(size - _arrived(path) for path, size in wanted.items()))
    for path in _counted(wanted, fetcher):
        _fetch_recorded(fetcher, f"{url}/{path.relative_to(place).as_posix()}", path, root)


def _download_massachusetts(name: str, root: Path, url: str, fetcher: Fetcher) -> None:
    """A whole Massachusetts set, as its index pages list it."""
    source = f"{url}/{name.replace('massachusetts', 'mass')}"
    parts = {f"{part}/{kind}": suffix for part in COUNTS[name] for kind, suffix in (("sat", ".tiff"), ("map", ".tif"))}
    files: dict[Path, str] = {}
    for part, suffix in parts.items():
        names = _listed(fetcher.page(f"{source}/{part}/"), suffix)
        if not names:
            raise DownloadError(f"{source}/{part}/ lists no {suffix} files: the source has changed or moved")
        files |= {root / part / n: f"{source}/{part}/{n}" for n in names}
    wanted = {path: address for path, address in files.items() if not path.exists()}
    _check_space(root, len(wanted) * PAIR_BYTES // 2)
    for path in _counted(wanted, fetcher):
        _fetch_recorded(fetcher, wanted[path], path, root)


def _counted(paths: Iterable[Path], fetcher: Fetcher) -> Iterable[Path]:
    """The paths, with a bar that counts them."""
    return tqdm(paths, desc="files", unit="file", disable=not fetcher.progress)


def _fetch_recorded(fetcher: Fetcher, url: str, path: Path, root: Path, size: int | None = None) -> None:
    """Fetches a file, checks it against the sum recorded at an earlier fetch, or records its sum."""
    if path.exists():
        return
    name, sums = path.relative_to(root).as_posix(), _read_sums(root)

    def record(part: Path) -> None:  # before the file has its name: one that is there is always recorded
        if name not in sums:
            _record(root, {name: pooch.file_hash(str(part))})

    try:
        fetcher.fetch(url, path, size, f"sha256:{sums[name]}" if name in sums else None, record)
    except ChecksumError as error:
        if name not in sums:
            raise
        advice = f"if the source was changed on purpose, remove the line from {root / SUMS}"
        raise ChecksumError(f"{error}; {advice}") from error


def _record(root: Path, new: dict[str, str]) -> None:
    """Adds the SHA-256 of files, or of what is to become them, to the folder's list."""
    with written_whole(root / SUMS) as draft:
        sums = _read_sums(root) | new
        draft.write_text("".join(f"{found}  {each}\n" for each, found in sums.items()), encoding="utf-8")


def _read_sums(root: Path) -> dict[str, str]:
    """Name -> SHA-256 of what was fetched into a folder."""
    path = root / SUMS
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except UnicodeDecodeError as error:
        raise DownloadError(f"{path} is damaged; put a copy in its place, or remove it: what is there is then not "
                            f"checked any more") from error
    return {name: found for found, _, name in (line.partition("  ") for line in lines) if name}


def _check_space(root: Path, needed: int) -> None:
    """Raises DownloadError unless the disk of `root` has room for `needed` bytes."""
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if free < needed:
        raise DownloadError(
            f"{root} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed; free some space, or choose "
            f"another folder with root= (--root)"
        )


def _arrived(path: Path) -> int:
    """Bytes of a file that are on disk, whole or in part."""
    part = path.with_name(f"{path.name}.part")
    return next((p.stat().st_size for p in (path, part) if p.exists()), 0)


def _is_here(place: Path, tile: str) -> bool:
    """Whether a tile's image is there, and its mask if it has one."""
    return image_path(place, tile).exists() and (tile in TEST_TILES or mask_path(place, tile).exists())


class _Links(HTMLParser):
    """The addresses that a page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps the href of a link."""
        self.found += [value for key, value in attrs if tag == "a" and key == "href" and value]


def _listed(page: str, suffix: str) -> list[str]:
    """The file names with a suffix that an index page links to; paths, odd names and anything else are passed over."""
    links = _Links()
    links.feed(page)
    names = (PurePosixPath(unquote(link)).name for link in links.found)
    plain = {n for n in names if n.endswith(suffix) and n != suffix and re.fullmatch(r"[\w.+ -]+", n, re.ASCII)}
    return sorted(plain)
