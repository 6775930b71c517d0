"""Carrying plans out: one result at a time, whole or not at all."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

from .. import __version__
from ..config import FILE, Config
from ..execution.cluster import JOBS, DaskExecutor, start_jobs
from ..execution.digests import InputDigests
from ..execution.executor import Executor, LocalExecutor, write_result
from ..execution.parts import ShareDigests, write_share
from ..execution.processes import ProcessExecutor, WorkerDied
from ..model.finding import Finding, MappingError, Problem, Severity, finding, machine_finding, problem
from ..model.plan import Plan, digest
from ..model.progress import Progress, begin_step, expect_bytes, no_progress, track
from ..model.report import Outcome, Report
from ..model.run_part import RunPart
from ..model.waiver import waive
from ..planning.build import Planned, build_plan
from ..planning.estimate import check_memory, compare_estimates, estimate_plan, format_size, make_estimate_facts
from ..planning.records import write_records
from ..planning.stale import Standing, State
from ..planning.targets import Wanted, digest_rows, raw_column, raw_key, source_rows
from ..readers.raw import RawArrays
from ..results import KINDS, Request, Seal
from ..storage.remote import BucketPath
from ..storage.shared_lock import try_step_lock
from ..storage.state import DigestCache, Lock, RunToken, get_held_lock, keep_run_token, lock_dataset
from ..workspace import EVERYTHING, Selection, Workspace
from .watch import Watch, take_stamps

CONVERTED, REWRITTEN = WRITTEN = ("converted", "metadata rewritten")
"""States of an outcome whose result was written."""
UNFINISHED = "waiting"
"""State of an outcome whose result waits for other parts."""


@dataclass(frozen=True, slots=True)
class Options:
    """How `convert` is to go about it: of a run in parts, as which part; on a cluster, by which Dask scheduler.

    `memory` bounds what a process may need, in bytes; 0 sets no bound. `amend` changes what was
    planned before it is carried out.
    """

    keep_going: bool = False
    outdated: bool = False
    workers: int = 1
    lock: Lock | RunToken | None = None
    part: RunPart | None = None
    dask: str = ""
    memory: int = 0
    amend: Callable[[Planned], Planned] | None = None


def convert_dataset(
    workspace: Workspace,
    select: Selection = EVERYTHING,
    options: Options | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Convert what is new or changed of what is selected, and bring ``records.jsonl`` up to date."""
    begin_step(progress, "convert")
    targets = workspace.targets(select)
    findings = workspace.table_findings(select, targets)
    with lock_dataset(workspace.config.state, "convert"):
        outcomes = bring_up_to_date(workspace, targets, options or Options(), progress)
        findings += write_records(workspace.config, workspace.current())
    outcomes += workspace.rows_without_target(select, "blocked")
    report = Report.of("convert", outcomes, [*findings, *workspace.results_without_row(select)])
    return replace(report, note=compare_estimates(outcomes))


def bring_up_to_date(
    workspace: Workspace, targets: Sequence[Wanted], options: Options, progress: Progress
) -> list[Outcome]:
    """One outcome a target, in their order; how each stands is asked once, before anything is written."""
    options = replace(options, lock=get_held_lock(workspace.config.state))
    outcomes: dict[str, Outcome] = {}
    waiting: list[tuple[Wanted, Standing]] = []
    for wanted in targets:
        now = _guarded(wanted, partial(_find_standing, workspace, wanted, options))
        if isinstance(now, Outcome):
            outcomes[wanted.target.path] = now
        else:
            waiting.append((wanted, now))
    workspace.save_digests()
    for (wanted, _), outcome in zip(waiting, _convert_all(workspace, waiting, options, progress), strict=True):
        outcomes[wanted.target.path] = outcome
        is_whole = outcome.done in WRITTEN and not any(f.id == "convert.left_out" for f in outcome.findings)
        workspace.note_written(wanted, is_whole=is_whole)
    if options.workers > 1 or options.dask:
        workspace.reload_digests()
    return [outcomes[wanted.target.path] for wanted in targets]


def _find_standing(workspace: Workspace, wanted: Wanted, options: Options) -> Outcome | Standing:
    """How a result that is to be written stands; the outcome of one that is not."""
    usable = wanted.usable(options.keep_going)
    if usable is None:
        return withheld(wanted)
    now = workspace.standing(usable, outdated=options.outdated)
    if now.needs_work:
        return now
    left_out = () if usable is wanted else _report_left_out(wanted)
    return Outcome(wanted.target.path, str(now.state), now.reason, left_out)


