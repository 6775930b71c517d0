"""MAT-files of version 4: matrices one after the other, each with a header of five numbers and its name."""

from __future__ import annotations

import math
import struct

import numpy as np

from ...model.budget import ARRAY_NAME
from ...model.source import RawFile
from .level5 import Damaged, Inventory, Numbers

STORED = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}


def read_inventory(file: RawFile, size: int, order: str) -> Inventory:
    """All matrices. Raises `Damaged`, `TooLarge`."""
    inventory = Inventory()
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(20)
        if len(head) < 20:
            raise Damaged(f"it ends within the header of a matrix at byte {position}")
        kind, rows, columns, imaginary, length = struct.unpack(order + "5i", head)
        kind -= 1000 if order == ">" else 0
        stored = STORED.get(kind // 10)
        if not 0 <= kind <= 52 or stored is None or kind % 10 > 2 or min(rows, columns) < 0 or imaginary not in (0, 1):
            raise Damaged(f"what stands at byte {position} is no header of a matrix")
        if not 1 < length <= ARRAY_NAME:
            raise Damaged(f"the name of a matrix at byte {position} has {length} bytes")
        name = file.read(length)
        path = name.split(b"\0")[0].decode("latin-1")
        start = position + 20 + length
        dtype = np.dtype(order + stored)
        count = math.prod((rows, columns))
        position = start + count * dtype.itemsize * (1 + imaginary)
        if position > size or not path:
            raise Damaged(f"the matrix {path[:80]!r} reaches to byte {position}, the file has {size}")
        if kind % 10:
            inventory.add(path, "a sparse matrix" if kind % 10 == 2 else f"a text of {count} letters")
        elif imaginary:
            inventory.add(path, f"complex numbers ({rows} x {columns})")
        else:
            inventory.add(path, Numbers((rows, columns), dtype.newbyteorder("="), dtype, start, None))
    return inventory
