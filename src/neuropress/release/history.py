"""One line of releases: each has one successor at most, whoever publishes, whenever they are cut off.

Putting ``releases/next/<parent>.json`` on condition that there is none is the commit. It holds
the manifest's bytes, so that a publisher which dies right after it leaves nothing undone for
good: whoever comes next puts ``releases/<number>.json``, by which readers find the release,
in its place. A publisher whose parent has a successor already gets an error and commits nothing.
"""

from __future__ import annotations

from ..model.finding import Problem, problem
from ..model.plan import canonical
from ..storage.store import Store, StoreUnavailable
from .manifest import (
    FOLDER,
    LATEST,
    Release,
    format_readme,
    get_next_number,
    list_release_numbers,
    load_release,
    parse_number,
)

ROOT = "root"
"""Stands for the parent of the first release."""


def make_successor_key(parent: str | None) -> str:
    """Key of the object that binds a release, by number, to its one successor; None: to the first release."""
    return f"{FOLDER}/next/{parent or ROOT}.json"


def load_successor(store: Store, parent: str | None) -> Release | None:
    """The release that was committed after `parent`; None when there is none."""
    key = make_successor_key(parent)
    data = store.get(key)
    return None if data is None else Release.from_bytes(data, f"{store.url}/{key}")


def commit_release(store: Store, release: Release) -> bool:
    """Commit a release whose data lies in the store. False when an equal one was committed meanwhile.

    Raises
    ------
    Problem
        ``release.superseded``: its parent has another successor; ``release.taken``: something else
        bears its number.
    """
    parent = release.parent.number if release.parent else None
    data = release.to_bytes()
    if not store.create(make_successor_key(parent), data):
        held = load_successor(store, parent)
        if held is None:
            raise StoreUnavailable(f"{store.url}: {make_successor_key(parent)} cannot be read back after writing it")
        finish_commit(store, held)
        # Equal bytes are ours: an answer was lost, or an earlier attempt was cut off.
        if held.to_bytes() != data:
            if held.number != release.number:
                raise _make_superseded_problem(store, release, held)
            if not held.has_same_content(release):
                raise make_taken_problem(store, held.number)
            return False
    finish_commit(store, release)
    return True


def finish_commit(store: Store, release: Release) -> None:
    """What follows from a commit: the manifest under its number, the text for people, the hint.

    Raises
    ------
    Problem
        ``release.taken``: something else bears the number.
    """
    if not store.create(release.key, release.to_bytes()):
        held = load_release(store, release.number)
        if held is None:
            raise StoreUnavailable(f"{store.url}: {release.key} cannot be read back after writing it")
        if held.to_bytes() != release.to_bytes():
            raise problem(
                "release.taken",
                f"{store.url}: {release.key} is not the release that was committed under this number",
                hint=f"Move {release.key} away; {make_successor_key(None)} and its like hold what was committed.",
                value=release.number,
            )
    write_readme_and_hint(store, release)


def write_readme_and_hint(store: Store, release: Release) -> None:
    """Text for people and the hint at the newest release: only after the commit, so neither names a loser."""
    store.replace(f"{FOLDER}/{release.number}/README.md", format_readme(release, store.url).encode("utf-8"))
    newest = release
    while True:
        hint = {"number": newest.number, "sha256": newest.sha256}
        store.replace(LATEST, f"{canonical(hint)}\n".encode("ascii"))
        # Whoever committed meanwhile may have put the hint before us: it must not stay at the older.
        after = load_successor(store, newest.number)
        if after is None:
            return
        newest = after


def make_taken_problem(store: Store, number: str) -> Problem:
    """A number is that of a committed release with other content."""
    # A listing may come late, so the number that is known to be taken counts in any case.
    newest = list_release_numbers((*store.list_names(FOLDER)[0], f"{number}.json"))[-1]
    return problem(
        "release.taken",
        f"release {number} is already committed at {store.url} with other content",
        hint=f"A new release has {newest} as its parent; the next free number is {get_next_number(newest)}.",
        value=number,
    )


def _make_superseded_problem(store: Store, release: Release, held: Release) -> Problem:
    before = f"after {held.parent.number}" if held.parent else "as the first"
    later = parse_number(release.number) > parse_number(held.number)
    again = "Run the same command again" if later else f"Publish again with --release {get_next_number(held.number)}"
    return problem(
        "release.superseded",
        f"release {held.number} was committed {before} at {store.url} while {release.number} was being published",
        hint=f"{again}: {held.number} is the new parent, and what was sent is not sent again.",
        value=release.number,
    )
