"""An HDF5 file of named arrays: opened through the guard, and its datasets read part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import h5py
import numpy as np

from ...model.budget import ARRAY_ENTRIES, ARRAY_NAME
from ...model.content import Selection
from ...model.parsing import parse_json
from ...model.source import Source
from ..hdf5.guard import GuardFindings, check_file
from ..hdf5.stream import RawStream
from ..hdf5.walk import walk_objects
from ..stamp import check_unchanged
from .tree import Variable

UNSAFE = GuardFindings("arrays.unsafe", "arrays.damaged")
UM = {"um": "1", "\u00b5m": "1", "\u03bcm": "1", "micron": "1", "nm": "0.001", "mm": "1000"}
AXES = set("tczyxs")
CHUNK_CACHE, CHUNK_SLOTS = 16 * 2**20, 12_421
"""Unpacked bytes of one dataset's chunks that stay in memory: planes are asked for one by one, and chunks hold several.
HDF5 wants a prime number of slots, some hundred times the chunks."""


class OpenArrays:
    """A file that is open and was looked at; keep it while its arrays are read, and close it then."""

    def __init__(self, source: Source) -> None:
        """Open and look at a file. Raises `Problem` (``arrays.unsafe``, ``arrays.damaged``)."""
        self.key = source.key
        self._source, self._stamp = source, source.stamp()
        self._stream = RawStream(source, UNSAFE)
        try:
            with self._stream.translate_errors():
                self.file = h5py.File(self._stream, "r", rdcc_nbytes=CHUNK_CACHE, rdcc_nslots=CHUNK_SLOTS)
                self.spare = check_file(self.file, PurePosixPath(source.key), UNSAFE)
        except BaseException:
            self._stream.close()
            raise

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Damage as a finding."""
        with self._stream.translate_errors():
            yield

    def close(self) -> None:
        """Close the file."""
        if self.file:
            self.file.close()
        self._stream.close()

    def make_variable(self, path: str, dataset: h5py.Dataset, **others: Any) -> Variable:
        """A dataset of plain numbers as an array."""
        dtype = dataset.dtype.newbyteorder("=")
        # Without chunks the rows of the last axis but one lie one after the other.
        block = dataset.chunks or tuple(1 if axis < dataset.ndim - 1 else n for axis, n in enumerate(dataset.shape))
        kept = CHUNK_CACHE if dataset.chunks else 0
        return Variable(path, dataset.shape, dtype, partial(self._read, dataset), block=block, kept=kept, **others)

    def _read(self, dataset: h5py.Dataset, selection: Selection) -> np.ndarray:
        check_unchanged(self._source.stamp(), self._stamp, self.key)
        with self.translate_errors():
            block = np.asarray(dataset[selection])
            return block.astype(block.dtype.newbyteorder("="), copy=False)


def describe_other(item: h5py.Dataset) -> str:
    """What a dataset is whose elements are no plain numbers; "" for one of numbers."""
    if item.shape is None:
        return "empty"
    kind = item.dtype
    if h5py.check_string_dtype(kind) is not None:
        return "a text" if item.shape == () else f"{item.size} texts"
    if kind.names:
        return f"a table of the columns {', '.join(kind.names[:20])}"
    if kind.hasobject or h5py.check_enum_dtype(kind) is not None or kind.subdtype or kind.kind not in "biuf":
        return "references, records or numbers of another kind"
    return "" if kind.itemsize <= 8 else f"numbers of {kind.itemsize} bytes"


def read_text(item: h5py.Dataset | h5py.AttributeManager, name: str = "") -> str:
    """A scalar text of bounded length; "" where it is none."""
    try:
        value = item[()] if isinstance(item, h5py.Dataset) else item.get(name)
    except (OSError, ValueError, TypeError, RuntimeError, KeyError):
        return ""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value)[:ARRAY_NAME] if isinstance(value, str) else ""


def describe_dataset(dataset: h5py.Dataset) -> dict[str, Any]:
    """What attributes in use say of a dataset: its unit, its axes, um per pixel (as plantseg and ilastik write it)."""
    known: dict[str, Any] = {}
    for name in ("unit", "units", "Unit", "Units"):
        if text := read_text(dataset.attrs, name).strip():
            known["unit"] = text[:40]
            break
    axes = _read_axes(dataset)
    if axes:
        known["axes"] = axes
    spacing = _read_spacing(dataset)
    return {**known, "spacing": spacing} if spacing else known


def _read_axes(dataset: h5py.Dataset) -> str:
    """A letter for each axis, as ilastik, Data Exchange or HDF5's own dimension labels say it; "" for less than all."""
    letters = _read_axis_tags(dataset) or _read_axis_names(dataset) or _read_dimension_labels(dataset)
    is_whole = len(letters) == dataset.ndim and set(letters) <= AXES and len(set(letters)) == len(letters)
    return "".join(letters) if is_whole else ""


def _read_axis_tags(dataset: h5py.Dataset) -> list[str]:
    """Ilastik writes ``axistags``: JSON of an object for each axis, whose ``key`` is its letter."""
    text = read_text(dataset.attrs, "axistags")
    if not text:
        return []
    try:
        axes = parse_json(text)["axes"]
        return [str(axis["key"]).lower() for axis in axes]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []


def _read_axis_names(dataset: h5py.Dataset) -> list[str]:
    """Data Exchange writes ``axes``: names with colons between (``theta:y:x``). Projections are taken one by one."""
    names = read_text(dataset.attrs, "axes").strip().lower().split(":")
    return ["t" if name == "theta" else name for name in names] if len(names) > 1 else []


def _read_dimension_labels(dataset: h5py.Dataset) -> list[str]:
    if "DIMENSION_LABELS" not in dataset.attrs:
        return []
    labels = dataset.attrs["DIMENSION_LABELS"]
    if not isinstance(labels, np.ndarray) or labels.shape != (dataset.ndim,):
        return []
    texts = [one.decode("latin-1") if isinstance(one, bytes) else str(one) for one in labels.tolist()]
    return [text.strip().lower() for text in texts]


def _read_spacing(dataset: h5py.Dataset) -> Mapping[str, str]:
    """``element_size_um`` has a number for each axis of space: z, y, x, or y, x."""
    sizes = dataset.attrs.get("element_size_um") if "element_size_um" in dataset.attrs else None
    if (
        not isinstance(sizes, np.ndarray)
        or sizes.ndim != 1
        or not 2 <= sizes.size <= 3
        or sizes.dtype.kind not in "fiu"
    ):
        return {}
    named = dict(zip("zyx"[-sizes.size :], sizes.tolist(), strict=True))
    return {axis: repr(size) for axis, size in named.items() if np.isfinite(size) and 0 < size < 1e6}


def walk_datasets(group: h5py.Group, excluded: tuple[str, ...] = ()) -> Iterator[tuple[str, h5py.Dataset]]:
    """All datasets by their paths, without the first ``/``, in the order of their names; at most `ARRAY_ENTRIES`."""
    count = 0
    for path, item in walk_objects(group, "/", excluded):
        if isinstance(item, h5py.Dataset):
            count += 1
            if count > ARRAY_ENTRIES:
                raise ValueError(f"it has more than {ARRAY_ENTRIES} datasets")
            yield path.lstrip("/"), item
