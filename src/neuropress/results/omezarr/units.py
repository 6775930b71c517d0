"""Writing a volume unit by unit: each owns whole shards at every level of its pass.

Units that lie on the same raw pages are run together, so that every page is decoded once;
they leave journal entries of their own, and a worker may as well be given one alone. A
stage is a pass of the layout: the first reads the raw file, a further one the last level
of the pass before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

from ...model.content import Access
from ...model.finding import Finding, Problem, finding
from ...model.packing import Packing
from ...model.plan import ArraySpec, Node, Plan, digest
from ...model.progress import Progress, no_progress
from ...model.provenance import Provenance
from ...model.receipt import HASH, ArrayReceipt, Receipt
from ...model.serial import from_json, to_json
from ...readers.raw import RawArrays
from ...storage.parallel import count_cores
from ...storage.remote import BucketPath, ResultPath
from .. import Batch, Estimate, Request, Seal, Work, durable
from ..sections import parse_provenance
from . import guard, metadata, nodes, ome_xml, tables, windows
from .blocks import Block, Read
from .feeding import choose_reading, estimate_memory, feed_bands, feed_spooled, list_windows
from .fresh import FreshLevel
from .layout import Layout, Pass, add_labels, arrange_layout, count_voxels
from .preview import NAME as PREVIEW
from .shards import ShardWriter, make_blosc
from .staging import Staging, UnitKey, clear_closed, format_unit_name, is_whole, parse_unit_name

LEVEL0 = "0"

METADATA = "zarr.json ome"
"""Name of the digest of a group's `ome` attribute among the derived ones, below the group's path."""

_WRITTEN_ANEW = (METADATA, ome_xml.NAME)
"""Ends of the names of digests of what is written with the metadata."""

PROCESS_BYTES = 140_000_000
"""Memory of a process that has no pixels: libraries, chunks that are packed and wait to be written, and what the
allocator cannot use again, 20 to 40 MB. Measured: `benchmarks/formats.py`."""

CELL_BYTES = 160
"""Memory of a cell of a table, which is held whole: 1,000,000 rows of 5 take 870 MB with the process."""


@dataclass(frozen=True, slots=True)
class Source:
    """Level 0 of the image, or of labels: its group in the volume (``""``, ``labels/nuclei``), and its axes."""

    group: str
    spec: ArraySpec
    names: tuple[str, ...]

    @property
    def path(self) -> str:
        """As plans and receipts name the array (``/0``, ``/labels/nuclei/0``)."""
        return f"/{self.group}/{LEVEL0}" if self.group else f"/{LEVEL0}"


@dataclass(frozen=True, slots=True)
class Volume:
    """The image's level 0 and those of its labels with what follows from them: the geometry of everything."""

    sources: tuple[Source, ...]
    stated: tuple[float, ...]
    packing: Packing
    layout: Layout

    @classmethod
    def of_plan(cls, plan: Plan) -> Volume:
        """The volume of a plan's nodes: the image, and its labels."""
        sources = []
        for node in tables.get_images(plan.nodes):
            image = metadata.get_ome_fields(node.fields)["multiscales"][0]
            names = tuple(axis["name"] for axis in image["axes"])
            sources.append(Source(node.path.strip("/"), node.arrays[LEVEL0], names))
        own = metadata.get_own_fields(plan.nodes[0].fields)
        return cls._arrange(sources, own.get("stated_spacing", ()), Packing.parse(own))

    @classmethod
    def of_work(cls, work: Work) -> Volume:
        """The volume whose units are to be run. Raises `OSError`: here it would be laid out in another way."""
        task = work.task
        sources = [from_json(Source, source) for source in task["sources"]]
        volume = cls._arrange(sources, task["stated"], Packing.parse(task["packing"]))
        if volume.digest(task["stamps"]) != work.plan:
            raise OSError(f"{work.staging} was begun by another version of neuropress; its workers must have the same")
        return volume

    @classmethod
    def _arrange(cls, sources: Sequence[Source], stated: Sequence[float], packing: Packing) -> Volume:
        layouts: list[Layout] = []
        for source in sources:
            space = sum(name in "zyx" for name in source.names)
            spacing, image = (stated, None) if not layouts else ((), layouts[0])
            shape, itemsize = source.spec.shape, source.spec.itemsize
            layouts.append(arrange_layout(shape, itemsize, space, spacing, image, packing))
        labels = {source.group: layout for source, layout in zip(sources[1:], layouts[1:], strict=True)}
        return cls(tuple(sources), tuple(stated), packing, add_labels(layouts[0], labels))

    def make_work(self, kind: str, staging: Path, stamps: str, bucket: BucketPath | None = None) -> Work:
        """What `of_work` makes it from again."""
        task = {
            "sources": to_json(self.sources),
            "stated": list(self.stated),
            "packing": self.packing.list_stated(),
            "stamps": stamps,
        }
        if bucket is not None:  # no part of the digest: which units lie there, their stamps tell
            task["bucket"] = bucket.to_json()
        return Work(kind, str(staging), self.digest(stamps), task)

    def digest(self, stamps: str) -> str:
        """Of everything that the bytes of the units, and their digests, follow from."""
        return digest([to_json(self.sources), stamps, self.texts, HASH])

    @property
    def texts(self) -> tuple[str, ...]:
        """The metadata of each level."""
        texts = []
        for source, numbers in zip(self.sources, self.layout.list_pyramids(), strict=True):
            for number in numbers:
                level = self.layout.levels[number]
                dtype, names = source.spec.type, source.names
                texts.append(metadata.make_array_text(level, dtype, names, self.packing.zstd_level))
        return tuple(texts)

    @property
    def nbytes(self) -> int:
        """Bytes of the image's level 0 and those of its labels."""
        return sum(source.spec.nbytes for source in self.sources)

    def find_source(self, level: int) -> Source:
        """The level 0 that a level was made from."""
        return next(s for s, numbers in zip(self.sources, self.layout.list_pyramids(), strict=True) if level in numbers)

    def count_bytes(self, key: UnitKey) -> int:
        """Bytes of level 0 that a unit reads; 0 for a unit of a further pass."""
        index, corner = key
        stage = self.layout.passes[index]
        if not stage.reads_raw:
            return 0
        box = self.layout.get_box(stage.first, stage, corner)
        return count_voxels(box) * self.find_source(stage.first).spec.itemsize


