"""Seeing to it that a result is of the files whose digests it states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..config import Config
from ..model.finding import Problem, problem
from ..model.plan import digest
from ..model.receipt import InputDigest
from ..model.source import BeforeRead, Input, Root, SourceRoots, Stamp
from ..planning.kept import list_kept_cells
from ..planning.labels import list_label_keys
from ..planning.targets import Wanted, raw_key
from ..planning.triggers import list_clock_keys
from ..storage.state import DigestCache, Lock, RunToken


@dataclass(frozen=True, slots=True)
class Watch:
    """Sees to it that a result is of the files whose digests it states.

    `stamps` holds what the raw files were like before they were first looked at; those that
    only the plan names (command files, members of a set) join them before they are read again.
    `places` are the roots that the remembered inputs lie in.
    """

    cache: DigestCache
    stamps: dict[str, Stamp]
    lock: Lock | RunToken | None
    sources: Callable[[], SourceRoots]
    places: dict[str, Root] = field(default_factory=dict)

    def remember(self, roots: SourceRoots, inputs: Sequence[Input]) -> str:
        """Take the stamps of all inputs of a plan; a digest of them. Raises `Problem` (``file.changed``)."""
        for touched in inputs:
            # Looked up here, one after the other: many threads that ask a bucket at once ask more often.
            source = roots.locate(touched.key)
            self.places[touched.key] = source.root
            if touched.key not in self.stamps:
                self.stamps[touched.key] = source.stamp(touched.key)
            if Input.of(touched.key, self.stamps[touched.key]) != touched:
                raise problem("file.changed", f"{touched.key} changed while it was read", file=touched.key)
        return digest([[touched.key, *self.stamps[touched.key]] for touched in inputs])

    def digest(self, roots: SourceRoots, touched: Input, before_read: BeforeRead) -> InputDigest:
        """Digest of a remembered input. Raises `Problem` (``file.changed``)."""
        root = self.places.get(touched.key) or roots.locate(touched.key).root
        return self.cache.get_raw_digest(root, touched.key, self.stamps[touched.key], before_read)

    def confirm(self) -> None:
        """See that nothing changed. Raises `Problem` (``file.changed``, ``dataset.locked``)."""
        roots = self.sources()
        for key, before in self.stamps.items():
            try:
                same = roots.locate(key).stamp(key) == before
            except Problem:
                same = False
            if not same:
                raise problem("file.changed", f"{key} changed while it was converted", file=key)
        if self.lock:
            self.lock.check()


def take_stamps(wanted: Wanted, config: Config) -> dict[str, Stamp]:
    """The raw files of a target as they are before any is opened."""
    found = {}
    roots = config.sources()
    keys = [cell.key for cell in list_kept_cells(wanted, config.profile)]
    for name, record in (*wanted.jobs, *wanted.clocks):
        keys.append(raw_key(name, record, config.profile))
    keys += sorted(list_clock_keys(keys, config) | list_label_keys(wanted, config.profile))
    for key in keys:
        try:
            source = roots.locate(key)
            for member in source.list_keys():
                found[member] = source.stamp(member)
        except (Problem, OSError):
            continue  # planning tells of it
    return found
