"""The header of an NRRD: lines of fields and pairs up to an empty one, each read as text and then as what it is.

Own parser, because pynrrd opens whatever file a detached header names, and reads all voxels at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from ...model.budget import NRRD_HEADER
from ...model.source import RawFile
from ..images.calibration import parse_decimal
from ..voxels.packed import make_damaged

MAGIC = re.compile(rb"NRRD000[1-5]\s*")
_FIELD = re.compile(r"([A-Za-z][A-Za-z ]*): ?(.*)")
_VECTOR = re.compile(r"\(([^()]*)\)|none", re.IGNORECASE)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
MAX_AXES = 16

# The first name of each row is numpy's; all are as the definition of the format lists them.
_TYPES = (
    ("i1", "signed char", "int8", "int8_t"),
    ("u1", "uchar", "unsigned char", "uint8", "uint8_t"),
    ("i2", "short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    ("u2", "ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    ("i4", "int", "signed int", "int32", "int32_t"),
    ("u4", "uint", "unsigned int", "uint32", "uint32_t"),
    ("i8", "longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    ("u8", "ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    ("f4", "float"),
    ("f8", "double"),
)
TYPES = {name: row[0] for row in _TYPES for name in row[1:]}

_SPACES = {
    "right-anterior-superior": 3, "ras": 3, "left-anterior-superior": 3, "las": 3,
    "left-posterior-superior": 3, "lps": 3,
    "right-anterior-superior-time": 4, "rast": 4, "left-anterior-superior-time": 4, "last": 4,
    "left-posterior-superior-time": 4, "lpst": 4,
    "scanner-xyz": 3, "scanner-xyz-time": 4, "3d-right-handed": 3, "3d-left-handed": 3,
    "3d-right-handed-time": 4, "3d-left-handed-time": 4,
}  # fmt: skip
"""Named spaces and their dimensions; the last axis of one of four is time."""

type Vector = tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class NrrdHeader:
    """What the lines say.

    Attributes
    ----------
    fields
        Name, in lower case and without blanks (``spacedirections``) -> text as it stands.
    pairs, comments
        Key/value pairs and comments.
    end
        Byte behind the empty line, or the file's end.
    """

    key: str
    fields: Mapping[str, str]
    pairs: Mapping[str, str] = field(default_factory=dict)
    comments: tuple[str, ...] = ()
    end: int = 0

    def require_field(self, name: str) -> str:
        """The text of a field that each file has. Raises `Problem` (``voxels.damaged``)."""
        if not self.fields.get(name):
            raise make_damaged(self.key, f"its header does not state {name}")
        return self.fields[name]

    def parse_whole_number(self, name: str, default: int) -> int:
        """A field of one whole number. Raises `Problem` (``voxels.damaged``)."""
        text = self.fields.get(name, str(default)).strip()
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise make_damaged(self.key, f"its {name} is {text[:80]!r}, no whole number")
        return int(text)

    def parse_sizes(self) -> tuple[int, ...]:
        """Extents, the fastest axis first. Raises `Problem` (``voxels.damaged``)."""
        count = self.parse_whole_number("dimension", -1)
        words = self.require_field("sizes").split()
        if not 1 <= count <= MAX_AXES or len(words) != count:
            raise make_damaged(self.key, f"it states the dimension {count} and {len(words)} sizes")
        if any(not re.fullmatch(r"[0-9]{1,15}", word) for word in words):
            raise make_damaged(self.key, f"its sizes are {self.fields['sizes'][:80]!r}")
        return tuple(map(int, words))

    def parse_vectors(self, name: str) -> tuple[Vector | None, ...]:
        """Vectors of a field in the order of the axes; None for ``none``, and for one of ``nan``, as pynrrd writes it.

        Raises
        ------
        Problem
            ``voxels.damaged``
        """
        text = self.fields.get(name, "")
        if _VECTOR.sub("", text).strip():
            raise make_damaged(self.key, f"its {name} is {text[:80]!r}, which are no vectors")
        vectors: list[Vector | None] = []
        for match in _VECTOR.finditer(text):
            if match[1] is None or {part.strip().lower() for part in match[1].split(",")} == {"nan"}:
                vectors.append(None)
                continue
            numbers = [parse_decimal(part) for part in match[1].split(",")]
            known = tuple(number for number in numbers if number is not None)
            if len(known) < len(numbers) or len(known) != self.space_dimension:
                what = f"its {name} has {match[0][:80]}, no vector of {self.space_dimension} numbers"
                raise make_damaged(self.key, what)
            vectors.append(known)
        return tuple(vectors)

    def list_words(self, name: str, count: int) -> tuple[str, ...]:
        """One word an axis, or none at all. Raises `Problem` (``voxels.damaged``)."""
        words = tuple(self.fields.get(name, "").split())
        if words and len(words) != count:
            raise make_damaged(self.key, f"its {name} has {len(words)} words for {count} axes")
        return words

    def list_texts(self, name: str) -> tuple[str, ...]:
        """Texts in quotes (``"mm" "mm"``)."""
        return tuple(match[1] for match in _QUOTED.finditer(self.fields.get(name, "")))

    @property
    def space_dimension(self) -> int:
        """Numbers of a vector; 0 where no space is stated."""
        named = _SPACES.get(self.fields.get("space", "").strip().lower(), 0)
        return named or self.parse_whole_number("spacedimension", 0)

    @property
    def has_time(self) -> bool:
        """Whether the last axis of the space is time."""
        return _SPACES.get(self.fields.get("space", "").strip().lower()) == 4

    def parse_dtype(self) -> np.dtype[np.generic] | None:
        """Type of a voxel; None of one that is not known. Raises `Problem` (``voxels.damaged``)."""
        code = TYPES.get(" ".join(self.require_field("type").lower().split()))
        if code is None or code[1] == "1":
            return np.dtype(code) if code else None
        # No default: the file was written on some machine, and nothing says on which.
        order = {"little": "<", "big": ">"}.get(self.fields.get("endian", "").strip().lower())
        if order is None:
            raise make_damaged(self.key, f"its type {self.fields['type'][:40]} needs endian, little or big")
        return np.dtype(order + code)


def read_header(file: RawFile, key: str) -> NrrdHeader:
    """The header at the beginning of a file. Raises `Problem` (``voxels.damaged``)."""
    if not MAGIC.fullmatch(file.readline(16)):
        raise make_damaged(key, "it does not begin with a line NRRD0001 to NRRD0005")
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    comments: list[str] = []
    while True:
        room = NRRD_HEADER - file.tell()
        raw = file.readline(room + 1)
        if len(raw) > room:
            raise make_damaged(key, f"its header has more than {NRRD_HEADER} bytes")
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            return NrrdHeader(key, fields, pairs, tuple(comments), file.tell())
        pair = line.split(":=", 1)
        if line.startswith("#"):
            comments.append(line[1:].strip())
        elif len(pair) == 2:
            pairs[pair[0]] = pair[1].replace("\\n", "\n").replace("\\\\", "\\")
        else:
            _add_field(fields, line, key)
            if _normalize_name(line.split(":", 1)[0]) == "datafile" and fields["datafile"].startswith("LIST"):
                return NrrdHeader(key, fields, pairs, tuple(comments), file.tell())


def _add_field(fields: dict[str, str], line: str, key: str) -> None:
    match = _FIELD.fullmatch(line)
    if not match:
        raise make_damaged(key, f"its header has the line {line[:80]!r}, which is no field")
    name = _normalize_name(match[1])
    if name in fields:
        raise make_damaged(key, f"its header states {match[1]!r} twice")
    fields[name] = match[2].strip()


def _normalize_name(name: str) -> str:
    """``axis mins`` and ``axismins`` are one field."""
    return name.replace(" ", "").lower()
