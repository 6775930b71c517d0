"""``validate``: results are read by the validators of their standards, in a dataset or by themselves."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import Named, find_result
from ..model.finding import Problem, Severity, has_errors
from ..model.progress import Progress, no_progress, track
from ..model.report import Outcome, Report
from ..model.waiver import Waiver, waive_result
from ..proof import Proofs, digest_files, keep_validation
from ..results import detect_kind
from ..storage.remote import ResultPath
from ..workspace import EVERYTHING, Selection, Workspace
from .verify import name_result


def validate_dataset(
    workspace: Workspace,
    paths: Sequence[Named] = (),
    select: Selection = EVERYTHING,
    progress: Progress = no_progress,
) -> Report:
    """Validate results (the selected, or the given ones), and remember what was found in these very files."""
    places = [find_result(path) for path in paths or workspace.results(select)]
    outcomes = [
        _validate_result(path, name_result(path, workspace), workspace.proofs, workspace.waivers)
        for path in track(progress, "validate", places, lambda path: path.name)
    ]
    return Report.of("validate", outcomes, [])


def validate_files(paths: Sequence[Named], progress: Progress = no_progress) -> Report:
    """Validate single results, wherever they lie."""
    places = track(progress, "validate", [find_result(path) for path in paths], lambda path: path.name)
    return Report.of("validate", [_validate_result(place, str(place)) for place in places], [])


def _validate_result(
    path: ResultPath, name: str, proofs: Proofs | None = None, waivers: Sequence[Waiver] = ()
) -> Outcome:
    try:
        kind = detect_kind(path)
        files = digest_files(path, proofs.load(name, path)) if proofs else ()
        found = tuple(kind.load().validate(path))
    except Problem as bad:
        return Outcome(name, "not validated", bad.finding.message, (bad.finding,))
    if proofs:
        keep_validation(proofs, name, path, files, found)
    found = tuple(waive_result(found, name, waivers))
    warnings = sum(f.severity is not Severity.INFO for f in found)
    why = f"{warnings} findings" if warnings else "no unexplained finding"
    return Outcome(name, "has errors" if has_errors(found) else "valid", why, found)
