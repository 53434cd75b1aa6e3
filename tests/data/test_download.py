"""Downloads from a local server that breaks, lies and resumes. No test leaves this machine."""

import gzip
import hashlib
import http.server
import io
import signal
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import py7zr
import pytest
from typer.testing import CliRunner

from jointnet.cli import app
from jointnet.data.catalogue import open_dataset
from jointnet.data.download import INRIA_ARCHIVE, SUMS, Archive, _listed, download, download_archive, verify
from jointnet.data.fetch import ChecksumError, DownloadError, Fetcher, alone_in
from jointnet.data.inria import TILES as BENCHMARK
from jointnet.data.inria import TRAINING_TILES, image_path, mask_path
from jointnet.data.unpack import Volumes, unpack_volumes
from jointnet.data.zipstream import ArchiveError, safe_path
from tests.killing import in_child, kill_points
from tests.loopback import Loopback

NOISE = np.random.default_rng(7).integers(0, 256, 299_992, np.uint8).tobytes()  # more than one chunk
BODY = b"II*\0" + NOISE + b"\0*II"  # begins as a TIFF does, forwards and backwards
SHA = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


@pytest.fixture
def pauses():
    """The seconds that a fetcher would have slept."""
    return []


@pytest.fixture
def fetcher(pauses):
    return Fetcher(tries=4, wait=pauses.append, progress=False)


@pytest.fixture
def address(server):
    server.files["/scene.tif"] = BODY
    return f"{server.url}/scene.tif"


def leftovers(folder):
    return sorted(p.name for p in folder.iterdir())


# One file


def test_a_file_arrives_under_its_name_and_nothing_else_stays(fetcher, address, tmp_path, pauses):
    path = fetcher.fetch(address, tmp_path / "new" / "scene.tif", checksum=SHA)
    assert path.read_bytes() == BODY
    assert leftovers(path.parent) == ["scene.tif"]
    assert pauses == []


def test_a_file_that_is_there_is_not_asked_for(fetcher, address, tmp_path, server):
    (tmp_path / "scene.tif").write_bytes(b"mine")
    fetcher.fetch(address, tmp_path / "scene.tif")
    assert (tmp_path / "scene.tif").read_bytes() == b"mine"
    assert server.ranges == []


def test_a_dropped_connection_goes_on_at_the_byte_where_it_broke(fetcher, address, tmp_path, server, pauses):
    server.faults.extend(["drop", "drop"])
    assert fetcher.fetch(address, tmp_path / "scene.tif", checksum=SHA).read_bytes() == BODY
    # Half of 300,000, then half of the 150,000 that were left.
    assert server.ranges == [None, "bytes=150000-", "bytes=225000-"]
    assert pauses == [1, 1]  # each try brought bytes, so patience starts over


def test_a_server_without_ranges_loses_nothing_that_had_arrived(fetcher, address, tmp_path, server):
    server.faults.extend(["drop", "no ranges"])
    assert fetcher.fetch(address, tmp_path / "scene.tif", checksum=SHA).read_bytes() == BODY
    assert server.ranges == [None, "bytes=150000-"]


def test_the_part_survives_a_server_without_ranges_that_breaks_before_reaching_it(fetcher, address, tmp_path, server):
    part = tmp_path / "scene.tif.part"
    part.write_bytes(BODY[:200_000])
    server.faults.extend(["no ranges, drop"] * 4)  # each time bytes 0 to 150,000, which are there already
    with pytest.raises(DownloadError, match=r"failed 4 times in a row"):
        fetcher.fetch(address, tmp_path / "scene.tif")
    assert part.read_bytes() == BODY[:200_000]
    assert fetcher.fetch(address, tmp_path / "scene.tif", checksum=SHA).read_bytes() == BODY


def test_a_short_body_whose_size_is_known_is_never_taken_for_the_file(fetcher, address, tmp_path, server):
    server.faults.append("short")
    with pytest.raises(DownloadError, match=r"is 150,000 bytes, not 300,000: the source has changed"):
        fetcher.fetch(address, tmp_path / "scene.tif", size=300_000)
    assert not (tmp_path / "scene.tif").exists()


