"""Building millions of small objects without the garbage collector in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_garbage_collection(lasting: bool = True) -> Iterator[None]:
    """Pause the collector of reference cycles while tables, or the objects of a session, are built.

    It would look through all of them again and again as they become more, a third of the time that tables take,
    and find nothing: rows are freed by their reference counts. A caller that has switched it off, or has frozen
    objects of its own, finds it as it was.

    Parameters
    ----------
    lasting
        What is built stays. If not, the first collection afterwards looks through it and frees it.
    """
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if lasting and active and not gc.get_freeze_count():
            # Freezing and thawing puts all that is new into the oldest generation at once;
            # else the first collection of the young one would look through each of it.
            gc.freeze()
            gc.unfreeze()
        if active:
            gc.enable()
