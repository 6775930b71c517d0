"""What the C library keeps of memory that was given back: of buffers of many megabytes it is most of a process.

glibc has an arena for each of some threads, and gives back little of each. All of this does nothing where the C
library is another one.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_ARENA_MAX, _TRIM_THRESHOLD, _MMAP_THRESHOLD = -8, -1, -3
"""``M_ARENA_MAX`` and others of glibc's malloc.h."""
_LARGEST = 32 << 20
"""What glibc lets its threshold of mapped memory rise to by itself."""


def share_arena() -> None:
    """Have all threads of this process allocate from one arena.

    For a process of our own that has no threads yet: chunks and bands are large and few, so threads seldom wait for
    each other, and what one frees the others use. Of packed HDF5 it is 60 MB less, and fewer page faults.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def reuse_freed_memory() -> None:
    """Let buffers be used again where a thrifty environment has them unmapped each time.

    Dask starts its workers with ``MALLOC_TRIM_THRESHOLD_=65536``: then every chunk's memory comes new from the
    operating system, and units took twice their time. `release_memory` gives back what is left when a batch is done.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST)
        library.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)


def release_memory() -> None:
    """Give the operating system all pages that hold nothing; some milliseconds."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
