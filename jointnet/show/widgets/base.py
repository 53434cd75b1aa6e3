"""What every explorer shares: its look, its page that lives without Jupyter, its picture where widgets cannot run."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path

import anywidget
import traitlets

from jointnet.files import written_whole

HERE = Path(__file__).parent
STYLE = (HERE / "shared.css").read_text(encoding="utf-8")

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 16px; background: #ffffff; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --jp-layout-color1: #1e1e1e; --jp-layout-color2: #2b2b2b; --jp-border-color1: #555555;
    --jp-ui-font-color1: #eeeeee; --jp-ui-font-color2: #bdbdbd; }}
  body {{ background: #111111; }}
}}
{look}
{style}
</style>
</head>
<body>
{body}
</body>
</html>
"""

PIECE = """<div id="{key}"></div>
<script type="application/json" id="{key}-state">{state}</script>
<script type="module">
{code}
const held = JSON.parse(document.getElementById("{key}-state").textContent);
for (const name of held.binary) {{
  const text = atob(held.values[name]), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  held.values[name] = new DataView(bytes.buffer);
}}
const listeners = {{}};
const model = {{
  get: (name) => held.values[name],
  set(name, value) {{
    held.values[name] = value;
    for (const call of [...(listeners[`change:${{name}}`] || [])]) call();
  }},
  on(event, call) {{ (listeners[event] = listeners[event] || []).push(call); }},
  off(event, call) {{ listeners[event] = (listeners[event] || []).filter((c) => c !== call); }},
  save_changes() {{}},
  send() {{}},
}};
window.jointnet = {{ model }};
explorer.render({{ model, el: document.getElementById("{key}") }});
</script>"""


def write_page(title: str, body: str, look: str = "") -> str:
    """A page of HTML that opens without a network, light or dark as the reader's browser is.

    Args:
        title: text of its tab.
        body: HTML, as `Explorer.to_piece` gives it.
        look: style sheet of whatever else `body` holds.
    """
    return PAGE.format(title=escape(title), look=look, style=STYLE, body=body)


def code_of(*names: str) -> str:
    """The JavaScript of an explorer: the shared parts, those of explorers that it is built on, then its own file."""
    parts = [(HERE / f"{name}.js").read_text(encoding="utf-8") for name in ("shared", *names)]
    built_on = [re.sub(r"^export default .*$", "", part, flags=re.MULTILINE) for part in parts[:-1]]
    return "".join([*built_on, parts[-1]])


def shows_errors(method: Callable) -> Callable:
    """A callback whose exceptions are shown in the widget: a notebook shows nobody those that the browser started."""

    @functools.wraps(method)
    def guarded(self, *arguments):
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

    title = "explorer"

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
        page = write_page(self.title, self.to_piece())
        if path is None:
            return page
        path = Path(path)
        with written_whole(path) as draft:
            draft.write_text(page, encoding="utf-8")
        return path

    def to_piece(self, key: str = "explorer") -> str:
        """The inside of such a page, for a page that holds more than this explorer: see `write_page`.

        Args:
            key: id of the element, of its own in the page.
        """
        values = self.page_state()
        binary = [name for name, value in values.items() if isinstance(value, bytes | memoryview)]
        values |= {name: base64.b64encode(values[name]).decode() for name in binary}
        state = json.dumps({"values": values, "binary": binary}).replace("<", "\\u003c")
        code = str(self._esm).replace("export default", "const explorer =")
        return PIECE.format(key=escape(key), state=state, code=code)

    def _repr_mimebundle_(self, **options):
        """The widget, and a picture for notebooks that are not trusted or have no kernel."""
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle
        return data | {"image/png": base64.b64encode(self.preview()).decode()}, metadata
