"""Backdrop: the ground of a map in the notebook's theme, and a word where its tiles do not come."""

from __future__ import annotations

import anywidget

from jointnet.show.pages import read_asset
from jointnet.show.widgets.base import code_of


class Backdrop(anywidget.AnyWidget):
    """Lies in a corner of a map and shows nothing, until tiles are asked of the internet and none comes.

    It gives the map the background of the theme, light or dark; ipyleaflet itself has one for both.
    """

    _esm = code_of("backdrop")
    _css = read_asset("widgets/backdrop.css")
