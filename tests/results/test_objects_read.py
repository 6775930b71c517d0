"""Attributes of HDF5 are read past h5py's slow way, and equal blocks are packed once: both give what the long way does."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5a, h5s, h5t

from neuropress.model.receipt import HASH
from neuropress.readers.hdf5.walk import read_attributes
from neuropress.results.nwb import storage
from neuropress.results.nwb.codecs import Codec, list_codecs
from neuropress.results.nwb.digest import digest_objects

VALUES: Mapping[str, Any] = {
    "text": "Sweep 1, µV", "empty text": "", "fixed": np.bytes_(b"fixed"), "whole": 7, "large": np.uint64(2**64 - 1),
    "real": 0.1, "single": np.float32(0.1), "other order": np.array(3, ">i2"), "half": np.float16(1.5), "yes": True,
    "list": [1.5, 2.5], "texts": ["a", "b"], "one": np.array([1]), "none": h5py.Empty("f8"), "complex": 1 + 2j,
    "record": np.array((1, 2.5), [("a", "i4"), ("b", "f8")]), "name µ": "by another name",
    "kind": np.array(1, h5py.enum_dtype({"red": 0, "green": 1})),
}  # fmt: skip


def test_attributes_are_as_h5py_gives_them(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("g")
        for name, value in VALUES.items():
            group.attrs[name] = value
        group.attrs.create("ascii", "plain", dtype=h5py.string_dtype("ascii"))
        group.attrs["reference"] = file["g"].ref
        bad = h5a.create(
            group.id, b"no UTF-8", h5t.py_create(h5py.string_dtype(), logical=True), h5s.create(h5s.SCALAR)
        )
        bad.write(np.array(b"\xff\xfe", object), mtype=h5t.py_create(h5py.string_dtype()))
        found = read_attributes(group)
        assert list(found) == sorted(group.attrs)
        for name, value in found.items():
            usual = group.attrs[name]
            assert type(value) is type(usual), name
            assert getattr(value, "dtype", None) == getattr(usual, "dtype", None), name
            assert np.array_equal(value, usual) or repr(value) == repr(usual), name
        assert found["no UTF-8"] == "\udcff\udcfe"


def test_a_reference_is_told_by_the_place_it_leads_to_wherever_that_is(tmp_path: Path) -> None:
    digests = []
    for target in ("z", "a", "y"):  # behind the object that refers to it, before it, and elsewhere
        with h5py.File(tmp_path / f"{target}.h5", "w") as file:
            for name in ("a", "y", "z"):
                file.create_group(name)
            file.create_dataset("m", data=np.array([file[target].ref], h5py.ref_dtype))
            file["m"].attrs["of"] = file[target].ref
            digests.append(digest_objects(file, ()))
    assert [list(one) for one in digests] == [["/", "/a", "/m", "/y", "/z"]] * 3
    assert len({one["/m"] for one in digests}) == 3
    assert digests[0] | {"/m": ""} == digests[1] | {"/m": ""}


def test_equal_blocks_are_packed_once_and_only_equal_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[np.ndarray] = []
    pack = storage.pack_chunk

    def watch(chunk: np.ndarray, codec: Codec) -> bytes:
        packed.append(chunk)
        return pack(chunk, codec)

    monkeypatch.setattr(storage, "pack_chunk", watch)
    step = np.repeat(np.arange(4, dtype="<i4"), 5000)
    noise = np.random.default_rng(0).integers(0, 2**31, 40_000).astype("<i4")
    blocks = [step, step.copy(), step.view("<f4"), step[::-1], step, noise, noise]
    found: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        queue = storage._PackQueue(pool, 2)
        for block in blocks:
            layout = storage.Layout((1000,), block.shape)
            queue.put(block, block.dtype, list_codecs()[-1], layout, found.append)
        queue.drain()
    # The noise packs into too much to be kept.
    assert len(packed) == 3 * 20 + 2 * 40
    assert found[0] == found[1] == found[4]
    assert len({one.digest for one in found}) == 3
    for block, one in zip(blocks, found, strict=True):
        chunks = [(start, pack(block[start : start + 1000], list_codecs()[-1])) for start in range(0, len(block), 1000)]
        assert [(corner[0], data) for corner, data in one.chunks] == chunks


def test_a_command_that_repeats_is_digested_once_and_bits_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    digested: list[np.ndarray] = []
    take = storage.block_digest
    monkeypatch.setattr(storage, "block_digest", lambda data, by: digested.append(data) or take(data, by))
    command = np.zeros(20_000)
    found: list[Any] = []

    def put(queue: storage._PackQueue, block: np.ndarray) -> None:
        queue.put(block, block.dtype, list_codecs()[-1], storage.Layout((10_000,), block.shape), found.append)
        queue.drain()

    with ThreadPoolExecutor(1) as pool:
        queue = storage._PackQueue(pool, 2)
        for block in (command, command.copy(), -command, command, command.reshape(2, -1)[0]):
            put(queue, block)
        assert len(digested) == 4
        assert found[0] is found[1]
        command[:] = 1  # what is compared with is a copy
        put(queue, np.zeros(10_000))
        put(queue, command)
    assert found[5] == found[4]
    assert found[3] == found[0]
    zeros = np.zeros(20_000)
    stored = (zeros, zeros, -zeros, zeros, zeros[:10_000], zeros[:10_000], command)
    assert [one.digest for one in found] == [take(block, HASH) for block in stored]
