"""Publish: data first, commit last; what the parent release holds is not sent again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..model.finding import problem
from ..model.plan import canonical
from ..model.progress import begin_step, expect_bytes
from ..storage.aws import check_endpoint
from ..storage.files import digest_file
from ..storage.store import Progress, Store, StoreUnavailable, get_local_folder, open_store, parse_bucket_url
from .assets import Asset, DigestedAsset, check_assets, digest_assets
from .history import commit_release, make_taken_problem, write_readme_and_hint
from .manifest import (
    FOLDER,
    AssetEntry,
    Parent,
    Release,
    get_next_number,
    list_release_numbers,
    load_release,
    parse_number,
)
from .sending import SendCounts, make_entry, send_assets


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What `publish_assets` did, or with `dry_run` would do.

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


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a release will lie, and the release that it is compared with.

    Attributes
    ----------
    store
        None for a dry run against a folder that is not there yet.
    parent
        The newest release, or the one of the same number; None for the first.
    readmes
        Numbers of the releases that have their text for people.
    """

    url: str
    number: str
    store: Store | None
    parent: Release | None
    readmes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A release before it is sent: all its entries, and the assets whose bytes the parent does not hold."""

    destination: Destination
    entries: Mapping[str, AssetEntry]
    differing: tuple[DigestedAsset, ...]


def open_destination(url: str, number: str, *, endpoint: str | None = None, dry_run: bool = False) -> Destination:
    """Look up where a release will lie, and its parent.

    Raises
    ------
    Problem
        ``release.number``, ``storage.url``, ``release.order`` (the number is not above the newest), access denied.
    """
    parse_number(number)
    store = _open_target(url, endpoint, dry_run)
    names, folders = store.list_names(FOLDER) if store else ((), ())
    parent = _load_base(store, number, list_release_numbers(names)) if store else None
    return Destination(url, number, store, parent, folders)


def draft_release(
    destination: Destination,
    assets: Sequence[Asset],
    *,
    inherit: Callable[[str, AssetEntry], bool] = lambda name, entry: False,
    digests: Callable[[Path], str] = digest_file,
    dataset: Path | None = None,
) -> Draft:
    """Digest assets and compare them with the parent. Nothing is sent.

    Parameters
    ----------
    inherit
        Whether an asset of the parent release, which is not among `assets`, is taken over from it.
        Everything else that is not among them is no longer part of the release.
    digests
        SHA-256 (hex) of a local file; may come from a cache. Called from several threads.
    dataset
        The dataset's folder, which the target folder must neither lie in nor hold.

    Raises
    ------
    Problem
        ``release.asset``, ``release.empty``, ``release.target``.
    """
    check_assets(assets)
    _check_target(destination.url, assets, dataset)
    entries, differing = _compare_with_parent(assets, destination.parent, digests)
    return Draft(destination, {**entries, **_select_inherited(destination.parent, entries, inherit)}, tuple(differing))


def publish_draft(
    draft: Draft,
    *,
    title: str,
    license: str,
    notes: Mapping[str, Any] | None = None,
    progress: Progress = lambda sent: None,
    dry_run: bool = False,
) -> PublishResult:
    """Send what differs from the parent and commit. Parameters and errors: see `publish_assets`."""
    destination = draft.destination
    store, base = destination.store, destination.parent
    if not license.strip():
        raise problem("release.license", f"release {destination.number} has no licence")
    plain_notes = json.loads(canonical(dict(notes or {})))  # as it will be read back
    parent = Parent(base.number, base.sha256) if base else None
    release = Release(destination.number, title, license, draft.entries, parent, plain_notes)
    if store and base and base.number == destination.number:
        if not release.has_same_content(base):
            raise make_taken_problem(store, destination.number)
        # Without its text for people, an earlier attempt ended right after its commit.
        if destination.number not in destination.readmes and not dry_run:
            write_readme_and_hint(store, base)
        return _make_result(destination.url, base, base, (), SendCounts())
    if dry_run or not store:
        would = SendCounts(sum(len(d.files) for d in draft.differing), sum(d.size for d in draft.differing))
        return _make_result(destination.url, release, base, draft.differing, would)
    sent = SendCounts()
    begin_step(progress, "send")
    expect_bytes(progress, sum(asset.size for asset in draft.differing))
    release = replace(release, assets={**draft.entries, **send_assets(store, draft.differing, sent, progress)})
    committed = commit_release(store, release)
    return replace(_make_result(destination.url, release, base, draft.differing, sent), committed=committed)


def publish_assets(
    assets: Sequence[Asset],
    store_url: str,
    number: str,
    *,
    title: str,
    license: str,
    notes: Mapping[str, Any] | None = None,
    inherit: Callable[[str, AssetEntry], bool] = lambda name, entry: False,
    digests: Callable[[Path], str] = digest_file,
    progress: Progress = lambda sent: None,
    endpoint: str | None = None,
    dry_run: bool = False,
    dataset: Path | None = None,
) -> PublishResult:
    """Publish assets as one immutable release.

    Parameters
    ----------
    store_url
        ``s3://bucket/prefix`` or a folder.
    number
        Semantic ``1.2.3`` or calendar ``2025.06.20``, above every committed one.
    notes
        JSON-able remarks written into the release (overrides, selections).
    inherit, digests, dataset
        See `draft_release`.
    progress
        Called from several threads with the bytes just sent.

    Raises
    ------
    Problem
        ``release.*``: bad input, a taken number, access denied.
    StoreUnavailable
        The network or the machine failed; the same call resumes.
    """
    parse_number(number)
    if not license.strip():
        raise problem("release.license", f"release {number} has no licence")
    check_assets(assets)
    _check_target(store_url, assets, dataset)
    destination = open_destination(store_url, number, endpoint=endpoint, dry_run=dry_run)
    draft = draft_release(destination, assets, inherit=inherit, digests=digests, dataset=dataset)
    return publish_draft(draft, title=title, license=license, notes=notes, progress=progress, dry_run=dry_run)


def _compare_with_parent(
    assets: Sequence[Asset], base: Release | None, digests: Callable[[Path], str]
) -> tuple[dict[str, AssetEntry], list[DigestedAsset]]:
    """Entries of all assets, and those whose bytes differ from what the base release holds."""
    entries: dict[str, AssetEntry] = {}
    differing: list[DigestedAsset] = []
    for digested in digest_assets(sorted(assets, key=lambda asset: asset.name), digests):
        name = digested.asset.name
        old = base.assets.get(name) if base else None
        entries[name] = make_entry(digested, old.key if old else name)
        if not old or (old.sha256, old.manifest) != (digested.sha256, entries[name].manifest):
            differing.append(digested)
    return entries, differing


def _select_inherited(
    base: Release | None, entries: Mapping[str, AssetEntry], inherit: Callable[[str, AssetEntry], bool]
) -> dict[str, AssetEntry]:
    if base is None:
        return {}
    return {name: entry for name, entry in base.assets.items() if name not in entries and inherit(name, entry)}


def _open_target(url: str, endpoint: str | None, dry_run: bool) -> Store | None:
    """The store; None for a dry run against a folder that is not there yet."""
    folder = get_local_folder(url)
    if dry_run and folder and not folder.exists():
        return None
    return open_store(url, endpoint, write=not dry_run)


def check_destination(url: str, number: str, endpoint: str | None = None) -> None:
    """Refuse what no store could take: a URL, a number or an endpoint that is none.

    Raises
    ------
    Problem
        ``release.number``, ``storage.url`` or ``storage.endpoint``.
    """
    parse_number(number)
    if get_local_folder(url) is None:
        parse_bucket_url(url)
    if endpoint:
        check_endpoint(endpoint)


def _check_target(url: str, assets: Sequence[Asset], dataset: Path | None) -> None:
    """Refuse a target folder that holds what is published, or lies in it."""
    target = get_local_folder(url)
    if target is None:
        return
    contents = (asset.content for asset in assets)
    for source in (*([dataset] if dataset else []), *(path for path in contents if isinstance(path, Path))):
        path = source.resolve()
        if target.is_relative_to(path) or path.is_relative_to(target):
            raise problem("release.target", f"the target folder {target} and {path} lie inside one another")


def _load_base(store: Store, number: str, numbers: Sequence[str]) -> Release | None:
    """The release to compare with: the one of that number, or else the newest, which will be the parent."""
    if not numbers:
        return None
    newest = numbers[-1]
    if number not in numbers and parse_number(number) <= parse_number(newest):
        raise problem(
            "release.order",
            f"{number} does not come after {newest}, the newest release at {store.url}",
            hint=f"The next free number is {get_next_number(newest)}.",
            value=number,
        )
    base = load_release(store, number if number in numbers else newest)
    if base is None:
        raise StoreUnavailable(f"{store.url}: a release that is listed cannot be read: {newest}")
    return base


def _make_result(
    url: str, release: Release, base: Release | None, differing: Sequence[DigestedAsset], sent: SendCounts
) -> PublishResult:
    changed = sum(1 for d in differing if base and d.asset.name in base.assets)
    return PublishResult(
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
