"""Files that are whole or absent, also after a power cut."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath


def sync_path(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    if path.is_dir():
        if os.name == "nt":  # Windows has no handle for this; its renames are journaled
            return
        handle = os.open(path, os.O_RDONLY)
    else:
        handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename_durably(source: Path, final: Path) -> None:
    """Give a finished file its name, replacing what bore it."""
    sync_path(source)
    os.replace(source, final)
    sync_path(final.parent)


def remove_path(path: Path) -> None:
    """Remove what bears a name, a file, a folder or a link, which is not followed."""
    if path.is_dir() and not path.is_symlink() and not path.is_junction():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def create_empty_file(path: Path) -> None:
    """Make an empty file in the place of whatever was left there; a link that lies there is not followed."""
    remove_path(path)
    path.open("xb").close()


def write_text(path: Path, text: str) -> None:
    """Write a small file under a temporary name and rename it."""
    write_bytes(path, text.encode("ascii"))


def write_bytes(path: Path, data: bytes) -> None:
    """The same of bytes."""
    temporary = path.with_name(path.name + ".tmp")
    create_empty_file(temporary)
    with temporary.open("r+b") as file:
        file.write(data)
    rename_durably(temporary, path)


def replace_folder(new: Path, final: Path) -> None:
    """Put a finished folder in the place of an older one, which steps aside as ``<name>.old``.

    A folder cannot be renamed over another; `restore_folder` mends an interruption in between.
    """
    old = _get_old_path(final)
    remove_path(old)
    if final.exists():
        os.replace(final, old)
    os.replace(new, final)
    sync_path(final.parent)
    remove_path(old)


def make_folders(root: Path, name: str) -> None:
    """Make the folders that a file below a folder lies in. Raises `FileNotFoundError`: the root is gone."""
    for parent in reversed(PurePosixPath(name).parents[:-1]):
        (root / parent).mkdir(exist_ok=True)


def restore_folder(final: Path) -> bool:
    """Undo or finish a `replace_folder` that was interrupted; whether the older folder has its name again."""
    old = _get_old_path(final)
    if final.exists() or old.is_symlink() or not old.is_dir():
        remove_path(old)
        return False
    os.replace(old, final)
    return True


def _get_old_path(final: Path) -> Path:
    return final.with_name(final.name + ".old")
