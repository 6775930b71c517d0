"""Arrays that were unpacked as a whole, since no part of them can be read alone: the last ones stay in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from ...model.budget import MAT_KEPT
from ...model.content import Selection


class KeptArrays:
    """Of one file; threads that ask for the same array unpack it once."""

    def __init__(self) -> None:
        self._arrays: OrderedDict[str, np.ndarray] = OrderedDict()
        self._unpacking = threading.Lock()

    def read(
        self, path: str, load: Callable[[], np.ndarray], shape: tuple[int, ...], selection: Selection
    ) -> np.ndarray:
        """A block of an array in C order; `load` unpacks all of its elements, flat."""
        with self._unpacking:
            if path not in self._arrays:
                self._make_room()
                self._arrays[path] = load()
            self._arrays.move_to_end(path)
            whole = self._arrays[path]
        return whole.reshape(shape)[selection]

    def _make_room(self) -> None:
        """Forget the oldest before the next is unpacked, so that no two large ones are in memory."""
        while sum(array.nbytes for array in self._arrays.values()) > MAT_KEPT:
            self._arrays.popitem(last=False)

    def close(self) -> None:
        """Forget all; a later read unpacks again."""
        with self._unpacking:
            self._arrays.clear()
