"""What an HDF5 file may not hold: links and storage that lead outside of it, code, and more than it should cost.

HDF5 opens other files by itself (external and user-defined links, external storage, virtual
datasets) and loads filters that it does not know from a search path. All of it is refused
before anything is followed or read: links are listed without being resolved, and a dataset's
creation properties are looked at before its shape, which of a virtual dataset is that of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import PurePath
from typing import Any, NamedTuple

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5pl, h5t, h5z

from ...model import budget
from ...model.budget import OverBudget
from ...model.finding import Problem, problem

FILTERS = {
    h5z.FILTER_DEFLATE,
    h5z.FILTER_SHUFFLE,
    h5z.FILTER_FLETCHER32,
    h5z.FILTER_SZIP,
    h5z.FILTER_NBIT,
    h5z.FILTER_SCALEOFFSET,
    h5z.FILTER_LZF,
}
"""Those of HDF5 itself and of h5py; any other would be code that is loaded from somewhere."""

DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError, MemoryError)
"""What h5py and HDF5 raise on damaged files."""


class GuardFindings(NamedTuple):
    """Ids of the findings on files of one sort."""

    unsafe: str
    unreadable: str


RESULT = GuardFindings("result.unsafe", "result.unreadable")
"""Of results; of files that other programs exported see `fragment`."""

_FIXED = {h5t.INTEGER, h5t.FLOAT, h5t.BITFIELD, h5t.OPAQUE, h5t.ENUM, h5t.REFERENCE, h5t.TIME}
"""Classes of types whose elements are as large as the type says; of strings, those that are not variable."""


def check_file(file: h5py.File, path: PurePath, ids: GuardFindings = RESULT) -> int:
    """Look at every link, dataset and attribute of a file, and read none of them.

    Returns
    -------
    int
        How many bytes of the file are no samples: no text in it can be longer.

    Raises
    ------
    Problem
        ``result.unsafe``, or ``result.unreadable`` for damage and for what goes over the budget; or those of `ids`.
    """
    with translate_errors(path, ids), _disable_plugins():
        size = file.id.get_filesize()
        checker = _FileChecker(path, size, ids)
        checker.check_group(h5g.open(file.id, b"/"), "", 0)
        if checker.stored > size:
            raise OverBudget(f"its datasets claim {checker.stored} stored bytes, the file has {size}")
        spare = int(size - checker.stored)
        for name, count in checker.texts:
            if count > 100 and count * spare > 16 * budget.TEXT_BYTES:
                raise OverBudget(f"the {count} texts of attribute {name} may take more than {budget.TEXT_BYTES} bytes")
        return spare


def check_members(file: h5py.File, path: PurePath, group: str, names: list[str]) -> bool:
    """The same for some scalar texts of one group and the way to it; False if there is no such group.

    Cheap, whatever else the file holds: for verbs that read nothing but these texts.
    """
    with translate_errors(path), _disable_plugins():
        size = file.id.get_filesize()
        checker = _FileChecker(path, size)
        place = h5g.open(file.id, b"/")
        for part in group.strip("/").split("/"):
            if not place.links.exists(part.encode()):
                return False
            child = checker.open_link(place, part.encode(), group)
            if not isinstance(child, h5g.GroupID):
                raise ValueError(f"{group} is no group")
            place = child
        for name in names:
            dataset = checker.open_link(place, name.encode(), f"{group}/{name}")
            if not isinstance(dataset, h5d.DatasetID):
                raise ValueError(f"{group}/{name} is no dataset")
            checker.check_dataset(dataset, f"{group}/{name}")
            kind = dataset.get_type()
            if dataset.shape != () or kind.get_class() != h5t.STRING or kind.get_size() > budget.JSON_BYTES:
                raise ValueError(f"{group}/{name} is no text")
        return True


@contextmanager
def translate_errors(path: PurePath, ids: GuardFindings = RESULT) -> Iterator[None]:
    """Damage and what is over the budget as a finding."""
    try:
        yield
    except Problem:
        raise
    except MemoryError as error:
        raise _make_problem(ids.unreadable, path, "it asks for more memory than there is") from error
    except DAMAGE as error:
        raise _make_problem(ids.unreadable, path, str(error)[:500] or repr(error)) from error


def _make_problem(id: str, path: PurePath, why: str) -> Problem:
    return problem(id, f"{path.name}: {why}", file=str(path))


@contextmanager
def _disable_plugins() -> Iterator[None]:
    """Without the folders from which HDF5 loads filters: groups can have filters of their own."""
    folders = [h5pl.get(i) for i in range(h5pl.size())]
    for _ in folders:
        h5pl.remove(0)
    try:
        yield
    finally:
        for folder in folders:
            h5pl.append(folder)


@dataclass(slots=True)
class _FileChecker:
    """One walk over a file."""

    path: PurePath
    size: int
    ids: GuardFindings = RESULT
    links: int = 0
    stored: int = 0
    texts: list[tuple[str, int]] = field(default_factory=list)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def check_group(self, group: h5g.GroupID, name: str, depth: int) -> None:
        """A group and all below it."""
        if depth > budget.DEPTH:
            raise OverBudget(f"groups are nested deeper than {budget.DEPTH} levels")
        if not self._is_new(group):
            raise self._make_unsafe_problem(f"{name or '/'} is a hard link to a group that has another name already")
        self._check_attributes(group, name or "/")
        for link in self._list_links(group):
            below = f"{name}/{link.decode('utf-8', 'backslashreplace')}"
            item = self.open_link(group, link, below)
            if isinstance(item, h5g.GroupID):
                self.check_group(item, below, depth + 1)
            elif item is not None and self._is_new(item):
                self._check_attributes(item, below)
                if isinstance(item, h5d.DatasetID):
                    self.check_dataset(item, below)

    def open_link(self, group: h5g.GroupID, link: bytes, name: str) -> Any:
        """What a hard link points to; None for a soft link, which stays within the file."""
        kind = group.links.get_info(link).type
        if kind == h5l.TYPE_SOFT:
            return None
        if kind == h5l.TYPE_EXTERNAL:
            raise self._make_unsafe_problem(f"{name} is a link into another file")
        if kind != h5l.TYPE_HARD:
            raise self._make_unsafe_problem(f"{name} is a link of a kind that is not HDF5's own ({kind})")
        return h5o.open(group, link)

    def check_dataset(self, dataset: h5d.DatasetID, name: str) -> None:
        """A dataset's storage, before its shape is asked for, which opens the files of a virtual one."""
        made = dataset.get_create_plist()
        if made.get_layout() == h5d.VIRTUAL:
            raise self._make_unsafe_problem(f"{name} is a virtual dataset, whose values lie elsewhere")
        if made.get_external_count():
            raise self._make_unsafe_problem(f"{name} keeps its values in another file")
        for i in range(made.get_nfilters()):
            code = made.get_filter(i)[0]
            if code not in FILTERS:
                raise self._make_unsafe_problem(f"{name} needs the HDF5 filter {code}, which is not one of HDF5's own")
        kind, shape = dataset.get_type(), dataset.shape or ()
        element = kind.get_size()
        whole, stored = prod(shape) * element, dataset.get_storage_size()
        if whole > budget.SMALL_BYTES and whole > budget.HDF5_RATIO * stored:
            raise OverBudget(f"{name} has {whole} bytes, of which {stored} are stored")
        if made.get_layout() == h5d.CHUNKED and prod(made.get_chunk()) * element > budget.CHUNK_BYTES:
            raise OverBudget(f"{name} has chunks of more than {budget.CHUNK_BYTES} bytes")
        self.stored += stored

    def _list_links(self, group: h5g.GroupID) -> list[bytes]:
        names: list[bytes] = []
        room = budget.HDF5_OBJECTS - self.links

        def add(name: bytes) -> bool | None:
            names.append(name)
            return True if len(names) > room else None

        group.links.iterate(add)
        self.links += len(names)
        if len(names) > room:
            raise OverBudget(f"it has more than {budget.HDF5_OBJECTS} objects")
        return names

    def _check_attributes(self, item: h5o.ObjectID, name: str) -> None:
        count = h5a.get_num_attrs(item)
        if count > budget.HDF5_ATTRIBUTES:
            raise OverBudget(f"{name} has {count} attributes, more than {budget.HDF5_ATTRIBUTES}")
        for i in range(count):
            attribute = h5a.open(item, index=i)
            shape = attribute.shape
            if shape and not _is_fixed_size(attribute.get_type()):
                self.texts.append((f"{name}@{attribute.name.decode('utf-8', 'replace')}", prod(shape)))
            elif shape and prod(shape) > self.size:
                raise OverBudget(f"{name} has an attribute that is larger than the file")

    def _is_new(self, item: h5o.ObjectID) -> bool:
        about = h5o.get_info(item)
        key = (about.fileno, about.addr)
        fresh = key not in self._seen
        self._seen.add(key)
        return fresh

    def _make_unsafe_problem(self, why: str) -> Problem:
        return _make_problem(self.ids.unsafe, self.path, why)


