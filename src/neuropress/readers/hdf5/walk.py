"""The objects of an HDF5 file by their places, each once.

A session of 500 sweeps has 3,000 objects and 13,000 attributes, and h5py's high level makes up to ten identifiers for
each of them: what all files have many of is read by the low level here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from operator import itemgetter
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5t

_TEXT = h5py.string_dtype()
_TEXT_ID = h5t.py_create(_TEXT)
_DOUBLE = h5t.IEEE_F64LE
_NUMBERS = (h5t.TypeIntegerID, h5t.TypeFloatID)


def walk_objects(
    group: h5py.Group, path: str, excluded: Collection[str] = ()
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """All groups and datasets from one on, in the order of their names; soft links are left to the group that has them.

    The file must have been looked at (see `guard`): nothing else keeps this from going round in circles.
    """
    yield from _walk(group, path, excluded, group.file.mode == "r")


def _walk(
    group: h5py.Group, path: str, excluded: Collection[str], readonly: bool
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    yield path, group
    for name, is_hard in list_links(group).items():
        below = f"{path.rstrip('/')}/{name}"
        if not is_hard or below in excluded:
            continue
        opened = h5o.open(group.id, name.encode("utf-8", "surrogateescape"))
        if isinstance(opened, h5g.GroupID):
            yield from _walk(h5py.Group(opened), below, excluded, readonly)
        else:
            is_dataset = isinstance(opened, h5d.DatasetID)
            yield below, h5py.Dataset(opened, readonly=readonly) if is_dataset else group[name]


def list_links(group: h5py.Group) -> dict[str, bool]:
    """The members of a group, sorted, and whether each is an object of its own and not a reference to a place."""
    found: list[tuple[str, bool]] = []

    def add(name: bytes, info: Any) -> None:
        found.append((name.decode("utf-8", "surrogateescape"), info.type == h5l.TYPE_HARD))

    group.id.links.iterate(add, info=True)
    return dict(sorted(found))


def get_address(item: h5py.Group | h5py.Dataset) -> int:
    """What two names of one object share."""
    address: int = h5o.get_info(item.id).addr
    return address


def is_hard_link(group: h5py.Group, name: str) -> bool:
    """Whether a member of a group is an object of its own, and not a reference to a place."""
    return bool(group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type == h5l.TYPE_HARD)


def read_attributes(item: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """All attributes by their names, sorted, as `h5py.AttributeManager` gives them."""
    names: list[bytes] = []
    h5a.iterate(item.id, names.append)
    found = [(name.decode("utf-8", "surrogateescape"), _read_attribute(item, name)) for name in names]
    return dict(sorted(found, key=itemgetter(0)))


def _read_attribute(item: h5py.Group | h5py.Dataset, name: bytes) -> Any:
    """One of them; single texts and numbers, as most are, in a quarter of h5py's time."""
    attribute = h5a.open(item.id, name)
    if attribute.shape == ():
        kind = attribute.get_type()
        if type(kind) is h5t.TypeStringID:
            if kind.is_variable_str() and kind.get_cset() == h5t.CSET_UTF8:
                text: Any = np.empty((), _TEXT)
                attribute.read(text, mtype=_TEXT_ID)
                return text[()].decode("utf-8", "surrogateescape")
        elif type(kind) in _NUMBERS:
            is_double = kind.equal(_DOUBLE)
            number = np.empty((), "<f8" if is_double else kind.dtype)
            attribute.read(number, mtype=_DOUBLE if is_double else None)
            return number[()]
    return item.attrs[name.decode("utf-8", "surrogateescape")]
