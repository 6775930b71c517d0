"""Traces of regions in NPY files by NumPy's own loader, which is told not to unpickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .reading import SecondArrays


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    return SecondArrays({"traces": np.asarray(np.load(path, allow_pickle=False))}, is_open=True)
