"""Reading a result back."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from functools import partial
from itertools import product
from math import prod
from typing import Any, Literal

import numpy as np
import zarr
from zarr.errors import BaseZarrError

from ...model.elements import Hash
from ...model.finding import Problem, problem
from ...model.receipt import block_digest, blocks, check_blocks, root_digest
from ...storage.remote import ResultPath
from . import guard
from .layout import choose_tile
from .nodes import read_attributes
from .remote import BucketStore, get_failure, make_store

UNREADABLE = (
    BaseZarrError, OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, IndexError, ArithmeticError,
    AssertionError, MemoryError,
)  # fmt: skip
"""What zarr-python and its codecs raise on damaged metadata, shards and chunks."""


class StoredLevel:
    """One level of a result, read block by block; a damaged shard is a `Problem`.

    It is opened only if its metadata say what neuropress writes, and a shard is read only
    if it holds what its index says (see `guard`).
    """

    def __init__(self, root: ResultPath, name: str) -> None:
        self._root, self._name = root, name
        self._store = make_store(root)
        self._checked: set[tuple[int, ...]] = set()
        with guard.translate_errors(root, f"/{name}"):
            node = guard.read_node(root / guard.check_path(guard.NAME, name))
            guard.check_array(f"{name}/{guard.NAME}", node)
            self._codecs = guard.list_chunk_codecs(node)
            self._format: Literal[2, 3] = 2 if node["zarr_format"] == 2 else 3
        try:
            opened = zarr.open_array(self._store, path=name, mode="r", zarr_format=self._format)
        except guard.UNREACHABLE:
            raise
        except UNREADABLE as error:
            raise self._make_problem(error) from error
        self._array = opened

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent of each axis."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return np.dtype(self._array.dtype)

    @property
    def shard(self) -> tuple[int, ...]:
        """Extent of one file's part of the array."""
        return self._array.shards or self._array.chunks

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of shards along each axis."""
        return tuple(-(-n // s) for n, s in zip(self.shape, self.shard, strict=True))

    @property
    def chunks(self) -> tuple[int, ...]:
        """Extent of what is decoded at a time."""
        return self._array.chunks

    @property
    def tile(self) -> tuple[int, ...]:
        """Extent of the boxes that its digest is taken over."""
        return choose_tile(self.chunks, self.shard)

    def __getitem__(self, selection: tuple[slice, ...]) -> np.ndarray:
        try:
            self._check_shards(selection)
            return np.asarray(self._array[selection])
        except (*UNREADABLE, BaseExceptionGroup) as caught:
            error = get_failure(self._store) or caught
            if isinstance(error, (Problem, *guard.UNREACHABLE)):
                raise error from None
            # zarr leaves the sibling chunks' tasks pending; asyncio would complain of them at exit, on standard error
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            warnings.filterwarnings("ignore", message="coroutine .* was never awaited", category=RuntimeWarning)
            raise self._make_problem(error, selection) from error

    def check_metadata(self) -> None:
        """Refuse what neuropress does not write. Raises `Problem` (``result.unreadable``).

        Names and attributes of its own, which no digest covers, and chunks that cost more to count than to read.
        """
        with guard.translate_errors(self._root, f"/{self._name}"):
            group = self._name.rpartition("/")[0]
            axes = [axis["name"] for axis in read_attributes(self._root, group)["ome"]["multiscales"][0]["axes"]]
            node = guard.read_node(self._root / self._name)
            has_names = node["zarr_format"] == 2 or node.get("dimension_names") == axes  # Zarr 2 knows none
            if node.get("attributes") != {} or not has_names:
                raise ValueError(f"{self._name}: its metadata have other attributes or axes than were written")
            check_blocks(self._name, self.shape, self.tile, self.dtype.itemsize)
            check_blocks(self._name, self.shape, self.chunks, self.dtype.itemsize)

    def has_file(self, file: str) -> bool:
        """Whether a file of the result is this level's metadata or one of its shards."""
        if not file.startswith(f"{self._name}/"):
            return False
        parts = file.removeprefix(f"{self._name}/").split("/")
        if parts == [guard.NAME if self._format == 3 else guard.OLD_ARRAY]:
            return True
        at = [int(part) for part in parts if part.isdecimal() and len(part) < 20]
        if len(at) != len(self.grid) or any(n >= m for n, m in zip(at, self.grid, strict=True)):
            return False
        return self._array.metadata.encode_chunk_key(tuple(at)).split("/") == parts

    def digest(self, hash: Hash) -> str:
        """The level's digest, computed anew."""
        return root_digest([block_digest(self[box], hash) for box in blocks(self.shape, self.tile)])

    def _check_shards(self, selection: Sequence[slice]) -> None:
        """Look at the shards that a block is read from, each once."""
        chunks = prod(n // c for n, c in zip(self.shard, self.chunks, strict=True))
        size = prod(self.chunks) * self.dtype.itemsize
        for at in product(*(range(s.start // n, -(-s.stop // n)) for s, n in zip(selection, self.shard, strict=True))):
            if at not in self._checked:
                key = f"{self._name}/{self._array.metadata.encode_chunk_key(at)}"
                path = self._root / key
                if self._array.shards:
                    offsets = guard.check_shard(path, chunks, size, self._codecs)
                else:
                    offsets = guard.check_chunk_file(path, size, self._codecs)
                if isinstance(self._store, BucketStore):
                    check = partial(guard.check_chunk, path.name, size=size, codecs=self._codecs)
                    self._store.check_chunks(key, offsets, check)
                self._checked.add(at)

    def _make_problem(self, error: BaseException, selection: tuple[slice, ...] = ()) -> Problem:
        if isinstance(error, guard.Unsafe):
            return problem("result.unsafe", f"{self._root.name}: {error}", file=str(self._root), array=f"/{self._name}")
        corner = tuple(s.start for s in selection)
        message = f"{self._root.name}: array {self._name} cannot be read"
        message += f" at {list(corner)}: {error}" if selection else f": {error}"
        return problem("result.unreadable", message, file=str(self._root), array=f"/{self._name}", index=corner or None)
