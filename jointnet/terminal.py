"""What a person types and reads at a terminal: lists and patterns in; errors as one sentence out."""

from __future__ import annotations

import glob
import inspect
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

from jointnet.data.addresses import is_remote, stem_of
from jointnet.errors import InputError, JointNetError
from jointnet.options import flag_of

GOES_ON = "; give the same command again to go on where it was"


class Sentences(TyperGroup):
    """Commands whose foreseen errors are one sentence on stderr and exit code 2, and whose warnings are one line.

    Ctrl-C is a sentence too, and exit code 130, as shells have it.
    """

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; --debug shows where an error came from."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is meant for developers
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = _say_warning
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt as error:
                goes_on = ctx.invoked_subcommand in ("download", "place", "predict")
                typer.echo(f"\njointnet: stopped{GOES_ON if goes_on else ''}", err=True)
                raise typer.Exit(130) from error
            except Exception as error:
                if ctx.params.get("debug") or not _is_foreseen(error):
                    raise
                after = "\n" if hasattr(error, "exit_code") else ""  # what was stopped leaves a line half-written
                typer.echo(f"{after}jointnet: {error}", err=True)
                raise typer.Exit(getattr(error, "exit_code", 2)) from error


def _is_foreseen(error: Exception) -> bool:
    """Whether the message of an error says what its user can do: those of this package, of a disk and of a file."""
    if isinstance(error, BrokenPipeError):  # the reader of our output has gone, as `| head` does
        return False
    return isinstance(error, JointNetError | OSError)


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    typer.echo(f"jointnet: note: {message}", err=True)


def names(text: str | None) -> list[str] | None:
    """["austin", "chicago"] from "austin, chicago"."""
    return [part.strip() for part in text.split(",") if part.strip()] if text else None


