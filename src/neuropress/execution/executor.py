"""The door through which units are run, and the plainest way: one after the other, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..model.allocator import release_memory
from ..model.progress import Progress
from ..readers.raw import RawArrays
from ..results import KINDS, Batch, Request, Work


class Executor(Protocol):
    """Runs units somewhere: on threads, in processes of this machine, on the workers of a scheduler."""

    @property
    def parts(self) -> int:
        """How many batches it runs side by side."""
        ...

    def run_units(self, work: Work, batches: Sequence[Batch], raw: RawArrays, progress: Progress) -> None:
        """Run batches of one stage in any order; return when all of them ended.

        A batch that fails does not keep the others from being run.

        Parameters
        ----------
        raw
            The raw arrays, for an executor in this process; others open the same roots again.

        Raises
        ------
        Problem, OSError
            What the first batch that failed raised.
        """
        ...


class LocalExecutor:
    """Runs units in this process, one batch after the other; a batch itself runs on threads."""

    parts = 1

    def run_units(self, work: Work, batches: Sequence[Batch], raw: RawArrays, progress: Progress) -> None:
        """See `Executor`; the first failure ends it, since what one process met the next batch will meet too."""
        units = KINDS[work.kind].load_units()
        for batch in batches:
            units.run_units(work, batch, raw, progress)
            release_memory()


def write_result(request: Request, raw: RawArrays, executor: Executor, progress: Progress) -> None:
    """Write one result whole, or leave nothing under its name.

    Units that an earlier, interrupted run had finished count as progress and are not run again.

    Raises
    ------
    Problem
        A raw file turned out to be bad while its arrays were read, or changed meanwhile.
    OSError
        The machine failed (disk full, no permission, a worker died). Finished units stay for the next run.
    """
    kind = KINDS[request.plan.target.kind]
    work = None
    if kind.units:
        units = kind.load_units()
        work = units.prepare(request)
        if work and work.done:
            progress(work.done)
        if work:
            run_stages(work, raw, executor, progress)
    kind.load().finish(request, work, raw, progress)


def run_stages(work: Work, raw: RawArrays, executor: Executor, progress: Progress) -> None:
    """Run every unit that is missing, stage by stage."""
    units = KINDS[work.kind].load_units()
    before: Sequence[Batch] = ()
    while batches := units.list_pending(work, executor.parts):
        if batches == before:
            raise RuntimeError(f"{len(batches)} batches in {work.staging} are not done after they were run")
        executor.run_units(work, batches, raw, progress)
        before = batches
