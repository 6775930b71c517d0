"""Digests of everything in an NWB file that is no raw sample: any later change is found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod
from typing import Any

import h5py
import numpy as np
from h5py import h5l, h5o, h5r, h5s

from ...model import budget
from ...model.budget import OverBudget
from ...model.plan import digest
from ...model.receipt import block_digest, blocks, root_digest
from ...readers.hdf5.guard import read_elements
from ...readers.hdf5.walk import get_address, list_links, read_attributes, walk_objects

EXCLUDED = ("/specifications", "/general/neuropress")
"""The cached schema, and our own provenance, which holds the digests."""

ROWS_BYTES = 8 * 1024**2


type Paths = dict[int, str]
"""Address in the file -> path; asking HDF5 for a referenced object's name costs a search each time."""


def digest_objects(
    file: h5py.File, arrays: Collection[str], spare: int = 0, excluded: Collection[str] = EXCLUDED
) -> dict[str, str]:
    """Path -> SHA-256 of the object: its attributes, its members or links, its shape, type and data.

    Parameters
    ----------
    arrays
        Paths of datasets whose samples the receipt proves by themselves; of these,
        everything but the samples is taken.
    spare
        The longest that a text of the file can be, where it is not known who wrote it (see `guard.check_file`).
    excluded
        Paths that are left out, with all below them.
    """
    paths: Paths = {}
    found: dict[str, str] = {}
    referring = []
    # One after the other: an object that is open takes 40 kB.
    for path, item in walk_objects(file, "/", excluded):
        paths[get_address(item)] = path
        try:
            found[path] = digest(describe_object(item, path in arrays, None, spare))
        except _RefersToOthers:
            referring.append(path)
            found[path] = ""
    for path in referring:
        found[path] = digest(describe_object(file[path], path in arrays, paths, spare))
    return found


def digest_named(file: h5py.File, arrays: Collection[str], known: Mapping[str, str]) -> dict[str, str]:
    """The same of those objects alone whose digest is not known."""
    return {path: digest(describe_object(file[path], path in arrays, {}, 0)) for path in known if not known[path]}


class _RefersToOthers(Exception):
    """An object cannot be described before the places of all others are known."""


def describe_object(item: h5py.Group | h5py.Dataset, proven: bool, paths: Paths | None, spare: int) -> dict[str, Any]:
    """Attributes, members or links, shape, type and data as JSON; of what is proven otherwise all but the data."""
    attributes = {name: _to_plain_json(value, item, paths) for name, value in read_attributes(item).items()}
    if isinstance(item, h5py.Group):
        members = {name: "" if is_hard else _describe_link(item, name) for name, is_hard in list_links(item).items()}
        return {"attributes": attributes, "members": members}
    shape, dtype = item.shape, item.dtype  # h5py asks HDF5 each time
    about = {"attributes": attributes, "shape": shape, "dtype": _format_dtype(dtype)}
    return about if proven else {**about, "data": _digest_data(item, shape, dtype, paths, spare)}


def _describe_link(group: h5py.Group, name: str) -> str:
    links, key = group.id.links, name.encode("utf-8", "surrogateescape")
    if links.get_info(key).type == h5l.TYPE_SOFT:
        return f"-> {links.get_val(key).decode('utf-8', 'surrogateescape')}"
    link = group.get(name, getlink=True)
    return f"-> {link.filename}:{link.path}" if isinstance(link, h5py.ExternalLink) else ""


def _format_dtype(dtype: np.dtype[Any]) -> str:
    return str(dtype.newbyteorder("<")) if dtype.kind in "iufb" else str(dtype)


def _digest_data(
    dataset: h5py.Dataset, shape: tuple[int, ...] | None, dtype: np.dtype[Any], paths: Paths | None, spare: int
) -> Any:
    if dtype.kind in "iuf" and shape == ():
        number = np.empty((), dtype)
        dataset.id.read(h5s.ALL, h5s.ALL, number)
        return _to_plain_json(number[()], dataset, paths)
    if dtype.kind not in "iufb" or not shape:
        return _digest_elements(dataset, paths, spare)
    row = max(1, dtype.itemsize * prod(shape[1:]))
    if row > budget.BLOCK_BYTES:
        raise OverBudget(f"a row of {dataset.name} has {row} bytes, more than {budget.BLOCK_BYTES}")
    extent = (max(1, ROWS_BYTES // row), *(max(1, n) for n in shape[1:]))
    return root_digest([block_digest(dataset[part], "sha256") for part in blocks(shape, extent)])


def _digest_elements(dataset: h5py.Dataset, paths: Paths | None, spare: int) -> Any:
    """Texts, references and compounds as JSON; all that came before is counted before more is read."""
    parts: list[Any] = []
    room = budget.TEXT_BYTES

    def add(part: Any) -> None:
        nonlocal room
        plain = _to_plain_json(part, dataset, paths)
        if isinstance(plain, list):
            room -= sum(len(item) for item in plain if isinstance(item, str))
        if room < 0:
            raise OverBudget(f"the texts of {dataset.name} take more than {budget.TEXT_BYTES} bytes")
        parts.append(plain)

    read_elements(dataset, spare, add)
    return parts[0] if len(parts) == 1 else [item for part in parts for item in part]


def _to_plain_json(value: Any, item: h5py.Group | h5py.Dataset, paths: Paths | None) -> Any:
    """A value as JSON: references as the path of what they point to, floats exact in hexadecimal."""
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, h5py.Reference):
        return _format_reference(value, item, paths)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, np.void):
        return [_to_plain_json(part, item, paths) for part in value.item()]
    if isinstance(value, np.ndarray):
        return [_to_plain_json(part, item, paths) for part in value]
    return _to_plain_json(value.item(), item, paths) if isinstance(value, np.generic) else value


def _format_reference(reference: h5py.Reference, item: h5py.Group | h5py.Dataset, paths: Paths | None) -> str:
    if not reference:
        return "ref"
    if paths is None:
        raise _RefersToOthers
    target = h5r.dereference(reference, item.id)
    if target is None:
        raise ValueError(f"{item.name} refers to nothing that is there")
    return f"ref {paths.get(h5o.get_info(target).addr) or item.file[reference].name}"
