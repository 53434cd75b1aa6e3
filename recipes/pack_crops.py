"""Packs labelled crops into zip files of limited size, to carry them to another machine; any unzip opens them.

    python recipes/pack_crops.py CROPS packed --groups inria_crops world_buildings
    for piece in packed/*.zip; do python -m zipfile -e $piece crops; done        # there

Images and masks stay the JPEG and PNG files that they are. Each piece can be unpacked by itself; `manifest.csv` is in
the first.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path


def pieces(files: Sequence[Path], most: int) -> Iterator[list[Path]]:
    """The files in their order, in lists of at most `most` bytes together; a larger file is alone."""
    piece, size = [], 0
    for path in files:
        bytes_ = path.stat().st_size + 2 * len(str(path)) + 200  # with its two headers in the archive
        if piece and size + bytes_ > most:
            yield piece
            piece, size = [], 0
        piece.append(path)
        size += bytes_
    if piece:
        yield piece


def pack(root: Path, groups: Sequence[str], out: Path, most: int = 40_000_000) -> list[Path]:
    """Writes `crops-00.zip`, ... into `out` and returns their paths.

    Raises:
        FileNotFoundError: if a group has no files.
    """
    files = [root / "manifest.csv"]
    for group in groups:
        found = sorted(p for part in ("images", "masks") for p in (root / group / part).glob("*.*"))
        if not found:
            raise FileNotFoundError(f"{root / group} holds no images and masks; give groups of {root / 'manifest.csv'}")
        files += found
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for number, piece in enumerate(pieces(files, most)):
        written.append(out / f"crops-{number:02d}.zip")
        with zipfile.ZipFile(written[-1], "w", zipfile.ZIP_STORED) as archive:  # JPEG and PNG do not shrink further
            for path in piece:
                archive.write(path, path.relative_to(root))
    return written


def main() -> None:
    """Reads the command line, packs, and prints the sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--groups", nargs="+", default=["inria_crops"])
    parser.add_argument("--most", type=float, default=40, help="megabytes of a piece")
    args = parser.parse_args()
    for path in pack(args.crops, args.groups, args.out, int(args.most * 1e6)):
        print(f"{path} {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
