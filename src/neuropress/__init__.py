"""neuropress: raw lab files and metadata tables in; proven NWB, OME-Zarr and releases out.

>>> import neuropress
>>> dataset = neuropress.open("ds")
>>> dataset.run().ok
True
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import Dataset

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def open(path: str | os.PathLike[str] = ".") -> Dataset:
    """Open a dataset folder; the methods of what you get are the verbs of the command line.

    Parameters
    ----------
    path
        The folder that holds ``neuropress.toml``.

    Raises
    ------
    neuropress.model.finding.Problem
        ``dataset.none`` or ``dataset.config``.
    """
    from .api import Dataset

    return Dataset.open(path)
