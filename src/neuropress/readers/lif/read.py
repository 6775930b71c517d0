"""LIF: the library liffile lists the images and their blocks of bytes; pixels are read where they lie."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...model import budget
from ...model.content import Image
from ...model.finding import problem
from ...model.parsing import parse_xml
from ...model.source import Source
from ..images.calibration import ImageMetadata, divide, format_decimal
from ..images.pixels import OpenFiles, apply_declared_axes, build_plane_array
from ..microscopes.facts import check_times, set_frame_rate, set_optics, set_sizes
from ..microscopes.library import HeaderFile, guard_library, import_library
from ..microscopes.planes import StridedPlanes, build_times, check_extents, measure_span
from ..tiff.tags import convert_to_json
from . import FORMAT
from .layout import Layout, T, X, Y, Z, list_colours, list_stamps, measure_seconds, measure_um, read_layout

_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_TICK = "0.0000001"
_XML_AT = 13
_MOST_IMAGES = 100_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """An image of the project: its path in it, its XML, where its bytes lie, and the names of its channels."""

    path: str
    element: ElementTree.Element
    start: int
    layout: Layout
    channels: tuple[str, ...]


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One content an image of the project; several where it has rotations, stage positions or tiles.

    Raises
    ------
    Problem
        ``microscope.truncated``, ``microscope.damaged``, ``image.unsupported``, ``image.hostile``, ``image.axes``,
        ``format.library``.
    """
    library = import_library("liffile", source.key)
    warnings: list[str] = []
    with HeaderFile(source) as file:
        _check_xml(file)
        entries = _list_entries(library, file, warnings)
        stamp = file.file_stamp
    files = OpenFiles(source, "microscope.truncated")
    files.remember_stamp(source.key, stamp)
    reader = _LifReader(source, options, files, warnings)
    images = [(entry, number, part) for number, entry in enumerate(entries, 1) for part in entry.layout.list_parts()]
    if not images:
        raise problem("image.unsupported", f"{source.key} holds no image that is read", file=source.key)
    return tuple(reader.build_image(entry, number, part, len(images)) for entry, number, part in images)


def _check_xml(file: HeaderFile) -> None:
    """Whether the XML is all there and of a size that XML has, before the library parses it."""
    head = file.read_at(0, _XML_AT)
    if len(head) < _XML_AT:
        raise problem("microscope.truncated", f"{file.key} ends within its header", file=file.key)
    (length,) = struct.unpack_from("<I", head, 9)
    if _XML_AT + 2 * length > file.file_size:
        message = f"{file.key}: its XML has {2 * length} bytes, but the file {file.file_size}: it was cut"
        raise problem("microscope.truncated", message, file=file.key)
    try:
        parse_xml(file.read_at(_XML_AT, 2 * length).decode("utf-16-le"), budget.VENDOR_XML_DEPTH)
    except budget.OverBudget as error:
        raise problem("image.hostile", f"{file.key}: its metadata has {error}", file=file.key) from error
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise problem("microscope.damaged", f"{file.key}: its metadata is no XML ({error})", file=file.key) from error


def _list_entries(library: Any, file: HeaderFile, warnings: list[str]) -> list[_Entry]:
    file.seek(0)
    entries: list[_Entry] = []
    with guard_library("liffile", file, warnings), library.LifFile(file) as lif:
        if lif.type is not library.LifFileType.LIF:
            message = f"{file.key} is a Leica {lif.type.name}, which is not read"
            raise problem("image.unsupported", message, file=file.key)
        blocks, size = lif.memory_blocks, file.file_size
        for image in lif.images:
            if image.is_flim:
                warnings.append(f"its image {image.path!r} has photon counts (FLIM), which are not read")
                continue
            memory = image.xml_element.find("Memory")
            id = memory.get("MemoryBlockID", "") if memory is not None else ""
            stated = memory.get("Size", "") if memory is not None else ""
            if stated == "0":
                warnings.append(f"its image {image.path!r} was never written")
                continue
            # The library passes over a block that is cut: the image would seem to have none.
            if id not in blocks or blocks[id].offset + blocks[id].size > size:
                message = f"{file.key}: the pixels of its image {image.path!r} ({stated} bytes) are not there"
                raise problem("microscope.truncated", message, file=file.key)
            layout = read_layout(image.xml_element, image.dtype, file.key, image.path)
            _check_layout(layout, blocks[id].size, image.path, file.key)
            # Only now: the library makes an array of each dimension's coordinates, however long it is said to be.
            names = tuple(str(name) for name in image.coords.get("C", ())) or list_colours(image.xml_element)
            entries.append(_Entry(image.path, image.xml_element, blocks[id].offset, layout, names))
    if sum(len(entry.layout.list_parts()) for entry in entries) > _MOST_IMAGES:
        raise problem("image.hostile", f"{file.key} describes more than {_MOST_IMAGES} images", file=file.key)
    return entries


