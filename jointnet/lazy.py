"""A table of names in; a package's `__getattr__` and `__dir__` out, which load each name when it is first used."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def loaded_when_used(package: str, home: dict[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """(`__getattr__`, `__dir__`) of a package (PEP 562).

    Args:
        package: its `__name__`.
        home: name -> the module of the package that has it, without the package's own name.
    """

    def find(name: str) -> Any:
        if name in home:
            return getattr(import_module(f"{package}.{home[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find, lambda: sorted(home)
