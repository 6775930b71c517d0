"""Objects of fragments: copied into a session's file, and compared there with what the other program exported.

What HDF5 has of an object is copied as it is: groups, attributes, scalars, datasets of references. Arrays are declared
here and filled, digested and proven like every array of a raw file (see `storage`). Three things are made anew, because
they say where an object lies: references, soft links and object ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5s

from ...model.budget import SHOWN_CHARS
from ...model.finding import Finding, finding, problem
from ...model.graft import Graft, GraftIndex
from ...model.plan import ArraySpec, Plan, canonical
from ...model.receipt import Receipt
from ...model.source import SourceRoots
from ...readers.hdf5.fragment import (
    FragmentFile,
    digest_row_ids,
    get_reference_parts,
    open_fragment,
    read_attribute,
    read_elements_raw,
)
from ...readers.hdf5.guard import translate_errors
from ...readers.hdf5.schemas import Schema, read_documents, read_schemas
from ...readers.hdf5.walk import get_address, walk_objects
from ...readers.raw import locate_fragment
from .digest import describe_object
from .storage import declare_array, make_object_id

OBJECT_ID = "object_id"


@dataclass(frozen=True, slots=True)
class _OpenGrafts:
    """All grafts of one result, and their fragments, which are open."""

    grafts: Mapping[str, Graft]
    fragments: Mapping[str, FragmentFile]
    index: GraftIndex

    def find_place(self, graft: Graft, path: str) -> str:
        """Where an object of a graft's fragment lies in the result; what is not taken over lies at the same place."""
        return self.index.find_place(graft.source, path) or path

    def walk(self) -> Iterator[tuple[str, Graft, Any]]:
        """Place in the result, graft and object of everything that is taken over; parents first."""
        for place, graft in self.grafts.items():
            root = self.fragments[graft.source].find_object(graft.path)
            for path, item in walk_objects(root, graft.path) if isinstance(root, h5py.Group) else [(graft.path, root)]:
                yield place + path.removeprefix(graft.path), graft, item


@contextmanager
def _open_grafts(
    grafts: Mapping[str, Graft], roots: SourceRoots, options: Mapping[str, Mapping[str, Any]]
) -> Iterator[_OpenGrafts]:
    with ExitStack() as stack:
        sources = dict.fromkeys(graft.source for graft in grafts.values())
        places = {key: locate_fragment(roots, key, options.get(key, {})) for key in sources}
        fragments = {key: stack.enter_context(open_fragment(place)) for key, place in places.items()}
        yield _OpenGrafts(grafts, fragments, GraftIndex(grafts))


def add_grafts(file: h5py.File, plan: Plan, roots: SourceRoots) -> None:
    """Copy all of a plan that is taken over into a file; its arrays stay empty.

    Raises
    ------
    Problem
        A fragment is not any more as it was planned, or what `open_fragment` raises.
    """
    grafts, arrays = plan.grafts(), plan.arrays()
    with _open_grafts(grafts, roots, plan.sources) as opened:
        for fragment in opened.fragments.values():
            _copy_schemas(file, fragment, grafts)
        # A reference needs its target: all objects are made before the first one is filled.
        for place, _, item in opened.walk():
            _make_object(file, place, item, arrays.get(place))
        identifier = file["identifier"].asstr()[()]
        for place, graft, item in opened.walk():
            copied = _ObjectCopy(file[place], item, graft, opened)
            copied.copy_attributes(make_object_id(identifier, place))
            if isinstance(item, h5py.Group):
                copied.copy_links()
            elif place not in arrays:
                copied.copy_elements()


def _copy_schemas(file: h5py.File, fragment: FragmentFile, grafts: Mapping[str, Graft]) -> None:
    """The specifications of extensions, where pynwb and `ndx-neuropress` have theirs."""
    for schema in _read_needed_schemas(fragment, grafts):
        if schema.path not in file:
            for name, text in read_documents(fragment.file, schema.path).items():
                file[f"{schema.path}/{name}"] = text


def _make_object(file: h5py.File, place: str, item: Any, spec: ArraySpec | None) -> None:
    """An empty group or dataset."""
    parent = file.require_group(place.rpartition("/")[0] or "/")
    name = place.rpartition("/")[2]
    if isinstance(item, h5py.Group):
        parent.create_group(name)
    elif spec is not None:
        declare_array(parent, name, spec)
    else:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_obj_track_times(False)
        # A space of the same extent: a contiguous dataset cannot be one that grows.
        space = h5s.create_simple(item.shape) if item.shape else item.id.get_space()
        h5d.create(parent.id, name.encode(), item.id.get_type().copy(), space, made)


