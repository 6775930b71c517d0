"""Dask distributed: the same units and sessions as tasks, on machines that share the dataset's folder.

A task names what it is about; rows, headers and pixels are read where it runs, and what it makes lies in the folder.
The scheduler sends a task again when its worker is lost. Both may then run it: a unit leaves its whole outcome or
nothing, and a session gets its name from whoever began it last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from types import TracebackType
from typing import Any

from ..model.finding import Problem, problem
from ..model.progress import Progress
from ..readers.raw import RawArrays
from ..results import Batch, Work
from .processes import WorkerDied, make_sendable, run_batch

TIMEOUT = 30
"""Seconds in which the scheduler must answer."""
WAITING = 64
"""Results whose units are under way at a time."""


class DaskExecutor:
    """Runs calls and units on the workers of a Dask scheduler; use as a context manager.

    Parameters
    ----------
    address
        Of the scheduler, as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    Problem
        ``cluster.extra``: the library is missing; ``cluster.address``: nothing answers there, or it has no workers.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            message = "--dask needs the library distributed: pip install 'neuropress[dask]'"
            raise problem("cluster.extra", message) from None
        try:
            self._client = Client(address, timeout=TIMEOUT, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise problem(
                "cluster.address", f"No Dask scheduler answers at {address}: {error}", value=address
            ) from error
        self._threads = ThreadPoolExecutor(WAITING)
        if not self._count_workers():
            self._client.close()  # type: ignore[no-untyped-call]
            raise problem("cluster.address", f"The Dask scheduler at {address} has no workers", value=address)

    def __enter__(self) -> DaskExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()  # type: ignore[no-untyped-call]  # what nobody waits for is given up
        self._threads.shutdown(cancel_futures=True)

    @property
    def parts(self) -> int:
        """How many workers there are now."""
        return max(1, self._count_workers())

    def _count_workers(self) -> int:
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def submit[T](self, function: Callable[..., T], *arguments: Any, progress: Progress) -> Future[T]:
        """Call a function of a module on a worker; its last argument there is a `Progress`.

        The future raises what the function raises, or `WorkerDied`.
        """
        # Never pure: a call that is made again must be run again, and its arguments need no digest.
        task = self._client.submit(run_task, function, arguments, pure=False)
        return self._threads.submit(_wait_for_task, task, progress)

    def run_units(self, work: Work, batches: Sequence[Batch], raw: RawArrays, progress: Progress) -> None:
        """See `neuropress.execution.executor.Executor`."""
        tasks = [self._client.submit(run_task, run_batch, (work, batch, raw.roots), pure=False) for batch in batches]
        failed: list[BaseException] = []
        for task in tasks:
            try:
                _wait_for_task(task, progress)
            except Exception as error:  # noqa: BLE001 - the others are waited for before it is raised
                failed.append(error)
        if failed:  # a raw file that is bad says more than a machine that failed
            raise next((error for error in failed if isinstance(error, Problem)), failed[0])


def _wait_for_task(task: Any, progress: Progress) -> Any:
    from distributed import CancelledError, KilledWorker
    from distributed.client import FutureCancelledError

    try:
        value, nbytes, error = task.result()
    except (KilledWorker, CancelledError, FutureCancelledError) as lost:
        raise WorkerDied from lost
    progress(nbytes)
    if error is not None:
        raise error
    return value


_ONE = Lock()
"""A batch has threads of its own for all cores, and readers keep one result's files open."""


def run_task(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, int, Exception | None]:
    """What a worker does: one call; its value, the bytes that it reported, and what it raised."""
    done = 0

    def report(nbytes: int) -> None:
        nonlocal done
        done += nbytes

    with _ONE:
        try:
            return function(*arguments, report), done, None
        except Exception as error:  # noqa: BLE001 - it is raised again where the call was made
            return None, done, make_sendable(error)
