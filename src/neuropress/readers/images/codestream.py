"""What a compressed image says of its own extent: its decoder believes that, not the TIFF around it.

Sources: ITU-T T.81 (JPEG), T.800 (JPEG 2000), ISO/IEC 15948 (PNG), 18181 (JPEG XL), RFC 9649
(WebP), ITU-T T.832 (JPEG XR), the LERC2 header of Esri.
"""

from __future__ import annotations

import struct

_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEGXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_XR_WIDTH, _XR_HEIGHT = 0xBC80, 0xBC81


def read_stated_extent(data: bytes) -> tuple[int, int] | None:
    """Columns and rows that a compressed image states; None for what is none of the known ones."""
    try:
        return _read_extent(data)
    except (struct.error, IndexError):
        return None


def _read_extent(data: bytes) -> tuple[int, int] | None:
    if data[:2] == b"\xff\xd8":
        return _read_jpeg_extent(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    if data[:4] == b"\xff\x4f\xff\x51" or data[4:8] == b"jP  ":
        return _read_jpeg2000_extent(data)
    if data[:2] == b"\xff\x0a" or data[4:8] == b"JXL ":
        return _read_jpegxl_extent(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read_webp_extent(data)
    if data[:3] == b"II\xbc":
        return _read_jpegxr_extent(data)
    if data[:6] == b"Lerc2 ":
        (version,) = struct.unpack_from("<i", data, 6)
        height, width = struct.unpack_from("<II", data, 14 if version >= 3 else 10)
        return width, height
    return None


def _read_jpeg_extent(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker == 0xFF:  # a fill byte before the marker itself
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # a marker by itself, without a length
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _read_jpeg2000_extent(data: bytes) -> tuple[int, int] | None:
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
    return max(right - left, 0), max(bottom - top, 0)


def _read_jpegxl_extent(data: bytes) -> tuple[int, int] | None:
    """The size header: bits, lowest first."""
    at = data.find(b"\xff\x0a")
    if at < 0:
        return None
    bits = int.from_bytes(data[at + 2 : at + 18], "little")

    def take_bits(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take_bits(1)

    def read_size() -> int:
        return (take_bits(5) + 1) * 8 if small else take_bits((9, 13, 18, 30)[take_bits(2)]) + 1

    height = read_size()
    ratio = take_bits(3)
    if not ratio:
        return read_size(), height
    over, under = _JPEGXL_RATIOS[ratio - 1]
    return height * over // under, height


def _read_webp_extent(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _read_jpegxr_extent(data: bytes) -> tuple[int, int] | None:
    """Its container is a TIFF directory of its own."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    values = {}
    for number in range(min(count, 256)):
        code, kind, _, value = struct.unpack_from("<HHII", data, at + 2 + 12 * number)
        values[code] = value & 0xFFFF if kind == 3 else value
    return (values[_XR_WIDTH], values[_XR_HEIGHT]) if {_XR_WIDTH, _XR_HEIGHT} <= values.keys() else None
