"""``check`` for other programs: of the datasets that have changed files, and in the formats that they read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..api import Dataset
from ..config import FILE
from ..model.finding import Finding, Problem, Severity
from ..model.report import FINDINGS, Report
from ..verbs.changed import RepositoryPlace, RepositoryPlaces, find_repository, list_changed_datasets
from ..workspace import Selection
from .render import Output

type Placed = list[tuple[Finding, RepositoryPlace | None]]


def check_changed(args: argparse.Namespace, select: Selection, output: Output) -> int:
    """Check the datasets that the files of ``--changed`` belong to; none is no error."""
    unusable = [name for name in ("letter", "propose", "apply") if getattr(args, name)]
    if unusable or args.dir != ".":
        what = f"--{unusable[0]}" if unusable else f"DIR ({args.dir})"
        print(f"neuropress check: --changed finds the datasets itself, without {what}", file=sys.stderr)
        return 2
    everything: Placed = []
    status = 0
    for folder in list_changed_datasets(map(Path, args.changed)):
        report, placed = _check_folder(folder, args, select)
        everything += placed
        status = max(status, report.exit_status)
        if args.format == "text":
            _show_findings(folder, report, placed, output)
    if args.format != "text":
        output.formatted(everything, args.format)
    return status


def _check_folder(folder: Path, args: argparse.Namespace, select: Selection) -> tuple[Report, Placed]:
    """One of several datasets: what keeps it from being read must not keep the others from being checked."""
    try:
        dataset = Dataset.open(folder)
    except Problem as bad:
        place = RepositoryPlace((folder.resolve() / FILE).relative_to(find_repository(folder)).as_posix())
        return Report.of("check", [], [bad.finding]), [(bad.finding, place)]
    return check_placed(dataset, args, select)


def check_formatted(dataset: Dataset, args: argparse.Namespace, select: Selection, output: Output) -> int:
    """Check one dataset for another program."""
    report, placed = check_placed(dataset, args, select, output)
    output.formatted(placed, args.format)
    return report.exit_status


def check_placed(
    dataset: Dataset, args: argparse.Namespace, select: Selection, output: Output | None = None
) -> tuple[Report, Placed]:
    """What a check finds, each with its place in the repository."""
    places = RepositoryPlaces(dataset.config)
    try:
        options = {"progress": output.progress("check")} if output else {}
        report = dataset.check(select, tables_only=args.tables_only, since=args.since, **options)
    except Problem as bad:
        report = Report.of("check", [], [bad.finding])
    return report, [(found, places.find(found)) for found in report.findings]


def _show_findings(folder: Path, report: Report, placed: Placed, output: Output) -> None:
    for found, place in placed:
        if found.severity is not Severity.INFO:
            output.finding(place.name_file(found) if place else found)
    if report.exit_status == FINDINGS:
        output.say(f"{folder.resolve().relative_to(find_repository(folder))}: {report.summary()}")
