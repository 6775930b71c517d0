"""Writing a volume unit by unit: each owns whole shards at every level of its pass.

Units that lie on the same raw pages are run together, so that every page is decoded once;
they leave journal entries of their own, and a worker may as well be given one alone. A
stage is a pass of the layout: the first reads the raw file, a further one the last level
of the pass before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from ...model.finding import Finding, Problem, finding
from ...model.plan import ArraySpec, Node, Plan, digest
from ...model.progress import Progress, no_progress
from ...model.provenance import Provenance
from ...model.receipt import Receipt
from ...model.serial import from_json, to_json
from ...readers.raw import RawArrays
from ...storage.remote import BucketPath, ResultPath
from .. import Batch, Request, Seal, Work, durable
from ..sections import parse_provenance
from . import guard, metadata, stored
from .blocks import Block, Read
from .layout import Box, Layout, arrange_layout, count_voxels
from .staging import Staging, UnitKey, clear_closed, format_unit_name, is_whole, parse_unit_name

LEVEL0 = "0"

METADATA = "/zarr.json ome"
"""Name of the digest of the `ome` attribute among the derived ones."""

READ_VOXELS = 1 << 20
"""What is read of whole pages at a time, where they are cut up for several rows of units."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Level 0 with what follows from it: the geometry of everything."""

    spec: ArraySpec
    names: tuple[str, ...]
    stated: tuple[float, ...]
    layout: Layout

    @classmethod
    def of_plan(cls, plan: Plan) -> Volume:
        """The volume of a plan's one node."""
        (node,) = plan.nodes
        image = metadata.get_ome_fields(node.fields)["multiscales"][0]
        names = [axis["name"] for axis in image["axes"]]
        return cls._arrange(node.arrays[LEVEL0], names, metadata.get_own_fields(node.fields).get("stated_spacing", ()))

    @classmethod
    def of_work(cls, work: Work) -> Volume:
        """The volume whose units are to be run. Raises `OSError`: here it would be laid out in another way."""
        task = work.task
        volume = cls._arrange(from_json(ArraySpec, task["spec"]), task["names"], task["stated"])
        if volume.digest(task["stamps"]) != work.plan:
            raise OSError(f"{work.staging} was begun by another version of neuropress; its workers must have the same")
        return volume

    @classmethod
    def _arrange(cls, spec: ArraySpec, names: Sequence[str], stated: Sequence[float]) -> Volume:
        itemsize = np.dtype(spec.dtype).itemsize
        layout = arrange_layout(spec.shape, itemsize, sum(name in "zyx" for name in names), stated)
        return cls(spec, tuple(names), tuple(stated), layout)

    def make_work(self, kind: str, staging: Path, stamps: str, bucket: BucketPath | None = None) -> Work:
        """What `of_work` makes it from again."""
        task = {"spec": to_json(self.spec), "names": list(self.names), "stated": list(self.stated), "stamps": stamps}
        if bucket is not None:  # no part of the digest: which units lie there, their stamps tell
            task["bucket"] = bucket.to_json()
        return Work(kind, str(staging), self.digest(stamps), task)

    def digest(self, stamps: str) -> str:
        """Of everything that the bytes of the units follow from."""
        return digest([to_json(self.spec), stamps, self.texts])

    @property
    def texts(self) -> tuple[str, ...]:
        """The ``zarr.json`` of each level."""
        dtype = np.dtype(self.spec.dtype)
        return tuple(metadata.make_array_json(level, dtype, self.names) for level in self.layout.levels)

    def count_bytes(self, key: UnitKey) -> int:
        """Bytes of level 0 that a unit reads; 0 for a unit of a further pass."""
        index, corner = key
        box = self.layout.get_box(0, self.layout.passes[0], corner) if index == 0 else ()
        return count_voxels(box) * np.dtype(self.spec.dtype).itemsize if box else 0


def open_staging(work: Work, volume: Volume) -> Staging:
    """Where the units of a volume leave what they finished."""
    bucket = work.task.get("bucket")
    place = BucketPath.from_json(bucket) if bucket else None
    return Staging(Path(work.staging), work.plan, volume.layout, place)


def get_staging_folder(path: Path) -> Path:
    """Where a volume lies while it is made."""
    return path.with_name(path.name + ".partial")