def _convert_all(
    workspace: Workspace, waiting: Sequence[tuple[Wanted, Standing]], options: Options, progress: Progress
) -> Iterator[Outcome]:
    """Write results in this process or in `workers` others, in order.

    Results of kinds with units are planned and finished here, and their units run in any
    worker; others are converted whole in one worker.
    """
    config = workspace.config
    if options.part:
        yield from _convert_shares(workspace, waiting, options, options.part, progress)
        return
    has_units = [bool(KINDS[wanted.target.kind].units) for wanted, _ in waiting]
    if not options.dask and (options.workers <= 1 or (len(waiting) <= 1 and not any(has_units))):
        for wanted, now in track(progress, "convert", waiting, lambda item: Path(item[0].target.path).name):
            yield convert_one(config, wanted, now, options, progress, workspace.digests)
        return
    if waiting:
        yield from _convert_elsewhere(workspace, waiting, has_units, options, progress)


def _convert_elsewhere(
    workspace: Workspace,
    waiting: Sequence[tuple[Wanted, Standing]],
    has_units: Sequence[bool],
    options: Options,
    progress: Progress,
) -> Iterator[Outcome]:
    config = workspace.config
    with (
        keep_run_token(config.state) as token,
        ThreadPoolExecutor(max(2, options.workers)) as planners,
        _open_workers(config, options) as workers,
    ):
        there = replace(options, lock=token) if options.dask else options
        futures: list[Future[Outcome]] = []
        for (wanted, now), in_units in zip(waiting, has_units, strict=True):
            if in_units:
                futures.append(planners.submit(convert_one, config, wanted, now, options, progress, None, workers))
            elif options.dask:
                rows = digest_rows(source_rows(wanted, config.profile), config.profile)
                named = (config.root, wanted.target.path, rows)
                futures.append(workers.submit(_convert_by_name, named, now, there, progress=progress))
            else:
                futures.append(workers.submit(_convert_in_worker, config, wanted, now, options, progress=progress))
        try:
            named_futures = [(wanted, future) for (wanted, _), future in zip(waiting, futures, strict=True)]
            for wanted, future in track(
                progress, "convert", named_futures, lambda item: Path(item[0].target.path).name
            ):
                try:
                    yield future.result()
                except WorkerDied as died:
                    yield _make_failure(wanted, died)
        finally:
            planners.shutdown(wait=False, cancel_futures=True)


def _open_workers(config: Config, options: Options) -> AbstractContextManager[ProcessExecutor | DaskExecutor]:
    if not options.dask:
        return ProcessExecutor(options.workers)
    if options.dask != JOBS:
        return DaskExecutor(options.dask)
    if config.cluster is None:
        message = f"--dask {JOBS} needs the entry [cluster] in {FILE}, which says what jobs there are"
        raise problem("dataset.config", message, file=FILE)
    return start_jobs(config.cluster, config.state)


_OPEN: dict[Path, Workspace] = {}
"""The dataset that this worker was at last: its tables are read once, and not sent to it."""


def _convert_by_name(named: tuple[Path, str, str], now: Standing, options: Options, progress: Progress) -> Outcome:
    """Convert a result of a dataset that lies in a folder shared with whoever asks, if its rows are the same here.

    Raises
    ------
    Problem
        ``file.changed``: they are not.
    """
    root, path, rows = named
    for is_known in (True, False):
        if not is_known or root not in _OPEN:
            _OPEN.clear()
            _OPEN[root] = Workspace.open(root)
        workspace = _OPEN[root]
        for wanted in workspace.targets():
            profile = workspace.profile
            if wanted.target.path == path and digest_rows(source_rows(wanted, profile), profile) == rows:
                return convert_one(workspace.config, wanted, now, options, progress, workspace.digests)
    raise problem("file.changed", f"The rows of {path} changed, or {root} is another dataset there", file=path)


def _convert_shares(
    workspace: Workspace,
    waiting: Sequence[tuple[Wanted, Standing]],
    options: Options,
    part: RunPart,
    progress: Progress,
) -> Iterator[Outcome]:
    """Shares of those that parts make together, and the others whole; small ones begin with another part each."""
    for wanted, now in track(progress, "convert", waiting, lambda item: Path(item[0].target.path).name):
        is_shared = is_shared_by_parts(workspace.config, wanted)
        own = part.rotate(count_steps(wanted)) if is_shared else None
        yield convert_one(workspace.config, wanted, now, replace(options, part=own), progress, workspace.digests)


def is_shared_by_parts(config: Config, wanted: Wanted) -> bool:
    """Whether parts of a run make a result together: a volume on this machine; others go to one part each."""
    kind = KINDS[wanted.target.kind]
    return bool(kind.parts) and isinstance(config.locate_result(kind.name, wanted.target.path), Path)


def count_steps(wanted: Wanted) -> int:
    """A number by which results spread over parts: the same on every machine, and whatever else is converted."""
    return int(digest(wanted.target.path)[:8], 16)


_DIGESTS: dict[Path, DigestCache] = {}
"""What a worker knows of each dataset: read once, and not for each of its results."""


