"""Recordings as text by pandas."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .declared import read_declared
from .reading import CannotRead, SecondArrays, SecondImage, SecondRecording

DELIMITERS = ("\t", ";", ",", r"\s+")
LOOKED_AT = 40
IS_PRECISE = int(pd.__version__.partition(".")[0]) >= 4
PRECISION: dict[str, Any] = {} if IS_PRECISE else {"float_precision": "round_trip"}
"""What makes each decimal its nearest float64, which pandas 3.1 warns of and pandas 4 always does."""


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondRecording | SecondImage | SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    warnings.simplefilter("ignore")
    decimal = "," if options.get("decimal") == "comma" else "."
    columns = _read_columns(path, decimal, options)
    return read_declared(columns.__getitem__, lambda: list(columns), options, content)


def _read_columns(path: Path, decimal: str, options: Mapping[str, Any]) -> dict[str, np.ndarray]:
    for delimiter in DELIMITERS:
        for above in range(LOOKED_AT) if delimiter != decimal else ():
            table = _try_table(path, delimiter, above, decimal)
            if table is not None:
                names = _name_columns(path, delimiter, above, len(table.columns), options)
                return {name: table.iloc[:, place].to_numpy() for place, name in enumerate(names)}
    raise CannotRead("pandas finds no rows of numbers")


def _try_table(path: Path, delimiter: str, above: int, decimal: str) -> pd.DataFrame | None:
    """All rows below some lines, if they are numbers."""
    try:
        first = pd.read_csv(path, sep=delimiter, skiprows=above, header=None, nrows=1, decimal=decimal)
        if not all(kind.kind in "if" for kind in first.dtypes) or first.isna().any(axis=None):
            return None
        table = pd.read_csv(
            path, sep=delimiter, skiprows=above, header=None, decimal=decimal, dtype=np.float64, **PRECISION
        )  # fmt: skip
    except (ValueError, pd.errors.ParserError):
        return None
    return table if not table.isna().any(axis=None) else None


def _name_columns(path: Path, delimiter: str, above: int, count: int, options: Mapping[str, Any]) -> list[str]:
    if "header" in options:
        return [name.strip() for name in str(options["header"]).split(",")]
    if above:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            line = [file.readline() for _ in range(above)][-1].strip().lstrip("#% ")
        names = line.split() if delimiter == r"\s+" else [name.strip().strip('"') for name in line.split(delimiter)]
        if len(names) == count:
            return names
    return [f"column{number + 1}" for number in range(count)]
