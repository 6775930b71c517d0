"""OME-XML: untrusted text that says which files, planes, sizes and times an OME-TIFF has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from xml.etree import ElementTree

from ...model.budget import OverBudget
from ...model.finding import Problem, problem
from ...model.parsing import parse_xml
from ..images.calibration import (
    ImageMetadata,
    divide,
    format_decimal,
    get_seconds_per_unit,
    get_um_per_unit,
    parse_decimal,
)

_PADDING = "\0 \r\n\t"


@dataclass(frozen=True, slots=True)
class OmeDocument:
    """The parsed document: its `Image` elements that own pixels, and the other files that it names.

    `key` is the file that it stands in; `companion` the file that holds the metadata instead;
    `modulo` the axes that interleave two things.
    """

    key: str
    images: tuple[ElementTree.Element, ...]
    files: tuple[str, ...]
    objectives: dict[str, ElementTree.Element]
    uuid: str | None = None
    companion: str = ""
    modulo: frozenset[str] = frozenset()

    def count_planes(self) -> int:
        """Pages that all images together need."""
        return sum(_count_planes(_find_child(image, "Pixels")) for image in self.images)


def is_ome_xml(description: str) -> bool:
    """Whether an ImageDescription is OME-XML."""
    return description.rstrip(_PADDING).endswith("OME>")


def parse_ome_xml(description: str, key: str) -> OmeDocument:
    """Read OME-XML without entities or external references.

    Raises
    ------
    Problem
        ``image.hostile`` for a document type or too much XML, ``tiff.damaged`` for broken XML or sizes.
    """
    try:
        root = parse_xml(description.rstrip(_PADDING))
    except OverBudget as error:
        raise problem("image.hostile", f"{key}: its OME-XML is refused: {error}", file=key) from error
    except (ElementTree.ParseError, ValueError) as error:
        raise problem("tiff.damaged", f"{key}: its OME-XML cannot be read ({error})", file=key) from error
    companion = next((e.get("MetadataFile", "") for e in root if _get_local_name(e) == "BinaryOnly"), "")
    images = tuple(e for e in root if _get_local_name(e) == "Image" and _find_child(e, "Pixels") is not None)
    own = root.get("UUID")
    files = _list_other_files(images, own)
    objectives = {e.get("ID", ""): e for e in root.iter() if _get_local_name(e) == "Objective"}
    ome = OmeDocument(key, images, files, objectives, own, companion, _list_modulo_axes(root))
    try:
        ome.count_planes()
    except ValueError as error:
        raise problem("tiff.damaged", f"{key}: its OME-XML has no valid sizes ({error})", file=key) from error
    return ome


def _list_other_files(images: Sequence[ElementTree.Element], own: str | None) -> tuple[str, ...]:
    """Names of the files that hold planes, each once; by its `own` UUID a renamed file is still itself."""
    names: dict[str, None] = {}
    for image in images:
        for element in image.iter():
            if _get_local_name(element) == "UUID" and (own is None or element.text != own):
                names[element.get("FileName", "")] = None
    return tuple(name for name in names if name)


def _list_modulo_axes(root: ElementTree.Element) -> frozenset[str]:
    """Last letters of ``ModuloAlongZ``, ``ModuloAlongT`` and ``ModuloAlongC``, wherever they stand."""
    names = (_get_local_name(element) for element in root.iter())
    return frozenset(n[-1] for n in names if n.startswith("ModuloAlong") and len(n) == len("ModuloAlongZ"))


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """One image: its axes and extents slowest first, those of a plane left out; file and page number of each plane."""

    name: str
    axes: str
    shape: tuple[int, ...]
    size: tuple[int, int]
    planes: tuple[tuple[str, int], ...]


def build_layout(ome: OmeDocument, index: int, files: Mapping[str, str], pages: Mapping[str, int]) -> ImageLayout:
    """Which page of which file is which plane of one image, by its ``TiffData``.

    Parameters
    ----------
    files
        Name of a file as the XML writes it, in lower case -> its key; ``""`` for the file of the XML.
    pages
        Key -> number of its pages.

    Raises
    ------
    Problem
        ``tiff.pages``: a plane is in no page, in two pages, or in a page that is not there.
    """
    image = ome.images[index]
    pixels = _find_child(image, "Pixels")
    assert pixels is not None  # parse() keeps no others
    order = pixels.get("DimensionOrder", "")
    if sorted(order) != sorted("XYZCT") or order[:2] != "XY":
        raise problem("tiff.damaged", f"{ome.key}: its OME-XML has the DimensionOrder {order!r}", file=ome.key)
    lead = order[:1:-1]
    shape = [_get_extent(pixels, axis) for axis in lead]
    total = math.prod(shape)
    planes: dict[int, tuple[str, int]] = {}
    for first, page, count in _list_plane_runs(ome, pixels, lead, shape, files, pages):
        for step in range(count):
            plane = planes.setdefault(first + step, (page[0], page[1] + step))
            if plane != (page[0], page[1] + step):
                raise _make_mismatch_problem(ome, f"image {index + 1} names two pages for its plane {first + step + 1}")
    if len(planes) < total:
        raise _make_mismatch_problem(
            ome, f"{total - len(planes)} of the {total} planes of image {index + 1} are in no file"
        )
    kept = [(axis, n) for axis, n in zip(lead, shape, strict=True) if n > 1]
    axes = "".join("Q" if axis in ome.modulo else axis for axis, _ in kept)
    size = (_parse_whole_number(pixels, "SizeY"), _parse_whole_number(pixels, "SizeX"))
    ordered = tuple(planes[i] for i in range(total))
    return ImageLayout(image.get("Name", ""), axes, tuple(n for _, n in kept), size, ordered)


def _list_plane_runs(
    ome: OmeDocument,
    pixels: ElementTree.Element,
    lead: str,
    shape: Sequence[int],
    files: Mapping[str, str],
    pages: Mapping[str, int],
) -> Iterator[tuple[int, tuple[str, int], int]]:
    """First plane, file and page, and number of planes of each ``TiffData``."""
    total = math.prod(shape)
    for data in pixels:
        if _get_local_name(data) != "TiffData":
            continue
        place = [_parse_whole_number(data, f"First{axis}", "0") for axis in lead]
        if any(at >= n for at, n in zip(place, shape, strict=True)):
            stated = ", ".join(f"First{a}={p}" for a, p in zip(lead, place, strict=True))
            raise _make_mismatch_problem(ome, f"a TiffData begins outside of its image ({stated})")
        first = sum(at * math.prod(shape[i + 1 :]) for i, at in enumerate(place))
        uuid = _find_child(data, "UUID")
        named = uuid.get("FileName", "") if uuid is not None and uuid.text != ome.uuid else ""
        key = files.get(named.casefold())
        if key is None:
            raise _make_mismatch_problem(ome, "a TiffData does not say in which file its planes are")
        page = _parse_whole_number(data, "IFD", "0")
        default = "1" if "IFD" in data.attrib else str(min(pages[key] - page, total - first))
        count = _parse_whole_number(data, "PlaneCount", data.get("NumPlanes", default))
        if count > total - first or page + count > pages[key]:
            named_planes = f"{count} planes from page {page + 1} of {key} on, which has {pages[key]} pages"
            raise _make_mismatch_problem(
                ome, f"a TiffData names {named_planes}; its image has room for {total - first}"
            )
        yield first, (key, page), count


def _make_mismatch_problem(ome: OmeDocument, reason: str) -> Problem:
    return problem("tiff.pages", f"{ome.key}: by its OME-XML, {reason}", file=ome.key)


def _parse_whole_number(element: ElementTree.Element, name: str, default: str = "") -> int:
    """A whole number of an attribute; 0 where it is none, which no size can be."""
    text = element.get(name, default).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _get_extent(pixels: ElementTree.Element, axis: str) -> int:
    """Planes along an axis; samples of one pixel are no channels of planes."""
    size = _parse_whole_number(pixels, f"Size{axis}")
    if axis == "C" and (channel := _find_child(pixels, "Channel")) is not None:
        size //= max(_parse_whole_number(channel, "SamplesPerPixel", "1"), 1)
    return max(size, 1)


def apply_ome_xml(meta: ImageMetadata, ome: OmeDocument, index: int, axes: Sequence[str]) -> None:
    """The facts of one image. Unstated units are OME's own defaults: um and s."""
    image = ome.images[index]
    pixels = _find_child(image, "Pixels")
    if pixels is None:
        return
    x, y, z = (_parse_length(pixels, f"PhysicalSize{a}") for a in "XYZ")
    meta.set_pixel_size(x, y)
    if z and "z" in axes:
        meta.spacing["z"] = z
    step = parse_decimal(pixels.get("TimeIncrement"))
    seconds = get_seconds_per_unit(pixels.get("TimeIncrementUnit", "s"))
    if "t" in axes and step and step > 0 and seconds:
        meta.facts["frame_rate"] = format_decimal(divide(1, step * seconds))
    channels = [c for c in pixels if _get_local_name(c) == "Channel"]
    if all(c.get("Name") for c in channels):
        meta.channels = tuple(c.get("Name", "") for c in channels)
    _apply_optics(meta, ome, image, channels)
    exposures = _collect_exposures(pixels)
    if len(exposures) == 1 and (exposure := exposures.pop()) > 0:
        meta.facts["exposure_time"] = format_decimal(exposure)
    acquired = _find_child(image, "AcquisitionDate")
    if acquired is not None and acquired.text:
        meta.acquired = _parse_datetime(acquired.text.strip())


