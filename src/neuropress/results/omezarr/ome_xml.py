"""``OME/METADATA.ome.xml``: the image as the data model of OME describes it, for programs that read that.

It follows from the root's attributes and the type of level 0, and says nothing that these do not say. There is none of
pixels that the model has no type for: 64-bit integers and 16-bit floats.

Source: the schema of OME-XML, 2016-06.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

FOLDER = "OME"
NAME = f"{FOLDER}/METADATA.ome.xml"
ACQUISITION = "acquisition"
"""Of our own attribute: what is known of the recording, in ms, nm, mW."""
MOST_PLANES = 100_000
"""Above, exposures stay in our own attribute: a plane takes a hundred bytes."""

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_TYPES = {
    "i1": "int8", "i2": "int16", "i4": "int32", "u1": "uint8", "u2": "uint16", "u4": "uint32", "f4": "float",
    "f8": "double",
}  # fmt: skip
_UNITS = {
    "angstrom": "Å", "nanometer": "nm", "micrometer": "µm", "millimeter": "mm", "centimeter": "cm", "meter": "m",
    "nanosecond": "ns", "microsecond": "µs", "millisecond": "ms", "second": "s", "minute": "min", "hour": "h",
}  # fmt: skip
_NUMBERS = ("exposure_time", "laser_line", "laser_power", "numerical_aperture")
_OPAQUE = 0xFF
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def is_of_document(name: str) -> bool:
    """Whether a file of a volume belongs to the group of the document."""
    return name.startswith(f"{FOLDER}/")


def has_type(dtype: np.dtype[Any]) -> bool:
    """Whether the model has a type for such pixels, so that there is a document."""
    return dtype.str[1:] in _TYPES


def parse_acquisition(own: Any) -> dict[str, float | str]:
    """What our own attribute says of the recording; entries of another kind are left out."""
    stated = own.get(ACQUISITION) if isinstance(own, Mapping) else None
    found: dict[str, float | str] = {}
    for name, value in stated.items() if isinstance(stated, Mapping) else ():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf
        is_text = isinstance(value, str) and (name == "objective_magn" or (name == "started" and _is_moment(value)))
        if is_text or (name in _NUMBERS and is_number):
            found[name] = value
    return found


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def make_ome_xml(ome: Mapping[str, Any], own: Mapping[str, Any], shape: Sequence[int], dtype: np.dtype[Any]) -> str:
    """The document.

    Parameters
    ----------
    ome, own
        What the root's attributes hold below ``ome`` and below our own name.
    shape, dtype
        Of level 0; `has_type` must hold.
    """
    image = ome["multiscales"][0]
    extents = {axis["name"]: extent for axis, extent in zip(image["axes"], shape, strict=True)}
    stated = parse_acquisition(own)
    root = Element("OME", xmlns=_NAMESPACE)
    instrument = _make_instrument(stated)
    if len(instrument):
        root.append(instrument)
    described = SubElement(root, "Image", ID="Image:0", Name=_clean_text(image.get("name", "")))
    if "started" in stated:
        SubElement(described, "AcquisitionDate").text = _format_date(str(stated["started"]))
    if len(instrument):
        SubElement(described, "InstrumentRef", ID=instrument.attrib["ID"])
    if instrument.find("Objective") is not None:
        SubElement(described, "ObjectiveSettings", ID="Objective:0")
    sizes = {f"Size{name.upper()}": str(extents.get(name, 1)) for name in "xyzct"}
    kind = {"ID": "Pixels:0", "DimensionOrder": "XYZCT", "Type": _TYPES[dtype.str[1:]]}
    pixels = SubElement(described, "Pixels", {**kind, **sizes, **dict(_list_steps(image))})
    pixels.extend(_make_channels(ome, stated, extents.get("c", 1)))
    SubElement(pixels, "MetadataOnly")
    pixels.extend(_make_planes(stated, extents))
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, "us-ascii")).decode("ascii") + "\n"


def _make_instrument(stated: Mapping[str, Any]) -> Element:
    instrument = Element("Instrument", ID="Instrument:0")
    laser: dict[str, str] = {}
    if "laser_power" in stated:
        laser |= {"Power": _format_number(stated["laser_power"]), "PowerUnit": "mW"}
    if "laser_line" in stated:
        laser |= {"Wavelength": _format_number(stated["laser_line"]), "WavelengthUnit": "nm"}
    if laser:
        SubElement(instrument, "Laser", {"ID": "LightSource:0", **laser})
    objective = {}
    if "numerical_aperture" in stated:
        objective["LensNA"] = _format_number(stated["numerical_aperture"])
    if (times := _parse_magnification(str(stated.get("objective_magn", "")))) is not None:
        objective["NominalMagnification"] = _format_number(times)
    if objective:
        SubElement(instrument, "Objective", {"ID": "Objective:0", **objective})
    return instrument


def _list_steps(image: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Sizes of voxels and the time between frames, of the axes whose unit is known."""
    scale = image["datasets"][0]["coordinateTransformations"][0]["scale"]
    for axis, step in zip(image["axes"], scale, strict=True):
        unit = _UNITS.get(axis.get("unit", ""))
        if unit is None or not step > 0:
            continue
        name = "TimeIncrement" if axis["name"] == "t" else f"PhysicalSize{axis['name'].upper()}"
        yield name, _format_number(step)
        yield f"{name}Unit", unit


def _make_channels(ome: Mapping[str, Any], stated: Mapping[str, Any], count: int) -> Iterator[Element]:
    known = ome.get("omero", {}).get("channels", [])
    for number in range(count):
        described = known[number] if len(known) == count else {}
        channel = {"ID": f"Channel:0:{number}", "SamplesPerPixel": "1"}
        if described.get("label"):
            channel["Name"] = _clean_text(described["label"])
        if described.get("color"):
            channel["Color"] = str(_pack_colour(described["color"]))
        if count == 1 and "laser_line" in stated:  # of several channels nobody says which it excites
            channel |= {"ExcitationWavelength": _format_number(stated["laser_line"]), "ExcitationWavelengthUnit": "nm"}
        yield Element("Channel", channel)


def _make_planes(stated: Mapping[str, Any], extents: Mapping[str, int]) -> Iterator[Element]:
    """One a plane, where there is something to say of each: the exposure."""
    counts = [extents.get(name, 1) for name in "tcz"]
    if "exposure_time" not in stated or counts[0] * counts[1] * counts[2] > MOST_PLANES:
        return
    exposure = {"ExposureTime": _format_number(stated["exposure_time"]), "ExposureTimeUnit": "ms"}
    for t, c, z in product(*map(range, counts)):
        yield Element("Plane", {"TheZ": str(z), "TheC": str(c), "TheT": str(t), **exposure})


def _pack_colour(text: str) -> int:
    """Red, green, blue and opacity as a signed number of 32 bits."""
    packed = int(text, 16) << 8 | _OPAQUE
    return packed - (1 << 32) if packed >= 1 << 31 else packed


def _parse_magnification(text: str) -> Decimal | None:
    """40 of ``40x``; None of what is no number above 0."""
    try:
        times = Decimal(text.strip().rstrip("xX×").strip())
    except InvalidOperation:
        return None
    return times if times.is_finite() and times > 0 else None


def _clean_text(value: Any) -> str:
    """Without characters that no XML can hold."""
    return _NOT_XML.sub("\ufffd", str(value))


def _format_date(text: str) -> str:
    """A moment as XML Schema writes it, in the zone that the header states, if it does."""
    return datetime.fromisoformat(text).isoformat()


def _format_number(value: float | Decimal) -> str:
    """The shortest decimal that is the same float."""
    return format(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), "f")
