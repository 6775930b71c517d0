"""The guards at their limits: what is just allowed passes, what is just beyond is refused."""

import struct
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest

from neuropress.model import budget
from neuropress.model.budget import OverBudget
from neuropress.model.finding import Problem
from neuropress.readers.hdf5 import guard as nwb_guard
from neuropress.results.omezarr import guard as zarr_guard


@pytest.mark.parametrize(("groups", "refused"), [(budget.DEPTH, False), (budget.DEPTH + 1, True)])
def test_groups_may_be_nested_so_deep_and_no_deeper(tmp_path: Path, groups: int, refused: bool) -> None:
    path = tmp_path / "deep.nwb"
    with h5py.File(path, "w") as file:
        file.create_group("/".join("g" * groups))
    with h5py.File(path) as file:
        if refused:
            with pytest.raises(Problem) as caught:
                nwb_guard.check_file(file, path)
            assert caught.value.finding.id == "result.unreadable"
        else:
            nwb_guard.check_file(file, path)


def test_more_elements_than_may_be_handed_over_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "HDF5_ROWS", 5)
    with h5py.File(tmp_path / "texts.nwb", "w") as file:
        for count in (5, 6):
            file[f"texts{count}"] = np.array(["a"] * count, dtype=h5py.string_dtype())
        pieces: list[object] = []
        nwb_guard.read_elements(file["texts5"], 1, pieces.append)
        assert len(pieces) == 1
        with pytest.raises(OverBudget, match="6 elements"):
            nwb_guard.read_elements(file["texts6"], 1, pieces.append)


@pytest.mark.parametrize("shape", [(40,), (10, 4)])
def test_texts_are_handed_over_a_bounded_number_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(budget, "TEXT_BYTES", 100)
    texts = np.array([f"text {number}" for number in range(40)], dtype=object).reshape(shape)
    with h5py.File(tmp_path / "texts.nwb", "w") as file:
        file.create_dataset("texts", data=texts, dtype=h5py.string_dtype())
        pieces: list[np.ndarray] = []
        nwb_guard.read_elements(file["texts"], 10, pieces.append)
        assert [piece.size for piece in pieces] == ([10] * 4 if len(shape) == 1 else [8] * 5)
        assert [text.decode() for piece in pieces for text in piece.ravel()] == texts.ravel().tolist()
        with pytest.raises(OverBudget, match="may take more than 100 bytes"):
            nwb_guard.read_elements(file["texts"], 101 if len(shape) > 1 else 10**9, pieces.append)


def write_shard(path: Path, packed: list[bytes], entries: list[tuple[int, int]] | None = None) -> None:
    """Chunks one after the other, then their index and four bytes of checksum, which the guard leaves to others."""
    starts = np.cumsum([0, *map(len, packed)])
    index = entries or [(int(start), len(chunk)) for start, chunk in zip(starts, packed, strict=False)]
    path.write_bytes(b"".join(packed) + b"".join(struct.pack("<QQ", *entry) for entry in index) + bytes(4))


@pytest.mark.parametrize("size", [200, 255, 256, 300, 65_791, 65_792, 70_000])
def test_the_size_of_a_chunk_is_read_from_its_zstd_frame(tmp_path: Path, size: int) -> None:
    path = tmp_path / "0"
    write_shard(path, [bytes(imagecodecs.zstd_encode(np.random.default_rng(1).bytes(size)))])
    zarr_guard.check_shard(path, 1, size, ["bytes", "zstd"])
    with pytest.raises(ValueError, match=f"a chunk of {size} bytes"):
        zarr_guard.check_shard(path, 1, size + 1, ["bytes", "zstd"])


@pytest.mark.parametrize("flag", range(4))
def test_every_width_of_a_size_is_known(tmp_path: Path, flag: int) -> None:
    size = (200, 300, 70_000, 2**33)[flag]
    stated = size - 256 if flag == 1 else size
    head = b"\x28\xb5\x2f\xfd" + bytes([flag << 6 | 0x20]) + stated.to_bytes((1, 2, 4, 8)[flag], "little")
    path = tmp_path / "0"
    write_shard(path, [head + b"\xff" * 20])
    zarr_guard.check_shard(path, 1, size, ["bytes", "zstd"])


@pytest.mark.parametrize(
    "entries",
    [
        [(0, 30), (10, 30)],  # each lies in the shard, together they are larger
        [(0, 10), (50, 30)],  # the second leads beyond the shard's end
    ],
)
def test_chunks_that_do_not_fit_into_their_shard_are_refused(tmp_path: Path, entries: list[tuple[int, int]]) -> None:
    path = tmp_path / "0"
    write_shard(path, [b"x" * 50], entries)
    with pytest.raises(ValueError, match="larger than itself"):
        zarr_guard.check_shard(path, 2, 30, ["bytes"])


def test_metadata_of_a_node_are_read_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "zarr.json"
    text = '{"zarr_format": 3}'
    path.write_text(text)
    monkeypatch.setattr(budget, "JSON_BYTES", len(text))
    assert zarr_guard.read_node(path.parent) == {"zarr_format": 3}
    path.write_text(text + " ")
    with pytest.raises(OverBudget, match=f"has {len(text) + 1} bytes, more than {len(text)}"):
        zarr_guard.read_node(path.parent)
