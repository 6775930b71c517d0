"""CaImAn's spatial components as masks, and its temporal ones as traces.

``estimates/A`` is a sparse matrix (pixel, component) by columns, its pixels numbered down the columns of the image,
as MATLAB and CaImAn count them: pixel p lies in row p % rows and column p // rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import h5py
import numpy as np

from ...model.budget import REGION_COUNT, ROI_PIXELS
from ...model.content import Column, Content, DataTable, LazyArray, Selection, Series
from ...model.finding import Problem, problem
from ...model.source import Source, Stamp
from ..hdf5.guard import GuardFindings, check_file
from ..hdf5.stream import RawStream
from ..regions import RegionColumn, describe_trace, make_array, make_columns, make_pixel_type, measure_bounds
from ..stamp import check_unchanged
from . import FORMAT

IDS = GuardFindings("regions.unsafe", "regions.damaged")
TRACES = {
    "C": ("denoised", "Denoised fluorescence of each component (CaImAn's C)"),
    "YrA": ("residual", "What C leaves of each component's fluorescence (CaImAn's YrA)"),
    "F_dff": ("dff", "Change of fluorescence relative to the baseline (CaImAn's F_dff)"),
    "S": ("deconvolved", "Deconvolved activity of each component (CaImAn's S)"),
}
NUMBERS = {
    "SNR_comp": "Signal-to-noise ratio of the component's transients (CaImAn's SNR_comp)",
    "r_values": "Correlation of the component with the movie in space (CaImAn's r_values)",
    "cnn_preds": "Probability by CaImAn's network that the component is a cell (cnn_preds)",
}
_DIMS = ("estimates/dims", "dims", "params/data/dims")


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """A table of the components and a series for each array of traces.

    Raises
    ------
    Problem
        ``regions.damaged``: no file of CaImAn, or damage; ``regions.unsafe``: it leads outside of itself;
        ``regions.empty``, ``regions.limit``, ``regions.mismatch``.
    """
    stamp = source.stamp()
    stream = RawStream(source, IDS)
    try:
        with stream.translate_errors():
            file = h5py.File(stream, "r")
            check_file(file, PurePosixPath(source.key), IDS)
            return _FileReader(source, stamp, stream, file).read()
    except BaseException:
        stream.close()
        raise


class _FileReader:
    """One file that is open and was looked at."""

    def __init__(self, source: Source, stamp: Stamp, stream: RawStream, file: h5py.File) -> None:
        self.source, self.stamp, self.stream, self.file = source, stamp, stream, file

    def read(self) -> tuple[Content, ...]:
        pixels, ends, size = self._read_masks()
        count = len(ends)
        columns = list(self._list_columns(count))
        traces = list(self._list_traces(count))
        frames = {one.arrays[one.array].shape[1] for one in traces}
        if len(frames) > 1:
            listed = ", ".join(f"{one.array} {one.arrays[one.array].shape[1]}" for one in traces)
            raise self._make_problem("regions.mismatch", f"its traces have different numbers of frames ({listed})")
        arrays, declared = make_columns(columns)
        arrays |= {"pixels": make_array("pixels", pixels, "pixel"), "ends": make_array("ends", ends)}
        header = {"regions": count, "bounds": measure_bounds(pixels), "image_size": size}
        facts = {"rois": str(count), **({"frames": str(*frames)} if frames else {})}
        named = (Column("pixel_mask", "pixels", ends="ends"), *declared)
        return (DataTable("", FORMAT.name, facts, header, arrays, columns=named, close=self.close), *traces)

    def close(self) -> None:
        self.file.close()
        self.stream.close()

    def _read_masks(self) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Pixels with ends of the components, and width and height of the image."""
        data, indices, indptr, shape = (self._read_numbers(f"estimates/A/{name}") for name in _PARTS)
        rows, columns = self._read_dims()
        if len(shape) != 2 or shape[0] != rows * columns or len(indptr) != shape[1] + 1:
            message = f"estimates/A of {shape.tolist()} with {len(indptr) - 1} columns is of no image of {rows} rows"
            raise self._make_problem("regions.damaged", f"{message} and {columns} columns")
        if len(indptr) - 1 > REGION_COUNT:
            raise self._make_problem("regions.limit", f"it has more than {REGION_COUNT} components")
        ends = indptr[1:].astype("<i8")
        if (
            indptr[0] != 0
            or np.any(np.diff(indptr.astype("<i8")) < 0)
            or not int(indptr[-1]) == len(data) == len(indices)
        ):
            raise self._make_problem("regions.damaged", "the columns of estimates/A do not follow one another")
        if not len(data):
            raise self._make_problem("regions.empty", f"its {len(ends)} components have no pixel")
        if indices.min() < 0 or indices.max() >= rows * columns:
            raise self._make_problem("regions.damaged", f"estimates/A has a pixel beyond {rows} x {columns}")
        pixels = np.empty(len(data), make_pixel_type("<f4" if data.dtype == np.dtype("f4") else "<f8"))
        pixels["x"], pixels["y"] = np.divmod(indices.astype("<i8"), rows)
        pixels["weight"] = data
        return pixels, ends.astype("<u4"), [columns, rows]

    def _read_dims(self) -> tuple[int, int]:
        for name in _DIMS:
            if self._find_numbers(name) is not None:
                dims = self._read_numbers(name).tolist()
                if len(dims) == 2 and all(isinstance(one, int) and 0 < one < 2**16 for one in dims):
                    return dims[0], dims[1]
        raise self._make_problem("regions.damaged", f"it states no image of two axes ({', '.join(_DIMS)})")

    def _list_columns(self, count: int) -> Iterator[RegionColumn]:
        if self._find_numbers("estimates/idx_components") is not None:
            accepted = self._read_numbers("estimates/idx_components")
            if accepted.dtype.kind not in "iu" or (len(accepted) and not 0 <= accepted.min() <= accepted.max() < count):
                raise self._make_problem("regions.damaged", f"idx_components names a component that none of {count} is")
            flags = np.zeros(count, "?")
            flags[accepted] = True
            yield RegionColumn("accepted", flags, "Whether CaImAn's evaluation kept the component (idx_components)")
        for name, meaning in NUMBERS.items():
            found = self._find_numbers(f"estimates/{name}")
            if found is not None and found.shape == (count,):
                values = self._read_numbers(f"estimates/{name}")
                yield RegionColumn(name, values.astype(values.dtype.newbyteorder("=")), meaning)

    def _list_traces(self, count: int) -> Iterator[Series]:
        for name, (kind, meaning) in TRACES.items():
            dataset = self._find_numbers(f"estimates/{name}")
            if dataset is None:
                continue
            if dataset.ndim != 2 or dataset.shape[0] != count:
                message = f"estimates/{name} is of {dataset.shape}, estimates/A of {count} components"
                raise self._make_problem("regions.mismatch", message)
            read = partial(self._read_block, dataset)
            dtype = dataset.dtype.newbyteorder("=")
            lazy = LazyArray(name, tuple(dataset.shape), dtype, ("roi", "time"), read, dataset.chunks or dataset.shape)
            yield Series(name, FORMAT.name, {}, describe_trace(kind, "", meaning), {name: lazy}, array=name)

    def _read_block(self, dataset: h5py.Dataset, selection: Selection) -> np.ndarray:
        check_unchanged(self.source.stamp(), self.stamp, self.source.key)
        with self.stream.translate_errors():
            block: np.ndarray = dataset[selection]
        return block.astype(dataset.dtype.newbyteorder("="), copy=False)

    def _find_numbers(self, name: str) -> h5py.Dataset | None:
        """A dataset of numbers; CaImAn writes the text NoneType for what there is none of."""
        group, _, last = name.rpartition("/")
        holder: Any = self.file
        for part in filter(None, [*group.split("/"), last]):
            # Soft links are followed by h5py: nothing of CaImAn's is one.
            if not isinstance(holder, h5py.Group) or not isinstance(holder.get(part, getlink=True), h5py.HardLink):
                return None
            holder = holder[part]
        usable = isinstance(holder, h5py.Dataset) and holder.dtype.kind in "iuf" and holder.shape
        return holder if usable else None

    def _read_numbers(self, name: str) -> np.ndarray:
        """A row of numbers."""
        dataset = self._find_numbers(name)
        if dataset is None or dataset.ndim != 1:
            message = f"it has no row of numbers {name}, as CaImAn saves its estimates"
            raise self._make_problem("regions.damaged", message)
        if dataset.shape[0] > ROI_PIXELS:
            raise self._make_problem("regions.limit", f"{name} has more than {ROI_PIXELS} elements")
        found: np.ndarray = dataset[()]
        return found.astype(found.dtype.newbyteorder("="), copy=False)

    def _make_problem(self, id: str, message: str) -> Problem:
        return problem(id, f"{self.source.key}: {message}", file=self.source.key)


_PARTS: Sequence[str] = ("data", "indices", "indptr", "shape")
"""Of a sparse matrix by columns, as SciPy has it."""
