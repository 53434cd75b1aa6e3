"""One address in, one whole and checked file out: resumes, retries, verifies."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pooch
import requests
import urllib3

from jointnet.errors import JointNetError
from jointnet.files import InUseError, alone, put_in_place
from jointnet.progress import tqdm

CHUNK = 1 << 18  # bytes asked of the connection at once; what has come is written at once
PATIENCE = (15, 60)  # seconds to connect, and between two bytes
LONGEST_PAUSE = 120.0  # seconds
LEAST = 1000  # bytes that have to come within `Fetcher.minute`; what brings less is no progress
LONGEST_PAGE = 20_000_000  # bytes of an index page
NO_ADDRESS = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
BEGINS = {  # ending -> how such files begin
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), ".png": (b"\x89PNG",), ".jpg": (b"\xff\xd8\xff",),
    ".zip": (b"PK\3\4",), ".7z": (b"7z\xbc\xaf",), ".gz": (b"\x1f\x8b",), ".pdf": (b"%PDF",),
}
BEGINS[".tiff"] = BEGINS[".tif"]
PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that another try may change


class DownloadError(JointNetError, RuntimeError):
    """A file that could not be fetched whole; the message says what to do."""


class ChecksumError(DownloadError):
    """A file that arrived whole and is not the one that its checksum names."""


class _Interrupted(Exception):
    """One try that failed; `pause` is what the server asked for, in seconds."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keeps other downloads out of a folder; the system lets them in again if this process dies.

    Raises:
        DownloadError: if another download is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    busy = (f"another download into {folder} is running; wait until it is done, or stop it and run this again: it goes "
            f"on where the other stopped")
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(folder / ".download.lock", busy))
        except InUseError as error:
            raise DownloadError(busy) from error
        except OSError:  # a folder that nobody can write to: all is there, or the download itself will say so
            pass
        yield


