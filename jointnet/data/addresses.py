"""Addresses of the web in; what may be written down, what GDAL opens, and what may never be seen out.

A key never stands in an address that is kept: the name of an environment variable does, as {MY_KEY}, and its value is
filled in where the address is used, in memory.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, quote_plus, urlencode, urlsplit, urlunsplit

from jointnet.errors import InputError

REMOTE = re.compile(r"^(https?|s3|gs|az|abfs|oss):/+(?=[^/])", re.IGNORECASE)
PLACEHOLDERS = {"z", "x", "y", "-y", "s", "r"}  # of tiles; all else in braces is a key
SECRET = re.compile(
    r"(key|token|secret|signature|passw|pwd|credential|connectid|app_?code|^sig$|^auth|^tk$)", re.IGNORECASE)
IMAGES = (".tif", ".tiff", ".jp2", ".vrt", ".png", ".jpg", ".jpeg")
LOGGERS = ("rasterio._env", "rasterio._err", "rasterio._io", "rasterio._base")  # where GDAL's messages go


def is_remote(path: str | Path) -> bool:
    """Whether a path is an address, or one of GDAL's own (/vsi...): nothing that lies on this machine's disk."""
    text = str(path).replace("\\", "/")
    return REMOTE.match(text) is not None or text.startswith("/vsi")


def address_of(path: str | Path) -> str:
    """The address behind a path: `pathlib` makes one slash of two."""
    text = str(path).replace("\\", "/")
    restored = REMOTE.sub(lambda found: f"{found[1]}://", text)
    return re.sub(r"^(/vsi\w+/)(https?):/+", r"\1\2://", restored)


def stem_of(path: str | Path) -> str:
    """The name of an image without its ending, of a file or an address."""
    if not is_remote(path):
        return Path(path).stem
    parts = urlsplit(address_of(path))
    return Path(parts.path).stem or parts.hostname or "image"


def is_stac_item(path: str | Path) -> bool:
    """Whether an address is one of a STAC item, by its form: NAME.json, or .../items/NAME of a STAC service."""
    parts = urlsplit(address_of(path))
    ending = Path(parts.path).suffix.lower()
    if parts.scheme not in ("http", "https"):
        return False
    return ending in (".json", ".geojson") or ("/items/" in parts.path and ending not in IMAGES)


def keys_of(address: str) -> list[str]:
    """The environment variables that an address names."""
    return [name for name in re.findall(r"\{([^{}]+)\}", address) if name not in PLACEHOLDERS]


def with_keys(address: str) -> str:
    """The address with its keys, for memory alone.

    Raises:
        ValueError: if a variable is not set.
    """
    for name in keys_of(address):
        value = os.environ.get(name)
        if not value:
            raise InputError(f"the address needs the environment variable {name}; set it to your key, or take "
                             f"{{{name}}} out where it is none: of tiles {{z}}, {{x}}, {{y}} and {{-y}} are known")
        _hide(value)
        address = address.replace(f"{{{name}}}", value)
    return address


def open_secret(address: str) -> str | None:
    """The part of an address that holds a key which anyone could read; None where there is none."""
    parts = urlsplit(address)
    query = parse_qs(parts.query)
    found = [name for name, values in query.items() if SECRET.search(name) and "{" not in values[0]]
    user = parts.netloc.rpartition("@")[0]
    return found[0] if found else "password" if user and not re.fullmatch(r"(\{\w+\}:?)+", user) else None


def public_address(path: str | Path) -> str:
    """An address as it may be written down: without user, and without what looks like a key in its query."""
    parts = urlsplit(address_of(path))
    query = parse_qs(parts.query, keep_blank_values=True)
    kept = {name: values for name, values in query.items() if not SECRET.search(name)}
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, urlencode(kept, doseq=True), ""))


class _Hiding(logging.Filter):
    """Takes keys out of what GDAL logs."""

    values: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record, with its text cleaned."""
        record.msg, record.args = hide_keys(record.getMessage()), ()
        return True


_hiding = _Hiding()


def _hide(value: str) -> None:
    """Keeps a key out of messages and logs from now on."""
    _hiding.values |= {value, quote(value, safe=""), quote_plus(value)}  # as a query holds it
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_hiding)


def hide_keys(text: str) -> str:
    """A text without the keys that were used."""
    for value in sorted(_hiding.values, key=len, reverse=True):
        text = text.replace(value, "***")
    return text
