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
from ..verbs.coverage import CLASSES, Coverage, Place
from ..verbs.explain import Explanation
from . import formats

COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}


class Output:
    """Standard output of one command; progress goes to standard error and only to a terminal."""

    def __init__(self, verb: str, *, as_json: bool) -> None:
        self._verb = verb
        self._json = as_json
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._bar: Any = None
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

    def formatted(self, report: Report, form: str) -> int:
        """Findings only, for another program."""
        self.close()
        writers = {"jsonl": formats.jsonl, "junit": formats.junit, "github": formats.github}
        sys.stdout.write(writers[form](report.findings))
        return report.exit_status

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
        print(f"{'checked':8}{'converted':10}{'verified':9}{'validated':10}{'released':9}  target")
        for outcome in report.outcomes:
            facts = outcome.facts
            marks = [("yes" if facts[k] else "-") for k in ("checked", "converted", "verified", "validated")]
            line = f"{marks[0]:8}{marks[1]:10}{marks[2]:9}{marks[3]:10}{facts['released'] or '-':9}  {outcome.target}"
            print(f"{line}  {outcome.done}{': ' + outcome.why if outcome.why else ''}")
        return report.exit_status

    def explanation(self, explanation: Explanation) -> None:
        """Why a value is what it is."""
        if self._json:
            self.record(explanation.to_json())
        else:
            print("\n".join(explanation.lines()))

    def places(self, cell: str, places: Sequence[Place]) -> int:
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
            self.record({"columns": covered.best_classes()})
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
        print(_counts("columns by their best", covered.best_classes(), width))
        labels = ", ".join(kind.label for kind in KINDS.values())
        print(f"{labels}: the value of a field of the standard, looked up in the result.")
        print("free text: among other words in a field of the standard. record: verbatim in a result, in no field.")
        print("catalogue only: verbatim in records.jsonl, no result carries its row. private: never leaves.")
        print(f"Each cell is counted once, the first that holds; {covered.cells} cells were read.")

    def progress(self, verb: str) -> Callable[[int], None]:
        """A counter of bytes on standard error, if that is a terminal."""
        if not sys.stderr.isatty():
            return no_progress
        from tqdm import tqdm

        self._bar = tqdm(desc=verb, unit="B", unit_scale=True, leave=False)
        return lambda nbytes: self._bar.update(nbytes) if self._bar is not None else None

    def close(self) -> None:
        """Take the progress bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour else text


def _counts(label: str, counts: Mapping[str, int], width: int) -> str:
    return f"{label:{width}}" + "".join(f"{counts.get(name, 0) or '-':>16}" for name in CLASSES)