def open_staging(work: Work, volume: Volume) -> Staging:
    """Where the units of a volume leave what they finished."""
    bucket = work.task.get("bucket")
    place = BucketPath.from_json(bucket) if bucket else None
    return Staging(Path(work.staging), work.plan, volume.layout, place)


def get_staging_folder(path: Path) -> Path:
    """Where a volume lies while it is made."""
    return path.with_name(path.name + ".partial")


def check_plan(plan: Plan) -> Iterator[Finding]:
    """Nodes of one array each, axes that suit its shape, and metadata that make a ``zarr.json`` (``plan.invalid``).

    The first node is the image, further ones are its labels, and tables.
    """
    images = tables.get_images(plan.nodes)
    paths = [node.path for node in images]
    arrays = sorted(f"{node.path.rstrip('/')}/{name}" for node in images for name in node.arrays)
    is_placed = paths[:1] == ["/"] and all(re.fullmatch(f"/{metadata.LABELS}/[^/]+", path) for path in paths[1:])
    if not is_placed or arrays != sorted(f"{path.rstrip('/')}/{LEVEL0}" for path in paths):
        why = f"it has the nodes {', '.join(paths)} and the arrays {', '.join(arrays)}, not one called {LEVEL0} in each"
        yield _make_invalid_finding(plan, why)
        return
    try:
        volume = Volume.of_plan(plan)
        metadata.make_group_texts(images, volume.layout, Provenance.draft(plan))
        for node in tables.get_tables(plan.nodes):
            tables.check_node(node)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        yield _make_invalid_finding(plan, f"its metadata or array do not fit NGFF ({type(error).__name__}: {error})")
        return
    for source in volume.sources:
        spec = source.spec
        if len(source.names) != len(spec.shape):
            yield _make_invalid_finding(plan, f"it names {len(source.names)} axes of an array of {len(spec.shape)}")
        if source.group and spec.type.kind not in "ui":
            yield _make_invalid_finding(plan, f"{source.group} are {spec.dtype}; labels are integers")
        if spec.type.kind not in "uif":
            yield _make_invalid_finding(plan, f"its voxels are {spec.dtype}, neither integers nor floats")


def _make_invalid_finding(plan: Plan, why: str) -> Finding:
    return finding("plan.invalid", f"The plan of {plan.target.id} cannot be written as OME-Zarr: {why}")