def check_plan(plan: Plan) -> Iterator[Finding]:
    """One node of one array, axes that suit its shape, and metadata that make a ``zarr.json`` (``plan.invalid``)."""
    paths = [node.path for node in plan.nodes]
    arrays = sorted(plan.arrays())
    if len(paths) != 1 or arrays != [f"{paths[0].rstrip('/')}/{LEVEL0}"]:
        why = (
            f"it has the nodes {', '.join(paths)} and the arrays {', '.join(arrays)}, not one of each, called {LEVEL0}"
        )
        yield _make_invalid_finding(plan, why)
        return
    try:
        volume = Volume.of_plan(plan)
        metadata.make_root_json(plan.nodes[0].fields, volume.layout, Provenance.draft(plan))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        yield _make_invalid_finding(plan, f"its metadata or array do not fit NGFF ({type(error).__name__}: {error})")
        return
    axes = metadata.get_ome_fields(plan.nodes[0].fields)["multiscales"][0]["axes"]
    if len(axes) != len(volume.spec.shape):
        yield _make_invalid_finding(plan, f"it names {len(axes)} axes of an array of {len(volume.spec.shape)}")
    if np.dtype(volume.spec.dtype).kind not in "uif":
        yield _make_invalid_finding(plan, f"its voxels are {volume.spec.dtype}, neither integers nor floats")


def _make_invalid_finding(plan: Plan, why: str) -> Finding:
    return finding("plan.invalid", f"The plan of {plan.target.id} cannot be written as OME-Zarr: {why}")


def prepare(request: Request) -> Work | None:
    """Make or continue the staging folder; see `neuropress.results.UnitsModule`.

    None if only metadata changed since the previous result at the same path, or if a run
    was killed after the last unit.
    """
    for refused in check_plan(request.plan):
        raise Problem(refused)
    volume, path = Volume.of_plan(request.plan), request.path
    folder, before = get_staging_folder(path), _find_previous(request)
    clear_closed(folder)
    if before is not None and _is_reusable(request, volume, before):
        durable.remove_path(folder)  # of a run that was killed before the tables were mended
        return None
    if request.bucket is None and not Staging.has_units(folder) and _is_reusable(request, volume, folder):
        return None
    work = volume.make_work(request.plan.target.kind, folder, request.seal.stamps, request.bucket)
    staging = open_staging(work, volume)
    staging.begin()
    for number, text in enumerate(volume.texts):
        staging.write_level(number, text)
    return replace(work, done=sum(volume.count_bytes(key) for key in staging.read_done()))


def _find_previous(request: Request) -> ResultPath | None:
    """The older result, if it lies where the new one is to lie."""
    if request.bucket is not None:
        now = request.bucket.look_again()
        return now if now.exists() else None
    path, previous = request.path, request.previous
    if durable.restore_folder(path):
        return path
    return path if previous is not None and previous.resolve() == path.resolve() else None


def _is_reusable(request: Request, volume: Volume, folder: ResultPath) -> bool:
    if (isinstance(folder, Path) and folder.is_symlink()) or not is_whole(folder, volume.layout):
        return False
    return reuse_receipt(request.plan, volume, request.seal, folder) is not None


def reuse_receipt(plan: Plan, volume: Volume, seal: Seal, previous: ResultPath) -> Receipt | None:
    """A receipt for the arrays of an older result that is whole, if they are what this plan would write."""
    try:
        old = parse_provenance(stored.read_attributes(previous), previous).receipt
        texts = tuple(_read_text(previous / f"{i}/{guard.NAME}") for i in range(len(volume.texts)))
    except guard.UNREACHABLE:
        raise
    except (Problem, OSError, ValueError):
        return None  # a damaged result is simply written again
    known = old.arrays.get(f"/{LEVEL0}")
    levels = {name: text for name, text in old.derived.items() if name != METADATA}
    same_levels = texts == volume.texts and len(texts) == 1 + len(levels)
    if known is None or known.spec != volume.spec or not same_levels or dict(old.inputs) != dict(seal.inputs):
        return None
    derived = {**levels, METADATA: digest_metadata(plan.nodes[0], volume)}
    return Receipt(
        seal.version, seal.rows, plan.revisions, old.inputs, old.arrays, derived, plan.sources, kept=plan.kept_keys
    )


def _read_text(path: ResultPath) -> str:
    with guard.open_regular_file(path) as file:
        return file.read().decode("ascii")


def digest_metadata(node: Node, volume: Volume) -> str:
    """Of the ``ome`` attribute: axes, units, scales, channels."""
    return digest(metadata.to_plain_json(metadata.make_ome_attribute(node.fields, volume.layout)))


