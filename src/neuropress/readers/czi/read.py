"""CZI: the library czifile reads the directory, the metadata and the codecs; tiles are read where they lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from ...model import budget
from ...model.content import Image
from ...model.finding import Problem, problem
from ...model.source import Source
from ..images.calibration import ImageMetadata
from ..images.pixels import OpenFiles, apply_declared_axes, build_plane_array
from ..microscopes.facts import check_times, set_frame_rate, set_sizes
from ..microscopes.library import HeaderFile, guard_library, import_library
from ..microscopes.planes import build_times
from ..tiff.tags import convert_to_json
from . import FORMAT
from .directory import SUBBLOCK, Places, check_directory, read_places
from .metadata import CziXml
from .pixels import CACHE_BYTES, READ, UNCOMPRESSED, TilePlanes
from .tiles import LEAD, Scene, list_scenes

_CALENDAR = 20_000
"""Times above it are days since 1899, as some programs write them, and no seconds of a recording."""
_LISTED_TILES = 10_000


@dataclass(frozen=True, slots=True)
class _Header:
    entries: Sequence[Any]
    xml: CziXml
    times: np.ndarray | None
    stated: Mapping[str, Any]


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One content a scene, and one for each index of a dimension beside time, channel, depth and plane.

    Raises
    ------
    Problem
        ``microscope.truncated``, ``microscope.damaged``, ``microscope.mosaic``, ``image.unsupported``,
        ``image.hostile``, ``image.axes``, ``format.library``.
    """
    library = import_library("czifile", source.key)
    warnings: list[str] = []
    with HeaderFile(source) as file:
        places = read_places(file)
        if places.part:
            message = f"{source.key} is part {places.part + 1} of a CZI in several files, which are not read"
            raise problem("image.unsupported", message, file=source.key)
        check_directory(file, places.directory)
        header = _read_header(library, file, places, warnings)
        stamp = file.file_stamp
    _check_entries(header.entries, stamp[0], source.key)
    files = OpenFiles(source, "microscope.truncated")
    files.remember_stamp(source.key, stamp)
    scenes = list_scenes(header.entries, source.key)
    total = len(scenes)
    return tuple(_SceneReader(source, options, files, stamp[0], header, s, total, warnings).build() for s in scenes)


def _read_header(library: Any, file: HeaderFile, places: Places, warnings: list[str]) -> _Header:
    file.seek(0)
    with guard_library("czifile", file, warnings), library.CziFile(file) as czi:
        entries = czi.subblock_directory
        text = czi.metadata() if places.metadata else ""
        times = czi.timestamps if places.attachments else None
        attachments = [str(one.name) for one in czi.attachment_directory] if places.attachments else []
        if times is not None:
            times = np.atleast_1d(np.asarray(times, "<f8"))
        stated = {"version": [int(n) for n in czi.header.version], "attachments": attachments}
    xml = CziXml(text, file.key)
    if not xml.text:
        warnings.append("it has no metadata: pixel size, channels and times are not known")
    return _Header(entries, xml, times, stated)


def _check_entries(entries: Sequence[Any], size: int, key: str) -> None:
    """Whether the pixels that the directory speaks of can be in the file, before anything is made for them."""
    compressed = 0
    for entry in entries:
        if any(not 0 < n < budget.EXTENT for n in entry.stored_shape):
            message = f"{key}: the tile at byte {entry.file_position} has the extents {entry.stored_shape}"
            raise problem("microscope.damaged", message, file=key)
        if entry.file_part:
            raise problem("image.unsupported", f"{key}: its pixels lie in several files, which is not read", file=key)
        if int(entry.compression) not in READ:
            message = f"{key}: its pixels are compressed as {entry.compression!r}, which is not read"
            raise problem("image.unsupported", message, file=key)
        nbytes = math.prod(entry.stored_shape) * entry.dtype.itemsize
        is_plain = int(entry.compression) == UNCOMPRESSED
        compressed += 0 if is_plain else nbytes
        last = int(entry.file_position) + SUBBLOCK.size + (nbytes if is_plain else 0)
        if entry.file_position < 0 or last > size:
            message = f"{key}: the tile at byte {entry.file_position} needs the bytes up to {last}, the file has {size}"
            raise problem("microscope.truncated", message, file=key)
    if compressed > budget.OTHER_RATIO * size:
        message = f"{key} claims {compressed} bytes of pixels from {size} stored ones"
        raise problem("image.hostile", message, file=key)


