"""Codecs of chunks: a closed list, each of which is told beforehand how many bytes it may give."""

from __future__ import annotations

from collections.abc import Buffer, Callable, Mapping, Sequence
from typing import Any

import google_crc32c
import imagecodecs

CRC_BYTES = 4

type Decode = Callable[[bytes, int], Buffer]
"""Stored bytes, and the most that may come of them."""


class BadChunk(ValueError):
    """Bytes that are not the chunk that was promised."""


def _check_crc(data: bytes, most: int) -> bytes:
    body, stated = data[:-CRC_BYTES], data[-CRC_BYTES:]
    if google_crc32c.value(body) != int.from_bytes(stated, "little"):
        raise BadChunk("its checksum is wrong")
    return body


CODECS: Mapping[str, Decode] = {
    "blosc": lambda data, most: imagecodecs.blosc_decode(data, out=most),
    "bz2": lambda data, most: imagecodecs.bz2_decode(data, out=most),
    "crc32c": _check_crc,
    "gzip": lambda data, most: imagecodecs.gzip_decode(data, out=most),
    "lz4": lambda data, most: imagecodecs.lz4_decode(data, header=True, out=most),
    "lzma": lambda data, most: imagecodecs.lzma_decode(data, out=most),
    "zlib": lambda data, most: imagecodecs.zlib_decode(data, out=most),
    "zstd": lambda data, most: imagecodecs.zstd_decode(data, out=most),
}
"""Names of codecs in metadata -> how their bytes are decoded."""

FAILURES = (
    imagecodecs.BloscError, imagecodecs.Bz2Error, imagecodecs.DeflateError, imagecodecs.Lz4Error, imagecodecs.LzmaError,
    imagecodecs.ZlibError, imagecodecs.ZstdError, BadChunk, ValueError, RuntimeError, MemoryError,
)  # fmt: skip


def decode_chunk(data: bytes, names: Sequence[str], nbytes: int) -> bytes:
    """The bytes of a chunk.

    Parameters
    ----------
    names
        Codecs in the order in which they were applied.
    nbytes
        Bytes of the chunk, uncompressed.

    Raises
    ------
    BadChunk
        It cannot be decoded, or is of another size.
    """
    # Codecs that come before the last may add a few bytes, as a checksum does.
    most = nbytes + 1 + CRC_BYTES * len(names)
    try:
        for name in reversed(names):
            data = bytes(CODECS[name](data, most))
    except FAILURES as error:
        raise BadChunk(f"its codec {name} fails ({str(error)[:200]})") from error
    if len(data) != nbytes:
        raise BadChunk(f"it has {len(data)} bytes, where {nbytes} are right")
    return data


def parse_codec_names(stated: Any) -> tuple[str, ...]:
    """Names of a list of codecs of Zarr 3, without ``bytes``. Raises `ValueError` for one that is not read."""
    names = []
    for one in stated:
        # Codecs of Zarr 2 keep the name of the package that brings them to Zarr 3.
        name = str(one if isinstance(one, str) else one["name"]).removeprefix("numcodecs.")
        if name not in CODECS and name != "bytes":
            raise ValueError(f"the codec {name[:40]!r}; read are {', '.join(CODECS)}")
        names.append(name)
    return tuple(name for name in names if name != "bytes")
