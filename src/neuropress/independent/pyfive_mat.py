"""MAT-files of version 7.3, which are HDF5, by pyfive, which reads HDF5 without the HDF5 library."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyfive

from .declared import Load, read_declared
from .pyfive_file import open_hdf5
from .reading import SecondArrays, SecondImage, SecondRecording

REFERENCES, OBJECTS = "#refs#", "#subsystem#"
"""Where MATLAB keeps what cells refer to, and its objects."""

CONTIGUOUS = 1
"""HDF5's number of the layout."""


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondRecording | SecondImage | SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    with open_hdf5(path) as file:
        plain = list_arrays(file)
        loaded: dict[str, np.ndarray] = {}

        def load(name: str) -> np.ndarray:
            if name not in loaded:
                loaded[name] = plain[name](name)
            return loaded[name]

        return read_declared(load, lambda: list(plain), options, content)


def list_arrays(file: Any) -> dict[str, Load]:
    """Arrays of numbers by their paths: fields of structs by name, cells and elements of a field by number."""
    # pyfive's own search for what a reference leads to goes through the whole file, for each of them.
    kept = file.get(REFERENCES)
    # Lazily: of arrays that nobody asks for it may lack the layout.
    cells = {at: kept.get_lazy_view(name) for name, at in kept._links.items()} if kept is not None else {}
    plain: dict[str, Load] = {}
    for name in file:
        if name not in (REFERENCES, OBJECTS):
            _collect(cells, name, file.get_lazy_view(name), plain)
    return plain


def _collect(cells: Mapping[int, Any], path: str, item: Any, plain: dict[str, Load]) -> None:
    kind = item.attrs.get("MATLAB_class", b"")
    if "MATLAB_object_decode" in item.attrs or item.attrs.get("MATLAB_empty", 0) or kind == b"char":
        return
    if isinstance(item, pyfive.Group):
        if "MATLAB_sparse" not in item.attrs:
            for name in item:
                _collect(cells, f"{path}/{name}", item.get_lazy_view(name), plain)
    elif "h5py_class" in (item.dtype.metadata or {}):
        for number, address in enumerate(_list_addresses(item)):
            if address:
                _collect(cells, f"{path}/{number}", cells[address], plain)
    elif item.dtype.kind in "biuf":
        plain[path] = partial(_load, item, kind == b"logical")


def _list_addresses(item: Any) -> list[int]:
    """What references lead to: pyfive gives their bytes, but maps a file whose references are in one piece."""
    if item.id.layout_class == CONTIGUOUS:
        item.id._fh.seek(item.id.data_offset)
        data = item.id._fh.read(8 * item.size)
    else:
        data = np.asarray(item[()]).tobytes()
    found: list[int] = np.frombuffer(data, "<u8").tolist()
    return found


def _load(item: Any, is_logical: bool, name: str) -> np.ndarray:
    """MATLAB's first axis is HDF5's last."""
    array = np.asarray(item[()]).transpose()
    return array.astype(bool) if is_logical else array
