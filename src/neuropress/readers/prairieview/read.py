"""PrairieView's folders: the XML says of each frame which file, and which page of it, is which channel.

Frames of a T series are times. Frames of a Z series are depths, and its cycles are times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ...model.content import Image
from ...model.finding import Problem, problem
from ...model.source import Source, natural_key
from ..folders.grid import Place, build_grid, fit_grid
from ..folders.planes import Plane, describe_unread, list_planes, stamp_files
from ..images.calibration import ImageMetadata, divide, format_decimal, parse_decimal
from ..microscopes.facts import check_times, set_frame_rate, set_optics, set_sizes
from ..microscopes.planes import build_times
from . import FORMAT
from .scan import Frame, PlaneFile, Scan, make_problem, read_scan

_DEPTH, _TIMES = "ZSeries", ("TSeries", "Single", "BrightnessOverTime")
"""Types of sequences: of which frames are depths, and of which they are times."""
_PLANE_NAME = re.compile(r".*_Cycle\d+_.*Ch\d+_\d+(\.ome)?\.tiff?", re.IGNORECASE)


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """The image that the folder's XML describes.

    Raises
    ------
    Problem
        ``microscope.plane``, ``microscope.damaged``, ``image.unsupported``, ``image.hostile``, ``image.axes``, what
        the reader of TIFF files finds.
    """
    keys = sorted(stamp_files(source), key=lambda key: tuple(natural_key(key)))
    scan = _find_scan(source)
    return (_FolderReader(source, options, keys, scan).build_image(),)


def _find_scan(source: Source) -> Scan:
    found = [read_scan(source, key) for key in source.members() if key.lower().endswith(".xml")]
    scans = [scan for scan in found if scan is not None]
    if len(scans) == 1:
        return scans[0]
    if not scans:
        message = f"{source.key} holds no XML of PrairieView (PVScan) that lists frames"
        hint = "Name the folder in which the XML lies, and copy it there if it is missing."
        raise problem("microscope.plane", message, hint=hint, file=source.key)
    names = ", ".join(PurePosixPath(scan.key).name for scan in scans)
    message = f"{source.key} holds several scans ({names})"
    raise problem("microscope.plane", message, hint="Give each a folder and a row of its own.", file=source.key)


class _FolderReader:
    """One folder while its image is built."""

    def __init__(self, source: Source, options: Mapping[str, Any], keys: list[str], scan: Scan) -> None:
        self.source, self.options, self.keys, self.held, self.scan = source, options, keys, set(keys), scan
        self.meta = ImageMetadata()
        self.is_depth = self._check_types()
        self.cycles = self._order_frames()
        self.channels = sorted({file.channel for frame in self._list_frames() for file in frame.files})

    def build_image(self) -> Image:
        files = self._place_files()
        counts, warnings = fit_grid(files, self.source.key)
        self.meta.warnings += warnings
        find_planes = cache(lambda key: list_planes(self.source, key))
        kept = {place: file for place, file in files.items() if place[0] < counts[0]}
        placed = {place: self._open_plane(file, find_planes) for place, file in kept.items()}
        named = {self._find_key(file) for file in files.values()}
        self._check_named(named)
        grid = build_grid(self.source, placed, counts, self.options, self.source.key)
        set_sizes(self.meta, grid.pixels.axes, grid.pixels.shape)
        self._set_calibration(grid.pixels.axes)
        times = self._find_times(counts[0])
        arrays = {"pixels": grid.pixels} | ({"times": build_times("times", times)} if times is not None else {})
        unread = describe_unread(self.source, self.keys, named | {self.scan.key})
        return Image(
            name="",
            format=FORMAT.name,
            facts=self.meta.facts,
            header={
                "scan": dict(self.scan.attributes),
                "sequences": len(self.scan.sequences),
                "type": self.scan.sequences[0].type,
                "state": dict(self.scan.state),
                "first_page": grid.first.header,
            },
            arrays=arrays,
            warnings=(*self.meta.warnings, *unread),
            close=grid.files.close,
            spacing=self.meta.spacing,
            channels=self._list_channels() if counts[1] > 1 else (),
            acquired=self.scan.started,
            timestamps="times" if times is not None else "",
        )

    def _list_frames(self) -> list[Frame]:
        return [frame for cycle in self.cycles for frame in cycle]

    def _check_types(self) -> bool:
        """Whether frames are depths."""
        types = {sequence.type for sequence in self.scan.sequences}
        kinds = {_DEPTH in type for type in types}
        known = all(_DEPTH in type or type.startswith(_TIMES) for type in types)
        if not known or len(kinds) > 1:
            raise self._make_problem("image.unsupported", f"its sequences are of the types {', '.join(sorted(types))}")
        tiles = max(sequence.tiles for sequence in self.scan.sequences)
        if tiles > 1:
            raise self._make_problem("image.unsupported", f"it goes to {tiles} places of the stage")
        return kinds.pop()

    def _order_frames(self) -> list[list[Frame]]:
        """Frames of each cycle, by depth where every other cycle runs the other way."""
        cycles = [list(sequence.frames) for sequence in self.scan.sequences]
        if not self.is_depth or len(cycles) < 2 or not any(one.is_bidirectional for one in self.scan.sequences):
            return cycles
        depths = [frame.depth for frame in cycles[0]]
        if not all(depths) or len(set(depths)) < len(depths):
            reason = "its cycles run through depth in both directions (bidirectionalZ), and frames state no depth"
            raise self._make_problem("image.unsupported", reason)
        for number, cycle in enumerate(cycles[1:], 2):
            own = [frame.depth for frame in cycle]  # fewer of them where the recording was stopped
            if own == depths[::-1][: len(own)]:
                cycle.reverse()
            elif own != depths[: len(own)]:
                reason = f"the depths of cycle {number} are neither those of the first one nor the reverse of them"
                raise self._make_problem("image.unsupported", f"{reason}, and bidirectionalZ is set")
        return cycles

    def _place_files(self) -> dict[Place, PlaneFile]:
        """The file of each time, channel and depth."""
        ranks = {channel: rank for rank, channel in enumerate(self.channels)}
        placed: dict[Place, PlaneFile] = {}
        number = 0
        for time, cycle in enumerate(self.cycles):
            for depth, frame in enumerate(cycle):
                for file in frame.files:
                    rank = ranks[file.channel]
                    place = (time, rank, depth) if self.is_depth else (number, rank, 0)
                    if place in placed:
                        raise self._make_problem("microscope.plane", f"a frame names channel {file.channel} twice")
                    placed[place] = file
                number += 1
        if len({(file.name, file.page) for file in placed.values()}) < len(placed):
            raise self._make_problem("microscope.plane", "it names a page of a file as two planes")
        if not self.is_depth and len(self.cycles) > 1:
            self.meta.warnings.append(f"its {len(self.cycles)} cycles follow each other along the axis of time")
        return placed

    def _find_key(self, file: PlaneFile) -> str:
        return f"{self.source.key.rstrip('/')}/{file.name}"

    def _open_plane(self, file: PlaneFile, find_planes: Any) -> Plane:
        key = self._find_key(file)
        if file.name != PurePosixPath(file.name.replace("\\", "/")).name or key not in self.held:
            raise self._make_problem("microscope.plane", f"it names the file {file.name!r}, which is not there")
        planes: list[Plane] = find_planes(key)
        if file.page >= len(planes):
            message = f"it names page {file.page + 1} of {file.name}, which has {len(planes)}"
            raise self._make_problem("microscope.plane", message)
        return planes[file.page]

    def _check_named(self, named: set[str]) -> None:
        """No plane may be dropped because the XML lists fewer."""
        folder = PurePosixPath(self.scan.key).parent
        direct = [key for key in self.keys if PurePosixPath(key).parent == folder]
        lost = [key for key in direct if key not in named and _PLANE_NAME.fullmatch(PurePosixPath(key).name)]
        if lost:
            message = f"{lost[0]} and {len(lost) - 1} others are called like planes, and are in no frame"
            raise self._make_problem("microscope.plane", message)

    def _set_calibration(self, axes: tuple[str, ...]) -> None:
        state = self.scan.state
        x, y, z = (parse_decimal(state.get(f"micronsPerPixel/{axis}Axis")) for axis in "XYZ")
        self.meta.set_pixel_size(x, y)
        if z and "z" in axes:
            self.meta.spacing["z"] = abs(z)
        lines = [value for name, value in state.items() if name.startswith("laserWavelength")]
        set_optics(self.meta, state.get("objectiveLensNA"), state.get("objectiveLensMag"), lines)

    def _find_times(self, count: int) -> np.ndarray | None:
        """Seconds of each time since the first frame, as the file states them; of a volume its first frame's."""
        frames = [cycle[0] for cycle in self._list_taken()] if self.is_depth else self._list_frames()
        frames = frames[:count]
        period = parse_decimal(self.scan.state.get("framePeriod"))
        if count < 2:
            return None
        for seconds in ([frame.relative for frame in frames], [frame.absolute for frame in frames]):
            known = [value for value in seconds if value is not None]
            # Some versions count the relative time anew in each cycle; the absolute one runs on.
            if len(known) == count and all(b > a for a, b in pairwise(known)):
                return self._make_times(known)
        stated = np.array([float(frame.relative) for frame in frames if frame.relative is not None])
        check_times(self.meta, stated, count, "relativeTime")
        if period and period > 0 and not self.is_depth:
            self.meta.facts["frame_rate"] = format_decimal(divide(1, period))
        return None

    def _list_taken(self) -> list[tuple[Frame, ...]]:
        """The cycles in the order in which their frames were taken."""
        return [sequence.frames for sequence in self.scan.sequences]

    def _make_times(self, seconds: list[Decimal]) -> np.ndarray:
        times = np.array([float(value - seconds[0]) for value in seconds], "<f8")
        set_frame_rate(self.meta, times, "1")
        return times

    def _list_channels(self) -> tuple[str, ...]:
        names = {file.channel: file.channel_name for frame in self._list_frames() for file in frame.files}
        given = tuple(names[channel] for channel in self.channels)
        return given if all(given) else tuple(f"Ch{channel}" for channel in self.channels)

    def _make_problem(self, id: str, reason: str) -> Problem:
        return make_problem(self.scan, id, reason)
