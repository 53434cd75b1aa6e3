"""Runs writers in children that die by SIGKILL before or after one of their renames; only jointnet.files renames.

Children are forked from a server that has read the heavy modules and done nothing else, so they start at once, and no
lock of a library's threads is copied into them. What they run is a function of a module and what it is called with.
"""

import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from jointnet import files

RENAMES = ("_rename", "_exchange")
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["pytest", "typer.testing", "jointnet.predict.scenes", "jointnet.data.download"])


def kill_points(work: Callable, *arguments) -> list[int]:
    """The numbers of the moments before (even) and after (odd) each rename that `work` makes, which is done once."""
    return list(range(_end(_start(_counting, work, arguments))))


def in_child(work: Callable, *arguments, point: int | None = None, **named) -> int:
    """Exit code of a child that does `work`, or minus the number of the signal that ended it.

    Args:
        work: a function of a module; what it returns is the exit code.
        arguments, named: that it is called with.
        point: of `kill_points`, where the child dies; None lets it live.
    """
    return _end(_start(_dying, functools.partial(work, **named), arguments, point))


def kill_everywhere(prepare: Callable, work: Callable, folder: Path, begin: Callable = lambda _: None) -> int:
    """Dies before and after each rename of `work(prepared, folder / number)`; how often.

    For what takes long to prepare: that is done once, in a child whose own forks die.

    Args:
        prepare: a function of a module; its answer is the first argument of the others.
        work: what is killed.
        folder: where each number gets a folder, and "whole" one that nothing disturbed.
        begin: what lies in each folder before, as `begin(prepared, folder / number)`.
    """
    return _end(_start(_in_forks, prepare, work, folder, begin))


def _in_forks(prepare: Callable, work: Callable, folder: Path, begin: Callable) -> None:
    prepared = prepare()
    begin(prepared, folder / "whole")
    count = _with_steps(work, (prepared, folder / "whole"), lambda number: None)
    for point in range(count):
        begin(prepared, folder / str(point))
        if not (child := os.fork()):
            _dying(work, (prepared, folder / str(point)), point)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL:
            sys.exit(255)
    sys.exit(count)


def both(work: Callable, *arguments) -> list[int]:
    """Exit codes of two children that do `work` at once; told apart by a first argument of 0 and 1."""
    return [_end(child) for child in [_start(_dying, work, (number, *arguments), None) for number in (0, 1)]]


def _start(run: Callable, *arguments):
    child = CONTEXT.Process(target=run, args=arguments)
    child.start()
    return child


def _end(child) -> int:
    """The exit code of a child, which has two minutes to end."""
    child.join(120)
    if child.exitcode is None:
        child.kill()
        raise TimeoutError("a child did not end within two minutes")
    return child.exitcode


def _counting(work: Callable, arguments: tuple) -> None:
    sys.exit(_with_steps(work, arguments, lambda number: None))


def _dying(work: Callable, arguments: tuple, point: int | None) -> None:
    answers = []
    _with_steps(lambda: answers.append(work(*arguments)), (),
                lambda number: os.kill(os.getpid(), signal.SIGKILL) if number == point else None)
    sys.exit(answers[0] or 0)


def _with_steps(work: Callable, arguments: tuple, step: Callable[[int], None]) -> int:
    """Does `work`, with a step before and one after each rename; how many there were."""
    passed = []

    def stepping(rename):
        def stepped(source, target):
            step(len(passed))
            passed.append("before")
            answer = rename(source, target)
            step(len(passed))
            passed.append("after")
            return answer
        return stepped

    for name in RENAMES:
        setattr(files, name, stepping(getattr(files, name)))
    work(*arguments)
    return len(passed)
