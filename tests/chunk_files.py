"""Volumes in chunks as tensorstore writes them: neuroglancer precomputed and N5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore

SHARDED = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "preshift_bits": 1,
    "hash": "murmurhash3_x86_128",
    "minishard_bits": 2,
    "shard_bits": 3,
    "minishard_index_encoding": "gzip",
    "data_encoding": "gzip",
}


def write_precomputed(folder: Path, values: np.ndarray, type: str = "image", **scale: Any) -> np.ndarray:
    """A scale of (x, y, z, channel), beside those that are there; what tensorstore reads back, as (c, z, y, x)."""
    size, count = list(values.shape[:3]), values.shape[3]
    stated = {"encoding": "raw", "chunk_size": [16, 8, 10], "resolution": [4, 4, 40], "voxel_offset": [5, -3, 100]}
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": {"driver": "file", "path": str(folder)},
        "multiscale_metadata": {"type": type, "data_type": values.dtype.name, "num_channels": count},
        "scale_metadata": {"size": size, **stated, **scale},
        "create": True,
    }
    store = tensorstore.open(spec).result()
    store.write(values).result()
    return np.asarray(store.read().result()).transpose(3, 2, 1, 0)


def write_n5(
    folder: Path, values: np.ndarray, compression: Mapping[str, Any] | None = None, **attributes: Any
) -> np.ndarray:
    """An array with x as its first axis, and further attributes; the values with x as their last."""
    block = [16, 8, 10, 2, 1][: values.ndim]
    spec = {
        "driver": "n5",
        "kvstore": {"driver": "file", "path": str(folder)},
        "metadata": {
            "dimensions": list(values.shape),
            "blockSize": block,
            "dataType": values.dtype.name,
            "compression": compression or {"type": "gzip"},
            **attributes,
        },
        "create": True,
    }
    tensorstore.open(spec).result().write(values).result()
    return values.T