def _convert_in_worker(config: Config, wanted: Wanted, now: Standing, options: Options, progress: Progress) -> Outcome:
    if config.state not in _DIGESTS:
        _DIGESTS[config.state] = DigestCache(config.state)
    return convert_one(config, wanted, now, options, progress, _DIGESTS[config.state])


def convert_one(
    config: Config,
    wanted: Wanted,
    now: Standing,
    options: Options,
    progress: Progress,
    cache: DigestCache | None = None,
    executor: Executor | None = None,
) -> Outcome:
    """Bring one result up to date that stands as `now` says; whatever goes wrong becomes findings of its outcome."""
    cache, executor = cache or DigestCache(config.state), executor or LocalExecutor()
    return _guarded(wanted, partial(_convert, config, wanted, now, options, progress, cache, executor))


def _guarded[T](wanted: Wanted, work: Callable[[], T | Outcome]) -> T | Outcome:
    """What the work gives, or an outcome that says what went wrong."""
    try:
        return work()
    except MappingError:
        raise
    except Problem as bad:
        return Outcome(wanted.target.path, "withheld", bad.finding.message, (_place_finding(bad.finding, wanted),))
    except OSError as error:
        return _make_failure(wanted, error)
    except Exception as error:  # noqa: BLE001 - one defect must not stop the other targets; it is reported and logged
        message = f"{wanted.target.path}: {type(error).__name__}: {error}"
        defect = finding("internal.error", message, file=wanted.target.path)
        return Outcome(wanted.target.path, "failed", defect.message, (defect,), {"traceback": traceback.format_exc()})


def _make_failure(wanted: Wanted, error: OSError) -> Outcome:
    found = machine_finding(error, f"{wanted.target.path}: {error}", file=wanted.target.path)
    return Outcome(wanted.target.path, "failed", str(error), (found,))


def _place_finding(found: Finding, wanted: Wanted) -> Finding:
    return found if found.location.table else found.at(**wanted.record.place())


