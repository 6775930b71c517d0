"""One dataset that is open: its settings, its tables, the results that these ask for, and how those stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import product
from pathlib import Path
from time import time

from .checks import check_tables
from .checks.waivers import load_waivers
from .config import Config, load_config
from .model.finding import Finding, finding
from .model.profile import BY_DANDI, Profile
from .model.report import Outcome, Report
from .model.waiver import Waiver
from .planning.build import Planned, build_plan
from .planning.mappings import check_mappings, list_broken_plugins
from .planning.receipts import ReceiptCache
from .planning.stale import Standing, State, find_standing
from .planning.targets import Wanted, list_name_findings, list_stray_results, list_unplaced_rows, wanted_targets
from .proof import Proofs
from .storage.remote import ResultPath
from .storage.state import DigestCache
from .tables import Tables


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of a dataset a verb is about; nothing given selects everything.

    Attributes
    ----------
    sessions, labs, objects
        Keys of sessions (``RY_S_0001``), initials of labs (``RY``), keys of any other rows. One text is one of them.

    Examples
    --------
    >>> from neuropress import Selection
    >>> Selection(labs="RY")
    Selection(labs=('RY',))
    >>> Selection(sessions=["RY_S_0001", "RY_S_0002"])
    Selection(sessions=('RY_S_0001', 'RY_S_0002'))
    >>> bool(Selection())
    False
    """

    sessions: tuple[str, ...] = ()
    labs: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("sessions", "labs", "objects"):
            given: str | Iterable[str] = getattr(self, name)
            # A text is a sequence of letters, too, and none of them is a key.
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))

    def __bool__(self) -> bool:
        return bool(self.sessions or self.labs or self.objects)

    def __repr__(self) -> str:
        given = {"sessions": self.sessions, "labs": self.labs, "objects": self.objects}
        return f"Selection({', '.join(f'{name}={keys!r}' for name, keys in given.items() if keys)})"

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


