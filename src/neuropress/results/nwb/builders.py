"""Writes hdmf's builders, the tree that hdmf makes of an `NWBFile`, as HDF5.

hdmf's own writer checks the arguments of each of its calls, and formats messages for a log that nobody reads: writing
500 sweeps took it longer than reading and packing them. What it makes is kept, object by object and in its order; the
arrays of raw files are declared as they will be stored: hdmf knows neither records nor texts without their data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5r, h5s, h5t
from hdmf.backends.hdf5 import HDF5IO, H5SpecWriter
from hdmf.backends.utils import NamespaceToBuilderHelper
from hdmf.build import GroupBuilder, ReferenceBuilder

from ...model.plan import ArraySpec
from .storage import declare_array, make_dataset_properties, make_object_id

_SPECIFICATIONS = "specifications"
_SPECIFICATIONS_AT = ".specloc"
"""The attribute of the file by which hdmf finds them."""
_NAMESPACE = "namespace"
"""The scalar with a namespace, beside its specifications, as hdmf looks for it."""
_TEXT = h5py.string_dtype()
_UTF8 = "utf-8"
_TEXT_TYPES = h5t.py_create(_TEXT, logical=True), h5t.py_create(_TEXT)
"""In the file, and in memory."""
_SCALAR = h5s.create(h5s.SCALAR)
_NUMBERS = "iuf"
type _Types = tuple[h5t.TypeID, h5t.TypeID]


class BuilderWriter:
    """Writes one tree of builders into a new file."""

    def __init__(self, file: h5py.File, arrays: Mapping[str, ArraySpec]) -> None:
        self._file = file
        self._arrays = arrays
        self._references: list[Callable[[], None]] = []
        """What refers to other objects, to be written when all of them are there."""

    def write(self, root: Any) -> None:
        """Write all of it. Raises `TypeError` or `ValueError` for a value that HDF5 cannot hold."""
        _name_objects(root, root.datasets["identifier"].data, "")
        self._write_members(self._file.id, root, "")
        while self._references:
            self._references.pop(0)()

    def _write_members(self, group: h5g.GroupID, builder: Any, path: str) -> None:
        for name, child in builder.groups.items():
            made = h5g.create(group, name.encode(), lcpl=_make_link_properties(name))
            self._write_members(made, child, f"{path}/{name}")
        for name, child in builder.datasets.items():
            self._write_dataset(group, name, child, f"{path}/{name}")
        for name, link in builder.links.items():
            group.links.create_soft(name.encode(), _find_path(link.builder).encode(), lcpl=_make_link_properties(name))
        self._write_attributes(group, builder.attributes)

    def _write_dataset(self, group: h5g.GroupID, name: str, builder: Any, path: str) -> None:
        if path in self._arrays:
            dataset = declare_array(h5py.Group(group), name, self._arrays[path]).id
        elif isinstance(builder.data, str):
            dataset = _write_text(group, name, builder.data)
        elif _has_references(builder):
            self._references.append(self._declare_references(group, name, builder))
            return
        else:
            dataset = _write_values(group, name, builder)
        self._write_attributes(dataset, builder.attributes)

    def _write_attributes(self, item: Any, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            if isinstance(value, ReferenceBuilder):
                self._references.append(lambda name=name, value=value: self._write_reference(item, name, value))  # type: ignore[misc]
            elif isinstance(value, str):
                _write_attribute(item, name, np.asarray(value, _TEXT), _TEXT_TYPES)
            elif isinstance(value, (float, int, np.number, np.bool_)):
                _write_attribute(item, name, np.asarray(value))
            else:
                values = np.asarray(value)
                _write_attribute(item, name, values.astype(_TEXT) if values.dtype.kind == "U" else values)

    def _write_reference(self, item: Any, name: str, value: Any) -> None:
        _write_attribute(item, name, np.asarray(self._refer(value), h5py.ref_dtype))

    def _refer(self, value: Any) -> h5r.Reference:
        return h5r.create(self._file.id, _find_path(value.builder).encode(), h5r.OBJECT)

    def _declare_references(self, group: h5g.GroupID, name: str, builder: Any) -> Callable[[], None]:
        """A column of references to objects, or of records with some; what fills it."""
        dtype = HDF5IO.__resolve_dtype__(builder.dtype, builder.data)
        shape = () if isinstance(builder.data, ReferenceBuilder) else (len(builder.data),)
        dataset = h5py.Group(group).create_dataset(name, shape, dtype)

        def fill() -> None:
            dataset[...] = np.array(self._find_references(builder.data), dataset.dtype)
            self._write_attributes(dataset.id, builder.attributes)

        return fill

    def _find_references(self, data: Any) -> Any:
        if isinstance(data, ReferenceBuilder):
            return self._refer(data)
        if isinstance(data, tuple):
            return tuple(self._find_references(part) for part in data)
        return [self._find_references(part) for part in data] if isinstance(data, list) else data


def _name_objects(builder: Any, identifier: str, path: str) -> None:
    """Replace the random ids that hdmf gives to all objects, and for which it has no setter."""
    if "object_id" in builder.attributes:
        builder.attributes["object_id"] = make_object_id(identifier, path or "/")
    if isinstance(builder, GroupBuilder):
        for name, child in (*builder.groups.items(), *builder.datasets.items()):
            _name_objects(child, identifier, f"{path}/{name}")


def _find_path(builder: Any) -> str:
    """Where an object will lie."""
    names: list[str] = []
    while builder.parent is not None:
        names.append(builder.name)
        builder = builder.parent
    return "/" + "/".join(reversed(names))


def _has_references(builder: Any) -> bool:
    if isinstance(builder.dtype, list):
        return any(isinstance(part["dtype"], Mapping) for part in builder.dtype)
    return bool(builder.dtype == "object")


@cache
def _make_text_links() -> h5p.PropLCID:
    properties = h5p.create(h5p.LINK_CREATE)
    properties.set_char_encoding(h5t.CSET_UTF8)
    return properties


def _make_link_properties(name: str) -> h5p.PropLCID | None:
    return None if name.isascii() else _make_text_links()


def _write_text(group: h5g.GroupID, name: str, text: str) -> h5d.DatasetID:
    """A scalar text."""
    return _write_scalar(group, name, np.asarray(text, _TEXT), _TEXT_TYPES)


def _write_scalar(group: h5g.GroupID, name: str, value: np.ndarray, types: _Types) -> h5d.DatasetID:
    stored, given = types
    links = _make_link_properties(name)
    made = h5d.create(group, name.encode(), stored, _SCALAR, make_dataset_properties(), links)
    made.write(h5s.ALL, h5s.ALL, value, given)
    return made


def _write_values(group: h5g.GroupID, name: str, builder: Any) -> h5d.DatasetID:
    """Numbers, lists and arrays, of the type that hdmf takes for them."""
    data, dtype = builder.data, builder.dtype
    dtype = np.dtype(dtype if isinstance(dtype, type) else HDF5IO.__resolve_dtype__(dtype, data))
    is_text = h5py.check_string_dtype(dtype) == (_UTF8, None)
    if not (name.isascii() and (is_text or dtype.kind in _NUMBERS)):
        fill = HDF5IO.__scalar_fill__ if np.ndim(data) == 0 else HDF5IO.__list_fill__
        return fill(h5py.Group(group), name, data, {"dtype": builder.dtype, "io_settings": {}}).id
    values = np.asarray(data, dtype)
    types = _TEXT_TYPES if is_text else _find_types(values.dtype)
    if not values.ndim:
        return _write_scalar(group, name, values, types)
    stored, given = types
    space, links = h5s.create_simple(values.shape), _make_link_properties(name)
    made = h5d.create(group, name.encode(), stored, space, make_dataset_properties(), links)
    if values.size:
        made.write(h5s.ALL, h5s.ALL, values, given)
    return made


def _write_attribute(item: Any, name: str, value: np.ndarray, types: _Types | None = None) -> None:
    stored, given = types or _find_types(value.dtype)
    space = h5s.create_simple(value.shape) if value.ndim else _SCALAR
    h5a.create(item, name.encode(), stored, space).write(value, given)


def _find_types(dtype: np.dtype[Any]) -> _Types:
    """A type in the file and in memory; h5py would make new ones each time."""
    if dtype.kind not in _NUMBERS:  # numpy takes references and texts for equal
        return h5t.py_create(dtype, logical=True), h5t.py_create(dtype)
    return _make_number_types(dtype)


@cache
def _make_number_types(dtype: np.dtype[Any]) -> _Types:
    return h5t.py_create(dtype, logical=True), h5t.py_create(dtype)


@cache
def _list_specifications(types: Any) -> tuple[tuple[str, str, str], ...]:
    """Namespace with its version, source and JSON of all specifications of a type map, as hdmf caches them in files."""
    found = []
    with h5py.File("specifications", "w", driver="core", backing_store=False) as scratch:
        for name in types.namespace_catalog.namespaces:
            namespace = types.namespace_catalog.get_namespace(name)
            group = scratch.create_group(f"{name}/{namespace.version}")
            builder = NamespaceToBuilderHelper.convert_namespace(types.namespace_catalog, name)
            builder.export(_NAMESPACE, writer=H5SpecWriter(group))
            found += [(f"{name}/{namespace.version}", *item) for item in _list_texts(group)]
    return tuple(found)


def _list_texts(group: h5py.Group) -> Iterator[tuple[str, str]]:
    for name, item in group.items():
        yield name, item.asstr()[()]


def write_specifications(file: h5py.File, types: Any) -> None:
    """Cache the specifications in a file, so that any pynwb reads it without the extensions."""
    group = file.create_group(_SPECIFICATIONS)
    file.attrs[_SPECIFICATIONS_AT] = group.ref
    for place, name, text in _list_specifications(types):
        _write_text(group.require_group(place).id, name, text)
