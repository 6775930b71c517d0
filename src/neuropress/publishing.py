"""From a dataset to a release: what is published, and what must be true of it before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .model.finding import Finding, Problem, finding, has_errors
from .planning.stale import State, standing
from .planning.targets import Wanted
from .release import Asset, publish
from .report import Outcome, Report
from .state import DigestCache, Memory
from .tables import normalise_key
from .verify import kind_of, verify_result

if TYPE_CHECKING:
    from .api import Dataset

type Progress = Callable[[int], None]


def fingerprint(path: Path) -> list[int]:
    """Size and modification time of a result; of a volume, of the metadata that is written last."""
    stat = (path / "zarr.json" if path.is_dir() else path).stat()
    return [stat.st_size, stat.st_mtime_ns]


def publish_dataset(
    dataset: Dataset, to: str, release: str, endpoint: str | None, allow_errors: bool, progress: Progress
) -> Report:
    """Check that all results are current and proven, then publish them with their raw files."""
    config = dataset.config
    cache = DigestCache(config.state)
    targets = dataset.targets()
    outcomes, findings = _ready(dataset, targets, cache, progress)
    checked = dataset.check()
    if has_errors(checked.findings) and not allow_errors:
        findings += [f for f in checked.findings if f.severity == "error"]
        findings.append(finding("publish.errors", f"{config.root.name} has errors, so {release} is not published"))
    if has_errors(findings):
        return Report.of("publish", outcomes, findings)
    assets = [*_results(config.output, targets), *_raw(dataset)]
    notes = {"errors": [f.to_json() for f in checked.findings if f.severity == "error"]} if allow_errors else {}
    try:
        done = publish(
            assets,
            to,
            release,
            title=config.profile.title,
            license=config.profile.license,
            notes=notes,
            digests=lambda path: cache.digest(path).sha256,
            progress=progress,
            endpoint=endpoint,
            dataset=config.root,
        )
    except Problem as bad:
        return Report.of("publish", outcomes, [bad.finding])
    except OSError as error:  # the store (StoreUnavailable), or a local file that cannot be read
        return Report.of("publish", outcomes, [finding("machine.failed", str(error))])
    finally:
        cache.save()
    _remember(dataset, release, targets)
    why = f"{done.assets} assets, {done.unchanged} unchanged; sent {done.objects} objects, {done.bytes} bytes"
    facts = {"objects": done.objects, "bytes": done.bytes, "assets": done.assets, "unchanged": done.unchanged}
    return Report.of("publish", [*outcomes, Outcome(f"{to} {release}", "published", why, (), facts)], findings)


def _ready(
    dataset: Dataset, targets: list[Wanted], cache: DigestCache, progress: Progress
) -> tuple[list[Outcome], list[Finding]]:
    """Results that are stale block the release; those not verified yet are verified now."""
    config = dataset.config
    memory = Memory(config.state / "verified.json")
    outcomes: list[Outcome] = []
    findings: list[Finding] = []
    for wanted in targets:
        path = config.output / wanted.target.path
        usable = wanted.usable(keep_going=True)
        if usable is None:
            continue
        now = standing(usable, config, cache)
        if now.state not in (State.CURRENT, State.OUTDATED):
            message = f"{wanted.target.path} is {now.state}: {now.reason}"
            findings.append(finding("publish.stale", message, file=wanted.target.path))
        elif memory.data.get(wanted.target.path) != fingerprint(path):
            proven = verify_result(path, config.sources(), cache, progress)
            findings += proven.findings
            if not has_errors(proven.findings):
                memory.data[wanted.target.path] = fingerprint(path)
                outcomes.append(Outcome(wanted.target.path, "verified", proven.summary()))
    memory.save()
    return outcomes, findings


def _results(output: Path, targets: list[Wanted]) -> Iterator[Asset]:
    for wanted in targets:
        path = output / wanted.target.path
        if path.exists():
            yield Asset(wanted.target.path, kind_of(path), path)


def _raw(dataset: Dataset) -> Iterator[Asset]:
    """Every raw object that a public path cell names and that is there, each once."""
    config = dataset.config
    seen: set[str] = set()
    for table, spec in config.profile.tables.items():
        for record in dataset.records(table):
            for column in spec.paths:
                text = record.cells[column].text
                key = normalise_key(text, config.profile) if text and column not in spec.private else ""
                if not key or key.rstrip("/") in seen:
                    continue
                try:
                    source = config.sources().locate(key)
                except Problem:
                    continue  # `check` has told of it, and blocks the release where it matters
                seen.add(key.rstrip("/"))
                yield Asset(key.rstrip("/"), "raw", source.root / key)


def _remember(dataset: Dataset, release: str, targets: list[Wanted]) -> None:
    memory = Memory(dataset.config.state / "released.json")
    for wanted in targets:
        path = dataset.config.output / wanted.target.path
        if path.exists():
            memory.data[wanted.target.path] = {"release": release, "fingerprint": fingerprint(path)}
    memory.save()
