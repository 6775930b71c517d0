"""Write a plan as an NWB file (HDF5) and read it back for proof.

The same plan, inputs and version give the same bytes: ``file_create_date`` is the session's
start, object ids follow from the objects' paths, and no clock or time zone of the machine
enters. pynwb is imported only for writing; what reads back needs h5py alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import h5py
import numpy as np

from ...model.elements import TEXT, element_type
from ...model.finding import Finding, Problem, problem
from ...model.memory import pause_garbage_collection
from ...model.plan import Plan
from ...model.progress import Progress
from ...model.provenance import SECTIONS, Provenance
from ...model.receipt import Receipt
from ...model.source import SourceRoots
from ...readers.hdf5.guard import DAMAGE, check_members, read_texts, translate_errors
from ...readers.raw import RawArrays
from .. import Request, Seal, StoredArray, Work, durable
from ..kept import name_kept_files
from .digest import digest_named, digest_objects
from .fields import FieldReader
from .grafts import add_grafts, check_stand_ins
from .grafts import compare_grafts as compare_with_fragments
from .meaning import describe_arrays
from .opening import make_unreadable_problem, open_checked, open_hdf5
from .storage import PreviousFile, fill_datasets

PROVENANCE = "/general/neuropress"
TEXTS = element_type(TEXT)


def finish(request: Request, work: Work | None, raw: RawArrays, progress: Progress) -> None:
    """Write a session; see `neuropress.results.KindModule`.

    There are no units to be run before: HDF5 has one writer, which would have to copy every
    chunk out of a staging folder, and a session is short. Blocks are read, digested and
    compressed on threads and written in a fixed order (see `storage`).

    Raises
    ------
    Problem
        A raw file is bad (the reader's finding), or ``plan.invalid``.
    OSError
        The machine failed.
    """
    path = request.path
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{escape(path.name)}*.partial"):  # of a run that was killed
        durable.remove_path(left)
    # A name of its own: a worker that outlives such a run must not give this file its final name.
    partial = path.with_name(f"{path.name}.{uuid4().hex}.partial")
    try:
        _write_file(request, raw, partial, progress)
        request.seal.confirm()
        durable.rename_durably(partial, path)
    except BaseException:
        durable.remove_path(partial)
        raise


def _write_file(request: Request, raw: RawArrays, path: Path, progress: Progress) -> None:
    from .columns import check_indices
    from .files import declare_file

    seal = request.seal
    plan = name_kept_files(request.plan, seal.inputs)
    arrays, grafts = plan.arrays(), plan.grafts()
    receipt = Receipt(seal.version, seal.rows, plan.revisions, {}, {}, {}, plan.sources, grafts, plan.kept_keys)
    with pause_garbage_collection(lasting=False):
        sections = {**Provenance.of(plan, receipt).texts(), "receipt": ""}
        known = declare_file(plan, seal.version, sections, path)
    with ExitStack() as stack:
        old = _open_previous(request.previous, seal, stack)
        file = stack.enter_context(h5py.File(path, "r+"))
        add_grafts(file, plan, raw.roots)
        filled = fill_datasets(file, arrays, raw, old, progress)
        check_indices(file, arrays)
        check_stand_ins(file, grafts)
        with pause_garbage_collection(lasting=False):
            derived = {**known, **digest_named(file, arrays, known)} if known else digest_objects(file, arrays)
            receipt = replace(receipt, inputs=dict(seal.inputs), arrays=filled, derived=derived)
            file[f"{PROVENANCE}/receipt_json"][()] = Provenance.of(plan, receipt).text("receipt")


def check_plan(plan: Plan) -> Iterator[Finding]:
    """Build and declare every object in memory: types, fields, links, values and places (``plan.invalid``)."""
    from .files import declare_in_memory

    try:
        declare_in_memory(plan, "", Provenance.draft(plan).texts())
    except Problem as bad:
        yield bad.finding


def _open_previous(path: Path | None, seal: Seal, stack: ExitStack) -> PreviousFile | None:
    """The older result; one that cannot be read has nothing to take over."""
    if path is None:
        return None
    try:
        provenance = read_provenance(path)
        file, _ = stack.enter_context(open_checked(path))
    except Problem:
        return None
    return PreviousFile(file, provenance.receipt, seal.inputs)


def read_provenance(path: Path) -> Provenance:
    """What the result says about itself.

    Raises
    ------
    Problem
        ``result.unreadable``: no HDF5 file, or none that this version of neuropress reads.
    """
    with open_hdf5(path) as file:
        return _parse_provenance(file, path)


def stream_provenance(open_file: Callable[[str], BinaryIO], path: Path) -> Provenance:
    """The same from a seekable stream (an object of a bucket); `path` is for messages."""
    with open_hdf5(path, open_file("")) as file:
        return _parse_provenance(file, path)


def _parse_provenance(file: h5py.File, path: Path) -> Provenance:
    if not check_members(file, path, PROVENANCE, [f"{name}_json" for name in SECTIONS]):
        raise problem("result.foreign", f"{path.name} was not written by neuropress", file=str(path))
    try:
        return Provenance.from_texts({name: file[f"{PROVENANCE}/{name}_json"][()] for name in SECTIONS})
    except DAMAGE as error:
        why = f"its record of where it came from cannot be read ({str(error)[:500]})"
        raise make_unreadable_problem(path, why) from error


@dataclass(frozen=True, slots=True)
class _StoredDataset:
    """A dataset whose damage is a finding."""

    dataset: h5py.Dataset
    file: Path
    spare: int

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.dataset.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return TEXTS if h5py.check_string_dtype(self.dataset.dtype) else self.dataset.dtype

    @property
    def chunks(self) -> tuple[int, ...] | None:
        return self.dataset.chunks  # type: ignore[no-any-return]

    def __getitem__(self, selection: tuple[slice, ...]) -> np.ndarray:
        try:
            if self.dtype != TEXTS:
                return self.dataset[selection]  # type: ignore[no-any-return]
            return read_texts(self.dataset, selection, self.spare)
        except (OSError, RuntimeError, MemoryError, ValueError) as error:
            corner = tuple(s.start or 0 for s in selection)
            raise make_unreadable_problem(self.file, str(error), array=self.dataset.name, index=corner) from error


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping[str, StoredArray]]:
    """Every array that the receipt lists and the file holds, by its path.

    Raises
    ------
    Problem
        ``result.unreadable``, also when a block is read that is damaged.
    """
    with open_checked(path) as (file, spare):
        listed = _parse_provenance(file, path).receipt.arrays
        items = ((name, file.get(name)) for name in listed)
        yield {name: _StoredDataset(item, path, spare) for name, item in items if isinstance(item, h5py.Dataset)}


def check_files(path: Path) -> Iterator[Finding]:
    """Nothing to find: the result is one file."""
    yield from ()


def list_sample_arrays(path: Path) -> list[str]:
    """The ``data`` of every object that has some.

    Raises
    ------
    Problem
        ``result.unreadable``.
    """
    names: list[str] = []
    with open_checked(path) as (file, _), translate_errors(path):
        file.visit(lambda name: names.append(f"/{name}") if name.endswith("/data") else None)
        series = [name for name in names if "neurodata_type" in file[name.rpartition("/")[0]].attrs]
        return [name for name in series if isinstance(file[name], h5py.Dataset) and file[name].size]


def read_fields(path: Path, names: Collection[str]) -> Mapping[str, Any]:
    """What the file holds under each of these names. Raises `Problem` (``result.unreadable``)."""
    with open_checked(path) as (file, spare), translate_errors(path):
        return FieldReader(file, spare).read(names)


def digest_derived(path: Path) -> Mapping[str, str]:
    """Digest of every object of the file but the samples of the receipt's arrays, computed anew.

    Raises
    ------
    Problem
        ``result.unreadable``.
    """
    with open_checked(path) as (file, spare):
        listed = _parse_provenance(file, path).receipt.arrays
        with translate_errors(path):
            return digest_objects(file, listed, spare)


def compare_grafts(path: Path, roots: SourceRoots) -> Iterator[Finding]:
    """What came from fragments, arrays apart, compared with them.

    Raises
    ------
    Problem
        ``result.unreadable``, or ``fragment.*``.
    """
    with open_checked(path) as (file, spare):
        receipt = _parse_provenance(file, path).receipt
        yield from compare_with_fragments(path, file, spare, receipt, roots)


def validate(path: Path) -> list[Finding]:
    """See `neuropress.results.nwb.validate`, whose libraries are imported here."""
    from .validate import validate_nwb

    return validate_nwb(path)


__all__ = [
    "check_files",
    "check_plan",
    "describe_arrays",
    "digest_derived",
    "finish",
    "list_sample_arrays",
    "open_arrays",
    "read_provenance",
    "stream_provenance",
    "validate",
]
