"""OME-Zarr volumes: NGFF 0.5 on sharded Zarr v3 or 0.4 on Zarr v2, in one pass, bounded memory, resumable.

Work goes on under ``<name>.partial``, with journals of finished units, and is renamed
when it is whole; a run that was killed continues with the units that are missing. The
plan has the node ``/`` of type ``Multiscale``: its field names are the JSON paths of
what the root's ``zarr.json`` will hold (see `metadata`), its one array, ``0``, is the
full resolution. A node ``/labels/<name>`` of type ``Label`` is the same of labels of the
image, ``/tables/<name>`` of type ``Table`` a table of points or boxes (see `tables`).
``neuropress/stated_spacing``, of the raw file's header, decides which axes a level halves:
never the table, whose cells may change without a new pyramid. How levels are made: `pyramid`;
where everything lies: `layout`; the units of work: `units`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from ...model.finding import Finding
from ...model.plan import Plan, digest
from ...model.progress import Progress
from ...model.provenance import Provenance
from ...model.receipt import HASH, ArrayReceipt, Receipt, root_digest
from ...model.source import SourceRoots
from ...readers.raw import RawArrays
from ...storage.remote import BucketPath, ResultPath
from .. import ArrayMeaning, Request, StoredArray, Work, durable
from ..sections import parse_provenance
from . import guard, metadata, nodes, ome_xml, preview, tables, windows
from .members import check_files
from .staging import Staging, collect_level_digests
from .units import (
    LEVEL0,
    Volume,
    check_plan,
    get_staging_folder,
    make_group_texts,
    make_receipt,
    name_metadata,
    open_staging,
    reuse_arrays,
)
from .versions import VERSIONS

FILE_BYTES = 64 << 20
"""More than any preview and any OME-XML has."""


def finish(request: Request, work: Work | None, raw: RawArrays, progress: Progress) -> None:
    """Write the root's metadata and give the volume its name; see `neuropress.results.KindModule`.

    Without work the arrays lie there already: under the name, so that its root ``zarr.json`` is
    replaced and nothing else is touched, or whole in the staging folder.
    """
    path, volume, folder = request.path, Volume.of_plan(request.plan), get_staging_folder(request.path)
    if request.bucket is not None:
        _finish_in_bucket(request, request.bucket.look_again(), work, raw, progress)
        return
    if work is None:
        place = folder if folder.exists() else path
        reused = reuse_arrays(request.plan, volume, request.seal, place)
        if reused is None:
            raise FileNotFoundError(f"{place} was taken away or changed")
        plan, receipt = reused
        made = tables.find_made(plan, request.seal, place) or tables.make_tables(plan, raw)
        if place == path:
            request.seal.confirm()
        write = partial(_write_file, place)
        tables.write_tables(place, made, write)
        receipt = _add_preview(plan, volume, receipt, place, write)
        _write_root(place, plan, volume, made.complete(receipt))
        progress(volume.nbytes)
    else:
        staging = open_staging(work, volume)
        plan, receipt = _make_receipt(request, volume, staging)
        made = tables.make_tables(plan, raw)
        tables.write_tables(folder, made, staging.write_bytes)
        for name, text in make_group_texts(plan, volume, made.complete(receipt)).items():
            staging.write_text(name, text)
        staging.close()
    if work is not None or folder.exists():
        request.seal.confirm()
        durable.replace_folder(folder, path)


def _finish_in_bucket(
    request: Request, bucket: BucketPath, work: Work | None, raw: RawArrays, progress: Progress
) -> None:
    """Put the root's metadata, by which the volume is there or has other metadata, with one request."""
    volume, made, write = Volume.of_plan(request.plan), None, partial(_write_file, bucket)
    if work is None:
        reused = reuse_arrays(request.plan, volume, request.seal, bucket)
        assert reused is not None, "prepare found it"
        plan, receipt = reused
        made = tables.find_made(plan, request.seal, bucket)
        progress(volume.nbytes)
    else:
        plan, receipt = _make_receipt(request, volume, open_staging(work, volume))
    made = made or tables.make_tables(plan, raw)
    request.seal.confirm()
    tables.write_tables(bucket, made, write)
    receipt = _add_preview(plan, volume, receipt, bucket, write)
    _write_root(bucket, plan, volume, made.complete(receipt))
    if work is not None:
        open_staging(work, volume).close()
    durable.remove_path(get_staging_folder(request.path))


