"""CaImAn's results by pyfive, which reads HDF5 without the HDF5 library, and its sparse matrix by SciPy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csc_array

from .pyfive_file import open_hdf5
from .reading import CannotRead, SecondArrays
from .regions import join_pixels

DIMS = ("estimates/dims", "dims", "params/data/dims")
MEASURES = ("SNR_comp", "r_values", "cnn_preds")


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`; traces are (time, roi) as the result has them."""
    with open_hdf5(path) as file:
        if content:
            return SecondArrays({content: np.asarray(file[f"estimates/{content}"][()]).T})
        return SecondArrays(_read_regions(file))


def _read_regions(file: Any) -> dict[str, np.ndarray]:
    parts = {name: np.asarray(file[f"estimates/A/{name}"][()]) for name in ("data", "indices", "indptr", "shape")}
    matrix = csc_array((parts["data"], parts["indices"], parts["indptr"]), shape=tuple(parts["shape"].tolist()))
    size = next((tuple(file[name][()].tolist()) for name in DIMS if _find_numbers(file, name) is not None), None)
    if size is None:
        raise CannotRead("pyfive finds no image of two axes")
    components = [matrix[:, [number]].tocoo() for number in range(matrix.shape[1])]
    # CaImAn's pixels are counted down the columns of the image.
    rows, columns = np.unravel_index(np.concatenate([one.coords[0] for one in components]), size, order="F")
    arrays = {
        "pixels": join_pixels(columns, rows, np.concatenate([one.data for one in components])),
        "ends": np.cumsum([one.nnz for one in components]),
    }
    kept = _find_numbers(file, "estimates/idx_components")
    if kept is not None:
        arrays["accepted"] = np.isin(np.arange(len(components)), kept)
    for name in MEASURES:
        found = _find_numbers(file, f"estimates/{name}")
        if found is not None and found.shape == (len(components),):
            arrays[name] = found
    return arrays


def _find_numbers(file: Any, name: str) -> np.ndarray | None:
    """Numbers of a dataset; CaImAn writes the text NoneType for what there is none of."""
    try:
        found = np.asarray(file[name][()])
    except KeyError:
        return None
    return found if found.dtype.kind in "iuf" and found.ndim else None
