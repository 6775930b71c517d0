"""MAT-files before version 7.3 by SciPy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from .declared import read_declared
from .reading import SecondArrays, SecondImage, SecondRecording


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondRecording | SecondImage | SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    whole = loadmat(str(path), mat_dtype=True, struct_as_record=True)
    plain: dict[str, np.ndarray] = {}
    for name, value in whole.items():
        if not name.startswith("__"):
            _collect(name, value, plain)
    return read_declared(plain.__getitem__, lambda: list(plain), options, content)


def _collect(path: str, value: Any, plain: dict[str, np.ndarray]) -> None:
    """Arrays of numbers by their paths: fields of structs by name, elements of several and cells by number."""
    if not isinstance(value, np.ndarray):
        return
    if value.dtype.names:
        for number, element in enumerate(value.reshape(-1, order="F")):
            base = path if value.size == 1 else f"{path}/{number}"
            for name in value.dtype.names:
                _collect(f"{base}/{name}", element[name], plain)
    elif value.dtype.kind == "O":
        for number, element in enumerate(value.reshape(-1, order="F")):
            _collect(f"{path}/{number}", element, plain)
    else:
        plain[path] = value