def test_a_short_answer_to_a_range_is_followed_by_another(fetcher, address, tmp_path, server):
    (tmp_path / "scene.tif.part").write_bytes(BODY[:100_000])
    server.faults.append("short")
    assert fetcher.fetch(address, tmp_path / "scene.tif", size=300_000).read_bytes() == BODY
    assert server.ranges == ["bytes=100000-", "bytes=200000-"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_later(fetcher, address, tmp_path, server, pauses, status):
    server.faults.extend([status, status, status])
    assert fetcher.fetch(address, tmp_path / "scene.tif").read_bytes() == BODY
    # Pauses double; 429 came with Retry-After: 7, which goes before.
    assert pauses == ([7, 7, 7] if status == 429 else [1, 2, 4])


def test_a_server_that_stays_busy_ends_the_tries_and_keeps_the_part(fetcher, address, tmp_path, server, pauses):
    server.faults.extend(["drop", *[503] * 9])
    with pytest.raises(DownloadError, match=r"failed 4 times in a row.*503.*run the same again"):
        fetcher.fetch(address, tmp_path / "scene.tif")
    assert (tmp_path / "scene.tif.part").stat().st_size == 150_000
    assert len(pauses) == 3


def test_a_missing_file_is_not_asked_for_twice(fetcher, server, tmp_path, pauses):
    with pytest.raises(DownloadError, match=r"nowhere.tif cannot be fetched: the server answered 404"):
        fetcher.fetch(f"{server.url}/nowhere.tif", tmp_path / "x.tif")
    assert pauses == []
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("address", ["scene.tif", "ftp://here/scene.tif", "http://"])
def test_what_is_no_address_is_told_at_once(fetcher, tmp_path, pauses, address):
    with pytest.raises(DownloadError, match="is not an address that can be fetched"):
        fetcher.fetch(address, tmp_path / "x.tif")
    assert pauses == []


def test_a_login_page_is_not_stored_as_an_image(fetcher, address, tmp_path, server):
    server.faults.append("web page")
    with pytest.raises(DownloadError, match="does this network ask for a login"):
        fetcher.fetch(address, tmp_path / "scene.tif")
    assert leftovers(tmp_path) == []


def test_an_unreachable_server_is_reported_with_what_to_do(tmp_path, pauses, server):
    address = server.url
    server.close()
    with pytest.raises(DownloadError, match=r"failed 2 times.*run the same again"):
        Fetcher(tries=2, wait=pauses.append, progress=False).fetch(f"{address}/scene.tif", tmp_path / "scene.tif")


def test_a_wrong_checksum_is_fetched_once_more_from_the_start(fetcher, address, tmp_path, server):
    server.faults.append("corrupt")
    assert fetcher.fetch(address, tmp_path / "scene.tif", checksum=SHA).read_bytes() == BODY
    assert server.ranges == [None, None]


def test_a_checksum_that_stays_wrong_leaves_no_file(fetcher, address, tmp_path, server):
    server.faults.extend(["corrupt", "corrupt"])
    with pytest.raises(ChecksumError, match="arrived twice with a wrong checksum"):
        fetcher.fetch(address, tmp_path / "scene.tif", checksum=SHA)
    assert leftovers(tmp_path) == []


def test_the_checksum_that_a_mirror_names_as_it_redirects_is_believed(fetcher, address, tmp_path, server):
    named = {"X-Linked-ETag": f'"{"0" * 64}"', "X-Linked-Size": "300000"}
    server.redirects["/resolve/scene.tif"] = ("/scene.tif", named)
    with pytest.raises(ChecksumError, match="0000"):
        fetcher.fetch(f"{server.url}/resolve/scene.tif", tmp_path / "scene.tif")
    server.redirects["/resolve/scene.tif"][1]["X-Linked-ETag"] = f'"{SHA.removeprefix("sha256:")}"'
    server.faults.append("short")  # its size is believed too
    assert fetcher.fetch(f"{server.url}/resolve/scene.tif", tmp_path / "scene.tif").read_bytes() == BODY


def test_a_file_that_changed_between_two_tries_starts_again(fetcher, address, tmp_path, server):
    server.faults.extend(["drop", 503, 503, 503, 503])
    with pytest.raises(DownloadError):
        fetcher.fetch(address, tmp_path / "scene.tif")
    server.faults.clear()
    server.files["/scene.tif"] = BODY[::-1]
    assert fetcher.fetch(address, tmp_path / "scene.tif").read_bytes() == BODY[::-1]
    assert leftovers(tmp_path) == ["scene.tif"]


def test_a_part_that_is_already_whole_only_needs_its_name(fetcher, address, tmp_path):
    (tmp_path / "scene.tif.part").write_bytes(BODY)
    assert fetcher.fetch(address, tmp_path / "scene.tif", checksum=SHA).read_bytes() == BODY
    assert leftovers(tmp_path) == ["scene.tif"]


def test_a_part_longer_than_the_file_starts_again(fetcher, address, tmp_path):
    (tmp_path / "scene.tif.part").write_bytes(BODY + b"!")
    assert fetcher.fetch(address, tmp_path / "scene.tif", checksum=SHA).read_bytes() == BODY


FETCH = "import sys; from jointnet.data.fetch import Fetcher; Fetcher(progress=False).fetch(*sys.argv[1:])"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_loses_nothing_that_had_arrived(fetcher, address, tmp_path, server, project_root, end):
    server.faults.append("stall")
    code = FETCH.replace("*sys.argv[1:]", "sys.argv[1], __import__('pathlib').Path(sys.argv[2])")
    # a process begun in the background is deaf to interrupts
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", heard + code, address, str(tmp_path / "scene.tif")], cwd=project_root,
        stderr=subprocess.DEVNULL,
    )
    part = tmp_path / "scene.tif.part"
    assert server.stalled.wait(60)
    for _ in range(1000):
        if part.exists() and part.stat().st_size == 150_000:
            break
        server.go_on.wait(0.01)
    process.send_signal(end)
    assert process.wait(30) != 0
    server.go_on.set()
    assert part.read_bytes() == BODY[:150_000]
    assert fetcher.fetch(address, tmp_path / "scene.tif", checksum=SHA).read_bytes() == BODY
    assert server.ranges == [None, "bytes=150000-"]


