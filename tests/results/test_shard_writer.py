"""Chunks are written in the order in which they come, on a thread of its own; what fails there ends the work."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from neuropress.results.omezarr.layout import Level
from neuropress.results.omezarr.shards import AHEAD, Shard, ShardWriter

LEVEL = Level((1, 1, 8), (1, 1, 1), (1, 1, 8), (1, 1, 1))


def pack(data: bytes | Exception) -> Future[list[list[bytes]]]:
    future: Future[list[list[bytes]]] = Future()
    if isinstance(data, Exception):
        future.set_exception(data)
    else:
        future.set_result([[data]])
    return future


def make_shard(path: Path) -> Shard:
    path.touch()
    return Shard(LEVEL, (0, 0, 0), path)


def test_shards_are_written_by_turns_and_in_order(tmp_path: Path) -> None:
    shards = [make_shard(tmp_path / name) for name in "ab"]
    with ShardWriter() as writer:
        for number in range(8):
            for shard in shards:
                writer.put((shard, [(0, 0, number)], pack(bytes([number]) * (number * 1000))))
            if number == 3:
                writer.flush()
        writer.flush()
        writer.flush()
    for shard in shards:
        shard.finish()
        found = shard.temporary.read_bytes()
        assert found.startswith(b"".join(bytes([number]) * (number * 1000) for number in range(8)))


@pytest.mark.parametrize("runs", [1, 4 * AHEAD])
def test_what_fails_is_told_and_nobody_waits_forever(tmp_path: Path, runs: int) -> None:
    shard = make_shard(tmp_path / "a")

    def write() -> None:
        with ShardWriter() as writer:
            writer.put((shard, [(0, 0, 0)], pack(OSError(28, "No space left on device"))))
            for _ in range(runs):
                writer.put((shard, [(0, 0, 1)], pack(b"more")))
            writer.flush()

    with pytest.raises(OSError, match="No space left"):
        write()


def test_leaving_early_waits_for_what_was_begun(tmp_path: Path) -> None:
    shard = make_shard(tmp_path / "a")

    def write() -> None:
        with ShardWriter() as writer:
            writer.put((shard, [(0, 0, 0)], pack(b"x" * 5000)))
            raise ValueError("the reader failed")

    with pytest.raises(ValueError, match="the reader failed"):
        write()
    assert shard.temporary.read_bytes() == b"x" * 4096  # the rest waits for its block of the disk
