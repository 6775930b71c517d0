"""Tables of points by pandas: every cell of every column as the text that stands there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from .reading import SecondArrays


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    with path.open("rb") as file:
        head = file.read(6)
    if head == b"\x93NUMPY":
        table = pd.DataFrame(np.load(path, allow_pickle=False))
        return SecondArrays({str(name): _write_numbers(table[name]) for name in table})
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return SecondArrays(_read_markers(path))
    table = _read_text(path, options)
    return SecondArrays({str(name): table[name].to_numpy(object) for name in table})


def _write_numbers(column: pd.Series) -> np.ndarray:
    """The shortest text that gives each number back."""
    return np.array([str(number) for number in column.to_numpy()], object)


def _read_text(path: Path, options: Mapping[str, Any]) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip("\r\n")), "")
    stated = [name.strip() for name in str(options["header"]).split(",")] if "header" in options else None
    table = pd.read_csv(
        path, sep=max("\t;,", key=first.count), header=None if stated else 0, names=stated, index_col=False, dtype=str,
        keep_default_na=False, na_filter=False, encoding="utf-8-sig", skip_blank_lines=True,
    )  # fmt: skip
    table.columns = [str(name).strip() for name in table.columns]
    named = table.loc[:, [not name.startswith("Unnamed: ") for name in table.columns]]
    return named[named.apply(lambda row: any(cell.strip() for cell in row), axis=1)] if len(named) else named


def _read_markers(path: Path) -> dict[str, np.ndarray]:
    """Markers of CellCounter by the tree of the whole file, which pandas reads by the standard library's parser."""
    tree = ElementTree.parse(path)
    rows = [
        {"Type": kind.findtext("Type"), **{place.tag: place.text for place in marker}}
        for kind in tree.iter("Marker_Type")
        for marker in kind.iter("Marker")
    ]
    table = pd.DataFrame(rows, columns=["Type", "MarkerX", "MarkerY", "MarkerZ"], dtype=str)
    return {str(name): np.array([str(cell).strip() for cell in table[name]], object) for name in table}
