"""What a PNG or a JPEG states of itself before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...model import budget
from ...model.finding import problem
from ..images.page import HostileClaim, check_segment_size


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """The header of a picture: `format` is PNG or JPEG, `shape` (rows, columns) or (rows, columns, samples)."""

    format: str
    shape: tuple[int, ...]
    bits: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint16 for 16 bits, uint8 for fewer."""
        return np.dtype(np.uint16 if self.bits == 16 else np.uint8)

    def check_decoded(self, pixels: np.ndarray, key: str) -> None:
        """Whether a decoder gave what the header states. Raises `Problem` (``image.unsupported``)."""
        if pixels.shape != self.shape or pixels.dtype != self.dtype:
            stated = f"its header states {self.shape} {self.dtype}"
            message = f"{key} is decoded as {pixels.shape} {pixels.dtype}, but {stated}"
            raise problem("image.unsupported", message, file=key)


def check_extent(width: int, height: int, bits: int, compression: int, size: int, key: str) -> None:
    """Refuse what a codec cannot hold in so few bytes, and what would fill the memory: a picture is decoded whole.

    Parameters
    ----------
    bits
        Of all samples of a pixel.
    compression
        The codec, by the number that TIFF has for it.
    size
        Bytes of the file.

    Raises
    ------
    Problem
        ``image.hostile``.
    """
    claimed = f"{key}: {width} x {height} pixels from {size} bytes"
    if width * height * bits // 8 > budget.CODEC_RATIOS[compression] * size + budget.IMAGE_SLACK:
        raise problem("image.hostile", claimed, file=key)
    try:
        check_segment_size(width * height * max(bits // 8, 1), size)
    except HostileClaim as error:
        raise problem("image.hostile", f"{claimed}: it {error}", file=key) from error
