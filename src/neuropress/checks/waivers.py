"""``waivers.csv`` of a dataset: which waivers hold, and what is wrong with the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from ..model.budget import LINES_BYTES
from ..model.finding import Finding, Problem, finding, is_described
from ..model.profile import Profile, TableSpec
from ..model.source import check_key
from ..model.waiver import Waiver
from ..results import kind_named
from ..tables.delimited import read_csv
from ..tables.keys import is_date

FILE = "waivers.csv"
COLUMNS = ("finding", "row", "reason", "person", "expiry")
_FOREIGN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}:\S{1,200}")
"""Id of another validator's finding: ``nwbinspector:check_subject_age``."""
_UNWAIVED = ("verify.", "result.", "file.")
_SPEC = TableSpec("waivers", "finding", "", (), COLUMNS)


def load_waivers(folder: Path, profile: Profile, today: date) -> tuple[tuple[Waiver, ...], list[Finding]]:
    """The waivers of a dataset that hold `today`, and findings on those that do not.

    Parameters
    ----------
    folder
        The dataset folder; without a ``waivers.csv`` in it there are no waivers.
    """
    raw = read_csv(folder / FILE, _SPEC, most=LINES_BYTES)
    if raw.findings or not raw.present:
        return (), list(raw.findings)
    position = {column: raw.columns.index(column) for column in COLUMNS}
    held: list[Waiver] = []
    told: list[Finding] = []
    for row in raw.rows:
        texts = {column: row.cells[i].strip() if i < len(row.cells) else "" for column, i in position.items()}
        waiver = Waiver(**texts, line=row.line)
        wrong = _fault(waiver, profile, today)
        if wrong:
            told.append(wrong)
        else:
            held.append(waiver)
    return tuple(held), told


def _fault(waiver: Waiver, profile: Profile, today: date) -> Finding | None:
    said = f"{FILE} line {waiver.line}: {waiver.finding} on {waiver.row}"
    foreign = waiver.result and _FOREIGN.fullmatch(waiver.finding)
    if not is_described(waiver.finding) and not foreign:
        return _tell("waiver.invalid", waiver, "finding", f"{said}: there is no finding {waiver.finding!r}")
    if waiver.result and waiver.finding.startswith(_UNWAIVED):
        message = f"{said}: nobody can answer for a missing proof; delete the result and convert it again"
        return _tell("waiver.invalid", waiver, "finding", message)
    if waiver.result:
        try:
            check_key(waiver.row)
        except Problem as bad:
            return _tell("waiver.invalid", waiver, "row", f"{said}: {bad.finding.message}")
        if not kind_named(waiver.row):
            return _tell("waiver.invalid", waiver, "row", f"{said}: {waiver.row!r} is called like no result")
    elif waiver.row.split(".")[0] not in profile.tables:
        message = f"{said}: {waiver.row!r} neither begins with a table's name nor is the path of a result"
        return _tell("waiver.invalid", waiver, "row", message)
    if not is_date(waiver.expiry):
        return _tell("waiver.invalid", waiver, "expiry", f"{said}: {waiver.expiry!r} is no day as YYYYMMDD")
    for column in ("person", "reason"):
        if not getattr(waiver, column):
            return _tell("waiver.unsigned", waiver, column, f"{said}: {column} is blank, so nothing is waived")
    if waiver.expiry < f"{today:%Y%m%d}":
        message = f"{said}: expired on {waiver.expiry} ({waiver.person}: {waiver.reason})"
        return _tell("waiver.expired", waiver, "expiry", message)
    return None


def unmatched(waivers: Sequence[Waiver], findings: Iterable[Finding]) -> list[Finding]:
    """A finding for each waiver that nothing is waived by any more; `check` knows nothing of those on results."""
    by_id: dict[str, list[Finding]] = {}
    for found in findings:
        by_id.setdefault(found.id, []).append(found)
    return [
        _tell("waiver.unmatched", w, "row", f"{FILE} line {w.line}: there is no finding {w.finding} on {w.row}")
        for w in waivers
        if not w.result and not any(w.covers(found) for found in by_id.get(w.finding, ()))
    ]


def _tell(id: str, waiver: Waiver, column: str, message: str) -> Finding:
    value = getattr(waiver, column) or None
    return finding(id, message, table="waivers", line=waiver.line, column=column, value=value, file=FILE)
