"""Dask distributed: the same units and sessions as tasks, on machines that share the dataset's folder.

A task names what it is about; rows, headers and pixels are read where it runs, and what it makes lies in the folder.
The scheduler sends a task again when its worker is lost. Both may then run it: a unit leaves its whole outcome or
nothing, and a session gets its name from whoever began it last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from types import TracebackType
from typing import Any

from ..model.allocator import release_memory, reuse_freed_memory
from ..model.finding import Problem, problem
from ..model.job_cluster import BATCH_SYSTEMS, JobCluster
from ..model.progress import Progress
from ..readers.raw import RawArrays
from ..results import Batch, Work
from .processes import WorkerDied, make_sendable, run_batch

TIMEOUT = 30
"""Seconds in which the scheduler must answer."""
JOBS = "cluster"
"""In place of an address: jobs as ``[cluster]`` of ``neuropress.toml`` says."""
WAITING = 64
"""Results whose units are under way at a time."""


class DaskExecutor:
    """Runs calls and units on the workers of a Dask scheduler; use as a context manager.

    Parameters
    ----------
    address
        Of the scheduler, as ``tcp://10.0.0.1:8786``; or a cluster of Dask's own, whose workers may still be waiting.

    Raises
    ------
    Problem
        ``cluster.extra``: the library is missing; ``cluster.address``: nothing answers there, or it has no workers.
    """

    def __init__(self, address: Any) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise _make_extra_problem("distributed") from None
        try:
            self._client = Client(address, timeout=TIMEOUT, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise problem(
                "cluster.address", f"No Dask scheduler answers at {address}: {error}", value=str(address)
            ) from error
        self._threads = ThreadPoolExecutor(WAITING)
        if not isinstance(address, str):
            self._client.wait_for_workers(1)  # however long the queue is
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


@contextmanager
def start_jobs(stated: JobCluster, state: Path) -> Iterator[DaskExecutor]:
    """Submit jobs that run workers, and give what runs calls and units on them when the first has begun.

    Scheduler and workers talk by TLS with keys of this run alone, which lie in the dataset's own state meanwhile.

    Raises
    ------
    Problem
        ``cluster.extra``: the library is missing; ``cluster.jobs``: the batch system takes no job.
    """
    try:
        import cryptography  # noqa: F401 - of which Dask makes the keys

        module = import_module(f"dask_jobqueue.{stated.kind}")
    except ImportError:
        raise _make_extra_problem("dask-jobqueue") from None
    host = {"host": "127.0.0.1"} if stated.kind == "local" else {}
    settings = {name: getattr(stated, name) for name in ("walltime", "queue", "account", "interface")}
    with TemporaryDirectory(prefix="cluster-", dir=state) as keys:
        make = getattr(module, BATCH_SYSTEMS[stated.kind])
        with make(
            cores=stated.cores,
            memory=stated.memory,
            processes=1,
            security=_make_keys(Path(keys)),
            scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0", **host},
            worker_extra_args=["--nthreads", "1", "--no-dashboard", *(f"--{k}={v}" for k, v in host.items())],
            **{name: value for name, value in settings.items() if value},
        ) as cluster:
            _submit_jobs(cluster, stated)
            with DaskExecutor(cluster) as workers:
                yield workers


def _make_keys(folder: Path) -> Any:
    """Keys and certificate of a run in files that its owner alone can read, as jobs on other machines need them."""
    from distributed import Security

    made = Security.temporary()  # type: ignore[no-untyped-call]
    paths = {}
    for name, text in made.get_tls_config_for_role("worker").items():
        if name in ("ca_file", "cert", "key"):
            paths[name] = str(folder / f"{name}.pem")
            with open(os.open(paths[name], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(text)
    roles = {
        f"tls_{role}_{name}": paths[name] for role in ("client", "scheduler", "worker") for name in ("cert", "key")
    }
    return Security(require_encryption=True, tls_ca_file=paths["ca_file"], **roles)  # type: ignore[no-untyped-call]


def _submit_jobs(cluster: Any, stated: JobCluster) -> None:
    """As `scale` of the cluster does, which drops what the batch system answers."""
    from distributed import Status

    for _ in range(stated.jobs):
        cluster.worker_spec.update(cluster.new_worker_spec())
    try:
        cluster.sync(cluster._correct_state)
    except (RuntimeError, OSError) as error:
        for job in cluster.workers.values():
            if job.status is Status.created:
                job.status = Status.failed  # a job that never was ends Dask's own `close` with an assertion
        said = " ".join(str(error).partition("stderr:")[2].split()) or str(error)
        raise problem("cluster.jobs", f"{stated.kind} took no job: {said}", value=stated.kind) from error


def _make_extra_problem(library: str) -> Problem:
    return problem("cluster.extra", f"--dask needs the library {library}: pip install 'neuropress[dask]'")


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
        reuse_freed_memory()
        try:
            return function(*arguments, report), done, None
        except Exception as error:  # noqa: BLE001 - it is raised again where the call was made
            return None, done, make_sendable(error)
        finally:
            release_memory()
