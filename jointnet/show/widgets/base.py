"""What every explorer shares: its look, its page that lives without Jupyter, its picture where widgets cannot run."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from jointnet.files import written_whole
from jointnet.show.pages import read_asset, render

STYLE = read_asset("widgets/shared.css")


def code_of(*names: str) -> str:
    """The JavaScript of an explorer: the shared parts, those of explorers that it is built on, then its own file."""
    parts = [read_asset(f"widgets/{name}.js") for name in ("shared", *names)]
    built_on = [re.sub(r"^export default .*$", "", part, flags=re.MULTILINE) for part in parts[:-1]]
    return "".join([*built_on, parts[-1]])


def pack(values: Mapping[str, Any]) -> dict[str, Any]:
    """Traits as JSON can carry them: {"values", "binary": names of those in base64}; `unpack` in shared.js reads it."""
    binary = [name for name, value in values.items() if isinstance(value, bytes | memoryview)]
    encoded = {name: base64.b64encode(values[name]).decode() for name in binary}
    return {"values": {**values, **encoded}, "binary": binary}


def shows_errors(method: Callable) -> Callable:
    """A callback whose exceptions are shown in the widget: a notebook shows nobody those that the browser started."""

    @functools.wraps(method)
    def guarded(self: Any, *arguments: Any) -> Any:
        try:
            result = method(self, *arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader sees it in the explorer
            self.error = f"{type(error).__name__}: {error}"
        else:
            self.error = ""
            return result

    return guarded


class Explorer(anywidget.AnyWidget):
    """A widget that can also be saved as a page of its own, and that leaves a picture where it cannot run."""

    _css = STYLE
    error = traitlets.Unicode("").tag(sync=True)

    @property
    def title(self) -> str:
        """What the tab of its page says."""
        return "explorer"

    def preview(self) -> bytes:
        """A PNG of what the explorer shows at first."""
        raise NotImplementedError

    def page_state(self) -> dict:
        """The traits that a page without Python starts from."""
        return {name: value for name, value in self.get_state().items() if not name.startswith(("_", "layout", "tabb"))}

    def to_html(self, path: str | Path | None = None) -> str | Path:
        """One page with the data inside, that works in any browser, offline, without Jupyter.

        Args:
            path: file to write; without it the page is returned as text.
        """
        style = "\n".join([read_asset("widgets/page.css"), STYLE])
        page = render("widgets/page.html", title=self.title, style=style, piece=self.to_piece())
        if path is None:
            return page
        path = Path(path)
        with written_whole(path) as draft:
            draft.write_text(page, encoding="utf-8")
        return path

    def to_piece(self, key: str = "explorer") -> str:
        """The inside of such a page, HTML for a page that holds more than this explorer.

        Args:
            key: id of the element, of its own in the page.
        """
        state = json.dumps(pack(self.page_state())).replace("<", "\\u003c")
        code = read_asset("widgets/page.js") + str(self._esm).replace("export default", "const explorer =")
        return render("widgets/piece.html", key=key, state=state, code=code)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and a picture for notebooks that are not trusted or have no kernel."""
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle
        return data | {"image/png": base64.b64encode(self.preview()).decode()}, metadata
