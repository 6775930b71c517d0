"""What people and programs see: words on a terminal, or one JSON object a line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..model.finding import Finding, Severity
from ..model.progress import no_progress
from ..model.report import Outcome, Report
from ..results import KINDS
from ..verbs.changed import Place
from ..verbs.coverage import CLASSES, Coverage
from ..verbs.coverage import Place as CellPlace
from ..verbs.explain import Explanation
from . import formats
from .progress import ProgressLine

COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}


class Output:
    """Standard output of one command; progress goes to standard error and only to a terminal."""

    def __init__(self, verb: str, *, as_json: bool) -> None:
        self._verb = verb
        self._json = as_json
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._line: ProgressLine | None = None
        self._shown: set[Finding] = set()

    def say(self, text: str = "") -> None:
        """A line for people; nothing in JSON mode."""
        if not self._json:
            print(text)

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
        print(f"{label} {found.id}{': ' + where if where else ''}")
        print(f"        {found.message}")
        if found.hint and found.severity is not Severity.INFO:
            print(f"        -> {found.hint}")

    def report(self, report: Report) -> int:
        """Findings, outcomes and a summary; returns the exit status.

        For people, what an earlier report of the same command showed is not shown again.
        """
        self.close()
        for found in report.findings:
            if self._json or (found.severity is not Severity.INFO and found not in self._shown):
                self.finding(found)
        self._shown.update(report.findings)
        for outcome in report.outcomes:
            self._outcome(outcome)
        self.say(report.summary())
        return report.exit_status

    def formatted(self, placed: Sequence[tuple[Finding, Place | None]], form: str) -> None:
        """Findings only, for another program; `placed` are they with their places in the repository."""
        self.close()
        if form == "github":
            sys.stdout.write(formats.github(placed))
            return
        writers = {"jsonl": formats.jsonl, "junit": formats.junit}
        found = [place.name_file(one) if place else one for one, place in placed]
        sys.stdout.write(writers[form](found))

    def _outcome(self, outcome: Outcome) -> None:
        if not self._json:
            print(outcome)
        elif self._verb == "plan" and "plan" in outcome.facts:
            self.record(outcome.facts["plan"])
        else:
            self.record(outcome.to_json())

    def status(self, report: Report) -> int:
        """One line a target: checked, converted, verified, released."""
        if self._json:
            return self.report(report)
        for found in report.findings:
            self.finding(found)
        widths = {"checked": 8, "converted": 10, "verified": 9, "independent": 12, "validated": 10, "released": 9}
        print("".join(f"{name:{width}}" for name, width in widths.items()) + "  target")
        for outcome in report.outcomes:
            facts = outcome.facts
            texts = {name: "yes" if facts[name] is True else facts[name] or "-" for name in widths}
            marks = "".join(f"{texts[name]:{width}}" for name, width in widths.items())
            print(f"{marks}  {outcome.target}  {outcome.done}{': ' + outcome.why if outcome.why else ''}")
        return report.exit_status

    def explanation(self, explanation: Explanation) -> None:
        """Why a value is what it is."""
        if self._json:
            self.record(explanation.to_json())
        else:
            print("\n".join(explanation.lines()))

    def places(self, cell: str, places: Sequence[CellPlace]) -> int:
        """Where a cell went."""
        for place in places:
            if self._json:
                self.record({"cell": cell, "file": place.file, "field": place.field, "rule": place.rule})
            else:
                print(f"{place.file}  {place.field}{'  by rule ' + place.rule if place.rule else ''}")
        self.say(f"{cell}: {len(places)} places" if places else f"{cell} is private and left nothing behind")
        return 0

    def coverage(self, covered: Coverage) -> None:
        """The matrix, one line a column."""
        if self._json:
            for column, counts in covered.counts.items():
                self.record({"column": column, **{name: counts.get(name, 0) for name in CLASSES}})
            self.record({"cells": covered.cells, **covered.totals()})
            return
        width = max(len(column) for column in covered.counts) + 2
        tables: dict[str, dict[str, Mapping[str, int]]] = {}
        for column, counts in covered.counts.items():
            tables.setdefault(column.partition(".")[0], {})[column] = counts
        print(" " * width + "".join(f"{name:>16}" for name in CLASSES))
        for columns in (columns for columns in tables.values() if any(map(len, columns.values()))):
            for column, counts in columns.items():
                print(_counts(column, counts, width))
            print()
        without = [table for table, columns in tables.items() if not any(map(len, columns.values()))]
        if without:
            print(f"without rows: {', '.join(without)}\n")
        print(_counts("all cells", covered.totals(), width))
        labels = ", ".join(kind.label for kind in KINDS.values())
        print(f"{labels}: in a field of the standard. record: verbatim in a result. catalogue only: verbatim")
        print(
            "in records.jsonl, no result carries its row. private: never leaves. Each cell is counted once, the first"
        )
        print(f"that holds; {covered.cells} cells were read.")

    def progress(self, verb: str) -> Callable[[int], None]:
        """A line on standard error that says how far the work is, if that is a terminal."""
        if not sys.stderr.isatty():
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


def _counts(label: str, counts: Mapping[str, int], width: int) -> str:
    return f"{label:{width}}" + "".join(f"{counts.get(name, 0) or '-':>16}" for name in CLASSES)
