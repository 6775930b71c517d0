"""ImageJ ROIs of our own: bytes as its encoder lays them out, for each kind."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

POLYGON, RECT, OVAL, LINE, FREELINE, POLYLINE, NO_ROI, FREEHAND, TRACED, ANGLE, POINT = range(11)
TEXT, ARROW, ELLIPSE, IMAGE, ROTATED = range(1, 6)
SPLINE, SUB_PIXEL = 1, 128
MOVE, TO, QUADRATIC, CUBIC, CLOSE = range(5)

type Points = Sequence[tuple[float, float]]


def make_roi(
    kind: int,
    box: tuple[int, int, int, int] = (0, 0, 0, 0),
    *,
    body: bytes = b"",
    count: int = 0,
    floats: Sequence[float] = (),
    composite: int = 0,
    subtype: int = 0,
    options: int = 0,
    parameter: float = 0.0,
    arc: int = 0,
    version: int = 228,
    stroke: int = 0,
    position: int = 0,
    name: str = "",
    second: Mapping[int, int] | None = None,
) -> bytes:
    """A ROI with a box (left, top, right, bottom) and what stands behind the first header.

    Parameters
    ----------
    floats
        What stands at byte 18: ends of a line or an ellipse, or a sub-pixel box.
    second
        Offset in the second header -> a number of 4 bytes; channel, slice and frame are 4, 8 and 12.
    """
    head = bytearray(64)
    left, top, right, bottom = (number & 0xFFFF for number in box)
    struct.pack_into(">4sHBxHHHHH", head, 0, b"Iout", version, kind, top, left, bottom, right, count & 0xFFFF)
    if floats:
        struct.pack_into(f">{len(floats)}f", head, 18, *floats)
    struct.pack_into(">HI", head, 34, stroke, composite)
    struct.pack_into(">HH", head, 48, subtype, options)
    if parameter:
        struct.pack_into(">f", head, 52, parameter)
    if arc:
        struct.pack_into(">H", head, 54, arc)
    start = 64 + len(body)
    struct.pack_into(">iI", head, 56, position, start)
    tail = bytearray(64)
    for offset, number in (second or {}).items():
        struct.pack_into(">I", tail, offset, number)
    text = name.encode("utf-16-be")
    if text:
        struct.pack_into(">II", tail, 16, start + 64, len(text) // 2)
    return bytes(head) + body + bytes(tail) + text


def make_polygon(points: Points, kind: int = POLYGON, *, sub_pixel: bool = False, **more: Any) -> bytes:
    """Any kind that has coordinates of its own."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, top = int(min(xs)), int(min(ys))
    box = (left, top, int(max(xs)), int(max(ys)))
    shorts = [int(x) - left for x in xs] + [int(y) - top for y in ys]
    body = struct.pack(f">{len(shorts)}H", *(number & 0xFFFF for number in shorts))
    options = more.pop("options", 0)
    if sub_pixel:
        body += struct.pack(f">{2 * len(xs)}f", *xs, *ys)
        options |= SUB_PIXEL
    return make_roi(kind, box, body=body, count=len(xs), options=options, **more)


def make_composite(segments: Sequence[Sequence[float]], **more: Any) -> bytes:
    """A path of segments, each a kind and its coordinates."""
    numbers = [number for segment in segments for number in segment]
    return make_roi(RECT, body=struct.pack(f">{len(numbers)}f", *numbers), composite=len(numbers), **more)


def make_ring(points: Points) -> list[list[float]]:
    """Segments of a closed polygon."""
    (first, *others) = points
    return [[MOVE, *first], *([TO, *point] for point in others), [CLOSE]]


def make_set(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip as the ROI Manager saves it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()
