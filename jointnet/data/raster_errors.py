"""What can be wrong with a raster, as errors and a warning."""

from __future__ import annotations

import warnings
from functools import lru_cache

from jointnet.errors import InputError


class RasterError(InputError):
    """A file that cannot be read or written as a raster; the message says what to do."""


class ServiceError(RasterError):
    """Imagery that did not come over the network; what was done stays, and the same call goes on with it."""


class DamagedRasterError(RasterError):
    """A raster that was opened, and whose pixels cannot be read."""


class RasterWarning(UserWarning):
    """A file that says of itself what cannot be, or not plainly; the message says how it was taken."""


@lru_cache(maxsize=1024)
def say(text: str) -> None:
    """Warns once of each thing: a file is opened many times."""
    warnings.warn(text, RasterWarning, stacklevel=4)
