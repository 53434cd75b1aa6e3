"""Archives in, files in place out: 7z volumes, zip inside them as a stream, and no path that climbs out."""

from __future__ import annotations

import hashlib
import io
import lzma
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pooch
import py7zr
from py7zr.io import Py7zIO, WriterFactory

from jointnet.data.zipstream import ArchiveError, NotAStream, read_zip_stream, safe_path
from jointnet.files import put_in_place

Tell = Callable[[int], object]  # called with the number of bytes just unpacked


def unpack_volumes(
    volumes: Sequence[Path],
    target: Path,
    md5: str | None = None,
    tell: Tell = lambda _: None,
    strip: str = "",
    most: int | None = None,
) -> None:
    """Unpacks a 7z archive in volumes into `target`; a zip inside is unpacked as it streams by, without a copy of it.

    Nothing appears in `target` before everything has been unpacked and checked; on an error nothing does.

    Args:
        volumes: the files, in order.
        target: folder; it is made, and what it holds stays.
        md5: checksum of the zip inside, where known.
        tell: called with the number of bytes just unpacked.
        strip: folder of the archive whose contents go straight into `target`.
        most: bytes that may come out, where it is known what should.

    Raises:
        ArchiveError: if a volume is damaged or encrypted, a checksum wrong, a member's path climbs out, or more comes
            out than may.
    """
    target.mkdir(parents=True, exist_ok=True)
    aside = target / ".unpacking"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        try:
            _unpack_7z(volumes, aside, md5, tell, most, stream=True)
        except NotAStream:
            shutil.rmtree(aside)
            aside.mkdir()
            _unpack_7z(volumes, aside, md5, tell, most, stream=False)
        _move_into(aside / strip if (aside / strip).is_dir() else aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _limited(tell: Tell, most: int | None) -> Tell:
    """`tell`, which raises ArchiveError when more than `most` bytes have come out of an archive."""
    if most is None:
        return tell
    left = most

    def counted(count: int) -> None:
        nonlocal left
        left -= count
        if left < 0:
            raise ArchiveError(f"the archive unpacks to more than the {most:,} bytes that it may hold, so it is not "
                               f"the one that was meant, and unpacking stopped; remove its volumes, fetch them again")
        tell(count)

    return counted


def _unpack_7z(volumes: Sequence[Path], target: Path, md5: str | None, tell: Tell, most: int | None, stream: bool
               ) -> None:
    """Unpacks the 7z; a zip inside it as a stream, or by way of a copy on disk."""
    sinks = _Sinks(target, md5, _limited(tell, most), _limited(lambda _: None, most), stream)
    with Volumes(volumes) as raw, io.BufferedReader(raw, 1 << 20) as joined:
        try:
            with py7zr.SevenZipFile(joined) as archive:
                names = [f.filename for f in archive.list()]
                for name in names:
                    safe_path(target, name)
                archive.extractall(factory=sinks)
        except (ArchiveError, NotAStream):
            raise
        except py7zr.exceptions.PasswordRequired as error:
            raise ArchiveError(f"{volumes[0].name} asks for a password, so it is not the archive that was meant; "
                               f"remove it and the volumes after it, and fetch them again") from error
        except Exception as error:  # py7zr has no end of errors for bytes that are not what they should be
            if isinstance(error, OSError) and error.errno:  # a full disk is not a damaged archive
                raise
            raise ArchiveError(
                f"{volumes[0].name} and the volumes after it are damaged or incomplete; remove them and fetch them "
                f"again ({error})"
            ) from error
        finally:
            sinks.close()
    sinks.finish()


class Volumes(io.RawIOBase):
    """Files that read as one, each byte where it would be if they were joined."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files = [p.open("rb") for p in paths]
        self._starts = [0]
        for path in paths:
            self._starts.append(self._starts[-1] + path.stat().st_size)
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads up to the end of the volume that the position is in."""
        for file, start, stop in zip(self._files, self._starts, self._starts[1:], strict=False):
            if start <= self._position < stop:
                file.seek(self._position - start)
                count = file.readinto(buffer)
                self._position += count
                return count
        return 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def close(self) -> None:
        """Closes every volume."""
        for file in self._files:
            file.close()
        super().close()


class _Sinks(WriterFactory):
    """Where py7zr writes: plain files, and a zip through the stream reader or a copy."""

    def __init__(self, target: Path, md5: str | None, tell: Tell, copied: Tell, stream: bool) -> None:
        self._target, self._md5, self._tell, self._copied, self._stream = target, md5, tell, copied, stream
        self._open: list[_FileSink | _ZipSink] = []

    def create(self, filename: str) -> Py7zIO:
        """A sink for one member; py7zr names it relative to the archive."""
        path = safe_path(self._target, filename)
        if path.suffix.lower() == ".zip" and self._stream:
            self._open.append(_ZipSink(self._target, self._md5, self._tell))
        elif path.suffix.lower() == ".zip":
            self._open.append(_FileSink(path, self._copied))
        else:
            self._open.append(_FileSink(path, self._tell))
        return self._open[-1]

    def close(self) -> None:
        """Closes what is open, finished or not."""
        for sink in self._open:
            sink.shut()

    def finish(self) -> None:
        """Checks streamed zips, and unpacks copied ones."""
        for sink in self._open:
            if isinstance(sink, _ZipSink):
                sink.check()
            elif sink.path.suffix.lower() == ".zip":
                _unpack_zip(sink.path, self._target, self._md5, self._tell)


class _Sink(Py7zIO):
    """What py7zr asks of a writer, as far as writing goes."""

    written = 0

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        return None

    def size(self) -> int:
        return self.written


class _FileSink(_Sink):
    """A member that is a file."""

    def __init__(self, path: Path, tell: Tell) -> None:
        self.path, self._tell = path, tell
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")

    def write(self, data: bytes | bytearray) -> int:
        self.written += len(data)
        self._tell(len(data))
        return self._file.write(data)

    def shut(self) -> None:
        self._file.close()


class _ZipSink(_Sink):
    """A member that is a zip, unpacked while it passes."""

    def __init__(self, target: Path, md5: str | None, tell: Tell) -> None:
        self._md5, self._sum = md5, hashlib.md5(usedforsecurity=False)
        self._reader = read_zip_stream(target, tell)
        next(self._reader)
        self._over = False

    def write(self, data: bytes | bytearray) -> int:
        self.written += len(data)
        self._sum.update(data)
        if not self._over:
            try:
                self._reader.send(bytes(data))
            except StopIteration:  # what follows is the central directory, which repeats the entries
                self._over = True
        return len(data)

    def check(self) -> None:
        if not self._over:
            raise ArchiveError("the zip in the archive ends within a file; fetch the archive again")
        _check_md5(self._sum.hexdigest(), self._md5)

    def shut(self) -> None:
        self._reader.close()


def _unpack_zip(path: Path, target: Path, md5: str | None, tell: Tell) -> None:
    """Unpacks a zip that lies on disk, and removes it."""
    if md5 is not None:
        _check_md5(pooch.file_hash(str(path), alg="md5"), md5)
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                out = safe_path(target, entry.filename)
                if entry.is_dir():
                    continue
                out.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, out.open("wb") as file:
                    while block := source.read(1 << 20):
                        tell(len(block))
                        file.write(block)
    except ArchiveError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error, lzma.LZMAError,
            struct.error) as error:
        raise ArchiveError(f"{path.name} in the archive is damaged; fetch the archive again ({error})") from error
    path.unlink()


def _check_md5(found: str, expected: str | None) -> None:
    """Raises ArchiveError where an MD5 is known and differs."""
    if expected is not None and found != expected:
        raise ArchiveError(
            f"the zip in the archive has MD5 {found}, not {expected}: a volume is damaged; remove the volumes and "
            f"fetch them again"
        )


def _move_into(source: Path, target: Path) -> None:
    """Moves every file of `source` to the same place under `target`, over what is there."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            put_in_place(path, place)
