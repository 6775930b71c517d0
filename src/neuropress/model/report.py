"""What a verb did: outcomes per target, findings, and the exit status that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
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

    def __str__(self) -> str:
        return f"{self.done:18} {self.target}{'  (' + self.why + ')' if self.why else ''}"


@dataclass(frozen=True, slots=True, repr=False)
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
    steps
        Reports of the verbs that this one is made of: `run` checks, converts, verifies and validates.
    note
        What people should know besides, and another verb tells.

    Examples
    --------
    >>> from neuropress import Report
    >>> report = Report("check")
    >>> report
    <Report of check: nothing to do>
    >>> report.ok, report.exit_status
    (True, 0)
    """

    verb: str
    outcomes: tuple[Outcome, ...] = ()
    findings: tuple[Finding, ...] = ()
    steps: tuple[Report, ...] = ()
    note: str = ""

    @classmethod
    def of(cls, verb: str, outcomes: Sequence[Outcome], findings: Sequence[Finding]) -> Report:
        """Collect outcomes and findings; a finding that stands twice is one."""
        everything = [*findings, *(f for outcome in outcomes for f in outcome.findings)]
        return cls(verb, tuple(outcomes), tuple(dict.fromkeys(everything)))

    @classmethod
    def of_steps(cls, verb: str, steps: Sequence[Report]) -> Report:
        """One report of several: what each target came to in the last step that names it, all findings once."""
        last = {outcome.target: outcome for step in steps for outcome in step.outcomes}
        findings = dict.fromkeys(found for step in steps for found in step.findings)
        return cls(verb, tuple(last.values()), tuple(findings), tuple(steps))

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(f.severity is severity for f in self.findings)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings of severity error."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def exit_status(self) -> int:
        """0 fine, 1 findings of severity error, 2 wrong usage, 3 the machine or the network failed."""
        if any(f.id in WRONG_USAGE for f in self.findings):
            return USAGE
        if any(f.id == "machine.failed" for f in self.findings):
            return MACHINE
        return FINDINGS if self.errors else OK

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.exit_status == OK

    def __repr__(self) -> str:
        return f"<Report of {self.summary()}>"

    def __str__(self) -> str:
        lines = [str(found) for found in self.findings if found.severity is not Severity.INFO]
        return "\n".join([*lines, *map(str, self.outcomes), self.summary()])

    def _repr_html_(self) -> str:
        """The same as a table, for a notebook."""
        rows = [(one.done, one.target, one.why) for one in self.outcomes]
        found = [(str(f.severity), f"{f.id} {f.location}", f.message) for f in self.findings if f.severity != "info"]
        body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in (*found, *rows))
        return f"<p><b>{escape(self.summary())}</b></p><table>{body}</table>"

    def summary(self) -> str:
        """The verb, what became of its targets, and how many findings of each severity."""
        states = Counter(outcome.done for outcome in self.outcomes)
        parts = [f"{number} {state}" for state, number in sorted(states.items())]
        for severity in Severity:
            if number := self.count(severity):
                parts.append(f"{number} {severity}{'s' if number != 1 else ''}")
        return f"{self.verb}: {', '.join(parts) or 'nothing to do'}"