class Workspace:
    """What all verbs share: tables are read once, and each result is looked at once, until `reload`.

    Attributes
    ----------
    config
        What ``neuropress.toml`` says, with the profile loaded.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._standings: dict[tuple[str, bool, bool], Standing] = {}

    @classmethod
    def open(cls, path: str | Path = ".") -> Workspace:
        """Open the dataset in a folder. Raises `Problem` when there is none."""
        return cls(load_config(Path(path)))

    def reload(self) -> Workspace:
        """Forget what was read, so that the tables, waivers and results are looked at again."""
        for name in ("tables", "_waivers", "_targets", "digests", "receipts"):
            self.__dict__.pop(name, None)
        self._standings.clear()
        return self

    @property
    def profile(self) -> Profile:
        """The profile, with the dataset's own values of labs."""
        return self.config.profile

    @property
    def output(self) -> Path:
        """Folder of the results that lie on this machine."""
        return self.config.output

    @cached_property
    def tables(self) -> Tables:
        """All tables, read, joined and checked."""
        check_mappings(self.profile)
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)  # today, anywhere on Earth
        return check_tables(self.config.tables, self.profile, tomorrow, self.waivers)

    @cached_property
    def _waivers(self) -> tuple[tuple[Waiver, ...], list[Finding]]:
        return load_waivers(self.config.root, self.profile, datetime.now(UTC).date())

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """Waivers that hold today."""
        return self._waivers[0]

    @property
    def waiver_findings(self) -> list[Finding]:
        """What is wrong with the other waivers."""
        return list(self._waivers[1])

    @cached_property
    def digests(self) -> DigestCache:
        """Digests of raw files and results, as far as these are unchanged."""
        return DigestCache(self.config.state)

    @cached_property
    def receipts(self) -> ReceiptCache:
        """What results say of how they were made, as far as these are unchanged."""
        return ReceiptCache(self.config.state)

    @property
    def proofs(self) -> Proofs:
        """What was proven of the results."""
        return Proofs(self.config.state)

    @cached_property
    def _targets(self) -> Sequence[Wanted]:
        return wanted_targets(self.tables, self.profile)

    def targets(self, select: Selection = EVERYTHING) -> list[Wanted]:
        """Every result that the selected rows ask for."""
        return [wanted for wanted in self._targets if select.takes(wanted)]

    def path(self, wanted: Wanted) -> ResultPath:
        """Where a result lies or will lie."""
        return self.config.locate_result(wanted.target.kind, wanted.target.path)

    def results(self, select: Selection = EVERYTHING) -> list[ResultPath]:
        """Paths of the selected results that exist."""
        paths = (self.path(wanted) for wanted in self.targets(select))
        return [path for path in paths if path.exists()]

    def build(self, wanted: Wanted) -> Planned:
        """The plan of a result, from its rows and the headers of its raw files."""
        return build_plan(wanted, self.config)

    def standing(self, wanted: Wanted, *, outdated: bool = False) -> Standing:
        """How a result stands against its rows and raw files; asked once a result."""
        key = (wanted.target.path, bool(wanted.blocked), outdated)
        if key not in self._standings:
            self._standings[key] = find_standing(wanted, self.config, self.digests, self.receipts, outdated)
        return self._standings[key]

    def note_written(self, wanted: Wanted, *, is_whole: bool) -> None:
        """Hear that a result was written, or could not be; one with all its rows is current and not asked again."""
        for is_blocked, outdated in product((False, True), repeat=2):  # all others need not be looked through
            self._standings.pop((wanted.target.path, is_blocked, outdated), None)
        if is_whole:
            self._standings[wanted.target.path, bool(wanted.blocked), False] = Standing(State.CURRENT)

    def current(self) -> list[Wanted]:
        """The targets whose results are what the tables and raw files say now."""
        good = (State.CURRENT, State.OUTDATED)
        usable = (wanted.usable(keep_going=True) for wanted in self.targets())
        return [wanted for wanted in usable if wanted and self.standing(wanted).state in good]

    def reload_digests(self) -> None:
        """Worker processes have added to those on the disk: read them again."""
        self.__dict__.pop("digests", None)

    def save_digests(self) -> None:
        """Keep digests and receipts for the next run; a dataset that may only be read keeps none."""
        if self.config.state.is_dir():
            with suppress(OSError):
                self.digests.save()
                self.receipts.save()

    def table_findings(self, select: Selection, targets: Iterable[Wanted]) -> list[Finding]:
        """Findings on tables: all of them, or those that touch the selected targets; and unknown names."""
        targets = list(targets)
        named = list_name_findings(targets, self.profile)
        if not select:
            return [*self.config.findings, *list_broken_plugins(), *self.tables.findings, *named]
        rows = {(row.table, row.key) for wanted in targets for row in wanted.records()}
        rows |= {row for wanted in targets for row in wanted.blocked}
        found = [f for f in self.tables.findings if not f.location.key or (f.location.table, f.location.key) in rows]
        return self.unknown_names(select) + found + named

    def unknown_names(self, select: Selection) -> list[Finding]:
        """Names in a selection that are in no table."""
        keys = {record.key for table in self.tables.records.values() for record in table.values()}
        keys |= {key for _, key in self.tables.blocked}
        wrong = [name for name in (*select.sessions, *select.objects) if name not in keys]
        wrong += [lab for lab in select.labs if lab not in self.profile.labs]
        return [finding("dataset.selection", f"{name} is not in the tables", value=name) for name in wrong]

    def rows_without_target(self, select: Selection, state: str) -> list[Outcome]:
        """Rows that ask for a result of their own and are not understood, each as an outcome in `state`."""
        rows = [] if select else list_unplaced_rows(self.tables, self.profile)
        return [Outcome(f"{table} {key}", state, cause.message) for table, key, cause in rows]

    def results_without_row(self, select: Selection) -> list[Finding]:
        """Results that no row asks for; none are named while a table or a key cannot be read."""
        if select or self.tables.broken or any(self.tables.unkeyed.values()):
            return []
        targets = self.targets()
        excused = {key for _, key, _ in list_unplaced_rows(self.tables, self.profile)}
        if self.profile.names == BY_DANDI:  # a row that is not understood may be of another modality
            excused |= {wanted.record.key for wanted in targets if wanted.blocked}
        return list(list_stray_results(self.config.list_outputs(), targets, excused))

    def log(self, report: Report) -> Report:
        """Add a run to ``.neuropress/log.jsonl``: the only place where times are kept."""
        outcomes = [outcome.to_json() for outcome in report.outcomes]
        entry = {"time": time(), "verb": report.verb, "exit": report.exit_status, "outcomes": outcomes}
        path = self.config.state / "log.jsonl"
        if self.config.state.is_symlink() or path.is_symlink():  # what it leads to is not ours to write
            return report
        with suppress(OSError):  # a dataset that may only be read can be checked and verified all the same
            path.parent.mkdir(exist_ok=True)
            with path.open("a", encoding="utf-8", newline="\n") as log:
                log.write(json.dumps(entry) + "\n")
        return report
