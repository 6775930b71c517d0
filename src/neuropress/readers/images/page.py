"""One page of a TIFF: what its directory says of extent, samples and storage, checked against itself and the file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...model import budget

SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL = 254, 256, 257, 258, 259, 262, 266
DESCRIPTION, OFFSETS, SAMPLES, ROWS, COUNTS, PLANAR, FAX = 270, 273, 277, 278, 279, 284, 292
PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS, SUBIFDS = 317, 322, 323, 324, 325, 330
FORMAT, JPEG_TABLES, SUBSAMPLING, DEPTH, TILE_DEPTH = 339, 347, 530, 32997, 32998
FORM = (
    (WIDTH, 0), (LENGTH, 0), (DEPTH, 1), (BITS, 1), (FORMAT, 1), (SAMPLES, 1), (PLANAR, 1), (COMPRESSION, 1),
    (PREDICTOR, 1), (FILL, 1), (PHOTOMETRIC, 0), (ROWS, 0), (TILE_WIDTH, 0), (TILE_LENGTH, 0), (TILE_DEPTH, 1),
    (FAX, 0), (SUBSAMPLING, 0),
)  # fmt: skip
SEGMENT_TAGS = frozenset((OFFSETS, COUNTS, TILE_OFFSETS, TILE_COUNTS))
_WHITE_IS_ZERO, _YCBCR = 0, 6
_FLOAT = 3
_DTYPE_KINDS = {1: "u", 2: "i", _FLOAT: "f"}
_PHOTOMETRIC_NAMES = {
    0: "MinIsWhite", 1: "MinIsBlack", 2: "RGB", 3: "palette", 4: "mask", 5: "separated (CMYK)", 6: "YCbCr", 8: "CIELab",
    32803: "colour filter array", 34892: "linear raw",
}  # fmt: skip

type Value = int | tuple[int, ...]
type SegmentValues = Sequence[int] | np.ndarray


class Contradiction(ValueError):
    """A page contradicts itself; the text says how."""


class HostileClaim(ValueError):
    """A page claims what no camera produces; the text says what."""


class BeyondEnd(ValueError):
    """Pixels lie beyond the end of the file; `args` are the strip or tile (from 0), its first byte and its length."""


@dataclass(frozen=True, slots=True)
class Page:
    """One directory.

    Attributes
    ----------
    offset
        Of the directory in the file.
    form
        All that must be equal for pages to belong to one array: extent, sample type, storage.
    offsets, counts
        Of the strips or tiles; a count of 0 is one that was never written.
    nbytes
        Decoded size in bytes.
    byte_order
        Byte order of the file, ``<`` or ``>``.
    description
        Offset and length of the ImageDescription text, or None.
    is_reduced
        A smaller version of another page (NewSubfileType).
    jpeg_tables
        Offset and length of the JPEG tables, or None.
    """

    offset: int
    form: tuple[Value, ...]
    offsets: SegmentValues
    counts: SegmentValues
    nbytes: int
    byte_order: str
    description: tuple[int, int] | None
    is_reduced: bool
    jpeg_tables: tuple[int, int] | None = None

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        return get_single_value(self.form[5])

    @property
    def is_compressed(self) -> bool:
        """Whether the pixels are stored by a codec."""
        return self.form[7] != 1

    @property
    def is_inverted(self) -> bool:
        """Whether 0 is white and the largest value black."""
        return self.form[10] == _WHITE_IS_ZERO

    @property
    def photometric(self) -> str:
        """What the samples mean, by name."""
        return _PHOTOMETRIC_NAMES.get(get_single_value(self.form[10]), f"photometric interpretation {self.form[10]}")

    @property
    def slice_form(self) -> tuple[Value, ...]:
        """The part of `form` that is extent, sample type and meaning: what slices of one stack share."""
        return (*self.form[:6], self.form[10])

    @property
    def hole_count(self) -> int:
        """Strips or tiles that were never written."""
        return sum(not count for count in self.counts)

    @property
    def is_contiguous(self) -> bool:
        """Whether the strips or tiles are written and follow each other without a gap."""
        if len(self.offsets) == 1:
            return bool(self.counts[0])
        offsets, counts = np.asarray(self.offsets), np.asarray(self.counts)
        return bool(counts.all()) and bool((offsets[:-1] + counts[:-1] == offsets[1:]).all())

    def get_raw_layout(self) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        """Shape and stored dtype where the page is one run of bytes in C order; None elsewhere."""
        width, length, depth, bits, kind, samples, planar, codec, predictor, fill, photometric = self.form[:11]
        tile = self.form[12]
        simple = (
            (depth, codec, predictor, fill, tile) == (1, 1, 1, 1, 0) and photometric != _YCBCR and self.is_contiguous
        )
        if not simple or bits not in (8, 16, 32, 64) or kind not in _DTYPE_KINDS or (planar != 1 and samples != 1):
            return None
        if (bits == 8 and kind == _FLOAT) or not all(isinstance(n, int) for n in (width, length, samples)):
            return None
        shape = (
            get_single_value(length),
            get_single_value(width),
            *((get_single_value(samples),) if samples != 1 else ()),
        )
        return shape, np.dtype(f"{self.byte_order}{_DTYPE_KINDS[get_single_value(kind)]}{get_single_value(bits) // 8}")


def build_form(values: Mapping[int, Sequence[int]]) -> tuple[Value, ...]:
    """The `Page.form` of tag values; what is not stated has TIFF's default."""
    form: list[Value] = []
    for code, default in FORM:
        stated = values.get(code)
        if stated is None:
            form.append(default)
        else:
            is_alike = len(set(stated)) == 1
            form.append(stated[0] if is_alike else tuple(stated))
    if not get_single_value(form[0]) or not get_single_value(form[1]):
        raise Contradiction("does not say its width or its height")
    return tuple(form)


