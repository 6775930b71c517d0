"""The blocks of a receipt as the raw file has them, each part of the file read once, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..model.content import Access
from ..model.plan import ArraySpec
from ..model.receipt import blocks
from ..readers.bands import Box, Spool, choose_step, fits
from ..readers.raw import RawArrays

READ_BYTES = 16 << 20
"""Of what is read of the raw file at a time, where it gives parts at little more than their share."""
SPAN_BYTES = 256 << 20
"""Of pages that are read as a whole and kept on the disk until all their blocks are compared."""


def iterate_blocks(
    spec: ArraySpec, block: Sequence[int], raw: RawArrays | None
) -> Iterator[tuple[Box, np.ndarray | None]]:
    """Each block of an array, in C order, with what its raw file says it is; None without raw files."""
    if raw is None:
        yield from ((selection, None) for selection in blocks(spec.shape, block))
        return
    span = _choose_span(spec, block, READ_BYTES)
    access = raw.get_access(spec)
    if _is_cheap(spec, span, access):
        for part in blocks(spec.shape, span):
            data = raw.read(spec, part)
            for selection in _list_blocks(part, block):
                yield (
                    selection,
                    data[
                        tuple(slice(s.start - p.start, s.stop - p.start) for s, p in zip(selection, part, strict=True))
                    ],
                )
        return
    span = _choose_span(spec, block, SPAN_BYTES)
    space = (span[-3] if len(span) > 2 else 1, span[-2], span[-1])
    given = (access.block[-3] if len(span) > 2 else 1, access.block[-2], access.block[-1])
    step = choose_step(given, space[0], space, spec.itemsize, block[-1])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pages"
        path.touch()
        for part in blocks(spec.shape, span):
            column = (*(s.stop - s.start for s in part[:-1]), block[-1])
            spool = Spool(path, list(_list_blocks(part, column)))
            spool.fill(lambda box: raw.read(spec, box), step)
            yield from ((selection, spool.read(selection)) for selection in _list_blocks(part, block))


def _list_blocks(part: Box, block: Sequence[int]) -> Iterator[Box]:
    for within in blocks([s.stop - s.start for s in part], block):
        yield tuple(slice(o.start + s.start, o.start + s.stop) for o, s in zip(part, within, strict=True))


def _is_cheap(spec: ArraySpec, span: Sequence[int], access: Access) -> bool:
    """Whether parts of this extent are read at little more than their share; all that is not an image is."""
    if len(span) < 2 or any(n > 1 for n in span[:-3]) or len(access.block) != len(span):
        return True
    return all(n == whole or fits(n, given) for n, whole, given in zip(span, spec.shape, access.block, strict=True))


def _choose_span(spec: ArraySpec, block: Sequence[int], room_bytes: int) -> tuple[int, ...]:
    """Extent of what is read of the raw file at a time: blocks that lie on the same pages, in C order.

    Without this a page that a codec gives whole would be decoded for each block in it.
    """
    span = [max(1, min(n, b)) for n, b in zip(spec.shape, block, strict=True)]
    # Rows of samples are no page, and of a movie that stays in its file there is none.
    if len(span) < 2 or 0 in spec.shape or (len(span) == 2 and span[1] == spec.shape[1]):
        return tuple(block)
    for axis in (-1, -2):
        room = room_bytes // (prod(span) * spec.itemsize)
        span[axis] = min(spec.shape[axis], span[axis] * max(1, room))
        if span[axis] < spec.shape[axis]:
            break
    return tuple(span)
