"""Names in pickled attributes, without unpickling: lists and tuples of texts, whole numbers and None, nothing else.

PyTables keeps what is no number as ``pickle.dumps(value, 0)``.
"""

from __future__ import annotations

from typing import Any

from ..numpy_files.errors import DamagedFile, RefusedPickle
from ..numpy_files.objects import parse_objects

MAX_DEPTH = 8
MOST_PARTS = 2**20
"""Of a list, and of all lists of one depth: 1,000 tracked points have 12,000."""
_PLAIN = (list, tuple, str, int, type(None))


class NotPlain(ValueError):
    """A pickle that holds something else, or is damaged; the text says what."""


def parse_pickled_names(data: bytes) -> Any:
    """The names of a pickle. Raises `NotPlain`.

    A list in itself, and one of lists that share lists, would never end for those who walk it, and is refused.
    """
    try:
        value = parse_objects(data)
    except (DamagedFile, RefusedPickle) as error:
        raise NotPlain(str(error)) from error
    level = [value]
    for _ in range(MAX_DEPTH):
        for part in level:
            if not isinstance(part, _PLAIN):
                raise NotPlain(f"it holds a {type(part).__name__}")
        level = [part for one in level if isinstance(one, (list, tuple)) for part in one]
        if len(level) > MOST_PARTS:
            break
        if not level:
            return value
    raise NotPlain("its lists are nested too deep")
