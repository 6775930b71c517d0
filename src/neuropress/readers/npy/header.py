"""The header of an NPY: a Python literal, of which only numbers, names and texts are taken, and nothing is run."""

from __future__ import annotations

import ast
import math
import re
import struct
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from ...model.budget import ARRAY_AXES, EXTENT
from . import MAGIC

MAX_HEADER = 65_536
"""Bytes; numpy itself refuses more than 10,000 unless it is told to trust the file."""
MAX_BRACKETS = 1_000
_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
_PLAIN = re.compile(r"[<>|=]?([biufc][0-9]{1,2}|\?)")


class BadHeader(ValueError):
    """What is wrong with a header."""


class Unsupported(ValueError):
    """What a sound array holds that cannot be declared."""


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """Type and extents; `start` is the byte of the first element."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool
    start: int

    @property
    def nbytes(self) -> int:
        """Of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes]) -> NpyHeader:
    """The header at the beginning of a file.

    Raises
    ------
    BadHeader
    Unsupported
        Objects (which only unpickling would give), records, texts, complex numbers.
    """
    head = file.read(8)
    if head[:6] != MAGIC or len(head) < 8:
        raise BadHeader(f"it begins with {head!r}, not as a NumPy array")
    version = head[6]
    if version not in _LENGTHS:
        raise BadHeader(f"it is of version {version}.{head[7]}; 1 to 3 are known")
    form = _LENGTHS[version]
    raw = file.read(struct.calcsize(form))
    if len(raw) < struct.calcsize(form):
        raise BadHeader("it ends within its header")
    (length,) = struct.unpack(form, raw)
    if length > MAX_HEADER:
        raise BadHeader(f"its header has {length} bytes, more than {MAX_HEADER}")
    text = file.read(length)
    if len(text) < length:
        raise BadHeader("it ends within its header")
    known = _parse_literal(text.decode("utf-8" if version == 3 else "latin-1", "replace"))
    start = 8 + struct.calcsize(form) + length
    return NpyHeader(_parse_dtype(known["descr"]), _parse_shape(known["shape"]), known["fortran_order"] is True, start)


def _parse_literal(text: str) -> dict[str, Any]:
    # Python's parser takes quadratic time, or gives up without an exception, on thousands of brackets.
    if text.count("(") + text.count("[") + text.count("{") > MAX_BRACKETS:
        raise BadHeader("its header is no description of an array")
    try:
        known = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise BadHeader(f"its header is no description of an array ({type(error).__name__})") from None
    if not isinstance(known, dict) or set(known) != {"descr", "fortran_order", "shape"}:
        raise BadHeader("its header does not say descr, fortran_order and shape")
    if not isinstance(known["fortran_order"], bool):
        raise BadHeader(f"its fortran_order is {str(known['fortran_order'])[:40]!r}")
    return known


def _parse_dtype(described: Any) -> np.dtype[Any]:
    if not isinstance(described, str):
        raise Unsupported("its elements are records of several fields")
    if "O" in described:
        raise Unsupported(
            "it holds Python objects, which only unpickling could read; that may run code and is never done"
        )
    if not _PLAIN.fullmatch(described):
        raise Unsupported(f"its elements are of the type {described[:40]!r}, no plain numbers")
    try:
        dtype = np.dtype(described)
    except TypeError as error:
        raise BadHeader(f"its elements are of the type {described[:40]!r}") from error
    if dtype.kind == "c" or dtype.itemsize > 8:
        raise Unsupported(f"its elements are of the type {dtype.name}, no plain numbers of at most 8 bytes")
    return dtype


def _parse_shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or len(shape) > ARRAY_AXES:
        raise BadHeader(f"its shape is {str(shape)[:80]!r}")
    for extent in shape:
        if isinstance(extent, bool) or not isinstance(extent, int) or not 0 <= extent <= EXTENT:
            raise BadHeader(f"its shape is {str(shape)[:80]!r}")
    return shape