def _is_fixed_size(kind: h5t.TypeID) -> bool:
    """Whether each element is as large as its type says."""
    if kind.get_class() == h5t.STRING:
        return not kind.is_variable_str()
    return kind.get_class() in _FIXED


def read_elements(dataset: h5py.Dataset, spare: int, add: Callable[[Any], None]) -> None:
    """Hand over the elements of a dataset that are no plain numbers, in C order, a bounded number at a time.

    Parameters
    ----------
    spare
        The longest that a single text can be (see `check_file`): many may be one and the same in the file.

    Raises
    ------
    OverBudget
        There are more than `budget.HDF5_ROWS`, or reading them takes too many steps.
    """
    shape = dataset.shape  # h5py asks HDF5 each time
    count = prod(shape or ())  # None: it has no elements, and is no scalar either
    if count > budget.HDF5_ROWS:
        raise OverBudget(f"{dataset.name} has {count} elements, more than {budget.HDF5_ROWS}")
    if not shape or count * max(spare, 1) <= budget.TEXT_BYTES:
        add(dataset[()])
        return
    inner = max(1, prod(shape[1:]))
    rows = max(1, budget.TEXT_BYTES // max(1, spare) // inner)
    if inner * spare > 4 * budget.TEXT_BYTES or len(dataset) / rows > budget.HDF5_ROWS / 10:
        raise OverBudget(f"the texts of {dataset.name} may take more than {budget.TEXT_BYTES} bytes")
    for start in range(0, len(dataset), rows):
        add(dataset[start : start + rows])


def read_texts(dataset: h5py.Dataset, selection: tuple[slice, ...], spare: int) -> np.ndarray:
    """A block of texts as numpy's ``StringDType``, a bounded number of them at a time.

    Raises
    ------
    OverBudget
        They take more than `budget.TEXT_BYTES` (see `read_elements`).
    ValueError
        One is not UTF-8.
    """
    rows, *others = selection
    inner = prod(s.stop - s.start for s in others)
    if inner * spare > 4 * budget.TEXT_BYTES:
        raise OverBudget(f"the texts of {dataset.name} may take more than {budget.TEXT_BYTES} bytes")
    step = max(1, budget.TEXT_BYTES // max(1, spare) // max(1, inner))
    room, parts = budget.TEXT_BYTES, []
    for start in range(rows.start, rows.stop, step):
        part = dataset.asstr()[(slice(start, min(start + step, rows.stop)), *others)]
        room -= sum(len(text) for text in part.ravel())
        if room < 0:
            raise OverBudget(f"the texts of {dataset.name} take more than {budget.TEXT_BYTES} bytes")
        parts.append(part.astype(np.dtypes.StringDType()))
    return np.concatenate(parts) if parts else np.empty((0,), np.dtypes.StringDType())
