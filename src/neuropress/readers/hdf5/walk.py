"""The objects of an HDF5 file by their places, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import h5py


def walk_objects(
    group: h5py.Group, path: str, excluded: Collection[str] = ()
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """All groups and datasets from one on, in the order of their names; soft links are left to the group that has them.

    The file must have been looked at (see `guard`): nothing else keeps this from going round in circles.
    """
    yield path, group
    for name in sorted(group):
        below = f"{path.rstrip('/')}/{name}"
        if below in excluded or not isinstance(group.get(name, getlink=True), h5py.HardLink):
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