def test_certificates_are_always_checked(project_root):
    sources = [p.read_text() for p in (project_root / "jointnet").rglob("*.py")]
    assert not any("verify=False" in s or "CERT_NONE" in s or "_create_unverified" in s for s in sources)
    assert Fetcher().session.verify is True


# Archives

TILES = {f"AerialImageDataset/train/{kind}/austin{n}.tif": bytes([n]) * 50_000 + BODY[: n * 1000]
         for kind in ("images", "gt") for n in (1, 2)}


class Unseekable(io.RawIOBase):
    """Makes zipfile write sizes behind the entries, as for a pipe."""

    def __init__(self, file):
        self.file = file

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


def zipped(members, method=zipfile.ZIP_DEFLATED, streamed=False):
    buffer = io.BytesIO()
    with zipfile.ZipFile(Unseekable(buffer) if streamed else buffer, "w", method) as archive:
        for name, data in members.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=name.endswith("2.tif")) as file:
                file.write(data)
    return buffer.getvalue()


def as_volumes(folder, members, count=3):
    """A 7z of `members` cut into volumes; (paths, bytes of the whole)."""
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        archive.set_encoded_header_mode(False)
        for name, data in members.items():
            archive.writestr(data, name)
    return cut(folder, buffer.getvalue(), count)