def _make_receipt(request: Request, volume: Volume, staging: Staging) -> tuple[Plan, Receipt]:
    """The plan with its windows, and the receipt of a volume whose units are done; draws its preview."""
    layout, done = volume.layout, staging.check_finished()
    digests = [root_digest(collect_level_digests(layout, done, number)) for number in range(len(layout.levels))]
    derived = {f"/{level.name}": text for level, text in zip(layout.levels, digests, strict=True)}
    arrays = {}
    for source, numbers in zip(volume.sources, layout.list_pyramids(), strict=True):
        first = layout.levels[numbers[0]]
        arrays[source.path] = ArrayReceipt(source.spec, first.tile, derived.pop(source.path), hash=HASH)
    plan = windows.complete_plan(request.plan, volume, staging.finished)
    receipt = make_receipt(plan, volume, request.seal, arrays, derived)
    return plan, _add_preview(plan, volume, receipt, staging.finished, staging.write_bytes)


def _add_preview(
    plan: Plan, volume: Volume, receipt: Receipt, place: ResultPath, write: Callable[[str, bytes], None]
) -> Receipt:
    """Draw a preview where the receipt has none: of a new volume, or of one with other colours or windows by now."""
    if f"/{preview.NAME}" in receipt.derived:
        return receipt
    pyramids = [[volume.layout.levels[n] for n in numbers] for numbers in volume.layout.list_pyramids()]
    colours = metadata.list_colours(metadata.get_ome_fields(plan.nodes[0].fields))
    shown = windows.list_shown(plan, volume, place, preview.MOST_CHANNELS)
    names, dtypes = volume.sources[0].names, [source.spec.type for source in volume.sources]
    picture = preview.draw_preview(place, pyramids[0], pyramids[1:], dtypes, names, volume.stated, colours, shown)
    write(preview.NAME, picture)
    derived = {**receipt.derived, f"/{preview.NAME}": sha256(picture).hexdigest()}
    return replace(receipt, derived=dict(sorted(derived.items())))


def _write_root(place: ResultPath, plan: Plan, volume: Volume, receipt: Receipt) -> None:
    for name, text in make_group_texts(plan, volume, receipt).items():
        _write_file(place, name, text.encode("ascii"))


def _write_file(place: ResultPath, name: str, data: bytes) -> None:
    if isinstance(place, BucketPath):
        (place / name).replace_bytes(data)
        return
    durable.make_folders(place, name)
    durable.write_bytes(place / name, data)


def read_provenance(path: ResultPath) -> Provenance:
    """What the result says about itself. Raises `Problem` (``result.unreadable``, ``result.foreign``)."""
    return parse_provenance(nodes.read_attributes(path), path)


def stream_provenance(open_file: Callable[[str], BinaryIO], path: Path) -> Provenance:
    """The same of a released volume, of which the root's metadata alone are fetched."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.mkdir()
        for version in VERSIONS.values():
            with suppress(FileNotFoundError):  # it is of another version
                for name in version.group_files:
                    with open_file(name) as metadata_file:
                        (copy / name).write_bytes(metadata_file.read())
        return read_provenance(copy)


@contextmanager
def open_arrays(path: ResultPath) -> Iterator[Mapping[str, StoredArray]]:
    """The full resolution, ``/0``, that of labels, and columns of tables; what is damaged raises `Problem`."""
    from .stored import StoredLevel

    guard.check_store(path)
    levels = {f"/{name}": StoredLevel(path, name) for name in _list_full_levels(path)}
    for level in levels.values():
        level.check_metadata()
    yield {**levels, **_open_columns(path)}


def _open_columns(path: ResultPath) -> dict[str, StoredArray]:
    """The raw files' columns of all tables."""
    listed = (tables.StoredTable(path, group).list_columns() for group in tables.list_tables(path))
    return {name: column for columns in listed for name, column in columns.items()}


