"""The bytes of one ROI of ImageJ: a header of 64 bytes, coordinates, and a second header behind them.

ImageJ documents the layout by its own code alone (``ij/io/RoiDecoder``); all numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from . import MAGIC
from .curves import Path, TooManyVertices, flatten_path, make_ellipse, make_rotated_rectangle, make_rounded_rectangle

HEADER_BYTES = 64
HEADER2_BYTES = 36
"""What ImageJ itself asks for of the second header, which has 64 bytes in files of today."""
MOST_NAME = 4096
"""Characters of a name."""
MOST_COORDINATE = 2**20
"""Pixels; no image of ImageJ is wider than 2**15 by its own ROIs' 16 bits, more where they are sub-pixel."""

RECTANGLE, OVAL, LINE, POINT = 1, 2, 3, 10
POLYGONS = {0: "polygon", 4: "freeline", 5: "polyline", 7: "freehand", 8: "traced", 9: "angle"}
OPEN = ("freeline", "polyline", "angle")
CLOSED = (0, 7, 8, POINT)
"""Types that ImageJ takes the mask of from its own float32 copy."""
TEXT, ARROW, ELLIPSE, IMAGE, ROTATED = 1, 2, 3, 4, 5
"""Subtypes."""
SPLINE, SUB_PIXEL = 1, 128
"""Options."""
SEGMENTS = {0: 2, 1: 2, 2: 4, 3: 6, 4: 0}
"""Move, line, quadratic and cubic curve, close of a composite -> its coordinates."""
PLACES = {"channel": 4, "slice": 8, "frame": 12}
"""Offsets in the second header."""

type Shape = Literal["box", "oval", "area", "line", "points"]


class DamagedRoi(ValueError):
    """Bytes that are no whole ROI; the text says why."""


class UnsupportedRoi(ValueError):
    """A ROI whose pixels are not known here; the text says which."""


class Annotation(ValueError):
    """A text or a picture that lies over an image, and is no region of it."""


@dataclass(frozen=True, slots=True)
class Roi:
    """One region as it is stored.

    Attributes
    ----------
    name
        As stored in it; else empty.
    kind
        ImageJ's word for it.
    shape
        What `paths` are: one box (left, top; width, height) for ``box`` and ``oval``, closed outlines, open lines,
        or points.
    paths
        Each (n, 2) x and y in pixels, float64; (0, 0) is the upper left corner of the first pixel.
    position, channel, slice, frame
        Image of the stack, or of the hyperstack, that it belongs to, from 1; 0 where that is not said.
    point_slices
        Images of the stack that its points were set on, where they differ from one another.
    """

    name: str
    kind: str
    shape: Shape
    paths: tuple[Path, ...]
    position: int
    channel: int = 0
    slice: int = 0
    frame: int = 0
    group: int = 0
    stroke_width: float = 0.0
    point_slices: int = 0


def parse_roi(data: bytes, most_vertices: int) -> Roi:
    """One ROI of ImageJ.

    Parameters
    ----------
    most_vertices
        Into how many vertices its curves may be flattened.

    Raises
    ------
    DamagedRoi, UnsupportedRoi, Annotation
    """
    if not data.startswith(MAGIC):
        raise DamagedRoi(f"it begins with {data[:4]!r}, not {MAGIC!r}")
    if len(data) < HEADER_BYTES:
        raise DamagedRoi(f"it has {len(data)} bytes, fewer than the {HEADER_BYTES} of a header")
    fields = _Fields(data)
    try:
        kind, shape, paths = fields.read_shape(most_vertices)
    except TooManyVertices:
        raise UnsupportedRoi(f"its curves take more than {most_vertices} vertices") from None
    for path in paths:
        if not np.all(np.abs(path) <= MOST_COORDINATE):  # NaN is not, either
            raise DamagedRoi(f"a coordinate is no number, or beyond {MOST_COORDINATE} pixels")
    return Roi(kind=kind, shape=shape, paths=paths, position=max(fields.get_int(56), 0), **fields.read_second_header())