def estimate(plan: Plan, access: Mapping[str, Access]) -> Estimate:
    """What writing a volume comes to; see `neuropress.results.UnitsModule` and `estimate_memory` of `feeding`.

    Tables are held whole.
    """
    volume = Volume.of_plan(plan)
    layout = volume.layout
    units = sum(prod(layout.get_grid(stage)) for stage in layout.passes)
    shards = sum(prod(-(-n // m) for n, m in zip(level.shape, level.shard, strict=True)) for level in layout.levels)
    raw = [stage for stage in layout.passes if stage.reads_raw]
    memory = [_estimate_pass(volume, stage, access) for stage in raw]
    groups = metadata.make_ome_attributes(tables.get_images(plan.nodes), layout)
    own = len(groups) * len(layout.version.group_files) + 1  # the preview
    own += len(layout.version.group_files) + 1 if ome_xml.has_type(volume.sources[0].spec.type) else 0
    files = shards + len(layout.levels) + own + tables.estimate_files(plan.nodes)
    cells = sum(prod(spec.shape) for node in tables.get_tables(plan.nodes) for spec in node.arrays.values())
    return Estimate(units, files, volume.nbytes, PROCESS_BYTES + max(memory) + cells * CELL_BYTES)


def _estimate_pass(volume: Volume, stage: Pass, access: Mapping[str, Access]) -> int:
    """Memory of a pass that reads a raw file, which gives pages as a whole where nobody says more."""
    source = volume.find_source(stage.first)
    shape, itemsize = source.spec.shape, source.spec.itemsize
    known = access.get(source.path) or Access((*(1,) * (len(shape) - 2), *shape[-2:]))
    reading = choose_reading(volume.layout, stage, itemsize, known.block, count_cores() if known.is_shared else 1)
    return known.kept + estimate_memory(volume.layout, stage, itemsize, reading)


def make_group_texts(plan: Plan, volume: Volume, receipt: Receipt) -> dict[str, str]:
    """The metadata of every group by their files' paths in the volume, those with the root's attributes last."""
    return metadata.make_group_texts(tables.get_images(plan.nodes), volume.layout, Provenance.of(plan, receipt))


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
    if before is not None and is_reusable(request, volume, before):
        durable.remove_path(folder)  # of a run that was killed before the tables were mended
        return None
    if request.bucket is None and not Staging.has_units(folder) and is_reusable(request, volume, folder):
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


def is_reusable(request: Request, volume: Volume, folder: ResultPath) -> bool:
    """Whether a folder is whole and holds the arrays that would be written, though perhaps other metadata."""
    if (isinstance(folder, Path) and folder.is_symlink()) or not is_whole(folder, volume.layout):
        return False
    return reuse_arrays(request.plan, volume, request.seal, folder) is not None


def reuse_arrays(plan: Plan, volume: Volume, seal: Seal, previous: ResultPath) -> tuple[Plan, Receipt] | None:
    """The plan with its windows, and a receipt for the arrays of an older result that is whole; None if these are not
    what this plan would write.

    The receipt has no tables: these are written again (`neuropress.results.omezarr.tables.find_made`). It has the
    preview only if that would be drawn alike.
    """
    try:
        attributes = nodes.read_attributes(previous)
        old = parse_provenance(attributes, previous).receipt
        texts = tuple(_read_text(previous / level.file) for level in volume.layout.levels)
        if not _holds_arrays(plan, volume, seal, old, texts):
            return None
        plan = windows.complete_plan(plan, volume, previous)
    except guard.UNREACHABLE:
        raise
    except (Problem, OSError, ValueError):
        return None  # a damaged result is simply written again
    kept = {name: text for name, text in _list_arrays(old.derived).items() if not name.endswith(_WRITTEN_ANEW)}
    ome = metadata.get_ome_fields(plan.nodes[0].fields)
    if _list_shades(ome) != _list_shades(attributes["ome"]) or not (previous / PREVIEW).is_file():
        kept.pop(f"/{PREVIEW}", None)
    return plan, make_receipt(plan, volume, seal, _list_arrays(old.arrays), kept)


def make_receipt(
    plan: Plan, volume: Volume, seal: Seal, arrays: Mapping[str, ArrayReceipt], derived: Mapping[str, str]
) -> Receipt:
    """The receipt of a volume without tables.

    Parameters
    ----------
    derived
        Digests of the levels above 0, and of the preview.
    """
    derived = dict(
        sorted({**derived, **digest_metadata(plan.nodes, volume)}.items())
    )  # in whatever order they were made
    inputs = dict(seal.inputs)
    return Receipt(seal.version, seal.rows, plan.revisions, inputs, arrays, derived, plan.sources, kept=plan.kept_keys)


def _holds_arrays(plan: Plan, volume: Volume, seal: Seal, old: Receipt, texts: Sequence[str]) -> bool:
    """Whether a result of a receipt, and with the metadata of levels, has the arrays of a plan."""
    levels = [name for name in _list_arrays(old.derived) if not name.endswith((*_WRITTEN_ANEW, f"/{PREVIEW}"))]
    same_levels = (*texts,) == volume.texts and len(texts) == len(volume.sources) + len(levels)
    arrays = {name: one.spec for name, one in _list_arrays(old.arrays).items()}
    same_arrays = arrays == {source.path: source.spec for source in volume.sources}
    return same_arrays and same_levels and _are_same_inputs(plan, old, seal)


def _list_arrays[T](named: Mapping[str, T]) -> dict[str, T]:
    """What a receipt says of an image and its labels, without tables."""
    return {name: one for name, one in named.items() if not tables.is_of_table(name)}


def _list_shades(ome: Mapping[str, Any]) -> tuple[object, ...]:
    """What the preview shows of the metadata."""
    return metadata.list_colours(ome), windows.list_stated(ome)


def _are_same_inputs(plan: Plan, old: Receipt, seal: Seal) -> bool:
    """Whether all raw files that voxels come from are as they were; those of tables may be others."""
    images = {array.spec.source for name, array in old.arrays.items() if not tables.is_of_table(name)}
    before = {array.spec.source for name, array in old.arrays.items() if tables.is_of_table(name)} - images
    apart = tables.list_own_inputs(plan) | before
    return all(old.inputs.get(key) == seal.inputs.get(key) for key in {*old.inputs, *seal.inputs} - apart)


def _read_text(path: ResultPath) -> str:
    with guard.open_regular_file(path) as file:
        return file.read().decode("ascii")


def digest_metadata(nodes: Sequence[Node], volume: Volume) -> dict[str, str]:
    """Of the ``ome`` attribute of each group: axes, units, scales, channels, classes; and of the OME-XML."""
    images = tables.get_images(nodes)
    groups = metadata.make_ome_attributes(images, volume.layout)
    digests = {name_metadata(group): digest(metadata.to_plain_json(ome)) for group, ome in groups.items()}
    if (document := metadata.make_ome_document(images[0], volume.layout)) is not None:
        digests[f"/{ome_xml.NAME}"] = sha256(document.encode("ascii")).hexdigest()
    return digests


def name_metadata(group: str) -> str:
    """Name of the digest of a group's ``ome`` attribute."""
    return f"/{group}/{METADATA}" if group else f"/{METADATA}"


def list_pending(work: Work, parts: int) -> Sequence[Batch]:
    """The missing units of the first pass that is not whole; see `neuropress.results.UnitsModule`."""
    volume = Volume.of_work(work)
    done = open_staging(work, volume).read_done()
    for index, stage in enumerate(volume.layout.passes):
        groups: dict[tuple[int, ...], list[UnitKey]] = {}
        for corner in volume.layout.list_corners(stage):
            if (index, corner) not in done:
                groups.setdefault(find_group(stage, corner), []).append((index, corner))
        if groups:
            share = -(-parts // len(groups))
            return [batch for group in groups.values() for batch in _split_batches(group, share)]
    return []


def find_group(stage: Pass, corner: Sequence[int]) -> tuple[int, ...]:
    """The group of units on the same raw pages that a unit belongs to."""
    return tuple(at * n // m for at, n, m in zip(corner, stage.unit, stage.group, strict=True))


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
    pool = ThreadPoolExecutor(count_cores())
    try:
        for index, first, last in _list_rectangles([parse_unit_name(name) for name in units]):
            _run_rectangle(volume, index, (first, last), staging, raw, progress, pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _run_rectangle(
    volume: Volume,
    index: int,
    corners: tuple[tuple[int, ...], tuple[int, ...]],
    staging: Staging,
    raw: RawArrays,
    progress: Progress,
    pool: ThreadPoolExecutor,
) -> None:
    """Run the units from the first to the last corner."""
    layout, stage = volume.layout, volume.layout.passes[index]
    spec = volume.find_source(stage.first).spec
    codec = make_blosc(spec.type, volume.packing.zstd_level)
    access = raw.get_access(spec) if stage.reads_raw else Access(layout.levels[stage.first].chunk)
    if not stage.reads_raw:  # what was counted already
        progress = no_progress
    threads = count_cores() if access.is_shared else 1
    reading = choose_reading(layout, stage, spec.itemsize, access.block, threads)
    with ShardWriter() as writer, _open_input(volume, stage, staging, raw) as read:
        blocks = [
            Block(layout, stage, first, last, staging, codec, pool, writer)
            for first, last in list_windows(*corners, reading.columns)
        ]
        # Windows of rows by themselves, where the file gives them so; else together, each page decoded once.
        for some in [blocks] if reading.is_spooled else [[block] for block in blocks]:
            if reading.is_spooled:
                feed_spooled(some, read, reading, progress, pool, staging.make_temporary())
            else:
                feed_bands(some[0], read, progress, pool)
            for done in some:
                staging.record_units({(index, place): digests for place, digests in done.finish().items()})
            some.clear()


@contextmanager
def _open_input(volume: Volume, stage: Pass, staging: Staging, raw: RawArrays) -> Iterator[Read]:
    """What gives the voxels of a pass: the raw file, or the last level of the pass before."""
    spec = volume.find_source(stage.first).spec
    if stage.reads_raw:
        yield lambda box: raw.read(spec, box)
        return
    with closing(FreshLevel(staging.finished, volume.layout.levels[stage.first], spec.type)) as level:
        yield level.__getitem__


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
