"""Versioned, immutable releases in a bucket or a folder: data first, commit last.

===============  =====================================================================
module           what it holds
===============  =====================================================================
:mod:`.assets`   `Asset`: one file or folder of a release; digests and file manifests
:mod:`.manifest` `Release`, `AssetEntry`: the release manifest, and release numbers
:mod:`.history`  `commit_release`: the one line of releases, and what follows from a commit
:mod:`.commit`   `publish_assets`, or in steps: `open_destination`, `draft_release`, `publish_draft`
:mod:`.sending`  physical keys, and what lies under them: each new content is sent once
:mod:`.read`     `list_releases`, `read_release`, `OpenRelease`
:mod:`.fetch`    `download_assets`: assets into a folder, each file compared with its digest
:mod:`.audit`    `audit_releases`, `verify_release`: whether a store holds what was published
===============  =====================================================================

Layout below the URL::

    <logical name>                       data, under its natural key
    <logical name with .r2, .r3, ...>    a later content of the same logical name
    releases/next/<parent>.json          the one release that follows another; putting it is the commit
    releases/<number>.json               the same manifest, by which readers find it
    releases/<number>/README.md          the same for people
    releases/latest.json                 a hint, never relied upon
    releases/manifests/<sha256>.jsonl    files of a folder asset, named by their own digest
    releases/claims/<digest>.json        which content a physical key was given to, for good
    releases/partial/                    folders only: files being copied; remains of killed copies
"""

from ..storage.store import StoreUnavailable
from .assets import Asset, FileDigest
from .audit import Audit, audit_releases, check_hint, verify_release
from .commit import (
    Destination,
    Draft,
    PublishResult,
    check_destination,
    draft_release,
    open_destination,
    publish_assets,
    publish_draft,
)
from .fetch import download_assets
from .read import OpenRelease, is_release, list_releases, open_release, read_release

__all__ = [
    "Asset",
    "Audit",
    "Destination",
    "Draft",
    "FileDigest",
    "OpenRelease",
    "PublishResult",
    "StoreUnavailable",
    "audit_releases",
    "check_destination",
    "check_hint",
    "download_assets",
    "draft_release",
    "is_release",
    "list_releases",
    "open_destination",
    "open_release",
    "publish_assets",
    "publish_draft",
    "read_release",
    "verify_release",
]
