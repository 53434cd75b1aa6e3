"""tqdm's bar: a widget in a notebook, text elsewhere."""

import warnings

from tqdm.std import TqdmExperimentalWarning

with warnings.catch_warnings():
    warnings.simplefilter("ignore", TqdmExperimentalWarning)
    from tqdm.autonotebook import tqdm  # tqdm.auto adds asyncio, which takes 50 ms to load

__all__ = ["tqdm"]
