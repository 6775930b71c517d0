"""Versioned, immutable releases in a bucket or a folder: data first, commit last.

===============  =====================================================================
module           what it holds
===============  =====================================================================
:mod:`.assets`   `Asset`: one file or folder of a release; digests and file manifests
:mod:`.aws`      endpoint, region and credentials by the usual AWS chain
:mod:`.store`    `open_store`, `Store`: the one door to a bucket or a folder
:mod:`.manifest` `Release`, `Entry`: the release manifest, and release numbers
:mod:`.history`  the one line of releases: commit, and what follows from it
:mod:`.commit`   `publish`, or in steps: `open_place`, `draft_release`, `publish_draft`
:mod:`.read`     `list_releases`, `read_release`, `OpenRelease`
:mod:`.fetch`    `download`: assets into a folder, each file compared with its digest
:mod:`.audit`    `audit`, `verify_release`: whether a store holds what was published
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
from .audit import Audit, audit, check_hint, verify_release
from .commit import Draft, Place, Published, check_order, draft_release, open_place, publish, publish_draft
from .fetch import download
from .read import OpenRelease, is_release, list_releases, open_release, read_release

__all__ = [
    "Asset",
    "Audit",
    "Draft",
    "FileDigest",
    "OpenRelease",
    "Place",
    "Published",
    "StoreUnavailable",
    "audit",
    "check_hint",
    "check_order",
    "download",
    "draft_release",
    "is_release",
    "list_releases",
    "open_place",
    "open_release",
    "publish",
    "publish_draft",
    "read_release",
    "verify_release",
]
