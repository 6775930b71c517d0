"""What can be done with releases that lie somewhere: list, compare, verify, and bring back as a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..archive.records import check_record, load_records
from ..config import FILE
from ..model.finding import Finding, Problem, finding, has_errors, problem
from ..model.progress import Progress, no_progress
from ..model.report import Outcome, Report
from ..publishing.changes import ReleaseContent, collect_rows, compare_contents, make_change_outcomes
from ..publishing.parts import KIND, NOBODY
from ..publishing.restore import restore_dataset
from ..publishing.scope import Scope
from ..publishing.selection import load_parts
from ..release import (
    OpenRelease,
    audit_releases,
    check_hint,
    download_assets,
    list_releases,
    open_release,
    read_release,
)
from ..release.manifest import AssetEntry
from ..storage.store import Store, open_store


def list_published(url: str, *, endpoint: str | None = None) -> Report:
    """The releases of a bucket or folder, oldest first, with their sizes and parents."""
    outcomes = []
    findings: list[Finding] = []
    for number in list_releases(url, endpoint):
        try:
            release = read_release(url, number, endpoint)
        except Problem as bad:
            outcomes.append(Outcome(number, "damaged", bad.finding.message))
            findings.append(bad.finding)
            continue
        size = sum(entry.size for entry in release.assets.values())
        parent = release.parent.number if release.parent else None
        why = f"{len(release.assets)} assets, {size} bytes, {f'after {parent}' if parent else 'the first'}"
        facts = {"parent": parent, "assets": len(release.assets), "bytes": size, "sha256": release.sha256}
        outcomes.append(Outcome(number, "release", why, (), {**facts, "notes": release.notes}))
    if not outcomes:
        findings.append(finding("release.none", f"no release has been committed at {url}"))
    return Report.of("releases list", outcomes, findings)


def diff_releases(url: str, before: str, after: str, *, endpoint: str | None = None) -> Report:
    """What differs between two releases: assets, tables, rows and cells added, changed and lost."""
    contents = []
    for number in (before, after):
        with open_release(url, number, endpoint) as release:
            contents.append(ReleaseContent(release.release.assets, collect_rows(load_parts(release).values())))
    return Report.of("releases diff", make_change_outcomes(compare_contents(*contents)), [])


def verify_releases(
    url: str,
    number: str | None = None,
    *,
    deep: bool = False,
    endpoint: str | None = None,
    dandi_key: str = "",
    progress: Progress = no_progress,
) -> Report:
    """Compare releases with what lies in the store, and say which are good.

    What was sent to dandisets is compared by the digests that their archives tell.

    Parameters
    ----------
    number
        One release; all of them without it.
    deep
        Read every byte again; else sizes, manifests and history are compared.
    dandi_key
        Of an account, for embargoed dandisets.
    """
    store = open_store(url, endpoint)
    numbers = [number] if number else list(list_releases(url, endpoint))
    if not numbers:
        return Report.of("releases verify", [], [finding("release.none", f"no release has been committed at {url}")])
    audits = audit_releases(store, numbers, deep=deep, progress=progress)
    how = "every byte" if deep else "sizes, manifests, history"
    outcomes = []
    for one in audits:
        bad = has_errors(one.findings)
        why = f"{len(one.findings)} findings" if bad else f"{one.assets} assets, {one.size} bytes: {how}"
        outcomes.append(Outcome(one.number, "damaged" if bad else "good", why, one.findings))
        outcomes += _verify_dandisets(store, one.number, dandi_key)
    findings = []
    if not number and not has_errors(audits[-1].findings):
        findings = list(check_hint(store, read_release(url, numbers[-1], endpoint)))
    return Report.of("releases verify", outcomes, findings)


def _verify_dandisets(store: Store, number: str, key: str) -> Iterator[Outcome]:
    """Each dandiset to which a release was sent, by its record there."""
    for place, record in load_records(store, number).items():
        if isinstance(record, Finding):
            yield Outcome(place, "damaged", record.message, (record,))
            continue
        found = tuple(check_record(record, key, place))
        name = f"{number} at {record.instance} {record.dandiset}"
        if any(one.id == "dandi.unreachable" for one in found):
            yield Outcome(name, "not compared", "the archive did not answer", found)
        else:
            why = f"{len(found)} findings" if found else f"{len(record.assets)} files have the archive's digests"
            yield Outcome(name, "differs" if found else "good", why, found)


def get_release(
    url: str,
    folder: Path,
    number: str | None = None,
    scope: Scope | None = None,
    *,
    endpoint: str | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Bring a release to a folder as a dataset: tables, raw files, results; every byte compared with its digest.

    Run again, it goes on where it was cut off. Metadata comes whole; `scope` selects the data.

    Raises
    ------
    Problem
        ``dataset.exists``: another dataset is there; ``release.*``.
    """
    chosen = scope or Scope()
    marker = folder / ".release"
    with open_release(url, number, endpoint) as release:
        mark = f"{release.release.number} {release.release.sha256}\n"
        if (folder / FILE).exists() and (not marker.is_file() or marker.read_text("ascii") != mark):
            raise problem(
                "dataset.exists", f"{folder / FILE} exists already, and is of another release", file=str(folder)
            )
        folder.mkdir(parents=True, exist_ok=True)
        marker.write_text(mark, "ascii")
        places = {
            name: place_of(name, entry, folder)
            for name, entry in release.release.assets.items()
            if entry.kind != KIND and chosen.includes_entry(name, entry)
        }
        parts = load_parts(release)
        lab = next((lab for lab in sorted(parts) if lab != NOBODY), None) or next(iter(parts), None)
        # The settings are written last: where they are, the tables are whole, and may have been edited since.
        findings = restore_dataset(parts, folder, lab) if lab and not (folder / FILE).exists() else []
        files = download_assets(release, places, progress)
    for name in ("source", "output"):
        (folder / name).mkdir(exist_ok=True)
    why = f"{len(places)} assets, {files} files, each with the digest that the release states"
    return Report.of("releases get", [Outcome(str(folder), f"holds {release.release.number}", why)], findings)


def place_of(name: str, entry: AssetEntry, folder: Path) -> Path:
    """Where an asset belongs in a dataset's folder: raw files below ``source/``, results below ``output/``."""
    return folder / ("source" if entry.kind == "raw" else "output") / name


__all__ = ["OpenRelease", "diff_releases", "get_release", "list_published", "place_of", "verify_releases"]
