"""ND2: the library nd2 reads the headers, frames are read here, where the map says they lie.

A frame has all channels of a plane, interleaved. Loops say what each frame is: time, position, depth, the last one
fastest. A time loop's period is a plan and can be 0: the times of frames are those that were stored with them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from ...model import budget
from ...model.content import Image, Selection
from ...model.finding import Problem, problem
from ...model.source import Source
from ..images.calibration import ImageMetadata
from ..images.pixels import OpenFiles, Planes, apply_declared_axes, build_plane_array
from ..microscopes.facts import check_times, convert_float, set_frame_rate, set_optics, set_sizes
from ..microscopes.library import HeaderFile, guard_library, import_library
from ..microscopes.planes import StridedPlanes, build_times, check_extents, measure_span
from ..tiff.tags import convert_to_json
from . import FORMAT, SIGNATURE
from .chunks import FRAME, check_headers, is_header, parse_chunk_header, read_chunk_header, read_chunk_map

_LOOPS = {"TimeLoop": "t", "NETimeLoop": "t", "XYPosLoop": "p", "ZStackLoop": "z"}
_TIMES = b"CustomData|AcqTimesCache!"
_EXPOSURE = b"CustomData|Camera_ExposureTime1!"
_HEADER_BYTES = 16
_STAMP_BYTES = 8
"""Bytes of a frame's data before its pixels."""
_SECONDS_A_DAY = 86400
_UNIX_EPOCH = Decimal("2440587.5")


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One content a position.

    Raises
    ------
    Problem
        ``microscope.truncated``, ``microscope.damaged``, ``image.unsupported``, ``image.hostile``, ``image.axes``,
        ``format.library``.
    """
    library = import_library("nd2", source.key)
    with HeaderFile(source) as file:
        if file.read_at(0, 4) != SIGNATURE:
            message = f"{source.key} is an ND2 of version 1 (JPEG 2000), which is not read"
            raise problem("image.unsupported", message, file=source.key)
        offsets = read_chunk_map(file)
        check_headers(file, offsets)
        arrays = {name: _read_numbers(file, offsets, name) for name in (_TIMES, _EXPOSURE)}
        warnings: list[str] = []
        parts = {name[:-1].decode("latin-1") for name in offsets if is_header(name)}
        header = _read_header(library, file, parts, warnings)  # last: the library closes the file
        return _Nd2Reader(source, options, file, offsets, header, arrays, warnings).build_images()


@dataclass(frozen=True, slots=True)
class _Header:
    """What the library says of a file: `loops` is axis and extent of each loop, `names` those of positions."""

    attributes: Any
    loops: tuple[tuple[str, int], ...]
    names: tuple[str, ...]
    channels: tuple[Any, ...]
    julian_day: float | None
    stated: Mapping[str, Any]


def _read_header(library: Any, file: HeaderFile, parts: set[str], warnings: list[str]) -> _Header:
    """What the library says; of further parts (thumbnails, downsampled colours, other programs') nothing is loaded."""
    with guard_library("nd2", file, warnings), _opened(library, file) as nd2:
        loops: list[tuple[str, int]] = []
        names: tuple[str, ...] = ()
        for loop in nd2.experiment:
            axis = _LOOPS.get(str(loop.type), "")
            if not axis or axis in dict(loops):
                message = f"{file.key}: its loops are {', '.join(str(one.type) for one in nd2.experiment)}"
                raise problem("image.unsupported", f"{message}; what {loop.type} means is not known", file=file.key)
            loops.append((axis, int(loop.count)))
            if axis == "p":
                names = tuple(str(point.name or "") for point in loop.parameters.points)
        check_extents([count for _, count in loops] or [1], np.dtype("u1"), budget.CHUNK_NAMES, file.key)
        stated = {
            "version": ".".join(str(n) for n in nd2.version),
            "attributes": nd2.attributes._asdict(),
            "text": dict(nd2.text_info),
            "metadata": nd2.unstructured_metadata(include=parts),
        }
        channels = _read_channels(nd2, warnings)
        day = _find_julian_day(stated["metadata"])
        return _Header(nd2.attributes, tuple(loops), names, channels, day, convert_to_json(stated))


def _read_channels(nd2: Any, warnings: list[str]) -> tuple[Any, ...]:
    """Names and optics of the channels; without them the pixels are as good."""
    try:
        return tuple(nd2.metadata.channels or ())
    except Exception as error:  # noqa: BLE001 - the library fails on odd filters with whatever it meets
        warnings.append(
            f"names, optics and pixel size of its channels cannot be read ({type(error).__name__}: {error})"
        )
        return ()


def _opened(library: Any, file: HeaderFile) -> Any:
    file.seek(0)
    return library.ND2File(file)


def _find_julian_day(metadata: Any) -> float | None:
    """When the experiment began, in days since Julian day 0, UTC; the library gives it of a frame only."""
    for name in ("ImageMetadataSeqLV|0", "ImageMetadataSeq|0"):
        part = metadata.get(name, {})
        part = part.get("SLxPictureMetadata", part)
        day = part.get("TimeAbsolute") if isinstance(part, Mapping) else None
        if isinstance(day, float) and math.isfinite(day) and day > 1:
            return day
    return None


def _read_numbers(file: HeaderFile, offsets: Mapping[bytes, int], name: bytes) -> np.ndarray:
    """Numbers of frames, float64; none where the file has not got them."""
    if name not in offsets:
        return np.empty(0)
    place = read_chunk_header(file, offsets[name], name)
    data = file.read_at(place.start, min(place.length, 8 * budget.CHUNK_NAMES))
    return np.frombuffer(data[: len(data) // 8 * 8], "<f8")


class _Nd2Reader:
    """One file while its images are built."""

    def __init__(
        self,
        source: Source,
        options: Mapping[str, Any],
        file: HeaderFile,
        offsets: Mapping[bytes, int],
        header: _Header,
        arrays: Mapping[bytes, np.ndarray],
        warnings: Sequence[str],
    ) -> None:
        self.source, self.key, self.options, self.header, self.arrays = source, source.key, options, header, arrays
        self.size, self.warnings = file.file_size, list(warnings)
        self.files = OpenFiles(source, "microscope.truncated")
        self.files.remember_stamp(self.key, file.file_stamp)
        self.starts = {int(name[len(FRAME) : -1]): at for name, at in offsets.items() if _is_frame(name)}
        self.attributes = header.attributes
        self.dtype = self._find_dtype()
        self.shape, self.strides = self._find_plane()
        self.loops = self._fit_loops()

    def build_images(self) -> tuple[Image, ...]:
        positions = dict(self.loops).get("p", 1)
        return tuple(self._build_image(number, positions) for number in range(positions))

    def _find_dtype(self) -> np.dtype[Any]:
        a = self.attributes
        bits = int(a.bitsPerComponentInMemory)
        kind = "f" if str(a.pixelDataType) == "float" else "u"
        if (kind, bits) not in (("u", 8), ("u", 16), ("u", 32), ("f", 32)):
            raise self._make_problem("image.unsupported", f"its samples are of {bits} bits ({a.pixelDataType})")
        return np.dtype(f"<{kind}{bits // 8}")

    def _find_plane(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Rows, columns, channels, samples of a frame, and the bytes from one to the next; rows can be padded."""
        a = self.attributes
        channels, item = int(a.channelCount or 1), self.dtype.itemsize
        samples, odd = divmod(int(a.componentCount), max(channels, 1))
        shape = (int(a.heightPx), int(a.widthPx or 0), channels, samples)
        if odd or samples not in (1, 3):
            raise self._make_problem("image.unsupported", f"{a.componentCount} components of {channels} channels")
        if a.compressionType == "lossy":
            raise self._make_problem("image.unsupported", "its frames are compressed with loss")
        ratio = budget.CODEC_RATIOS[8] if a.compressionType else 1
        check_extents(shape, self.dtype, self.size, self.key, ratio)
        pixel = channels * samples * item
        row = int(a.widthBytes or shape[1] * pixel)
        if row < shape[1] * pixel or row > shape[1] * pixel + 4096:
            raise self._make_problem("microscope.damaged", f"rows of {shape[1]} pixels take {row} bytes")
        return shape, (row, pixel, samples * item, item)

    def _fit_loops(self) -> tuple[tuple[str, int], ...]:
        """The loops as far as there are frames: a recording that was stopped has fewer than were planned."""
        loops, held = self.header.loops, len(self.starts)
        planned = math.prod(count for _, count in loops)
        last = max(self.starts, default=-1) + 1
        if not held:
            raise self._make_problem("microscope.damaged", "it has no frames")
        if not loops and held > 1:
            return (("q", last),)
        if last > planned:
            message = f"it has {last} frames, but its loops ({_describe(loops)}) describe {planned}"
            raise self._make_problem("microscope.damaged", message)
        if held < planned and loops[0][0] == "t":
            axis, count = loops[0]
            done = math.ceil(last / (planned // count))
            if done < count:
                self.warnings.append(f"the recording was stopped after {done} of {count} planned times")
                loops = ((axis, done), *loops[1:])
        absent = math.prod(count for _, count in loops) - held
        if absent:
            self.warnings.append(f"{absent} of its frames were never written: their pixels are read as 0")
        return loops

    def _build_image(self, position: int, positions: int) -> Image:
        counts = [count for _, count in self.loops]
        numbers = np.arange(math.prod(counts), dtype=np.int64).reshape(counts)
        axes = [axis for axis, _ in self.loops]
        if "p" in axes:
            numbers = np.take(numbers, position, axes.index("p"))
            axes.remove("p")
        plane = {"y": 0, "x": 1, "c": 2, "s": 3}
        kept = [axis for axis, i in plane.items() if axis in "yx" or self.shape[i] > 1]
        plane_shape = tuple(self.shape[plane[axis]] for axis in kept)
        shape = (*numbers.shape, *plane_shape)
        axes = list(apply_declared_axes((*axes, *kept), self.options, self.key))
        meta = ImageMetadata(warnings=list(self.warnings))
        set_sizes(meta, axes, shape)
        self._set_calibration(meta, axes)
        times = self._find_times(meta, numbers, axes)
        strides = tuple(self.strides[plane[axis]] for axis in kept)
        planes = self._build_planes(numbers.ravel(), plane_shape, strides)
        dtype = self.dtype.newbyteorder("=")
        packed = bool(self.attributes.compressionType)
        block = None if packed else {"y": 1}
        pixels = build_plane_array(planes, tuple(axes), shape, plane_shape, dtype, block, is_shared=packed)
        header = {**self.header.stated, "frame_times_ms": self._list_times(numbers)}
        if name := (self.header.names[position] if position < len(self.header.names) else ""):
            header["name"] = name
        channels = self._list_channels()
        return Image(
            name=f"position{position + 1}" if positions > 1 else "",
            format=FORMAT.name,
            facts=meta.facts,
            header=header,
            arrays={"pixels": pixels} | ({"times": build_times("times", times)} if times is not None else {}),
            warnings=tuple(meta.warnings),
            close=self.files.close,
            spacing=meta.spacing,
            channels=channels if len(channels) == self.shape[2] else (),
            acquired=self._find_start(),
            timestamps="times" if times is not None else "",
            scale="0.001",
        )

    def _build_planes(self, numbers: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...]) -> Planes:
        nbytes = measure_span(shape, strides, self.dtype.itemsize)
        if self.attributes.compressionType:
            return _DeflatedPlanes(self, numbers, shape, strides)
        last = max(self.starts.values())
        if last + _HEADER_BYTES + len(FRAME) + _STAMP_BYTES + nbytes > self.size:
            raise self._make_problem("microscope.truncated", f"the frame at byte {last} does not fit in {self.size}")

        def find_start(index: int) -> int | None:
            return self.find_pixels(int(numbers[index]), nbytes)[0]

        return StridedPlanes(self.files, self.key, find_start, shape, strides, self.dtype)

    def find_pixels(self, number: int, least: int) -> tuple[int | None, int]:
        """First byte and length of a frame's pixels; None of one that was never written."""
        at = self.starts.get(number)
        if at is None:
            return None, 0
        name = FRAME + b"%d!" % number
        head = self.files.read(self.key, at, min(_HEADER_BYTES + len(name), self.size - at))
        place = parse_chunk_header(head, at, name, self.size, self.key)
        if place.length < least + _STAMP_BYTES:
            message = f"frame {number} has {place.length} bytes, where {least + _STAMP_BYTES} belong"
            raise self._make_problem("microscope.damaged", message)
        return place.start + _STAMP_BYTES, place.length - _STAMP_BYTES

    def _set_calibration(self, meta: ImageMetadata, axes: Sequence[str]) -> None:
        if not self.header.channels:
            return
        first = self.header.channels[0]
        volume, scope = first.volume, first.microscope
        size = [
            convert_float(float(value)) if known and what == "distance" else None
            for value, known, what in zip(
                volume.axesCalibration, volume.axesCalibrated, volume.axesInterpretation, strict=True
            )
        ]
        meta.set_pixel_size(size[0], size[1])
        if size[2] and "z" in axes:
            meta.spacing["z"] = size[2]
        lines = [one.channel.excitationLambdaNm for one in self.header.channels]
        exposures = {float(value) for value in self.arrays[_EXPOSURE]}
        set_optics(meta, scope.objectiveNumericalAperture, scope.objectiveMagnification, lines, exposures)

    def _find_times(self, meta: ImageMetadata, numbers: np.ndarray, axes: Sequence[str]) -> np.ndarray | None:
        """The time of each index of t, in ms: that of the first plane that was taken there."""
        if "t" not in axes:
            return None
        stored = self.arrays[_TIMES]
        firsts = np.moveaxis(numbers, axes.index("t"), 0).reshape(numbers.shape[axes.index("t")], -1)[:, 0]
        times: np.ndarray = stored[firsts[firsts < len(stored)]].astype("<f8")
        if not check_times(meta, times, len(firsts), "frame times"):
            return None
        set_frame_rate(meta, times, "0.001")
        return times

    def _list_times(self, numbers: np.ndarray) -> list[float | None]:
        """The stored time of each plane, in their order."""
        stored = self.arrays[_TIMES]
        values = [float(stored[n]) if n < len(stored) else math.nan for n in numbers.ravel()]
        return [value if math.isfinite(value) else None for value in values]

    def _list_channels(self) -> tuple[str, ...]:
        names = tuple(str(one.channel.name or "") for one in self.header.channels)
        return names if all(names) else ()

    def _find_start(self) -> datetime | None:
        if self.header.julian_day is None:
            return None
        seconds = (Decimal(repr(self.header.julian_day)) - _UNIX_EPOCH) * _SECONDS_A_DAY
        try:  # the day has some 40 us of resolution, as float64
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(seconds * 1_000_000))
        except OverflowError:
            return None

    def _make_problem(self, id: str, reason: str) -> Problem:
        return problem(id, f"{self.key}: {reason}", file=self.key)


class _DeflatedPlanes:
    """Frames that are deflated one by one."""

    def __init__(
        self, reader: _Nd2Reader, numbers: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self._reader, self._numbers, self._shape, self._strides = reader, numbers, shape, strides

    def read(self, index: int, selection: Selection, out: np.ndarray) -> None:
        """Unpack the whole frame and cut it."""
        reader, number = self._reader, int(self._numbers[index])
        start, length = reader.find_pixels(number, 0)
        if start is None:
            out[...] = 0
            return
        nbytes = measure_span(self._shape, self._strides, reader.dtype.itemsize)
        packed = reader.files.read(reader.key, start, length)
        try:
            data = zlib.decompressobj().decompress(packed, nbytes)
        except zlib.error as error:
            message = f"{reader.key}: frame {number} cannot be unpacked ({error})"
            raise problem("microscope.damaged", message, file=reader.key) from error
        if len(data) < nbytes:
            message = f"{reader.key}: frame {number} unpacks to {len(data)} bytes, where {nbytes} belong"
            raise problem("microscope.damaged", message, file=reader.key)
        frame: np.ndarray = np.ndarray(self._shape, reader.dtype, data, 0, self._strides)
        out[...] = frame[selection]


def _is_frame(name: bytes) -> bool:
    digits = name[len(FRAME) : -1]
    return name.startswith(FRAME) and digits.isdigit() and len(digits) < 12


def _describe(loops: Sequence[tuple[str, int]]) -> str:
    return " ".join(f"{axis}={count}" for axis, count in loops) or "none"
