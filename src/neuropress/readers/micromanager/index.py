"""MicroManager's metadata.txt: JSON with what was planned, and an entry for each plane.

Version 1.4 calls entries ``FrameKey-<time>-<channel>-<depth>``. Version 2.0 has two for each file of a plane,
``Coords-<folder>/<file>`` and ``Metadata-<folder>/<file>``, and 1.4's names for planes of an MMStack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ...model import budget
from ...model.budget import OverBudget
from ...model.finding import Problem, problem
from ...model.parsing import parse_json
from ...model.source import Source
from ..folders.grid import Place
from ..images.calibration import ImageMetadata, parse_decimal
from ..microscopes.facts import check_times, set_frame_rate, set_optics

_FRAME_KEY = re.compile(r"FrameKey-(\d{1,9})-(\d{1,9})-(\d{1,9})")
_FILE_NAME = re.compile(r"img_channel(\d{1,9})_position(\d{1,9})_time(\d{1,9})_z(\d{1,9})\.tif")
_COORDINATES = (
    ("FrameIndex", "Frame", "time"),
    ("ChannelIndex", "channel"),
    ("SliceIndex", "Slice", "z"),
    ("PositionIndex", "position"),
)
"""Names of time, channel, depth and position in an entry; those of an index come first."""
_PLANNED = (("t", "Frames", "time"), ("c", "Channels", "channel"), ("z", "Slices", "z"))
_MOST = 2**31
_ELAPSED = "ElapsedTime-ms"
_KEPT = frozenset(name for names in _COORDINATES for name in names) | {
    _ELAPSED, "FileName", "Exposure-ms", "PixelSizeUm", "PositionName", "ReceivedTime", "Time",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A plane: `place` in time, channel and depth, its position, its file's name, and all that is said of it."""

    place: Place
    position: int
    file: str
    stated: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Index:
    """A metadata.txt: its key, what was planned, and the planes."""

    key: str
    summary: Mapping[str, Any]
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]

    @property
    def planned(self) -> dict[str, int]:
        """Planes that were planned along each axis, where it says so."""
        intended = self.summary.get("IntendedDimensions")
        nested: Mapping[str, Any] = intended if isinstance(intended, dict) else {}
        counts = {}
        for axis, plain, name in _PLANNED:
            count = nested.get(name, self.summary.get(plain))
            if isinstance(count, int) and count > 0:
                counts[axis] = count
        return counts

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels; some versions write the list as a text."""
        names = self.summary.get("ChNames")
        if isinstance(names, str):
            try:
                names = parse_json(names)
            except (OverBudget, ValueError):
                return ()
        return tuple(map(str, names)) if isinstance(names, list) else ()

    @property
    def started(self) -> datetime | None:
        """When the acquisition began, from which planes count; version 1.4 states it by a plane, to a second."""
        if moment := _parse_moment(self.summary.get("StartTime") or self.summary.get("Time")):
            return moment
        first = min(self.entries, key=lambda entry: entry.place).stated
        moment, elapsed = _parse_moment(first.get("ReceivedTime") or first.get("Time")), _get_elapsed(first)
        if moment is None or elapsed is None:
            return None
        try:
            return moment - timedelta(milliseconds=elapsed)
        except OverflowError:
            return None


def _parse_moment(text: Any) -> datetime | None:
    """A date and time; its zone stands behind a blank, which ISO 8601 does not have."""
    try:
        return datetime.fromisoformat(re.sub(r"\s+(?=[+-]\d{4}$)", "", str(text or "").strip()))
    except ValueError:
        return None


def _get_elapsed(stated: Mapping[str, Any]) -> int | float | None:
    """Milliseconds since the begin of the acquisition."""
    elapsed = stated.get(_ELAPSED)
    if not isinstance(elapsed, (int, float)) or isinstance(elapsed, bool):
        return None
    return elapsed if abs(elapsed) < _MOST * 1000 else None


def read_index(source: Source, key: str) -> Index:
    """The entries of a metadata.txt.

    Raises
    ------
    Problem
        ``image.hostile``: it is larger than any; ``microscope.damaged``: it is no such JSON.
    """
    size = source.size(key)
    if size > budget.MICROMANAGER_BYTES:
        message = f"{key}: {size} bytes of metadata, more than {budget.MICROMANAGER_BYTES}"
        hint = 'Record in parts; or state reader = "slices" for the folder, without its metadata.'
        raise problem("image.hostile", message, hint=hint, file=key)
    document, warnings = _parse(source.read(key), key)
    summary = document.get("Summary", {})
    if not isinstance(summary, dict):
        raise _make_problem(key, "its Summary is no object")
    entries = tuple(_list_entries(document, key))
    if not entries:
        raise _make_problem(key, "it has no entry of a plane")
    return Index(key, summary, entries, warnings)


def _parse(data: bytes, key: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The document; one whose last bracket was never written, when the program ended early, is closed."""
    closed = data.rstrip().removesuffix(b",") + b"}"
    failure: Exception = ValueError()
    for text, warnings in ((data, ()), (closed, (f"{key} was never closed: the program ended early",))):
        try:
            document = parse_json(
                text,
                budget.MICROMANAGER_BYTES + 1,
                parse_constant=lambda constant: None,
                object_pairs_hook=_Shortener().make_object,
            )
        except OverBudget as error:
            raise problem("image.hostile", f"{key}: {error}", file=key) from error
        except ValueError as error:
            failure = failure if failure.args else error
            continue
        if not isinstance(document, dict):
            raise _make_problem(key, "it is no JSON object")
        return document, warnings
    raise _make_problem(key, f"it is no JSON ({failure})") from failure


