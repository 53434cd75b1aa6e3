"""A threshold slider for probability pictures on a map, applied in the browser; it also hands over files to save."""

from __future__ import annotations

import anywidget
import traitlets

from jointnet.show.pages import read_asset


class Cut(anywidget.AnyWidget):
    """Shows pictures of a map from a threshold on.

    Attributes:
        threshold: probability from which a pixel is shown.
        colours: key -> colour of the pictures that it rules; a picture's address ends in "#" and its key, and its
            opacity is the probability.
    """

    _esm = read_asset("widgets/cut.js")

    threshold = traitlets.Float(0.5).tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)

    def save(self, name: str, data: bytes) -> None:
        """Lets the reader's browser save bytes as a file."""
        self.send({"kind": "save", "name": name}, [data])
