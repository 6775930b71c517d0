"""Objects that are read in pieces: every byte as of a file in memory, with few requests."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model.source import RawFile
from neuropress.storage.objects import BLOCK, MAX_DIRECT, MIN_DIRECT, ObjectBytes

SIZE = 3 * 2**20 + 77
DATA = random.Random(3).randbytes(SIZE)


class Fetched:
    """Bytes that count how they were asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.requests: list[tuple[int, int]] = []

    def __call__(self, start: int, length: int) -> bytes:
        assert 0 <= start < start + length <= len(self.data), "asked for bytes that are not there"
        self.requests.append((start, length))
        return self.data[start : start + length]

    def file(self) -> RawFile:
        return RawFile(ObjectBytes(self, (len(self.data), 0, "etag", "")))


moves = st.lists(
    st.tuples(
        st.sampled_from(("seek", "from here", "from the end", "read", "readinto")),
        st.one_of(st.integers(0, 40), st.integers(0, 3 * BLOCK), st.integers(MIN_DIRECT - 5, SIZE + 9)),
    ),
    max_size=25,
)


@given(moves, st.sampled_from((0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 1, SIZE)))
def test_it_reads_as_a_file_in_memory_does(moves: list[tuple[str, int]], size: int) -> None:
    data = DATA[:size]
    fetched = Fetched(data)
    file, expected = fetched.file(), io.BytesIO(data)
    for move, count in moves:
        if move == "read":
            assert file.read(count) == expected.read(count)
        elif move == "readinto":
            ours, theirs = bytearray(count), bytearray(count)
            assert file.readinto(ours) == expected.readinto(theirs)
            assert ours == theirs
        else:
            whence = ("seek", "from here", "from the end").index(move)
            offset = -min(count, size) if whence == 2 else count
            assert file.seek(offset, whence) == expected.seek(offset, whence)
        assert file.tell() == expected.tell()
    file.seek(0)
    assert file.read() == data
    assert file.stamp() == (size, 0, "etag", "")


def test_reading_on_takes_ever_larger_pieces() -> None:
    fetched = Fetched(DATA)
    with fetched.file() as file:
        assert b"".join(iter(lambda: file.read(8), b"")) == DATA
    assert len(fetched.requests) <= 7
    assert sum(length for _, length in fetched.requests) == SIZE


def test_a_large_read_is_one_request_and_a_far_one_a_block() -> None:
    fetched = Fetched(DATA)
    with fetched.file() as file:
        out = bytearray(2 * MIN_DIRECT)
        file.seek(100)
        file.readinto(out)
        assert out == DATA[100 : 100 + len(out)]
        assert fetched.requests == [(100, 2 * MIN_DIRECT)]
        file.seek(20 * BLOCK + 5)
        file.read(8)
        file.seek(3 * BLOCK)
        file.read(8)
    assert fetched.requests[1:] == [(20 * BLOCK, BLOCK), (3 * BLOCK, BLOCK)]


def test_one_request_is_bounded() -> None:
    fetched = Fetched(bytes(2 * MAX_DIRECT + 1))
    with fetched.file() as file:
        assert len(file.read()) == 2 * MAX_DIRECT + 1
    assert max(length for _, length in fetched.requests) == MAX_DIRECT


def test_a_place_before_the_beginning_is_refused() -> None:
    raw = ObjectBytes(Fetched(b"abc"), (3, 0, "", ""))
    with pytest.raises(ValueError, match="negative"):
        raw.seek(-4, io.SEEK_END)
