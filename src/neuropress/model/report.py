"""What a verb did: outcomes per target, findings, and the exit status that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .finding import Finding, Severity

OK, FINDINGS, USAGE, MACHINE = 0, 1, 2, 3
WRONG_USAGE = {"release.number", "storage.url", "storage.endpoint"}
"""Findings on what was asked for, not on data."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one target (or file, or row): `done` in a word or two, `why` in a sentence."""

    target: str
    done: str
    why: str = ""
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain object; findings are listed apart."""
        return {"target": self.target, "done": self.done, "why": self.why, **self.facts}


@dataclass(frozen=True, slots=True)
class Report:
    """All that a verb has to say.

    Attributes
    ----------
    verb
        ``check``, ``convert``, ...
    outcomes
        One per target.
    findings
        All of them, those of the outcomes included, each once.
    """

    verb: str
    outcomes: tuple[Outcome, ...] = ()
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, verb: str, outcomes: list[Outcome], findings: list[Finding]) -> Report:
        """Collect outcomes and findings; a finding told twice is one."""
        everything = [*findings, *(f for outcome in outcomes for f in outcome.findings)]
        return cls(verb, tuple(outcomes), tuple(dict.fromkeys(everything)))

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(f.severity is severity for f in self.findings)

    @property
    def exit_status(self) -> int:
        """0 fine, 1 findings of severity error, 2 wrong usage, 3 the machine or the network failed."""
        if any(f.id in WRONG_USAGE for f in self.findings):
            return USAGE
        if any(f.id == "machine.failed" for f in self.findings):
            return MACHINE
        return FINDINGS if self.count(Severity.ERROR) else OK

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.exit_status == OK
