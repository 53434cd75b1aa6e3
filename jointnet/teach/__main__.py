"""`python -m jointnet.teach lab|student|slides`: what make calls to copy the lessons and to make slides of them."""

from __future__ import annotations

from pathlib import Path

import typer

from jointnet.teach.copies import make_student_copies, make_working_copies
from jointnet.teach.slides import make_slides
from jointnet.terminal import Sentences

app = typer.Typer(cls=Sentences, add_completion=False)


@app.command()
def lab(lessons: Path, folder: Path) -> None:
    """Copies the lessons into a folder to work in."""
    for sentence in make_working_copies(lessons, folder):
        typer.echo(sentence)
    typer.echo(f"{folder} holds copies to work in: the lessons themselves stay as they are")


@app.command()
def student(lessons: Path, folder: Path) -> None:
    """Copies the lessons without their solutions."""
    for sentence in make_student_copies(lessons, folder):
        typer.echo(sentence)


@app.command()
def slides(lessons: Path, folder: Path, run: bool = True) -> None:
    """Makes slides of the lessons."""
    for page in make_slides(lessons, folder, run):
        typer.echo(page)


if __name__ == "__main__":
    app()