def numbers(text: str | None, what: str, count: int | None = None, number: type = float) -> tuple | None:
    """(1, 2, 3) from "1,2,3".

    Raises:
        ValueError: if a part is not a number, or there are not `count` of them.
    """
    if text is None:
        return None
    try:
        found = tuple(number(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or count not in (None, len(found)):
        raise InputError(f"{what} {text!r} should be {count or 'some'} numbers with commas between, as 1,2,3")
    return found


def whole_numbers(text: str, what: str) -> tuple[int, ...] | None:
    """(3, 2, 1) from "3,2,1"."""
    return numbers(text, what, number=int)


def box(text: str, what: str) -> tuple[float, ...] | None:
    """(left, bottom, right, top) from four numbers with commas between."""
    return numbers(text, what, 4)


def thresholds(text: str, what: str) -> float | dict[str, float]:
    """0.5 from "0.5", {"buildings": 0.5, "roads": 0.3} from "buildings=0.5,roads=0.3".

    Raises:
        ValueError: if it is neither.
    """
    try:
        if "=" not in text:
            return float(text)
        pairs = (part.split("=") for part in text.split(","))
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        raise InputError(f"{what} {text!r} should be a number, or one for each class, as "
                         f"buildings=0.5,roads=0.3") from None


def number_or_name(text: str, what: str) -> float | str:
    """6.5 from "6.5", "lanes" from "lanes": metres, or the name of a column."""
    try:
        return float(text)
    except ValueError:
        return text


def paths(text: str, what: str) -> list[str]:
    """["a.gpkg", "b.gpkg"] from "a.gpkg,b.gpkg"; a name with a comma that exists is one."""
    return [text] if Path(text).exists() else names(text) or []


def pixel_values(text: str, what: str) -> list | dict[str, list]:
    """[1, 3] from "1,3", [128, ..., 255] from "128-255", [(255, 0, 0)] from "#ff0000", [] from "none".

    "buildings=1,roads=2" gives class -> values; a class with several values is named before each.

    Raises:
        ValueError: if it is none of these.
    """
    parts = [] if text.strip().lower() == "none" else names(text) or [""]
    if not any("=" in part for part in parts):
        return [value for part in parts for value in _values(part, what)]
    by_class: dict[str, list] = {}
    for part in parts:
        class_name, _, value = part.rpartition("=")
        if not class_name.strip():
            raise _no_values(text, what)
        by_class.setdefault(class_name.strip(), []).extend(_values(value.strip(), what))
    return by_class


def _values(text: str, what: str) -> Sequence[float | tuple[int, ...]]:
    """What one word of `pixel_values` stands for."""
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return [tuple(bytes.fromhex(text[1:]))]
    if ends := re.fullmatch(r"(\d{1,5})-(\d{1,5})", text):
        return range(int(ends[1]), int(ends[2]) + 1)
    try:
        number = float(text)
    except ValueError:
        raise _no_values(text, what) from None
    return [int(number) if number.is_integer() else number]


def _no_values(text: str, what: str) -> InputError:
    return InputError(f"{what} {text!r} should be values, as 2 or 1,3 or 128-255, colours, as #ff0000, or values of "
                      "each class, as buildings=1,roads=2")


def stretch_of(text: str, what: str) -> str | tuple[float, ...] | None:
    """"dataset" and "scene" as they are, (0, 3000) from "0,3000"."""
    return text if text in ("dataset", "scene") else numbers(text, what, 2)


def typed(declaration: type, **readers: Callable[[str, str], Any]) -> Callable[[Callable], Callable]:
    """Decorates a command with `**options`: those that are declared become options of the terminal.

    Args:
        declaration: a dataclass of `jointnet.options`.
        readers: option -> function of a text and of the option's name, for those whose type is no plain one.
    """
    declared = [f for f in fields(declaration) if not f.metadata["python_only"]]

    def decorate(command: Callable) -> Callable:
        @wraps(command)
        def with_values(**given: Any) -> Any:
            return command(**{name: readers[name](value, flag_of(name)) if name in readers and value is not None
                              else value for name, value in given.items()})

        signature = inspect.signature(command, eval_str=True)
        named = [p for p in signature.parameters.values() if p.kind != inspect.Parameter.VAR_KEYWORD]
        types = get_type_hints(declaration)
        added = [inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default,
                                   annotation=_at_the_terminal(f, str | None if f.name in readers else types[f.name]))
                 for f in declared]
        vars(with_values)["__signature__"] = signature.replace(parameters=[*named, *added])
        return with_values

    return decorate


def _at_the_terminal(declared: Field, annotation: Any) -> Any:
    """A declared option as Typer takes it; what is off by default has one flag, what is on has --no-NAME, too."""
    about = declared.metadata["help"]
    names = [flag_of(declared.name)] if declared.default is False else []
    return Annotated[annotation, typer.Option(*names, help=f"{about[0].upper()}{about[1:]}.")]


def expand(patterns: list[str]) -> list[Path]:
    """The files of names and of quoted patterns as "tiles/*.tif", and addresses, in order, each once.

    Raises:
        ValueError: if a pattern matches nothing, or two images would give results of one name.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matches = _matches(pattern)
        if not matches:
            raise InputError(f"no file matches {pattern!r}; check the folder and the ending")
        found |= dict.fromkeys(map(Path, matches))
    twice = [stem for stem, count in Counter(map(stem_of, found)).items() if count > 1]
    if twice:
        raise InputError(f"several images are called {', '.join(twice)}, and so would be their results; "
                         f"predict them into different folders")
    return list(found)


def _matches(pattern: str) -> list[str]:
    """The files of a name or of a pattern; folders that exist as they are written hold no pattern, as "maps [2020]"."""
    if not glob.has_magic(pattern) or is_remote(pattern) or Path(pattern).exists():
        return [pattern]
    folder, rest = Path(), list(Path(pattern).parts)
    while (folder / rest[0]).exists():
        folder /= rest.pop(0)
    inside = Path(glob.escape(str(folder)), *rest)
    return sorted(glob.glob(str(inside), recursive=True))
