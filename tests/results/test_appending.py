"""Files appended to past the cache: the bytes are the same, wherever they are cut and whatever the file system takes."""

from __future__ import annotations

import errno
import os
from itertools import batched
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuropress.results.omezarr import appending
from neuropress.results.omezarr.appending import BLOCK_BYTES, Appended, make_buffer

SIZES = st.lists(st.sampled_from((0, 1, 4, 4095, 4096, 4097, 8192, 12_345, 20_000)), max_size=12)


def write(path: Path, parts: list[bytes], together: int, last: list[bytes]) -> Appended:
    path.unlink(missing_ok=True)
    path.touch()
    file, buffer = Appended(path), make_buffer(2 * BLOCK_BYTES)
    for some in batched(parts, together):
        file.append(some, buffer)
    file.finish(last, buffer)
    return file


@settings(deadline=None, max_examples=60)
@given(sizes=SIZES, together=st.integers(1, 5), last=SIZES, seed=st.integers(0, 255))
def test_what_is_appended_is_what_lies_there(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], together: int, last: list[int], seed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "appended"
    parts, ends = ([os.urandom(n) for n in some] for some in (sizes, last))
    file = write(path, parts, together, ends)
    assert path.read_bytes() == b"".join(parts + ends)
    assert file.size == sum(sizes) + sum(last)


@pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="this system knows no direct writes")
@pytest.mark.parametrize("where", ["open", "write"])
def test_a_file_system_without_direct_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    import fcntl

    refused = []

    def refuse(number: int) -> None:
        refused.append(number)
        raise OSError(errno.EINVAL, "no direct writes here")

    def open_(path: Path, flags: int, *more: Any) -> int:
        if flags & os.O_DIRECT:
            refuse(flags)
        return real_open(path, flags, *more)

    def write_(handle: int, data: memoryview) -> int:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_DIRECT:
            refuse(handle)
        return real_write(handle, data)

    real_open, real_write = os.open, os.write
    monkeypatch.setattr(appending.os, "open" if where == "open" else "write", open_ if where == "open" else write_)
    write(tmp_path / "file", [b"abc" * 5000], 1, [b"end"])
    monkeypatch.undo()
    assert (tmp_path / "file").read_bytes() == b"abc" * 5000 + b"end"
    assert refused


def test_short_writes_go_on_where_they_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(appending.os, "write", lambda handle, data: real(handle, data[:BLOCK_BYTES]))
    write(tmp_path / "file", [bytes(range(256)) * 100], 1, [b"end"])
    assert (tmp_path / "file").read_bytes() == bytes(range(256)) * 100 + b"end"


def test_a_file_that_was_cleared_away_is_not_made_anew(tmp_path: Path) -> None:
    file, buffer = Appended(tmp_path / "file"), make_buffer()
    with pytest.raises(FileNotFoundError):
        file.append([b"first"], buffer)
    with pytest.raises(FileNotFoundError):
        file.finish([], buffer)
    assert not list(tmp_path.iterdir())


def test_other_failures_of_the_disk_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()

    def refuse(handle: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(appending.os, "write", refuse)
    with pytest.raises(OSError, match="No space left"):
        Appended(tmp_path / "file").append([bytes(BLOCK_BYTES)], make_buffer())
