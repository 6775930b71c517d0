"""Work that falls asleep in the middle and wakes up late."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Late:
    """Work on a thread that stops at one of its reads, and goes on when it is woken.

    `run` is given what it has to call before each read.
    """

    def __init__(self, run: Callable[[Callable[[], None]], object], after: int) -> None:
        self._stopped, self._go_on, self._left = threading.Event(), threading.Event(), after
        self._pool = ThreadPoolExecutor(1)
        self._run = self._pool.submit(run, self._before)
        assert self._stopped.wait(60)

    def _before(self) -> None:
        self._left -= 1
        if self._left < 0:
            self._stopped.set()
            assert self._go_on.wait(60)

    def wake(self) -> BaseException | None:
        self._go_on.set()
        self._pool.shutdown()
        return self._run.exception()
