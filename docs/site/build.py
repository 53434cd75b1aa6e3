"""Writes the course as a web site: lessons executed once, pages, the functions' reference; it needs no network.

    python docs/site/build.py build/html                     # every lesson at full size, long trainings shortened
    python docs/site/build.py build/html --small             # with the settings of the tests
    python docs/site/build.py build/html --run 02_the_network --small   # runs this lesson; the others have no results

What a lesson gave is kept in build/site and used again as long as neither the lesson nor the package has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from terms import with_anchors, with_links  # noqa: E402 (found through the line above)

PAGES = ("docs/glossary.md", "docs/results.md", "docs/teaching.md", "docs/grading.md", "docs/several_machines.md",
         "recipes/README.md", "data/README.md", "CONTRIBUTING.md", "CHANGELOG.md")
OWN_PAGES = {"index.md": "index.md", "reference.md": "reference.md", "lessons.md": "notebooks/index.md"}
LESSONS_HEAD = "| Lesson | What it is about | Minutes to run |\n|---|---|---|\n"
CELL_SECONDS = 1500  # a training is the longest cell
SHORTER = {  # trainings that would take most of the time of a site; their pages say so
    "03_training": {"epochs": 0},  # the recorded one is shown
    "06_roads": {"continued": ["focal"], "live_epochs": 1},
    "07_your_own_town": {"epochs": 2, "steps": 10},
}


def main() -> None:
    """Reads the command line and builds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the site")
    parser.add_argument("--small", action="store_true", help="the settings of the tests, not those of a reader")
    parser.add_argument("--run", nargs="*", metavar="LESSON", help="run these lessons, and show the others unexecuted")
    parser.add_argument("--lessons", type=Path, default=ROOT / "notebooks", help="folder of the notebooks")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "site", help="folder for what is kept")
    args = parser.parse_args()
    began = time.perf_counter()
    source = assemble(args.work, args.lessons.resolve(), args.run, args.small)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", str(HERE), "-d",
               str(args.work / "doctrees"), str(source), str(args.out)]
    subprocess.run(command, check=True, env=os.environ | {"JOINTNET_LIVE": str(args.work / "extra")})
    print(f"{args.out / 'index.html'}: {time.perf_counter() - began:.0f} s")


def assemble(work: Path, lessons: Path, run: list[str] | None = None, small: bool = False) -> Path:
    """The pages and lessons as Sphinx reads them, in a folder laid out as the project is.

    Args:
        work: folder for them, and for what lessons gave.
        lessons: folder of the notebooks.
        run: names of the lessons to execute; None for all.
        small: run them with the settings of the tests.
    """
    source, extra = work / "source", work / "extra"
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(extra, ignore_errors=True)
    (extra / "live").mkdir(parents=True)
    glossary, terms = with_anchors((ROOT / "docs/glossary.md").read_text(encoding="utf-8"))
    for name in PAGES:
        text = glossary if name.endswith("glossary.md") else (ROOT / name).read_text(encoding="utf-8")
        write(source / name, without_dead_links(text, ROOT / name))
    shutil.copytree(ROOT / "docs/images", source / "docs/images")
    (source / "notebooks").mkdir()
    rows = []
    for lesson in sorted(lessons.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(lesson, 4)
        if run is None or lesson.stem in run:
            folder = executed(lesson, work, small)
            notebook = nbformat.read(folder / lesson.name, 4)
            copy_live(folder / "live", extra / "live")
        rows.append(row_of(notebook, lesson.name))
        link(notebook, lesson, terms)
        nbformat.write(notebook, source / "notebooks" / lesson.name)
    for name, place in OWN_PAGES.items():
        text = (HERE / name).read_text(encoding="utf-8")
        write(source / place, text.replace("LESSONS", LESSONS_HEAD + "".join(rows)).replace("SCORE", score()))
    return source


def executed(lesson: Path, work: Path, small: bool) -> Path:
    """The folder of the lesson with its results, and of its explorers (`live`): kept ones, or by running it now.

    Args:
        lesson: the notebook.
        work: folder where results are kept.
        small: run it with the settings of the tests.
    """
    folder = kept(work, lesson, small)
    result = folder / lesson.name
    if not result.exists():
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "live").mkdir(parents=True)
        notebook, began, used = prepared(lesson, folder / "live", small), time.perf_counter(), seconds_of_children()
        print(f"running {lesson.name}", end=": ", flush=True)
        paths = [str(ROOT), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        client = NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", store_widget_state=False,
                                resources={"metadata": {"path": str(run_folder(work))}})
        client.execute(env=environment)
        minutes, used = (time.perf_counter() - began) / 60, (seconds_of_children() - used) / 60
        print(f"{minutes:.1f} minutes, {used:.1f} of a processor", flush=True)
        notebook.metadata["minutes"] = round(minutes, 1)
        how = "with the small settings of the tests" if small else in_words(SHORTER.get(lesson.stem, {}))
        notebook.cells.insert(2, new_markdown_cell(f"*This page: run {how}, in {minutes:.1f} minutes.*"))
        nbformat.write(notebook, result)
    return folder


