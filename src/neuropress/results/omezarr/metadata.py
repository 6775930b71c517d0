"""The files of metadata: NGFF 0.5 on Zarr 3 (``zarr.json``) or 0.4 on Zarr 2, without consolidated metadata.

A plan's fields name places below the root's ``ome`` attribute by their JSON path
(``multiscales/0/axes/2/unit``); those that begin with ``neuropress/`` lie below our own
attribute. The levels above 0 follow from level 0.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from ...model.packing import Packing
from ...model.plan import Field, Node
from ...model.provenance import Provenance
from . import ome_xml
from .layout import Layout, Level
from .shards import make_blosc, make_codecs
from .versions import VERSIONS, Version

OURS = "neuropress/"
LABELS = "labels"
SCALE = "coordinateTransformations"
METHODS = {
    "mean": "mean of 2 voxels along each halved axis; integers exact, rounded half to even",
    "mode": "most frequent of 2 voxels along each halved axis; of several the smallest that is not 0",
}


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


def list_colours(ome: Mapping[str, Any]) -> tuple[str, ...]:
    """Colours of the channels; empty where they are not all six hexadecimal digits."""
    channels = ome.get("omero", {}).get("channels", [])
    colours = tuple(str(channel.get("color", "")) for channel in channels)
    return colours if all(re.fullmatch("[0-9A-Fa-f]{6}", colour) for colour in colours) else ()


def find_version(fields: Mapping[str, Field]) -> Version:
    """The version of NGFF that the root's fields state."""
    stated = fields.get(f"{OURS}ome_zarr")
    return VERSIONS[stated.value if stated else Packing().ome_zarr]


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


def make_array_text(level: Level, dtype: np.dtype[Any], names: Sequence[str], zstd_level: int) -> str:
    """What describes one level: its ``zarr.json`` or ``.zarray``."""
    if level.version.zarr_format == 2:
        return _dump_json(_describe_zarr2_array(level, dtype, zstd_level))
    return _dump_json(_describe_zarr3_array(level, dtype, names, zstd_level))


def _describe_zarr2_array(level: Level, dtype: np.dtype[Any], zstd_level: int) -> dict[str, Any]:
    packed = make_blosc(dtype, zstd_level)
    settings = {"clevel": zstd_level, "shuffle": packed.shuffle, "blocksize": packed.blocksize}
    return {
        "zarr_format": 2,
        "shape": level.shape,
        "chunks": level.chunk,
        "dtype": dtype.newbyteorder("<").str,
        "compressor": {"id": "blosc", "cname": "zstd", **settings},
        "fill_value": 0.0 if dtype.kind == "f" else 0,
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
    }


def _describe_zarr3_array(level: Level, dtype: np.dtype[Any], names: Sequence[str], zstd_level: int) -> dict[str, Any]:
    codecs = make_codecs(dtype, zstd_level)
    if level.is_sharded:
        index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        sharding = {"chunk_shape": level.chunk, "codecs": codecs, "index_codecs": index, "index_location": "end"}
        codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": level.shape,
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": level.shard}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0 if dtype.kind == "f" else 0,
        "codecs": codecs,
        "dimension_names": names,
        "attributes": {},
    }


def make_ome_attributes(nodes: Sequence[Node], layout: Layout) -> dict[str, dict[str, Any]]:
    """NGFF's metadata of every group by its path: ``""`` is the image, then ``labels`` and each of them."""
    made: dict[str, dict[str, Any]] = {}
    for node, numbers in zip(nodes, layout.list_pyramids(), strict=True):
        made[node.path.strip("/")] = _make_ome_attribute(node.fields, [layout.levels[number] for number in numbers])
    names = [group.removeprefix(f"{LABELS}/") for group in made if group]
    if names:
        made[LABELS] = {"labels": names}
    return {group: layout.version.arrange(ome) for group, ome in made.items()}


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
    return {**planned, "multiscales": [image]}


def make_ome_document(node: Node, layout: Layout) -> str | None:
    """The OME-XML of the image; None where OME has no type for its pixels."""
    spec = node.arrays["0"]
    if not ome_xml.has_type(spec.type):
        return None
    ome, own = get_ome_fields(node.fields), get_own_fields(node.fields)
    return ome_xml.make_ome_xml(ome, own, layout.levels[0].shape, spec.type)


def to_plain_json(data: Any) -> Any:
    """Metadata as it is read back from JSON."""
    return json.loads(json.dumps(data))


def make_group_texts(nodes: Sequence[Node], layout: Layout, provenance: Provenance) -> dict[str, str]:
    """The metadata of all groups by the paths of their files, the root's attributes last: they have our provenance."""
    ours = {**provenance.sections(), **get_own_fields(nodes[0].fields)}
    texts = {}
    if (document := make_ome_document(nodes[0], layout)) is not None:
        texts[ome_xml.NAME] = document
        for name, data in zip(layout.version.group_files, layout.version.make_group({}), strict=True):
            texts[f"{ome_xml.FOLDER}/{name}"] = _dump_json(data)
    for group, ome in sorted(make_ome_attributes(nodes, layout).items(), reverse=True):
        own = {} if group else {"neuropress": ours}
        attributes = {**ome, **own} if layout.version.zarr_format == 2 else {"ome": ome, **own}
        for name, data in zip(layout.version.group_files, layout.version.make_group(attributes), strict=True):
            texts[f"{group}/{name}" if group else name] = _dump_json(data)
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
