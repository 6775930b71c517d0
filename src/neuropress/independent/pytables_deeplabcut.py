"""DeepLabCut's HDF5 by PyTables, which wrote it: the rows as they lie in it, and the labels of their columns.

PyTables unpickles attributes, and pandas with it: whatever the bytes name is called. Here it is given back the bytes,
and the labels are read from the list of their operations.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tables
from tables import atom, attributeset

from .reading import CannotRead, SecondArrays, clean_name, make_frame_times

KEYS = ("df_with_missing", "keypoints")

type Label = tuple[str, ...]


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    stop_unpickling()
    with tables.open_file(str(path), "r") as file:
        (group,) = (file.get_node(f"/{key}") for key in KEYS if f"/{key}" in file)
        index, columns = _read_table(group) if "table" in group else _read_fixed(group)
    found = {label[-1]: data for label, data in columns.items() if clean_name("_".join(label[1:-1])) == content}
    if not found:
        raise CannotRead(f"PyTables finds no point {content[:80]!r}")
    arrays = {"data": np.column_stack([found[axis] for axis in "xyz" if axis in found])}
    if "likelihood" in found:
        arrays["confidence"] = found["likelihood"]
    return SecondArrays(arrays, make_frame_times(index, options))


def stop_unpickling() -> None:
    """From here on PyTables gives pickled attributes as the bytes that they are, in all of this process."""
    attributeset.pickle = atom.pickle = SimpleNamespace(loads=lambda data, **_: bytes(data))


def _read_table(group: Any) -> tuple[np.ndarray, dict[Label, np.ndarray]]:
    rows = group.table.read()
    columns: dict[Label, np.ndarray] = {}
    for name in rows.dtype.names:
        if name.startswith("values_block_"):
            labels = _list_labels(bytes(group.table._v_attrs[f"{name}_kind"]))
            columns |= dict(zip(labels, rows[name].T, strict=True))
    return rows["index"], columns


def _read_fixed(group: Any) -> tuple[np.ndarray, dict[Label, np.ndarray]]:
    columns: dict[Label, np.ndarray] = {}
    for number in range(int(group._v_attrs["nblocks"])):
        block = f"block{number}"
        levels = []
        for level in range(int(group._v_attrs[f"{block}_items_nlevels"])):
            names = group[f"{block}_items_level{level}"].read()
            levels.append([_decode(names[code]) for code in group[f"{block}_items_label{level}"].read()])
        columns |= dict(zip(zip(*levels, strict=True), group[f"{block}_values"].read().T, strict=True))
    return group["axis1"].read(), columns


def _list_labels(data: bytes) -> Iterator[Label]:
    """Tuples of texts in a pickled list, as `pickletools` lists its operations: nothing is made but texts."""
    memo: dict[Any, str] = {}
    parts: list[str] = []
    for operation, argument, _ in pickletools.genops(data):
        match operation.name:
            case "MARK":
                parts = []
            case "UNICODE":
                parts.append(str(argument))
            case "PUT" if parts:
                memo[argument] = parts[-1]
            case "GET":
                parts.append(memo[argument])
            case "TUPLE":
                yield tuple(parts)
                parts = []


def _decode(name: Any) -> str:
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)
