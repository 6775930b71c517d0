"""The ``zarr.json`` files: NGFF 0.5 on Zarr v3, without consolidated metadata.

A plan's fields name places below the root's ``ome`` attribute by their JSON path
(``multiscales/0/axes/2/unit``); those that begin with ``neuropress/`` lie below our own
attribute. The levels above 0 follow from level 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from ...model.plan import Field, Node
from ...model.provenance import Provenance
from .layout import Layout, Level
from .shards import make_codecs

NGFF = "0.5"
OURS = "neuropress/"
LABELS = "labels"
SCALE = "coordinateTransformations"
METHODS = {
    "mean": "mean of 2 voxels along each halved axis; integers exact, rounded half to even",
    "mode": "most frequent of 2 voxels along each halved axis; of several the smallest that is not 0",
}
ZSTD_LEVEL = "zstd_level"
"""Field of our own, where a dataset names another level than the usual one."""


def expand_paths(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Nested objects from JSON paths; a part that is a number indexes a list.

    List elements must come in order.
    """
    root: dict[str, Any] = {}
    for path, value in fields.items():
        parts = path.split("/")
        place: Any = root
        for part, after in zip(parts, [*parts[1:], ""], strict=True):
            key: Any = int(part) if part.isdecimal() else part
            fresh: Any = value
            if after:
                fresh = [] if after.isdecimal() else {}
            if isinstance(place, list) and key == len(place):
                place.append(fresh)
            elif after == "":
                place[key] = fresh
            elif isinstance(place, dict):
                place.setdefault(key, fresh)
            place = place[key]
    return root


def get_ome_fields(fields: Mapping[str, Field]) -> dict[str, Any]:
    """What the plan says of the ``ome`` attribute."""
    return expand_paths({name: f.value for name, f in fields.items() if not name.startswith(OURS)})


def get_own_fields(fields: Mapping[str, Field]) -> dict[str, Any]:
    """What the plan says of our own attribute."""
    return expand_paths({name.removeprefix(OURS): f.value for name, f in fields.items() if name.startswith(OURS)})


def find_values(attributes: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The reverse of `expand_paths`: what the root's attributes hold under each name of a field that is there."""
    ours = [name for name in names if name.strip("/").startswith(OURS)]
    ome = attributes.get("ome")
    found = find_places(ome, [name for name in names if name not in ours]) if isinstance(ome, Mapping) else {}
    return found | find_places(attributes, ours)


def find_places(attributes: Mapping[str, Any], names: Collection[str], prefix: str = "/") -> dict[str, Any]:
    """What attributes hold under each path that is there; names of paths may begin with a prefix."""
    found = {}
    for name in names:
        place: Any = attributes
        try:
            for part in name.removeprefix(prefix).strip("/").split("/"):
                place = place[int(part)] if isinstance(place, list) else place[part]
        except (KeyError, IndexError, TypeError, ValueError):
            continue
        found[name] = place
    return found


def make_array_json(level: Level, dtype: np.dtype[Any], names: Sequence[str], zstd_level: int) -> str:
    """``zarr.json`` of one level."""
    index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    sharding = {
        "chunk_shape": level.chunk,
        "codecs": make_codecs(dtype, zstd_level),
        "index_codecs": index,
        "index_location": "end",
    }
    return _dump_json(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": level.shape,
            "data_type": dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": level.shard}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0.0 if dtype.kind == "f" else 0,
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "dimension_names": names,
            "attributes": {},
        }
    )


def make_ome_attributes(nodes: Sequence[Node], layout: Layout) -> dict[str, dict[str, Any]]:
    """The ``ome`` attribute of every group by its path: ``""`` is the image, then ``labels`` and each of them."""
    made = {}
    for node, numbers in zip(nodes, layout.list_pyramids(), strict=True):
        made[node.path.strip("/")] = _make_ome_attribute(node.fields, [layout.levels[number] for number in numbers])
    names = [group.removeprefix(f"{LABELS}/") for group in made if group]
    return made | ({LABELS: {"version": NGFF, "labels": names}} if names else {})


def _make_ome_attribute(fields: Mapping[str, Field], levels: Sequence[Level]) -> dict[str, Any]:
    planned = get_ome_fields(fields)
    image = planned["multiscales"][0]
    transforms = image["datasets"][0][SCALE]
    scale = transforms[0]["scale"]
    shift = transforms[1]["translation"] if len(transforms) > 1 else [0.0] * len(scale)
    image = {
        **image,
        "datasets": [_make_dataset(level, scale, shift) for level in levels],
        "type": levels[0].reduction,
        "metadata": {"description": METHODS[levels[0].reduction]},
    }
    return {"version": NGFF, **planned, "multiscales": [image]}


def to_plain_json(data: Any) -> Any:
    """Metadata as it is read back from JSON."""
    return json.loads(json.dumps(data))


def make_group_texts(nodes: Sequence[Node], layout: Layout, provenance: Provenance) -> dict[str, str]:
    """``zarr.json`` of each group by its path, the root's last: it has our provenance too."""
    ours = {**provenance.sections(), **get_own_fields(nodes[0].fields)}
    texts = {}
    for group, ome in sorted(make_ome_attributes(nodes, layout).items(), reverse=True):
        attributes = {"ome": ome} if group else {"ome": ome, "neuropress": ours}
        texts[group] = _dump_json({"zarr_format": 3, "node_type": "group", "attributes": attributes})
    return texts


def _make_dataset(level: Level, scale: Sequence[float], shift: Sequence[float]) -> dict[str, Any]:
    """Scale, and the shift of half a voxel that voxels over others bring: (factor - 1) / 2 voxels of level 0."""
    exact = [Decimal(repr(float(s))) for s in scale]
    begin = [Decimal(repr(float(s))) for s in shift]
    larger = [float(s * f) for s, f in zip(exact, level.shrink, strict=True)]
    moved = [float(b + s * (f - 1) / 2) for b, s, f in zip(begin, exact, level.shrink, strict=True)]
    transforms = [{"type": "scale", "scale": larger}, {"type": "translation", "translation": moved}]
    return {"path": level.name.rpartition("/")[2], SCALE: transforms}


def _dump_json(data: Any) -> str:
    return json.dumps(_replace_non_finite(data), indent=1, allow_nan=False) + "\n"


def _replace_non_finite(data: Any) -> Any:
    """NaN and infinities, which JSON lacks and web viewers refuse, as text; they occur in foreign headers only."""
    if isinstance(data, float) and not math.isfinite(data):
        return repr(data)
    if isinstance(data, Mapping):
        return {key: _replace_non_finite(value) for key, value in data.items()}
    return [_replace_non_finite(value) for value in data] if isinstance(data, (list, tuple)) else data
