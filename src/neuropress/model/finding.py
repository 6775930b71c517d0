"""What neuropress tells people: one record for our checks and foreign validators alike."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any


class Severity(StrEnum):
    """ERROR withholds the target; WARNING is told; INFO is only recorded."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a finding points to; only what is known is set."""

    table: str | None = None
    line: int | None = None
    key: str | None = None
    column: str | None = None
    value: str | None = None
    expected: str | None = None
    file: str | None = None
    array: str | None = None
    index: tuple[int, ...] | None = None

    def __str__(self) -> str:
        place = self.file or ""
        if self.table:
            row = f" line {self.line}" if self.line else ""
            key = f" {self.key}" if self.key else ""
            column = f", column {self.column}" if self.column else ""
            place = f"table {self.table}{row}{key}{column}" + (f" ({self.file})" if self.file else "")
        if self.array:
            place += f" {self.array}"
        if self.index is not None:
            place += f" at {list(self.index)}"
        return place.strip()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing somebody should know.

    `id` is a name from the catalogue (``findings/*.toml``), stable over versions, or
    ``<validator>:<check>`` for a foreign validator's finding. `origin` says who found it.
    """

    id: str
    origin: str
    severity: Severity
    message: str
    hint: str = ""
    location: Location = field(default_factory=Location)

    def at(self, **where: Any) -> Finding:
        """The same finding with parts of its location filled in where they were unset."""
        unset = {k: v for k, v in where.items() if getattr(self.location, k) is None}
        return replace(self, location=replace(self.location, **unset))

    def to_json(self) -> dict[str, Any]:
        """A plain object; unset parts of the location are left out."""
        location = {k: v for k, v in asdict(self.location).items() if v is not None}
        return {
            "id": self.id,
            "origin": self.origin,
            "severity": str(self.severity),
            "message": self.message,
            "hint": self.hint,
            "location": location,
        }


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Every finding id of ours: ``severity``, ``meaning``, ``example``, ``fix``."""
    entries: dict[str, Mapping[str, str]] = {}
    for page in files("neuropress.model").joinpath("findings").iterdir():
        if page.name.endswith(".toml"):
            entries.update(tomllib.loads(page.read_text("utf-8")))
    return entries


def finding(id: str, message: str, *, hint: str = "", severity: Severity | None = None, **where: Any) -> Finding:
    """Make a finding whose id stands in the catalogue.

    The severity and, where none is given, the hint come from the catalogue. Keyword
    arguments beyond those are parts of the `Location`.

    Raises
    ------
    KeyError
        The id is not in the catalogue: that is a programming error.
    """
    entry = catalogue()[id]
    return Finding(
        id=id,
        origin="neuropress",
        severity=severity or Severity(entry["severity"]),
        message=message,
        hint=hint or entry["fix"],
        location=Location(**where),
    )


class Problem(Exception):
    """Bad input, carried as a finding: raised where work cannot go on, caught per target."""

    def __init__(self, found: Finding) -> None:
        super().__init__(found.message)
        self.finding = found

    def __reduce__(self) -> tuple[type[Problem], tuple[Finding]]:
        """As a worker process sends it: by its finding, not by its message."""
        return type(self), (self.finding,)


def problem(id: str, message: str, *, hint: str = "", **where: Any) -> Problem:
    """Shorthand for ``Problem(finding(...))``."""
    return Problem(finding(id, message, hint=hint, **where))


class MappingError(ValueError):
    """A mapping file names something that does not exist: tells file, rule and the known names."""


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any finding is of severity error."""
    return any(f.severity is Severity.ERROR for f in findings)