def _list_full_levels(path: ResultPath) -> list[str]:
    """Paths of the level 0 of the image and of its labels."""
    return [f"{group}/{LEVEL0}" if group else LEVEL0 for group in nodes.list_image_groups(path)]


def describe_arrays(path: ResultPath, names: Mapping[str, Any]) -> Mapping[str, ArrayMeaning]:
    """The axes that the metadata name. Raises `Problem` (``result.unreadable``)."""
    meanings = {}
    with guard.translate_errors(path):
        for level in _list_full_levels(path):
            image = nodes.read_attributes(path, level.rpartition("/")[0])["ome"]["multiscales"][0]
            meanings[f"/{level}"] = ArrayMeaning(tuple(str(axis["name"]) for axis in image["axes"]))
    return {name: meaning for name, meaning in meanings.items() if name in names}


def list_sample_arrays(path: ResultPath) -> list[str]:
    """The arrays that a receipt must lead back to raw files."""
    return [*(f"/{level}" for level in _list_full_levels(path)), *_open_columns(path)]


def read_fields(path: ResultPath, names: Collection[str]) -> Mapping[str, Any]:
    """What the ``zarr.json`` of the image, or of labels, holds under each of these names."""
    found: dict[str, Any] = {}
    for group in nodes.list_image_groups(path):
        prefix = f"/{group}/" if group else "/"
        own = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        values = metadata.find_values(nodes.read_attributes(path, group), own)
        found |= {f"{prefix}{name}": value for name, value in values.items()}
    for group in tables.list_tables(path):
        own = [name for name in names if name.startswith(f"/{group}/")]
        found |= metadata.find_places(tables.read_attributes(path, group), own, f"/{group}/")
    return {name: found[name] for name in names if name in found}


def digest_derived(path: ResultPath) -> Mapping[str, str]:
    """Digests of the levels above 0, computed anew from the result.

    A level's digest is taken like `ArrayReceipt.sha256` of level 0, over boxes of a shard's
    extent and one chunk's depth.
    """
    from .stored import StoredLevel

    guard.check_store(path)
    digests = {}
    arrays = read_provenance(path).receipt.arrays
    full = _list_full_levels(path)
    for name in nodes.read_level_names(path):
        if name not in full:
            level = StoredLevel(path, name)
            level.check_metadata()
            group = name.rpartition("/")[0]
            known = arrays.get(f"/{group}/{LEVEL0}" if group else f"/{LEVEL0}")
            digests[f"/{name}"] = level.digest(known.hash if known else HASH)
    for name in (preview.NAME, ome_xml.NAME):
        if (path / name).is_file():
            with guard.translate_errors(path), guard.open_regular_file(path / name) as file:
                digests[f"/{name}"] = sha256(file.read(FILE_BYTES)).hexdigest()
    groups = nodes.list_image_groups(path)
    for group in (*groups, metadata.LABELS) if len(groups) > 1 else groups:
        attributes = nodes.read_attributes(path, group)
        if group and set(attributes) != {"ome"}:
            with guard.translate_errors(path):
                raise ValueError(f"{group}/{guard.NAME} has other attributes than were written")
        digests[name_metadata(group)] = digest(attributes.get("ome"))
    return digests | tables.digest_files(path)


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
    "name_metadata",
    "open_arrays",
    "read_fields",
    "read_provenance",
    "stream_provenance",
    "validate",
]
