"""NumPy's arrays, types and scalars, made of what a pickle says of them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...model.budget import EXTENT, RANK
from .errors import DamagedFile, RefusedPickle

_DTYPE = re.compile(r"[<>|=]?(?:[iu][1248]|f[248]|c8|c16|b1|[SU][0-9]{1,6}|O8?)|\?")
_EMPTY = (None, None, None)


@dataclass(slots=True)
class ArrayShell:
    """An array of which only its state, that follows, says anything; `slots` of the memo hold it."""

    slots: list[int] = field(default_factory=list)


@dataclass(slots=True)
class DtypeShell:
    """A type whose byte order is still to follow."""

    dtype: np.dtype[Any]
    slots: list[int] = field(default_factory=list)


def make_dtype(arguments: tuple[Any, ...]) -> DtypeShell:
    """A type of ``numpy.dtype(text, ...)``: numbers, texts of fixed length and objects; records are refused."""
    text = arguments[0] if arguments else None
    text = text.decode("latin-1") if isinstance(text, bytes) else text
    if type(text) is not str or not _DTYPE.fullmatch(text):
        raise RefusedPickle(f"its pickle has elements of type {str(text)[:40]!r}, which are not read")
    return DtypeShell(np.dtype("O" if text.startswith(("O", "|O")) else text))


def set_byte_order(shell: DtypeShell, state: tuple[Any, ...]) -> np.dtype[Any]:
    """The type with its byte order: ``(version, order, subdtype, names, fields, ...)``."""
    if len(state) < 5 or tuple(state[2:5]) != _EMPTY:
        raise RefusedPickle("its pickle has elements that are records or arrays, which are not read")
    order: Any = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
    if order not in ("<", ">", "|", "="):
        raise DamagedFile(f"its pickle has a type of byte order {str(order)[:20]!r}")
    # What is neither byte order stands for one byte, for which there is none.
    return shell.dtype if order in "|=" else shell.dtype.newbyteorder(order)


def make_array(state: tuple[Any, ...]) -> np.ndarray:
    """An array of ``(version, shape, dtype, is_fortran, data)``, its elements those bytes, or that list of objects."""
    if len(state) != 5 or not isinstance(state[2], np.dtype):
        raise DamagedFile("its pickle has an array without shape, type and elements")
    _, shape, dtype, is_fortran, data = state
    order: Any = "F" if is_fortran is True else "C"
    extents = _check_shape(shape)
    count = math.prod(extents)
    if dtype.kind == "O":
        if type(data) is not list or len(data) != count:
            raise DamagedFile(f"its pickle has an array of {count} objects with another number of elements")
        made = np.empty(count, object)
        for position, element in enumerate(data):  # slices would unpack elements that are lists
            made[position] = element
        return made.reshape(extents, order=order)
    if type(data) is not bytes or len(data) != count * dtype.itemsize:
        held = len(data) if type(data) is bytes else "no"
        raise DamagedFile(f"its pickle has an array of {count} elements of {dtype} with {held} bytes")
    flat = np.frombuffer(data, dtype, count) if count else np.empty(0, dtype)
    return flat.reshape(extents, order=order)


def _check_shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is not tuple or len(shape) > RANK:
        raise DamagedFile("its pickle has an array without a shape")
    if not all(type(extent) is int and 0 <= extent < EXTENT for extent in shape):
        raise DamagedFile("its pickle has an array with a shape of what are no lengths")
    return shape


def make_scalar(arguments: tuple[Any, ...]) -> np.generic:
    """A number of ``scalar(dtype, bytes)``."""
    if len(arguments) != 2 or not isinstance(arguments[0], np.dtype) or arguments[0].kind == "O":
        raise RefusedPickle("its pickle has a scalar that is no number and no text")
    dtype, data = arguments
    if type(data) is not bytes or len(data) != dtype.itemsize or not data:
        raise DamagedFile(f"its pickle has a scalar of {dtype} with other bytes than it takes")
    made: np.generic = np.frombuffer(data, dtype)[0]
    return made
