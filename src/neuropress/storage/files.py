"""Files of this machine: whether one is there, where its links lead, and its digest."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path

from ..model.finding import problem
from ..model.source import BeforeRead, no_wait

DIGEST_BYTES = 4 << 20
"""Read at a time; with less, other threads are waited for more often."""
_buffers = threading.local()
_NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ)
_NO_NAME_WINDOWS = (123, 161, 206)  # ERROR_INVALID_NAME, ERROR_BAD_PATHNAME, ERROR_FILENAME_EXCED_RANGE


def path_exists(path: Path, key: str) -> bool:
    """Whether there is anything at `path`.

    Raises
    ------
    Problem
        ``path.unsafe``: no file can have such a name (it is too long, or holds what the disk cannot write).
    OSError
        The machine could not look.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno in _NO_NAME or getattr(error, "winerror", None) in _NO_NAME_WINDOWS:
            message = f"no file can be named {key[:80]!r} ({len(key)} characters): {error.strerror}"
            raise problem("path.unsafe", message, file=key) from None
        raise
    except ValueError as error:  # half of a surrogate pair, or a NUL
        raise problem("path.unsafe", f"no file can be named {key[:80]!r}: {error}", file=key) from None
    return True


def confine_path(root: Path, key: str) -> Path:
    """The path of `key` below `root`, links resolved.

    Raises
    ------
    Problem
        ``path.outside`` when the resolved path is not below the resolved root.
    """
    try:
        path = _resolve(f"{root}/{key}")
    except (OSError, ValueError, RuntimeError) as error:  # a circle of links, a name that cannot be
        raise problem("path.unsafe", f"{key[:80]!r} cannot be followed: {error}", file=key) from None
    # No part of a resolved path is a link, so a root that it begins with leads nowhere else.
    if not f"{path}/".startswith(f"{root}/") and not Path(path).is_relative_to(root.resolve()):
        raise problem("path.outside", f"{key} leads outside its source root, to {path}", file=key)
    return Path(path)


def _resolve(path: str) -> str:
    """`Path.resolve`, which asks for every folder on the way; Linux tells where something that is opened lies."""
    if hasattr(os, "O_PATH"):
        try:
            handle = os.open(path, os.O_PATH)  # a place alone: no device and no pipe hears of it
            try:
                found = os.readlink(f"/proc/self/fd/{handle}")
            finally:
                os.close(handle)
        except (OSError, ValueError):  # nothing is there, or no /proc: the long way says what is wrong
            return str(Path(path).resolve())
        if found.startswith("/") and not found.endswith(" (deleted)"):
            return found
    return str(Path(path).resolve())


def digest_file(path: Path, before_read: BeforeRead = no_wait) -> str:
    """SHA-256 of a file's bytes, hex."""
    if not hasattr(_buffers, "digest"):  # made once a thread: a slice is read sooner than as much memory is cleared
        _buffers.digest = memoryview(bytearray(DIGEST_BYTES))
    total, buffer, size = hashlib.sha256(), _buffers.digest, 0
    with path.open("rb", buffering=0) as file:
        while True:
            before_read(size)
            size = file.readinto(buffer) or 0
            if not size:
                return total.hexdigest()
            total.update(buffer[:size])