def _collect_exposures(pixels: ElementTree.Element) -> set[Decimal]:
    """The exposure times that planes state, ms."""
    exposures: set[Decimal] = set()
    for plane in pixels:
        if _get_local_name(plane) != "Plane":
            continue
        exposure = parse_decimal(plane.get("ExposureTime"))
        seconds = get_seconds_per_unit(plane.get("ExposureTimeUnit", "s"))
        if exposure is not None and seconds:
            exposures.add(exposure * seconds * 1000)
    return exposures


def _apply_optics(
    meta: ImageMetadata, ome: OmeDocument, image: ElementTree.Element, channels: Sequence[ElementTree.Element]
) -> None:
    settings = _find_child(image, "ObjectiveSettings")
    objective = ome.objectives.get(settings.get("ID", "")) if settings is not None else None
    if objective is not None and (aperture := parse_decimal(objective.get("LensNA"))):
        meta.facts["numerical_aperture"] = format_decimal(aperture)
    if objective is not None and (magnification := parse_decimal(objective.get("NominalMagnification"))):
        meta.facts["objective_magn"] = f"{format_decimal(magnification)}x"
    lines: set[Decimal] = set()
    for channel in channels:
        wavelength = parse_decimal(channel.get("ExcitationWavelength"))
        um = get_um_per_unit(channel.get("ExcitationWavelengthUnit", "nm"))
        if wavelength and um:
            lines.add(wavelength * um * 1000)
    if len(lines) == 1:
        meta.facts["laser_line"] = format_decimal(lines.pop())


def _count_planes(pixels: ElementTree.Element | None) -> int:
    if pixels is None:
        return 0
    sizes = [_parse_whole_number(pixels, f"Size{a}") for a in "TZC"]
    if min(sizes) < 1:
        raise ValueError("SizeT, SizeZ, SizeC = " + ", ".join(pixels.get(f"Size{a}", "absent") for a in "TZC"))
    return math.prod(_get_extent(pixels, axis) for axis in "TZC")


def _parse_length(pixels: ElementTree.Element, name: str) -> Decimal | None:
    value, um = parse_decimal(pixels.get(name)), get_um_per_unit(pixels.get(f"{name}Unit", "um"))
    return value * um if value and um and value > 0 else None


def _parse_datetime(written: str) -> datetime | None:
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def _get_local_name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _find_child(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((c for c in element if _get_local_name(c) == name), None)
