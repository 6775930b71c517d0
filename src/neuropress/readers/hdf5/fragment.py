"""NWB files that another program exported: the arrays in them, and what objects need to be taken over whole.

Nothing here knows any type of NWB: attributes, links and references are read as HDF5 has them, and the
specifications that the file brings along are read as JSON for one question, which type is derived from which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import h5py
import numpy as np
from h5py import h5t

from ...model import budget
from ...model.budget import OverBudget
from ...model.content import Exported, Fragment, LazyArray
from ...model.elements import TEXT, digest_elements, element_text, element_type
from ...model.finding import problem
from ...model.graft import Graft, Reference, find_above
from ...model.source import Source
from ..stamp import check_unchanged
from .guard import GuardFindings, check_file, read_texts
from .schemas import CORE, NAMESPACES, find_base, read_schemas
from .stream import RawStream
from .walk import get_address, walk_objects

FRAGMENT = GuardFindings("fragment.unsafe", "fragment.unreadable")
_HEADER = ("identifier", "session_description", "was_generated_by")
_OWN = ("namespace", "neurodata_type", "object_id")
"""Attributes that say what an object is, not what somebody stated of it."""
MODULE = "ProcessingModule"
_LISTED = 10_000
"""Places that are looked through for one like that which was asked for."""
_PLAIN = (h5t.INTEGER, h5t.FLOAT, h5t.STRING, h5t.ENUM)


@dataclass(frozen=True, slots=True)
class FragmentFile:
    """A fragment that is open and was looked at.

    Attributes
    ----------
    key
        Its key among the raw files.
    spare
        How long a text in it can be (see `guard.check_file`).
    paths, places
        Address of each object -> its place, the first of several; all places.
    translate_errors
        Damage and what is over the budget as a finding.
    """

    key: str
    file: h5py.File
    spare: int
    paths: Mapping[int, str]
    places: frozenset[str]
    translate_errors: Callable[[], AbstractContextManager[None]]

    def find_object(self, path: str) -> h5py.Group | h5py.Dataset:
        """The object at a place, which no soft link leads to. Raises `Problem` (``fragment.missing``)."""
        if path in self.places:
            return self.file[path]
        close = get_close_matches(path, sorted(self.places)[:_LISTED], n=3, cutoff=0.5)
        hint = f"; there are {', '.join(close)}" if close else ""
        raise problem("fragment.missing", f"{self.key} has no object {path[:200]}{hint}", file=self.key)

    def find_target(self, reference: h5py.Reference) -> str:
        """The place that a reference leads to; empty if it is no object of the session."""
        with self.translate_errors():
            return self.paths.get(get_address(self.file[reference]), "") if reference else ""

    def find_linked(self, group: h5py.Group, name: str) -> str:
        """The place that a soft link leads to, by whatever links; empty if it is no object of the session."""
        try:
            return self.paths.get(get_address(group[name]), "")
        except (KeyError, RuntimeError):  # nothing there, or links that go round in a circle
            return ""


@contextmanager
def open_fragment(source: Source) -> Iterator[FragmentFile]:
    """A fragment, after it was looked at.

    Raises
    ------
    Problem
        ``fragment.unsafe``, ``fragment.unreadable``.
    """
    with RawStream(source, FRAGMENT) as stream:
        fragment = _look_at(stream, source.key)
        with fragment.file:
            yield fragment


def _look_at(stream: RawStream, key: str) -> FragmentFile:
    with stream.translate_errors():
        file = h5py.File(stream, "r")
        spare = check_file(file, PurePosixPath(key), FRAGMENT)
        paths: dict[int, str] = {}
        places = set()
        for path, item in walk_objects(file, "/", (NAMESPACES,)):
            places.add(path)
            paths.setdefault(get_address(item), path)
        if "nwb_version" not in file.attrs:
            raise ValueError("it has no nwb_version, so it is no NWB file")
        return FragmentFile(key, file, spare, paths, frozenset(places), stream.translate_errors)


def read_fragment(source: Source, format: str) -> Fragment:
    """A fragment's content: every array in it by its place, and the objects for converters to choose from.

    Parameters
    ----------
    format
        Name of the reader's format.

    Raises
    ------
    Problem
        ``fragment.unsafe``, ``fragment.unreadable``.
    """
    stamp = source.stamp()
    stream = RawStream(source, FRAGMENT)
    try:
        fragment = _look_at(stream, source.key)

        def read(path: str, selection: tuple[slice, ...]) -> np.ndarray:
            check_unchanged(source.stamp(), stamp, source.key)
            with fragment.translate_errors():
                return _read_array(fragment, path, selection)

        def close() -> None:
            fragment.file.close()
            stream.close()

        with fragment.translate_errors():
            arrays = {
                path: _make_array(path, fragment.file[path], partial(read, path))
                for path in sorted(fragment.places)
                if is_array(fragment.file[path])
            }
            header = {name: _read_header(fragment, name) for name in _HEADER if name in fragment.file}
            started = _read_start(fragment)
            objects = _list_outermost(fragment)
        describe = partial(describe_object, fragment)
        return Fragment(
            "", format, {}, header, arrays, close=close, started=started, describe=describe, objects=objects
        )
    except BaseException:
        stream.close()
        raise


def _list_outermost(fragment: FragmentFile) -> dict[str, str]:
    """Place and type of each object that lies in no other one but the file and its processing modules."""
    found: dict[str, str] = {}
    for path in sorted(fragment.places - {"/"}):
        above = find_above(path.rpartition("/")[0], found)
        if above is None or found[above] == MODULE:
            type, _ = _get_type(fragment.file[path])
            if type:
                found[path] = type
    return found


def _read_header(fragment: FragmentFile, name: str) -> Any:
    item = fragment.file[name]
    if not isinstance(item, h5py.Dataset) or not item.size or item.size * fragment.spare > budget.TEXT_BYTES:
        raise ValueError(f"its {name} is no text")
    return to_plain_json(item[()])


def _read_start(fragment: FragmentFile) -> datetime | None:
    """What the times of the file count from."""
    for name in ("timestamps_reference_time", "session_start_time"):
        if name in fragment.file:
            return datetime.fromisoformat(str(_read_header(fragment, name)))
    return None


def is_array(item: h5py.Group | h5py.Dataset) -> bool:
    """Whether the elements can be told one by one: numbers, records of numbers or texts along at least one axis."""
    if not isinstance(item, h5py.Dataset) or not item.shape:
        return False
    dtype = item.dtype
    if h5py.check_string_dtype(dtype) is not None:
        return True
    if h5py.check_enum_dtype(dtype) is not None or dtype.hasobject or dtype.subdtype:
        return False
    try:
        known = element_type(element_text(dtype))
    except ValueError:
        return False
    return bool(known == _make_little(dtype))


def _make_little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<") if dtype.kind != "b" else dtype


def _make_array(path: str, dataset: h5py.Dataset, read: Callable[[tuple[slice, ...]], np.ndarray]) -> LazyArray:
    is_text = h5py.check_string_dtype(dataset.dtype) is not None
    dtype = element_type(TEXT) if is_text else dataset.dtype.newbyteorder("=")
    shape = tuple(dataset.shape)
    return LazyArray(path, shape, dtype, ("q",) * len(shape), read, dataset.chunks or shape)


def _read_array(fragment: FragmentFile, path: str, selection: tuple[slice, ...]) -> np.ndarray:
    dataset = fragment.file[path]
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return read_texts(dataset, selection, fragment.spare)
    block: np.ndarray = dataset[selection]
    return block.astype(dataset.dtype.newbyteorder("="), copy=False)


def describe_object(fragment: FragmentFile, path: str) -> Exported:
    """All that a plan must know of an object and what is below it.

    Raises
    ------
    Problem
        ``fragment.missing``; ``fragment.unsupported``: it cannot be taken over as it is; ``fragment.reference``: a
        link in it leads nowhere; ``fragment.schema``; ``fragment.unreadable``.
    """
    root = fragment.find_object(path)
    with fragment.translate_errors():
        type, namespace = _get_type(root)
        if not type:
            message = f"{fragment.key}: {path} has no neurodata_type, so nothing says where it may lie"
            raise problem("fragment.unsupported", message, file=fragment.key, array=path)
        objects = dict(_walk_below(root, path))
        arrays = {place.removeprefix(f"{path}/"): place for place, item in objects.items() if is_array(item)}
        if path in objects and is_array(root):
            raise problem("fragment.unsupported", f"{fragment.key}: {path} is an array by itself", file=fragment.key)
        namespaces = {name for item in objects.values() if (name := _get_type(item)[1])} - {*CORE, ""}
        schemas = read_schemas(fragment.file, fragment.key, sorted(namespaces))
        base = find_base(fragment.key, schemas, type, namespace)
        references = _find_references(fragment, path, objects)
        graft = Graft(fragment.key, path, base, references, {name: one.digest for name, one in schemas.items()})
        return Exported(graft, type, _collect_fields(path, objects), arrays)


def _walk_below(root: h5py.Group | h5py.Dataset, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(root, h5py.Dataset):
        yield path, root
        return
    for number, (place, item) in enumerate(walk_objects(root, path)):
        if number >= budget.FRAGMENT_OBJECTS:
            raise OverBudget(f"{path} has more than {budget.FRAGMENT_OBJECTS} objects")
        yield place, item


def _get_type(item: h5py.Group | h5py.Dataset) -> tuple[str, str]:
    """Type and namespace of an object; empty where it has none."""
    found = [to_plain_json(item.attrs.get(name, "")) for name in ("neurodata_type", "namespace")]
    if not all(isinstance(text, str) for text in found):
        raise ValueError(f"the type of {item.name} is no text")
    return found[0], found[1]


def _find_references(fragment: FragmentFile, path: str, objects: Mapping[str, Any]) -> dict[str, Reference]:
    """Every place outside that something below leads to; what cannot be taken over is refused on the way."""
    found: dict[str, Reference] = {}
    for place, item in objects.items():
        for where, target in _list_targets(fragment, place, item):
            if not target:
                message = f"{fragment.key}: {where} leads to nothing, or to no object of the session"
                raise problem("fragment.reference", message, file=fragment.key, array=where)
            if target == path or target.startswith(f"{path}/") or target in found:
                continue
            found[target] = _describe_target(fragment, target)
    return dict(sorted(found.items()))


def _describe_target(fragment: FragmentFile, path: str) -> Reference:
    item = fragment.file[path]
    return Reference(_get_type(item)[0], digest_row_ids(item))


def digest_row_ids(item: Any) -> str:
    """Digest of a table's row ids; empty of what is no table."""
    ids = item.get("id") if isinstance(item, h5py.Group) else None
    if not isinstance(ids, h5py.Dataset) or ids.ndim != 1 or ids.dtype.kind not in "iu":
        return ""
    if len(ids) > budget.HDF5_ROWS:
        raise OverBudget(f"{ids.name} has {len(ids)} rows, more than {budget.HDF5_ROWS}")
    return digest_elements(ids[()].astype("<i8")).hex()


