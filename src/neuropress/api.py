"""The library's face: a dataset, whose methods are the verbs of the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any

from . import publishing
from .checks import check_tables
from .checks.waivers import load_waivers, unmatched
from .config import DEFAULT_PROFILE, FILE, TEMPLATE, Config, load_config, open_profile
from .model.finding import Finding, Problem, Severity, finding, has_errors, problem
from .model.record import Record
from .model.report import Outcome, Report
from .model.serial import to_json
from .model.waiver import Waiver, waive_all
from .planning.build import build_plan, check_mappings
from .planning.facts import FILE as FACTS
from .planning.facts import collect_facts, compare_with_facts, load_facts
from .planning.raw import check_files
from .planning.records import NAME as RECORDS
from .planning.records import is_current, write_records
from .planning.stale import State, standing
from .planning.targets import Wanted, strays, unplaced, wanted_targets
from .proof import Proofs
from .state import DigestCache, locked, write_atomic
from .tables import Tables, write_headers
from .verbs.add import Occasion, add_told
from .verbs.convert import Options, convert_all
from .verbs.coverage import Coverage, Place, cover, read_results, where
from .verbs.explain import Explanation, explain_result
from .verbs.fix import apply_fixes, write_proposals
from .verbs.letter import Letter, write_letter
from .verbs.prove import export, name_of, validated, verify_paths
from .verbs.since import old_dataset, only_new
from .verbs.status import describe_obstacle, list_standings

type Progress = Callable[[int], None]


def _silent(nbytes: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a dataset a verb is about; nothing given selects everything."""

    sessions: tuple[str, ...] = ()
    labs: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sessions or self.labs or self.objects)

    def takes(self, wanted: Wanted) -> bool:
        """Whether a target is selected: by its session, its lab, or one of its rows."""
        sessions = {record.key for record in wanted.records() if record.table == "session"}
        own = {wanted.record.key, *(record.key for _, record in wanted.jobs)}
        return (
            (not self.sessions or bool(sessions & set(self.sessions)))
            and (not self.labs or wanted.record.lab in self.labs)
            and (not self.objects or bool(own & set(self.objects)))
        )


EVERYTHING = Selection()


