"""A file as CaImAn saves its results, with components of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

ROWS, COLUMNS, FRAMES = 20, 16, 12
MASKS = [[(2, 3, 0.5), (2, 4, 1.25)], [(0, 0, 0.1)], [(15, 19, 3.0), (1, 1, 2.0)]]
"""(column, row, weight)."""


def write_results(path: Path, **changes: Any) -> Path:
    """A file as CaImAn saves it: arrays, a sparse matrix by its parts, and the text NoneType for None."""
    rng = np.random.default_rng(5)
    indptr = np.cumsum([0, *map(len, MASKS)])
    arrays: dict[str, Any] = {
        "estimates/A/data": np.array([w for mask in MASKS for _, _, w in mask]),
        "estimates/A/indices": np.array([x * ROWS + y for mask in MASKS for x, y, _ in mask], "i4"),
        "estimates/A/indptr": indptr.astype("i4"),
        "estimates/A/shape": np.array([ROWS * COLUMNS, len(MASKS)]),
        "estimates/dims": np.array([ROWS, COLUMNS]),
        "estimates/idx_components": np.array([0, 2]),
        "estimates/SNR_comp": np.array([3.5, 0.5, 9.0]),
        "estimates/cnn_preds": b"NoneType",
        "params/data/fr": 30.0,
    }
    arrays |= {f"estimates/{name}": rng.normal(size=(len(MASKS), FRAMES)) for name in ("C", "YrA", "F_dff", "S")}
    with h5py.File(path, "w") as file:
        for name, value in (arrays | {key.replace("__", "/"): one for key, one in changes.items()}).items():
            if value is not None:
                file[name] = value
    return path
