"""How work says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

type Progress = Callable[[int], None]
"""Called with the number of uncompressed bytes that were just written, read or sent."""


@runtime_checkable
class Watcher(Protocol):
    """A `Progress` that also wants to know what is worked on."""

    def __call__(self, nbytes: int, /) -> None:
        """So many bytes more are done."""
        ...

    def begin_item(self, step: str, name: str, number: int, count: int) -> None:
        """A step begins its next item: the `number`-th, from 1, of `count`."""
        ...

    def expect(self, nbytes: int) -> None:
        """The item comes to so many bytes."""
        ...


def no_progress(nbytes: int) -> None:
    """Progress that nobody watches."""


def track[T](
    progress: Progress, step: str, items: Sequence[T], name: Callable[[T], str] = lambda item: str(item)
) -> Iterator[T]:
    """The items one after the other, each announced to whoever watches."""
    for number, item in enumerate(items, 1):
        if isinstance(progress, Watcher):
            progress.begin_item(step, name(item), number, len(items))
        yield item


def begin_step(progress: Progress, step: str) -> None:
    """Announce a step whose items are not counted yet."""
    if isinstance(progress, Watcher):
        progress.begin_item(step, "", 1, 1)


def expect_bytes(progress: Progress, nbytes: int) -> None:
    """Say how much the item at hand comes to."""
    if isinstance(progress, Watcher):
        progress.expect(nbytes)
