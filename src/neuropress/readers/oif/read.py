"""OIF and OIB: the library oiffile reads settings and OLE, our own reader of TIFF pages the planes.

A plane is a TIFF of its own whose name says where it belongs (``s_C001Z002T003.tif``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from ...model import budget
from ...model.content import Image, Selection
from ...model.finding import Problem, problem
from ...model.source import Source
from ..images.calibration import (
    ImageMetadata,
    divide,
    format_decimal,
    get_seconds_per_unit,
    get_um_per_unit,
    parse_decimal,
)
from ..images.pixels import apply_declared_axes, build_plane_array
from ..microscopes.facts import set_optics, set_sizes
from ..microscopes.library import import_library
from ..microscopes.planes import check_extents
from ..tiff.read import read_slice
from ..tiff.tags import convert_to_json
from . import FORMAT, OLE
from .members import FolderMembers, Members, OleMembers, parse_settings

_PLACE = re.compile(r"_((?:[A-Z]\d{1,9})+)\.tif$", re.IGNORECASE)
_INDEX = re.compile(r"([A-Z])(\d+)", re.IGNORECASE)
_LEAD = {"T": "t", "C": "c", "L": "c", "Z": "z"}
"""Time, channel, wavelength, depth. There are no wavelengths beside several channels."""

type Settings = Mapping[str, Mapping[str, Any]]


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """The image that the main file describes; reference pictures and thumbnails are left out.

    Raises
    ------
    Problem
        ``oif.member``, ``microscope.damaged``, ``image.unsupported``, ``image.axes``, ``format.library``, what the
        reader of TIFF pages finds in a plane.
    """
    library = import_library("oiffile", source.key)
    warnings: list[str] = []
    with source.open() as file:
        is_ole = file.read(len(OLE)) == OLE
    members: Members = OleMembers(library, source, warnings) if is_ole else FolderMembers(source)
    try:
        settings = parse_settings(library, members.read_main(), source.key)
        return (_OifReader(source, options, members, settings, warnings).build_image(),)
    except BaseException:
        members.close()
        raise


class _OifReader:
    """One OIF while its image is built."""

    def __init__(
        self,
        source: Source,
        options: Mapping[str, Any],
        members: Members,
        settings: Settings,
        warnings: Sequence[str],
    ) -> None:
        self.key, self.options, self.members, self.settings = source.key, options, members, settings
        self.meta = ImageMetadata(warnings=list(warnings))
        self.axes, self.extents = self._find_axes()
        self.planes = self._list_planes()

    def build_image(self) -> Image:
        first = read_slice(self.members.open(next(iter(self.planes.values()))))
        page = first.arrays["pixels"]
        plane = (self.extents["Y"], self.extents["X"])
        if (
            page.shape[-2:] != plane
            or page.axes[-2:] != ("y", "x")
            or len(page.shape) - len(plane) != sum(n == 1 for n in page.shape[:-2])
        ):
            message = f"its planes are {' x '.join(map(str, page.shape))}, its main file says {plane[0]} x {plane[1]}"
            raise self._make_problem("microscope.damaged", message)
        lead = [letter for letter in self.axes if self.extents[letter] > 1]
        counts = [self.extents[letter] for letter in lead]
        check_extents([*counts, *plane], np.dtype("u1"), budget.PAGE_BYTES, self.key)
        axes = apply_declared_axes((*(_LEAD[letter] for letter in lead), "y", "x"), self.options, self.key)
        shape = (*counts, *plane)
        set_sizes(self.meta, axes, shape)
        self._set_calibration(lead)
        planes = _MemberPlanes(self.key, self.members, self.planes, tuple(counts), page.shape, page.dtype)
        return Image(
            name="",
            format=FORMAT.name,
            facts=self.meta.facts,
            header=convert_to_json({"settings": self.settings}),
            arrays={"pixels": build_plane_array(planes, axes, shape, plane, page.dtype)},
            warnings=tuple(self.meta.warnings),
            close=self.members.close,
            spacing=self.meta.spacing,
            channels=self._list_channels(),
            acquired=self._find_start(),
        )

    def _find_axes(self) -> tuple[list[str], dict[str, int]]:
        """Letters of the leading axes, slowest first, and the extent of every axis."""
        order = str(self._get("Axis Parameter Common", "AxisOrder") or "").strip('"').upper()
        extents: dict[str, int] = {}
        for number in range(8):
            section = f"Axis {number} Parameters Common"
            letter = str(self._get(section, "AxisCode") or "").strip('"').upper()
            size = self._get(section, "MaxSize")
            if letter and isinstance(size, int):
                extents[letter] = max(size, 1)
        if not {"X", "Y"} <= set(order) or not set(order) <= set(extents):
            raise self._make_problem("image.unsupported", f"its axes are {order or 'not stated'}")
        lead = [letter for letter in reversed(order) if letter not in "XY"]
        strange = [letter for letter in lead if letter not in _LEAD and extents[letter] > 1]
        if strange or (extents.get("C", 1) > 1 and extents.get("L", 1) > 1 and {"C", "L"} <= set(lead)):
            raise self._make_problem("image.unsupported", f"its axes are {order}")
        check_extents([extents[a] for a in lead] or [1], np.dtype("u1"), budget.CHUNK_NAMES, self.key)
        return [letter for letter in lead if letter in _LEAD], extents

    def _list_planes(self) -> dict[tuple[int, ...], str]:
        """Member of each place: of the set of names that has most of them, since projections are called alike."""
        lead = [letter for letter in self.axes if self.extents[letter] > 1]
        groups: dict[str, dict[tuple[int, ...], str]] = {}
        for name in self.members.names:
            match = _PLACE.search(name)
            if match is None:
                continue
            index = {letter.upper(): int(digits) - 1 for letter, digits in _INDEX.findall(match[1])}
            place = tuple(index.get(letter, -1) for letter in lead)
            rest = [at for letter, at in index.items() if letter not in lead]
            if any(not 0 <= at < self.extents[a] for a, at in zip(lead, place, strict=True)) or any(rest):
                continue
            group = groups.setdefault(name[: match.start()], {})
            if place in group:
                raise self._make_problem("oif.member", f"{group[place]} and {name} are the same plane")
            group[place] = name
        if not groups:
            raise self._make_problem("oif.member", "no file of its planes is there (NAME_C001Z001.tif)")
        planes = max(groups.values(), key=len)
        described = int(np.prod([self.extents[a] for a in lead], dtype=object) or 1)
        if absent := described - len(planes):
            # A recording that was stopped lacks its last ones; one that was copied in part may lack any.
            last = max(np.ravel_multi_index(p, [self.extents[a] for a in lead]) for p in planes) + 1 if lead else 1
            if last != len(planes):
                message = f"{absent} of the {described} planes that it describes are not there"
                raise self._make_problem("oif.member", message)
            self.meta.warnings.append(f"the last {absent} of {described} planes were never written: they are read as 0")
        return planes

    def _set_calibration(self, lead: Sequence[str]) -> None:
        section = "Reference Image Parameter"
        sizes = [parse_decimal(self._get(section, f"{name}ConvertValue")) for name in ("Width", "Height")]
        units = [get_um_per_unit(str(self._get(section, f"{name}Unit") or "um")) for name in ("Width", "Height")]
        x, y = (size * um if size and um else None for size, um in zip(sizes, units, strict=True))
        self.meta.set_pixel_size(x, y)
        for number in range(8):
            axis = f"Axis {number} Parameters Common"
            letter, unit = str(self._get(axis, "AxisCode") or "").strip('"'), str(self._get(axis, "UnitName") or "")
            step = self._measure_step(axis)
            um, seconds = get_um_per_unit(unit.strip('"')), get_seconds_per_unit(unit.strip('"'))
            if letter == "Z" and letter in lead and step and um:
                self.meta.spacing["z"] = (step * um).normalize()
            if letter == "T" and letter in lead and step and seconds:
                self.meta.facts["frame_rate"] = format_decimal(divide(1, step * seconds))
        lines = [self._get(f"Channel {n} Parameters", "ExcitationWavelength") for n in range(1, 9)]
        set_optics(self.meta, lines_nm=[line for line in lines if line])

    def _measure_step(self, axis: str) -> Decimal | None:
        """From the axis' first to its second element, in its unit."""
        start, end = (parse_decimal(self._get(axis, name)) for name in ("StartPosition", "EndPosition"))
        size = self._get(axis, "MaxSize")
        if start is None or end is None or start == end or not isinstance(size, int) or size < 2:
            return None
        return divide(abs(end - start), size - 1)

    def _list_channels(self) -> tuple[str, ...]:
        """Names of the channels, by their dyes."""
        count = self.extents.get("C", 1) if "C" in self.axes else 1
        names = []
        for number in range(1, count + 1):
            section = f"Channel {number} Parameters"
            name = self._get(section, "DyeName") or self._get(section, "CH Name") or ""
            names.append(str(name).strip('"').strip())
        return tuple(names) if all(names) and self.extents.get("L", 1) == 1 else ()

    def _find_start(self) -> datetime | None:
        """The clock, without a zone. The vendor writes Capture wrong."""
        for name in ("ImageCaputreDate", "ImageCaptureDate"):
            text = str(self._get("Acquisition Parameters Common", name) or "").strip("'\" ")
            with suppress(ValueError):
                return datetime.fromisoformat(text)
        return None

    def _get(self, section: str, name: str) -> Any:
        return self.settings.get(section, {}).get(name)

    def _make_problem(self, id: str, reason: str) -> Problem:
        return problem(id, f"{self.key}: {reason}", file=self.key)


class _MemberPlanes:
    """Planes that are TIFF files, each opened when it is read."""

    def __init__(
        self,
        key: str,
        members: Members,
        planes: Mapping[tuple[int, ...], str],
        counts: tuple[int, ...],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self._key, self._members, self._planes = key, members, planes
        self._counts, self._shape, self._dtype = counts, shape, dtype

    def read(self, index: int, selection: Selection, out: np.ndarray) -> None:
        """Read a block of the plane's own file."""
        place = tuple(int(i) for i in np.unravel_index(index, self._counts)) if self._counts else ()
        name = self._planes.get(place)
        if name is None:
            out[...] = 0
            return
        image = read_slice(self._members.open(name))
        try:
            pixels = image.arrays["pixels"]
            if pixels.shape != self._shape or pixels.dtype != self._dtype:
                message = f"{self._key}: its plane {name} is {pixels.shape} {pixels.dtype}, the first one {self._shape}"
                raise problem("oif.member", message, file=self._key)
            lead = tuple(slice(0, 1) for _ in pixels.shape[:-2])
            out[...] = pixels.read((*lead, *selection)).reshape(out.shape)
        finally:
            image.close()