def _check_layout(layout: Layout, size: int, name: str, key: str) -> None:
    """Whether all pixels that an image describes lie in its block."""
    counts = [d.count for d in layout.dimensions.values()]
    # Pixels that share their bytes are a wrong layout, too.
    check_extents([*counts, len(layout.channels)], layout.dtype, size, key)
    shape, strides = layout.plane
    steps = [(d.count, d.step) for n, d in layout.dimensions.items() if n not in (X, Y)]
    last = sum((count - 1) * step for count, step in steps) + max(layout.channels)
    end = last + measure_span(shape, strides, layout.dtype.itemsize)
    if any(step < 0 for _, step in steps) or min(*strides, min(layout.channels) + 1) < 1 or end > size:
        message = f"{key}: the pixels of its image {name!r} reach to byte {end} of {size}"
        raise problem("microscope.damaged", message, file=key)


class _LifReader:
    """One project while its images are built."""

    def __init__(self, source: Source, options: Mapping[str, Any], files: OpenFiles, warnings: Sequence[str]) -> None:
        self.key, self.options, self.files, self.warnings = source.key, options, files, warnings

    def build_image(self, entry: _Entry, number: int, part: tuple[str, int], total: int) -> Image:
        layout, (end, first) = entry.layout, part
        channels = layout.list_channels(self._fit_names(entry))
        extents = {"t": layout.extent(T), "c": len(channels), "z": layout.extent(Z)}
        lead = [axis for axis, n in extents.items() if n > 1]
        plane, strides = layout.plane
        shape = (*(extents[axis] for axis in lead), *plane)
        axes = apply_declared_axes((*lead, "y", "x"), self.options, self.key)
        meta = ImageMetadata(warnings=list(self.warnings))
        set_sizes(meta, axes, shape)
        self._set_calibration(meta, entry)
        times, start = self._find_times(meta, entry)

        def find_start(index: int) -> int:
            t, c, z = (int(i) for i in np.unravel_index(index, tuple(extents.values())))
            return entry.start + first + channels[c][1] + t * layout.step(T) + z * layout.step(Z)

        planes = StridedPlanes(self.files, self.key, find_start, plane, strides, layout.dtype)
        dtype = layout.dtype.newbyteorder("=")
        data = entry.element.find("Data")
        header = {"name": entry.path + end, "xml": ElementTree.tostring(data, "unicode") if data is not None else ""}
        names = tuple(name for name, _ in channels)
        return Image(
            name=f"image{number}{end}" if total > 1 else "",
            format=FORMAT.name,
            facts=meta.facts,
            header=convert_to_json(header),
            arrays={"pixels": build_plane_array(planes, axes, shape, plane, dtype, {"y": 1})}
            | ({"times": build_times("times", times)} if times is not None else {}),
            warnings=tuple(meta.warnings),
            close=self.files.close,
            spacing=meta.spacing,
            channels=names if all(names) else (),
            acquired=start,
            timestamps="times" if times is not None else "",
            scale=_TICK,
        )

    def _fit_names(self, entry: _Entry) -> tuple[str, ...]:
        count = len(entry.layout.channels)
        return entry.channels if len(entry.channels) == count else ("",) * count

    def _set_calibration(self, meta: ImageMetadata, entry: _Entry) -> None:
        dimensions = entry.layout.dimensions
        meta.set_pixel_size(measure_um(dimensions.get(X)), measure_um(dimensions.get(Y)))
        if step := measure_um(dimensions.get(Z)):
            meta.spacing["z"] = step
        interval = measure_seconds(dimensions.get(T))
        if interval and entry.layout.extent(T) > 1:
            meta.facts["frame_rate"] = format_decimal(divide(1, interval))
        settings = entry.element.find("Data/Image/Attachment[@Name='HardwareSetting']")
        for one in settings if settings is not None else ():
            if one.get("NumericalAperture"):
                set_optics(meta, one.get("NumericalAperture"), one.get("Magnification"))
                return

    def _find_times(self, meta: ImageMetadata, entry: _Entry) -> tuple[np.ndarray | None, datetime | None]:
        """Ticks of each index of t since the first frame, and the clock of that frame.

        There is a time a plane, in the order of their acquisition, which is that of storage as far as t goes.
        """
        stamps, count = list_stamps(entry.element), entry.layout.extent(T)
        if not stamps or not 0 < stamps[0] < 2**63:
            return None, None
        try:
            start = _EPOCH + timedelta(microseconds=stamps[0] // 10)
        except OverflowError:
            return None, None
        if count < 2:
            return None, start
        outer = [d.step for n, d in entry.layout.dimensions.items() if n not in (T, X, Y) and d.count > 1]
        if len(stamps) % count or any(step > entry.layout.step(T) for step in outer):
            meta.warnings.append(f"{len(stamps)} times of planes do not fit {count} frames; they are not taken")
            return None, start
        firsts = [stamp - stamps[0] for stamp in stamps[:: len(stamps) // count]]
        if max(map(abs, firsts)) >= 2**53:
            return None, start
        times = np.array(firsts, np.int64)
        if not check_times(meta, times, count, "times of planes"):
            return None, start
        set_frame_rate(meta, times, _TICK)
        return times, start
