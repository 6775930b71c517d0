"""One volume by several processes that do not talk: parts of a run, on machines that share a folder.

Which units are whose follows from the layout. The staging folder appears whole, with the metadata of all levels, by one
rename, and only while there is none; nobody adds to it what `Staging` has no name for. So whoever comes late, because
it slept or because it sees the folder late, finds its own place there or fails; it cannot put anything into a volume
that is being finished or is finished. Who finishes takes the journals away by a rename, which succeeds once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from ...model.finding import Problem
from ...model.run_part import RunPart
from .. import Batch, Request, Work, durable
from . import guard, tables
from .staging import Staging, UnitKey, clear_closed, format_unit_name
from .units import (
    Volume,
    check_plan,
    find_group,
    get_staging_folder,
    is_reusable,
    make_group_texts,
    open_staging,
    reuse_arrays,
)


def is_finished(request: Request) -> bool:
    """Whether the volume lies there with the metadata that it would get; see `neuropress.results.PartsModule`."""
    volume, path = Volume.of_plan(request.plan), request.path
    if not (path / volume.layout.version.root_file).is_file() or not is_reusable(request, volume, path):
        return False
    reused = reuse_arrays(request.plan, volume, request.seal, path)
    made = tables.find_made(request.plan, request.seal, path)
    if reused is None or made is None:
        return False
    plan, receipt = reused
    texts = make_group_texts(plan, volume, made.complete(receipt))
    try:
        return all((path / name).read_bytes() == text.encode("ascii") for name, text in texts.items())
    except OSError:
        return False


def join(request: Request) -> Work | None:
    """Go on in the staging folder of this plan; see `neuropress.results.PartsModule`.

    Raises
    ------
    Problem
        The plan or what lies in the folder is refused (``plan.invalid``, ``result.unsafe``).
    """
    for refused in check_plan(request.plan):
        raise Problem(refused)
    volume, folder = Volume.of_plan(request.plan), get_staging_folder(request.path)
    work = volume.make_work(request.plan.target.kind, folder, request.seal.stamps)
    staging = open_staging(work, volume)
    if not staging.is_begun():
        return None
    guard.check_store(folder)
    return work


def begin(request: Request) -> Work | None:
    """Make the staging folder, unless nothing is left to be done; see `neuropress.results.PartsModule`."""
    if work := join(request):  # made by another part in the meantime
        return work
    volume, path = Volume.of_plan(request.plan), request.path
    folder = get_staging_folder(path)
    durable.restore_folder(path)
    clear_closed(folder)
    for left in folder.parent.glob(f"{folder.name}-*"):  # of one that was killed right here
        durable.remove_path(left)
    if path.exists() and is_reusable(request, volume, path):
        _take_away(folder)
        return None
    if not Staging.has_units(folder) and is_reusable(request, volume, folder):
        return None
    _take_away(folder, _make_staging_finder(request, volume))
    _make_staging(request, volume, folder)
    return join(request)


def _take_away(folder: Path, is_ours: Callable[[Path], bool] = lambda path: False) -> None:
    """Remove a staging folder that is of another plan or is not needed; its workers lose it at once.

    Under the new name a folder is seen as it is. One that turns out to be of this plan, and had been seen late, gets
    its name back.
    """
    leaving = _make_private_path(folder)
    with suppress(FileNotFoundError):
        os.rename(folder, leaving)
        if is_ours(leaving):
            with suppress(OSError):  # another one was made meanwhile
                os.rename(leaving, folder)
        durable.remove_path(leaving)


def _make_staging_finder(request: Request, volume: Volume) -> Callable[[Path], bool]:
    """Says of a folder whether it is the staging folder of a plan."""

    def is_begun(folder: Path) -> bool:
        work = volume.make_work(request.plan.target.kind, folder, request.seal.stamps)
        return open_staging(work, volume).is_begun()

    return is_begun


def _make_staging(request: Request, volume: Volume, folder: Path) -> None:
    private = _make_private_path(folder)
    work = volume.make_work(request.plan.target.kind, private, request.seal.stamps)
    staging = open_staging(work, volume)
    staging.begin()
    for number, text in enumerate(volume.texts):
        staging.write_level(number, text)
    try:
        os.rename(private, folder)  # over an empty folder or none
    except OSError:  # another process was first, and this one sees it late
        durable.remove_path(private)
        return
    durable.sync_path(folder.parent)
    if request.path.exists() and is_reusable(request, volume, request.path):
        # Finished by the others before this one woke up: what it made is not needed, and nobody else is in it.
        os.replace(folder, private)
        durable.remove_path(private)


def _make_private_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-{uuid4().hex}")


def list_share(work: Work, part: RunPart) -> list[Batch]:
    """The missing units that read raw files and are this part's, those on the same pages together.

    Rows of units are shared out in the order of the pages, so that neighbouring parts read few pages both; single
    units where there are fewer rows than parts.
    """
    volume = Volume.of_work(work)
    groups: dict[tuple[int, ...], dict[tuple[int, ...], list[UnitKey]]] = {}
    for index, corner in _list_reading_units(volume):
        rows = groups.setdefault((index, *find_group(volume.layout.passes[index], corner)), {})
        rows.setdefault(corner[:-1], []).append((index, corner))
    pieces = [(group, row) for group, rows in groups.items() for row in rows.values()]
    if len(pieces) < part.count:
        pieces = [(group, [unit]) for group, row in pieces for unit in row]
    done = open_staging(work, volume).read_done()
    batches: dict[tuple[int, ...], list[str]] = {}
    for group, row in part.take(pieces):
        batches.setdefault(group, []).extend(format_unit_name(unit) for unit in row if unit not in done)
    return [tuple(batch) for batch in batches.values() if batch]


def _list_reading_units(volume: Volume) -> Iterator[UnitKey]:
    """Units of the first pass of the image, and of that of each of its labels."""
    for index, stage in enumerate(volume.layout.passes):
        if stage.reads_raw:
            yield from ((index, corner) for corner in volume.layout.list_corners(stage))


def count_units(work: Work) -> tuple[int, int]:
    """Units that read raw files: the missing ones, and all; see `neuropress.results.PartsModule`."""
    volume = Volume.of_work(work)
    done = open_staging(work, volume).read_done()
    units = list(_list_reading_units(volume))
    return sum(unit not in done for unit in units), len(units)


__all__ = ["begin", "count_units", "is_finished", "join", "list_share"]
