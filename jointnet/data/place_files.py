"""A place on disk: a small description of a grid on the ground and of the service that shows it, without any key."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from jointnet.data.addresses import public_address
from jointnet.data.services import PlaceError, Service, gdal_text
from jointnet.files import cache_folder, written_whole

SUFFIX = ".place"
FORMAT = "jointnet place 1"


@dataclass(frozen=True)
class Place:
    """Imagery of a service on a grid of its own.

    Attributes:
        name: name of the scene.
        service: name, address, form, attribution and terms of the provider.
        zoom: zoom level of the tiles.
        crs: a UTM zone, as "EPSG:32632".
        transform: the six numbers of an affine transform, in metres.
        width, height: size of the grid, in pixels.
        accessed: day on which it was first opened, as "2026-11-26".
    """

    name: str
    service: Service
    zoom: int
    crs: str
    transform: tuple[float, ...]
    width: int
    height: int
    accessed: str

    @property
    def credit(self) -> str:
        """What a figure or a map that shows the place must say."""
        return f"{self.service.credit} (zoom {self.zoom}, {self.accessed})"

    @property
    def tags(self) -> dict[str, str]:
        """What a file of this imagery says of itself."""
        return {
            "JOINTNET_SOURCE": f"{self.service.name}, {public_address(self.service.address)}",
            "JOINTNET_CREDIT": self.credit, "JOINTNET_TERMS": self.service.terms, "JOINTNET_ZOOM": str(self.zoom),
            "JOINTNET_ACCESSED": self.accessed,
        }

    @property
    def digest(self) -> str:
        """A checksum of what is shown, whatever the day: a prediction of the place is known by it."""
        shown = {name: value for name, value in _plain(self).items() if name not in ("accessed", "name")}
        return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()

    def gdal_text(self) -> str:
        """The description that GDAL opens; it may hold keys, and stays in memory."""
        return gdal_text(self.service, self.zoom, str(tile_folder()))


def tile_folder() -> Path:
    """Where tiles are kept."""
    return cache_folder() / "tiles"


def is_place(path: str | Path) -> bool:
    """Whether a file is the description of a place, by its name."""
    return str(path).lower().endswith(SUFFIX)


def write_place(place: Place) -> Path:
    """The file of a place in the cache, in a folder of its own digest; one that is there stays, with its day.

    Raises:
        PlaceError: if the cache cannot be written to.
    """
    path = cache_folder() / "places" / place.digest[:16] / f"{place.name}{SUFFIX}"
    try:
        if not path.exists():
            with written_whole(path) as draft:
                draft.write_text(json.dumps({"format": FORMAT, **_plain(place)}, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise PlaceError(f"the place cannot be kept in {cache_folder()} ({error.strerror}); set the environment "
                         f"variable JOINTNET_CACHE to a folder that you may write to") from error
    return path


def read_place(path: str | Path) -> Place:
    """The place of a file.

    Raises:
        PlaceError: if it is not the description of one.
    """
    try:
        held = json.loads(Path(path).read_text(encoding="utf-8"))
        if held.pop("format") != FORMAT:
            raise PlaceError(f"{path} is of another edition of jointnet; make it anew with open_place")
        service = held.pop("service")
        return Place(service=Service(**service), transform=tuple(held.pop("transform")), **held)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise PlaceError(f"{path} is not a place that open_place wrote; make it anew") from error


def _plain(place: Place) -> dict:
    """A place as JSON holds it."""
    held = asdict(place)
    held["service"].pop("area")
    held["transform"] = list(place.transform)
    return held
