"""MAT-files of any version as named arrays."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ...model.content import Content, Selection
from ...model.finding import Problem, problem
from ...model.source import Source, Stamp
from ..arrays.build import build_contents
from ..arrays.hdf5 import OpenArrays
from ..arrays.kept import KeptArrays
from ..arrays.plain import read_block, reverse_axes
from ..arrays.tree import ArrayTree, Variable
from ..stamp import check_unchanged
from . import FORMAT, LEVEL_73, find_level_4, hdf5, level4, level5
from .level5 import Damaged, Inventory, Numbers, TooLarge, load_numbers
from .stream import Cut

HDF5_MAGIC = b"\x89HDF"
SHOWN_TEXTS = 200


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Contents as declared.

    Raises
    ------
    Problem
        ``arrays.damaged``, ``arrays.unsafe``, ``arrays.unsupported``; and as `build_contents` does.
    """
    head = source.head()
    if head.startswith((LEVEL_73, HDF5_MAGIC)):
        opened = OpenArrays(source)
        try:
            text = head[:116].decode("latin-1").split("\0")[0].strip() if head.startswith(LEVEL_73) else ""
            return build_contents(hdf5.read_tree(opened, FORMAT.name, {"header": text}), options)
        except BaseException:
            opened.close()
            raise
    return build_contents(_read_tree(source, head), options)


def _make_problem(source: Source, id: str, message: str) -> Problem:
    return problem(id, f"{source.key}: {message}", file=source.key)


def _read_tree(source: Source, head: bytes) -> ArrayTree:
    with source.open() as file:
        stamp = file.stamp()
        try:
            order = "" if head[126:128] in (b"IM", b"MI") else find_level_4(head)
            if order:
                text, inventory = "version 4", level4.read_inventory(file, stamp[0], order)
            else:
                text, inventory = level5.read_inventory(file, stamp[0])
        except TooLarge as error:
            raise _make_problem(source, "arrays.unsupported", str(error)) from error
        except (Damaged, Cut, zlib.error) as error:
            raise _make_problem(source, "arrays.damaged", str(error)) from error
    return _build_tree(source, stamp, text, inventory)


def _build_tree(source: Source, stamp: Stamp, text: str, inventory: Inventory) -> ArrayTree:
    kept = KeptArrays()
    variables = {}
    for path, numbers in inventory.numbers.items():
        # MATLAB's first axis is the fastest: in C order its axes are reversed.
        shape = numbers.shape[::-1]
        if numbers.packed:
            load = partial(_load_packed, source, stamp, numbers)
            read = partial(kept.read, path, load, shape)
        else:
            read = partial(_read_plain, source, stamp, numbers, shape)
        unit = inventory.texts.get(f"{path}_units", "")[:40]  # as neo writes it
        variables[path] = Variable(path, numbers.shape, numbers.dtype, reverse_axes(read), unit=unit)
    header: dict[str, Any] = {"header": text}
    if inventory.texts:
        header["texts"] = dict(list(inventory.texts.items())[:SHOWN_TEXTS])
    return ArrayTree(source.key, FORMAT.name, variables, inventory.others, header, close=kept.close)


def _read_plain(
    source: Source, stamp: Stamp, numbers: Numbers, shape: tuple[int, ...], selection: Selection
) -> np.ndarray:
    with source.open() as file:
        check_unchanged(file.stamp(), stamp, source.key)
        make = partial(_make_problem, source)
        block = read_block(file, numbers.start, numbers.stored, shape, selection, make)
        return block.astype(numbers.dtype, copy=False)


def _load_packed(source: Source, stamp: Stamp, numbers: Numbers) -> np.ndarray:
    with source.open() as file:
        check_unchanged(file.stamp(), stamp, source.key)
        try:
            return load_numbers(file, numbers)
        except (Cut, zlib.error) as error:
            raise _make_problem(source, "arrays.damaged", str(error)) from error
