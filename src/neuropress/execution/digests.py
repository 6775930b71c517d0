"""Digests of the raw files, taken beside the work and not before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from threading import Condition

from ..model.receipt import InputDigest
from ..model.source import Input

AHEAD = 2**30
"""Bytes that digesting may be ahead of the work: what it read is in the machine's cache when the work reads it."""

type TakeDigest = Callable[[Input, Callable[[int], None]], InputDigest]
"""Digests a file; calls its second argument before each read with the bytes read by the one before."""


class InputDigests(Mapping[str, InputDigest]):
    """Digests of all inputs of a plan, in the plan's order; looking one up waits for it.

    Parameters
    ----------
    digest_one
        Digests one file.
    inputs
        The files.
    work
        Bytes that the work will report with `advance`.
    """

    def __init__(self, digest_one: TakeDigest, inputs: Sequence[Input], work: int) -> None:
        total = sum(touched.size for touched in inputs)
        self._scale = total / work if work else 1.0
        self._changed = Condition()
        self._read, self._done = 0, 0.0
        self._waiting, self._closed = 0, False
        self._pool = ThreadPoolExecutor(1)
        self._found: dict[str, Future[InputDigest]] = {
            touched.key: self._pool.submit(digest_one, touched, self._wait_for_work) for touched in inputs
        }

    def advance(self, nbytes: int) -> None:
        """Hear of the progress of the work."""
        with self._changed:
            self._done += nbytes * self._scale
            self._changed.notify_all()

    def close(self) -> None:
        """Stop; what was not digested yet stays unknown."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._pool.shutdown(cancel_futures=True)

    def _wait_for_work(self, nbytes: int) -> None:
        with self._changed:
            self._read += nbytes
            self._changed.wait_for(lambda: self._closed or self._waiting or self._read <= self._done + AHEAD)
            if self._closed:
                raise CancelledError

    def __getitem__(self, key: str) -> InputDigest:
        # Whoever waits before the work has begun (for the digest of a kept file) must not send all others ahead of it.
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
        try:
            return self._found[key].result()
        finally:
            with self._changed:
                self._waiting -= 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
