"""Bring assets of a release to a folder, each file compared with its digest before it has its name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from ..model.finding import problem
from ..model.progress import Progress, expect_bytes
from ..storage.files import digest_file
from ..storage.parallel import run_all
from .assets import FileDigest
from .read import OpenRelease

WORKERS = 8
PIECE = 4 * 2**20


def download_assets(release: OpenRelease, places: Mapping[str, Path], progress: Progress) -> int:
    """Fetch assets; a file that is there already with the right bytes is left alone, and none is written over.

    Parameters
    ----------
    places
        Logical name of an asset -> the file or folder that it becomes.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    Problem
        ``release.differs`` or ``release.lost``: nothing wrong gets its name; ``release.occupied``: a file
        with other bytes is there, which somebody changed, for a cut-off download has no final name.
    """
    jobs = [
        (name, file, place / file.path if file.path else place)
        for name, place in places.items()
        for file in release.list_files(name)
    ]
    expect_bytes(progress, sum(file.size for _, file, _ in jobs))
    for _ in run_all(lambda job: _download_file(release, *job, progress), jobs, WORKERS):
        pass
    return len(jobs)


def _download_file(release: OpenRelease, name: str, file: FileDigest, path: Path, progress: Progress) -> None:
    if os.path.lexists(path):
        if path.is_symlink() or not path.is_file() or digest_file(path) != file.sha256:
            raise problem("release.occupied", f"{path} is there and is not what the release holds", file=str(path))
        progress(file.size)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    total = hashlib.sha256()
    try:
        with release.stream(name, file.path) as source, partial.open("xb") as target:
            while piece := source.read(PIECE):
                total.update(piece)
                target.write(piece)
                progress(len(piece))
            target.flush()
            os.fsync(target.fileno())
        if total.hexdigest() != file.sha256:
            message = f"{name}: {file.path or 'its file'} has other bytes than were published"
            raise problem("release.differs", message, file=name, value=total.hexdigest(), expected=file.sha256)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
