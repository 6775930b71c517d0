"""The dataset's lock as the parts of one run hold it together, and locks that last for one step of theirs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from ..model.finding import problem
from ..model.parsing import parse_json
from ..model.run_part import RunPart
from .state import Lock, check_lock_file, check_state_folder, describe_holder, hold_lock, write_atomic

try:
    import fcntl
except ImportError:  # Windows has no lock that several may hold
    fcntl = None  # type: ignore[assignment]

PATIENCE = 3.0
"""Seconds that a part waits for another one that begins at the same moment, or for its notes to be seen."""
PARTS = "parts"
"""Folder below the state folder: which plan the parts share, and which of them have ended."""


@contextmanager
def lock_part(folder: Path, part: RunPart, plan: str) -> Iterator[None]:
    """Share the dataset with other parts of the same plan, and with nobody else.

    The kernel lets go of the lock when a part dies. Nothing that parts do to a result rests on it alone: it keeps
    runs apart that would undo each other's work.

    Parameters
    ----------
    folder
        The dataset's state folder.
    plan
        Digest of all that the parts must agree on.

    Raises
    ------
    Problem
        ``dataset.locked``: another verb, parts of another plan, or this part itself is at work.
    """
    if fcntl is None:
        raise problem("dataset.parts", "This system has no lock that several processes can share", file=str(folder))
    check_state_folder(folder)
    folder.mkdir(exist_ok=True)
    path = check_lock_file(folder)
    handle = _acquire_shared(path, folder, part, plan)
    try:
        with try_lock(folder / f"{PARTS}/{part.number}.lock") as is_free, hold_lock(folder, Lock.of(path)):
            if not is_free:
                raise problem("dataset.locked", f"Part {part} of {folder.parent} is at work already")
            yield
    finally:
        os.close(handle)


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Whether a lock could be had that one process has at a time; it is held until the end, or the process's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _open_lock(path)
    try:
        yield _flock(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


def try_step_lock(folder: Path, name: str) -> AbstractContextManager[bool]:
    """The lock of one step on one thing, as finishing a result, among the parts that share a dataset."""
    return try_lock(folder / f"{PARTS}/{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock")


def note_end(folder: Path, part: RunPart) -> bool:
    """Note that a part has ended; whether all of them have."""
    (folder / f"{PARTS}/{part.number}.ended").touch()
    return all((folder / f"{PARTS}/{number}.ended").exists() for number in range(1, part.count + 1))


def note_begin(folder: Path, part: RunPart) -> None:
    """Note that a part is at work, again."""
    (folder / f"{PARTS}/{part.number}.ended").unlink(missing_ok=True)


def _acquire_shared(path: Path, folder: Path, part: RunPart, plan: str) -> int:
    """The open lock file, shared. Raises `Problem` (``dataset.locked``)."""
    until = monotonic() + PATIENCE
    while True:
        handle = _open_lock(path)
        try:
            refused = _share(handle, folder, part, plan)
        except BaseException:
            os.close(handle)
            raise
        if not refused:
            return handle
        os.close(handle)
        if monotonic() > until:
            raise problem("dataset.locked", refused)
        sleep(0.05)


def _share(handle: int, folder: Path, part: RunPart, plan: str) -> str:
    """Have the lock with others; why not, if not."""
    notes = folder / f"{PARTS}/plan.json"
    if _flock(handle, fcntl.LOCK_EX) and _read_plan(notes) != plan:
        # Nobody else is at work: this part says what the others must agree on.
        shutil.rmtree(folder / PARTS, ignore_errors=True)
        write_atomic(notes, json.dumps({"plan": plan, "parts": part.count, "host": socket.gethostname()}))
    # A lock is not changed in one step: another part, or verb, may have had it in between.
    if not _flock(handle, fcntl.LOCK_SH):
        return f"{folder.parent} is in use by {describe_holder(folder)}"
    if _read_plan(notes) != plan:
        return (
            f"Parts of another plan of {folder.parent} are at work: "
            "tables, neuropress.toml, options, version and N of K/N must be the same for all"
        )
    return ""


def _read_plan(notes: Path) -> str:
    with suppress(OSError, ValueError, LookupError, TypeError):
        return str(parse_json(notes.read_bytes())["plan"])
    return ""


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)


def _flock(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