def _list_targets(fragment: FragmentFile, place: str, item: Any) -> Iterator[tuple[str, str]]:
    """Where each link and reference of an object stands, and where it leads."""
    for name in sorted(item.attrs):
        where = f"{place}@{name}"
        _check_type(item.attrs.get_id(name).get_type(), where, fragment.key)
        for target in list_references(read_attribute(item, name)):
            if target:
                yield where, fragment.find_target(target)
    if isinstance(item, h5py.Dataset):
        _check_type(item.id.get_type(), place, fragment.key)
        if not is_array(item):
            if item.size and item.size > budget.HDF5_ROWS:
                raise OverBudget(f"{place} has {item.size} elements, more than {budget.HDF5_ROWS}")
            for target in list_references(read_elements_raw(item)):
                if target:
                    yield place, fragment.find_target(target)
        return
    for name in sorted(item):
        if isinstance(item.get(name, getlink=True), h5py.SoftLink):
            yield f"{place}/{name}", fragment.find_linked(item, name)
        elif not isinstance(item[name], (h5py.Group, h5py.Dataset)):
            message = f"{fragment.key}: {place}/{name} is neither a group nor a dataset"
            raise problem("fragment.unsupported", message, file=fragment.key, array=f"{place}/{name}")


def read_attribute(item: Any, name: str) -> np.ndarray | None:
    """An attribute's elements as HDF5 has them; None for one without."""
    attribute = item.attrs.get_id(name)
    if attribute.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        return None
    data = np.empty(attribute.shape, attribute.dtype)
    attribute.read(data)
    return data


