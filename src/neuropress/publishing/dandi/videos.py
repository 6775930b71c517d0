"""Videos of sessions: they lie where ``dandi organize`` places them, and a copy of the session's file names them so.

A result names a video by the path that leads to it in a release, and that path leads out of a dandiset. What was proven
is not written to: a copy is, and all else of it is compared with the result.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

from ...archive.dandiset import check_path
from ...archive.digests import check_size
from ...model.finding import Problem, problem
from ...model.progress import Progress
from ...model.receipt import InputDigest
from ...release import Asset, FileDigest
from ...results import load_kind
from ...storage.content import read_verified_parts
from .tree import NWB, PlacedResult, Tree

COPIES = "copies"
"""Folder of the dataset's state."""
PIECE = 8 * 2**20

type FindRaw = Callable[[str, InputDigest], Asset]
"""A raw file by its key, with the digest that a result was made of. Raises `Problem` where it may not be sent."""


def place_videos(tree: Tree, find_raw: FindRaw) -> None:
    """Add the videos of all sessions to a tree; each session learns which paths its copy shall name."""
    placed = []
    for one in tree.placed:
        try:
            placed += _place_videos_of(one, find_raw) if one.series else [one]
        except Problem as bad:
            tree.findings.append(bad.finding.at(**one.row))
    tree.placed = placed


def _place_videos_of(session: PlacedResult, find_raw: FindRaw) -> list[PlacedResult]:
    """The session and its videos. Raises `Problem` (``dandi.video``), also what `find_raw` raises."""
    asset, row = session.asset, session.row
    videos: list[PlacedResult] = []
    renamed: dict[str, tuple[str, ...]] = {}
    inputs = load_kind(NWB).read_provenance(_locate(asset)).receipt.inputs
    folder, name = posixpath.split(session.path)
    for one in session.series:
        paths = []
        for number, path in enumerate(one.paths):
            key = posixpath.normpath(posixpath.join(posixpath.dirname(asset.name), path))
            if "://" in path:
                paths.append(path)
                continue
            if key not in inputs:
                message = f"{asset.name}: {one.place} names {path}, where no raw file of the session lies"
                raise problem("dandi.video", message, file=asset.name, value=path)
            suffix = posixpath.splitext(path)[1].lower()
            paths.append(f"{name.removesuffix('.nwb')}/{one.object_id}_external_file_{number}{suffix}")
            video = find_raw(key, inputs[key])
            check_size(key, inputs[key].size)
            check_path(f"{folder}/{paths[-1]}")
            videos.append(PlacedResult(f"{folder}/{paths[-1]}", video, session.subject, row))
        if tuple(paths) != one.paths:
            renamed[one.place] = tuple(paths)
    return [replace(session, renamed=renamed), *videos]


@contextmanager
def make_copies(placed: Sequence[PlacedResult], state: Path, progress: Progress) -> Iterator[list[PlacedResult]]:
    """What is sent: of sessions whose videos lie elsewhere in the dandiset copies, which are deleted in the end.

    Raises
    ------
    Problem
        ``storage.changed``: a result is not what was proven; ``dandi.copy``.
    """
    folder = state / COPIES
    rmtree(folder, ignore_errors=True)  # of a run that was killed
    try:
        yield [_copy_session(one, folder, progress) if one.renamed else one for one in placed]
    finally:
        rmtree(folder, ignore_errors=True)


def _copy_session(session: PlacedResult, folder: Path, progress: Progress) -> PlacedResult:
    from ...results.nwb.external import rename_external_files

    (file,) = session.asset.files or ()
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{file.sha256}.nwb"
    with copy.open("wb") as written:
        for part in read_verified_parts(session.asset.get_member(""), PIECE, file.sha256, progress):
            written.write(part)
    rename_external_files(copy, _locate(session.asset), session.renamed)
    with copy.open("rb") as made:
        digest = FileDigest("", copy.stat().st_size, hashlib.file_digest(made, "sha256").hexdigest())
    return replace(session, asset=replace(session.asset, content=copy, files=(digest,)), proven=file.sha256)


def _locate(session: Asset) -> Path:
    assert isinstance(session.content, Path), "sessions lie on this machine, or were fetched"
    return session.content
