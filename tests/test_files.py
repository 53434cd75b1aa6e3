"""Drafts that appear whole or not at all, whenever their writer dies, and locks that die with their holder."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jointnet import files
from jointnet.files import InUseError, alone, settle, written_whole
from tests.killing import in_child, kill_points


def content(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def write(path: Path, text: str, *companions: Path) -> None:
    with written_whole(path, *companions) as draft:
        draft.write_text(text)
        for companion in companions:
            draft.with_name(companion.name).write_text(text)


def write_folder(path: Path, text: str) -> None:
    with written_whole(path) as draft:
        (draft / "inside").mkdir(parents=True)
        (draft / "inside" / "file").write_text(text)


def put(folder: Path, case: str, text: str, exchanges: bool = True) -> None:
    """Writes one of the cases; `exchanges` says whether the system can exchange the names of two folders."""
    if not exchanges:
        files._exchange = lambda *_: False
    path = folder / "a"
    {"file": lambda: write(path, text), "pair": lambda: write(path, text, folder / "b"),
     "folder": lambda: write_folder(path, text)}[case]()


def test_a_file_appears_complete_and_alone(tmp_path):
    write(tmp_path / "new" / "a.txt", "one")
    write(tmp_path / "new" / "a.txt", "two")
    assert content(tmp_path) == {"new/a.txt": "two"}


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    def fail() -> None:
        with written_whole(tmp_path / "a.txt") as draft:
            draft.write_text("half of the n")
            draft.with_name("a.txt.aux").write_text("beside it")
            raise OSError(28, "the disk is full")

    write(tmp_path / "a.txt", "old")
    with pytest.raises(OSError, match="full"):
        fail()
    assert content(tmp_path) == {"a.txt": "old"}


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="was not written"), written_whole(tmp_path / "a.txt"):
        pass
    assert content(tmp_path) == {}


def test_a_file_does_not_take_the_place_of_a_folder(tmp_path):
    write_folder(tmp_path / "a", "old")
    with pytest.raises(FileExistsError, match="a is a folder; remove it"):
        write(tmp_path / "a", "new")
    with pytest.raises(FileExistsError, match="a is a folder; remove it"):
        write(tmp_path / "b", "new", tmp_path / "a")
    assert content(tmp_path) == {"a/inside/file": "old"}


def test_a_link_stays_one_and_a_device_is_written_to(tmp_path):
    write(tmp_path / "far" / "a.txt", "old")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "a.txt")
    write(tmp_path / "link", "new")
    write(Path(os.devnull), "gone")
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "far") == {"a.txt": "new"}
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("case", ["file", "pair", "folder"])
def test_a_writer_killed_at_any_rename_leaves_the_old_or_the_new(case, exchanges, tmp_path):
    """Without exchange of names (as on macOS) a folder's place is empty for a moment, until the next one looks."""
    seen = set()
    put(tmp_path / "counted", case, "old")
    points = kill_points(put, tmp_path / "counted", case, "new", exchanges)
    for point in points:
        folder = tmp_path / str(point)
        put(folder, case, "old")
        assert in_child(put, folder, case, "new", exchanges, point=point) == -signal.SIGKILL
        settle(folder / "a")
        names = {n: t for n, t in content(folder).items() if ".draft-" not in n}
        assert len(names) == (2 if case == "pair" else 1)
        assert len(set(names.values())) == 1
        seen |= set(names.values())
        put(folder, case, "newer")
        assert set(content(folder).values()) == {"newer"}
        assert sorted(p.name for p in folder.iterdir()) == (["a", "b"] if case == "pair" else ["a"])
    assert seen == {"old", "new"}
    # One rename of a file, one exchange of a folder; a note and two renames of a pair, and where nothing is exchanged.
    assert len(points) == 2 * {"file": 1, "pair": 3, "folder": 1 if exchanges else 3}[case]


def test_companions_are_never_seen_beside_another_files_place(tmp_path):
    for point in kill_points(put, tmp_path / "counted", "pair", "old"):
        folder = tmp_path / str(point)
        put(folder, "pair", "old")
        in_child(put, folder, "pair", "new", point=point)
        assert len({p.read_text() for p in (folder / "a", folder / "b") if p.exists()}) == 1


def test_two_writers_to_one_place_wait_for_each_other(tmp_path):
    """Eight writers of a megabyte each: whatever is read meanwhile is one writer's, from its first to its last byte."""
    path, seen, done = tmp_path / "a", set(), threading.Event()
    write(path, "0" * 1_000_000)

    def watch():
        while not done.is_set():
            seen.add("".join(set(path.read_text())))

    watcher = threading.Thread(target=watch)
    watcher.start()
    writers = [threading.Thread(target=write, args=(path, str(n) * 1_000_000)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    watcher.join()
    assert {len(text) for text in seen} == {1}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


HOLDER = "import pathlib, sys, time; from jointnet.files import alone\n" \
         "with alone(pathlib.Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"


def test_a_lock_refuses_in_the_callers_words_and_dies_with_its_holder(tmp_path):
    lock = tmp_path / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "in\n"
        with pytest.raises(InUseError, match="another one is here"), alone(lock, "another one is here"):
            pass
        process.kill()
    with alone(lock, "another one is here"):
        assert lock.exists()
    assert not lock.exists()
