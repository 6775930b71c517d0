"""What the run found out. It travels inside the result, without any wall clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from .plan import ArraySpec


@dataclass(frozen=True, slots=True)
class InputDigest:
    """Size and SHA-256 of a raw file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ArrayReceipt:
    """An array's specification and digest.

    `sha256` is taken over the digests of the result's blocks of extent `block`, in C
    order; a block's digest is the SHA-256 of its C-order little-endian bytes.
    """

    spec: ArraySpec
    block: tuple[int, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """Digests of inputs, of the arrays that come from raw files, and of everything derived.

    Attributes
    ----------
    version
        Of neuropress that wrote the result.
    rows
        Digest of the contributing rows and of what else the plan was made from; when it
        differs, the metadata is stale.
    revisions
        Mapping and converter revisions used.
    inputs
        Key -> size and digest of each raw file touched.
    arrays
        Path in the result -> specification and digest.
    derived
        Path in the result -> SHA-256 of a dataset that does not come from raw samples
        one by one (table columns, pyramid levels above 0).
    """

    version: str
    rows: str
    revisions: Mapping[str, int]
    inputs: Mapping[str, InputDigest]
    arrays: Mapping[str, ArrayReceipt]
    derived: Mapping[str, str] = field(default_factory=dict)


def blocks(shape: Sequence[int], block: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """All blocks of an array in C order; those at the far edges are smaller."""
    starts = [range(0, n, b) for n, b in zip(shape, block, strict=True)]
    for corner in product(*starts):
        yield tuple(slice(c, min(c + b, n)) for c, b, n in zip(corner, block, shape, strict=True))


def block_digest(data: np.ndarray) -> bytes:
    """SHA-256 of a block's C-order little-endian bytes."""
    little = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("<"))
    return hashlib.sha256(memoryview(little).cast("B")).digest()


def root_digest(block_digests: Sequence[bytes]) -> str:
    """The array's digest from its blocks' digests in C order, hex."""
    return hashlib.sha256(b"".join(block_digests)).hexdigest()
