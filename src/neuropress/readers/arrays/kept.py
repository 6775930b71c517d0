"""Arrays that were unpacked as a whole, since no part of them can be read alone: the last ones stay in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from itertools import count
from typing import ClassVar

import numpy as np

from ...model.budget import ARRAY_KEPT
from ...model.content import Selection


class KeptArrays:
    """Of one file, in the room that all files share; threads that ask for the same array unpack it once."""

    _all: ClassVar[OrderedDict[tuple[int, str], np.ndarray]] = OrderedDict()
    _changing: ClassVar[threading.RLock] = threading.RLock()
    _serials: ClassVar[count[int]] = count()

    def __init__(self) -> None:
        self._serial = next(KeptArrays._serials)
        self._unpacking = threading.Lock()

    def load(self, path: str, unpack: Callable[[], np.ndarray]) -> np.ndarray:
        """A whole array, which `unpack` makes where it is not in memory."""
        key = self._serial, path
        with self._unpacking:
            with KeptArrays._changing:
                known = KeptArrays._all.get(key)
                if known is not None:
                    KeptArrays._all.move_to_end(key)
                    return known
                self._make_room()
            made = unpack()
            with KeptArrays._changing:
                KeptArrays._all[key] = made
            return made

    def read(
        self, path: str, unpack: Callable[[], np.ndarray], shape: tuple[int, ...], selection: Selection
    ) -> np.ndarray:
        """A block of an array in C order; `unpack` gives all of its elements, flat."""
        return self.load(path, unpack).reshape(shape)[selection]

    def _make_room(self) -> None:
        """Forget the oldest before the next is unpacked, so that no two large ones are in memory."""
        while sum(array.nbytes for array in KeptArrays._all.values()) > ARRAY_KEPT:
            KeptArrays._all.popitem(last=False)

    def close(self) -> None:
        """Forget those of this file; a later read unpacks again."""
        with KeptArrays._changing:
            for key in [key for key in KeptArrays._all if key[0] == self._serial]:
                del KeptArrays._all[key]
