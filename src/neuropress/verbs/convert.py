"""Carrying plans out: one result at a time, whole or not at all."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from .. import __version__
from ..config import Config
from ..execution.digests import InputDigests
from ..execution.executor import Executor, LocalExecutor, write_result
from ..execution.processes import ProcessExecutor, WorkerDied
from ..model.finding import Finding, MappingError, Problem, Severity, finding, machine_finding, problem
from ..model.plan import Plan, digest
from ..model.progress import Progress, begin_step, expect_bytes, no_progress, track
from ..model.receipt import InputDigest
from ..model.report import Outcome, Report
from ..model.source import BeforeRead, Input, SourceRoots, Stamp
from ..model.waiver import waive
from ..planning.build import Planned, build_plan, raw_column, raw_key
from ..planning.kept import list_kept_cells
from ..planning.records import write_records
from ..planning.stale import Standing, State
from ..planning.targets import Wanted, digest_rows
from ..readers.raw import RawArrays
from ..results import KINDS, Request, Seal
from ..storage.remote import BucketPath
from ..storage.state import DigestCache, Lock, get_held_lock, lock_dataset
from ..workspace import EVERYTHING, Selection, Workspace

CONVERTED, REWRITTEN = WRITTEN = ("converted", "metadata rewritten")
"""States of an outcome whose result was written."""


@dataclass(frozen=True, slots=True)
class Options:
    """How `convert` is to go about it."""

    keep_going: bool = False
    outdated: bool = False
    workers: int = 1
    lock: Lock | None = None


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
        outcomes = _bring_up_to_date(workspace, targets, options or Options(), progress)
        findings += write_records(workspace.config, workspace.current())
    outcomes += workspace.rows_without_target(select, "blocked")
    return Report.of("convert", outcomes, [*findings, *workspace.results_without_row(select)])


def _bring_up_to_date(
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
    if options.workers > 1:
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
    has_units = [bool(KINDS[wanted.target.kind].units) for wanted, _ in waiting]
    if options.workers <= 1 or (len(waiting) <= 1 and not any(has_units)):
        for wanted, now in track(progress, "convert", waiting, lambda item: Path(item[0].target.path).name):
            yield convert_one(config, wanted, now, options, progress, workspace.digests)
        return
    with ThreadPoolExecutor(options.workers) as planners, ProcessExecutor(options.workers) as workers:
        futures: list[Future[Outcome]] = []
        for (wanted, now), in_units in zip(waiting, has_units, strict=True):
            if in_units:
                futures.append(planners.submit(convert_one, config, wanted, now, options, progress, None, workers))
            else:
                futures.append(workers.submit(_convert_in_worker, config, wanted, now, options, progress=progress))
        try:
            named = [(wanted, future) for (wanted, _), future in zip(waiting, futures, strict=True)]
            for wanted, future in track(progress, "convert", named, lambda item: Path(item[0].target.path).name):
                try:
                    yield future.result()
                except WorkerDied as died:
                    yield _make_failure(wanted, died)
        finally:
            planners.shutdown(wait=False, cancel_futures=True)


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
    path = wanted.target.path
    usable = wanted.usable(options.keep_going)
    assert usable is not None, "only what can be written stands in any way"
    try:
        check_place(config.output, path, wanted.target.kind)
        while True:
            watch = Watch(cache, _take_stamps(usable, config), options.lock, config.sources)
            with RawArrays(config.sources()) as raw:  # opened for planning, read by the writer
                planned = build_plan(usable, config, raw)
                if planned.plan is not None:
                    try:
                        nbytes = _write_result(config, usable, planned.plan, watch, raw, progress, executor)
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
    return Outcome(
        path, REWRITTEN if now.state is State.METADATA else CONVERTED, now.reason, findings, {"bytes": nbytes}
    )


def _blame_row(bad: Problem, wanted: Wanted, config: Config) -> Planned:
    """What turned out while samples or pixels were read, on the row whose file it is. Raises it where none is."""
    file = bad.finding.location.file or ""
    for name, record in wanted.jobs:
        key = raw_key(name, record, config.profile)
        if file == key or (key.endswith("/") and file.startswith(key)) or len(wanted.jobs) == 1:
            found = waive(bad.finding.at(**record.place(raw_column(name, record))), wanted.waivers)
            return Planned(None, (found,), {(record.table, record.key): found})
    raise bad


@dataclass(frozen=True, slots=True)
class Watch:
    """Sees to it that a result is of the files whose digests it states.

    `stamps` holds what the raw files were like before they were first looked at; those that
    only the plan names (command files, members of a set) join them before they are read again.
    """

    cache: DigestCache
    stamps: dict[str, Stamp]
    lock: Lock | None
    sources: Callable[[], SourceRoots]

    def remember(self, roots: SourceRoots, inputs: Sequence[Input]) -> str:
        """Take the stamps of all inputs of a plan; a digest of them. Raises `Problem` (``file.changed``)."""
        for touched in inputs:
            # Looked up here, one after the other: many threads that ask a bucket at once ask more often.
            source = roots.locate(touched.key)
            if touched.key not in self.stamps:
                self.stamps[touched.key] = source.stamp(touched.key)
            if Input.of(touched.key, self.stamps[touched.key]) != touched:
                raise problem("file.changed", f"{touched.key} changed while it was read", file=touched.key)
        return digest([[touched.key, *self.stamps[touched.key]] for touched in inputs])

    def digest(self, roots: SourceRoots, touched: Input, before_read: BeforeRead) -> InputDigest:
        """Digest of a remembered input. Raises `Problem` (``file.changed``)."""
        source = roots.locate(touched.key)
        found = self.cache.get_raw_digest(source.root, touched.key, before_read)
        if source.stamp(touched.key) != self.stamps[touched.key]:
            raise problem("file.changed", f"{touched.key} changed while it was read", file=touched.key)
        return found

    def confirm(self) -> None:
        """See that nothing changed. Raises `Problem` (``file.changed``, ``dataset.locked``)."""
        roots = self.sources()
        for key, before in self.stamps.items():
            try:
                same = roots.locate(key).stamp(key) == before
            except Problem:
                same = False
            if not same:
                raise problem("file.changed", f"{key} changed while it was converted", file=key)
        if self.lock:
            self.lock.check()


def _take_stamps(wanted: Wanted, config: Config) -> dict[str, Stamp]:
    """The raw files of a target as they are before any is opened."""
    found = {}
    roots = config.sources()
    keys = [cell.key for cell in list_kept_cells(wanted, config.profile)]
    for name, record in (*wanted.jobs, *wanted.clocks):
        keys.append(raw_key(name, record, config.profile))
    for key in keys:
        try:
            source = roots.locate(key)
            for member in source.list_keys():
                found[member] = source.stamp(member)
        except (Problem, OSError):
            continue  # planning tells of it
    return found


def _write_result(
    config: Config, wanted: Wanted, plan: Plan, watch: Watch, raw: RawArrays, progress: Progress, executor: Executor
) -> int:
    path, place = config.output / wanted.target.path, config.locate_result(wanted.target.kind, wanted.target.path)
    bucket = place if isinstance(place, BucketPath) else None
    path.parent.mkdir(parents=True, exist_ok=True)
    check_room(path, plan.nbytes, executor.parts * KINDS[wanted.target.kind].staged_bytes if bucket else None)
    expect_bytes(progress, plan.nbytes)
    stamps = watch.remember(raw.roots, plan.inputs)
    take = partial(watch.digest, raw.roots)
    # Kept files come first: a session names them by their digests before its samples are written.
    ordered = sorted(plan.inputs, key=lambda touched: not any(one.holds(touched.key) for one in plan.kept))
    with closing(InputDigests(take, ordered, plan.nbytes)) as inputs:

        def report(nbytes: int) -> None:
            inputs.advance(nbytes)
            progress(nbytes)

        seal = Seal(__version__, digest_rows(plan.rows, config.profile), inputs, watch.confirm, stamps)
        request = Request(plan, path, seal, path if bucket is None and path.exists() else None, bucket)
        try:
            write_result(request, raw, executor, report)
        except FileNotFoundError as error:
            watch.confirm()  # a raw file that went away is another matter
            message = f"an unfinished file of {path.name} was taken away; another neuropress may be writing it, too"
            raise problem("dataset.locked", message, file=wanted.target.path) from error
    return plan.nbytes


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
        message = f"{path.name} may need {_format_size(need)} uncompressed, the disk has {_format_size(free)} free"
        raise problem("disk.full", message, file=str(path))


def _format_size(nbytes: int) -> str:
    """In the largest unit that leaves a digit before the point."""
    exponent = max(0, min(4, (len(str(nbytes)) - 1) // 3))
    return f"{nbytes / 1000**exponent:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[exponent]}"


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
