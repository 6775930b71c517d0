"""``validate``: results are read by the validators of their standards, in a dataset or by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config import Named, find_result
from ..model.finding import Finding, Problem, Severity, has_errors
from ..model.progress import Progress, no_progress, track
from ..model.report import Outcome, Report
from ..model.source import SourceRoots
from ..model.waiver import Waiver, waive_result
from ..proof import Proofs, digest_files, keep_validation
from ..proof.foreign import validate_kept_standards
from ..results import detect_kind
from ..storage.remote import ResultPath
from ..tools.dandi import take_explanations, validate_with_dandi
from ..workspace import EVERYTHING, Selection, Workspace
from .verify import name_file, name_result


def validate_dataset(
    workspace: Workspace,
    paths: Sequence[Named] = (),
    select: Selection = EVERYTHING,
    progress: Progress = no_progress,
    *,
    dandi: bool = False,
) -> Report:
    """Validate results (the selected, or the given ones), and remember what was found in these very files.

    Parameters
    ----------
    dandi
        Have dandi validate NWB results, too. What it finds is reported and not remembered: a release does not depend
        on a program that few people have installed.

    Raises
    ------
    Problem
        ``tool.*``: dandi cannot be used.
    """
    results = [find_result(path) for path in paths or workspace.results(select)]
    of_dandi, others = _ask_dandi(results) if dandi else ({}, [])
    outcomes = [
        _validate_result(
            path,
            name_result(path, workspace),
            workspace.proofs,
            workspace.waivers,
            of_dandi.get(path),
            workspace.config.sources(),
        )
        for path in track(progress, "validate", results, lambda path: path.name)
    ]
    return Report.of("validate", outcomes, others)


def validate_files(paths: Sequence[Named], progress: Progress = no_progress, *, dandi: bool = False) -> Report:
    """Validate single results, wherever they lie. Raises as `validate_dataset`."""
    places = [find_result(path) for path in paths]
    of_dandi, others = _ask_dandi(places) if dandi else ({}, [])
    outcomes = [
        _validate_result(path, str(path), of_dandi=of_dandi.get(path))
        for path in track(progress, "validate", places, lambda path: path.name)
    ]
    return Report.of("validate", outcomes, others)


def _ask_dandi(places: Sequence[ResultPath]) -> tuple[dict[ResultPath, Sequence[Finding]], Sequence[Finding]]:
    """What dandi finds in each result of this machine, and what else it has to say."""
    found, others = validate_with_dandi([path for path in places if isinstance(path, Path)])
    return dict(found.items()), others


def _validate_result(
    path: ResultPath,
    name: str,
    proofs: Proofs | None = None,
    waivers: Sequence[Waiver] = (),
    of_dandi: Sequence[Finding] | None = None,
    roots: SourceRoots | None = None,
) -> Outcome:
    """What the validators find in a result, and in raw files of a standard that it keeps where `roots` are known.

    `of_dandi` is what dandi found, None where it was not asked.
    """
    try:
        kind = detect_kind(path)
        files = digest_files(path, proofs.load(name, path)) if proofs else ()
        kept = validate_kept_standards(path, roots) if roots else []
        found = name_file([*kind.load().validate(path), *kept], path, name)
    except Problem as bad:
        return Outcome(name, "not validated", bad.finding.message, name_file([bad.finding], path, name))
    if proofs:
        keep_validation(proofs, name, path, files, found)
    found += tuple(one.at(file=name) for one in take_explanations(of_dandi or (), found))
    found = tuple(waive_result(found, name, waivers))
    warnings = sum(f.severity is not Severity.INFO for f in found)
    why = f"{warnings} finding{'s' if warnings != 1 else ''}" if warnings else "no unexplained finding"
    if of_dandi is not None:
        why += f"; dandi: {len(of_dandi) or 'none'}"
    return Outcome(name, "has errors" if has_errors(found) else "valid", why, found)
