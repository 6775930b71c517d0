"""From a dataset to a release: what is published, and what must be true of it before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .config import Config
from .model.finding import Finding, Problem, catalogue, finding, has_errors
from .planning.stale import State, standing
from .planning.targets import Wanted, wanted_targets
from .records import NAME as RECORDS
from .records import is_current
from .release import Asset, check_order, publish
from .report import Outcome, Report
from .state import DigestCache, Memory
from .tables import Tables, normalise_key
from .verify import kind_of, verify_result

type Progress = Callable[[int], None]


def fingerprint(path: Path) -> list[int]:
    """Size and modification time of a result; of a volume, of the metadata that is written last."""
    stat = (path / "zarr.json" if path.is_dir() else path).stat()
    return [stat.st_size, stat.st_mtime_ns]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be published where.

    Attributes
    ----------
    to, release
        A folder or ``s3://bucket/prefix``; the release's number.
    endpoint
        Of an S3 server other than AWS.
    errors
        What `check` found of severity error; it blocks the release unless `allow_errors`, which it records.
    """

    to: str
    release: str
    endpoint: str | None
    errors: tuple[Finding, ...]
    allow_errors: bool


def publish_dataset(config: Config, tables: Tables, order: Order, progress: Progress) -> Report:
    """Check that all results are current and proven, then publish them with their raw files."""
    try:
        check_order(order.to, order.release, order.endpoint)
    except Problem as bad:
        return Report.of("publish", [], [bad.finding])
    cache = DigestCache(config.state)
    targets = wanted_targets(tables, config.profile)
    outcomes, findings = _ready(config, targets, cache, progress)
    if not findings and not is_current(config, [w for wanted in targets if (w := wanted.usable(keep_going=True))]):
        message = f"{RECORDS} is missing or not what the tables say now"
        findings.append(finding("publish.stale", message, file=RECORDS))
    if order.errors and not order.allow_errors:
        message = f"{config.root.name} has errors, so {order.release} is not published"
        findings += [*order.errors, finding("publish.errors", message)]
    if has_errors(findings):
        return Report.of("publish", outcomes, findings)
    assets = [*_results(config.output, targets), *_raw(config, tables)]
    if (config.output / RECORDS).is_file():
        assets.append(Asset(RECORDS, "records", config.output / RECORDS))
    try:
        done = publish(
            assets,
            order.to,
            order.release,
            title=config.profile.title,
            license=config.profile.license,
            notes={"errors": [_public(f, config).to_json() for f in order.errors]} if order.errors else {},
            digests=lambda path: cache.digest(path).sha256,
            progress=progress,
            endpoint=order.endpoint,
            dataset=config.root,
        )
    except Problem as bad:
        return Report.of("publish", outcomes, [bad.finding])
    except OSError as error:  # the store (StoreUnavailable), or a local file that cannot be read
        return Report.of("publish", outcomes, [finding("machine.failed", str(error))])
    finally:
        cache.save()
    _remember(config, order.release, targets)
    why = f"{done.assets} assets, {done.unchanged} unchanged; sent {done.objects} objects, {done.bytes} bytes"
    facts = {"objects": done.objects, "bytes": done.bytes, "assets": done.assets, "unchanged": done.unchanged}
    return Report.of(
        "publish", [*outcomes, Outcome(f"{order.to} {order.release}", "published", why, (), facts)], findings
    )


def _public(found: Finding, config: Config) -> Finding:
    """A finding as it may leave the house: without folders of this machine and the text of private cells."""
    where = found.location
    spec = config.profile.tables.get(where.table or "")
    if spec and spec.private and (where.column in spec.private or where.column not in (*spec.columns, *spec.optional)):
        plain = replace(where, value=None, expected=None)
        found = replace(found, message=catalogue()[found.id]["meaning"], hint="", location=plain)
    for folder in sorted({config.root, *config.roots}, key=lambda f: -len(str(f))):
        message, hint = (text.replace(str(folder), folder.name) for text in (found.message, found.hint))
        file = (found.location.file or "").replace(str(folder), folder.name) or None
        found = replace(found, message=message, hint=hint, location=replace(found.location, file=file))
    return found


def _ready(
    config: Config, targets: list[Wanted], cache: DigestCache, progress: Progress
) -> tuple[list[Outcome], list[Finding]]:
    """Results that are stale block the release; those not verified yet are verified now."""
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
            why = "has not been converted" if now.state is State.NEW else f"is not current: {now.state}"
            message = f"{wanted.target.path} {why}{f' ({now.reason})' if now.reason else ''}"
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


def _raw(config: Config, tables: Tables) -> Iterator[Asset]:
    """Every raw object that a public path cell names and that is there, each once."""
    seen: set[str] = set()
    for table, spec in config.profile.tables.items():
        for record in tables.records.get(table, {}).values():
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


def _remember(config: Config, release: str, targets: list[Wanted]) -> None:
    memory = Memory(config.state / "released.json")
    for wanted in targets:
        path = config.output / wanted.target.path
        if path.exists():
            memory.data[wanted.target.path] = {"release": release, "fingerprint": fingerprint(path)}
    memory.save()
