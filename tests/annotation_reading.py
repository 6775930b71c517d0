"""neuroglancer's precomputed annotations read by their published definition, every cell and every number."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np


def read_shard(data: bytes, sharding: Mapping[str, Any]) -> dict[int, bytes]:
    """Parts of a file by their numbers."""
    assert (sharding["hash"], sharding["shard_bits"], sharding["minishard_index_encoding"]) == ("identity", 0, "raw")
    minishards = 2 ** sharding["minishard_bits"]
    base, found = 16 * minishards, {}
    covered = base
    for number, (start, stop) in enumerate(np.frombuffer(data, "<u8", 2 * minishards).reshape(-1, 2).tolist()):
        ids, gaps, sizes = np.frombuffer(data[base + start : base + stop], "<u8").reshape(3, -1).astype(int)
        begin = base
        for id, gap, size in zip(np.cumsum(ids).tolist(), gaps.tolist(), sizes.tolist(), strict=True):
            assert (id >> sharding["preshift_bits"]) % minishards == number, "nobody would look for it there"
            begin += gap
            found[id] = data[begin : begin + size]
            begin += size
        covered += stop - start + int(sizes.sum())
    assert covered == len(data)
    return found


def compute_morton(place: tuple[int, ...], grid: list[int]) -> int:
    bits = [
        place[axis] >> bit & 1 for bit in range(40) for axis in range(len(grid)) if bit < (grid[axis] - 1).bit_length()
    ]
    return sum(value << at for at, value in enumerate(bits))


def read_annotations(folder: Path) -> tuple[dict[str, Any], dict[int, tuple[Any, ...]], list[dict[Any, list[int]]]]:
    """What is said of them, each by its id, and of each level the ids of its cells; what lies wrong fails."""
    info = json.loads((folder / "info").read_text())
    rank = len(info["dimensions"])
    is_box = info["annotation_type"] == "axis_aligned_bounding_box"
    codes = {"float32": "<f4", "uint32": "<u4"}
    properties = [(one["id"], codes[one["type"]]) for one in info["properties"]]
    record = np.dtype([("place", "<f4", rank * (2 if is_box else 1)), *properties])
    by_id = read_shard((folder / "by_id/0.shard").read_bytes(), info["by_id"]["sharding"])
    lower, levels, seen = np.array(info["lower_bound"]), [], set[int]()
    for stated in info["spatial"]:
        parts = read_shard((folder / stated["key"] / "0.shard").read_bytes(), stated["sharding"])
        size, cells = np.array(stated["chunk_size"]), {}
        np.testing.assert_allclose(size * stated["grid_shape"], np.array(info["upper_bound"]) - lower)
        for place in product(*map(range, stated["grid_shape"])):
            cell = parts.pop(compute_morton(place, stated["grid_shape"]), None)
            if cell is None:
                continue
            count = int.from_bytes(cell[:8], "little")
            assert 0 < count <= stated["limit"] or not by_id
            assert len(cell) == 8 + count * (record.itemsize + 8)
            ids = np.frombuffer(cell[-8 * count :] if count else b"", "<u8").tolist()
            begin = lower + size * place
            for number, one in zip(ids, np.frombuffer(cell[8:], record, count), strict=True):
                assert by_id[number] == one.tobytes()
                low, high = one["place"][:rank], one["place"][-rank:]
                assert ((high >= begin - 1e-3) & (low <= begin + size + 1e-3)).all(), "it does not lie there"
            cells[place] = ids
        assert not parts, "cells that the grid does not have"
        own = {number for ids in cells.values() for number in ids}
        assert not own & seen, "it is drawn twice"
        seen |= own
        levels.append(cells)
    assert seen == set(by_id)
    return info, {number: np.frombuffer(data, record)[0].tolist() for number, data in by_id.items()}, levels