def cut(folder, whole, count=3):
    step = -(-len(whole) // count)
    paths = [folder / f"set.7z.{i + 1:03}" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(whole[i * step : (i + 1) * step])
    return paths


def files_under(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_zip_in_7z_volumes_is_unpacked_byte_for_byte(tmp_path, method, streamed):
    packed = zipped(TILES, method, streamed)
    volumes = as_volumes(tmp_path, {"NEW2-AerialImageDataset.zip": packed})
    told = []
    unpack_volumes(volumes, tmp_path / "out", hashlib.md5(packed).hexdigest(), told.append)
    assert files_under(tmp_path / "out") == TILES
    assert sum(told) >= sum(map(len, TILES.values()))


def test_the_zip_itself_is_never_on_disk(tmp_path):
    volumes = as_volumes(tmp_path, {"inner.zip": zipped(TILES)})
    seen = []
    unpack_volumes(volumes, tmp_path / "out", tell=lambda _: seen.extend((tmp_path / "out").rglob("*.zip")))
    assert seen == []
    assert len(files_under(tmp_path / "out")) == 4


def test_a_wrong_md5_of_the_zip_leaves_nothing(tmp_path):
    volumes = as_volumes(tmp_path, {"inner.zip": zipped(TILES)})
    with pytest.raises(ArchiveError, match="has MD5 .*, not 00: a volume is damaged"):
        unpack_volumes(volumes, tmp_path / "out", md5="00")
    assert leftovers(tmp_path / "out") == []


def test_a_damaged_volume_is_named_and_leaves_nothing(tmp_path):
    volumes = as_volumes(tmp_path, {"inner.zip": zipped(TILES, zipfile.ZIP_STORED)})
    data = bytearray(volumes[1].read_bytes())
    data[len(data) // 2] ^= 255
    volumes[1].write_bytes(data)
    with pytest.raises(ArchiveError, match="damaged"):
        unpack_volumes(volumes, tmp_path / "out")
    assert leftovers(tmp_path / "out") == []


def test_a_missing_last_volume_is_an_error_and_leaves_nothing(tmp_path):
    volumes = as_volumes(tmp_path, {"inner.zip": zipped(TILES)})
    with pytest.raises(ArchiveError, match="damaged or incomplete"):
        unpack_volumes(volumes[:-1], tmp_path / "out")
    assert leftovers(tmp_path / "out") == []


def test_a_zip_entry_whose_crc_is_wrong_is_refused(tmp_path):
    packed = bytearray(zipped(TILES, zipfile.ZIP_STORED))
    packed[packed.index(b"\x01" * 100)] ^= 255  # one byte of the first image
    volumes = as_volumes(tmp_path, {"inner.zip": bytes(packed)})
    with pytest.raises(ArchiveError, match=r"austin1.tif is damaged in the archive"):
        unpack_volumes(volumes, tmp_path / "out")
    assert leftovers(tmp_path / "out") == []


def test_a_zip_that_ends_within_a_file_is_refused(tmp_path):
    volumes = as_volumes(tmp_path, {"inner.zip": zipped(TILES)[:5000]})
    with pytest.raises(ArchiveError, match="ends within a file"):
        unpack_volumes(volumes, tmp_path / "out")


@pytest.mark.parametrize("name", ["../escaped.tif", "a/../../escaped.tif", "/escaped.tif", "..\\escaped.tif",
                                  "C:\\escaped.tif", "C:escaped.tif"])
def test_a_zip_that_tries_to_escape_is_refused(tmp_path, name):
    volumes = as_volumes(tmp_path, {"inner.zip": zipped(TILES | {name: b"evil"})})
    with pytest.raises(ArchiveError, match="a path outside its folder"):
        unpack_volumes(volumes, tmp_path / "deep" / "out")
    assert list(tmp_path.rglob("*escaped*")) == []
    assert leftovers(tmp_path / "deep" / "out") == []


def test_a_7z_that_tries_to_escape_is_refused(tmp_path):
    """py7zr will not write such a name, so a harmless one is exchanged and the header's checksums are set right."""
    whole = bytearray(b"".join(p.read_bytes() for p in as_volumes(tmp_path, {"aa/escaped.tif": b"evil"})))
    place = whole.index("aa/escaped.tif".encode("utf-16-le"))
    whole[place : place + 4] = "..".encode("utf-16-le")
    offset, size = struct.unpack("<2Q", whole[12:28])
    whole[28:32] = struct.pack("<I", zlib.crc32(whole[32 + offset : 32 + offset + size]))
    whole[8:12] = struct.pack("<I", zlib.crc32(whole[12:32]))
    volumes = cut(tmp_path, bytes(whole))
    with pytest.raises(ArchiveError, match=r"'\.\./escaped\.tif', a path outside"):
        unpack_volumes(volumes, tmp_path / "out")
    assert list(tmp_path.rglob("*escaped*")) == []


def test_only_names_that_stay_inside_are_safe(tmp_path):
    assert safe_path(tmp_path, "a/b.tif") == tmp_path / "a" / "b.tif"
    assert safe_path(tmp_path, "a\\b.tif") == tmp_path / "a" / "b.tif"
    with pytest.raises(ArchiveError):
        safe_path(tmp_path, "")


def test_unpacking_that_is_interrupted_leaves_the_target_as_it_was_and_can_be_repeated(tmp_path):
    volumes = as_volumes(tmp_path, {"inner.zip": zipped(TILES)})
    target = tmp_path / "out"
    target.mkdir()
    (target / "mine.txt").write_text("kept")

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack_volumes(volumes, target, tell=interrupt)
    assert leftovers(target) == ["mine.txt"]
    (target / ".unpacking").mkdir()  # as a killed process leaves it
    (target / ".unpacking" / "half.tif").write_bytes(b"half")
    unpack_volumes(volumes, target, strip="AerialImageDataset")
    assert leftovers(target) == ["mine.txt", "train"]


def test_volumes_read_as_one_file_wherever_the_cuts_are(tmp_path):
    with Volumes(cut(tmp_path, BODY, 7)) as joined, io.BufferedReader(joined, 1000) as reader:
        assert reader.read() == BODY
        reader.seek(42_800)
        assert reader.read(200) == BODY[42_800:43_000]  # the first cut is at 42,858
        assert reader.seek(-3, io.SEEK_END) == 299_997
        assert reader.read() == BODY[-3:]


# Whole datasets


@pytest.fixture
def archive(server, tmp_path):
    """INRIA's layout in three volumes, served."""
    store = tmp_path / "store"
    store.mkdir()
    packed = zipped(TILES)
    volumes = as_volumes(store, {"NEW2-AerialImageDataset.zip": packed})
    server.files |= {f"/{p.name}": p.read_bytes() for p in volumes}
    sizes = {p.name: p.stat().st_size for p in volumes}
    return Archive(server.url, sizes, hashlib.md5(packed).hexdigest(), sum(map(len, TILES.values())))


def test_the_archive_becomes_tiles_and_its_volumes_go(archive, fetcher, tmp_path):
    root = tmp_path / "inria"
    download_archive(archive, root, fetcher)
    expected = {name.removeprefix("AerialImageDataset/"): data for name, data in TILES.items()}
    assert {n: d for n, d in files_under(root).items() if n != SUMS} == expected


def test_volumes_are_kept_on_request_and_not_fetched_again(archive, fetcher, tmp_path, server):
    root = tmp_path / "inria"
    download_archive(archive, root, fetcher, keep=True)
    asked = len(server.ranges)
    assert asked == 3
    assert verify(root) == []
    download_archive(archive, root, fetcher, keep=True)
    assert len(server.ranges) == asked


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(archive, fetcher, tmp_path, server):
    huge = Archive(archive.url, archive.volumes, archive.md5, 10**18)
    with pytest.raises(DownloadError, match=r"GB free, 1000000000\.0 GB are needed"):
        download_archive(huge, tmp_path / "inria", fetcher)
    assert server.ranges == []


def test_a_damaged_archive_keeps_its_volumes_for_another_look(archive, fetcher, tmp_path):
    root = tmp_path / "inria"
    wrong = Archive(archive.url, archive.volumes, "0" * 32, archive.unpacked)
    with pytest.raises(ArchiveError, match="remove the volumes and fetch them again"):
        download_archive(wrong, root, fetcher)
    assert leftovers(root) == [SUMS, *archive.volumes]


def test_what_was_unpacked_is_recorded_and_verified_after_its_volumes_have_gone(archive, fetcher, tmp_path):
    root = tmp_path / "inria"
    download_archive(archive, root, fetcher)
    assert verify(root) == []
    (root / "train/gt/austin2.tif").write_bytes(b"bitten")
    (root / "train/images/austin1.tif").unlink()
    assert verify(root) == ["train/gt/austin2.tif", "train/images/austin1.tif"]


@pytest.fixture
def benchmark(server, tmp_path, draw_tile):
    """All 540 files of the benchmark at 8 x 8 px in a zip in five volumes, served under their real names."""
    image = draw_tile(tmp_path / "image.tif").read_bytes()
    mask = draw_tile(tmp_path / "mask.tif", bands=1, value=255).read_bytes()
    members = {f"AerialImageDataset/{image_path(Path(), t).as_posix()}": image for t in BENCHMARK}
    members |= {f"AerialImageDataset/{mask_path(Path(), t).as_posix()}": mask for t in TRAINING_TILES}
    packed = zipped(members)
    (tmp_path / "store").mkdir()
    names = list(INRIA_ARCHIVE.volumes)
    volumes = as_volumes(tmp_path / "store", {"NEW2-AerialImageDataset.zip": packed}, len(names))
    bodies = [p.read_bytes() for p in volumes]
    server.files |= {f"/{name}": body for name, body in zip(names, bodies, strict=True)}
    sizes = {name: len(body) for name, body in zip(names, bodies, strict=True)}
    return Archive(server.url, sizes, hashlib.md5(packed).hexdigest(), sum(map(len, members.values())))


KILLED_WHILE_MOVING = """
import os, signal
import jointnet.data.unpack as unpack
move, moved = unpack.put_in_place, []
def die(*files):
    moved.append(move(*files))
    if len(moved) == 100:
        os.kill(os.getpid(), signal.SIGKILL)
unpack.put_in_place = die
"""


def test_the_whole_benchmark_comes_through_faults_and_two_kills(benchmark, server, tmp_path, project_root, monkeypatch):
    """Five volumes: the second breaks, the third is busy, the fourth dies with its process; so does the unpacking."""
    root, sizes = tmp_path / "inria", list(benchmark.volumes.values())
    fetch = ("from pathlib import Path; from jointnet.data.download import Archive, download_archive\n"
             "from jointnet.data.fetch import Fetcher\n"
             f"download_archive({benchmark!r}, Path({str(root)!r}), Fetcher(wait=lambda s: None, progress=False))")
    server.faults.extend([None, "drop", None, 503, 429, None, "stall"])
    first = subprocess.Popen([sys.executable, "-c", fetch], cwd=project_root, stderr=subprocess.DEVNULL)
    assert server.stalled.wait(60)
    part = root / "aerialimagelabeling.7z.004.part"
    half = sizes[3] // 2
    for _ in range(1000):
        if part.exists() and part.stat().st_size == half:
            break
        server.go_on.wait(0.01)
    first.kill()
    first.wait(30)
    server.go_on.set()
    ranges = [None, None, f"bytes={sizes[1] // 2}-", None, None, None, None]
    assert server.ranges == ranges
    second = subprocess.run([sys.executable, "-c", KILLED_WHILE_MOVING + fetch], cwd=project_root, check=False)
    assert second.returncode == -signal.SIGKILL
    assert server.ranges == [*ranges, f"bytes={half}-", None]  # only what was missing: half of the fourth, the fifth

    monkeypatch.setattr("jointnet.data.download.INRIA_ARCHIVE", benchmark)
    third = CliRunner().invoke(app, ["download", "inria", "--root", str(root)])
    assert third.exit_code == 0, third.output
    assert len(server.ranges) == 9  # nothing was fetched again
    assert leftovers(root) == [SUMS, "test", "train"]
    dataset = open_dataset("inria", root=root)  # a warning would be an error
    counts = [len(dataset.select(split=split)) for split in ("train", "validation", "test")]
    assert counts == [155, 25, 180]
    assert CliRunner().invoke(app, ["verify", "inria", "--root", str(root)]).exit_code == 0


def test_the_verify_command_names_what_changed_and_how_to_mend_it(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr("jointnet.data.download.INRIA_ARCHIVE", benchmark)
    run = lambda *words: CliRunner().invoke(app, [*words, "--root", str(tmp_path / "inria")])  # noqa: E731
    nothing = run("verify", "inria")
    assert nothing.exit_code == 2
    assert "nothing was fetched into this folder" in nothing.stderr
    assert run("download", "inria").exit_code == 0
    (tmp_path / "inria/test/images/sfo36.tif").unlink()
    changed = run("verify", "inria")
    assert changed.exit_code == 2
    assert "1 files are gone or are not what was fetched: test/images/sfo36.tif; remove them and run" in changed.stderr
    assert "'sample' is never fetched; choose from inria" in run("verify", "sample").stderr


@pytest.fixture
def tile_server(server):
    for tile in ("austin1", "austin6", "sfo36"):
        folder = "test" if tile == "sfo36" else "train"
        server.files[f"/{folder}/images/{tile}.tif"] = b"II*\0image " + tile.encode()
        if folder == "train":
            server.files[f"/train/gt/{tile}.tif"] = b"II*\0mask " + tile.encode()
    return server


def test_single_tiles_come_with_their_masks_where_there_are_any(tile_server, fetcher, tmp_path):
    root = download("inria", tmp_path / "inria", tiles=["austin6", "sfo36"], url=tile_server.url, fetcher=fetcher)
    sums = (root / SUMS).read_text().splitlines()
    files = files_under(root)
    assert {n: d for n, d in files.items() if n != SUMS} == {
        "train/images/austin6.tif": b"II*\0image austin6",
        "train/gt/austin6.tif": b"II*\0mask austin6",
        "test/images/sfo36.tif": b"II*\0image sfo36",
    }
    expected = hashlib.sha256(files["test/images/sfo36.tif"]).hexdigest()
    assert f"{expected}  test/images/sfo36.tif" in sums


def test_a_second_call_fetches_only_what_is_new(tile_server, fetcher, tmp_path):
    download("inria", tmp_path, tiles=["austin6"], url=tile_server.url, fetcher=fetcher)
    download("inria", tmp_path, tiles=["austin6", "austin1"], url=tile_server.url, fetcher=fetcher)
    assert len(tile_server.ranges) == 4
    assert verify(tmp_path) == []


def test_a_city_is_all_its_tiles_and_a_missing_one_is_named(tile_server, fetcher, tmp_path):
    with pytest.raises(DownloadError, match=r"austin2\.tif cannot be fetched: the server answered 404"):
        download("inria", tmp_path, cities=["austin"], url=tile_server.url, fetcher=fetcher)
    assert (tmp_path / "train/images/austin1.tif").exists()


def test_the_checksum_of_the_first_fetch_is_held_against_the_second(tile_server, fetcher, tmp_path):
    download("inria", tmp_path, tiles=["sfo36"], url=tile_server.url, fetcher=fetcher)
    tile = tmp_path / "test/images/sfo36.tif"
    tile.write_bytes(b"bitten")
    assert verify(tmp_path) == ["test/images/sfo36.tif"]
    tile.unlink()
    tile_server.files["/test/images/sfo36.tif"] = b"II*\0another"
    with pytest.raises(ChecksumError, match=f"remove the line from .*{SUMS}"):
        download("inria", tmp_path, tiles=["sfo36"], url=tile_server.url, fetcher=fetcher)
    assert not tile.exists()


def test_massachusetts_is_fetched_as_its_index_pages_list_it(server, fetcher, tmp_path):
    for part in ("train", "valid", "test"):
        for kind, suffix in (("sat", ".tiff"), ("map", ".tif")):
            name = f"228_{part}_15{suffix}"
            base = f"/mass_buildings/{part}/{kind}/"
            server.pages[base] = f'<a href="../">up</a> <a href="{base}{name}">x</a> <a href="notes.txt">n</a>'
            server.files[base + name] = b"II*\0" + name.encode()
    root = download("massachusetts_buildings", tmp_path, url=server.url, fetcher=fetcher)
    found = {n: d.decode() for n, d in files_under(root).items() if n != SUMS}
    assert found == {
        f"{part}/{kind}/228_{part}_15{suffix}": f"II*\x00228_{part}_15{suffix}"
        for part in ("train", "valid", "test") for kind, suffix in (("sat", ".tiff"), ("map", ".tif"))
    }


def test_an_index_page_without_images_is_an_error(server, fetcher, tmp_path):
    server.pages["/mass_roads/train/sat/"] = "<p>moved</p>"
    with pytest.raises(DownloadError, match=r"train/sat/ lists no \.tiff files"):
        download("massachusetts_roads", tmp_path, url=server.url, fetcher=fetcher)


@pytest.mark.parametrize(("name", "options", "message"), [
    ("sample", {}, r"choose from inria, massachusetts_buildings, massachusetts_roads; the sample is drawn"),
    ("atlantis", {}, r"'atlantis' cannot be downloaded; choose from inria"),
    ("inria", {"tiles": ["austin37"]}, r"no tile 'austin37'; a tile is a city of austin, chicago"),
    ("inria", {"cities": ["paris"]}, r"no city 'paris'; choose from austin"),
    ("inria", {"cities": ["austin"], "tiles": ["sfo1"]}, r"none of the tiles sfo1 lies in austin"),
    ("massachusetts_roads", {"tiles": ["a"]}, r"chosen for inria alone"),
])
def test_a_wrong_choice_names_the_right_ones(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        download(name, tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, fetcher):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be written to"):
        download("inria", tmp_path / "file", tiles=["sfo36"], url="http://127.0.0.1:9", fetcher=fetcher)


def test_verify_needs_a_record(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing was fetched into this folder"):
        verify(tmp_path)


# Two downloads at once


def test_a_second_download_into_a_folder_is_refused_while_the_first_runs(fetcher, address, server, tmp_path):
    with alone_in(tmp_path), pytest.raises(DownloadError, match="another download into"):
        download("inria", tmp_path, tiles=["bellingham1"], url=server.url, fetcher=fetcher)
    assert server.ranges == []
    assert leftovers(tmp_path) == []


def test_a_download_that_was_killed_keeps_nobody_out(tmp_path):
    script = "import pathlib, sys, time; from jointnet.data.fetch import alone_in\n" \
             "with alone_in(pathlib.Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "in\n"
        with pytest.raises(DownloadError, match="another download into"), alone_in(tmp_path):
            pass
        process.kill()
    with alone_in(tmp_path):
        assert leftovers(tmp_path) == [".download.lock"]
    assert leftovers(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_no_obstacle_where_nothing_is_missing(tmp_path, monkeypatch):
    @contextmanager
    def refuse(lock, busy):
        raise PermissionError(13, "Permission denied", str(lock))
        yield

    monkeypatch.setattr("jointnet.data.fetch.alone", refuse)
    with alone_in(tmp_path):
        assert leftovers(tmp_path) == []


# Bodies that are not the file


class Login(http.server.BaseHTTPRequestHandler):
    """Answers with what networks and servers send in place of a file."""

    page = b"  <!DOCTYPE html><html>please log in</html>"
    answers = {
        "/gzip.tif": (gzip.compress(BODY), {"Content-Encoding": "gzip"}),
        "/type.tif": (BODY, {"Content-Type": "Text/HTML"}),
        "/xhtml.tif": (BODY, {"Content-Type": "application/xhtml+xml"}),
        "/page.tif": (page, {}), "/empty.tif": (b"", {}),
        "/latin.tif": ("<html>r\xe9seau ferm\xe9".encode("latin-1"), {}), "/zeros.tif": (bytes(5000), {}),
        "/words.tif": ("Acc\xe8s refus\xe9 : identifiez-vous".encode("latin-1"), {}),
        "/wide.tif": ("<html>log in".encode("utf-16-le"), {}),
        "/json.tif": (b'{"error": "no"}', {}), "/other.tif": (b"PK\3\4" + NOISE, {}), "/short.tif": (b"II", {}),
        "/noise.tif": (b"\x9c\x01" + NOISE, {}), "/noise.png": (b"\x9c\x01" + NOISE, {}),
    }

    def do_GET(self):
        body, headers = self.answers[self.path]
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("name", [name[1:] for name in Login.answers])
def test_a_body_that_is_not_the_file_is_refused_and_not_kept(fetcher, tmp_path, name):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Login) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with pytest.raises(DownloadError, match=r"web page|packed by gzip|empty file"):
            fetcher.fetch(f"http://127.0.0.1:{server.server_port}/{name}", tmp_path / name)
        server.shutdown()
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith((".part", ".tag"))] == []


def fetch_tile(root, url):
    download("inria", root, tiles=["sfo36"], url=url, progress=False)


def test_a_download_killed_at_any_rename_leaves_no_file_unrecorded(tile_server, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    points = kill_points(fetch_small_tile, tmp_path / "counted", tile_server.url)
    assert len(points) == 2 * 2  # the sum, then the image, which has no mask
    for point in points:
        root = tmp_path / str(point)
        assert in_child(fetch_small_tile, root, tile_server.url, point=point) == -9
        sums = (root / SUMS).read_text() if (root / SUMS).exists() else ""
        assert all(p.relative_to(root).as_posix() in sums for p in root.rglob("*.tif"))
        fetch_small_tile(root, tile_server.url)
        assert verify(root) == []


def fetch_small_tile(root, url):
    """One tile of the test split, from a server whose tiles are small."""
    from jointnet.data import download as module

    module.IMAGE_BYTES = 10
    fetch_tile(root, url)


class Lame(http.server.BaseHTTPRequestHandler):
    """Bodies that come too slowly, do not end, or end where nobody can tell."""

    protocol_version = "HTTP/1.1"
    over = threading.Event()

    def do_GET(self):
        with suppress(ConnectionError):
            getattr(self, self.path.strip("/").split(".")[0])()
        self.close_connection = True

    def begin(self, **headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def trickle(self):
        self.begin(Content_Length="300000")
        while not self.over.wait(0.01):
            self.wfile.write(b"I")

    def byte(self):
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-299999/300000")
        self.send_header("Content-Length", str(300_000 - start))
        self.end_headers()
        self.wfile.write(b"I")

    def lengthless(self):
        self.begin()
        self.wfile.write(BODY[:1000])

    def chunked(self, end=b"0\r\n\r\n"):
        self.begin(Transfer_Encoding="chunked")
        for start in (0, 100_000, 200_000):
            self.wfile.write(b"%x\r\n%b\r\n" % (100_000, BODY[start : start + 100_000]))
        self.wfile.write(end)

    def cut(self):
        self.chunked(b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def lame(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Lame.over.clear()
    running = Loopback(Lame)
    yield running.url
    Lame.over.set()
    running.close()


@pytest.mark.parametrize(("name", "says"), [
    ("trickle", r"failed 2 times in a row, last because only \d+ bytes came within 0\.1 seconds"),
    ("byte", r"failed 2 times in a row, last because the connection"),
    ("cut", r"failed 2 times in a row, last because the connection failed"),
    ("lengthless", "does not say how long the file is")])
def test_a_body_that_would_never_end_or_never_be_whole_is_given_up(tmp_path, lame, name, says, pauses):
    impatient = Fetcher(tries=2, wait=pauses.append, progress=False, minute=0.1)
    with pytest.raises(DownloadError, match=says):
        impatient.fetch(f"{lame}/{name}.tif", tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()


def test_a_body_longer_than_the_file_is_not_kept(tmp_path, lame, fetcher):
    with pytest.raises(DownloadError, match="sent more than the 250,000 bytes of the file"):
        fetcher.fetch(f"{lame}/chunked.tif", tmp_path / "a.tif", size=250_000)
    assert leftovers(tmp_path) == []
    assert fetcher.fetch(f"{lame}/chunked.tif", tmp_path / "a.tif", checksum=SHA).read_bytes() == BODY


def test_an_index_page_that_does_not_end_is_given_up(lame, pauses, monkeypatch):
    monkeypatch.setattr("jointnet.data.fetch.LONGEST_PAGE", 1000)
    with pytest.raises(DownloadError, match="so it is no index page"):
        Fetcher(wait=pauses.append).page(f"{lame}/chunked")
    with pytest.raises(DownloadError, match="bytes came within"):
        Fetcher(tries=1, minute=0.1).page(f"{lame}/trickle")


def test_names_on_an_index_page_that_are_no_plain_file_names_are_passed_over():
    """A line break would write a line of its own into the list of sums."""
    links = ["a.tif", "../b.tif", "c%00.tif", "d%0a" + "0" * 64 + "  e.tif", "%2e%2e%2ff.tif", "..%5cg.tif", "C:h.tif",
             ".tif"]
    page = "".join(f'<a href="{link}">x</a>' for link in links)
    assert _listed(page, ".tif") == ["a.tif", "b.tif", "f.tif"]  # the last parts of paths, in the dataset's folder


def test_a_damaged_list_of_sums_is_a_sentence_and_a_damaged_tag_is_passed_over(address, fetcher, tmp_path):
    (tmp_path / "scene.tif.part").write_bytes(BODY[:1000])
    (tmp_path / "scene.tif.part.tag").write_bytes(b"\xff\xfe")
    assert fetcher.fetch(address, tmp_path / "scene.tif").read_bytes() == BODY
    (tmp_path / SUMS).write_bytes(b"\xff\xfe")
    with pytest.raises(DownloadError, match=f"{SUMS} is damaged; put a copy in its place"):
        verify(tmp_path)


# Archives that are meant to do harm


@pytest.mark.parametrize("members", [
    {"inner.zip": zipped({"a.tif": bytes(3_000_000)})},
    {"inner.zip": zipped({"a.tif": bytes(3_000_000)}, streamed=True)},
    {"a.tif": bytes(3_000_000)}, {f"{n}.zip": zipped({f"{n}.tif": bytes(600_000)}) for n in range(5)},
    {"inner.zip": zipped({"a.tif": bytes(3_000_000)}, zipfile.ZIP_STORED, streamed=True)},
], ids=["zip", "streamed", "7z", "several", "copied"])
def test_an_archive_that_unpacks_to_more_than_it_may_hold_is_stopped(tmp_path, members):
    volumes = as_volumes(tmp_path, members)
    told = []
    with pytest.raises(ArchiveError, match="unpacks to more than the 1,000,000 bytes that it may hold"):
        unpack_volumes(volumes, tmp_path / "out", tell=told.append, most=1_000_000)
    assert sum(told) <= 1_000_000
    assert leftovers(tmp_path / "out") == []


@pytest.mark.parametrize("header", [False, True])
def test_an_archive_with_a_password_is_a_sentence(tmp_path, header):
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", password="secret", header_encryption=header) as archive:
        archive.writestr(b"data" * 100, "a.tif")
    with pytest.raises(ArchiveError, match=r"set.7z.001 asks for a password, so it is not the archive that was meant"):
        unpack_volumes(cut(tmp_path, buffer.getvalue()), tmp_path / "out")
    assert leftovers(tmp_path / "out") == []


def with_right_sums(whole):
    """A 7z whose header's checksums are right, so that its reader goes on to what was changed."""
    offset, size = struct.unpack("<2Q", whole[12:28])
    if 32 + offset + size <= len(whole):
        whole[28:32] = struct.pack("<I", zlib.crc32(whole[32 + offset : 32 + offset + size]))
        whole[8:12] = struct.pack("<I", zlib.crc32(whole[12:32]))
    return bytes(whole)


def test_archives_with_any_bytes_changed_are_unpacked_or_refused_in_a_sentence(tmp_path):
    rng, small = np.random.default_rng(1), {name: data[:2000] for name, data in TILES.items()}
    packed = [{"inner.zip": zipped(small, method, streamed)} for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)
              for streamed in (False, True)]
    originals = [b"".join(p.read_bytes() for p in as_volumes(tmp_path, members)) for members in [*packed, small]]
    refused = 0
    for number in range(150):
        whole = bytearray(originals[number % 5])
        near_end = rng.integers(len(whole) - 250, len(whole), 2) if number % 2 else rng.integers(0, len(whole), 2)
        for place in near_end:
            whole[place] = rng.integers(256)
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            unpack_volumes(cut(folder, with_right_sums(whole)), folder / "out", most=10_000_000)
        except ArchiveError:
            refused += 1
            assert leftovers(folder / "out") == []
    assert 75 < refused < 150


def fetch_archive(root, archive):
    download_archive(archive, root, Fetcher(progress=False))


def test_an_archive_killed_at_any_rename_leaves_no_file_unrecorded_in_the_end(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    points = kill_points(fetch_archive, tmp_path / "counted", archive)
    assert len(points) == 2 * (3 * 2 + 4 + 1)  # each volume and its sum, four tiles, their sums
    for point in points:
        root = tmp_path / str(point)
        assert in_child(fetch_archive, root, archive, point=point) == -9
        fetch_archive(root, archive)
        assert verify(root) == []
        assert sum(line.endswith(".tif") for line in (root / SUMS).read_text().splitlines()) == 4
        assert leftovers(root) == [SUMS, "train"]
