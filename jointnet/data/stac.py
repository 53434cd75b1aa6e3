"""The address of a STAC item in; the address of its image, and who is to be named for it, out."""

from __future__ import annotations

import json
from pathlib import Path

import pystac
import requests

from jointnet.data.addresses import address_of, hide_keys, public_address, with_keys
from jointnet.data.services import AGENT, PlaceError

PREFERRED = ("visual", "image", "rendered_preview_cog", "data")  # names that catalogues give to what people look at
PATIENCE = 60  # seconds


def image_of_item(path: str | Path) -> tuple[str, str]:
    """(address of the image, credit) of a STAC item: its asset "visual" or "image", else its only GeoTIFF.

    Raises:
        PlaceError: if there is no item, or it is not clear which of its assets is the image; the message names them.
    """
    address = address_of(path)
    item = _item(address)
    images = {name: asset for name, asset in item.assets.items() if "tiff" in (asset.media_type or asset.href).lower()
              or asset.href.lower().split("?")[0].endswith((".tif", ".tiff", ".jp2", ".vrt"))}
    name = next((n for n in PREFERRED if n in images), None) or (next(iter(images)) if len(images) == 1 else None)
    if name is None:
        listed = ", ".join(f"{n} ({public_address(a.get_absolute_href() or a.href)})"
                           for n, a in images.items()) or "its files"
        raise PlaceError(f"the STAC item {public_address(address)} has no asset called visual or image; name the "
                         f"address of one of {listed}")
    told = item.properties.get("providers") or []
    providers = [provider["name"] for provider in told if isinstance(provider, dict) and provider.get("name")]
    return images[name].get_absolute_href() or images[name].href, ", ".join(providers)


def _item(address: str) -> pystac.Item:
    """The item at an address."""
    try:
        answer = requests.get(with_keys(address), timeout=PATIENCE, headers={"User-Agent": AGENT})
    except requests.RequestException as error:
        raise PlaceError(f"{public_address(address)} cannot be opened: {hide_keys(type(error).__name__)}; check the "
                         f"address and the network") from None
    if not answer.ok:
        raise PlaceError(f"{public_address(address)} cannot be opened: its answer was HTTP {answer.status_code}; "
                         f"check the address")
    held = None
    try:
        held = json.loads(answer.text)
        item = pystac.Item.from_dict(held, href=address)
    except (ValueError, KeyError, TypeError, AttributeError, pystac.STACError, pystac.STACTypeError) as error:
        found = held.get("type") if isinstance(held, dict) else None
        what = f" but a {found}" if found in ("Collection", "Catalog", "FeatureCollection") else ""
        raise PlaceError(f"{public_address(address)} is not a STAC item{what}; name one, or the address of an image"
                         ) from error
    return item
