"""Worker processes of this machine: one that dies fails what it was doing, and another takes its place."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock
from types import TracebackType
from typing import Any

from ..model.allocator import share_arena
from ..model.finding import Problem
from ..model.progress import Progress
from ..model.source import SourceRoots
from ..readers.raw import RawArrays
from ..results import KINDS, Batch, Work

_CONTEXT = get_context("spawn")  # the same on every platform; fork is unsafe beside HDF5 and threads


class WorkerDied(OSError):
    """A worker process ended in the middle of its work."""

    def __init__(self) -> None:
        super().__init__("a worker process died (out of memory, or killed)")


class ProcessExecutor:
    """Runs calls and units in worker processes; use as a context manager.

    One thread waits for each worker, so that a worker that dies fails one call only
    (`concurrent.futures` would fail all of them), and progress comes back while it works.
    """

    def __init__(self, workers: int) -> None:
        self.parts = workers
        self._threads = ThreadPoolExecutor(workers)
        self._lock = Lock()
        self._idle: list[_Worker] = []
        self._all: list[_Worker] = []

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for worker in list(self._all):
                worker.process.terminate()  # what it was doing is whole or absent, as after any kill
        self._threads.shutdown(cancel_futures=True)
        for worker in self._all:
            worker.close()

    def submit[T](self, function: Callable[..., T], *arguments: Any, progress: Progress) -> Future[T]:
        """Call a function of a module in a worker; its last argument there is a `Progress`.

        The future raises what the function raises, or `WorkerDied`.
        """
        return self._threads.submit(self._call_worker, function, arguments, progress)

    def run_units(self, work: Work, batches: Sequence[Batch], raw: RawArrays, progress: Progress) -> None:
        """See `neuropress.execution.executor.Executor`."""
        futures = [self.submit(run_batch, work, batch, raw.roots, progress=progress) for batch in batches]
        wait(futures)
        failed = [error for error in (future.exception() for future in futures) if error is not None]
        if failed:  # a raw file that is bad says more than a machine that failed
            raise next((error for error in failed if isinstance(error, Problem)), failed[0])

    def _call_worker[T](self, function: Callable[..., T], arguments: tuple[Any, ...], progress: Progress) -> T:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = _Worker()
            with self._lock:
                self._all.append(worker)
        try:
            return worker.call(function, arguments, self._serialize_progress(progress))  # type: ignore[no-any-return]
        finally:
            with self._lock:
                if worker.is_idle:
                    self._idle.append(worker)
                else:
                    self._all.remove(worker)
            if not worker.is_idle:  # it died, or what it was asked is still to be answered: nobody may ask it again
                worker.process.terminate()
                worker.close()

    def _serialize_progress(self, progress: Progress) -> Progress:
        def report(nbytes: int) -> None:
            with self._lock:
                progress(nbytes)

        return report


class _Worker:
    """One worker process and the pipe to it."""

    def __init__(self) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self.process: BaseProcess = _CONTEXT.Process(target=_serve_calls, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is seen here when it dies
        self.is_idle = True

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], progress: Progress) -> Any:
        self.is_idle = False
        try:
            _send(self._pipe, (function, arguments))
            while True:
                what, value = _receive(self._pipe)
                if what != "progress":
                    break
                progress(value)
        except (EOFError, BrokenPipeError, ConnectionError):
            raise WorkerDied from None
        self.is_idle = True
        if what == "failed":
            raise value
        return value

    def close(self) -> None:
        self._pipe.close()
        self.process.join()


def _serve_calls(pipe: Connection) -> None:
    """What a worker does: one call after the other, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started it ends it
    share_arena()
    while True:
        try:
            function, arguments = _receive(pipe)
        except EOFError:
            return
        try:
            answer = ("done", function(*arguments, lambda nbytes: _send(pipe, ("progress", nbytes))))
        except Exception as error:  # noqa: BLE001 - it is raised again where the call was made
            answer = ("failed", make_sendable(error))
        _send(pipe, answer)


def _send(pipe: Connection, message: object) -> None:
    """Send bytes: `Connection.send` holds a view of a BytesIO, and where the other end has died, the collection of its
    traceback can crash the interpreter (seen with CPython 3.12.1)."""
    pipe.send_bytes(pickle.dumps(message))


def _receive(pipe: Connection) -> Any:
    return pickle.loads(pipe.recv_bytes())  # noqa: S301 - what another process of this run packed


def make_sendable(error: Exception) -> Exception:
    """The error, or one with its text where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what this process packed itself
    except Exception:  # noqa: BLE001 - an error of any library
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


_RAW: dict[tuple[str, str], RawArrays] = {}
"""The raw files of the result that this worker was at last: their headers are not read for every batch."""


def run_batch(work: Work, batch: Batch, roots: SourceRoots, progress: Progress) -> None:
    """Run units in a worker."""
    key = (work.staging, work.plan)
    if key not in _RAW:
        for raw in _RAW.values():
            raw.close()
        _RAW.clear()
        _RAW[key] = RawArrays(roots)
    KINDS[work.kind].load_units().run_units(work, batch, _RAW[key], progress)
