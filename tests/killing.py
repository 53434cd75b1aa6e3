"""Runs a writer in a child that dies by SIGKILL before or after one of its renames; only jointnet.files renames."""

import os
import signal
import traceback
import warnings
from collections.abc import Callable

from jointnet import files

RENAMES = ("_rename", "_exchange")


def kill_points(write: Callable[[], object]) -> list[int]:
    """The numbers of the moments before (even) and after (odd) each rename that `write` makes, which is run once."""
    counted = []
    in_here = {name: getattr(files, name) for name in RENAMES}
    try:
        for name, rename in in_here.items():
            setattr(files, name, lambda a, b, rename=rename: (rename(a, b), counted.append(a))[0])
        write()
    finally:
        for name, rename in in_here.items():
            setattr(files, name, rename)
    return list(range(2 * len(counted)))


def in_child(write: Callable[[], object], point: int | None = None) -> int:
    """Exit code of a forked child that runs `write`, minus the signal's number where one ended it.

    Args:
        write: what the child does.
        point: of `kill_points`, where it dies; None lets it live.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, where the parent has threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            _die_at(point)
            write()
            code = 0
        except BaseException:  # noqa: BLE001 - a child must not go on with its parent's tests
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _die_at(point: int | None) -> None:
    """Makes this process die at a moment."""
    passed = []

    def dying(rename):
        def step(a, b):
            for half in (0, 1):
                if half:
                    answer = rename(a, b)
                if len(passed) == point:
                    os.kill(os.getpid(), signal.SIGKILL)
                passed.append(a)
            return answer
        return step

    for name in RENAMES:
        setattr(files, name, dying(getattr(files, name)))
