"""The line on a terminal that says what is worked on: step, item, bytes, rate, time left."""

from __future__ import annotations

import shutil
import sys
from itertools import cycle
from threading import Event, Lock, Thread
from time import monotonic

SECONDS = 0.25
"""Between two drawings, whether anything came meanwhile or not."""
TURNS = "|/-\\"
"""The last character of each drawing in turn: where nothing else changes, a line that stands still looks dead."""


class ProgressLine:
    """A `neuropress.model.progress.Watcher` that draws one line on standard error until it is paused."""

    def __init__(self) -> None:
        self._step, self._name, self._number, self._count = "", "", 0, 0
        self._done = self._expected = 0
        self._step_began = self._item_began = monotonic()
        self._lock, self._stop = Lock(), Event()
        self._thread: Thread | None = None
        self._turns = cycle(TURNS)

    def __call__(self, nbytes: int) -> None:
        """So many bytes more are done."""
        with self._lock:
            self._done += nbytes
        self._resume()

    def begin_item(self, step: str, name: str, number: int, count: int) -> None:
        """See `Watcher`."""
        with self._lock:
            now = monotonic()
            if step != self._step or number == 1:
                self._step_began = now
            self._step, self._name, self._number, self._count = step, name, number, count
            self._done, self._expected, self._item_began = 0, 0, now
        self._resume()

    def expect(self, nbytes: int) -> None:
        """See `Watcher`."""
        with self._lock:
            self._expected = nbytes

    def pause(self) -> None:
        """Take the line away, so that something else can be printed; the next news brings it back."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()

    def _resume(self) -> None:
        if self._thread is None:
            self._stop.clear()
            self._thread = Thread(target=self._draw, daemon=True)
            self._thread.start()

    def _draw(self) -> None:
        for turn in self._turns:
            width = shutil.get_terminal_size().columns - 3
            sys.stderr.write(f"\r\033[K{self.format(width)} {turn}")
            sys.stderr.flush()
            if self._stop.wait(SECONDS):
                return

    def format(self, width: int) -> str:
        """The line, at most `width` characters: the item's name gives way first."""
        with self._lock:
            now = monotonic()
            head = f"{self._step} {self._number}/{self._count}" if self._count > 1 else self._step
            elapsed = now - self._item_began
            parts = []
            if self._done:
                whole = f"/{format_size(self._expected)}" if self._expected else ""
                parts.append(f"{format_size(self._done)}{whole}")
                parts.append(f"{format_size(self._done / max(elapsed, 0.1))}/s")
            left = self._estimate_left(now)
            parts.append(f"{format_seconds(left)} left" if left is not None else format_seconds(now - self._step_began))
            name = self._name
        tail = "  ".join(parts)
        room = width - len(head) - len(tail) - 3
        if len(name) > room:
            name = f"...{name[len(name) - room + 3 :]}" if room > 8 else ""
        return f"{head} {name}  {tail}"[:width]

    def _estimate_left(self, now: float) -> float | None:
        """Seconds until the step ends, as if what is to come were as what was; None as long as that means nothing."""
        within = min(self._done / self._expected, 1.0) if self._expected else 0.0
        fraction = (max(self._number - 1, 0) + within) / max(self._count, 1)
        elapsed = now - self._step_began
        if fraction < 0.02 or elapsed < 1:
            return None
        return elapsed * (1 - fraction) / fraction


def format_size(nbytes: float) -> str:
    """Bytes with three digits: ``1.2 GB``."""
    size = float(nbytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            return f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError("the loop ends with the largest unit")


def format_seconds(seconds: float) -> str:
    """``0:12``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
