"""Whether a result is what the tables and raw files say now, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from neuropress.converters import load_converter

from ..config import Config
from ..model.finding import Problem
from ..model.packing import PACKING
from ..model.plan import SourceRow
from ..model.provenance import Provenance
from ..model.receipt import Receipt
from ..model.source import Source, SourceRoots
from ..storage.remote import ResultPath
from ..storage.state import DigestCache
from .build import find_missing_extra
from .images import choose_image
from .kept import list_kept_keys
from .labels import list_label_keys
from .mappings import collect_revisions
from .receipts import ReceiptCache, read_whole
from .targets import Wanted, digest_rows, raw_key, source_rows
from .triggers import list_clock_keys


class State(StrEnum):
    """How a result stands. OUTDATED is rebuilt only when asked for."""

    CURRENT = "up to date"
    NEW = "new"
    METADATA = "metadata changed"
    DATA = "raw data changed"
    OUTDATED = "outdated"
    BLOCKED = "blocked"
    EMPTY = "nothing to convert"


@dataclass(frozen=True, slots=True)
class Standing:
    """A state and its reason in words."""

    state: State
    reason: str = ""

    @property
    def needs_work(self) -> bool:
        """Whether `convert` writes it."""
        return self.state in (State.NEW, State.METADATA, State.DATA)


def find_standing(
    wanted: Wanted, config: Config, cache: DigestCache, receipts: ReceiptCache, outdated: bool = False
) -> Standing:
    """Compare a result with the rows and raw files it should come from; no raw header is read.

    Parameters
    ----------
    wanted
        As it would be written (blocked rows taken out).
    cache, receipts
        What is known of raw files and results that have not changed.
    outdated
        Count a changed mapping or converter revision as changed metadata.
    """
    config = choose_image(wanted, config)
    path = config.locate_result(wanted.target.kind, wanted.target.path)
    if not path.exists():
        return Standing(State.NEW)
    try:
        made = receipts.read(wanted, path)
    except Problem as bad:
        return Standing(State.NEW, bad.finding.message)
    sources = {
        raw_key(name, record, config.profile)
        for name, record in (*wanted.jobs, *wanted.clocks)
        if not find_missing_extra(name, record, config)
    }
    sources |= list_clock_keys(sources, config) | list_label_keys(wanted, config.profile)
    roots = config.sources()
    sources |= list_kept_keys(wanted, config.profile, roots)
    reason = _inputs_changed(made, sources, roots, cache) or _options_changed(made, config)
    if reason:
        return Standing(State.DATA, reason)
    rows = source_rows(wanted, config.profile)
    if made.rows != digest_rows(rows, config.profile):
        return Standing(State.METADATA, _rows_changed(read_whole(wanted, path), rows))
    if reason := _packing_changed(wanted, path, config):
        return Standing(State.METADATA, reason)
    changed = _revisions_changed(made.revisions, collect_revisions(wanted, config.profile))
    if changed:
        return Standing(State.METADATA if outdated else State.OUTDATED, changed)
    return Standing(State.CURRENT)


def _inputs_changed(receipt: Receipt, sources: set[str], roots: SourceRoots, cache: DigestCache) -> str:
    before = {*receipt.sources, *receipt.kept}
    for key in sorted(sources - before):
        return f"{key} is new"
    for key in sorted(before - sources):
        return f"{key} is no longer named by a row"
    for key, known in receipt.inputs.items():
        try:
            source = roots.locate(key)
            is_file = source.root.stamp(key) is not None
        except Problem as bad:
            return bad.finding.message
        if not is_file or cache.get_raw_digest(source.root, key) != known:
            return f"{key} changed"
    for key in sorted(before - set(receipt.inputs)):  # a file, as was just seen
        source = roots.locate(key)
        members = _list_members(source, receipt) if source.is_folder else set()
        if source.is_folder and key in receipt.kept:  # all of it is kept, not what a reader takes of it
            members = {f"{key.rstrip('/')}/{path}" for path in source.files()}
        if extra := members - set(receipt.inputs):
            return f"{min(extra)} was added"
    return ""


def _list_members(source: Source, receipt: Receipt) -> set[str]:
    """The files of a folder, and those in its folders where some of these were read."""
    folder = f"{source.key.rstrip('/')}/"
    read = (key.removeprefix(folder) for key in receipt.inputs if key.startswith(folder))
    return set(source.list_keys() if any("/" in path for path in read) else source.members())


def _options_changed(receipt: Receipt, config: Config) -> str:
    for key, options in receipt.sources.items():
        if dict(options) != config.find_options(key):
            return f"the options of {key} changed"
    return ""


def _packing_changed(wanted: Wanted, path: ResultPath, config: Config) -> str:
    if not any(getattr(load_converter(name), "HAS_PACKING", False) for name, _ in wanted.jobs):
        return ""
    fields = read_whole(wanted, path).fields
    before = {name: fields[field].value for name in PACKING if (field := f"/neuropress/{name}") in fields}
    changed = [name for name in PACKING if before.get(name) != config.profile.packing.list_stated().get(name)]
    return f"{', '.join(changed)} below [output] changed" if changed else ""


def _rows_changed(made: Provenance, rows: Sequence[SourceRow]) -> str:
    """The changed cells in words, a few of them."""
    before: Mapping[tuple[str, str], SourceRow] = {(r.table, r.key): r for r in made.records}
    after = {(r.table, r.key): r for r in rows}
    changes = [f"row {table} {key} is new" for table, key in after if (table, key) not in before]
    changes += [f"row {table} {key} is gone" for table, key in before if (table, key) not in after]
    for key, row in after.items():
        old = before.get(key, row)
        changed = (c for c in row.cells if (old.cells.get(c), old.fixes.get(c)) != (row.cells[c], row.fixes.get(c)))
        changes += [f"{row.table}.{row.key}.{c} {'corrected' if c in row.fixes else 'changed'}" for c in changed]
    more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
    return ", ".join(changes[:3]) + more if changes else "a default or override of the profile changed"


def _revisions_changed(before: Mapping[str, int], now: Mapping[str, int]) -> str:
    changed = [k for k in {**before, **now} if before.get(k) != now.get(k)]
    revisions = (f"{k} (revision {before.get(k, 'none')} -> {now.get(k, 'none')})" for k in sorted(changed))
    return ", ".join(f"outdated by {one}" for one in revisions)


def describe_obstacle(wanted: Wanted) -> tuple[str, str]:
    """State and reason of a target that is not to be written."""
    if wanted.blocked:
        (table, key), cause = wanted.cause
        return "blocked", f"{table} {key}: {cause.message}"
    return str(State.EMPTY), ""
