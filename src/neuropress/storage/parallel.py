"""Many small jobs at once, with a bounded number in flight."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor


def run_all[T, R](work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Results in the order of `items`, which are taken only as places become free.

    The first error ends everything: jobs that have not begun are dropped.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                if len(waiting) >= 4 * workers:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(work, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def count_cores() -> int:
    """Cores that this process may use, which are fewer than the machine's in a job of a cluster."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
