"""A data frame that pandas wrote with PyTables, read as plain HDF5: labels of columns, index, where each column lies.

Of the ``table`` layout the labels stand in pickled attributes only (see `pickled`), of the ``fixed`` one in datasets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from ..pose.points import Undeclared
from .pickled import NotPlain, parse_pickled_names

MAX_COLUMNS = 4096
MAX_ROWS = 20_000_000
"""A day at 200 frames a second."""
CSV = "have DeepLabCut write CSV too (save_as_csv=True), which is read"

type Label = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Columns of one type: a dataset (row, column), or such a field of a dataset of records."""

    dataset: h5py.Dataset
    dtype: np.dtype[Any]
    field: str = ""

    def read(self, rows: slice) -> np.ndarray:
        """(row, column) as stored."""
        found: np.ndarray = self.dataset.fields(self.field)[rows] if self.field else self.dataset[rows]
        return found


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows of a data frame.

    Attributes
    ----------
    columns
        Label of each column -> its block and its number there, in the order in which they are stored.
    index
        (row,) as stored; whole numbers are frames, texts are names of images.
    """

    columns: Mapping[Label, tuple[Block, int]]
    index: np.ndarray


def open_frame(group: h5py.Group) -> Frame:
    """The data frame of a group.

    Raises
    ------
    Undeclared
        It is of another layout, or its labels are not known.
    ValueError
        It is damaged.
    """
    kind = _read_text(group, "pandas_type")
    if kind == "frame_table" and isinstance(group.get("table"), h5py.Dataset):
        return _open_table(group, group["table"])
    if kind == "frame":
        return _open_fixed(group)
    raise Undeclared(
        f"its {group.name} is no data frame of pandas that is read ({kind[:40] or 'no pandas_type'}); {CSV}"
    )


def _open_table(group: h5py.Group, table: h5py.Dataset) -> Frame:
    """Layout ``table``: records of an index and of blocks of columns."""
    if table.ndim != 1 or table.dtype.names is None:
        raise ValueError(f"{table.name} has no records")
    _check_rows(len(table))
    blocks = [name for name in table.dtype.names if name.startswith("values_block_")]
    if others := [name for name in table.dtype.names if name not in ("index", *blocks)]:
        raise Undeclared(
            f"its rows have {others[0][:40]!r} beside their frame: images that somebody labelled, no times"
        )
    columns: dict[Label, tuple[Block, int]] = {}
    for name in blocks:
        dtype, shape = table.dtype[name].subdtype or (table.dtype[name], ())
        labels = list(_parse_labels(table, f"{name}_kind"))
        if shape != (len(labels),):
            raise ValueError(f"{table.name} has {shape} columns in {name}, and {len(labels)} labels")
        block = Block(table, dtype, name)
        columns |= {label: (block, number) for number, label in enumerate(labels)}
        _check_columns(columns)
    index = table.fields("index")[:] if "index" in table.dtype.names else np.empty(0)
    return Frame(columns, index)


def _parse_labels(item: h5py.Dataset, name: str) -> Iterator[Label]:
    """Labels of a block's columns, from its pickled attribute."""
    try:
        labels = parse_pickled_names(_read_bytes(item, name))
    except NotPlain as error:
        message = f"the names of its columns stand in the pickled attribute {name}, which is never unpickled"
        raise Undeclared(f"{message}, and {error}: the order of its columns is not known; {CSV}") from error
    if not isinstance(labels, list):
        raise ValueError(f"its {name} is no list of labels")
    for label in labels:
        if not isinstance(label, tuple) or not all(isinstance(part, (str, int)) for part in label):
            raise Undeclared(f"its columns have no labels of scorer, bodyparts and coords; {CSV}")
        yield tuple(map(str, label))


def _open_fixed(group: h5py.Group) -> Frame:
    """Layout ``fixed``: a dataset for each block, its labels by levels and numbers into them."""
    columns: dict[Label, tuple[Block, int]] = {}
    index = _find_dataset(group, "axis1")
    _check_rows(len(index))
    for number in range(_read_count(group, "nblocks")):
        values = _find_dataset(group, f"block{number}_values")
        labels = list(_read_levels(group, f"block{number}_items"))
        if values.shape != (len(index), len(labels)):
            raise ValueError(f"{values.name} has the shape {values.shape}, not {(len(index), len(labels))}")
        block = Block(values, values.dtype)
        columns |= {label: (block, place) for place, label in enumerate(labels)}
        _check_columns(columns)
    return Frame(columns, index[:])


def _read_levels(group: h5py.Group, name: str) -> Iterator[Label]:
    if _read_text(group, f"{name}_variety") != "multi":
        raise Undeclared(f"its columns have no labels of scorer, bodyparts and coords; {CSV}")
    levels = []
    for number in range(_read_count(group, f"{name}_nlevels")):
        names, codes = _find_dataset(group, f"{name}_level{number}"), _find_dataset(group, f"{name}_label{number}")
        if names.dtype.kind not in "Siu" or codes.dtype.kind not in "iu" or max(len(names), len(codes)) > MAX_COLUMNS:
            raise Undeclared(f"the names of its columns ({names.name}) are neither texts nor whole numbers; {CSV}")
        texts = [one.decode("utf-8") if isinstance(one, bytes) else str(one) for one in names[:].tolist()]
        numbers = codes[:].tolist()
        if any(not 0 <= code < len(texts) for code in numbers):
            raise ValueError(f"{codes.name} names a label that there is not")
        levels.append([texts[code] for code in numbers])
    yield from zip(*levels, strict=True)


def _find_dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    item = group.get(name)
    if not isinstance(item, h5py.Dataset) or not item.shape:
        raise ValueError(f"{group.name} has no dataset {name}")
    return item


def _check_rows(count: int) -> None:
    if count > MAX_ROWS:
        raise ValueError(f"it has {count} rows, more than {MAX_ROWS}")


def _check_columns(columns: Mapping[Label, object]) -> None:
    if len(columns) > MAX_COLUMNS:
        raise ValueError(f"it has more than {MAX_COLUMNS} columns")


def _read_count(group: h5py.Group, name: str) -> int:
    value = group.attrs.get(name, 0)
    if not isinstance(value, np.integer) or not 0 < value <= MAX_COLUMNS:
        raise ValueError(f"its {name} is no count")
    return int(value)


def _read_text(group: h5py.Group, name: str) -> str:
    return _read_bytes(group, name).decode("utf-8", "replace")


def _read_bytes(item: h5py.Group | h5py.Dataset, name: str) -> bytes:
    """A text attribute as it is stored; b"" of none. h5py hands texts of fixed length on as bytes."""
    value = item.attrs.get(name, b"")
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return bytes(value) if isinstance(value, bytes) else b""
