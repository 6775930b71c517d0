"""Publish: data first, commit last; what the parent release holds is not sent again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..model.finding import problem
from ..model.plan import canonical
from ..model.source import sha256_file
from .assets import Asset, Digested, check_assets, digest_assets
from .aws import check_endpoint
from .catalog import FOLDER, Entry, Parent, Release, load_release, next_number, parse_number
from .catalog import release_numbers as numbers_among
from .history import announce, commit, taken
from .sending import Sent, entry_of, send_assets
from .store import Progress, Store, StoreUnavailable, bucket_and_prefix, local_folder, open_store


@dataclass(frozen=True, slots=True)
class Published:
    """What `publish` did, or with `dry_run` would do.

    Attributes
    ----------
    url, number, key
        Of the release; `key` is its manifest's, below the URL.
    parent
        Number of the release before it.
    committed
        False for a dry run, and when an equal release was there already.
    objects, bytes
        Data files that went out; manifests and claims are not counted.
    present
        Data files of new or changed assets that an earlier attempt had already sent.
    assets, new, changed, unchanged
        Number of assets, all and against the parent.
    """

    url: str
    number: str
    key: str
    parent: str | None
    committed: bool
    objects: int
    bytes: int
    present: int
    assets: int
    new: int
    changed: int
    unchanged: int


def publish(
    assets: Sequence[Asset],
    store_url: str,
    number: str,
    *,
    title: str,
    license: str,
    notes: Mapping[str, Any] | None = None,
    inherit: Callable[[str, Entry], bool] = lambda name, entry: False,
    digests: Callable[[Path], str] = sha256_file,
    progress: Progress = lambda sent: None,
    endpoint: str | None = None,
    dry_run: bool = False,
    dataset: Path | None = None,
) -> Published:
    """Publish assets as one immutable release.

    Parameters
    ----------
    store_url
        ``s3://bucket/prefix`` or a folder.
    number
        Semantic ``1.2.3`` or calendar ``2025.06.20``, above every committed one.
    notes
        JSON-able remarks written into the release (overrides, selections).
    inherit
        Whether an asset of the parent release, which is not among `assets`, is taken over from it.
        Everything else that is not among them is no longer part of the release.
    digests
        SHA-256 (hex) of a local file; may come from a cache. Called from several threads.
    progress
        Called from several threads with the bytes just sent.
    dataset
        The dataset's folder, which the target folder must neither lie in nor hold.

    Raises
    ------
    Problem
        ``release.*``: bad input, a taken number, access denied.
    StoreUnavailable
        The network or the machine failed; the same call resumes.
    """
    _check(assets, store_url, number, license, dataset)
    store = _open(store_url, endpoint, dry_run)
    names, folders = store.names(FOLDER) if store else ((), ())
    base = _base(store, number, numbers_among(names)) if store else None

    entries, differing = _compare(assets, base, digests)
    entries |= _inherited(base, entries, inherit)
    plain_notes = json.loads(canonical(dict(notes or {})))  # as it will be read back
    release = Release(number, title, license, entries, Parent(base.number, base.sha256) if base else None, plain_notes)
    if store and base and base.number == number:
        if not release.says_the_same(base):
            raise taken(store, number)
        if number not in folders and not dry_run:  # an earlier attempt ended right after its commit
            announce(store, base)
        return _report(store_url, base, base, (), Sent())
    if dry_run or not store:
        would = Sent(sum(len(d.files) for d in differing), sum(d.size for d in differing))
        return _report(store_url, release, base, differing, would)
    sent = Sent()
    release = replace(release, assets={**entries, **send_assets(store, differing, sent, progress)})
    committed = commit(store, release)
    return replace(_report(store_url, release, base, differing, sent), committed=committed)


def _compare(
    assets: Sequence[Asset], base: Release | None, digests: Callable[[Path], str]
) -> tuple[dict[str, Entry], list[Digested]]:
    """Entries of all assets, and those whose bytes differ from what the base release holds."""
    entries: dict[str, Entry] = {}
    differing: list[Digested] = []
    for digested in digest_assets(sorted(assets, key=lambda asset: asset.name), digests):
        name = digested.asset.name
        old = base.assets.get(name) if base else None
        entries[name] = entry_of(digested, old.key if old else name)
        if not old or (old.sha256, old.manifest) != (digested.sha256, entries[name].manifest):
            differing.append(digested)
    return entries, differing


def _inherited(
    base: Release | None, entries: Mapping[str, Entry], inherit: Callable[[str, Entry], bool]
) -> dict[str, Entry]:
    if base is None:
        return {}
    return {name: entry for name, entry in base.assets.items() if name not in entries and inherit(name, entry)}


def _open(url: str, endpoint: str | None, dry_run: bool) -> Store | None:
    """The store; None for a dry run against a folder that is not there yet."""
    folder = local_folder(url)
    if dry_run and folder and not folder.exists():
        return None
    return open_store(url, endpoint, write=not dry_run)


def check_order(url: str, number: str, endpoint: str | None = None) -> None:
    """Refuse what no store could take: a URL, a number or an endpoint that is none.

    Raises
    ------
    Problem
        ``release.number``, ``release.url`` or ``release.endpoint``.
    """
    parse_number(number)
    if local_folder(url) is None:
        bucket_and_prefix(url)
    if endpoint:
        check_endpoint(endpoint)


def _check(assets: Sequence[Asset], url: str, number: str, license: str, dataset: Path | None) -> None:
    """What can be refused before the store is asked."""
    parse_number(number)
    if not license.strip():
        raise problem("release.license", f"release {number} has no licence")
    check_assets(assets)
    target = local_folder(url)
    if target is None:
        return
    for source in (*([dataset] if dataset else []), *(asset.path for asset in assets)):
        path = source.resolve()
        if target.is_relative_to(path) or path.is_relative_to(target):
            raise problem("release.target", f"the target folder {target} and {path} lie inside one another")


def parent_release(url: str, number: str, endpoint: str | None = None) -> tuple[Store, Release] | None:
    """The release that `number` would be compared with, and where it lies; None when it would be the first.

    Raises
    ------
    Problem
        ``release.order``: the number does not come after the newest.
    """
    store = _open(url, endpoint, dry_run=True)
    base = _base(store, number, numbers_among(store.names(FOLDER)[0])) if store else None
    return (store, base) if store and base else None


def _base(store: Store, number: str, numbers: Sequence[str]) -> Release | None:
    """The release to compare with: the one of that number, or else the newest, which will be the parent."""
    if not numbers:
        return None
    newest = numbers[-1]
    if number not in numbers and parse_number(number) <= parse_number(newest):
        raise problem(
            "release.order",
            f"{number} does not come after {newest}, the newest release at {store.url}",
            hint=f"The next free number is {next_number(newest)}.",
            value=number,
        )
    base = load_release(store, number if number in numbers else newest)
    if base is None:
        raise StoreUnavailable(f"{store.url}: a release that is listed cannot be read: {newest}")
    return base


def _report(url: str, release: Release, base: Release | None, differing: Sequence[Digested], sent: Sent) -> Published:
    changed = sum(1 for d in differing if base and d.asset.name in base.assets)
    return Published(
        url=url,
        number=release.number,
        key=release.key,
        parent=release.parent.number if release.parent else None,
        committed=False,
        objects=sent.objects,
        bytes=sent.size,
        present=sent.present,
        assets=len(release.assets),
        new=len(differing) - changed,
        changed=changed,
        unchanged=len(release.assets) - len(differing),
    )
