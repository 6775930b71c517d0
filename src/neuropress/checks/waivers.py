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
from ..results import find_kind_by_suffix
from ..tables.delimited import read_csv
from ..tables.keys import is_date
from ..tables.raw import RawRow

FILE = "waivers.csv"
COLUMNS = ("finding", "row", "reason", "person", "expiry")
_FOREIGN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}:\S{1,200}")
"""Id of another validator's finding: ``nwbinspector:check_subject_age``."""
_UNWAIVED = ("verify.", "result.", "file.")
_SPEC = TableSpec("waivers", "finding", "", COLUMNS)


def load_waivers(folder: Path, profile: Profile, today: date) -> tuple[tuple[Waiver, ...], list[Finding]]:
    """The waivers of a dataset that hold `today`, and findings on those that do not.

    Parameters
    ----------
    folder
        The dataset folder; without a ``waivers.csv`` in it there are no waivers.
    """
    raw = read_csv(folder / FILE, _SPEC, max_bytes=LINES_BYTES)
    if raw.findings or not raw.present:
        return (), list(raw.findings)
    position = {column: raw.columns.index(column) for column in COLUMNS}
    held: list[Waiver] = []
    findings: list[Finding] = []
    for row in raw.rows:
        waiver = Waiver(**{column: _get_cell(row, i) for column, i in position.items()}, line=row.line)
        invalid = _check_waiver(waiver, profile, today)
        if invalid:
            findings.append(invalid)
        else:
            held.append(waiver)
    return tuple(held), findings


def _get_cell(row: RawRow, position: int) -> str:
    return row.cells[position].strip() if position < len(row.cells) else ""


def _check_waiver(waiver: Waiver, profile: Profile, today: date) -> Finding | None:
    """Why a waiver does not hold; None when it does."""
    is_foreign = waiver.result and _FOREIGN.fullmatch(waiver.finding)
    if not is_described(waiver.finding) and not is_foreign:
        return _make_waiver_finding("waiver.invalid", waiver, "finding", f"there is no finding {waiver.finding!r}")
    if waiver.result and waiver.finding.startswith(_UNWAIVED):
        message = "nobody can answer for a missing proof; delete the result and convert it again"
        return _make_waiver_finding("waiver.invalid", waiver, "finding", message)
    if waiver.result:
        try:
            check_key(waiver.row)
        except Problem as unsafe:
            return _make_waiver_finding("waiver.invalid", waiver, "row", unsafe.finding.message)
        if not find_kind_by_suffix(waiver.row):
            return _make_waiver_finding("waiver.invalid", waiver, "row", f"{waiver.row!r} is called like no result")
    elif waiver.row.split(".")[0] not in profile.tables:
        message = f"{waiver.row!r} neither begins with a table's name nor is the path of a result"
        return _make_waiver_finding("waiver.invalid", waiver, "row", message)
    if not is_date(waiver.expiry):
        return _make_waiver_finding("waiver.invalid", waiver, "expiry", f"{waiver.expiry!r} is no day as YYYYMMDD")
    for column in ("person", "reason"):
        if not getattr(waiver, column):
            return _make_waiver_finding("waiver.unsigned", waiver, column, f"{column} is blank, so nothing is waived")
    if waiver.expiry < f"{today:%Y%m%d}":
        message = f"expired on {waiver.expiry} ({waiver.person}: {waiver.reason})"
        return _make_waiver_finding("waiver.expired", waiver, "expiry", message)
    return None


def find_unmatched_waivers(waivers: Sequence[Waiver], findings: Iterable[Finding]) -> list[Finding]:
    """A finding for each waiver that nothing is waived by any more; `check` knows nothing of those on results."""
    by_id: dict[str, list[Finding]] = {}
    for reported in findings:
        by_id.setdefault(reported.id, []).append(reported)
    unmatched = []
    for waiver in waivers:
        if waiver.result or any(waiver.covers(reported) for reported in by_id.get(waiver.finding, ())):
            continue
        message = f"{FILE} line {waiver.line}: there is no finding {waiver.finding} on {waiver.row}"
        unmatched.append(_make_finding("waiver.unmatched", waiver, "row", message))
    return unmatched


def _make_waiver_finding(id: str, waiver: Waiver, column: str, problem: str) -> Finding:
    """A finding whose message begins with what the waiver is about."""
    message = f"{FILE} line {waiver.line}: {waiver.finding} on {waiver.row}: {problem}"
    return _make_finding(id, waiver, column, message)


def _make_finding(id: str, waiver: Waiver, column: str, message: str) -> Finding:
    value = getattr(waiver, column) or None
    return finding(id, message, table="waivers", line=waiver.line, column=column, value=value, file=FILE)