def read_elements_raw(dataset: h5py.Dataset) -> np.ndarray | None:
    """The elements of a dataset as HDF5 has them; None for one without."""
    if dataset.shape is None:
        return None
    data = np.empty(dataset.shape, dataset.dtype)
    if data.size:
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, data)
    return data


def list_references(data: np.ndarray | None) -> Iterator[Any]:
    """The references among elements, those in records too."""
    if data is None:
        return
    for part in get_reference_parts(data):
        yield from part.ravel().tolist()


def get_reference_parts(data: np.ndarray) -> Sequence[np.ndarray]:
    """Views of all elements, or members of records, that are references."""
    if h5py.check_ref_dtype(data.dtype):
        return [data]
    names = data.dtype.names or ()
    return [data[name] for name in names if h5py.check_ref_dtype(data.dtype[name])]


def _check_type(kind: h5t.TypeID, where: str, key: str, *, nested: bool = False) -> None:
    """Refuse types that NWB does not have. Raises `Problem` (``fragment.unsupported``)."""
    group = kind.get_class()
    if nested and group == h5t.STRING and kind.is_variable_str():  # one text of many records may be as long as the file
        raise problem("fragment.unsupported", f"{key}: {where} has records of texts", file=key, array=where)
    if group in _PLAIN or (group == h5t.REFERENCE and kind.equal(h5t.STD_REF_OBJ)):
        return
    if group == h5t.COMPOUND and not nested:
        for number in range(kind.get_nmembers()):
            _check_type(kind.get_member_type(number), where, key, nested=True)
        return
    what = "region references" if group == h5t.REFERENCE else f"elements of a type that NWB does not have ({group})"
    raise problem("fragment.unsupported", f"{key}: {where} has {what}", file=key, array=where)


