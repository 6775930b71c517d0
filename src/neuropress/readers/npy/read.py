"""NPY and NPZ as named arrays: an NPY has one, which is called ``array``."""

from __future__ import annotations

import errno
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import IO, Any

import numpy as np

from ...model.budget import HDF5_RATIO, MAT_UNPACKED, NPZ_MEMBERS
from ...model.content import Content, Selection
from ...model.finding import Problem, problem
from ...model.source import Source, Stamp
from ..arrays.build import build_contents
from ..arrays.kept import KeptArrays
from ..arrays.plain import read_block, reverse_axes
from ..arrays.tree import ArrayTree, Variable
from ..stamp import check_unchanged
from . import FORMAT, MAGIC
from .header import BadHeader, NpyHeader, Unsupported, read_header

ONLY = "array"
"""What the array of an NPY is called, which has no name there."""
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError, LookupError)


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Contents as declared.

    Raises
    ------
    Problem
        ``arrays.damaged``; ``arrays.unsupported``: objects, records, texts; and as `build_contents` does.
    """
    with source.open() as file:
        is_zip = file.read(len(MAGIC)) != MAGIC
    tree = _read_zip(source) if is_zip else _read_single(source)
    return build_contents(tree, options)


def _make_problem(source: Source, id: str, message: str) -> Problem:
    return problem(id, f"{source.key}: {message}", file=source.key)


def _read_single(source: Source) -> ArrayTree:
    make = partial(_make_problem, source)
    with source.open() as file:
        stamp = file.stamp()
        try:
            header = read_header(file)
        except BadHeader as error:
            raise make("arrays.damaged", str(error)) from error
        except Unsupported as error:
            raise make("arrays.unsupported", str(error)) from error
    if stamp[0] != header.start + header.nbytes:
        what = f"its header promises {header.nbytes} bytes of elements, it has {stamp[0] - header.start}"
        raise make("arrays.damaged", what)

    def read_part(shape: tuple[int, ...], selection: Selection) -> np.ndarray:
        with source.open() as file:
            check_unchanged(file.stamp(), stamp, source.key)
            return read_block(file, header.start, header.dtype, shape, selection, make)

    variable = _make_variable(ONLY, header, read_part)
    return ArrayTree(source.key, FORMAT.name, {ONLY: variable}, header={"order": "F" if header.is_fortran else "C"})


def _make_variable(
    path: str, header: NpyHeader, read_part: Callable[[tuple[int, ...], Selection], np.ndarray], kept: int = 0
) -> Variable:
    shape = header.shape[::-1] if header.is_fortran else header.shape
    read: Callable[[Selection], np.ndarray] = partial(read_part, shape)
    # Parts that lie one after the other: an element of each axis but the fastest one.
    block = (*(1,) * (len(shape) - 1), *shape[-1:])
    if header.is_fortran:
        read, block = reverse_axes(read), block[::-1]
    return Variable(path, header.shape, header.dtype.newbyteorder("="), read, block=block, kept=kept)


def _read_zip(source: Source) -> ArrayTree:
    """The members of an NPZ; each is unpacked when it is asked for, and those read last stay in memory."""
    stamp = source.stamp()
    variables: dict[str, Variable] = {}
    others: dict[str, str] = {}
    kept = KeptArrays()
    make = partial(_make_problem, source)
    with source.open() as raw:
        try:
            with zipfile.ZipFile(raw) as archive:
                members = archive.infolist()
                if len(members) > NPZ_MEMBERS:
                    raise make("arrays.unsupported", f"it has {len(members)} members, more than {NPZ_MEMBERS}")
                for member in members:
                    path = member.filename.removesuffix(".npy")
                    if not member.filename.endswith(".npy") or path in variables:
                        others[member.filename[:200]] = "a file that is no array"
                        continue
                    _check_member(member, make)
                    try:
                        with archive.open(member) as file:
                            header = read_header(file)
                    except Unsupported as error:
                        others[path] = str(error).removeprefix("it holds ")
                        continue
                    if header.start + header.nbytes != member.file_size:
                        what = f"{path}: its header promises {header.nbytes} bytes of elements"
                        raise make("arrays.damaged", f"{what}, it has {member.file_size - header.start}")
                    load = partial(_load_member, source, stamp, member.filename, header)
                    variables[path] = _make_variable(path, header, partial(kept.read, path, load), header.nbytes)
        except Problem:
            raise
        except DAMAGE as error:
            raise make("arrays.damaged", f"it cannot be unpacked ({_explain(error)})") from error
    return ArrayTree(source.key, FORMAT.name, variables, others, close=kept.close)


def _explain(error: Exception) -> str:
    """What is damaged; a disk or network that failed is no damage, and goes on."""
    if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a place before the file's beginning
        raise error
    return str(error)[:200]


def _check_member(member: zipfile.ZipInfo, make: Callable[[str, str], Problem]) -> None:
    if member.flag_bits & 1:
        raise make("arrays.unsupported", f"its member {member.filename[:80]!r} is encrypted")
    most = min(MAT_UNPACKED, 65_536 + member.compress_size * HDF5_RATIO)
    if member.file_size > most:
        what = f"{member.filename[:80]!r} unpacks {member.compress_size} bytes to {member.file_size}, more than {most}"
        raise make("arrays.unsupported", what)


def _load_member(source: Source, stamp: Stamp, name: str, header: NpyHeader) -> np.ndarray:
    """All elements, flat, in the order of the file."""
    with source.open() as raw:
        check_unchanged(raw.stamp(), stamp, source.key)
        try:
            with zipfile.ZipFile(raw) as archive, archive.open(name) as file:
                return _read_elements(file, header)
        except DAMAGE as error:
            message = f"{name[:80]!r} cannot be unpacked ({_explain(error)})"
            raise _make_problem(source, "arrays.damaged", message) from error


def _read_elements(file: IO[bytes], header: NpyHeader) -> np.ndarray:
    file.read(header.start)
    data = file.read(header.nbytes)
    if len(data) != header.nbytes or file.read(1):
        raise EOFError("it has not as many bytes as its header says")
    return np.frombuffer(data, header.dtype).astype(header.dtype.newbyteorder("="), copy=False)
