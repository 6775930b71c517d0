"""OME-Zarr volumes: NGFF 0.5 on sharded Zarr v3, in one pass, bounded memory, resumable.

Work goes on under ``<name>.partial``, with a journal of finished blocks, and is renamed
when it is whole; a run that was killed continues with the blocks that are missing. The
plan has one node, ``/`` of type ``Multiscale``: its field names are the JSON paths of
what the root's ``zarr.json`` will hold (see `metadata`), its one array, ``0``, is the
full resolution. ``neuropress/stated_spacing``, of the raw file's header, decides which
axes a level halves: never the table, whose cells may change without a new pyramid. How
levels are made: `pyramid`; where everything lies: `layout`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np

from ...model.finding import Finding, Problem, finding
from ...model.plan import ArraySpec, Node, Plan, digest
from ...model.provenance import Provenance
from ...model.receipt import ArrayReceipt, Receipt, root_digest
from ...model.serial import to_json
from ...readers.raw import RawArrays
from .. import Progress, Seal, StoredArray, durable
from ..sections import parse_provenance
from . import guard, metadata, stored
from .blocks import Block, Read, slab_extent
from .journal import Journal, is_whole, level_digests
from .layout import Layout, arrange, voxels
from .members import check_files

LEVEL0 = "0"

METADATA = "/zarr.json ome"
"""Name of the digest of the `ome` attribute among the derived ones."""


@dataclass(frozen=True, slots=True)
class _Volume:
    """A plan's node with what follows from it: the geometry and the ``zarr.json`` of each level."""

    node: Node
    spec: ArraySpec
    layout: Layout
    texts: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan) -> _Volume:
        (node,) = plan.nodes
        spec = node.arrays[LEVEL0]
        image = metadata.ome_fields(node.fields)["multiscales"][0]
        names = [axis["name"] for axis in image["axes"]]
        stated = metadata.own_fields(node.fields).get("stated_spacing", ())
        dtype = np.dtype(spec.dtype)
        geometry = arrange(spec.shape, dtype.itemsize, sum(name in "zyx" for name in names), stated)
        texts = tuple(metadata.array_json(level, dtype, names) for level in geometry.levels)
        return cls(node, spec, geometry, texts)


def write(plan: Plan, raw: RawArrays, path: Path, seal: Seal, previous: Path | None, progress: Progress) -> None:
    """Write a volume; see `neuropress.results.Result`.

    `progress` also hears of blocks that an earlier, interrupted run had finished. When
    only metadata changed since `previous` (at the same path), its root ``zarr.json`` is
    replaced and nothing else is touched.
    """
    for refused in check_plan(plan):
        raise Problem(refused)
    volume = _Volume.of(plan)
    if durable.restore(path):
        previous = path
    partial = path.with_name(path.name + ".partial")
    if previous is not None and previous.resolve() == path.resolve():
        receipt = _reusable(plan, volume, seal, path)
        if receipt is not None:
            seal.confirm()
            _write_root(path, plan, volume, receipt)
            durable.remove(partial)  # of a run that was killed before the tables were mended
            progress(volume.spec.nbytes)
            return
    receipt = None if Journal.lies_in(partial) else _reusable(plan, volume, seal, partial)
    if receipt is not None:  # killed after the last block, before the folder had its name
        _write_root(partial, plan, volume, receipt)
    else:
        inputs = {key: to_json(value) for key, value in sorted(seal.inputs.items())}
        journal = Journal(partial, digest([to_json(volume.spec), inputs, volume.texts]), volume.layout)
        _write_arrays(volume, raw, partial, journal, progress)
        _write_root(partial, plan, volume, _receipt(plan, volume, seal, journal))
        journal.close()
    seal.confirm()
    durable.replace_folder(partial, path)


def check_plan(plan: Plan) -> Iterator[Finding]:
    """One node of one array, axes that suit its shape, and metadata that make a ``zarr.json`` (``plan.invalid``)."""
    paths = [node.path for node in plan.nodes]
    arrays = sorted(plan.arrays())
    if len(paths) != 1 or arrays != [f"{paths[0].rstrip('/')}/{LEVEL0}"]:
        why = (
            f"it has the nodes {', '.join(paths)} and the arrays {', '.join(arrays)}, not one of each, called {LEVEL0}"
        )
        yield _invalid(plan, why)
        return
    try:
        volume = _Volume.of(plan)
        metadata.root_json(volume.node.fields, volume.layout, Provenance.draft(plan))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        yield _invalid(plan, f"its metadata or array do not fit NGFF ({type(error).__name__}: {error})")
        return
    axes = metadata.ome_fields(volume.node.fields)["multiscales"][0]["axes"]
    if len(axes) != len(volume.spec.shape):
        yield _invalid(plan, f"it names {len(axes)} axes of an array of {len(volume.spec.shape)}")
    if np.dtype(volume.spec.dtype).kind not in "uif":
        yield _invalid(plan, f"its voxels are {volume.spec.dtype}, neither integers nor floats")


def _invalid(plan: Plan, why: str) -> Finding:
    return finding("plan.invalid", f"The plan of {plan.target.id} cannot be written as OME-Zarr: {why}")


