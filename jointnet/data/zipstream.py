"""A zip read from front to back: bytes sent in as they arrive, checked files out."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Generator
from pathlib import Path, PurePosixPath

from jointnet.errors import JointNetError

_ENTRY, _DESCRIPTOR = b"PK\x03\x04", b"PK\x07\x08"
_ENDS = (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06")  # central directory, or the end of an empty archive
_STORED, _DEFLATED = 0, 8
_BLOCK = 1 << 22  # bytes inflated at once


class ArchiveError(JointNetError, RuntimeError):
    """An archive that is damaged or dangerous; the message says what to do."""


class NotAStream(Exception):
    """A zip that cannot be read from front to back."""


def safe_path(target: Path, name: str) -> Path:
    """Where a member of an archive goes under `target`.

    Raises:
        ArchiveError: if the name is absolute, has a drive or climbs out.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or ".." in parts or any(":" in p or "\0" in p for p in parts):
        raise ArchiveError(f"the archive holds {name!r}, a path outside its folder; it was not unpacked")
    return target.joinpath(*parts)


def read_zip_stream(target: Path, tell: Callable[[int], object]) -> Generator[None, bytes, None]:
    """A coroutine: start it, send it the bytes of a zip; files appear under `target`; it returns after the last.

    It follows the local headers of PKWARE's APPNOTE.TXT, 4.3.7 to 4.3.9. `tell` is called with the number of bytes
    just unpacked.

    Raises:
        ArchiveError: if an entry is damaged, encrypted, compressed by another method, or its path climbs out.
        NotAStream: if an entry is stored and its size comes only behind it.
    """
    pipe = _Pipe()
    while (signature := (yield from pipe.take(4))) == _ENTRY:
        _, flags, method, _, _, crc, packed, size, name_length, extra_length = struct.unpack(
            "<5H3I2H", (yield from pipe.take(26))
        )
        name = (yield from pipe.take(name_length)).decode("utf-8" if flags & 0x800 else "cp437")
        packed, size, wide = _sizes((yield from pipe.take(extra_length)), packed, size)
        behind = bool(flags & 8)  # CRC and sizes follow the data
        path = safe_path(target, name)
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        if flags & 1 or method not in (_STORED, _DEFLATED):
            raise ArchiveError(f"{name} is encrypted or packed by method {method}; unpack the archive by hand with 7z")
        if behind and method == _STORED and not name.endswith("/"):
            raise NotAStream(name)  # nothing in stored data says where they end
        found = yield from _unpack_entry(pipe, None if name.endswith("/") else path, method, packed, tell)
        if behind and not name.endswith("/"):  # the header could not know them yet and has zeros in their place
            crc, size = yield from _read_descriptor(pipe, wide)
        if found != (crc, size):
            raise ArchiveError(f"{name} is damaged in the archive (CRC or size differ); fetch the archive again")
    if signature not in _ENDS:
        raise ArchiveError("the zip in the archive is damaged: no entry where one should start; fetch it again")


def _unpack_entry(pipe: _Pipe, path: Path | None, method: int, packed: int, tell: Callable[[int], object]
                  ) -> Generator[None, bytes, tuple[int, int]]:
    """Writes one entry; (CRC-32, bytes) of what came out. A folder, without a path, has neither."""
    crc = size = 0
    if path is None:
        return crc, size
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:

        def write(block: bytes) -> None:
            nonlocal crc, size
            file.write(block)
            crc, size = zlib.crc32(block, crc), size + len(block)
            tell(len(block))

        yield from pipe.copy(packed, write) if method == _STORED else pipe.inflate(write)
    return crc, size


def _read_descriptor(pipe: _Pipe, wide: bool) -> Generator[None, bytes, tuple[int, int]]:
    """(CRC-32, bytes) from behind an entry's data; the signature before them is optional, sizes have 4 or 8 bytes."""
    first = yield from pipe.take(4)
    if first == _DESCRIPTOR:
        first = yield from pipe.take(4)
    sizes = yield from pipe.take(16 if wide else 8)
    return struct.unpack("<I", first)[0], struct.unpack("<2Q" if wide else "<2I", sizes)[1]


def _sizes(extra: bytes, packed: int, size: int) -> tuple[int, int, bool]:
    """(packed, unpacked, whether ZIP64) sizes of an entry, which are in its ZIP64 field if they need 8 bytes."""
    while len(extra) >= 4:
        kind, length = struct.unpack("<2H", extra[:4])
        if kind == 1:
            values = [struct.unpack("<Q", extra[i : i + 8])[0] for i in range(4, 4 + length - 7, 8)]
            # Only what does not fit into 4 bytes, and so is all ones in the header, is here, in this order.
            size = values.pop(0) if size == 0xFFFFFFFF and values else size
            packed = values.pop(0) if packed == 0xFFFFFFFF and values else packed
            return packed, size, True
        extra = extra[4 + length :]
    return packed, size, False


class _Pipe:
    """The bytes that have been sent and not yet used; what needs more of them yields."""

    def __init__(self) -> None:
        self._data = memoryview(b"")

    def _some(self) -> Generator[None, bytes, None]:
        """At least one byte at hand."""
        while not self._data:
            self._data = memoryview((yield))

    def take(self, count: int) -> Generator[None, bytes, bytes]:
        """Exactly `count` bytes."""
        taken = bytearray()
        yield from self.copy(count, taken.extend)
        return bytes(taken)

    def copy(self, count: int, write: Callable) -> Generator[None, bytes, None]:
        """Hands the next `count` bytes to `write`."""
        while count:
            yield from self._some()
            block, self._data = self._data[:count], self._data[count:]
            write(block)
            count -= len(block)

    def inflate(self, write: Callable) -> Generator[None, bytes, None]:
        """Hands a deflated stream, unpacked, to `write`."""
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        while not stream.eof:
            yield from self._some()
            end = min(_BLOCK, len(self._data))
            block: bytes | memoryview = self._data[:end]
            while block and not stream.eof:
                write(stream.decompress(block, _BLOCK))  # a few bytes may unpack to gigabytes: not all at once
                block = stream.unconsumed_tail
            self._data = self._data[end - len(stream.unused_data) :]  # what follows the stream is the next header
