"""JPEG: what its segments state, without decoding; and the samples that libjpeg-turbo makes of it.

Source: ITU-T T.81, annex B (markers and segments); T.871 (JFIF).
"""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import imagecodecs
import numpy as np

from ...model.finding import Problem, problem
from ..images.calibration import ImageMetadata, apply_resolution
from .header import PictureHeader, check_extent

SIGNATURE = b"\xff\xd8\xff"
WARNING = (
    "JPEG has lost detail before this conversion: pixels are as libjpeg-turbo decodes them, and damage inside of its "
    "data need not be noticed"
)
MAX_TEXT = 2**22
"""Bytes of comments and application segments that the header keeps."""
_MAX_SEGMENTS = 65_536
_JPEG = 7
_END = b"\xff\xd9"
_TAIL = 2**16
_SCAN = 0xDA
_CENTIMETRES, _TIFF_CENTIMETRES = 2, 3
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_READ_FRAMES = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive, with Huffman codes."""


def read_header(file: BinaryIO, size: int, key: str) -> PictureHeader:
    """Check the segments up to the pixels, and that the end is there.

    Raises
    ------
    Problem
        ``jpeg.damaged``, ``image.unsupported`` (12 bits, lossless, CMYK), ``image.hostile``.
    """
    frame: tuple[int, bytes] | None = None
    scan = 0
    for marker, body, at in _list_segments(file, key):
        if marker in _FRAMES:
            frame = (marker, body)
        scan = at
    if frame is None or not scan:
        raise _make_damaged_problem(key, "it has no frame header and scan")
    file.seek(max(scan, size - _TAIL))
    # Inside of packed pixels no byte FF is followed by D9.
    if _END not in file.read(_TAIL):
        raise _make_damaged_problem(key, "it does not end as a JPEG does (EOI marker)")
    marker, body = frame
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise _make_damaged_problem(key, "its frame header is too short")
    bits, height, width, samples = struct.unpack_from(">BHHB", body)
    if marker not in _READ_FRAMES or bits != 8 or samples not in (1, 3):
        raise problem(
            "image.unsupported",
            f"{key} is a JPEG of {bits} bits and {samples} samples (SOF{marker - 0xC0})",
            hint="8 bits of gray, or of red, green and blue, are read: name the file that the microscope wrote.",
            file=key,
        )
    if not width or not height:
        raise _make_damaged_problem(key, f"its header states {width} x {height} pixels")
    check_extent(width, height, bits * samples, _JPEG, size, key)
    return PictureHeader("JPEG", (height, width) if samples == 1 else (height, width, samples), bits)


def _list_segments(file: BinaryIO, key: str) -> Iterator[tuple[int, bytes, int]]:
    """Marker, body, and where the segment ends, up to the first scan; a body is at most 64 kB."""
    file.seek(2)
    for _ in range(_MAX_SEGMENTS):
        head = file.read(2)
        while head[:1] == b"\xff" and head[1:] == b"\xff":  # fill bytes before the marker itself
            head = head[1:] + file.read(1)
        length = file.read(2)
        if len(head) < 2 or head[0] != 0xFF or len(length) < 2 or (count := int.from_bytes(length, "big")) < 2:
            raise _make_damaged_problem(key, "its segments do not follow each other")
        body = file.read(count - 2)
        if len(body) < count - 2:
            raise _make_damaged_problem(key, "it ends within its header")
        yield head[1], body, file.tell()
        if head[1] == _SCAN:
            return
    raise _make_damaged_problem(key, f"it has more than {_MAX_SEGMENTS} segments before its pixels")


def decode_pixels(data: bytes, header: PictureHeader, key: str) -> np.ndarray:
    """The samples as libjpeg-turbo makes them: gray, or red, green and blue; not turned as EXIF may ask."""
    try:
        pixels = imagecodecs.jpeg8_decode(data)
    except (imagecodecs.Jpeg8Error, ValueError, MemoryError) as error:
        raise _make_damaged_problem(key, f"it cannot be decoded ({error})") from error
    header.check_decoded(pixels, key)
    return pixels


def read_chunks(data: bytes, key: str, meta: ImageMetadata) -> dict[str, Any]:
    """Comments and application segments, verbatim; dots per cm finer than print are a calibration."""
    chunks: dict[str, Any] = {}
    room = MAX_TEXT
    for marker, body, _ in _list_segments(io.BytesIO(data), key):
        if marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 12 and body[7] == _CENTIMETRES:
            x, y = struct.unpack_from(">HH", body, 8)
            apply_resolution(meta, (x, 1), (y, 1), _TIFF_CENTIMETRES)
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            continue
        room -= len(body) + 4
        if room < 0:
            chunks["omitted"] = f"segments after the first {MAX_TEXT} bytes of them"
            break
        name = "COM" if marker == 0xFE else f"APP{marker - 0xE0}"
        chunks.setdefault(name, []).append({"base64": base64.b64encode(body).decode("ascii")})
    return chunks


def _make_damaged_problem(key: str, reason: str) -> Problem:
    return problem("jpeg.damaged", f"{key}: {reason}", file=key)
