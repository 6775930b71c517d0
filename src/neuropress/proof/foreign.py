"""Raw files that are of a standard already: its validators look at them, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..model.finding import Finding, Problem, Severity
from ..model.source import SourceRoots
from ..results import detect_kind, find_kind_by_suffix
from ..storage.remote import ResultPath

HINT = "Nothing needs to be done: the file is the lab's and stays as it is. To mend it, use the program that wrote it."


def validate_kept_standards(path: ResultPath, roots: SourceRoots) -> list[Finding]:
    """Findings of the validators on raw files that a result keeps as they are and that are of a standard themselves.

    They are a lab's files, which nobody here may change: what would be an error of a result is a warning.
    """
    kind = detect_kind(path)
    made = kind.load().read_provenance(path)
    found: list[Finding] = []
    for key in made.receipt.sources if not made.receipt.arrays else ():
        standard = find_kind_by_suffix(key, is_folder=False)
        if standard is None or standard is kind:
            continue
        try:
            local: Path = roots.locate(key).path()
            findings = standard.load().validate(local)
        except Problem as bad:
            findings = [bad.finding]
        found += [_demote(one, key, str(path)) for one in findings]
    return found


def _demote(one: Finding, key: str, result: str) -> Finding:
    severity = Severity.WARNING if one.severity is Severity.ERROR else one.severity
    location = replace(one.location, file=result)
    return replace(one, severity=severity, message=f"{key}: {one.message}", hint=HINT, location=location)
