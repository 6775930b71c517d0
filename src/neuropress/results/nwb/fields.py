"""Where the fields of a plan lie in an NWB file, found with h5py alone, and what stands there.

A field bears the name of an argument of its pynwb class. Nearly all of them are a dataset or an attribute of that
name; `_MOVED` and `_list_places` have the others, as the NWB schema has them (`tests/results/test_fields.py` compares
both with what pynwb makes of the schema).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import prod
from typing import Any

import h5py
import numpy as np

from ...model import budget
from ...model.budget import OverBudget
from ...readers.hdf5.guard import read_elements

_DATA = ("conversion", "offset", "unit", "resolution", "continuity")
"""Attributes of a series' samples."""
_MOVED = {
    "rate": ("starting_time", "rate"),
    "starting_frame": ("external_file", "starting_frame"),
    "waveform_rate": ("waveform_mean", "sampling_rate"),
    "waveform_unit": ("waveform_mean", "unit"),
    "resolution": ("spike_times", "resolution"),
    "source_script_file_name": ("general/source_script", "file_name"),
}
"""Field -> the dataset and the attribute that it is stored as."""
_RENAMED = {"stimulus_notes": "general/stimulus", "icephys_filtering": "general/intracellular_ephys/filtering"}

type _Place = tuple[h5py.Group | h5py.Dataset, str]
"""An object, and the name of its attribute; empty for a dataset's data."""


class FieldReader:
    """Reads values of fields; a table's column is read once for all of its rows.

    `spare` is the longest that a text of the file can be (see `guard.check_file`).
    """

    def __init__(self, file: h5py.File, spare: int) -> None:
        self._file, self._spare = file, spare
        self._columns: dict[str, list[Any]] = {}
        self._last: tuple[str, Any] = "", file["/"]

    def read(self, names: Collection[str]) -> dict[str, Any]:
        """Path of each field that is there -> its value as plain JSON."""
        found = {}
        for name in names:
            for value in self._list_values(name):
                found[name] = value
                break
        return found

    def _list_values(self, name: str) -> Iterator[Any]:
        parent, _, field = name.rpartition("/")
        if parent != self._last[0]:  # fields of one object follow each other
            self._last = parent, self._file.get(parent or "/")
        holder = self._last[1]
        if holder is None:
            yield from self._read_row(parent, field)
            return
        for item, attribute in _list_places(holder, field):
            yield _to_plain(item.attrs[attribute]) if attribute else self._read_dataset(item)

    def _read_row(self, parent: str, field: str) -> Iterator[Any]:
        """A row of a table of intracellular recordings is a node of the plan and an element of each column here."""
        table, _, row = parent.rpartition("/")
        column = self._file.get(f"{table}/{field}")
        if not row.isdecimal() or not isinstance(column, h5py.Dataset):
            return
        if column.name not in self._columns:
            self._columns[column.name] = self._read_dataset(column)
        values = self._columns[column.name]
        if isinstance(values, list) and int(row) < len(values):
            yield values[int(row)]

    def _read_dataset(self, dataset: h5py.Dataset) -> Any:
        if dataset.dtype.kind in "iufb":
            if prod(dataset.shape) * dataset.dtype.itemsize > budget.BLOCK_BYTES:
                raise OverBudget(f"{dataset.name} is a field of more than {budget.BLOCK_BYTES} bytes")
            return _to_plain(dataset[()])
        parts: list[Any] = []
        read_elements(dataset, self._spare, lambda part: parts.append(_to_plain(part)))
        return parts[0] if len(parts) == 1 else [value for part in parts for value in part]


def _list_places(holder: h5py.Group | h5py.Dataset, field: str) -> Iterator[_Place]:
    """Where a field can lie, the likeliest first; only what is there."""
    if field in holder.attrs:
        yield holder, field
    if isinstance(holder, h5py.Group):
        general = [f"general/{field}", _RENAMED.get(field, "")] if holder.name == "/" else []
        for path in (field, *filter(None, general)):
            item = holder.get(path)
            if isinstance(item, h5py.Dataset):
                yield item, ""
    if isinstance(holder, h5py.Dataset):
        return
    whole, _, unit = field.rpartition("_")
    moved = [("data", field)] if field in _DATA else []
    moved += [_MOVED[field]] if field in _MOVED else []
    moved += [(whole, unit)] if unit == "unit" else []  # grid_spacing_unit
    moved += [(field.partition("__")[0], field.partition("__")[2])] if "__" in field else []  # age__reference
    for path, attribute in moved:
        item = holder.get(path) if path else None
        if isinstance(item, h5py.Dataset) and attribute in item.attrs:
            yield item, attribute


def _to_plain(value: Any) -> Any:
    """Texts as texts, numbers as Python's, arrays as lists; what is neither (a reference) as its description."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, np.ndarray):
        return [_to_plain(part) for part in value] if value.ndim else _to_plain(value.item())
    if isinstance(value, np.generic):
        return _to_plain(value.item())
    return value if isinstance(value, (str, int, float)) else repr(value)
