"""What both sorts of SONATA files share: members of groups under the names that dialects have, texts and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from ...model.content import LazyArray
from ...model.finding import problem
from . import SECONDS

DEFAULT_UNIT = "ms"
"""Of times without a unit, as the format's specification has it."""
NODES = ("node_ids", "gids")
"""What the ids of nodes are called, today and in the first files of the Allen Institute."""
BLOCK = 2**18
"""Elements of a column that are read at once."""
LONGEST = 200
"""Characters of a name or of an attribute; longer ones, and control characters, are no symbols of units or the like."""
_LONG = {"millisecond": "ms", "milliseconds": "ms", "second": "s", "seconds": "s", "sec": "s"}


def find_member(group: h5py.Group, *names: str) -> Any:
    """The first member of one of these names that a hard link leads to; None where there is none."""
    for name in names:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            return group[name]
    return None


def list_groups(group: h5py.Group) -> dict[str, h5py.Group]:
    """Groups within a group by name; those that a soft link leads to have another name already."""
    found = {name: find_member(group, name) for name in sorted(group)}
    return {name: item for name, item in found.items() if isinstance(item, h5py.Group)}


def clean_name(name: str) -> str:
    """A name that is UTF-8, whatever bytes the file has."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def find_vector(group: h5py.Group, *names: str, kinds: str = "iu", needed: bool = True) -> h5py.Dataset | None:
    """A dataset of numbers along one axis.

    Raises
    ------
    ValueError
        It is something else, or not there although `needed`.
    """
    item = find_member(group, *names)
    if item is None and not needed:
        return None
    place = f"{clean_name(str(group.name)).rstrip('/')}/{names[0]}"
    if not isinstance(item, h5py.Dataset):
        raise ValueError(f"there is no dataset {place}")
    if item.shape is None or len(item.shape) != 1 or item.dtype.kind not in kinds or item.dtype.itemsize > 8:
        what = "whole numbers" if kinds == "iu" else "numbers"
        raise ValueError(f"{place} is no list of {what}: it is {item.dtype} of shape {item.shape}")
    return item


def read_text(item: h5py.HLObject, *names: str) -> str:
    """An attribute's text, by the first of these names that there is; of an enumeration the name of its value."""
    for name in names:
        if name not in item.attrs:
            continue
        value = np.asarray(item.attrs[name])
        if value.size != 1:
            continue
        one = value.ravel()[0]
        enumeration = h5py.check_enum_dtype(item.attrs.get_id(name).dtype)
        known = {number: text for text, number in enumeration.items()} if enumeration else {}
        text = known.get(int(one), str(one)) if known else one
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else clean_name(str(text))
        text = text.strip()
        return text if len(text) <= LONGEST and text.isprintable() else ""
    return ""


def find_time_unit(item: h5py.HLObject, key: str, options: Mapping[str, Any]) -> str:
    """Symbol of the unit of times.

    Raises
    ------
    Problem
        ``sonata.unit``: the file states one that is no unit of time, and nobody states another.
    """
    stated = read_text(item, "units", "unit")
    unit = _LONG.get(stated, stated) or DEFAULT_UNIT
    if unit in SECONDS:
        return unit
    if "time_unit" in options:
        return str(options["time_unit"])
    place = clean_name(str(item.name))
    message = f"{key}: {place} has the unit {stated[:40]!r}, which is no unit of time"
    hint = f'State it: [options."{key}"] time_unit = "ms"'
    raise problem("sonata.unit", message, hint=hint, file=key, value=stated[:80])


def make_array(name: str, data: np.ndarray, axis: str) -> LazyArray:
    """A column that lies in memory."""
    return LazyArray(name, data.shape, data.dtype, (axis,), data.__getitem__, data.shape)
