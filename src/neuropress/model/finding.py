"""What neuropress tells people: one record for our checks and foreign validators alike."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from .record import RowPlace


class Severity(StrEnum):
    """ERROR withholds the target; WARNING is shown; INFO is only recorded."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a finding points to; only what is known is set.

    `source` is the file that the row stands in, where a table is kept in several; `file` is what is wrong itself.
    """

    table: str | None = None
    line: int | None = None
    key: str | None = None
    column: str | None = None
    value: str | None = None
    expected: str | None = None
    file: str | None = None
    array: str | None = None
    index: tuple[int, ...] | None = None
    source: str | None = None

    @property
    def row_place(self) -> RowPlace:
        """The row, whatever its key; of what is on no row, the table alone or nothing."""
        return self.table or "", self.source or "", self.line or 0

    def __str__(self) -> str:
        place = self.file or ""
        if self.table:
            row = f" line {self.line}" if self.line else ""
            key = f" {self.key}" if self.key else ""
            column = f", column {self.column}" if self.column else ""
            files = ", ".join(dict.fromkeys(name for name in (self.source, self.file) if name))
            place = f"table {self.table}{row}{key}{column}" + (f" ({files})" if files else "")
        if self.array:
            place += f" {self.array}"
        if self.index is not None:
            place += f" at {list(self.index)}"
        return place.strip()


@dataclass(frozen=True, slots=True, repr=False)
class Finding:
    """One thing somebody should know.

    `id` is a name from the catalogue (``findings/*.toml``), stable over versions, or
    ``<validator>:<check>`` for a foreign validator's finding. `origin` says who found it.

    Examples
    --------
    >>> from neuropress.model.finding import finding
    >>> found = finding("cell.type", "weight: '24 g' is no number", table="mouse", line=2, column="weight")
    >>> print(found)
    error cell.type: table mouse line 2, column weight: weight: '24 g' is no number
    >>> found.severity, found.location.line
    (<Severity.ERROR: 'error'>, 2)
    """

    id: str
    origin: str
    severity: Severity
    message: str
    hint: str = ""
    location: Location = field(default_factory=Location)

    def __repr__(self) -> str:
        return f"<Finding {self}>"

    def __str__(self) -> str:
        place = str(self.location)
        return f"{self.severity} {self.id}{': ' + place if place else ''}: {self.message}"

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


ENTRY = ("severity", "meaning", "example", "fix")
"""Entry of each id."""
_UNDESCRIBED = {
    "severity": Severity.ERROR.value,
    "meaning": "A plug-in found something that it does not describe.",
    "example": "",
    "fix": "This is a plug-in's finding that is not described; ask the author of the plug-in.",
}
_PLUGINS: dict[str, Mapping[str, str]] = {}


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Every finding id of ours: ``severity``, ``meaning``, ``example``, ``fix``."""
    entries: dict[str, Mapping[str, str]] = {}
    for page in files("neuropress.model").joinpath("findings").iterdir():
        if page.name.endswith(".toml"):
            entries.update(tomllib.loads(page.read_text("utf-8")))
    return entries


def describe_findings(entries: Mapping[str, Any]) -> None:
    """Add what a plug-in's own finding ids mean.

    Raises
    ------
    ValueError
        An entry is not whole, or neuropress or another plug-in gives the id already.
    """
    for id, entry in entries.items():
        whole = isinstance(entry, dict) and set(entry) == set(ENTRY)
        if not whole or not all(isinstance(text, str) for text in entry.values()):
            raise ValueError(f"{id!r} must have the texts {', '.join(ENTRY)}, and nothing else")
        if entry["severity"] not in list(Severity):
            raise ValueError(f"{id!r} has the severity {entry['severity']!r}; known: {', '.join(Severity)}")
        if id in catalogue() or _PLUGINS.get(id, entry) != entry:
            raise ValueError(f"the finding id {id!r} is taken")
    _PLUGINS.update(entries)


def is_described(id: str) -> bool:
    """Whether an id is ours, or a plug-in that is in use says what it means."""
    return id in catalogue() or id in _PLUGINS


def describe(id: str) -> Mapping[str, str]:
    """The entry of an id (see `ENTRY`), also of one that nobody describes."""
    return catalogue().get(id) or _PLUGINS.get(id, _UNDESCRIBED)


def finding(id: str, message: str, *, hint: str = "", severity: Severity | None = None, **where: Any) -> Finding:
    """Make a finding.

    The severity and, where none is given, the hint come from the catalogue, or from what a plug-in says of its
    own ids (`describe_findings`); an id that nobody describes is shown as it is. Keyword arguments beyond those
    are parts of the `Location`.
    """
    entry = describe(id)
    return Finding(
        id=id,
        origin="neuropress",
        severity=severity or Severity(entry["severity"]),
        message=message,
        hint=hint or entry["fix"],
        location=Location(**where),
    )


class Problem(Exception):
    """Bad input, carried as a finding: raised where work cannot go on, caught per target.

    Examples
    --------
    >>> import neuropress
    >>> try:
    ...     neuropress.open("nowhere")
    ... except neuropress.Problem as bad:
    ...     bad.finding.id
    'dataset.none'
    """

    def __init__(self, found: Finding) -> None:
        super().__init__(found.message)
        self.finding = found

    def __reduce__(self) -> tuple[type[Problem], tuple[Finding]]:
        """As a worker process sends it: by its finding, not by its message."""
        return type(self), (self.finding,)


def problem(id: str, message: str, *, hint: str = "", **where: Any) -> Problem:
    """Shorthand for ``Problem(finding(...))``."""
    return Problem(finding(id, message, hint=hint, **where))


class Unusable(OSError):
    """A place as a whole refuses (no such bucket, a refused key), so no row or file is at fault; it has a finding."""

    def __init__(self, found: Finding) -> None:
        super().__init__(found.message)
        self.finding = found

    def __reduce__(self) -> tuple[type[Unusable], tuple[Finding]]:
        return type(self), (self.finding,)


def machine_finding(error: OSError, message: str, **where: Any) -> Finding:
    """What an `Unusable` place says; of every other error that the machine or the network failed."""
    if isinstance(error, Unusable):
        return error.finding.at(**where)
    return finding("machine.failed", message, **where)


class MappingError(ValueError):
    """A mapping file names something that does not exist: tells file, rule and the known names."""


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any finding is of severity error."""
    return any(f.severity is Severity.ERROR for f in findings)