def compute_decoded_bytes(form: tuple[Value, ...], tiled: bool) -> int:
    """Decoded bytes of a page; tiles count whole."""
    width, length, depth = (get_single_value(form[i]) for i in range(3))
    tile_width, tile_length, tile_depth = (get_single_value(form[i]) for i in (12, 13, 14))
    if tiled and tile_width and tile_length:
        width, length = (math.ceil(n / t) * t for n, t in ((width, tile_width), (length, tile_length)))
        depth = math.ceil(depth / max(tile_depth, 1)) * max(tile_depth, 1)
    bits, samples = form[3], get_single_value(form[5])
    pixel = sum(bits) if isinstance(bits, tuple) else bits * samples
    separate = samples if form[6] == 2 else 1
    row = math.ceil(width * (pixel // max(separate, 1)) / 8)
    return row * length * max(depth, 1) * separate


def check_segments(
    form: tuple[Value, ...], offsets: SegmentValues, counts: SegmentValues, nbytes: int, size: int
) -> tuple[SegmentValues, SegmentValues]:
    """The offsets and byte counts of a page, with what a writer left open filled in.

    A strip or tile without bytes was never written (GDAL and tifffile write such files) and is
    given as 0, 0. A page of one strip with an offset whose count is 0
    or absent: without a codec it is as long as its pixels, with one it ends where the file ends.

    Raises
    ------
    Contradiction, BeyondEnd, Hostile
    """
    plain = form[7] == 1 and form[10] != _YCBCR
    if len(offsets) == 1 and offsets[0]:
        if plain and (len(counts) != 1 or counts[0] < nbytes):
            counts = (nbytes,)
        elif not plain and (len(counts) != 1 or not counts[0]):
            counts = (max(size - offsets[0], 0),)
        if offsets[0] + counts[0] > size:
            raise BeyondEnd(0, int(offsets[0]), int(counts[0]))
        stored, written = counts[0], 1
    else:
        offsets, counts, stored, written = _check_many_segments(offsets, counts, size)
    if plain and written == len(offsets) and stored < nbytes:
        raise Contradiction(f"needs {nbytes} bytes of pixels and has {stored}")
    ratio = budget.OTHER_RATIO
    if written == len(offsets):
        ratio = budget.CODEC_RATIOS.get(get_single_value(form[7]), ratio)
    if stored > size:  # strips or tiles share their bytes
        ratio = min(ratio, budget.SHARED_RATIO)
    # One that was never written still takes its offset and byte count in the directory.
    believed = ratio * min(stored + 8 * (len(offsets) - written), size) + budget.IMAGE_SLACK
    if nbytes > min(believed, budget.PAGE_BYTES):
        raise HostileClaim(
            f"claims {nbytes} bytes of pixels from {stored} stored bytes (at most {believed} are believed)"
        )
    return offsets, counts


def _check_many_segments(
    offsets: SegmentValues, counts: SegmentValues, size: int
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Many strips or tiles: those without offset or bytes as 0, 0; with the stored bytes and how many are written."""
    if len(counts) != len(offsets):
        raise Contradiction(f"has {len(offsets)} offsets but {len(counts)} byte counts")
    starts, lengths = np.asarray(offsets, np.uint64), np.asarray(counts, np.uint64)
    written = lengths > 0
    if not starts[written].all():
        segment = int(np.flatnonzero(written & (starts == 0))[0])
        raise Contradiction(
            f"has strips or tiles without pixels: {segment} has {lengths[segment]} bytes, but no offset"
        )
    starts = starts * written
    ends = starts + lengths
    beyond = np.flatnonzero((ends < starts) | (ends > size))
    if len(beyond):
        segment = int(beyond[0])
        raise BeyondEnd(segment, int(starts[segment]), int(lengths[segment]))
    return starts, lengths, int(lengths.sum()), int(written.sum())


def check_segment_size(nbytes: int, stored: int) -> None:
    """Refuse a strip, tile or PNG that is decoded as a whole and would fill the memory.

    Raises
    ------
    Hostile
    """
    if nbytes > budget.SEGMENT_LIMIT or (nbytes > budget.SEGMENT_BYTES and nbytes > budget.SEGMENT_RATIO * stored):
        raise HostileClaim(
            f"claims {nbytes} bytes from {stored} stored bytes in one piece "
            f"(more than {budget.SEGMENT_BYTES} must be stored to a part in {budget.SEGMENT_RATIO})"
        )


def get_single_value(value: Value) -> int:
    """A value that is equal for all samples, or that of the first."""
    return value if isinstance(value, int) else value[0]
