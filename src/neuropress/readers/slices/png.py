"""PNG: what its chunks state, without decoding; and exact samples by imagecodecs.

Source: PNG specification (ISO/IEC 15948), chunk layout and colour types.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any, BinaryIO

import imagecodecs
import numpy as np

from ...model.finding import Problem, problem
from ..images.calibration import ImageMetadata, apply_resolution
from .header import PictureHeader, check_extent

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT = 2**22
"""Bytes of all text and calibration chunks that the header keeps."""
_DEFLATE = 8
_END = b"\0\0\0\0IEND\xaeB`\x82"
_SAMPLES_BY_COLOUR = {0: 1, 2: 3, 4: 2, 6: 4}
_BITS_BY_COLOUR = {0: (1, 2, 4, 8, 16), 2: (8, 16), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3


def read_header(file: BinaryIO, size: int, key: str) -> PictureHeader:
    """Check the signature, the header chunk and the end.

    Raises
    ------
    Problem
        ``png.damaged``, ``image.unsupported`` (palette), ``image.hostile``.
    """
    head = file.read(33)
    if len(head) < 33 or head[:8] != SIGNATURE or head[8:16] != b"\0\0\0\rIHDR":
        raise _make_damaged_problem(key, "it has no PNG header")
    width, height, bits, colour, method, filtering, interlace = struct.unpack(">IIBBBBB", head[16:29])
    if zlib.crc32(head[12:29]) != int.from_bytes(head[29:33], "big"):
        raise _make_damaged_problem(key, "the checksum of its header is wrong")
    if colour == _PALETTE:
        raise problem(
            "image.unsupported",
            f"{key} has a colour palette: its pixels are numbers of colours, not intensities",
            hint="Export the slices as grayscale or RGB PNG or as TIFF.",
            file=key,
        )
    if bits not in _BITS_BY_COLOUR.get(colour, ()) or method or filtering or interlace > 1 or not width or not height:
        raise _make_damaged_problem(
            key, f"its header states colour type {colour} with {bits} bits, {width} x {height} pixels"
        )
    samples = _SAMPLES_BY_COLOUR[colour]
    check_extent(width, height, bits * samples, _DEFLATE, size, key)
    file.seek(max(size - len(_END), 0))
    if file.read(len(_END)) != _END:
        raise _make_damaged_problem(key, "it does not end as a PNG does (IEND chunk)")
    return PictureHeader("PNG", (height, width) if samples == 1 else (height, width, samples), bits)


def decode_pixels(data: bytes, header: PictureHeader, key: str) -> np.ndarray:
    """The samples as stored: 1, 2 and 4 bits as 0..1, 0..3, 0..15; alpha kept; no gamma applied."""
    try:
        pixels = imagecodecs.png_decode(data)
    except (imagecodecs.PngError, ValueError, MemoryError) as error:
        raise _make_damaged_problem(key, f"it cannot be decoded ({error})") from error
    header.check_decoded(pixels, key)
    # The decoder spreads 1, 2 and 4 bits over 0..255, by whole factors.
    return pixels // np.uint8(255 // (2**header.bits - 1)) if header.bits < 8 else pixels


def read_chunks(data: bytes, meta: ImageMetadata) -> dict[str, Any]:
    """Text and calibration chunks, verbatim; pixels per metre finer than print are a calibration."""
    chunks: dict[str, Any] = {}
    at, room = len(SIGNATURE), MAX_TEXT
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        if kind == b"pHYs" and length == 9 and body[8] == 1:
            x, y = struct.unpack_from(">II", body)
            apply_resolution(meta, (x, 100), (y, 100), 3)
        if kind not in (b"IHDR", b"IDAT", b"IEND"):
            room -= length + 12
            if room < 0:
                chunks["omitted"] = f"chunks after the first {MAX_TEXT} bytes of them"
                break
            text = kind == b"tEXt"
            value = body.decode("latin-1") if text else {"base64": base64.b64encode(body).decode("ascii")}
            chunks.setdefault(kind.decode("latin-1"), []).append(value)
        at += 12 + length
    return chunks


def _make_damaged_problem(key: str, reason: str) -> Problem:
    return problem("png.damaged", f"{key}: {reason}", file=key)