class _Shortener:
    """Keeps of all planes but the first what is asked for: a plane has a hundred settings of devices."""

    def __init__(self) -> None:
        self._first = True

    def make_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """An object of the document."""
        stated = dict(pairs)
        if _ELAPSED not in stated or self._first:
            self._first = self._first and _ELAPSED not in stated
            return stated
        return {name: value for name, value in stated.items() if name in _KEPT}


def _list_entries(document: Mapping[str, Any], key: str) -> Iterator[Entry]:
    for name, stated in document.items():
        frame = _FRAME_KEY.fullmatch(name)
        if frame is None and not name.startswith("Metadata-"):
            continue
        if not isinstance(stated, dict):
            raise _make_problem(key, f"its entry {name} is no object")
        path = name.removeprefix("Metadata-") if frame is None else str(stated.get("FileName") or "")
        file = PurePosixPath(path.replace("\\", "/")).name
        coordinates = stated if frame else document.get(f"Coords-{path}", stated)
        if not isinstance(coordinates, dict):
            raise _make_problem(key, f"its entry Coords-{path} is no object")
        fallback = [*map(int, frame.groups()), 0] if frame else _parse_file_name(file)
        place = [
            _find_number(coordinates, names, default) for names, default in zip(_COORDINATES, fallback, strict=True)
        ]
        time, channel, depth, position = place
        if time is None or channel is None or depth is None or position is None:
            raise _make_problem(key, f"its entry {name} does not say which time, channel, depth and position it is of")
        yield Entry((time, channel, depth), position, file, stated)


def _parse_file_name(name: str) -> list[int | None]:
    """Time, channel, depth and position as a file of version 2.0 is called; the position may be none."""
    match = _FILE_NAME.fullmatch(name)
    if match is None:
        return [None, None, None, 0]
    channel, position, time, depth = map(int, match.groups())
    return [time, channel, depth, position]


def _find_number(stated: Mapping[str, Any], names: tuple[str, ...], default: int | None) -> int | None:
    for name in names:
        number = stated.get(name)
        if isinstance(number, int) and not isinstance(number, bool):
            return number if 0 <= number < _MOST else None
    return default


def list_times(entries: Mapping[Place, Entry], times: int) -> np.ndarray:
    """Milliseconds since the begin of the acquisition of each time: of the plane that was taken first."""
    earliest: dict[int, Any] = {}
    for place, entry in entries.items():
        if (elapsed := _get_elapsed(entry.stated)) is not None:
            earliest[place[0]] = min(elapsed, earliest.get(place[0], elapsed))
    values = [earliest[time] for time in range(min(times, len(earliest))) if time in earliest]
    # Whole milliseconds are rounded times: what lies half of one beside an even grid is on it.
    whole = all(isinstance(value, int) for value in values)
    return np.array(values, "<i8" if whole else "<f8")


def apply_index(meta: ImageMetadata, index: Index, entries: Mapping[Place, Entry], times: int) -> np.ndarray | None:
    """Calibration, exposure and rate; the times of the frames in ms, where there is one for each."""
    first = entries[min(entries)].stated
    size = _find_decimal(index.summary, "PixelSize_um") or _find_decimal(first, "PixelSizeUm")
    meta.set_pixel_size(size, size)
    if step := _find_decimal(index.summary, "z-step_um"):
        meta.spacing["z"] = abs(step)
    set_optics(meta, exposures_ms=[entry.stated.get("Exposure-ms") for entry in entries.values()])
    if times < 2:
        return None
    elapsed = list_times(entries, times)
    if not check_times(meta, elapsed, times, _ELAPSED):
        return None
    set_frame_rate(meta, elapsed, "0.001")
    return elapsed


def _find_decimal(stated: Mapping[str, Any], name: str) -> Decimal | None:
    """A number that is not 0, which stands for one that nobody stated."""
    return parse_decimal(stated.get(name)) or None


def _make_problem(key: str, reason: str) -> Problem:
    return problem("microscope.damaged", f"{key}: {reason}", file=key)