@dataclass
class Fetcher:
    """Fetches files over one connection, and keeps what had arrived when a try fails or the process dies.

    A file grows under its name with `.part` behind it and gets its name when it is whole and its checksum, where one
    is known, is right. Another call goes on where the part ends.

    Attributes:
        tries: failures in a row, with less than `LEAST` bytes between them, before it gives up.
        wait: sleeps for a number of seconds; between tries they double from one.
        progress: show a bar with rate and time left.
        minute: seconds within which `LEAST` bytes have to come; a server that keeps sending less has failed, too.
    """

    tries: int = 6
    wait: Callable[[float], None] = time.sleep
    progress: bool = True
    minute: float = 60.0
    session: requests.Session = field(default_factory=requests.Session)

    def fetch(self, url: str, path: Path, size: int | None = None, checksum: str | None = None,
              arrived: Callable[[Path], object] = lambda _: None) -> Path:
        """The file at `path`, fetched from `url` unless it is there.

        Args:
            url: address.
            path: where the file goes; its folder is made.
            size: bytes, where known.
            checksum: "sha256:..." or "md5:...", where known.
            arrived: called with the whole and checked file before it gets its name.

        Raises:
            DownloadError: if the server refuses or keeps failing, or sends what is no file of that name.
            ChecksumError: if it sends another file than the checksum's, twice.
        """
        if path.exists():
            return path
        part = _part(path)
        part.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            whole = self._fill(url, part, size)
            wrong = _check(part, whole.checksum if checksum is None else checksum)
            if wrong is None:
                if checksum is None and whole.checksum is None:
                    _refuse_wrong_body(url, part, path)
                arrived(part)
                _tag(part).unlink(missing_ok=True)  # first: nobody would look for it later
                put_in_place(part, path)
                return path
            _discard(part)
        raise ChecksumError(f"{url} arrived twice with a wrong checksum ({wrong}); try later, or elsewhere")

    def page(self, url: str) -> str:
        """The text at an address, fetched with the same timeouts and tries.

        Raises:
            DownloadError: if the server refuses or keeps failing.
        """
        failures = 0
        while True:
            try:
                with self._ask(url, {}) as response:
                    return self._text(url, response)
            except (_Interrupted, requests.RequestException, urllib3.exceptions.HTTPError) as error:
                failures += 1
                self._pause_or_give_up(url, error, failures)

    def _text(self, url: str, response: requests.Response) -> str:
        """The text of an answer."""
        content = bytearray()
        for chunk in _arriving(response, self.minute):
            content += chunk
            if len(content) > LONGEST_PAGE:
                raise DownloadError(f"{url} sent more than {LONGEST_PAGE:,} bytes, so it is no index page; try later")
        return content.decode(response.encoding or "utf-8", "replace")

    def _fill(self, url: str, part: Path, size: int | None) -> _Body:
        """Lets the part grow until it is whole."""
        failures = 0
        with tqdm(
            desc=part.stem, total=size, initial=_length(part), unit="B", unit_scale=True, disable=not self.progress,
            leave=False,
        ) as bar:
            while True:
                before = _length(part)
                try:
                    return self._one_try(url, part, size, bar)
                except (_Interrupted, requests.RequestException, urllib3.exceptions.HTTPError) as error:
                    failures = 1 if _length(part) >= before + LEAST else failures + 1
                    self._pause_or_give_up(url, error, failures)

    def _one_try(self, url: str, part: Path, size: int | None, bar: tqdm) -> _Body:
        """One request for what the part lacks."""
        start = _length(part)
        if size is not None and start == size:
            return _Body(size, size, None)
        with self._ask(url, _resume_headers(part, start)) as response:
            body = _read_head(response, part, start, size)
            if bar.total is None and body.total is not None:
                bar.total = body.total
            _append(_arriving(response, self.minute), part, body, bar)
        if body.total is not None and _length(part) > body.total:
            _discard(part)
            raise DownloadError(f"{url} sent more than the {body.total:,} bytes of the file, which are not kept; try "
                                f"later, or elsewhere")
        if body.total is not None and _length(part) < body.total:
            raise _Interrupted(f"the connection ended after {_length(part):,} of {body.total:,} bytes")
        return body

    def _ask(self, url: str, headers: dict[str, str]) -> requests.Response:
        """The open answer to a request, if it is a good one."""
        plain = {"Accept-Encoding": "identity"}  # ranges count the bytes of the file, not of a compressed form
        try:
            response = self.session.get(url, headers=plain | headers, stream=True, timeout=PATIENCE)
        except requests.exceptions.SSLError as error:
            raise DownloadError(
                f"{url}: the server's certificate could not be verified, so nothing was fetched; check the clock and "
                f"the certificates of this machine ({error})"
            ) from error
        except NO_ADDRESS as error:
            raise DownloadError(f"{url} is not an address that can be fetched ({error})") from error
        if response.status_code in (200, 206) or (response.status_code == 416 and headers):
            return response
        response.close()
        answer = f"the server answered {response.status_code} {response.reason}"
        if response.status_code in PASSING:
            raise _Interrupted(answer, _retry_after(response))
        raise DownloadError(f"{url} cannot be fetched: {answer}; check the name, or whether the source has moved")

    def _pause_or_give_up(self, url: str, error: Exception, failures: int) -> None:
        """Sleeps before the next try.

        Raises:
            DownloadError: if there is no next one.
        """
        if failures >= self.tries:
            raise DownloadError(
                f"{url} failed {failures} times in a row, last because {_reason(error)}; run the same again to go on "
                f"where it stopped"
            ) from error
        asked = getattr(error, "pause", None)
        self.wait(min(2.0 ** (failures - 1) if asked is None else asked, LONGEST_PAUSE))


@dataclass(frozen=True)
class _Body:
    """What an answer carries: bytes `start` to `total` of a file, and the checksum that its headers name."""

    start: int
    total: int | None
    checksum: str | None


def _read_head(response: requests.Response, part: Path, start: int, size: int | None) -> _Body:
    """What the answer's head says; discards a part that belongs to another file."""
    sent = response.headers.get("Content-Type", "").lower()
    if "html" in sent:
        raise DownloadError(f"{response.url} sent a web page, not the file; does this network ask for a login?")
    packed = response.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise DownloadError(f"{response.url} sent the file packed by {packed}, which was not asked for; try another "
                            f"network, or fetch it by hand")
    tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
    total, first = _extent(response)
    if total is None and size is None and "chunked" not in response.headers.get("Transfer-Encoding", "").lower():
        raise DownloadError(f"{response.url} does not say how long the file is, so nobody could tell whether it came "
                            f"whole; fetch it by hand, or elsewhere")
    if response.status_code == 416:
        if total == start:
            return _Body(start, total, _named_checksum(response))
        _discard(part)
        raise _Interrupted("what had arrived is longer than the file, so it starts again")
    if size is not None and total is not None and total != size:
        raise DownloadError(f"{response.url} is {total:,} bytes, not {size:,}: the source has changed")
    if start and first not in (0, start):
        raise _Interrupted(f"the server sent bytes from {first:,} when asked from {start:,}")
    changed = start and tag and _tag(part).exists() and _read_tag(part) != tag
    if changed or (total is not None and start > total):
        _discard(part)
        if first:
            raise _Interrupted("the file has changed on the server, so it starts again")
    if tag and not _tag(part).exists():
        _tag(part).write_text(tag, encoding="utf-8")
    return _Body(first, size if total is None else total, _named_checksum(response))


