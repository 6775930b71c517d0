"""PrairieView's XML: sequences (cycles) of frames, each with a file a channel; and the settings of the microscope.

Version 5 states settings as ``PVStateValue``, with values by axis below; version 4 as ``Key``, an axis in the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from xml.etree import ElementTree

from ...model import budget
from ...model.budget import OverBudget
from ...model.finding import Problem, problem
from ...model.parsing import parse_xml
from ...model.source import Source
from ..images.calibration import parse_decimal

ROOT = b"<PVScan"
TOO_LONG = 'Record in parts; or state reader = "slices" for the folder, without the XML.'
_AXIS = re.compile(r"_([XYZ]Axis)")
_DATE = re.compile(r"(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})[ T]+(\d{1,2}):(\d\d):(\d\d)\s*([AP]M)?", re.IGNORECASE)
_TIME = re.compile(r"(\d{1,2}):(\d\d):(\d\d)(?:\.(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class PlaneFile:
    """The file of one channel of a frame; `page` counts from 0."""

    channel: int
    channel_name: str
    name: str
    page: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: seconds as the file states them, its depth by all its focus motors, its files."""

    relative: Decimal | None
    absolute: Decimal | None
    depth: tuple[Decimal, ...]
    files: tuple[PlaneFile, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """One cycle."""

    type: str
    time: str
    is_bidirectional: bool
    tiles: int
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """The document: `state` are the settings of the first frame."""

    key: str
    attributes: Mapping[str, str]
    state: Mapping[str, str]
    sequences: tuple[Sequence, ...]

    @property
    def started(self) -> datetime | None:
        """When the first sequence began, without a zone; None where day and month cannot be told apart."""
        day = parse_date(self.attributes.get("date", ""))
        match = _TIME.fullmatch(self.sequences[0].time.strip())
        if day is None or match is None:
            return day
        hour, minute, second, fraction = match.groups()
        with suppress(ValueError):
            micro = int((fraction or "").ljust(6, "0")[:6])
            return day.replace(hour=int(hour), minute=int(minute), second=int(second), microsecond=micro)
        return day


def read_scan(source: Source, key: str) -> Scan | None:
    """What an XML file says of frames; None where it is another one of the program's.

    Raises
    ------
    Problem
        ``image.hostile``, ``microscope.damaged``
    """
    size = source.size(key)
    if ROOT not in source.head(key):
        return None
    if size > budget.PRAIRIE_BYTES:
        message = f"{key}: {size} bytes of XML, more than {budget.PRAIRIE_BYTES}"
        raise problem("image.hostile", message, hint=TOO_LONG, file=key)
    parser = _FrameParser(key)
    try:
        text = source.read(key).decode("utf-8-sig")
        root = parse_xml(text, most=budget.PRAIRIE_BYTES, elements=budget.PRAIRIE_ELEMENTS, on_end=parser.take_element)
    except OverBudget as error:
        raise problem("image.hostile", f"{key}: it is refused: {error}", hint=TOO_LONG, file=key) from error
    except (ElementTree.ParseError, ValueError) as error:
        raise problem("microscope.damaged", f"{key}: its XML cannot be read ({error})", file=key) from error
    if not any(frame.files for sequence in parser.sequences for frame in sequence.frames):
        return None
    state = read_state(root.find("PVStateShard")) | parser.first_state
    return Scan(key, dict(root.attrib), state, tuple(parser.sequences))


class _FrameParser:
    """Sequences as they end; frames are cleared, since a long recording has a million elements in them."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.sequences: list[Sequence] = []
        self.first_state: dict[str, str] = {}
        self._frames: list[Frame] = []
        self._frame_state: dict[str, str] | None = None

    def take_element(self, element: ElementTree.Element) -> None:
        """Take what a frame or a sequence says."""
        if element.tag == "Frame":
            state = read_state(element.find("PVStateShard"))
            if self._frame_state is None:
                self._frame_state = state
            self._frames.append(_parse_frame(element, state, self.key))
            element.clear()
        elif element.tag == "Sequence" and self._frames:
            if not self.sequences:
                self.first_state = read_state(element.find("PVStateShard")) | (self._frame_state or {})
            self.sequences.append(_make_sequence(element, self._frames))
            self._frames = []


def _make_sequence(element: ElementTree.Element, frames: list[Frame]) -> Sequence:
    tiles = [_parse_count(element.get(f"xYStageGridNum{axis}Positions", "1")) or 1 for axis in "XY"]
    is_bidirectional = element.get("bidirectionalZ", "").casefold() == "true"
    return Sequence(
        element.get("type", ""), element.get("time", ""), is_bidirectional, tiles[0] * tiles[1], tuple(frames)
    )


def _parse_frame(element: ElementTree.Element, state: Mapping[str, str], key: str) -> Frame:
    depth = [parse_decimal(value) for name, value in state.items() if name.startswith("positionCurrent/ZAxis")]
    return Frame(
        parse_decimal(element.get("relativeTime")),
        parse_decimal(element.get("absoluteTime")),
        tuple(value for value in depth if value is not None),
        tuple(_parse_files(element, key)),
    )


def _parse_files(frame: ElementTree.Element, key: str) -> Iterator[PlaneFile]:
    for element in frame.findall("File"):
        name = element.get("filename", "")
        channel, page = _parse_count(element.get("channel", "")), _parse_count(element.get("page", "1"))
        if not name or channel is None or not page:
            raise problem("microscope.damaged", f"{key}: a File names no channel, page or file ({name!r})", file=key)
        yield PlaneFile(channel, element.get("channelName", ""), name, page - 1)


def _parse_count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def read_state(shard: ElementTree.Element | None) -> dict[str, str]:
    """Settings by name, an axis and a number behind slashes: ``micronsPerPixel/XAxis``, ``positionCurrent/ZAxis/0``."""
    state: dict[str, str] = {}
    for element in shard if shard is not None else ():
        name = _AXIS.sub(r"/\1", element.get("key", ""))
        if "value" in element.attrib:
            state[name] = element.get("value", "")
        for inner in element:
            place = f"{name}/{inner.get('index', '')}"
            if "value" in inner.attrib:
                state[place] = inner.get("value", "")
            for value in inner:
                state[f"{place}/{value.get('subindex', '')}"] = value.get("value", "")
    return state


def parse_date(text: str) -> datetime | None:
    """A date in the writing of the computer that recorded it: month first with AM or PM, day first with dots."""
    match = _DATE.match(text.strip())
    if match is None:
        return None
    first, sign, second, third, *clock, half = match.groups()
    numbers = [int(first), int(second), int(third)]
    if len(first) == 4:
        year, month, day = numbers
    elif half or numbers[1] > 12:
        month, day, year = numbers
    elif sign == "." or numbers[0] > 12:
        day, month, year = numbers
    else:
        return None
    hour = int(clock[0])
    if half:
        hour = hour % 12 + (12 if half.upper() == "PM" else 0)
    with suppress(ValueError):
        return datetime(year, month, day, hour, int(clock[1]), int(clock[2]))  # noqa: DTZ001 - the file states no zone
    return None


def make_problem(scan: Scan, id: str, reason: str) -> Problem:
    """A finding of the XML."""
    return problem(id, f"{scan.key}: {reason}", file=scan.key)
