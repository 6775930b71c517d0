"""MAT-files of version 7.3, which are HDF5: dimensions the other way round, cells and structs as references."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np

from ...model.budget import ARRAY_DEPTH, ARRAY_ENTRIES, ARRAY_TEXT
from ..arrays.hdf5 import OpenArrays, describe_other, read_text
from ..arrays.plain import reverse_axes
from ..arrays.tree import ArrayTree, Variable
from .level5 import OBJECT_TEXT

REFERENCES = ("#refs#", "#subsystem#")
"""Where MATLAB keeps what cells and structs refer to, and objects."""


def read_tree(opened: OpenArrays, format: str, header: dict[str, Any]) -> ArrayTree:
    """All variables, those of cells and structs by their paths.

    Raises
    ------
    Problem
        ``arrays.damaged``; too many, or nested too deeply.
    """
    walker = _Walker(opened)
    with opened.translate_errors():
        for name in sorted(opened.file):
            if name not in REFERENCES and isinstance(opened.file.get(name, getlink=True), h5py.HardLink):
                walker.add(name, opened.file[name], 0)
    return ArrayTree(opened.key, format, walker.variables, walker.others, header, close=opened.close)


class _Walker:
    """Goes through groups and references, each of which counts every time that it is met."""

    def __init__(self, opened: OpenArrays) -> None:
        self._opened = opened
        self._count = 0
        self.variables: dict[str, Variable] = {}
        self.others: dict[str, str] = {}

    def add(self, path: str, item: h5py.Group | h5py.Dataset, depth: int) -> None:
        """What is at a place, and below it. Raises `ValueError`."""
        self._count += 1
        if self._count > ARRAY_ENTRIES:
            raise ValueError(f"it has more than {ARRAY_ENTRIES} arrays and other things")
        if depth > ARRAY_DEPTH:
            raise ValueError(f"structs and cells are nested deeper than {ARRAY_DEPTH} levels")
        kind = read_text(item.attrs, "MATLAB_class") if "MATLAB_class" in item.attrs else ""
        if "MATLAB_object_decode" in item.attrs:
            what = "a function" if kind == "function_handle" else OBJECT_TEXT
            self.others[path] = what
        elif isinstance(item, h5py.Group):
            self._add_group(path, item, depth)
        elif "MATLAB_empty" in item.attrs and read_number(item, "MATLAB_empty"):
            self.others[path] = f"empty ({kind})" if kind else "empty"
        elif item.dtype == h5py.ref_dtype:
            self._add_cells(path, item, depth)
        elif kind == "char":
            self.others[path] = _describe_text(item)
        else:
            self._add_numbers(path, item, kind)

    def _add_group(self, path: str, group: h5py.Group, depth: int) -> None:
        if "MATLAB_sparse" in group.attrs:
            self.others[path] = "a sparse matrix (save full(x))"
            return
        names = sorted(group)
        if not names:
            self.others[path] = "an empty struct"
        for name in names:
            if isinstance(group.get(name, getlink=True), h5py.HardLink):
                self.add(f"{path}/{name}", group[name], depth + 1)

    def _add_cells(self, path: str, cells: h5py.Dataset, depth: int) -> None:
        """A cell, or a field of a struct of several elements, in the order in which MATLAB counts them."""
        if math.prod(cells.shape or ()) > ARRAY_ENTRIES:
            raise ValueError(f"{path} has more than {ARRAY_ENTRIES} cells")
        for number, reference in enumerate(np.asarray(cells[()]).reshape(-1)):
            below = f"{path}/{number}"
            target = self._opened.file[reference] if reference else None
            if isinstance(target, (h5py.Group, h5py.Dataset)):
                self.add(below, target, depth + 1)
            else:
                self.others[below] = "empty"

    def _add_numbers(self, path: str, dataset: h5py.Dataset, kind: str) -> None:
        other = describe_other(dataset)
        if other:
            is_complex = dataset.dtype.names == ("real", "imag")
            self.others[path] = "complex numbers" if is_complex else other
            return
        made = self._opened.make_variable(path, dataset)
        dtype = np.dtype("?") if kind == "logical" else made.dtype
        read = reverse_axes(made.read)
        if kind == "logical":
            self.variables[path] = Variable(path, made.shape[::-1], dtype, lambda part: read(part).astype("?"))
        else:
            self.variables[path] = Variable(path, made.shape[::-1], dtype, read)


def read_number(item: h5py.Dataset, name: str) -> int:
    """An attribute that is a whole number; 0 where it is none."""
    value = np.asarray(item.attrs[name])
    return int(value.reshape(-1)[0]) if value.size == 1 and value.dtype.kind in "iu" else 0


def _describe_text(item: h5py.Dataset) -> str:
    if item.dtype.kind not in "iu" or item.size * item.dtype.itemsize > ARRAY_TEXT:
        return f"a text of {item.size} letters"
    letters = np.asarray(item[()]).T.reshape(-1, order="F").tolist() if item.shape else []
    text = "".join(chr(letter) if 0 <= letter < 0x110000 else "\ufffd" for letter in letters)
    return f"the text {text[:60]!r}"