class Dataset:
    """One dataset folder. Make it with `neuropress.open`.

    Every verb returns a `Report`; bad input never raises, it becomes findings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    @classmethod
    def open(cls, path: str | os.PathLike[str] = ".") -> Dataset:
        """Open the dataset in a folder. Raises `Problem` when there is none."""
        return cls(load_config(Path(path)))

    @classmethod
    def init(
        cls, path: str | os.PathLike[str], profile: str = DEFAULT_PROFILE, optional: Collection[str] = ()
    ) -> Dataset:
        """Make an empty dataset: ``neuropress.toml``, all tables with their headers, ``source/``, ``output/``.

        Parameters
        ----------
        profile
            One that is shipped, or ``<profile>.toml`` in the folder.
        optional
            Optional tables of the profile that the dataset shall have.

        Raises
        ------
        Problem
            ``dataset.exists``: the folder is a dataset already; ``dataset.config``: no such profile or table.
        """
        root = Path(path)
        if (root / FILE).exists():
            raise problem("dataset.exists", f"{root / FILE} exists already", file=str(root))
        loaded = open_profile(profile, root)
        for table in optional:
            if table not in loaded.tables:
                known = ", ".join(name for name, spec in loaded.tables.items() if spec.optional_table) or "none"
                message = f"profile {profile!r} has no table {table!r}; its optional tables: {known}"
                raise problem("dataset.config", message, value=table)
        for folder in ("tables", "source", "output"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        write_headers(root / "tables", loaded, optional)
        text = TEMPLATE.format(profile=profile, version=loaded.version)
        (root / FILE).write_text(text, encoding="utf-8", newline="\n")
        return cls.open(root)

    @cached_property
    def _tables(self) -> Tables:
        check_mappings(self.config.profile)
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)  # today, anywhere on Earth
        return check_tables(self.config.tables, self.config.profile, tomorrow, self._waivers()[0])

    def _waivers(self) -> tuple[tuple[Waiver, ...], list[Finding]]:
        """Those that hold today, and what is wrong with the others."""
        return load_waivers(self.config.root, self.config.profile, datetime.now(UTC).date())

    def reload(self) -> None:
        """Forget the tables, so that the next verb reads them again."""
        self.__dict__.pop("_tables", None)

    def targets(self, select: Selection = EVERYTHING) -> list[Wanted]:
        """Every result that the selected rows ask for."""
        return [w for w in wanted_targets(self._tables, self.config.profile) if select.takes(w)]

    def records(self, table: str) -> list[Record]:
        """The rows of a table that could be read, joined with their parents."""
        return list(self._tables.records.get(table, {}).values())

    def _table_findings(self, select: Selection, targets: Iterable[Wanted]) -> list[Finding]:
        """Findings on tables: all of them, or those that touch the selected targets."""
        if not select:
            return [*self.config.findings, *self._tables.findings]
        rows = {(r.table, r.key) for w in targets for r in w.records()}
        rows |= {row for w in targets for row in w.blocked}
        return [f for f in self._tables.findings if not f.location.key or (f.location.table, f.location.key) in rows]

    def _beside(self, select: Selection, targets: Sequence[Wanted], done: str) -> tuple[list[Outcome], list[Finding]]:
        """Of the whole dataset: rows that are not understood and so have no target, and results without a row."""
        if select:
            return [], []
        rows = list(unplaced(self._tables, self.config.profile))
        excused = {key for _, key, _ in rows}
        sure = not self._tables.broken and not any(self._tables.unkeyed.values())
        found = list(strays(self.config.output, targets, excused)) if sure else []
        return [Outcome(f"{table} {key}", done, cause.message) for table, key, cause in rows], found

    def _unknown(self, select: Selection) -> list[Finding]:
        keys = {record.key for table in self._tables.records.values() for record in table.values()}
        keys |= {key for _, key in self._tables.blocked}
        wrong = [name for name in (*select.sessions, *select.objects) if name not in keys]
        wrong += [lab for lab in select.labs if lab not in self.config.profile.labs]
        return [finding("dataset.selection", f"{name} is not in the tables", value=name) for name in wrong]

    def check(self, select: Selection = EVERYTHING, *, tables_only: bool = False, since: str | None = None) -> Report:
        """Check tables, keys, rules between tables, and cells against the raw files' headers.

        Errors that ``waivers.csv`` covers become warnings that name who answers for them.

        Parameters
        ----------
        tables_only
            Open no raw file; compare cells with ``facts.jsonl`` instead.
        since
            A git revision: findings that it had already only inform. Implies `tables_only`.

        Raises
        ------
        Problem
            ``since.revision`` or ``facts.unreadable``.
        """
        report = self._check_tables(select) if tables_only or since else self._check(select)
        waivers, told = self._waivers()
        told += unmatched(waivers, report.findings) if not select else []
        findings = waive_all([*told, *report.findings], waivers)
        if since:
            findings = only_new(findings, self._findings_of(since), since)
        outcomes = [replace(o, findings=()) for o in report.outcomes]
        return self._log(Report.of("check", outcomes, findings))

    def _findings_of(self, revision: str) -> tuple[Finding, ...]:
        """What a check of the tables finds in an older revision of this folder."""
        with TemporaryDirectory() as folder:
            old_dataset(self.config.root, revision, Path(folder))
            if not (Path(folder) / FILE).is_file():
                return ()
            try:
                return Dataset.open(folder).check(tables_only=True).findings
            except Problem as bad:  # what kept the old tables from being read is all that was found then
                return (bad.finding,)

    def _check_tables(self, select: Selection) -> Report:
        self.reload()
        targets = self.targets(select)
        findings = self._unknown(select) + self._table_findings(select, targets)
        facts = load_facts(self.config.root)
        outcomes = []
        for wanted in targets:
            told = compare_with_facts(self.config, wanted, facts)
            done = "has errors" if wanted.blocked or has_errors(told) else "tables ready"
            outcomes.append(Outcome(wanted.target.path, done, "", tuple(told)))
        return Report.of("check", [*outcomes, *self._beside(select, targets, "has errors")[0]], findings)

    def letter(self, lab: str, select: Selection = EVERYTHING, *, tables_only: bool = False) -> Letter:
        """What one lab should mend, to be forwarded; `lab` "-" is for what belongs to no lab."""
        report = self.check(select, tables_only=tables_only)
        errors = (f.location for f in report.findings if f.severity is Severity.ERROR)
        found = {(where.table or "", where.key or "") for where in errors}
        withholds: dict[tuple[str, str], list[str]] = {}
        for wanted in self.targets():
            name = wanted.target.path.rsplit("/", 1)[-1]
            rows = {(r.table, r.key) for r in wanted.records()} | set(wanted.blocked)
            for row in rows.intersection(found):
                withholds.setdefault(row, []).append(name)
        for table, key, _ in unplaced(self._tables, self.config.profile):
            withholds.setdefault((table, key), []).append(f"the result of {table} {key}")
        return write_letter(lab, report.findings, withholds, self.config.profile)

    def propose_fixes(self, path: str | os.PathLike[str]) -> Report:
        """Write what damaged cells were probably meant to say, as CSV that a person edits and signs.

        Raises
        ------
        Problem
            ``fixes.exists``: the file holds what a person wrote.
        """
        return Report.of("check", [write_proposals(self.config, Path(path))], [])

    def apply_fixes(self, path: str | os.PathLike[str]) -> Report:
        """Take the signed lines of a file of fixes over into the dataset; the tables stay as they are.

        Raises
        ------
        Problem
            ``fixes.none``: there is no such file.
        """
        with locked(self.config.state, "check"):
            outcomes = apply_fixes(self.config, Path(path))
        return self._log(Report.of("check", outcomes, []))

    def facts(self) -> Report:
        """Write ``facts.jsonl``: what the raw files' headers say, to be committed beside the tables."""
        self.reload()
        text, count, findings = collect_facts(self.config, self.targets())
        write_atomic(self.config.root / FACTS, text)
        outcome = Outcome(FACTS, "written", f"{count} raw object{'s' if count != 1 else ''}")
        return self._log(Report.of("facts", [outcome], findings))

    def _check(self, select: Selection) -> Report:
        self.reload()
        targets = self.targets(select)
        findings = self._unknown(select) + self._table_findings(select, targets)
        findings += check_files(self._tables, self.config, targets if select else None)
        outcomes = []
        for wanted in targets:
            usable = wanted.usable(keep_going=True)
            planned = build_plan(usable, self.config) if usable else None
            told = planned.findings if planned else ()
            bad = wanted.blocked or not planned or planned.plan is None
            done = str(State.EMPTY) if wanted.empty else "has errors" if bad else "ready"
            outcomes.append(Outcome(wanted.target.path, done, "", told))
        homeless, lost = self._beside(select, targets, "has errors")
        return Report.of("check", [*outcomes, *homeless], [*findings, *lost])

    def plan(self, select: Selection = EVERYTHING, outdated: bool = False) -> Report:
        """What `convert` would do; each outcome's facts hold the whole plan."""
        self.reload()
        targets = self.targets(select)
        findings = self._unknown(select) + self._table_findings(select, targets)
        cache = DigestCache(self.config.state)
        outcomes = []
        for wanted in targets:
            usable = wanted.usable(keep_going=False)
            if usable is None:
                outcomes.append(Outcome(wanted.target.path, *describe_obstacle(wanted)))
                continue
            now = standing(usable, self.config, cache, outdated)
            planned = build_plan(usable, self.config) if now.needs_work else None
            facts = {"plan": to_json(planned.plan)} if planned and planned.plan else {}
            told = planned.findings if planned else ()
            blocked = has_errors(told)
            done, why = ("blocked", told[0].message) if blocked else (str(now.state), now.reason)
            outcomes.append(Outcome(wanted.target.path, done, why, tuple(told), facts))
        homeless, lost = self._beside(select, targets, "blocked")
        return Report.of("plan", [*outcomes, *homeless], [*findings, *lost])

    def convert(
        self,
        select: Selection = EVERYTHING,
        *,
        workers: int = 1,
        keep_going: bool = False,
        outdated: bool = False,
        progress: Progress = _silent,
    ) -> Report:
        """Convert what is new or changed. What is up to date is not touched.

        Parameters
        ----------
        select
            A part of the dataset.
        workers
            Worker processes, which take whole sessions and share the units of volumes; a script that asks for
            more than one needs the usual ``if __name__ == "__main__":`` guard.
        keep_going
            Write sessions without their rows that have errors; the file says so inside.
        outdated
            Rebuild what an older mapping or converter revision made.
        progress
            Called with uncompressed bytes as they are written.
        """
        self.reload()
        targets = self.targets(select)
        findings = self._unknown(select) + self._table_findings(select, targets)
        options = Options(keep_going, outdated, workers)
        with locked(self.config.state, "convert"):
            outcomes = list(convert_all(self.config, targets, options, progress))
            findings += write_records(self.config, self._current())
        homeless, lost = self._beside(select, targets, "blocked")
        return self._log(Report.of("convert", [*outcomes, *homeless], [*findings, *lost]))

    def _current(self) -> list[Wanted]:
        """The targets whose results are what the tables and raw files say now."""
        cache = DigestCache(self.config.state)
        good = (State.CURRENT, State.OUTDATED)
        usable = (wanted.usable(keep_going=True) for wanted in self.targets())
        return [w for w in usable if w and standing(w, self.config, cache).state in good]

    def add(self, paths: Sequence[str | os.PathLike[str]], occasion: Occasion) -> Report:
        """Copy raw files (or folders of slices) to their place and draft a row for each.

        Nothing is invented: what only a person knows stays blank and is told.
        """
        outcomes = []
        with locked(self.config.state, "add"):
            for path in paths:
                self.reload()
                outcomes.append(add_told(self.config, self._tables, Path(path), occasion))
        return self._log(Report.of("add", outcomes, []))

    def coverage(self) -> tuple[Coverage, Report]:
        """The matrix of all columns against where their cells went, and what was lost."""
        self.reload()
        current = self._current()
        covered = cover(self.config, read_results(self.config, current))
        there = {wanted.target.path for wanted in current}
        stale = [w.target.path for w in self.targets() if w.jobs and w.target.path not in there]
        told = [finding("coverage.stale", f"{path} is missing or not current", file=path) for path in stale]
        if not is_current(self.config, current):
            told.append(finding("coverage.stale", f"{RECORDS} is missing or not current", file=RECORDS))
        return covered, Report.of("coverage", [], [*covered.findings, *told])

    def where(self, cell: str) -> list[Place]:
        """Every place that a cell (``mouse.RY_M_0001.weight``) reached. Raises `Problem` for no cell."""
        self.reload()
        return where(self.config, read_results(self.config, self._current()), cell)

    def export_tables(self, to: str | os.PathLike[str]) -> Report:
        """Rebuild the tables as CSV from the results and ``records.jsonl`` alone, in canonical form."""
        return export(str(self.config.root), Path(to))

    def results(self, select: Selection = EVERYTHING) -> list[Path]:
        """Paths of the selected targets that exist."""
        paths = (self.config.output / w.target.path for w in self.targets(select))
        return [path for path in paths if path.exists()]

    def verify(
        self,
        paths: Sequence[str | os.PathLike[str]] = (),
        select: Selection = EVERYTHING,
        progress: Progress = _silent,
    ) -> Report:
        """Prove results (all, or the given ones) against their raw files, element by element."""
        results = [Path(p) for p in paths] or self.results(select)
        return self._log(Report.of("verify", verify_paths(self.config, results, progress), self._unknown(select)))

    def validate(self, paths: Sequence[str | os.PathLike[str]] = (), select: Selection = EVERYTHING) -> Report:
        """Validate results against their standards: pynwb, nwbinspector (default and DANDI), OME-NGFF."""
        results = [Path(p) for p in paths] or self.results(select)
        proofs = Proofs(self.config.state)
        waivers, _ = self._waivers()
        outcomes = [validated(p, name_of(p, self.config), proofs, waivers) for p in results]
        return self._log(Report.of("validate", outcomes, []))

    def run(self, select: Selection = EVERYTHING, **options: Any) -> Iterator[Report]:
        """Check, convert, verify and validate, in this order; one report each.

        Bad rows do not stop the others: every verb goes on with what it can.
        """
        progress = options.get("progress", _silent)
        yield self.check(select)
        yield self.convert(select, **options)
        yield self.verify(select=select, progress=progress)
        yield self.validate(select=select)

    def explain(self, path: str | os.PathLike[str], name: str | None = None) -> list[Explanation]:
        """Which cell, rule and version made a value of a result; all values without `name`."""
        return explain_result(Path(path), name)

    def publish(
        self,
        to: str,
        release: str,
        select: Selection = EVERYTHING,
        *,
        only: Collection[str] = (),
        endpoint: str | None = None,
        allow_errors: bool = False,
        accept_loss: Collection[str] = (),
        dry_run: bool = False,
        progress: Progress = _silent,
    ) -> Report:
        """Publish raw files, tables and proven results as one immutable release.

        Results that were not verified or validated since they were written are so first. What is
        not selected is inherited from the release before; what is selected and absent is a loss.

        Parameters
        ----------
        to
            A folder or ``s3://bucket/prefix``.
        release
            The release's number, as ``1.0.0``; taken numbers are refused.
        select
            Labs and sessions that are published anew.
        only
            Kinds of data that are published anew: ``raw``, ``nwb``, ``ome-zarr``, ``asset``.
        allow_errors
            Publish in spite of errors in tables and of validators; the release tells them.
        accept_loss
            What may be lost: an asset, ``mouse``, ``mouse.RY_M_0001``, ``mouse.*.weight``.
        dry_run
            Say what would change; send nothing.
        """
        if select.objects:
            raise problem("dataset.selection", "a release is selected by lab and session", value=select.objects[0])
        if unknown := self._unknown(select):
            return Report.of("publish", [], unknown)
        with locked(self.config.state, "publish"):
            found = self.check().findings
            scope = publishing.Scope(select.labs, select.sessions, tuple(only))
            order = publishing.Order(to, release, scope, endpoint, found, allow_errors, tuple(accept_loss), dry_run)
            report = publishing.publish_dataset(self.config, self._tables, order, progress)
        return self._log(report)

    def status(self, select: Selection = EVERYTHING) -> Report:
        """Per target: how it stands, whether it was verified, validated and released, and what stands in the way."""
        self.reload()
        outcomes = list(list_standings(self.config, self.targets(select)))
        homeless, lost = self._beside(select, self.targets(select), "blocked")
        unknown = {"checked": False, "converted": False, "verified": False, "validated": False, "released": None}
        outcomes += [replace(outcome, facts=unknown) for outcome in homeless]
        return Report.of("status", outcomes, [*self._unknown(select), *lost])

    def _log(self, report: Report) -> Report:
        """Add the run to ``.neuropress/log.jsonl``: the only place where times are kept."""
        entry = {
            "time": time(),
            "verb": report.verb,
            "exit": report.exit_status,
            "outcomes": [o.to_json() for o in report.outcomes],
        }
        with suppress(OSError):  # a dataset that may only be read can be checked and verified all the same
            self.config.state.mkdir(exist_ok=True)
            with (self.config.state / "log.jsonl").open("a", encoding="utf-8", newline="\n") as log:
                log.write(json.dumps(entry) + "\n")
        return report
