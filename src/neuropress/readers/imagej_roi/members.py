"""The ROIs of a file: the one that it is, or the members of a zip, each unpacked within a limit."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from ...model.budget import ROI_BYTES, ROI_MEMBER_BYTES, ROI_MEMBERS, ROI_UNPACKED
from ...model.finding import Problem, problem
from ...model.source import Source
from . import ZIP_MAGIC

_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What zipfile raises on damage; RuntimeError of a member with a password."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What ImageJ writes. Of the others zipfile unpacks without a bound."""


@dataclass(frozen=True, slots=True)
class Member:
    """Bytes of one ROI; `name` without folders and suffix, as ImageJ calls a ROI that has none of its own."""

    file: str
    name: str
    data: bytes


def read_members(source: Source) -> tuple[list[Member], list[str]]:
    """All ROIs of a file, in the order of the ROI Manager, and the names of what else lies in the zip.

    Raises
    ------
    Problem
        ``imagej_roi.limit``, ``imagej_roi.damaged``, ``imagej_roi.unsupported``.
    """
    with source.open() as file:
        data = file.read(ROI_BYTES + 1)
    if len(data) > ROI_BYTES:
        raise _make_limit_problem(source, f"has more than {ROI_BYTES} bytes")
    if not data.startswith(ZIP_MAGIC):
        return [Member("", _shorten_name(source.name), data)], []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [item for item in archive.infolist() if not item.is_dir()]
            wanted = [item for item in entries if _is_roi(item.filename)]
            if len(wanted) > ROI_MEMBERS:
                raise _make_limit_problem(source, f"has {len(wanted)} regions, more than {ROI_MEMBERS}")
            members = list(_unpack_members(source, archive, wanted))
    except _BROKEN as error:
        message = f"{source.key} is no whole zip: {str(error)[:200] or type(error).__name__}"
        raise problem("imagej_roi.damaged", message, file=source.key) from error
    return members, [item.filename for item in entries if not _is_roi(item.filename)]


def _is_roi(name: str) -> bool:
    """Whether a member is one: macOS puts a file ``._NAME`` beside each, which is none."""
    return name.lower().endswith(".roi") and not PurePosixPath(name).name.startswith("._")


def _unpack_members(source: Source, archive: zipfile.ZipFile, wanted: list[zipfile.ZipInfo]) -> Iterator[Member]:
    room = ROI_UNPACKED
    for item in wanted:
        if item.compress_type not in _METHODS:
            message = f"{source.key}: {item.filename[:80]!r} is packed by the method {item.compress_type}"
            raise problem("imagej_roi.unsupported", f"{message}, not by deflate", file=source.key)
        most = min(ROI_MEMBER_BYTES, room)
        with archive.open(item) as file:
            data = file.read(most + 1)  # whatever the zip says that it comes to
        if len(data) > most:
            what = (
                f"unpacks to more than {ROI_UNPACKED} bytes, or {item.filename[:80]!r} to more than {ROI_MEMBER_BYTES}"
            )
            raise _make_limit_problem(source, what)
        room -= len(data)
        yield Member(item.filename, _shorten_name(PurePosixPath(item.filename).name), data)


def _shorten_name(name: str) -> str:
    return name[:-4] if name.lower().endswith(".roi") else name


def _make_limit_problem(source: Source, what: str) -> Problem:
    return problem("imagej_roi.limit", f"{source.key} {what}", file=source.key)