@dataclass(frozen=True, slots=True)
class _ObjectCopy:
    """An object of a result, and the one of a fragment that it becomes."""

    made: Any
    item: Any
    graft: Graft
    opened: _OpenGrafts

    @property
    def fragment(self) -> FragmentFile:
        """The fragment that the object is from."""
        return self.opened.fragments[self.graft.source]

    def copy_attributes(self, object_id: str) -> None:
        """All attributes, in the types that they have."""
        for name in sorted(self.item.attrs):
            if name == OBJECT_ID:
                self.made.attrs[OBJECT_ID] = object_id
                continue
            with self.fragment.translate_errors():
                source = self.item.attrs.get_id(name)
                data = read_attribute(self.item, name)
            target = h5a.create(self.made.id, name.encode(), source.get_type().copy(), source.get_space())
            if data is not None:
                self._redirect(data)
                target.write(data)

    def copy_elements(self) -> None:
        """Scalars, references, and whatever else is no array of numbers or texts."""
        with self.fragment.translate_errors():
            data = read_elements_raw(self.item)
        if data is not None and data.size:
            self._redirect(data)
            self.made.id.write(h5s.ALL, h5s.ALL, data)

    def copy_links(self) -> None:
        """Soft links, to where their targets lie in the result."""
        for name in sorted(self.item):
            if isinstance(self.item.get(name, getlink=True), h5py.SoftLink):
                with self.fragment.translate_errors():
                    target = self.fragment.find_linked(self.item, name)
                self.made[name] = h5py.SoftLink(self.opened.find_place(self.graft, target))

    def _redirect(self, data: np.ndarray) -> None:
        """Have references lead to where their targets lie in the result."""
        for part in get_reference_parts(data):
            targets = [self.fragment.find_target(one) for one in part.ravel().tolist()]
            redirected = np.empty(len(targets), part.dtype)
            for i, target in enumerate(targets):
                if target:
                    redirected[i] = self.made.file[self.opened.find_place(self.graft, target)].ref
            part[...] = redirected.reshape(part.shape)


def check_stand_ins(file: h5py.File, grafts: Mapping[str, Graft]) -> None:
    """Refuse a table of the plan that has other rows than the one of the fragment in whose place it is referred to.

    Raises
    ------
    Problem
        ``fragment.reference``.
    """
    index = GraftIndex(grafts)
    for place, graft in grafts.items():
        for path, reference in graft.references.items():
            target = index.find_place(graft.source, path) or path
            if reference.ids and digest_row_ids(file.get(target)) != reference.ids:
                message = f"{place} names rows of {path} of {graft.source}; {target} of the result has other row ids"
                raise problem("fragment.reference", message, file=graft.source, array=place)


def compare_grafts(path: Path, file: h5py.File, spare: int, receipt: Receipt, roots: SourceRoots) -> Iterator[Finding]:
    """What was taken over, arrays apart, compared with what stands in the fragments now."""
    with _open_grafts(receipt.grafts, roots, receipt.sources) as opened, translate_errors(path):
        identifier = str(file["identifier"].asstr()[()])
        ours = {get_address(item): place for place, item in walk_objects(file, "/")}
        theirs = {key: _find_places(opened, fragment) for key, fragment in opened.fragments.items()}
        for place, graft, item in opened.walk():
            now = file.get(place)
            if not isinstance(now, type(item)):
                message = f"{place} is not in the result as it is in {graft.source}"
                yield finding("verify.different", message, array=place)
                continue
            fragment, proven = opened.fragments[graft.source], place in receipt.arrays
            with fragment.translate_errors():
                there = describe_object(item, proven, theirs[graft.source], fragment.spare)
                _expect_in_result(there, item, graft, opened, make_object_id(identifier, place))
            here = describe_object(now, proven, ours, spare)
            yield from _compare_descriptions(place, graft, there, here, proven)
        for fragment in opened.fragments.values():
            yield from _compare_schemas(file, fragment, receipt.grafts)


def _find_places(opened: _OpenGrafts, fragment: FragmentFile) -> dict[int, str]:
    """Address of each object of a fragment -> where it lies in the result."""
    return {address: opened.index.find_place(fragment.key, path) or path for address, path in fragment.paths.items()}


def _expect_in_result(there: dict[str, Any], item: Any, graft: Graft, opened: _OpenGrafts, object_id: str) -> None:
    """Change what says where an object lies to what it should be in the result."""
    if OBJECT_ID in there["attributes"]:
        there["attributes"][OBJECT_ID] = object_id
    for name, link in there.get("members", {}).items():
        if link:
            target = opened.fragments[graft.source].find_linked(item, name)
            there["members"][name] = f"-> {opened.find_place(graft, target)}"


def _compare_descriptions(
    place: str, graft: Graft, there: Mapping[str, Any], here: Mapping[str, Any], proven: bool
) -> Iterator[Finding]:
    """The first difference of one object."""
    for part in there:
        if (proven and part in ("shape", "dtype")) or canonical(there[part]) == canonical(here.get(part)):
            continue
        name, old, new = part, there[part], here.get(part)
        if isinstance(old, dict) and isinstance(new, dict):
            name = next(name for name in sorted({*old, *new}) if canonical(old.get(name)) != canonical(new.get(name)))
            old, new = old.get(name), new.get(name)
        where = f"{place}@{name}" if part == "attributes" else place if part == name else f"{place}/{name}"
        shown = [_show_value(part, value) for value in (new, old)]
        message = f"{where} is {shown[0]}, but in {graft.source} it is {shown[1]}"
        yield finding("verify.different", message, array=where, value=shown[0], expected=shown[1])
        return


def _show_value(part: str, value: Any) -> str:
    """A value of a description, for messages."""
    if value is None:
        return "not there"
    return "there" if part == "members" and not value else str(value)[:SHOWN_CHARS]


def _compare_schemas(file: h5py.File, fragment: FragmentFile, grafts: Mapping[str, Graft]) -> Iterator[Finding]:
    for schema in _read_needed_schemas(fragment, grafts):
        if schema.path not in file or read_documents(file, schema.path) != read_documents(fragment.file, schema.path):
            message = f"{schema.path} is not the specification that {fragment.key} has"
            yield finding("verify.different", message, array=schema.path)


def _read_needed_schemas(fragment: FragmentFile, grafts: Mapping[str, Graft]) -> Iterable[Schema]:
    """The specifications of all extensions that objects of a fragment need."""
    names = {name for graft in grafts.values() if graft.source == fragment.key for name in graft.schemas}
    with fragment.translate_errors():
        return read_schemas(fragment.file, fragment.key, sorted(names)).values()
