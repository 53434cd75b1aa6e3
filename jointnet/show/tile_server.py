"""Can this notebook be served tiles of a raster? The kernel's surroundings in; an address, or why not, out."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

NEEDED = ("localtileserver", "xarray")
PROXY = "localtileserver-proxy/{port}"  # where localtileserver's extension of the notebook server passes tiles on


def why_no_tiles() -> str:
    """Why tiles cannot be served here, and what to do; "" where they can."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return f"tiles need {' and '.join(missing)}: pip install {' '.join(NEEDED)}, then restart Jupyter"
    if _chosen() or not in_jupyter():
        return ""  # the reader has said where tiles are to be had, or there is no server to ask
    server = notebook_server()
    if server is None:
        return ("the notebook server cannot be asked whether it passes tiles on; on a Hub install jupyter-server-proxy "
                "and set LOCALTILESERVER_CLIENT_PREFIX to <your prefix>/proxy/{port}")
    if not passes_tiles(server):
        return ("the notebook server does not pass tiles on: install localtileserver where the server runs (not in the "
                "kernel's environment alone) and restart it")
    return ""


def tile_prefix() -> str | None:
    """Where the browser reaches the tile server: a path with {port}; None leaves it to localtileserver."""
    server = None if _chosen() or not in_jupyter() else notebook_server()
    return None if server is None else server["base_url"].rstrip("/") + "/" + PROXY


def in_jupyter() -> bool:
    """Whether this is the kernel of a notebook server."""
    return "JPY_PARENT_PID" in os.environ or "JPY_SESSION_NAME" in os.environ


def notebook_server() -> dict | None:
    """What the kernel's notebook server tells of itself: url, base_url and token; None if it cannot be found."""
    from jupyter_core.paths import jupyter_runtime_dir

    folder = Path(jupyter_runtime_dir())
    path = folder / f"jpserver-{os.environ.get('JPY_PARENT_PID', os.getppid())}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None


def passes_tiles(server: dict, patience: float = 3.0) -> bool:
    """Whether the server has localtileserver's extension: it then knows the address that tiles come by.

    A port where nothing listens is asked for, so that "cannot connect" tells it from "no such page".
    """
    address = server["url"] + PROXY.format(port=9) + "/"
    request = urllib.request.Request(address, headers={"Authorization": f"token {server.get('token', '')}"})
    try:
        urllib.request.urlopen(request, timeout=patience).close()
    except urllib.error.HTTPError as error:
        return error.code != 404
    except OSError:
        return False
    return True


def _chosen() -> bool:
    """Whether the reader has told localtileserver where the browser finds it."""
    return any(os.environ.get(f"LOCALTILESERVER_CLIENT_{name}") for name in ("PREFIX", "HOST"))
