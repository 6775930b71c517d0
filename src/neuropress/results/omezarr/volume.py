"""OME-Zarr volumes: NGFF 0.5 on sharded Zarr v3, in one pass, bounded memory, resumable.

Work goes on under ``<name>.partial``, with journals of finished units, and is renamed
when it is whole; a run that was killed continues with the units that are missing. The
plan has one node, ``/`` of type ``Multiscale``: its field names are the JSON paths of
what the root's ``zarr.json`` will hold (see `metadata`), its one array, ``0``, is the
full resolution. ``neuropress/stated_spacing``, of the raw file's header, decides which
axes a level halves: never the table, whose cells may change without a new pyramid. How
levels are made: `pyramid`; where everything lies: `layout`; the units of work: `units`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from ...model.finding import Finding
from ...model.plan import Plan, digest
from ...model.progress import Progress
from ...model.provenance import Provenance
from ...model.receipt import ArrayReceipt, Receipt, root_digest
from ...model.source import SourceRoots
from ...readers.raw import RawArrays
from ...storage.remote import BucketPath, ResultPath
from .. import ArrayMeaning, Request, StoredArray, Work, durable
from ..sections import parse_provenance
from . import guard, metadata, stored
from .members import check_files
from .staging import Staging, collect_level_digests
from .units import (
    LEVEL0,
    METADATA,
    Volume,
    check_plan,
    digest_metadata,
    get_staging_folder,
    open_staging,
    reuse_receipt,
)


def finish(request: Request, work: Work | None, raw: RawArrays, progress: Progress) -> None:
    """Write the root's metadata and give the volume its name; see `neuropress.results.KindModule`.

    Without work the arrays lie there already: under the name, so that its root ``zarr.json`` is
    replaced and nothing else is touched, or whole in the staging folder.
    """
    plan, path, seal = request.plan, request.path, request.seal
    volume, folder = Volume.of_plan(plan), get_staging_folder(path)
    if request.bucket is not None:
        _finish_in_bucket(request, request.bucket.look_again(), work, progress)
        return
    if work is None:
        place = folder if folder.exists() else path
        receipt = reuse_receipt(plan, volume, seal, place)
        assert receipt is not None, "prepare found it"
        if place == path:
            seal.confirm()
        _write_root(place, plan, volume, receipt)
        progress(volume.spec.nbytes)
    else:
        staging = open_staging(work, volume)
        _write_root(folder, plan, volume, _make_receipt(request, volume, staging))
        staging.close()
    if work is not None or folder.exists():
        seal.confirm()
        durable.replace_folder(folder, path)


def _finish_in_bucket(request: Request, bucket: BucketPath, work: Work | None, progress: Progress) -> None:
    """Put the root's metadata, by which the volume is there or has other metadata, with one request."""
    plan, seal = request.plan, request.seal
    volume = Volume.of_plan(plan)
    if work is None:
        receipt = reuse_receipt(plan, volume, seal, bucket)
        assert receipt is not None, "prepare found it"
        progress(volume.spec.nbytes)
    else:
        receipt = _make_receipt(request, volume, open_staging(work, volume))
    seal.confirm()
    _write_root(bucket, plan, volume, receipt)
    if work is not None:
        open_staging(work, volume).close()
    durable.remove_path(get_staging_folder(request.path))


def _make_receipt(request: Request, volume: Volume, staging: Staging) -> Receipt:
    plan, seal, layout, done = request.plan, request.seal, volume.layout, staging.check_finished()
    digests = [root_digest(collect_level_digests(layout, done, number)) for number in range(len(layout.levels))]
    level0 = ArrayReceipt(volume.spec, layout.levels[0].tile, digests[0])
    derived = {f"/{number}": text for number, text in enumerate(digests) if number}
    derived[METADATA] = digest_metadata(plan.nodes[0], volume)
    inputs = dict(seal.inputs)
    arrays = {f"/{LEVEL0}": level0}
    return Receipt(seal.version, seal.rows, plan.revisions, inputs, arrays, derived, plan.sources, kept=plan.kept_keys)


def _write_root(place: ResultPath, plan: Plan, volume: Volume, receipt: Receipt) -> None:
    made = Provenance.of(plan, receipt)
    text = metadata.make_root_json(plan.nodes[0].fields, volume.layout, made)
    if isinstance(place, BucketPath):
        (place / guard.NAME).replace_bytes(text.encode("ascii"))
    else:
        durable.write_text(place / guard.NAME, text)


def read_provenance(path: ResultPath) -> Provenance:
    """What the result says about itself. Raises `Problem` (``result.unreadable``, ``result.foreign``)."""
    return parse_provenance(stored.read_attributes(path), path)


def stream_provenance(open_file: Callable[[str], BinaryIO], path: Path) -> Provenance:
    """The same of a released volume, whose ``zarr.json`` alone is fetched."""
    with TemporaryDirectory() as folder, open_file(guard.NAME) as metadata_file:
        copy = Path(folder) / path.name
        copy.mkdir()
        (copy / guard.NAME).write_bytes(metadata_file.read())
        return read_provenance(copy)


@contextmanager
def open_arrays(path: ResultPath) -> Iterator[Mapping[str, StoredArray]]:
    """The full resolution, ``/0``. Reading a damaged shard raises `Problem` (``result.unreadable``)."""
    guard.check_store(path)
    level = stored.StoredLevel(path, LEVEL0)
    level.check_metadata()
    yield {f"/{LEVEL0}": level}


def describe_arrays(path: ResultPath, names: Mapping[str, Any]) -> Mapping[str, ArrayMeaning]:
    """The axes that the metadata name. Raises `Problem` (``result.unreadable``)."""
    with guard.translate_errors(path):
        image = stored.read_attributes(path)["ome"]["multiscales"][0]
        axes = tuple(str(axis["name"]) for axis in image["axes"])
    return {name: ArrayMeaning(axes) for name in names if name == f"/{LEVEL0}"}


def list_sample_arrays(path: ResultPath) -> list[str]:
    """The arrays that a receipt must lead back to raw files."""
    return [f"/{LEVEL0}"]


def read_fields(path: ResultPath, names: Collection[str]) -> Mapping[str, Any]:
    """What the root's ``zarr.json`` holds under each of these names."""
    return metadata.find_values(stored.read_attributes(path), names)


def digest_derived(path: ResultPath) -> Mapping[str, str]:
    """Digests of the levels above 0, computed anew from the result.

    A level's digest is taken like `ArrayReceipt.sha256`, over boxes of a shard's extent
    and one chunk's depth.
    """
    guard.check_store(path)
    digests = {}
    for name in stored.read_level_names(path)[1:]:
        level = stored.StoredLevel(path, name)
        level.check_metadata()
        digests[f"/{name}"] = level.digest()
    return digests | {METADATA: digest(stored.read_attributes(path).get("ome"))}


def compare_grafts(path: ResultPath, roots: SourceRoots) -> Iterator[Finding]:
    """Nothing to compare: objects of fragments are for sessions."""
    yield from ()


def validate(path: ResultPath) -> list[Finding]:
    """See `neuropress.results.omezarr.validate`, whose libraries are imported here."""
    from .validate import validate_zarr

    return validate_zarr(path)


__all__ = [
    "check_files",
    "check_plan",
    "describe_arrays",
    "digest_derived",
    "finish",
    "list_sample_arrays",
    "open_arrays",
    "read_fields",
    "read_provenance",
    "stream_provenance",
    "validate",
]
