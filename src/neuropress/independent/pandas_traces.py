"""Traces of regions as CSV or TSV by pandas."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .pandas_text import PRECISION
from .reading import SecondArrays


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`; (time, roi)."""
    warnings.simplefilter("ignore")
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        delimiter = "\t" if "\t" in file.readline() else ","
    table = pd.read_csv(path, sep=delimiter, encoding="utf-8-sig", dtype=np.float64, skipinitialspace=True, **PRECISION)
    return SecondArrays({"traces": table.to_numpy()})
