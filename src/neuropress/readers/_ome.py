"""OME-XML: untrusted text that says which files, planes, sizes and times an OME-TIFF has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from xml.etree import ElementTree

from ..model.finding import problem
from ._tiffmeta import Meta, number, quotient, seconds_per, text, um_per

_FORBIDDEN = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ome:
    """The parsed document: its `Image` elements that own pixels, and the other files that it names."""

    images: tuple[ElementTree.Element, ...]
    files: tuple[str, ...]
    objectives: dict[str, ElementTree.Element]

    def planes(self) -> int:
        """Pages that all images together need."""
        return sum(_planes(_child(image, "Pixels")) for image in self.images)


def looks_like(description: str) -> bool:
    """Whether an ImageDescription is OME-XML."""
    return description.rstrip("\0 \r\n\t").endswith("OME>")


def parse(description: str, key: str) -> Ome:
    """Read OME-XML without entities or external references.

    Raises
    ------
    Problem
        ``image.hostile`` for a document type, ``tiff.damaged`` for broken XML or sizes,
        ``image.unsupported`` where the metadata stand in a companion file.
    """
    if _FORBIDDEN.search(description):
        raise problem("image.hostile", f"{key}: its OME-XML defines a document type or entities", file=key)
    try:
        root = ElementTree.fromstring(description.rstrip("\0 \r\n\t"))
    except ElementTree.ParseError as error:
        raise problem("tiff.damaged", f"{key}: its OME-XML cannot be read ({error})", file=key) from error
    for element in root:
        if _name(element) == "BinaryOnly":
            raise problem(
                "image.unsupported",
                f"{key}: its metadata stand in {element.get('MetadataFile')!r}, not in the file",
                hint="Name the OME-TIFF of the set that carries the OME-XML, or export the image as one OME-TIFF.",
                file=key,
            )
    images = tuple(i for i in root if _name(i) == "Image" and _child(i, "Pixels") is not None)
    own = root.get("UUID")  # a renamed file is still itself
    uuids = (u for i in images for u in i.iter() if _name(u) == "UUID")
    named = {u.get("FileName", ""): None for u in uuids if own is None or u.text != own}
    objectives = {o.get("ID", ""): o for o in root.iter() if _name(o) == "Objective"}
    ome = Ome(images, tuple(n for n in named if n), objectives)
    try:
        ome.planes()
    except ValueError as error:
        raise problem("tiff.damaged", f"{key}: its OME-XML has no valid sizes ({error})", file=key) from error
    return ome


def describe(meta: Meta, ome: Ome, index: int, axes: Sequence[str]) -> None:
    """The facts of one image. Unstated units are OME's own defaults: um and s."""
    image = ome.images[index]
    pixels = _child(image, "Pixels")
    if pixels is None:
        return
    x, y, z = (_length(pixels, f"PhysicalSize{a}") for a in "XYZ")
    meta.calibrate(x, y)
    if z and "z" in axes:
        meta.spacing["z"] = z
    step = number(pixels.get("TimeIncrement"))
    seconds = seconds_per(pixels.get("TimeIncrementUnit", "s"))
    if "t" in axes and step and step > 0 and seconds:
        meta.facts["frame_rate"] = text(quotient(1, step * seconds))
    channels = [c for c in pixels if _name(c) == "Channel"]
    if all(c.get("Name") for c in channels):
        meta.channels = tuple(c.get("Name", "") for c in channels)
    _optics(meta, ome, image, channels)
    exposures = {
        e * s * 1000
        for p in pixels
        if _name(p) == "Plane"
        and (e := number(p.get("ExposureTime"))) is not None
        and (s := seconds_per(p.get("ExposureTimeUnit", "s")))
    }
    if len(exposures) == 1 and (exposure := exposures.pop()) > 0:
        meta.facts["exposure_time"] = text(exposure)
    acquired = _child(image, "AcquisitionDate")
    if acquired is not None and acquired.text:
        meta.acquired = _instant(acquired.text.strip())


def _optics(meta: Meta, ome: Ome, image: ElementTree.Element, channels: Sequence[ElementTree.Element]) -> None:
    settings = _child(image, "ObjectiveSettings")
    objective = ome.objectives.get(settings.get("ID", "")) if settings is not None else None
    if objective is not None and (aperture := number(objective.get("LensNA"))):
        meta.facts["numerical_aperture"] = text(aperture)
    if objective is not None and (magnification := number(objective.get("NominalMagnification"))):
        meta.facts["objective_magn"] = f"{text(magnification)}x"
    lines = {
        w * um * 1000
        for c in channels
        if (w := number(c.get("ExcitationWavelength"))) and (um := um_per(c.get("ExcitationWavelengthUnit", "nm")))
    }
    if len(lines) == 1:
        meta.facts["laser_line"] = text(lines.pop())


def _planes(pixels: ElementTree.Element | None) -> int:
    if pixels is None:
        return 0
    sizes = [int(pixels.get(f"Size{a}", "")) for a in "TZC"]
    if min(sizes) < 1:
        raise ValueError(f"SizeT, SizeZ, SizeC = {sizes}")
    channel = _child(pixels, "Channel")
    samples = int(channel.get("SamplesPerPixel", "1")) if channel is not None else 1
    return sizes[0] * sizes[1] * max(sizes[2] // max(samples, 1), 1)


def _length(pixels: ElementTree.Element, name: str) -> Decimal | None:
    value, um = number(pixels.get(name)), um_per(pixels.get(f"{name}Unit", "um"))
    return value * um if value and um and value > 0 else None


def _instant(written: str) -> datetime | None:
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((c for c in element if _name(c) == name), None)
