"""Explorers in an executed lesson as frames of pages that work without Python."""

from __future__ import annotations

from html import escape
from pathlib import Path

from jointnet.show.widgets.base import Explorer

HEIGHT = 640  # pixels of a frame; a reader can drag it taller


class Frames:
    """The explorers that a lesson has shown, each to become a page of its own.

    Args:
        folder: where the pages go, `LESSON-1.html`, `LESSON-2.html`, ..., each beside its picture.
        lesson: name of the notebook.
    """

    def __init__(self, folder: str | Path, lesson: str) -> None:
        self.folder, self.lesson = Path(folder), lesson
        self.shown: list[Explorer] = []

    def frame(self, explorer: Explorer) -> str:
        """HTML of the frame; its page is loaded when the reader scrolls there, and its picture is seen until then."""
        self.shown.append(explorer)
        stem = f"{self.lesson}-{len(self.shown)}"
        page = f"../live/{escape(stem)}.html"
        picture = f' style="background-image:url(../live/{escape(stem)}.png)"' if has_picture(explorer) else ""
        return (
            f'<div class="live"{picture}>'
            f'<iframe src="{page}" title="{escape(explorer.title)}" loading="lazy" height="{HEIGHT}"></iframe></div>'
            f'<p class="live-link"><a href="{page}">Open this explorer alone</a></p>'
        )

    def write(self) -> None:
        """Writes the pages and pictures, as the explorers are now: a monitor has seen its training by then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, explorer in enumerate(self.shown, 1):
            path = self.folder / f"{self.lesson}-{number}.html"
            explorer.to_html(path)
            if has_picture(explorer):
                path.with_suffix(".png").write_bytes(explorer.preview())


def has_picture(explorer: Explorer) -> bool:
    """Whether an explorer can be drawn; a quiz is words alone."""
    return type(explorer).preview is not Explorer.preview


def frame_explorers(folder: str | Path, lesson: str) -> Frames:
    """From now on the running notebook shows explorers as frames."""
    from IPython import get_ipython

    frames = Frames(folder, lesson)
    get_ipython().display_formatter.formatters["text/html"].for_type(Explorer, frames.frame)
    return frames
