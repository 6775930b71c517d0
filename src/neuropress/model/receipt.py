"""What the run found out. It travels inside the result, without any wall clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from .budget import BLOCK_BYTES, BLOCK_LEAST, BLOCKS, EXTENT, RANK
from .elements import Hash, digest_elements
from .graft import Graft
from .plan import ArraySpec, canonical
from .serial import SPARSE

if TYPE_CHECKING:  # numpy takes a tenth of a second, and checking tables needs none of it
    import numpy as np


HASH: Hash = "blake3"
"""What blocks are digested by when they are written; earlier results state none, which was SHA-256."""


@dataclass(frozen=True, slots=True)
class InputDigest:
    """Size and SHA-256 of a raw file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ArrayReceipt:
    """An array's specification and digest.

    `sha256` is taken over the digests of the result's blocks of extent `block`, in C
    order; a block's digest is that by `hash` of its C-order little-endian bytes, or of its texts.
    `codec` names the library and level that packed its chunks, of a kind of result that chooses it; "" where it
    was not packed. No reader needs it: another machine's library may give other bytes of the same values.
    """

    spec: ArraySpec
    block: tuple[int, ...]
    sha256: str
    codec: str = field(default="", metadata=SPARSE)
    hash: Hash = "sha256"


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
        one by one (table columns); of a pyramid's level above 0 it is taken as that of level 0.
    sources
        Key of each raw object that a row names -> options of its reader.
    grafts
        Path in the result -> objects of a fragment that were taken over there.
    kept
        Keys of files and folders that rows name and nothing was made of; `inputs` has their digests.
    """

    version: str
    rows: str
    revisions: Mapping[str, int]
    inputs: Mapping[str, InputDigest]
    arrays: Mapping[str, ArrayReceipt]
    derived: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    grafts: Mapping[str, Graft] = field(default_factory=dict, metadata=SPARSE)
    kept: tuple[str, ...] = field(default=(), metadata=SPARSE)

    def find_files(self, key: str) -> dict[str, InputDigest]:
        """Path below a raw object (``""``: it is a file itself) -> size and digest of each of its files."""
        own = key.rstrip("/")
        return {
            name.removeprefix(own).removeprefix("/"): known
            for name, known in self.inputs.items()
            if name == own or name.startswith(f"{own}/")
        }


def format_manifest(files: Mapping[str, InputDigest]) -> bytes:
    """The manifest of a folder, by whose SHA-256 a release knows it: canonical JSON Lines, sorted by path."""
    lines = (canonical({"path": path, "size": one.size, "sha256": one.sha256}) for path, one in sorted(files.items()))
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def check_array(name: str, array: ArrayReceipt) -> None:
    """Refuse an entry of a receipt that no array can have: `verify` goes by it.

    Raises
    ------
    ValueError
        Type, shape, block and index map do not fit each other, or blocks are larger or
        smaller than the budget allows.
    """
    spec = array.spec
    try:
        spec.type  # noqa: B018 - raises
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if spec.clock and spec.dtype != "<f8":
        raise ValueError(f"{name}: times by a clock are float64, not {spec.dtype[:40]}")
    if spec.whole and spec.type.kind not in "ui":
        raise ValueError(f"{name}: whole numbers are integers, not {spec.dtype[:40]}")
    if len(spec.shape) > RANK or any(not 0 <= n <= EXTENT for n in spec.shape):
        raise ValueError(f"{name}: no array has the shape {str(spec.shape)[:80]}")
    if len(array.block) != len(spec.shape) or any(not 1 <= n <= EXTENT for n in array.block):
        raise ValueError(f"{name}: no block of an array {list(spec.shape)} has the extent {str(array.block)[:80]}")
    index = spec.index
    whole = [entry for entry in index.select if not isinstance(entry, int)]
    kept = all(0 <= start <= stop for start, stop in whole) and all(
        entry >= 0 for entry in index.select if isinstance(entry, int)
    )
    if not kept or sorted(index.order) != list(range(len(whole))) or index.shape() != spec.shape:
        raise ValueError(f"{name}: its index map does not give the shape {list(spec.shape)}")
    check_blocks(name, spec.shape, array.block, spec.itemsize)


def check_blocks(name: str, shape: Sequence[int], block: Sequence[int], itemsize: int) -> None:
    """Refuse blocks that are too large to be read, or too small to be counted. Raises `ValueError`."""
    size = prod(min(n, b) for n, b in zip(shape, block, strict=True)) * itemsize
    count = prod(-(-n // b) for n, b in zip(shape, block, strict=True))
    if size > BLOCK_BYTES:
        raise ValueError(f"{name}: blocks of {size} bytes, more than {BLOCK_BYTES}")
    if count > BLOCKS + prod(shape) * itemsize // BLOCK_LEAST:
        raise ValueError(f"{name}: {count} blocks, of less than {BLOCK_LEAST} bytes each")


def blocks(shape: Sequence[int], block: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """All blocks of an array in C order; those at the far edges are smaller."""
    starts = [range(0, n, b) for n, b in zip(shape, block, strict=True)]
    for corner in product(*starts):
        yield tuple(slice(c, min(c + b, n)) for c, b, n in zip(corner, block, shape, strict=True))


def block_digest(data: np.ndarray, hash: Hash) -> bytes:
    """Digest of a block (see `neuropress.model.elements.digest_elements`)."""
    return digest_elements(data, hash)


def root_digest(block_digests: Sequence[bytes]) -> str:
    """The array's digest from its blocks' digests in C order, hex."""
    return hashlib.sha256(b"".join(block_digests)).hexdigest()