def _collect_fields(path: str, objects: Mapping[str, Any]) -> dict[str, Any]:
    """What attributes and scalars state, by their place below; references are left out, and what says the type."""
    fields: dict[str, Any] = {}
    room = budget.FRAGMENT_TEXT
    for place, item in objects.items():
        stated = {f"{place}/{name}": read_attribute(item, name) for name in sorted(item.attrs) if name not in _OWN}
        if isinstance(item, h5py.Dataset) and not is_array(item):
            stated[place] = read_elements_raw(item)
        for name, data in stated.items():
            if data is None or get_reference_parts(data):
                continue
            value = to_plain_json(data)
            fields[name.removeprefix(f"{path}/")] = value
            room -= len(str(value))
            if room < 0:
                raise OverBudget(
                    f"the attributes and scalars of {path} have more than {budget.FRAGMENT_TEXT} characters"
                )
    return fields


def to_plain_json(value: Any) -> Any:
    """Elements as JSON: texts, numbers, lists of them."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.void):
        return [to_plain_json(part) for part in value.item()]
    if isinstance(value, np.ndarray):
        return to_plain_json(value[()]) if not value.shape else [to_plain_json(part) for part in value]
    if isinstance(value, np.generic):
        return to_plain_json(value.item())
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(f"{str(value)[:80]} is no text and no number")