class _SceneReader:
    """One scene while its image is built."""

    def __init__(
        self,
        source: Source,
        options: Mapping[str, Any],
        files: OpenFiles,
        size: int,
        header: _Header,
        scene: Scene,
        total: int,
        warnings: Sequence[str],
    ) -> None:
        self.key, self.options, self.files, self.size = source.key, options, files, size
        self.header, self.scene, self.total, self.warnings = header, scene, total, warnings

    def build(self) -> Image:
        scene, xml = self.scene, self.header.xml
        dtype, samples = self._find_type()
        lead = [axis for axis, n in zip(LEAD.lower(), scene.extent, strict=True) if n > 1]
        plane = (scene.height, scene.width, samples) if samples > 1 else (scene.height, scene.width)
        axes = (*lead, "y", "x", *(("s",) if samples > 1 else ()))
        axes = apply_declared_axes(axes, self.options, self.key)
        shape = (*(n for n in scene.extent if n > 1), *plane)
        meta = ImageMetadata(warnings=[*self.warnings, *scene.warnings])
        set_sizes(meta, axes, shape)
        xml.apply(meta, scene.first[1], scene.extent[1], "z" in axes)
        times = self._find_times(meta)
        planes = TilePlanes(self.files, self.key, self.size, scene, dtype, samples)
        packed = any(int(entry.compression) != UNCOMPRESSED for entry in scene.entries)
        tiles = [tile for tiles in scene.planes.values() for tile in tiles]
        block = {"y": max(tile.height for tile in tiles), "x": max(tile.width for tile in tiles)}
        kept = CACHE_BYTES if packed else 0
        pixels = build_plane_array(
            planes, axes, shape, plane, dtype, block if packed else {"y": 1}, is_shared=packed, kept=kept
        )
        return Image(
            name=self._name_image(),
            format=FORMAT.name,
            facts=meta.facts,
            header=self._build_header(),
            arrays={"pixels": pixels} | ({"times": build_times("times", times)} if times is not None else {}),
            warnings=tuple(meta.warnings),
            close=self.files.close,
            spacing=meta.spacing,
            channels=xml.list_channels(scene.first[1], scene.extent[1]),
            acquired=self._find_start(),
            timestamps="times" if times is not None else "",
        )

    def _find_type(self) -> tuple[np.dtype[Any], int]:
        types = {(entry.dtype.str, int(entry.pixel_type.samples)) for entry in self.scene.entries}
        if len(types) > 1:
            shown = ", ".join(f"{samples} x {name}" for name, samples in sorted(types))
            raise self._make_problem("image.unsupported", f"its channels have several types of pixels ({shown})")
        name, samples = types.pop()
        if np.dtype(name).kind not in "uif" or samples not in (1, 3, 4):
            raise self._make_problem("image.unsupported", f"its pixels are of {samples} samples of {name}")
        return np.dtype(name).newbyteorder("="), samples

    def _name_image(self) -> str:
        if self.total == 1:
            return ""
        parts = [f"{name.lower()}{at}" for name, at in self.scene.others]
        if self.scene.number >= 0:
            parts.insert(0, f"scene{self.scene.number + 1}")
        return "_".join(parts) or "unnumbered"

    def _select_times(self) -> np.ndarray | None:
        """The times of the indices of t; a file that was cut out of another one can have kept all."""
        times, first, count = self.header.times, self.scene.first[0], self.scene.extent[0]
        if times is None:
            return None
        return times[first : first + count] if len(times) > count >= 1 and first + count <= len(times) else times

    def _find_times(self, meta: ImageMetadata) -> np.ndarray | None:
        """Seconds of each index of t from the begin of the acquisition."""
        times, count = self._select_times(), self.scene.extent[0]
        if times is None or count < 2 or not check_times(meta, times, count, "attachment TimeStamps"):
            return None
        if times[0] > _CALENDAR and times[-1] - times[0] < 1000 and self._is_calendar(times):
            meta.warnings.append("attachment TimeStamps: its times are days of the calendar; they are not taken")
            return None
        set_frame_rate(meta, times, "1")
        return times

    def _is_calendar(self, times: np.ndarray) -> bool:
        """Whether days since 1899 are meant: they fall on the day that the metadata state."""
        start = self.header.xml.find_start()
        return start is not None and abs((start.replace(tzinfo=None) - datetime(1899, 12, 30)).days - times[0]) < 3  # noqa: DTZ001

    def _find_start(self) -> datetime | None:
        """What the times count from; of a single image its own time."""
        start, times = self.header.xml.find_start(), self._select_times()
        alone = self.scene.extent[0] == 1 and times is not None and len(times) == 1
        if start is None or not alone or times is None or not 0 <= times[0] < _CALENDAR:
            return start
        return start + timedelta(seconds=float(times[0]))

    def _build_header(self) -> dict[str, Any]:
        scene = self.scene
        header: dict[str, Any] = {**self.header.stated, "xml": self.header.xml.text}
        if name := self.header.xml.find_scene_name(scene.number):
            header["name"] = name
        header["corner"] = {"y": scene.y, "x": scene.x}
        tiles = max(scene.planes.values(), key=len)
        if len(tiles) > 1:
            places = [[t.index, t.y, t.x, t.height, t.width] for t in tiles[:_LISTED_TILES]]
            header["tiles"] = {"columns": ["index", "y", "x", "height", "width"], "count": len(tiles), "rows": places}
        return {**convert_to_json(header), **({"tiles": header["tiles"]} if "tiles" in header else {})}

    def _make_problem(self, id: str, reason: str) -> Problem:
        return problem(id, f"{self.key}: {reason}", file=self.key)
