"""What a person types and reads at a terminal: lists and patterns in; errors as one sentence out."""

from __future__ import annotations

import glob
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import typer
from typer.core import TyperGroup

GOES_ON = "; give the same command again to go on where it was"


class Sentences(TyperGroup):
    """Commands whose foreseen errors are one sentence on stderr and exit code 2, and whose warnings are one line.

    Ctrl-C is a sentence too, and exit code 130, as shells have it.
    """

    def invoke(self, ctx):
        """Runs the command; --debug shows where an error came from."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is meant for developers
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = _say_warning
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt as error:
                goes_on = ctx.invoked_subcommand in ("download", "predict")
                typer.echo(f"\njointnet: stopped{GOES_ON if goes_on else ''}", err=True)
                raise typer.Exit(130) from error
            except Exception as error:
                if ctx.params.get("debug") or not _is_foreseen(error):
                    raise
                said = error.args[0] if isinstance(error, KeyError) and error.args else error
                command = self.get_command(ctx, ctx.invoked_subcommand or "")
                options = [] if command is None else [name for p in command.params for name in p.opts]
                typer.echo(f"jointnet: {as_options(str(said), options)}", err=True)
                raise typer.Exit(2) from error


def _is_foreseen(error: Exception) -> bool:
    """Whether the message of an error says what to do: those of this package, and of wrong values, files, extras."""
    ours = type(error).__module__.split(".")[0] == "jointnet"
    if isinstance(error, BrokenPipeError):  # the reader of our output has gone, as `| head` does
        return False
    return ours or isinstance(error, (ValueError, OSError, KeyError, ImportError))


def as_options(text: str, options: Sequence[str]) -> str:
    """A message of the package in the words of a command: "bands=[1, 2, 3]" as "--bands 1,2,3", "root=" as "--root"."""
    for option in options:
        name = option.removeprefix("--").replace("-", "_")
        if option.startswith("--"):
            listed = rf"\b{name}=[\[(]([\d., -]+)[\])]"
            text = re.sub(listed, lambda found: f"{option} {found[1].replace(', ', ',')}", text)  # noqa: B023
            text = re.sub(rf"\b{name}=(?=\S)(?![,;.)])", f"{option} ", text)
            text = re.sub(rf"\b{name}=", option, text)
    return text


def _say_warning(message, *_, **__) -> None:
    typer.echo(f"jointnet: note: {message}", err=True)


def names(text: str | None) -> list[str] | None:
    """["austin", "chicago"] from "austin, chicago"."""
    return [part.strip() for part in text.split(",") if part.strip()] if text else None


def numbers(text: str | None, what: str, count: int | None = None, kind: type = float) -> tuple | None:
    """(1, 2, 3) from "1,2,3".

    Raises:
        ValueError: if a part is not a number, or there are not `count` of them.
    """
    if text is None:
        return None
    try:
        found = tuple(kind(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or count not in (None, len(found)):
        raise ValueError(f"{what} {text!r} should be {count or 'some'} numbers with commas between, as 1,2,3")
    return found


def expand(patterns: list[str]) -> list[Path]:
    """The files of names and of quoted patterns as "tiles/*.tif", in order, each once.

    Raises:
        ValueError: if a pattern matches nothing, or two images would give results of one name.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        is_pattern = glob.has_magic(pattern) and not Path(pattern).exists()
        matches = sorted(glob.glob(pattern, recursive=True)) if is_pattern else [pattern]
        if not matches:
            raise ValueError(f"no file matches {pattern!r}; check the folder and the ending")
        found |= dict.fromkeys(map(Path, matches))
    twice = [stem for stem, count in Counter(path.stem for path in found).items() if count > 1]
    if twice:
        raise ValueError(f"several images are called {', '.join(twice)}, and so would be their results; "
                         f"predict them into different folders")
    return list(found)