class _Fields:
    """The first header's fields by their offset."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.version = self.get_short(4)
        self.type = data[6]
        self.box = tuple(self.get_short(offset) for offset in (10, 8, 14, 12))  # left, top, right, bottom
        self.subtype = self.get_short(48)
        self.options = self.get_short(50)
        self.is_sub_pixel = bool(self.options & SUB_PIXEL) and self.version >= 222

    def get_short(self, offset: int) -> int:
        """A signed short, in which ImageJ keeps numbers up to 60,535: what would be below -5000 is above 32,767."""
        (value,) = struct.unpack_from(">h", self.data, offset)
        return int(value) + 65536 if value < -5000 else int(value)

    def get_int(self, offset: int) -> int:
        return int(struct.unpack_from(">i", self.data, offset)[0])

    def get_float(self, offset: int) -> float:
        return float(struct.unpack_from(">f", self.data, offset)[0])

    def read_shape(self, most_vertices: int) -> tuple[str, Shape, tuple[Path, ...]]:
        """Kind, shape and paths."""
        if (size := self.get_int(36)) > 0:
            return "composite", "area", self._read_composite(size, most_vertices)
        if self.subtype in (TEXT, IMAGE) and self.type == RECTANGLE:
            raise Annotation("a text" if self.subtype == TEXT else "a picture")
        if self.type in (RECTANGLE, OVAL):
            return self._read_box(most_vertices)
        if self.type == LINE:
            ends = np.array([self.get_float(offset) for offset in (18, 22, 26, 30)]).reshape(2, 2)
            return "arrow" if self.subtype == ARROW else "line", "line", (ends,)
        if self.type == POINT:
            return "point", "points", (self._read_coordinates(),)
        if self.type not in POLYGONS:
            raise DamagedRoi(f"its type is {self.type}, which ImageJ does not have")
        return self._read_polygon(POLYGONS[self.type])

    def _read_box(self, most_vertices: int) -> tuple[str, Shape, tuple[Path, ...]]:
        """A rectangle or an oval; ImageJ takes the mask of a sub-pixel one from its whole pixels."""
        left, top, right, bottom = self.box
        width, height = right - left, bottom - top
        if self.is_sub_pixel and self.version >= 223:
            x, y, wide, high = (self.get_float(offset) for offset in (18, 22, 26, 30))
            if not all(abs(value) <= MOST_COORDINATE for value in (x, y, wide, high)):
                raise DamagedRoi(f"a coordinate is no number, or beyond {MOST_COORDINATE} pixels")
            left, top, width, height = int(x), int(y), int(np.ceil(wide)), int(np.ceil(high))
        width, height = max(width, 1), max(height, 1)
        if self.type == OVAL:
            return "oval", "oval", (np.array([[left, top], [width, height]], "f8"),)
        if (arc := self.get_short(54)) > 0:
            corners = make_rounded_rectangle(left, top, width, height, arc)
            return "rounded rectangle", "area", tuple(flatten_path(corners, most_vertices))
        return "rectangle", "box", (np.array([[left, top], [width, height]], "f8"),)

    def _read_polygon(self, kind: str) -> tuple[str, Shape, tuple[Path, ...]]:
        if kind == "freehand" and self.subtype in (ELLIPSE, ROTATED):
            x1, y1, x2, y2, parameter = (self.get_float(offset) for offset in (18, 22, 26, 30, 52))
            if not all(abs(value) <= MOST_COORDINATE for value in (x1, y1, x2, y2, parameter)):
                raise DamagedRoi(f"a coordinate is no number, or beyond {MOST_COORDINATE} pixels")
            if self.subtype == ELLIPSE:
                return "ellipse", "area", (make_ellipse((x1, y1), (x2, y2), parameter),)
            return "rotated rectangle", "area", (make_rotated_rectangle((x1, y1), (x2, y2), parameter),)
        if self.options & SPLINE and self.version >= 218:
            raise UnsupportedRoi(
                "a spline was fitted to it: in ImageJ choose Edit > Selection > Interpolate, which makes it a polygon"
            )
        return kind, "line" if kind in OPEN else "area", (self._read_coordinates(),)

    def _read_coordinates(self) -> Path:
        """Vertices: shorts relative to the box, and behind them floats of their own where they are sub-pixel."""
        count = struct.unpack_from(">H", self.data, 16)[0] or self.get_int(18)
        if count <= 0:
            raise DamagedRoi("it has no coordinates")
        whole, part = HEADER_BYTES + 4 * count, 8 * count if self.is_sub_pixel else 0
        if whole + part > len(self.data):
            raise DamagedRoi(f"it has {len(self.data)} bytes; {count} coordinates take {whole + part}")
        if part:
            floats = np.frombuffer(self.data, ">f4", 2 * count, whole).reshape(2, count).T.astype("f4")
            # ImageJ keeps them relative to the smallest as float32, which decides on what side of an edge a middle is.
            with np.errstate(over="ignore", invalid="ignore"):
                base = floats.min(axis=0) if self.type in CLOSED else np.zeros(2, "f4")
                vertices: Path = np.add(floats - base, base, dtype="f8")
            return vertices
        shorts = np.frombuffer(self.data, ">i2", 2 * count, HEADER_BYTES).reshape(2, count).T.astype("i8")
        shorts = np.where(shorts < -5000, shorts + 65536, np.maximum(shorts, 0))
        whole_pixels: Path = (shorts + np.array(self.box[:2])).astype("f8")
        return whole_pixels

    def _read_composite(self, size: int, most_vertices: int) -> tuple[Path, ...]:
        if self.type != RECTANGLE:
            raise DamagedRoi(f"it is a composite of the type {self.type}; composites have {RECTANGLE}")
        if HEADER_BYTES + 4 * size > len(self.data):
            raise DamagedRoi(f"it has {len(self.data)} bytes; its path takes {HEADER_BYTES + 4 * size}")
        numbers = np.frombuffer(self.data, ">f4", size, HEADER_BYTES).astype("f8").tolist()
        return tuple(flatten_path(_split_segments(numbers), most_vertices))

    def read_second_header(self) -> dict[str, Any]:
        """Name, place in a hyperstack, group and stroke width, as far as they are stated."""
        start, size = self.get_int(60), len(self.data)
        found: dict[str, Any] = {"name": "", "stroke_width": float(max(self.get_short(34), 0))}
        if start <= 0:
            return found
        if start + HEADER2_BYTES > size:
            raise DamagedRoi(f"it has {size} bytes; its second header begins at byte {start}")
        found |= {name: max(self.get_int(start + at), 0) for name, at in PLACES.items()}
        found["group"] = self.data[start + 30] if self.version >= 228 else 0
        if self.version >= 229 and not found["group"] and start + 54 <= size:
            found["group"] = struct.unpack_from(">H", self.data, start + 52)[0]
        if start + 40 <= size and 0 < (width := self.get_float(start + 36)) <= MOST_COORDINATE:
            found["stroke_width"] = width
        if self.type == POINT:
            found["point_slices"] = self._count_point_slices(start)
        return found | {"name": self._read_name(start)}

    def _read_name(self, start: int) -> str:
        offset, length = self.get_int(start + 16), self.get_int(start + 20)
        if offset <= 0 or length <= 0:
            return ""
        if length > MOST_NAME or offset + 2 * length > len(self.data):
            raise DamagedRoi(f"its name of {length} characters is longer than {MOST_NAME}, or than the file")
        return self.data[offset : offset + 2 * length].decode("utf-16-be", "replace").replace("\0", "")

    def _count_point_slices(self, start: int) -> int:
        """How many images its points were set on: the upper 24 bits of what ImageJ keeps for each."""
        count = struct.unpack_from(">H", self.data, 16)[0] or self.get_int(18)
        if start + 52 > len(self.data) or (offset := self.get_int(start + 48)) <= 0:
            return 0
        if offset + 4 * count > len(self.data):
            return 0
        return len(np.unique(np.frombuffer(self.data, ">u4", count, offset) >> 8))


def _split_segments(numbers: list[float]) -> Iterator[tuple[int, list[float]]]:
    """Segments of a composite's path: number of the kind, and coordinates."""
    position = 0
    while position < len(numbers):
        kind = numbers[position]
        if kind not in SEGMENTS:
            raise DamagedRoi(f"segment {kind} of its path is none that ImageJ has")
        size = SEGMENTS[int(kind)]
        if position + 1 + size > len(numbers):
            raise DamagedRoi("its path ends within a segment")
        if position == 0 and kind != 0:
            raise DamagedRoi("its path does not begin with a place")
        coordinates = numbers[position + 1 : position + 1 + size]
        if not all(abs(value) <= MOST_COORDINATE for value in coordinates):
            raise DamagedRoi(f"a coordinate is no number, or beyond {MOST_COORDINATE} pixels")
        yield int(kind), coordinates
        position += 1 + size
