"""Types of array elements as text: numbers, records of numbers, and texts.

A number is written as numpy writes it (``<i2``), a record as ``x:<u4 y:<u4 weight:<f4`` and a text
of any length as ``text``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:  # numpy takes a tenth of a second, and checking tables needs none of it
    import numpy as np

TEXT = "text"
TEXT_BYTES = 16
"""What a text counts for where sizes are planned: HDF5's pointer to it, or a short text."""
COPY_BYTES = 1 << 19
"""Of numbers that are digested, copied at a time where they do not lie in one piece: it fits a core's cache."""
_NUMBER = re.compile(r"[<>|=]?([iuf][1248]|b1|f16|c8|c16)|u?int(8|16|32|64)|float(16|32|64)|bool")
_MEMBER = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63}):([<|][iuf][1248])")
_MEMBERS = 32

type Hash = Literal["sha256", "blake3"]
"""What blocks of arrays are digested by. BLAKE3 is as hard to deceive as SHA-256 and takes a third of its time."""


class _Hasher(Protocol):
    def update(self, data: Any, /) -> Any: ...

    def digest(self) -> bytes: ...


def _begin_digest(hash: Hash) -> _Hasher:
    if hash == "sha256":
        return hashlib.sha256()
    from blake3 import blake3

    return blake3()


def element_type(text: str) -> np.dtype[Any]:
    """The numpy type; of texts numpy's ``StringDType``. Raises `ValueError`."""
    import numpy as np

    if text == TEXT:
        return np.dtypes.StringDType()
    if ":" not in text:
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"{text[:40]!r} is no type of samples")
        return np.dtype(text)
    members = [_MEMBER.fullmatch(part) for part in text.split(" ")[: _MEMBERS + 1]]
    found = [(match[1], match[2]) for match in members if match]
    if len(found) < len(members) or len(found) > _MEMBERS or len(dict(found)) < len(found):
        raise ValueError(f"{text[:40]!r} is no type of records")
    return np.dtype(found)


def element_text(dtype: np.dtype[Any]) -> str:
    """The reverse of `element_type`, in little-endian byte order."""
    if dtype.kind in "TUO":
        return TEXT
    if dtype.fields:
        return " ".join(f"{name}:{dtype[name].newbyteorder('<').str}" for name in dtype.names or ())
    return dtype.newbyteorder("<").str


def element_size(text: str) -> int:
    """Bytes of one element; of a text `TEXT_BYTES`."""
    return TEXT_BYTES if text == TEXT else element_type(text).itemsize


def digest_elements(data: np.ndarray, hash: Hash = "sha256") -> bytes:
    """Digest of a block in C order, 32 bytes: numbers little-endian, texts as UTF-8 with their length before them."""
    found = _begin_digest(hash)
    if data.dtype.kind != "T":
        _digest_numbers(data, found)
        return found.digest()
    for text in data.ravel().tolist():
        octets = text.encode()
        found.update(len(octets).to_bytes(8, "little"))
        found.update(octets)
    return found.digest()


def _digest_numbers(data: np.ndarray, known: _Hasher) -> None:
    import numpy as np

    little = data.dtype.newbyteorder("<")
    parts: Iterable[np.ndarray] = (data,)
    if data.ndim > 2 and data.size:
        # A part of a larger array is copied some pages at a time: as a whole it takes as much memory again, on every
        # thread; by single pages threads wait for each other at every step.
        pages = data.reshape((-1, *data.shape[-2:]))
        step = max(1, COPY_BYTES // pages[0].nbytes)
        parts = (pages[first : first + step] for first in range(0, len(pages), step))
    for part in parts:
        known.update(np.ascontiguousarray(part, dtype=little).reshape(-1).view(np.uint8))


def differing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays of one type and shape differ in any bit: NaN equals itself, 0 is not -0."""
    import numpy as np

    if a.dtype.kind == "T":
        return np.asarray(a != b)
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    size = a.dtype.itemsize
    if size in (1, 2, 4, 8) and not a.dtype.fields:
        return np.asarray(a.view(f"u{size}") != b.view(f"u{size}"))
    octets = (x.reshape(-1).view(np.uint8).reshape(*x.shape, size) for x in (a, b))
    return np.asarray(np.not_equal(*octets).any(axis=-1))