def _reusable(plan: Plan, volume: _Volume, seal: Seal, previous: Path) -> Receipt | None:
    """A receipt for the arrays of an older result, if they are what this plan would write."""
    if previous.is_symlink() or not is_whole(previous, volume.layout):
        return None
    try:
        old = read_provenance(previous).receipt
        texts = tuple((previous / str(i) / "zarr.json").read_text("ascii") for i in range(len(volume.texts)))
    except (Problem, OSError, ValueError):
        return None  # a damaged result is simply written again
    known = old.arrays.get(f"/{LEVEL0}")
    levels = {name: text for name, text in old.derived.items() if name != METADATA}
    same_levels = texts == volume.texts and len(texts) == 1 + len(levels)
    if known is None or known.spec != volume.spec or not same_levels or dict(old.inputs) != dict(seal.inputs):
        return None
    derived = {**levels, METADATA: _metadata_digest(volume)}
    return Receipt(seal.version, seal.rows, plan.revisions, old.inputs, old.arrays, derived, plan.sources)


def _write_arrays(volume: _Volume, raw: RawArrays, folder: Path, journal: Journal, progress: Progress) -> None:
    for number, text in enumerate(volume.texts):
        (folder / str(number)).mkdir(exist_ok=True)
        durable.write_text(folder / str(number) / "zarr.json", text)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for index, stage in enumerate(volume.layout.passes):
            read: Read = stored.Level(folder, str(stage.first)).__getitem__
            tell: Progress = _silent
            if stage.first == 0:
                read, tell = (lambda box: raw.read(volume.spec, box)), progress
            for corner in volume.layout.corners(stage):
                if (index, corner) in journal.done:
                    box = volume.layout.box(stage.first, stage, corner)
                    tell(voxels(box) * np.dtype(volume.spec.dtype).itemsize)
                    continue
                block = Block(volume.layout, stage, corner, folder, read, pool, tell)
                journal.add((index, corner), block.run())
    finally:
        pool.shutdown(cancel_futures=True)


def _silent(nbytes: int) -> None:
    """Further passes read what was counted already."""


def _receipt(plan: Plan, volume: _Volume, seal: Seal, journal: Journal) -> Receipt:
    digests = [
        root_digest(level_digests(volume.layout, journal.done, number)) for number in range(len(volume.layout.levels))
    ]
    extent = slab_extent(volume.layout, volume.layout.passes[0])
    level0 = ArrayReceipt(volume.spec, extent, digests[0])
    derived = {f"/{number}": text for number, text in enumerate(digests) if number}
    derived[METADATA] = _metadata_digest(volume)
    return Receipt(seal.version, seal.rows, plan.revisions, seal.inputs, {f"/{LEVEL0}": level0}, derived, plan.sources)


def _metadata_digest(volume: _Volume) -> str:
    """Of the ``ome`` attribute: axes, units, scales, channels."""
    return digest(json.loads(json.dumps(metadata.ome(volume.node.fields, volume.layout))))


def _write_root(folder: Path, plan: Plan, volume: _Volume, receipt: Receipt) -> None:
    made = Provenance.of(plan, receipt)
    durable.write_text(folder / "zarr.json", metadata.root_json(volume.node.fields, volume.layout, made))


def read_provenance(path: Path) -> Provenance:
    """What the result says about itself. Raises `Problem` (``result.unreadable``, ``result.foreign``)."""
    return parse_provenance(stored.attributes(path), path)


def stream_provenance(open_file: Callable[[str], BinaryIO], path: Path) -> Provenance:
    """The same of a released volume, whose ``zarr.json`` alone is fetched."""
    with TemporaryDirectory() as folder, open_file(guard.NAME) as metadata_file:
        copy = Path(folder) / path.name
        copy.mkdir()
        (copy / guard.NAME).write_bytes(metadata_file.read())
        return read_provenance(copy)


@contextmanager
def arrays(path: Path) -> Iterator[Mapping[str, StoredArray]]:
    """The full resolution, ``/0``. Reading a damaged shard raises `Problem` (``result.unreadable``)."""
    guard.check_store(path)
    level = stored.Level(path, LEVEL0)
    level.check()
    yield {f"/{LEVEL0}": level}


def samples(path: Path) -> list[str]:
    """The arrays that a receipt must lead back to raw files."""
    return [f"/{LEVEL0}"]


def derived(path: Path) -> Mapping[str, str]:
    """Digests of the levels above 0, computed anew from the result.

    A level's digest is taken like `ArrayReceipt.sha256`, over boxes of a shard's extent
    and one chunk's depth.
    """
    guard.check_store(path)
    found = {}
    for name in stored.level_names(path)[1:]:
        level = stored.Level(path, name)
        level.check()
        found[f"/{name}"] = level.digest()
    return found | {METADATA: digest(stored.attributes(path).get("ome"))}


def validate(path: Path) -> list[Finding]:
    """See `neuropress.results.omezarr.validate`, whose libraries are imported here."""
    from .validate import validate_zarr

    return validate_zarr(path)


__all__ = [
    "arrays",
    "check_files",
    "check_plan",
    "derived",
    "read_provenance",
    "samples",
    "stream_provenance",
    "validate",
    "write",
]
