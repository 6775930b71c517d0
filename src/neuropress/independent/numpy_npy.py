"""NPY and NPZ by NumPy's own loader, which is told not to unpickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .declared import read_declared
from .reading import SecondArrays, SecondImage, SecondRecording


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondRecording | SecondImage | SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return read_declared({"array": loaded}.__getitem__, lambda: ["array"], options, content)
    return read_declared(loaded.__getitem__, lambda: list(loaded.files), options, content)