def score() -> str:
    """IoU of the weights for real imagery with its interval, as the results state it."""
    text = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    found = re.search(r"^\| pooled \| ([\d.]+) \| ([\d.]+ to [\d.]+) \|", text, re.MULTILINE)
    if found is None:
        raise ValueError('docs/results.md has no row "| pooled | IoU | interval |" for the first page: mend either')
    return f"{found[1]} ({found[2]})"


def link(notebook: nbformat.NotebookNode, lesson: Path, terms: list[str]) -> None:
    """Makes the links of a lesson those of the site: first uses of terms lead to the glossary."""
    linked: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_links(without_dead_links(cell.source, lesson), terms, linked)


def row_of(notebook: nbformat.NotebookNode, name: str) -> str:
    """A row of the table of lessons: title, the sentence below it, minutes that it ran here.

    Args:
        notebook: a lesson that begins with its title and a sentence.
        name: its file.
    """
    first = next(cell.source for cell in notebook.cells if cell.cell_type == "markdown")  # links in it become words
    title, sentence = [*re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", first).split("\n\n"), ""][:2]
    minutes = notebook.metadata.get("minutes", "not run")
    return f"| [{title.lstrip('# ')}](/notebooks/{name}) | {' '.join(sentence.split())} | {minutes} |\n"


def copy_live(folder: Path, to: Path) -> None:
    """Copies a lesson's explorers, which from then on fit themselves into the frames of a page."""
    to.mkdir(parents=True, exist_ok=True)
    fitting = (HERE / "frame.html").read_text(encoding="utf-8") + "</body>"
    for path in sorted(folder.iterdir()):
        if path.suffix == ".html":
            write(to / path.name, path.read_text(encoding="utf-8").replace("</body>", fitting))
        else:
            shutil.copyfile(path, to / path.name)


def in_words(settings: dict) -> str:
    """With what settings a lesson was run, as its page says it: those that stand there, or shorter ones."""
    if not settings:
        return "with the settings that you see"
    told = " and ".join(f"`{name} = {value}`" for name, value in settings.items())
    return f"with a shorter training than you see ({told}), so that a site is built within minutes"


def seconds_of_children() -> float:
    """Processor time of the programs that this one started and that have ended, as the lessons' kernels."""
    used = os.times()
    return used.children_user + used.children_system


def run_folder(work: Path) -> Path:
    """Where lessons run: what they write stays out of the clone; the drawn scenes of the clone serve."""
    folder = work / "run" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kept(work: Path, lesson: Path, small: bool) -> Path:
    """The folder for a lesson's results, named by all that they depend on."""
    digest = hashlib.sha256(lesson.read_bytes() + bytes([small]) + repr(SHORTER.get(lesson.stem)).encode())
    for path in sorted((*(ROOT / "jointnet").rglob("*.*"), *(ROOT / "data/weights").glob("*"), HERE / "live.py")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.read_bytes())
    return work / "kept" / f"{lesson.stem}-{digest.hexdigest()[:12]}"


def prepared(lesson: Path, live: Path, small: bool) -> nbformat.NotebookNode:
    """The notebook as it is run: explorers become frames, and the tests' or shorter settings count.

    Args:
        lesson: the notebook.
        live: folder for the explorers' pages.
        small: whether to use the settings of the tests.
    """
    notebook = nbformat.read(lesson, 4)
    hidden = {"tags": ["remove-cell"]}
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        mock = cell.metadata.get("nbmake", {}).get("mock", {})
        values = mock if small else SHORTER.get(lesson.stem, {})
        if mock and values:  # a cell of parameters
            cells.append(new_code_cell("\n".join(f"{k} = {v!r}" for k, v in values.items()), metadata=hidden))
    begin = f"from live import frame_explorers\n_frames = frame_explorers({str(live)!r}, {lesson.stem!r})"
    notebook.cells = [new_code_cell(begin, metadata=hidden), *cells, new_code_cell("_frames.write()", metadata=hidden)]
    return notebook


def without_dead_links(text: str, page: Path) -> str:
    """Markdown in which links to files that are no pages of the site became plain words.

    Args:
        text: the Markdown.
        page: the file that it is from, from which its links count.
    """
    pages = {(ROOT / name).resolve() for name in PAGES}

    def plain(found: re.Match) -> str:
        words, target = found[1], found[2].partition("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        path = (page.parent / target).resolve()
        is_lesson = path.parent == page.parent and path.suffix == ".ipynb" and path.exists()
        return found[0] if path in pages or is_lesson else words

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", plain, text)


def write(path: Path, text: str) -> None:
    """Writes a page, with the folder that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
