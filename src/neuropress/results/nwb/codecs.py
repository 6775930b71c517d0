"""The codec that packs the chunks of an array, chosen from samples of it.

All of them write one stream format, deflate in a zlib envelope, behind HDF5's shuffle: any HDF5 opens it. ISA-L is four
times as fast as libdeflate and makes most movies 2 to 5 % larger, but recordings by 9 %, and flat masks by half.
So it is taken where it costs little.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import imagecodecs
import numpy as np

GZIP_LEVEL = 4
"""What the filter of a dataset states. Readers need none; a tool that repacks the file takes it over."""
MOST_GROWTH = 1.05
"""ISA-L is taken where it makes the samples at most this many times as large as libdeflate does."""
SAMPLED = 32 * 1024**2
"""Arrays of fewer bytes are not sampled: reading and packing samples would cost more than it saves."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A library with its level, as a receipt names it, and its function."""

    name: str
    encode: Callable[[np.ndarray], bytes]


@cache
def list_codecs() -> tuple[Codec, ...]:
    """The codecs of this machine, the fastest first; a build of imagecodecs may lack some."""
    found = []
    if imagecodecs.ISAL.available:
        found.append(Codec("ISA-L 2", lambda data: bytes(imagecodecs.isal_encode(data, level=2))))
    if imagecodecs.DEFLATE.available:
        found.append(Codec("libdeflate 4", lambda data: bytes(imagecodecs.deflate_encode(data, level=4))))
    return (*found, Codec("zlib 4", lambda data: zlib.compress(data, GZIP_LEVEL)))


def choose_codec(nbytes: int, samples: Iterable[np.ndarray]) -> Codec:
    """The codec of an array.

    Parameters
    ----------
    nbytes
        Size of the array.
    samples
        Chunks from its beginning, middle and end. Read only of arrays that are large enough.
    """
    fast, *dense = list_codecs()
    if not dense or fast.name != "ISA-L 2":
        return fast
    if nbytes < SAMPLED:
        return dense[0]
    sizes = [(len(pack_chunk(sample, fast)), len(pack_chunk(sample, dense[0]))) for sample in samples]
    is_close = sum(one for one, _ in sizes) <= MOST_GROWTH * sum(other for _, other in sizes)
    return fast if is_close else dense[0]


def pack_chunk(chunk: np.ndarray, codec: Codec) -> bytes:
    """HDF5's shuffle and gzip filters: all first bytes of the elements, then all second ones, ..., deflated."""
    octets = np.ascontiguousarray(chunk).reshape(-1).view(np.uint8).reshape(-1, chunk.dtype.itemsize)
    shuffled = np.empty(octets.shape[::-1], np.uint8)
    for number in range(len(shuffled)):  # seven times as fast as copying the transpose
        shuffled[number] = octets[:, number]
    return codec.encode(shuffled)
