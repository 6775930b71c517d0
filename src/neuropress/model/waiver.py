"""Waivers: errors that a named person takes responsibility for, until a day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .finding import Finding, Location, Severity


@dataclass(frozen=True, slots=True)
class Waiver:
    """One line of ``waivers.csv``.

    Attributes
    ----------
    finding
        Id of the finding.
    row
        ``table``, ``table.key`` or ``table.key.column``; or a result by its path below ``output/``.
    expiry
        Last day on which it holds, ``YYYYMMDD``.
    line
        Where it stands in its file.
    """

    finding: str
    row: str
    reason: str
    person: str
    expiry: str
    line: int

    @property
    def result(self) -> bool:
        """Whether it is about a result and not about a row."""
        return is_result(self.row)

    def covers(self, found: Finding) -> bool:
        """Whether it is about this finding."""
        where = found.location
        if self.result:
            return self.finding == found.id and self.row == (where.file or "").rstrip("/")
        return self.finding == found.id and self.row in (
            where.table if not where.key else None,
            f"{where.table}.{where.key}",
            f"{where.table}.{where.key}.{where.column}",
        )

    def __str__(self) -> str:
        return f"waived by {self.person} until {self.expiry}: {self.reason}"


def is_result(row: str) -> bool:
    """Whether it is written like the path of a result: ``yuste/20250620/session/nwb/RY_S_0001.nwb``."""
    return "/" in row


def waive(found: Finding, waivers: Sequence[Waiver]) -> Finding:
    """The finding as a warning that names its waiver, if it is an error that one covers."""
    if found.severity is Severity.ERROR:
        for waiver in waivers:
            if waiver.covers(found):
                return replace(found, severity=Severity.WARNING, message=f"{found.message} ({waiver})")
    return found


def waive_result(findings: Iterable[Finding], name: str, waivers: Sequence[Waiver]) -> list[Finding]:
    """`waive` for findings on a result, by its path below ``output/``; where each is stays as it was."""
    return [
        replace(waive(replace(found, location=Location(file=name)), waivers), location=found.location)
        for found in findings
    ]


def waive_all(findings: Iterable[Finding], waivers: Sequence[Waiver]) -> list[Finding]:
    """`waive` for many."""
    return [waive(found, waivers) for found in findings]
