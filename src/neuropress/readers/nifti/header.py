"""The header of a NIfTI-1 or NIfTI-2, in either byte order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from ...model.budget import EXTENT
from ..voxels.packed import make_damaged
from . import MAGIC_1, MAGIC_2, SIZE_1, SIZE_2, find_version

type Order = Literal["<", ">"]

_SHARED_1 = [
    ("quatern_b", "f4"), ("quatern_c", "f4"), ("quatern_d", "f4"),
    ("qoffset_x", "f4"), ("qoffset_y", "f4"), ("qoffset_z", "f4"),
    ("srow_x", "f4", 4), ("srow_y", "f4", 4), ("srow_z", "f4", 4),
]  # fmt: skip
_NIFTI_1 = [
    ("sizeof_hdr", "i4"), ("data_type", "S10"), ("db_name", "S18"), ("extents", "i4"), ("session_error", "i2"),
    ("regular", "S1"), ("dim_info", "u1"), ("dim", "i2", 8), ("intent_p1", "f4"), ("intent_p2", "f4"),
    ("intent_p3", "f4"), ("intent_code", "i2"), ("datatype", "i2"), ("bitpix", "i2"), ("slice_start", "i2"),
    ("pixdim", "f4", 8), ("vox_offset", "f4"), ("scl_slope", "f4"), ("scl_inter", "f4"), ("slice_end", "i2"),
    ("slice_code", "u1"), ("xyzt_units", "u1"), ("cal_max", "f4"), ("cal_min", "f4"), ("slice_duration", "f4"),
    ("toffset", "f4"), ("glmax", "i4"), ("glmin", "i4"), ("descrip", "S80"), ("aux_file", "S24"),
    ("qform_code", "i2"), ("sform_code", "i2"), *_SHARED_1, ("intent_name", "S16"), ("magic", "S4"),
]  # fmt: skip
_NIFTI_2 = [
    ("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"), ("dim", "i8", 8),
    ("intent_p1", "f8"), ("intent_p2", "f8"), ("intent_p3", "f8"), ("pixdim", "f8", 8), ("vox_offset", "i8"),
    ("scl_slope", "f8"), ("scl_inter", "f8"), ("cal_max", "f8"), ("cal_min", "f8"), ("slice_duration", "f8"),
    ("toffset", "f8"), ("slice_start", "i8"), ("slice_end", "i8"), ("descrip", "S80"), ("aux_file", "S24"),
    ("qform_code", "i4"), ("sform_code", "i4"), *((name, "f8", *more) for name, _, *more in _SHARED_1),
    ("slice_code", "i4"), ("xyzt_units", "i4"), ("intent_code", "i4"), ("intent_name", "S16"), ("dim_info", "u1"),
    ("unused", "S15"),
]  # fmt: skip
_LAYOUTS = {1: np.dtype(_NIFTI_1), 2: np.dtype(_NIFTI_2)}
_NO_FACTS = {"sizeof_hdr", "magic", "unused", "data_type", "db_name", "extents", "session_error", "regular"}

TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
SAMPLES = {128: 3, 2304: 4}
"""Types of colours: bytes of red, green, blue, and transparency."""
_LENGTHS = {0: "", 1: "m", 2: "mm", 3: "um"}
_TIMES = {8: "s", 16: "ms", 24: "us"}


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """What the header says; `values` are its fields in native byte order, `order` is the file's own (``<``, ``>``)."""

    key: str
    version: int
    order: Order
    values: dict[str, Any]

    @property
    def is_detached(self) -> bool:
        """Whether the voxels lie in an ``.img`` beside the header."""
        magic = self.values["magic"]
        return {**MAGIC_1, **MAGIC_2}[magic.ljust(4, b"\0") if self.version == 1 else magic.ljust(8, b"\0")]

    @property
    def length_unit(self) -> str:
        """Unit of distances; "" where the file does not say, or says what is none."""
        return _LENGTHS.get(int(self.values["xyzt_units"]) & 7, "")

    @property
    def time_unit(self) -> str:
        """Unit of the fourth axis where that is time; "" where the file does not say so."""
        return _TIMES.get(int(self.values["xyzt_units"]) & 0x38, "")

    def parse_sizes(self) -> tuple[int, ...]:
        """Extents, fastest axis first, without those of 1 behind the third. Raises `Problem` (``voxels.damaged``)."""
        count, *extents = (int(n) for n in self.values["dim"])
        if not 1 <= count <= 7 or any(not 1 <= n < EXTENT for n in extents[:count]):
            raise make_damaged(self.key, f"its dim is {[count, *extents]}")
        sizes = extents[:count]
        while len(sizes) > 3 and sizes[-1] == 1:
            sizes.pop()
        return tuple(sizes)

    def find_offset(self) -> int:
        """Byte of the first voxel. Raises `Problem` (``voxels.damaged``)."""
        offset = float(self.values["vox_offset"])
        least = 0 if self.is_detached else (SIZE_1 if self.version == 1 else SIZE_2) + 4
        if not least <= offset < EXTENT or offset != int(offset):
            raise make_damaged(self.key, f"its vox_offset is {offset}")
        return int(self.values["vox_offset"])

    def get_decimal(self, name: str, place: int | None = None) -> Decimal | None:
        """A number by the shortest text that says it, as people wrote it; None of one that is not finite."""
        value = self.values[name] if place is None else self.values[name][place]
        return Decimal(np.format_float_positional(value, trim="-")) if np.isfinite(value) else None

    def describe(self) -> dict[str, Any]:
        """The fields, without those that only older formats have."""
        described = {name: _convert(value) for name, value in self.values.items() if name not in _NO_FACTS}
        return {"nifti": self.version, "byte_order": "little" if self.order == "<" else "big", **described}


def parse_header(head: bytes, key: str) -> NiftiHeader:
    """The header that bytes begin with. Raises `Problem` (``voxels.damaged``)."""
    version = find_version(head)
    if not version or len(head) < _LAYOUTS[version].itemsize:
        raise make_damaged(key, "it does not begin with the header of a NIfTI-1 or NIfTI-2")
    order: Order = "<" if int.from_bytes(head[:4], "little") in (SIZE_1, SIZE_2) else ">"
    layout = _LAYOUTS[version].newbyteorder(order)
    record = np.frombuffer(head, layout, 1)[0]
    return NiftiHeader(key, version, order, {name: record[name] for name in layout.names or ()})


def _convert(value: Any) -> Any:
    """A field as JSON has it."""
    if isinstance(value, bytes):
        return value.split(b"\0")[0].decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return [_convert(one) for one in value]
    if isinstance(value, np.floating):
        return float(np.format_float_scientific(value)) if np.isfinite(value) else str(value)
    return int(value)
