"""suite2p's traces and classifiers by NumPy's own loader. Its regions stand in a pickle, and nothing is unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .reading import CannotRead, SecondArrays

TRACES = ("F", "Fneu", "spks", "F_chan2", "Fneu_chan2")
FLAGS = ("iscell", "redcell")
LEFT_OUT = "pixels and measures of the regions are not compared: stat.npy is a pickle, which NumPy would run"


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`; traces are (time, roi) as the result has them."""
    plane, _, last = content.rpartition("/")
    folder = _find_folder(path, plane if last in TRACES else content)
    if last in TRACES:
        return SecondArrays({last: _load(folder / f"{last}.npy").T})
    arrays: dict[str, np.ndarray] = {}
    for name in FLAGS:
        if (folder / f"{name}.npy").exists():
            flags, chances = _load(folder / f"{name}.npy").T
            arrays |= {name: flags > 0, f"{name}_probability": chances.astype(np.float64)}
    if not arrays:
        raise CannotRead(f"there is no iscell.npy, and {LEFT_OUT}")
    return SecondArrays(arrays, left_out=(LEFT_OUT,))


def _find_folder(path: Path, plane: str) -> Path:
    """The folder of a plane: of a raw object that is its stat.npy, that has it, or that has folders of planes."""
    folder = path.parent if path.is_file() else path
    return next((place for place in (folder / plane, folder / "suite2p" / plane) if place.is_dir()), folder)


def _load(path: Path) -> np.ndarray:
    return np.asarray(np.load(path, allow_pickle=False))
