"""What a release is made of: files and folders under logical names, with their digests."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from ..model.budget import parse_json
from ..model.finding import Problem, problem
from ..model.plan import canonical
from ..model.source import check_key, confine
from .parallel import run_all

RESERVED = "releases"
# Suffixes of more than one part, before which a revision is inserted whole.
_COMPOUND = re.compile(r"(\.ome\.zarr|\.ome\.tiff?|\.nwb\.zarr|\.tar\.\w+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class FileDigest:
    """A file of an asset: its path in a folder asset (``""`` for a file asset), size in bytes, SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Asset:
    """One NWB file, one whole OME-Zarr folder, or one raw file or folder.

    Attributes
    ----------
    name
        Logical name in the release, ``lab/YYYYMMDD/object-type/version-or-format/name``.
    kind
        ``nwb``, ``ome-zarr``, ``raw``, ...: told to readers, not interpreted.
    path
        The local file or folder.
    provenance
        JSON-able summary that goes into the release manifest (labs, sessions).
    files
        The files that it has, with their digests, where these are known: then nothing else that lies
        in the folder is sent, and a file that has other bytes is refused while it is sent. None: what
        lies there is walked and digested.
    """

    name: str
    kind: str
    path: Path
    provenance: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[FileDigest, ...] | None = None


@dataclass(frozen=True, slots=True)
class Digested:
    """An asset with the digest of its content.

    Attributes
    ----------
    files
        Sorted by path.
    sha256
        Of the file; for a folder, of its manifest's bytes.
    manifest
        JSON Lines, one file a line; None for a file asset.
    """

    asset: Asset
    files: tuple[FileDigest, ...]
    sha256: str
    manifest: bytes | None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def local(self, file: FileDigest) -> Path:
        """Where a file lies on this machine."""
        return self.asset.path / file.path if file.path else self.asset.path


def digest_assets(assets: Iterable[Asset], digests: Callable[[Path], str]) -> Iterator[Digested]:
    """Digest every file, several at once; assets come out in the order given.

    Raises
    ------
    Problem
        ``release.asset``: nothing at the path, an empty folder, a name that no store can
        hold; ``path.outside``: a link that leaves the asset's folder.
    """
    jobs = ((asset, member) for asset in assets for member in (asset.files or _members(asset)))

    def work(job: tuple[Asset, FileDigest | str]) -> tuple[Asset, FileDigest]:
        asset, member = job
        if isinstance(member, FileDigest):
            return asset, member
        path = asset.path / member if member else asset.path
        try:
            return asset, FileDigest(member, path.stat().st_size, digests(path))
        except FileNotFoundError:
            raise vanished(path) from None

    done = run_all(work, jobs, workers=os.cpu_count() or 4)
    for _name, group in groupby(done, key=lambda pair: pair[0].name):
        pairs = tuple(group)
        asset, files = pairs[0][0], tuple(file for _, file in pairs)
        if not files[0].path:
            yield Digested(asset, files, files[0].sha256, None)
        else:
            manifest = manifest_bytes(files)
            yield Digested(asset, files, hashlib.sha256(manifest).hexdigest(), manifest)


def vanished(path: Path) -> Problem:
    """A file of an asset is no longer there."""
    return problem("release.changed", f"{path} vanished while it was being published", file=str(path))


def _members(asset: Asset) -> tuple[str, ...]:
    """Relative paths of a folder's files, sorted; ``("",)`` for a file."""
    if asset.path.is_file():
        return ("",)
    if not asset.path.is_dir():
        raise problem("release.asset", f"{asset.name}: nothing lies at {asset.path}", file=str(asset.path))
    found = []
    for relative, entry in _walk(asset.path):
        _check_name(relative, asset.name)
        if entry.is_symlink():
            confine(asset.path, relative)
        if not entry.is_file():
            raise problem(
                "release.asset",
                f"{asset.name}: {relative} is neither a file nor a folder of its own",
                hint="Replace the link by what it points to; a release holds plain files only.",
                file=str(asset.path),
            )
        found.append(relative)
    if not found:
        raise problem("release.asset", f"{asset.name}: the folder {asset.path} holds no files", file=str(asset.path))
    return tuple(sorted(found))


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder but its own folders, with its relative path; links are not followed."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{prefix}{entry.name}/")
                else:
                    yield f"{prefix}{entry.name}", entry


def check_assets(assets: Sequence[Asset]) -> None:
    """Check logical names: safe, unique, none inside another, none under ``releases/``.

    Raises
    ------
    Problem
        ``release.empty`` or ``release.asset``.
    """
    if not assets:
        raise problem("release.empty", "there is nothing to publish: no asset was selected")
    seen: set[str] = set()
    for asset in assets:
        _check_name(asset.name, asset.name)
        if asset.name.endswith("/") or asset.name.split("/", 1)[0] == RESERVED:
            raise problem("release.asset", f"{asset.name!r} is no name for an asset", file=str(asset.path))
        if asset.name in seen:
            raise problem("release.asset", f"two assets bear the name {asset.name}", file=str(asset.path))
        seen.add(asset.name)
    for asset in assets:
        outer = next((str(p) for p in PurePosixPath(asset.name).parents if str(p) in seen), None)
        if outer:
            raise problem("release.asset", f"the asset {asset.name} lies inside the asset {outer}")


def _check_name(name: str, asset: str) -> None:
    try:
        check_key(name)
        name.encode()
    except Problem as error:
        raise problem("release.asset", f"{asset}: {error.finding.message}", file=asset) from None
    except UnicodeEncodeError:
        raise problem("release.asset", f"{asset}: the name {name!r} is not valid Unicode", file=asset) from None


def manifest_bytes(files: Iterable[FileDigest]) -> bytes:
    """The manifest of a folder asset: canonical JSON Lines, sorted by path."""
    lines = (canonical({"path": f.path, "size": f.size, "sha256": f.sha256}) for f in sorted(files))
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def read_manifest(data: bytes, place: str = "") -> tuple[FileDigest, ...]:
    """The reverse of `manifest_bytes`.

    Raises
    ------
    Problem
        ``release.unreadable``: the bytes are no manifest, or a path would lie outside the asset.
    """
    try:
        rows = (parse_json(line) for line in data.splitlines())
        files = tuple(FileDigest(row["path"], row["size"], row["sha256"]) for row in rows)
        for file in files:
            if not isinstance(file.size, int) or not isinstance(file.sha256, str) or not isinstance(file.path, str):
                raise TypeError(f"a line names no file: {file}")
            check_key(file.path)
    except (Problem, KeyError, TypeError, ValueError) as error:
        raise problem("release.unreadable", f"{place} is no manifest of files: {error}", file=place) from error
    return files


def revision_key(name: str, revision: int, *, folder: bool) -> str:
    """The physical key of a revision: ``a/x.nwb`` is 1, ``a/x.r2.nwb`` is 2.

    A folder's name has no suffix, so that ``2025.06.20`` becomes ``2025.06.20.r2``, unless it ends in ``.zarr``.
    """
    if revision == 1:
        return name
    parent, slash, last = name.rpartition("/")
    compound = _COMPOUND.search(last)
    if compound and compound.start() > 0:
        cut = compound.start()
    elif folder and not last.lower().endswith(".zarr"):
        cut = len(last)
    else:
        cut = len(last) - len(PurePosixPath(last).suffix)
    return f"{parent}{slash}{last[:cut]}.r{revision}{last[cut:]}"
