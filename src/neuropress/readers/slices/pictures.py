"""Files that hold one picture: PNG and JPEG behind one door."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from ..images.calibration import ImageMetadata
from . import jpeg, png
from .header import PictureHeader

SIGNATURES = (png.SIGNATURE, jpeg.SIGNATURE)


def read_header(file: BinaryIO, size: int, key: str) -> PictureHeader:
    """What a file that begins with one of `SIGNATURES` states of itself. Raises `Problem` as `png` and `jpeg` do."""
    is_png = file.read(len(png.SIGNATURE)) == png.SIGNATURE
    file.seek(0)
    return png.read_header(file, size, key) if is_png else jpeg.read_header(file, size, key)


def decode_pixels(data: bytes, header: PictureHeader, key: str) -> np.ndarray:
    """The samples, of the shape and type that the header states. Raises `Problem` as `png` and `jpeg` do."""
    decode = png.decode_pixels if header.format == "PNG" else jpeg.decode_pixels
    return decode(data, header, key)


def read_chunks(data: bytes, header: PictureHeader, key: str, meta: ImageMetadata) -> dict[str, Any]:
    """Texts and calibration, verbatim; `meta` takes the size of a pixel."""
    return png.read_chunks(data, meta) if header.format == "PNG" else jpeg.read_chunks(data, key, meta)


def describe_loss(header: PictureHeader) -> tuple[str, ...]:
    """A warning where the format keeps less than the microscope recorded."""
    return (jpeg.WARNING,) if header.format == "JPEG" else ()
