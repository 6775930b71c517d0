"""The objects of an HDF5 file by their places, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5l, h5t

_TEXT = h5py.string_dtype()
_TEXT_ID = h5t.py_create(_TEXT)
_NUMBERS = (h5t.TypeIntegerID, h5t.TypeFloatID)


def walk_objects(
    group: h5py.Group, path: str, excluded: Collection[str] = ()
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """All groups and datasets from one on, in the order of their names; soft links are left to the group that has them.

    The file must have been looked at (see `guard`): nothing else keeps this from going round in circles.
    """
    yield path, group
    for name in sorted(group):
        below = f"{path.rstrip('/')}/{name}"
        if below in excluded or not is_hard_link(group, name):
            continue
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from walk_objects(item, below, excluded)
        else:
            yield below, item


def get_address(item: h5py.Group | h5py.Dataset) -> int:
    """What two names of one object share."""
    address: int = h5py.h5o.get_info(item.id).addr
    return address


def is_hard_link(group: h5py.Group, name: str) -> bool:
    """Whether a member of a group is an object of its own, and not a reference to a place."""
    return bool(group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type == h5l.TYPE_HARD)


def read_attributes(item: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """All attributes by their names, sorted, as `h5py.AttributeManager` gives them."""
    return {name: _read_attribute(item, name) for name in sorted(item.attrs)}


def _read_attribute(item: h5py.Group | h5py.Dataset, name: str) -> Any:
    """One of them; single texts and numbers, as most are, in a quarter of h5py's time."""
    attribute = h5a.open(item.id, name.encode("utf-8", "surrogateescape"))
    if attribute.shape == ():
        kind = attribute.get_type()
        if type(kind) in _NUMBERS:
            number = np.zeros((), kind.dtype)
            attribute.read(number)
            return number[()]
        if isinstance(kind, h5t.TypeStringID) and kind.is_variable_str() and kind.get_cset() == h5t.CSET_UTF8:
            text: Any = np.zeros((), _TEXT)
            attribute.read(text, mtype=_TEXT_ID)
            return text[()].decode("utf-8", "surrogateescape")
    return item.attrs[name]
