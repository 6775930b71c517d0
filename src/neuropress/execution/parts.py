"""A part's share of one result; whoever sees that nothing is left finishes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from time import monotonic, sleep

from ..model.progress import Progress
from ..model.receipt import InputDigest
from ..model.run_part import RunPart
from ..model.source import Input, no_wait
from ..readers.raw import RawArrays
from ..results import KINDS, Request
from .digests import InputDigests, TakeDigest
from .executor import LocalExecutor, run_stages

PATIENCE = 10.0
"""Seconds that a part waits while another one makes the staging folder."""

type TryLock = Callable[[], AbstractContextManager[bool]]
"""Tries to have the one lock under which a result is begun and finished; gives whether it was had."""


class ShareDigests(Mapping[str, InputDigest]):
    """Digests of all inputs of a plan; those of this part's share are taken beside its work.

    Parameters
    ----------
    digest_one, inputs, work
        See `InputDigests`; `work` is that of the share.
    part
        Whose share it is.
    reload
        Has what other parts digested be known to `digest_one`.
    """

    def __init__(
        self, digest_one: TakeDigest, inputs: Sequence[Input], work: int, part: RunPart, reload: Callable[[], None]
    ) -> None:
        self._inputs = {touched.key: touched for touched in inputs}
        self._own = InputDigests(digest_one, part.take(inputs), work)
        self._digest_one, self._reload = digest_one, reload
        self._others: dict[str, InputDigest] = {}
        self.advance, self.close = self._own.advance, self._own.close

    def finish_share(self) -> None:
        """Wait for the digests of the share."""
        for key in self._own:
            self._own[key]

    def __getitem__(self, key: str) -> InputDigest:
        if key in self._own:
            return self._own[key]
        if not self._others:
            self._reload()
        if key not in self._others:
            self._others[key] = self._digest_one(self._inputs[key], no_wait)
        return self._others[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)


def write_share(
    request: Request, raw: RawArrays, part: RunPart, try_lock: TryLock, settle: Callable[[], None], progress: Progress
) -> str:
    """Run a part's units of one result; finish it if no unit of any part is missing then.

    Parameters
    ----------
    try_lock
        Held while the result is begun and while it is finished; a part that dies lets go of it.
    settle
        Called when the units of the share are done.

    Returns
    -------
    str
        What is left to others, in words; empty: the result is whole.

    Raises
    ------
    Problem
        A raw file turned out to be bad while its arrays were read, or changed meanwhile.
    OSError
        The machine failed, or the staging folder is another one by now. Finished units stay for the next run.
    """
    kind = KINDS[request.plan.target.kind]
    module = kind.load_parts()
    work = module.join(request)
    until = monotonic() + PATIENCE
    while work is None:
        with try_lock() as is_held:
            if is_held:
                if module.is_finished(request):
                    return ""
                work = module.begin(request)
                if work is None:
                    kind.load().finish(request, None, raw, progress)
                    return ""
        if work is None:
            if monotonic() > until:
                return "another part is finishing it"
            sleep(0.05)
            work = module.join(request)
    for batch in module.list_share(work, part):
        kind.load_units().run_units(work, batch, raw, progress)
    settle()
    missing, count = module.count_units(work)
    if missing:
        if module.join(request) is None and module.is_finished(request):
            return ""
        return f"{missing} of {count} units are left to other parts"
    with try_lock() as is_held:
        if not is_held:
            return "another part is finishing it"
        return _finish(request, raw, progress)


def _finish(request: Request, raw: RawArrays, progress: Progress) -> str:
    """Run what is left of later stages, and give the result its name; the lock is held."""
    kind = KINDS[request.plan.target.kind]
    module = kind.load_parts()
    if module.is_finished(request):
        return ""
    work = module.join(request)
    if work is None:
        return "another part has begun it anew"
    run_stages(work, raw, LocalExecutor(), progress)
    kind.load().finish(request, work, raw, progress)
    return ""
