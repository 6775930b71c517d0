"""What will be written, as pure data: JSON that a person may read and edit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from .clock import Clock
from .content import Content
from .elements import element_size, element_text, element_type
from .graft import Graft
from .labels import convert_whole_numbers
from .record import CellRef, Fix
from .serial import SPARSE
from .source import Input

if TYPE_CHECKING:  # numpy takes a tenth of a second, and checking tables needs none of it
    import numpy as np


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One result: its kind, the row or session it belongs to, its path below ``output/``."""

    kind: str
    id: str
    path: str


@dataclass(frozen=True, slots=True)
class Field:
    """One value and all that made it.

    Attributes
    ----------
    value
        What is written. Instants are ISO 8601 text with their offset; NaN is allowed.
    rule
        ``<mapping>/<slot>.<field>`` for a mapping rule, ``<converter>:<name>`` for a
        value that code derives.
    via
        The named transform.
    sources
        The cells, header facts or defaults it was made from.
    """

    value: Any
    rule: str
    via: str = "copy"
    sources: tuple[CellRef, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexMap:
    """How a result array follows from the source array: slice, then permute.

    ``result = source[select].transpose(order)``. A `select` entry is
    ``(start, stop)`` or a single index, which drops the axis; `order` permutes the axes
    that remain. Blocks, never element lists.
    """

    select: tuple[tuple[int, int] | int, ...]
    order: tuple[int, ...]

    @classmethod
    def whole(cls, shape: Sequence[int], order: Sequence[int] | None = None) -> IndexMap:
        """All of the source, its axes permuted by `order`."""
        return cls(tuple((0, n) for n in shape), tuple(order or range(len(shape))))

    def shape(self) -> tuple[int, ...]:
        """Shape of the result array."""
        kept = [s[1] - s[0] for s in self.select if not isinstance(s, int)]
        return tuple(kept[i] for i in self.order)

    def source_selection(self, result: Sequence[slice]) -> tuple[slice, ...]:
        """The block of the source that holds a block of the result (dropped axes as length-1 slices)."""
        by_kept = {axis: result[position] for position, axis in enumerate(self.order)}
        selection: list[slice] = []
        kept = 0
        for entry in self.select:
            if isinstance(entry, int):
                selection.append(slice(entry, entry + 1))
            else:
                part = by_kept[kept]
                selection.append(slice(entry[0] + part.start, entry[0] + part.stop))
                kept += 1
        return tuple(selection)

    def to_result(self, block: np.ndarray) -> np.ndarray:
        """Bring a block that was read with `source_selection` into the result's axes."""
        dropped = tuple(i for i, entry in enumerate(self.select) if isinstance(entry, int))
        return block.squeeze(dropped).transpose(self.order) if dropped else block.transpose(self.order)

    def source_index(self, result: Sequence[int]) -> tuple[int, ...]:
        """The source element behind one element of the result."""
        selection = self.source_selection([slice(i, i + 1) for i in result])
        return tuple(s.start for s in selection)


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array of the result and where each of its elements comes from.

    Attributes
    ----------
    source, content, array
        Raw object's key, content's name and array's name.
    format
        The reader that gave it, so that `verify` asks the same one.
    shape, dtype
        Of the result; `dtype` as `neuropress.model.elements` writes it (``<i2``, ``x:<u4 y:<u4``, ``text``).
    index
        How the result follows from the source array.
    options
        Options of the reader (``{}`` mostly).
    clock
        Makes float64 seconds of stored times; None: elements are as stored.
    whole
        Stored floats are whole numbers, and are written as integers.
    """

    source: str
    content: str
    array: str
    format: str
    shape: tuple[int, ...]
    dtype: str
    index: IndexMap
    options: Mapping[str, Any] = field(default_factory=dict)
    clock: Clock | None = field(default=None, metadata=SPARSE)
    whole: bool = field(default=False, metadata=SPARSE)

    @classmethod
    def of(
        cls,
        source: str,
        content: Content,
        array: str,
        index: IndexMap | None = None,
        clock: Clock | None = None,
    ) -> ArraySpec:
        """An array of a content: all of it as stored, unless an index map or a clock says otherwise.

        Parameters
        ----------
        source
            The raw object's key.
        array
            Name of the array in `content`.
        """
        lazy = content.arrays[array]
        index = index or IndexMap.whole(lazy.shape)
        dtype = "<f8" if clock else element_text(lazy.dtype)
        return cls(source, content.name, array, content.format, index.shape(), dtype, index, clock=clock)

    @property
    def type(self) -> np.dtype[Any]:
        """The elements' numpy type; of texts numpy's ``StringDType``."""
        return element_type(self.dtype)

    @property
    def itemsize(self) -> int:
        """Bytes of one element; a text counts as its pointer."""
        return element_size(self.dtype)

    @property
    def nbytes(self) -> int:
        """Size of the uncompressed array in bytes."""
        return prod(self.shape) * self.itemsize

    def from_source(self, block: np.ndarray) -> np.ndarray:
        """Elements of the result from a block that was read with ``index.source_selection``.

        Raises
        ------
        Problem
            ``labels.fraction``: an element that is to be a whole number is none.
        """
        block = self.index.to_result(block)
        if self.whole:
            return convert_whole_numbers(block, self.type, self.source)
        return self.clock.seconds(block) if self.clock else block.astype(self.type, copy=False)


@dataclass(frozen=True, slots=True)
class Node:
    """One object of the result.

    Attributes
    ----------
    path
        Its place in the result (``/general/subject``, ``/acquisition/RY_IMG_0001``).
    type
        Its type in the target standard (``Subject``, ``TwoPhotonSeries``).
    fields
        Field name -> value with provenance, under the standard's own names.
    links
        Field name -> path (or paths) of other nodes.
    arrays
        Field name -> array that is filled from raw data.
    graft
        The objects are taken over from a fragment. `fields` then say what stands in it, attributes by name and
        those of objects below by their path (``pose/scorer``), `arrays` are all its arrays by their path.

    Of a table, names that are no fields of its type are columns: an array, a field that is a list, or links with
    one path a row. ``<column>/description`` and other fields with a ``/`` say what a column is, ``<column>_index``
    makes it ragged. A name with rows (an array, a field that is a list of row numbers or the text ``start:stop``)
    and a link to a table is a region of that table.
    """

    path: str
    type: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    links: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    arrays: Mapping[str, ArraySpec] = field(default_factory=dict)
    graft: Graft | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A contributing row, verbatim but for private columns, which are blank.

    `cells` are the texts as they stand in the table, `fixes` what a person signed in place
    of some of them. `key` is the row's key after fixes.
    """

    table: str
    key: str
    cells: Mapping[str, str]
    fixes: Mapping[str, Fix] = field(default_factory=dict, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file or folder that a row names and nothing is made of; the result states its size and digest.

    Attributes
    ----------
    key
        Its key among the raw files; a folder's may end in ``/``.
    what
        What it is, in the column's words (``script``, ``processed``).
    cell, row
        The cell that names it, and the key of its row.
    places
        Fields of the result (``/acquisition/X/comments``), each of which gets a line that names the file. The line
        stands in no plan: digests are taken while the result is written.
    """

    key: str
    what: str
    cell: CellRef
    row: CellRef
    places: tuple[str, ...] = ()

    def holds(self, key: str) -> bool:
        """Whether a raw file is this one, or lies in this folder."""
        own = self.key.rstrip("/")
        return key == own or key.startswith(f"{own}/")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one result will hold.

    `rows` are the contributing table rows, verbatim; `headers` the raw files' own
    headers (key -> JSON); `sources` the raw objects that rows name, with the
    options of their readers; `revisions` the mapping and converter revisions used; `profile`
    the name and version of the profile; `kept` the files that rows name and nothing is made of.
    """

    target: Target
    nodes: tuple[Node, ...]
    inputs: tuple[Input, ...]
    rows: tuple[SourceRow, ...]
    headers: Mapping[str, Any] = field(default_factory=dict)
    revisions: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    profile: str = ""
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kept: tuple[KeptFile, ...] = field(default=(), metadata=SPARSE)

    @property
    def kept_keys(self) -> tuple[str, ...]:
        """Keys of the files that are kept, each once."""
        return tuple(sorted({one.key for one in self.kept}))

    def arrays(self) -> dict[str, ArraySpec]:
        """Path of the array in the result (``/acquisition/X/data``) -> its specification."""
        return {f"{n.path.rstrip('/')}/{name}": spec for n in self.nodes for name, spec in n.arrays.items()}

    def grafts(self) -> dict[str, Graft]:
        """Place in the result -> what is taken over there."""
        return {node.path: node.graft for node in self.nodes if node.graft}

    @property
    def nbytes(self) -> int:
        """Uncompressed bytes of all arrays."""
        return sum(spec.nbytes for spec in self.arrays().values())


def canonical(data: Any) -> str:
    """Canonical JSON: sorted keys, no blanks, ASCII; the form that digests are taken of."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(data: Any) -> str:
    """SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical(data).encode("ascii")).hexdigest()
