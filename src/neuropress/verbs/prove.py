"""Proof, validation and export of results that exist, in a dataset or by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ..config import Config, find_dataset, load_config
from ..model.finding import Problem, Severity, finding, has_errors
from ..model.report import Outcome, Report
from ..model.source import SourceRoots
from ..model.waiver import Waiver, waive_result
from ..proof import Proof, Proofs, digest_files, keep_validated, keep_verified, prove
from ..results import kind_of
from ..state import DigestCache
from ..storage.roots import Folder
from .export import export_tables, gather

type Progress = Callable[[int], None]


def _silent(nbytes: int) -> None:
    """Progress that nobody watches."""


def name_of(path: Path, config: Config) -> str:
    """Path below ``output/`` where it is below it, with ``/``."""
    whole, output = path.resolve(), config.output
    return whole.relative_to(output).as_posix() if whole.is_relative_to(output) else str(path)


def verify_paths(config: Config, paths: Sequence[Path], progress: Progress) -> list[Outcome]:
    """Prove results of a dataset, and remember the digests of every file that was proven."""
    cache = DigestCache(config.state)
    proofs = Proofs(config.state)
    outcomes = []
    for path in paths:
        name = name_of(path, config)
        outcome, proof = _verified(path, name, config.sources(), cache, progress)
        keep_verified(proofs, name, path, proof)
        outcomes.append(outcome)
    with suppress(OSError):  # a dataset that may only be read is proven all the same
        cache.save()
    return outcomes


def _verified(
    path: Path, name: str, roots: SourceRoots, cache: DigestCache, progress: Progress
) -> tuple[Outcome, Proof | None]:
    try:
        proven, proof = prove(path, roots, cache, progress)
    except Problem as bad:
        return Outcome(name, "not verified", bad.finding.message, (bad.finding,)), None
    facts = {"arrays": proven.arrays, "bytes": proven.nbytes}
    done, why = ("verified", proven.summary()) if proof else ("differs", "")
    return Outcome(name, done, why, proven.findings, facts), proof


def export(source: str, to: Path, release: str | None = None, endpoint: str | None = None) -> Report:
    """Rebuild the tables from a dataset's output, an output folder, or a release (folder or S3)."""
    found = gather(source, release, endpoint)
    folder = find_dataset(Path(source)) if "://" not in source else None
    counts = export_tables(found, to, folder)
    outcomes = [Outcome(f"{table}.csv", "written", f"{n} row{'s' if n != 1 else ''}") for table, n in counts.items()]
    return Report.of("export-tables", outcomes, found.findings)


def verify_files(paths: Sequence[Path], sources: Sequence[Path] = (), progress: Progress = _silent) -> Report:
    """Prove single results, wherever they lie.

    Raw files are looked up in `sources`, else in the roots of the dataset that holds the result.
    """
    outcomes = []
    for path in paths:
        try:
            kind_of(path).load().read_provenance(path)
        except Problem as bad:
            outcomes.append(Outcome(str(path), "not verified", bad.finding.message, (bad.finding,)))
            continue
        folder = find_dataset(path)
        if sources:
            roots = SourceRoots(tuple(Folder(source.resolve()) for source in sources))
            outcomes.append(_verified(path, str(path), roots, DigestCache(folder or path.parent), progress)[0])
        elif folder:
            outcomes += verify_paths(load_config(folder), [path], progress)
        else:
            message = f"{path} lies in no dataset, so its raw files cannot be found"
            told = finding("verify.no_source", message, file=str(path))
            outcomes.append(Outcome(str(path), "not verified", message, (told,)))
    return Report.of("verify", outcomes, [])


def validate_files(paths: Sequence[Path]) -> Report:
    """Validate single results against their standards."""
    outcomes = []
    for path in paths:
        outcomes.append(validated(path, str(path)))
    return Report.of("validate", outcomes, [])


def validated(path: Path, name: str, proofs: Proofs | None = None, waivers: Sequence[Waiver] = ()) -> Outcome:
    """The outcome of validating one result, told under a name, and remembered for these very files."""
    try:
        kind = kind_of(path)
        files = digest_files(path, proofs.load(name, path)) if proofs else ()
        found = tuple(kind.load().validate(path))
    except Problem as bad:
        return Outcome(name, "not validated", bad.finding.message, (bad.finding,))
    if proofs:
        keep_validated(proofs, name, path, files, found)
    found = tuple(waive_result(found, name, waivers))
    warnings = sum(f.severity is not Severity.INFO for f in found)
    why = f"{warnings} findings" if warnings else "no unexplained finding"
    return Outcome(name, "has errors" if has_errors(found) else "valid", why, found)
