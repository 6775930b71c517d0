"""Building millions of small objects without the garbage collector in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the collector of reference cycles while tables are built.

    It would look through all rows again and again as they become more, a third of the whole
    time, and find nothing: rows are freed by their reference counts.
    """
    active = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if active and not gc.get_freeze_count():
            gc.freeze()  # to the oldest generation at once,
            gc.unfreeze()  # so that not even the first collection looks through them
        if active:
            gc.enable()
