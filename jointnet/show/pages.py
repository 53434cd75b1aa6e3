"""A template and its values in, HTML out: all text from data is escaped, unless the template says `safe`."""

from __future__ import annotations

import functools
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent


def render(template: str, **values: object) -> str:
    """The HTML of a template.

    Args:
        template: its file, seen from the folder of this module.
        values: what the template asks for, by name.
    """
    return _templates().get_template(template).render(**values)


def fragment(html: str, *values: object) -> str:
    """A few tags with values in their {}, each escaped: the one way that HTML is made without a template."""
    return html.format(*(escape(str(value)) for value in values))


def read_asset(name: str) -> str:
    """The text of a style sheet or a script that lies in the folder of this module."""
    return (HERE / name).read_text(encoding="utf-8")


@functools.cache
def _templates() -> jinja2.Environment:
    """The templates of this folder; a value that a template asks for and does not get is an error."""
    import jinja2  # late: explorers in a notebook need no page

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )
