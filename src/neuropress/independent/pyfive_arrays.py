"""Declared arrays of HDF5 files by pyfive, which reads HDF5 without the HDF5 library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyfive

from .declared import read_declared
from .pyfive_file import open_hdf5
from .reading import SecondArrays, SecondImage, SecondRecording

DECLARING = ("channels", "pixels", "columns")


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondRecording | SecondImage | SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    with open_hdf5(path) as file:
        paths: list[str] = []
        file.visititems(lambda name, item: paths.append(name) if isinstance(item, pyfive.Dataset) else None)
        arrays = {name: np.asarray(file[name][()]) for name in paths if _is_wanted(name, options)}
    return read_declared(arrays.__getitem__, lambda: list(arrays), options, content)


def _is_wanted(name: str, options: Mapping[str, Any]) -> bool:
    """Whether a declaration may speak of an array: other ones, which may be of types that pyfive lacks, stay unread."""
    words = " ".join(str(options[option]) for option in (*DECLARING, "rate", "time") if option in options)
    return name in words or "*" in words
