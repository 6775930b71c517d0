"""Every result of a release made again, from nothing but the release's tables, profile, settings and raw files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from ..model.finding import Finding, Problem, finding, has_errors
from ..model.progress import Progress, begin_step, no_progress, track
from ..model.receipt import ArrayReceipt, Receipt
from ..model.report import Outcome, Report
from ..proof import list_files, prove_result
from ..publishing.parts import Part
from ..publishing.restore import restore_dataset
from ..publishing.scope import Scope
from ..publishing.selection import load_parts
from ..release import OpenRelease, download_assets, open_release
from ..release.manifest import AssetEntry
from ..results import KINDS, detect_kind
from ..storage.files import digest_file
from ..storage.state import DigestCache
from ..workspace import Selection, Workspace
from .convert import Options, convert_dataset
from .releases import place_of


@dataclass(frozen=True, slots=True)
class _Rebuild:
    """Where one lab's results are made again, and what they are compared with."""

    release: OpenRelease
    folder: Path
    workspace: Workspace
    progress: Progress


def rebuild_release(
    url: str,
    number: str | None = None,
    scope: Scope | None = None,
    *,
    endpoint: str | None = None,
    workers: int = 1,
    work: Path | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Make the results of a release again and compare them byte by byte.

    Where a compression library has another version, results whose bytes differ are compared by
    the digests of what they decode to, and the outcome names the library.

    Parameters
    ----------
    scope
        Labs and sessions; all without it.
    workers
        Results that are made side by side.
    work
        A folder for the raw files and results of one lab at a time; default: where temporary files go.
    """
    chosen = scope or Scope()
    outcomes: list[Outcome] = []
    findings: list[Finding] = []
    with open_release(url, number, endpoint) as release:
        wanted = {
            name: entry
            for name, entry in release.release.assets.items()
            if entry.kind in KINDS and chosen.includes_entry(name, entry)
        }
        parts = load_parts(release)
        for lab in sorted({_owning_lab(entry) for entry in wanted.values()}):
            mine = {name: entry for name, entry in wanted.items() if _owning_lab(entry) == lab}
            if lab not in parts:
                message = f"the release has no metadata of {lab}, so {len(mine)} results cannot be made again"
                findings.append(finding("release.lost", message, value=lab))
                continue
            with TemporaryDirectory(dir=work) as scratch:
                made, unrestored = _rebuild_lab(release, parts, lab, mine, Path(scratch), workers, progress)
                outcomes += made
                findings += unrestored
        total = Outcome(f"{url} {release.release.number}", *_sum_up(outcomes))
    return Report.of("releases rebuild", [*outcomes, total], findings)


def _owning_lab(entry: AssetEntry) -> str:
    return str((*entry.provenance.get("labs", ()), "")[0])


def _sum_up(outcomes: list[Outcome]) -> tuple[str, str]:
    count = len(outcomes)
    equal = sum(outcome.done.startswith("equal") for outcome in outcomes)
    decoded = sum(outcome.done == "equal when decoded" for outcome in outcomes)
    why = f"{equal} of {count} results are equal to the published ones"
    if decoded:
        why += f", {decoded} of them when decoded"
    return ("rebuilt" if equal == count else "differs"), why


def _rebuild_lab(
    release: OpenRelease,
    parts: Mapping[str, Part],
    lab: str,
    results: Mapping[str, AssetEntry],
    folder: Path,
    workers: int,
    progress: Progress,
) -> tuple[list[Outcome], list[Finding]]:
    findings = restore_dataset(parts, folder, lab)
    raw = {
        name: place_of(name, entry, folder)
        for name, entry in release.release.assets.items()
        if entry.kind == "raw" and lab in entry.provenance.get("labs", ())
    }
    begin_step(progress, f"fetch {lab}")
    download_assets(release, raw, progress)
    workspace = Workspace.open(folder)
    # A result of the release may lack rows with errors; that follows from the tables, as it did then.
    sessions = sorted({key for entry in results.values() for key in entry.provenance.get("sessions", ())})
    narrow = Selection(tuple(sessions)) if len(results) == 1 and sessions else Selection(labs=(lab,))
    report = convert_dataset(workspace, narrow, Options(keep_going=True, workers=workers), progress)
    refused = {outcome.target: outcome.why for outcome in report.outcomes}
    rebuild = _Rebuild(release, folder, workspace, progress)
    compared = track(progress, "compare", sorted(results.items()), lambda item: Path(item[0]).name)
    outcomes = [_compare_result(rebuild, name, entry, refused.get(name, "")) for name, entry in compared]
    return outcomes, findings


def _compare_result(rebuild: _Rebuild, name: str, entry: AssetEntry, why: str) -> Outcome:
    path = rebuild.workspace.config.output / name  # a dataset from a release names no bucket of results
    if not path.exists():
        message = f"{name} was not made again: {why or 'no row asks for it'}"
        return Outcome(name, "not made", why, (finding("rebuild.differs", message, file=name),))
    expected = {file.path: file.sha256 for file in rebuild.release.list_files(name)}
    found = {relative: digest_file(path / relative if relative else path) for relative, _ in list_files(path)}
    if found == expected:
        return Outcome(name, "equal", f"{len(found)} file{'s' if len(found) != 1 else ''}, byte by byte")
    published = rebuild.folder / "published" / Path(name).name
    try:
        download_assets(rebuild.release, {name: published}, rebuild.progress)
        differing = list(_list_differences(rebuild, path, published))
    except Problem as bad:
        return Outcome(name, "differs", bad.finding.message, (bad.finding,))
    finally:
        shutil.rmtree(rebuild.folder / "published", ignore_errors=True)
    if differing:
        message = f"{name} differs from the published one: {', '.join(differing)}"
        return Outcome(name, "differs", ", ".join(differing), (finding("rebuild.differs", message, file=name),))
    here = ", ".join(f"{package} {version(package)}" for package in KINDS[entry.kind].libraries)
    message = f"{name} has other bytes and decodes to the same: compressed by another library than {here} here"
    return Outcome(name, "equal when decoded", here, (finding("rebuild.decoded", message, file=name),))


def _list_differences(rebuild: _Rebuild, rebuilt: Path, published: Path) -> Iterator[str]:
    """What differs when both are decoded; the published one is proven against its raw files first."""
    config = rebuild.workspace.config
    proven, _ = prove_result(published, config.sources(), DigestCache(rebuild.folder / "cache"), rebuild.progress)
    if has_errors(proven.findings):
        yield proven.findings[0].message
    tool = detect_kind(rebuilt).load()
    new, old = tool.read_provenance(rebuilt), tool.read_provenance(published)
    if new.receipt.version != old.receipt.version:
        yield f"it was written by neuropress {old.receipt.version}, this is {new.receipt.version}"
    texts, published_texts = new.texts(), old.texts()  # as texts, because NaN does not equal itself
    for section in ("records", "fields", "headers"):
        if texts[section] != published_texts[section]:
            yield f"its {section}"
    new_arrays, old_arrays = (_leave_out_codecs(made.receipt) for made in (new, old))
    if new_arrays != old_arrays:
        hashes = [sorted({array.hash for array in arrays.values()}) for arrays in (old_arrays, new_arrays)]
        how = f" (digests by {', '.join(hashes[0])}, here by {', '.join(hashes[1])})" if hashes[0] != hashes[1] else ""
        yield f"the arrays of its receipt{how}"
    for what in ("derived", "inputs", "rows", "revisions"):
        if getattr(new.receipt, what) != getattr(old.receipt, what):
            yield f"the {what} of its receipt"


def _leave_out_codecs(receipt: Receipt) -> Mapping[str, ArrayReceipt]:
    """What the arrays decode to: a machine that lacks a codec packs them by another one."""
    return {name: replace(array, codec="") for name, array in receipt.arrays.items()}