def _arriving(response: requests.Response, minute: float) -> Iterator[bytes]:
    """The bytes of an answer as they come.

    Raises:
        _Interrupted: if they come so slowly that they would never end.
    """
    since, count = time.monotonic(), 0
    while chunk := response.raw.read1(CHUNK):
        yield chunk
        count += len(chunk)
        if time.monotonic() - since > minute:
            if count < LEAST:
                raise _Interrupted(f"only {count:,} bytes came within {minute:g} seconds")
            since, count = time.monotonic(), 0


def _append(arriving: Iterator[bytes], part: Path, body: _Body, bar: tqdm) -> None:
    """Writes the answer's bytes behind the part, each chunk at once; those that it has are passed over."""
    have = _length(part)
    skip = have - body.start  # a server without ranges sends the whole file again
    bar.n = have
    with part.open("ab") as file:
        for chunk in arriving:
            new, skip = chunk[skip:], max(skip - len(chunk), 0)
            file.write(new)
            file.flush()
            bar.update(len(new))
            if body.total is not None and file.tell() > body.total:
                return


def _extent(response: requests.Response) -> tuple[int | None, int]:
    """(bytes of the whole file, first byte of this answer)."""
    ranged = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status_code in (206, 416) and ranged:
        return (None if ranged[2] == "*" else int(ranged[2])), int(ranged[1] or 0)
    if response.status_code == 206:
        raise _Interrupted("the server sent a part of the file without saying which")
    promised = (a.headers.get("X-Linked-Size") for a in response.history)  # Hugging Face, as it redirects to its store
    length = next((p for p in promised if p), response.headers.get("Content-Length", ""))
    return (int(length) if length.isdigit() else None), 0


def _resume_headers(part: Path, start: int) -> dict[str, str]:
    """The request for what is missing, void if the file has changed since."""
    if not start:
        return {}
    headers = {"Range": f"bytes={start}-"}
    tag = _read_tag(part)
    return headers | ({"If-Range": tag} if tag and not tag.startswith("W/") else {})


def _named_checksum(response: requests.Response) -> str | None:
    """The SHA-256 that Hugging Face names for large files, on the answer that redirects to its store."""
    for answer in (*response.history, response):
        tag = answer.headers.get("X-Linked-ETag", "").strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", tag):
            return f"sha256:{tag}"
    return None


def _refuse_wrong_body(url: str, part: Path, path: Path) -> None:
    """Raises DownloadError, and removes the part, where what came is no file of the kind that its name says."""
    with part.open("rb") as file:
        head = file.read(64)
    own = BEGINS.get(path.suffix.lower())
    if head and (own is None or head.startswith(own)):
        return
    _discard(part)
    what = "a file of another kind, or a web page," if head else "an empty file"
    raise DownloadError(f"{url} sent {what} for {path.name}; does this network ask for a login? Open the address in a "
                        f"browser to see, then run the same again")


def _check(path: Path, checksum: str | None) -> str | None:
    """None where the checksum is right or unknown, else what differs."""
    if checksum is None:
        return None
    kind, expected = checksum.split(":")
    found = pooch.file_hash(str(path), alg=kind)
    return None if found == expected.lower() else f"{kind} {found}, not {expected}"


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the server asks to wait, where it says so in seconds."""
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else None


def _reason(error: Exception) -> str:
    """A failure in a few words."""
    return str(error) if isinstance(error, _Interrupted) else f"the connection failed ({type(error).__name__})"


def _part(path: Path) -> Path:
    """Where a file grows."""
    return path.with_name(f"{path.name}.part")


def _tag(part: Path) -> Path:
    """Where the server's tag of the file that the part belongs to is kept."""
    return part.with_name(f"{part.name}.tag")


def _read_tag(part: Path) -> str:
    """The server's tag; none where it was not kept, or is damaged."""
    try:
        tag = _tag(part).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return tag if tag.isprintable() else ""


def _length(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _discard(part: Path) -> None:
    """Removes a part and its tag."""
    part.unlink(missing_ok=True)
    _tag(part).unlink(missing_ok=True)
