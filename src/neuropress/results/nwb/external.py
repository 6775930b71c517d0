"""Videos that an NWB file names by their paths; a copy that names them elsewhere, and differs in nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from ...model.finding import Problem, problem
from .digest import digest_objects
from .opening import open_checked

NAME = "external_file"
_PIECE = 8 * 2**20


@dataclass(frozen=True, slots=True)
class ExternalSeries:
    """A series whose frames lie in other files.

    Attributes
    ----------
    place
        Path of the dataset that names them.
    paths
        What stands there: relative to the NWB file, as a rule.
    """

    place: str
    object_id: str
    paths: tuple[str, ...]


def list_external_series(file: h5py.File) -> list[ExternalSeries]:
    """Every series of an open file, proven or looked at by the guard, that names external files."""
    found = []

    def visit(path: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Group) and isinstance(item.get(NAME), h5py.Dataset):
            found.append(
                ExternalSeries(f"/{path}/{NAME}", str(item.attrs.get("object_id", "")), _list_paths(item[NAME]))
            )

    file.visititems(visit)
    return found


def rename_external_files(copy: Path, original: Path, names: Mapping[str, Sequence[str]]) -> None:
    """Write other paths into a copy, and prove that nothing else of it differs from the original.

    Attributes, links, types, shapes, texts and numbers outside of `names` are compared; of arrays of numbers the bytes
    as they are stored, at the same places of both files. Equal files give equal copies.

    Parameters
    ----------
    copy
        A file with the bytes of `original`.
    names
        Path of a dataset -> what it shall hold.

    Raises
    ------
    Problem
        ``dandi.copy``: a dataset cannot hold them, or something else differs.
    """
    with h5py.File(copy, "r+") as file:
        for place, paths in names.items():
            kind = h5py.check_string_dtype(file[place].dtype)
            if kind is None or (kind.length is not None and max(len(p.encode()) for p in paths) > kind.length):
                raise _make_problem(original, f"{place} has no room for other paths")
            file[place][()] = list(paths) if file[place].shape else paths[0]
    with open_checked(original) as (one, spare):
        if differing := next(_find_differences(one, (original, copy), names, spare), None):
            raise _make_problem(original, differing)


def _find_differences(
    one: h5py.File, files: tuple[Path, Path], names: Mapping[str, Sequence[str]], spare: int
) -> Iterator[str]:
    original, copy = files
    with h5py.File(copy, "r") as other, original.open("rb") as old, copy.open("rb") as new:
        stored = [place for place in _list_stored(one) if place not in names]
        ours, theirs = (digest_objects(f, [*stored, *names], spare, ()) for f in (one, other))
        yield from (f"{place} differs" for place in ours.keys() | theirs.keys() if ours.get(place) != theirs.get(place))
        for place, paths in names.items():
            if _list_paths(other[place]) != tuple(paths):
                yield f"{place} was not written"
        for place in stored:
            if not _has_same_bytes(one[place], other[place], old, new):
                yield f"the elements of {place} differ"


def _list_paths(dataset: h5py.Dataset) -> tuple[str, ...]:
    """The texts of a dataset."""
    values = dataset.asstr()[()]
    return tuple(map(str, values.ravel() if dataset.shape else [values]))


def _list_stored(file: h5py.File) -> list[str]:
    """Datasets of plain numbers, whose bytes say all."""
    found = []

    def visit(path: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind in "iufb":
            found.append(f"/{path}")

    file.visititems(visit)
    return found


def _has_same_bytes(one: h5py.Dataset, other: h5py.Dataset, old: BinaryIO, new: BinaryIO) -> bool:
    extents = _list_extents(one)
    if extents != _list_extents(other):
        return False
    if extents is None:  # so small that it lies in its own header, or never written
        return bool(one[()].tobytes() == other[()].tobytes())
    return all(_read(old, start, size) == _read(new, start, size) for start, size in _split(extents))


def _list_extents(dataset: h5py.Dataset) -> list[tuple[Any, ...]] | None:
    """Where its bytes lie in the file: start and size of each piece, with what tells one chunk from the other."""
    if dataset.chunks is None:
        start = dataset.id.get_offset()
        return None if start is None else [(start, dataset.id.get_storage_size())]
    extents: list[tuple[Any, ...]] = []
    dataset.id.chunk_iter(lambda c: extents.append((c.byte_offset, c.size, c.chunk_offset, c.filter_mask)))
    return extents


def _split(extents: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, int]]:
    for start, size, *_ in extents:
        for offset in range(0, size, _PIECE):
            yield start + offset, min(_PIECE, size - offset)


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


def _make_problem(path: Path, why: str) -> Problem:
    message = f"{path.name}: a copy that names its videos as DANDI wants cannot be made: {why}"
    return problem("dandi.copy", message, file=path.name)
