"""Which findings a git revision had already: ``check --since REF`` fails on the new ones only."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..model.finding import Finding, Severity, problem

type Identity = tuple[str, str | None, str | None, str | None, str | None]


def identify_finding(found: Finding) -> Identity:
    """What makes a finding the same one in another revision: not its line."""
    where = found.location
    return found.id, where.table, where.key, where.column, where.value


def extract_revision(root: Path, revision: str, into: Path) -> None:
    """Lay out a dataset folder as it was in a revision; raw files and results are not in it.

    Raises
    ------
    Problem
        ``since.revision``: no repository, no such revision, or the dataset was not in it.
    """
    if revision.startswith("-"):
        raise problem("since.revision", f"{revision!r} is no revision", value=revision)
    try:
        archive = subprocess.run(
            ["git", "-C", str(root), "archive", "--format=tar", revision, "."], capture_output=True, check=True
        ).stdout
    except FileNotFoundError:
        raise problem("since.revision", "git is not installed", value=revision) from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else "git failed"
        raise problem("since.revision", f"{revision}: {reason}", value=revision) from None
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(into, filter="data")


def demote_known_findings(findings: Iterable[Finding], known: Iterable[Finding], revision: str) -> list[Finding]:
    """Errors and warnings that the revision had already become information."""
    before = {identify_finding(found) for found in known}
    return [
        replace(f, severity=Severity.INFO, message=f"{f.message} (known since {revision})")
        if f.severity is not Severity.INFO and identify_finding(f) in before
        else f
        for f in findings
    ]