def list_pending(work: Work, parts: int) -> Sequence[Batch]:
    """The missing units of the first pass that is not whole; see `neuropress.results.UnitsModule`."""
    volume = Volume.of_work(work)
    done = open_staging(work, volume).read_done()
    for index, stage in enumerate(volume.layout.passes):
        groups: dict[tuple[int, ...], list[UnitKey]] = {}
        for corner in volume.layout.list_corners(stage):
            if (index, corner) not in done:
                place = tuple(at * n // m for at, n, m in zip(corner, stage.unit, stage.group, strict=True))
                groups.setdefault(place, []).append((index, corner))
        if groups:
            share = -(-parts // len(groups))
            return [batch for group in groups.values() for batch in _split_batches(group, share)]
    return []


def _split_batches(units: Sequence[UnitKey], parts: int) -> Iterator[Batch]:
    """Whole rows of neighbouring units, or parts of rows where there are too few; more than one part costs reading
    pages again, on another core."""
    rows: dict[tuple[int, ...], list[UnitKey]] = {}
    for index, corner in units:
        rows.setdefault(corner[:-1], []).append((index, corner))
    row_share = -(-parts // len(rows))
    pieces = [piece for row in rows.values() for piece in _split_evenly(row, row_share)]
    for batch in _split_evenly(pieces, parts) if row_share == 1 else [[piece] for piece in pieces]:
        yield tuple(format_unit_name(key) for piece in batch for key in piece)


def _split_evenly[T](items: Sequence[T], parts: int) -> list[Sequence[T]]:
    """Neighbours together, in so many parts or fewer, which differ by one at most."""
    most = min(parts, len(items))
    return [items[len(items) * n // most : len(items) * (n + 1) // most] for n in range(most)]


def run_units(work: Work, units: Batch, raw: RawArrays, progress: Progress) -> None:
    """Run units of one pass; see `neuropress.results.UnitsModule`."""
    volume = Volume.of_work(work)
    staging = open_staging(work, volume)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for index, first, last in _list_rectangles([parse_unit_name(name) for name in units]):
            stage = volume.layout.passes[index]
            read: Read = lambda box: raw.read(volume.spec, box)  # noqa: E731
            report = progress
            if index > 0:  # what was counted already
                read = stored.StoredLevel(staging.finished, str(stage.first)).__getitem__
                report = no_progress
            rows = []
            for y in range(first[-2], last[-2] + 1):
                corner, end = (*first[:-2], y, first[-1]), (*last[:-2], y, last[-1])
                rows.append(Block(volume.layout, stage, corner, end, staging, pool))
            _run_rows(rows, read, report, share_pages=index == 0)
            for row in rows:
                staging.record_units({(index, place): digests for place, digests in row.finish().items()})
    finally:
        pool.shutdown(cancel_futures=True)


def _list_rectangles(units: Sequence[UnitKey]) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """Pass, first and last unit of rectangles in (y, x) that together hold all units.

    What an interrupted run left over may be no rectangle: then each is a run of neighbours in one row.
    """
    layers: dict[tuple[int, tuple[int, ...]], set[tuple[int, int]]] = {}
    for index, corner in units:
        layers.setdefault((index, corner[:-2]), set()).add((corner[-2], corner[-1]))
    for (index, outer), places in layers.items():
        (top, left), (bottom, right) = (tuple(f(axis) for axis in zip(*places, strict=True)) for f in (min, max))
        if len(places) == (bottom - top + 1) * (right - left + 1):
            yield index, (*outer, top, left), (*outer, bottom, right)
            continue
        for y, x in sorted(places):
            if (y, x - 1) not in places:
                end = next(n for n in count(x) if (y, n + 1) not in places)
                yield index, (*outer, y, x), (*outer, y, end)


def _run_rows(rows: Sequence[Block], read: Read, progress: Progress, *, share_pages: bool) -> None:
    """Feed rows of units, all at the same depth at a time; what is read from shards is not shared between rows."""
    for slabs in zip(*(row.list_slabs() for row in rows), strict=True):
        parts = _read_parts(read, slabs) if share_pages else []
        for row, slab in zip(rows, slabs, strict=True):
            # Popped, so that its memory is free when the next row needs some.
            progress(row.feed_slab(parts.pop(0) if share_pages else read(slab), slab))


def _read_parts(read: Read, slabs: Sequence[Box]) -> list[np.ndarray]:
    """Boxes that lie side by side along y, from pages that are read once."""
    if len(slabs) == 1:
        return [read(slabs[0])]
    first, last = slabs[0], slabs[-1]
    together = (*first[:-2], slice(first[-2].start, last[-2].stop), first[-1])
    parts: list[np.ndarray] = []
    for step in _split_steps(together):
        pages = read(step)
        parts = parts or [np.empty([s.stop - s.start for s in slab], pages.dtype) for slab in slabs]
        for part, slab in zip(parts, slabs, strict=True):
            rows = pages[..., slab[-2].start - first[-2].start : slab[-2].stop - first[-2].start, :]
            if len(step) < 3:
                part[...] = rows
            else:
                part[..., step[-3].start - first[-3].start : step[-3].stop - first[-3].start, :, :] = rows
        del pages, rows  # or the next ones are read while these are held
    return parts


def _split_steps(box: Box) -> Iterator[Box]:
    """A box in steps of some pages."""
    if len(box) < 3:
        yield box
        return
    size = max(1, READ_VOXELS // max(1, count_voxels(box[-2:])))
    for z in range(box[-3].start, box[-3].stop, size):
        yield (*box[:-3], slice(z, min(z + size, box[-3].stop)), *box[-2:])