def _convert(
    config: Config,
    wanted: Wanted,
    now: Standing,
    options: Options,
    progress: Progress,
    cache: DigestCache,
    executor: Executor,
) -> Outcome:
    path, begun = wanted.target.path, perf_counter()
    usable = wanted.usable(options.keep_going)
    assert usable is not None, "only what can be written stands in any way"
    try:
        check_place(config.output, path, wanted.target.kind)
        while True:
            watch = Watch(cache, take_stamps(usable, config), options.lock, config.sources)
            with RawArrays(config.sources()) as raw:  # opened for planning, read by the writer
                planned = build_plan(usable, config, raw)
                planned = options.amend(planned) if options.amend else planned
                if planned.plan is not None:
                    if too_large := check_memory(planned, options.memory):
                        return Outcome(path, "withheld", too_large.message, (*planned.findings, too_large))
                    try:
                        left = _write_result(config, usable, planned.plan, watch, raw, progress, executor, options)
                        break
                    except Problem as bad:
                        planned = _blame_row(bad, usable, config)
            wanted = replace(wanted, blocked={**wanted.blocked, **planned.failed})
            less = wanted.usable(options.keep_going) if planned.failed else None
            if less is None:
                return _withhold_failed(wanted, planned)
            usable = less
        findings = (*planned.findings, *(_report_left_out(wanted) if wanted.blocked else ()))
    finally:
        cache.save()
    estimate = estimate_plan(planned)
    if options.part:
        estimate = replace(estimate, nbytes=estimate.nbytes // options.part.count)
    seconds = round(perf_counter() - begun, 1)
    facts = {"bytes": estimate.nbytes, "seconds": seconds, "estimate": make_estimate_facts(estimate)}
    if left:
        return Outcome(path, UNFINISHED, left, findings, facts)
    return Outcome(path, REWRITTEN if now.state is State.METADATA else CONVERTED, now.reason, findings, facts)


def _blame_row(bad: Problem, wanted: Wanted, config: Config) -> Planned:
    """What turned out while samples or pixels were read, on the row whose file it is. Raises it where none is."""
    file = bad.finding.location.file or ""
    for name, record in wanted.jobs:
        key = raw_key(name, record, config.profile)
        if file == key or (key.endswith("/") and file.startswith(key)) or len(wanted.jobs) == 1:
            found = waive(bad.finding.at(**record.place(raw_column(name, record))), wanted.waivers)
            return Planned(None, (found,), {(record.table, record.key): found})
    raise bad


def _write_result(
    config: Config,
    wanted: Wanted,
    plan: Plan,
    watch: Watch,
    raw: RawArrays,
    progress: Progress,
    executor: Executor,
    options: Options,
) -> str:
    """Write a result, or a part's share of it; what is left to other parts, in words."""
    path, place = config.output / wanted.target.path, config.locate_result(wanted.target.kind, wanted.target.path)
    bucket, part = place if isinstance(place, BucketPath) else None, options.part
    path.parent.mkdir(parents=True, exist_ok=True)
    nbytes = plan.nbytes // part.count if part else plan.nbytes
    check_room(path, nbytes, executor.parts * KINDS[wanted.target.kind].staged_bytes if bucket else None)
    expect_bytes(progress, nbytes)
    stamps = watch.remember(raw.roots, plan.inputs)
    take = partial(watch.digest, raw.roots)
    # Kept files come first: a session names them by their digests before its samples are written.
    ordered = sorted(plan.inputs, key=lambda touched: not any(one.holds(touched.key) for one in plan.kept))
    inputs: InputDigests | ShareDigests
    if part:
        inputs = ShareDigests(take, ordered, nbytes, part, watch.cache.reload)
    else:
        inputs = InputDigests(take, ordered, nbytes)
    with closing(inputs):

        def report(nbytes: int) -> None:
            inputs.advance(nbytes)
            progress(nbytes)

        def settle() -> None:
            assert isinstance(inputs, ShareDigests)
            inputs.finish_share()
            watch.cache.save()  # whoever finishes need not take them again

        seal = Seal(__version__, digest_rows(plan.rows, config.profile), inputs, watch.confirm, stamps)
        request = Request(plan, path, seal, path if bucket is None and path.exists() else None, bucket)
        try:
            if part:
                try_lock = partial(try_step_lock, config.state, wanted.target.path)
                return write_share(request, raw, part, try_lock, settle, report)
            write_result(request, raw, executor, report)
        except FileNotFoundError as error:
            watch.confirm()  # a raw file that went away is another matter
            message = f"an unfinished file of {path.name} was taken away; another neuropress may be writing it, too"
            raise problem("dataset.locked", message, file=wanted.target.path) from error
    return ""


def check_place(output: Path, name: str, kind: str) -> None:
    """Refuse to write through a link, or to put a folder over a file or the other way round: it is nothing of ours.

    The output folder itself may be a link: that is the user's own choice.

    Raises
    ------
    Problem
        ``output.occupied``.
    """
    path = output / name
    for place in (path, *path.parents[: len(Path(name).parts) - 1]):
        if place.is_symlink() or place.is_junction():
            raise problem("output.occupied", f"{place} is a link, where the result belongs", file=str(place))
        if place != path and place.exists() and not place.is_dir():
            raise problem("output.occupied", f"{place} is a file, where a folder belongs", file=str(place))
    if path.exists() and path.is_dir() is not KINDS[kind].is_folder:
        what = "folder" if path.is_dir() else "file"
        raise problem("output.occupied", f"{path} is a {what}, where the result belongs", file=str(path))


def check_room(path: Path, nbytes: int, staged: int | None = None) -> None:
    """Refuse to begin what may not fit: the arrays uncompressed, and a sixth more for pyramids.

    Of a result that goes into a bucket no more than `staged` bytes lie here at a time.

    Raises
    ------
    Problem
        ``disk.full`` with both figures.
    """
    need = nbytes + nbytes // 6
    if staged is not None:
        need = min(need, staged)
    free = shutil.disk_usage(path.parent).free
    if free < need:
        message = f"{path.name} may need {format_size(need)} uncompressed, the disk has {format_size(free)} free"
        raise problem("disk.full", message, file=str(path))


def withheld(wanted: Wanted) -> Outcome:
    """Why a result is not written."""
    path, record = wanted.target.path, wanted.record
    place = record.place()
    if wanted.blocked:
        (table, key), cause = wanted.cause
        why = f"{record.key} is withheld: {table} {key}: {cause.message}"
        # A waived error withholds as a warning: somebody answers for it.
        withholding = finding("convert.withheld", why, severity=cause.severity, **place)
        return Outcome(path, "withheld", why, (withholding, cause))
    why = f"{record.key} has no row with data that could be converted"
    return Outcome(path, str(State.EMPTY), why, (finding("convert.no_data", why, **place),))


def _withhold_failed(wanted: Wanted, planned: Planned) -> Outcome:
    blocked = {**wanted.blocked, **planned.failed}
    if not blocked:  # all rows are good, but what they make is not
        cause = next(f.message for f in planned.findings if f.severity is Severity.ERROR)
        return Outcome(wanted.target.path, "withheld", cause, planned.findings)
    outcome = withheld(replace(wanted, blocked=blocked))
    return replace(outcome, findings=(*outcome.findings, *planned.findings))


def _report_left_out(wanted: Wanted) -> tuple[Finding, ...]:
    return tuple(
        finding("convert.left_out", f"{table} {key} is left out: {cause.message}", table=table, key=key)
        for (table, key), cause in sorted(wanted.blocked.items())
    )
