"""What people and programs see: words on a terminal, or one JSON object a line."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..model.finding import Finding, Severity, has_errors
from ..model.progress import no_progress
from ..model.report import Outcome, Report
from .progress import ProgressLine

if TYPE_CHECKING:  # a third of a second, before which no line of progress could come
    from ..verbs.changed import RepositoryPlace
    from ..verbs.coverage import Coverage, Place
    from ..verbs.explain import Explanation

MOST_LISTED = 10
"""Warnings of one kind that are listed for people; errors are listed all."""
REPEATING = ("convert", "plan")
"""Verbs that meet the findings of `check` once more."""
COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}


class Output:
    """Standard output of one command; progress goes to standard error and only to a terminal."""

    def __init__(self, verb: str, *, as_json: bool, quiet: bool = False, verbose: bool = False) -> None:
        self._verb = verb
        self._least = Severity.ERROR if quiet else Severity.INFO if verbose else Severity.WARNING
        self._quiet = quiet
        self._json = as_json
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._line: ProgressLine | None = None
        self._shown: set[Finding] = set()

    def say(self, text: str = "") -> None:
        """A line for people; nothing in JSON mode, nor where only errors are wanted."""
        if not (self._json or self._quiet):
            self.write(text)

    def write(self, line: str) -> None:
        """A line for people, folded where it is wider than their terminal; a pipe gets it whole, to be searched."""
        if not sys.stdout.isatty() or len(line) < (width := shutil.get_terminal_size().columns):
            print(line)
            return
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        print(textwrap.fill(line, width - 1, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))

    def record(self, data: Any) -> None:
        """A line for programs."""
        print(json.dumps(data, ensure_ascii=False, sort_keys=True))

    def finding(self, found: Finding) -> None:
        """One finding: where, what, and what to do."""
        if self._json:
            self.record(found.to_json())
            return
        label = self._paint(f"{found.severity:7}", COLOURS[found.severity])
        where = str(found.location)
        self.write(f"{label} {found.id}{': ' + where if where else ''}")
        self.write(f"        {found.message}")
        if found.hint and found.severity is not Severity.INFO:
            self.write(f"        -> {found.hint}")

    def report(self, report: Report) -> int:
        """Findings, outcomes and a summary; returns the exit status.

        For people, findings of one kind stand together, the gravest first; what an earlier report of the same command
        showed is not shown again, and warnings that are `check`'s are counted.
        """
        self.close()
        if self._json:
            for found in report.findings:
                self.finding(found)
        else:
            self._show_findings([found for found in report.findings if found not in self._shown], report.verb)
        self._shown.update(report.findings)
        for outcome in report.outcomes:
            if not self._quiet or has_errors(outcome.findings):
                self._outcome(outcome)
        for line in report.note.splitlines():
            self.say(line)
        self.say(report.summary())
        return report.exit_status

    def _show_findings(self, findings: Sequence[Finding], verb: str) -> None:
        order = list(Severity)
        shown = [found for found in findings if order.index(found.severity) <= order.index(self._least)]
        repeated = [found for found in shown if verb in REPEATING and _is_of_check(found)]
        groups: dict[tuple[Severity, str], list[Finding]] = {}
        for found in shown:
            if found not in repeated:
                groups.setdefault((found.severity, found.id), []).append(found)
        for (severity, _), group in sorted(groups.items(), key=lambda item: _rank_group(*item)):
            if len(group) == 1:
                self.finding(group[0])
            else:
                self._show_group(severity, group)
        if repeated:
            kinds = len({found.id for found in repeated})
            self.write(
                f"{_count(len(repeated), 'warning')} of {_count(kinds, 'kind')} on rows: neuropress check shows them"
            )

    def _show_group(self, severity: Severity, group: Sequence[Finding]) -> None:
        """Findings of one kind: how many, each in a line, and what to do, once where that is the same for all."""
        label = self._paint(f"{severity:7}", COLOURS[severity])
        self.write(f"{label} {group[0].id}: {len(group)} findings")
        hints = {found.hint for found in group}
        listed = group if severity is Severity.ERROR else group[:MOST_LISTED]
        for found in listed:
            where = str(found.location)
            self.write(f"        {where}{': ' if where else ''}{found.message}")
            if len(hints) > 1 and found.hint:
                self.write(f"          -> {found.hint}")
        if len(listed) < len(group):
            self.write(f"        and {len(group) - len(listed)} more; --json lists all")
        if len(hints) == 1 and group[0].hint:
            self.write(f"        -> {group[0].hint}")

    def formatted(self, placed: Sequence[tuple[Finding, RepositoryPlace | None]], form: str) -> None:
        """Findings only, for another program; `placed` are they with their places in the repository."""
        from . import formats

        self.close()
        if form == "github":
            sys.stdout.write(formats.github(placed))
            return
        writers = {"jsonl": formats.jsonl, "junit": formats.junit}
        found = [place.name_file(one) if place else one for one, place in placed]
        sys.stdout.write(writers[form](found))

    def _outcome(self, outcome: Outcome) -> None:
        if not self._json:
            self.write(str(outcome))
        elif self._verb == "plan" and "plan" in outcome.facts:
            self.record(outcome.facts["plan"])
        else:
            self.record(outcome.to_json())

    def status(self, report: Report) -> int:
        """One line a target: checked, converted, verified, released."""
        if self._json:
            return self.report(report)
        self._show_findings(report.findings, report.verb)
        widths = {"checked": 8, "converted": 10, "verified": 9, "independent": 12, "validated": 10, "released": 9}
        if any(outcome.facts["dandi"] for outcome in report.outcomes):
            widths["dandi"] = 2 + max(len(outcome.facts["dandi"] or "") for outcome in report.outcomes)
        self.write("".join(f"{name:{width}}" for name, width in widths.items()) + "  target")
        for outcome in report.outcomes:
            facts = outcome.facts
            texts = {name: "yes" if facts[name] is True else facts[name] or "-" for name in widths}
            marks = "".join(f"{texts[name]:{width}}" for name, width in widths.items())
            self.write(f"{marks}  {outcome.target}  {outcome.done}{': ' + outcome.why if outcome.why else ''}")
        for line in report.note.splitlines():
            self.write(line)
        return report.exit_status

    def files(self, report: Report) -> int:
        """One line for each raw file that somebody should know of; those that are read are counted."""
        from ..verbs.inventory import READ

        if self._json:
            return self.report(report)
        for outcome in report.outcomes:
            if outcome.done != READ:
                self.write(str(outcome))
        self.write(report.summary())
        return report.exit_status

    def explanations(self, file: str, explanations: Sequence[Explanation]) -> None:
        """What a result as a whole is made of."""
        if self._json:
            for explanation in explanations:
                self.explanation(explanation)
            return
        from .summary import summarize_explanations

        for line in summarize_explanations(file, explanations):
            self.write(line)

    def explanation(self, explanation: Explanation) -> None:
        """Why a value is what it is."""
        if self._json:
            self.record(explanation.to_json())
        else:
            for line in explanation.lines():
                self.write(line)

    def places(self, cell: str, places: Sequence[Place]) -> int:
        """Where a cell went."""
        for place in places:
            if self._json:
                self.record({"cell": cell, "file": place.file, "field": place.field, "rule": place.rule})
            else:
                self.write(f"{place.file}  {place.field}{'  by rule ' + place.rule if place.rule else ''}")
        self.say(f"{cell}: {len(places)} places" if places else f"{cell} is private and left nothing behind")
        return 0

    def coverage(self, covered: Coverage) -> None:
        """The matrix, one line a column."""
        from ..verbs.coverage import CLASSES
        from .summary import format_coverage

        if self._json:
            for column, counts in covered.counts.items():
                self.record({"column": column, **{name: counts.get(name, 0) for name in CLASSES}})
            self.record({"cells": covered.cells, **covered.totals()})
            self.record({"columns": covered.best_classes()})
            return
        for line in format_coverage(covered):
            self.write(line)

    def progress(self, verb: str) -> Callable[[int], None]:
        """A line on standard error that says how far the work is, if that is a terminal."""
        if self._quiet or not sys.stderr.isatty():
            return no_progress
        self._line = self._line or ProgressLine()
        self._line.begin_item(verb, "", 1, 1)
        return self._line

    def close(self) -> None:
        """Take the line of progress away, until there is news."""
        if self._line is not None:
            self._line.pause()

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour else text


def _is_of_check(found: Finding) -> bool:
    """Whether it is a warning on a row of a table, which `check` shows as well."""
    of_records = found.id.startswith("records.")
    has_line = bool(found.location.line)  # one file without a dataset has rows that stand in no table
    return found.severity is Severity.WARNING and has_line and not of_records


def _rank_group(kind: tuple[Severity, str], group: Sequence[Finding]) -> tuple[int, int]:
    """The gravest first, and of equally grave kinds the one with most findings."""
    return list(Severity).index(kind[0]), -len(group)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"
