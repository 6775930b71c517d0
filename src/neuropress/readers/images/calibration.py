"""What image headers say about time and space: units, ImageJ, MetaMorph, plain resolution tags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any

_QUOTIENT = Context(prec=12)
"""ImageJ writes resolutions with six decimals; twelve digits keep what they say."""
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_UM = {
    "\u03bcm": "1", "um": "1", "micron": "1", "microns": "1", "micrometer": "1", "micrometers": "1",
    "micrometre": "1", "micrometres": "1", "nm": "0.001", "nanometer": "0.001", "nanometers": "0.001",
    "nanometre": "0.001", "pm": "0.000001", "\u00e5": "0.0001", "angstrom": "0.0001", "mm": "1000",
    "millimeter": "1000", "millimeters": "1000", "millimetre": "1000", "cm": "10000", "centimeter": "10000",
    "centimetre": "10000", "m": "1000000", "meter": "1000000", "metre": "1000000",
}  # fmt: skip
_SECONDS = {
    "s": "1", "sec": "1", "secs": "1", "second": "1", "seconds": "1", "ms": "0.001", "msec": "0.001",
    "millisecond": "0.001", "\u03bcs": "0.000001", "us": "0.000001", "ns": "0.000000001", "min": "60",
    "minute": "60", "minutes": "60", "h": "3600", "hour": "3600",
}  # fmt: skip
_PRINT_LIMIT = Decimal(10)
"""um; printers and screens never reach finer pixels, so a finer resolution tag is a calibration."""

type Ratio = tuple[int, int]


@dataclass(slots=True)
class ImageMetadata:
    """What one image's header states, gathered by its dialect."""

    facts: dict[str, str] = field(default_factory=dict)
    spacing: dict[str, Decimal] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    acquired: datetime | None = None
    warnings: list[str] = field(default_factory=list)

    def set_pixel_size(self, x: Decimal | None, y: Decimal | None) -> None:
        """Set the pixel's extent in um; it is a fact of the table's kind only where pixels are square."""
        if x is None or y is None or x <= 0 or y <= 0:
            return
        self.spacing.update(y=y, x=x)
        if abs(x - y) <= x / 1000:
            self.facts["pixel_size"] = format_decimal(x)
        else:
            self.warnings.append(f"pixels are not square: {format_decimal(x)} um wide, {format_decimal(y)} um high")


def format_decimal(value: Decimal) -> str:
    """A decimal without exponent and without needless zeros."""
    return format(value.normalize(), "f")


def parse_decimal(value: Any) -> Decimal | None:
    """A finite decimal from a header's text; None for anything else."""
    try:
        decimal = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return decimal if decimal.is_finite() and abs(decimal.adjusted()) < 30 else None


def parse_count(value: Any) -> int:
    """A header's number of things; 1 where it states none."""
    decimal = parse_decimal(value)
    return int(decimal) if decimal is not None and decimal >= 1 and decimal == int(decimal) else 1


def divide(a: Decimal | int, b: Decimal | int) -> Decimal:
    """``a / b`` with twelve digits."""
    return _QUOTIENT.divide(Decimal(a), Decimal(b))


def normalize_unit(written: str) -> str:
    r"""A unit as it is meant: escaped letters (``\u00B5m``) read, both micro signs made one."""
    plain = _ESCAPE.sub(lambda m: chr(int(m[1], 16)), written.strip())
    return unicodedata.normalize("NFKC", plain).strip()


def get_um_per_unit(unit: str) -> Decimal | None:
    """Micrometres in a length unit; None for ``pixel``, ``inch``, nothing and unknown ones."""
    plain = normalize_unit(unit)
    factor = _UM.get(plain.casefold()) if plain != "Mm" else None
    return Decimal(factor) if factor else None


def get_seconds_per_unit(unit: str) -> Decimal | None:
    """Seconds in a time unit; None for unknown ones."""
    factor = _SECONDS.get(normalize_unit(unit).casefold())
    return Decimal(factor) if factor else None


def parse_key_values(description: str) -> dict[str, str]:
    """``key=value`` lines, the first of each key."""
    pairs: dict[str, str] = {}
    for line in re.split(r"[\r\n]+", description):
        key, sign, value = line.partition("=")
        if sign:
            pairs.setdefault(key.strip(), value.strip())
    return pairs


def compute_pixel_size(ratio: Ratio | None, um: Decimal | None) -> Decimal | None:
    """Micrometres per pixel from pixels per unit; None for 0/n, n/0 and the writers' default 1/1."""
    if um is None or ratio is None or 0 in ratio or ratio == (1, 1):
        return None
    return divide(ratio[1] * um, ratio[0])


def apply_imagej(
    meta: ImageMetadata, pairs: Mapping[str, str], x: Ratio | None, y: Ratio | None, axes: Sequence[str]
) -> None:
    """ImageJ's description and resolution tags.

    A frame interval is a rate only where pages can be frames: ImageJ also writes it on
    pure z-stacks.
    """
    um = get_um_per_unit(pairs.get("unit", ""))
    y_um = get_um_per_unit(pairs["yunit"]) if "yunit" in pairs else um
    meta.set_pixel_size(compute_pixel_size(x, um), compute_pixel_size(y, y_um))
    z_um = get_um_per_unit(pairs["zunit"]) if "zunit" in pairs else um
    step = parse_decimal(pairs.get("spacing"))
    if {"z", "q"} & set(axes) and step and z_um:
        meta.spacing["z"] = abs(step) * z_um
    if not {"t", "q"} & set(axes) and "z" in axes:
        return
    interval = parse_decimal(pairs.get("finterval"))
    seconds = get_seconds_per_unit(pairs.get("tunit", "s"))
    fps = parse_decimal(pairs.get("fps"))
    if interval and interval > 0 and seconds:
        meta.facts["frame_rate"] = format_decimal(divide(1, interval * seconds))
    elif interval and not seconds:
        meta.warnings.append(f"the frame interval's unit {pairs['tunit']!r} is unknown, so the rate is not taken")
    elif fps and fps > 0 and {"t", "q"} & set(axes):
        meta.facts["frame_rate"] = format_decimal(fps)
        meta.warnings.append("the frame rate is ImageJ's fps, which can be a playback speed")


def apply_resolution(meta: ImageMetadata, x: Ratio | None, y: Ratio | None, unit: int) -> None:
    """Resolution tags of a TIFF of no known dialect: believed in centimetres, and finer than print."""
    um = Decimal(10000) if unit == 3 else None
    width, height = compute_pixel_size(x, um), compute_pixel_size(y, um)
    if width and height and max(width, height) < _PRINT_LIMIT:
        meta.set_pixel_size(width, height)


def apply_metamorph(meta: ImageMetadata, tags: Mapping[str, Any], description: str) -> None:
    """MetaMorph's UIC tags and the exposure line of its description."""
    um = get_um_per_unit(str(tags.get("CalibrationUnits", "")))
    x, y = parse_decimal(tags.get("XCalibration")), parse_decimal(tags.get("YCalibration"))
    if um and tags.get("SpatialCalibration") and x and y:
        meta.set_pixel_size(x * um, y * um)
    exposure = re.search(r"^Exposure: ([0-9.]+) (ms|s)\b", description, re.MULTILINE)
    if exposure and (value := parse_decimal(exposure[1])):
        meta.facts["exposure_time"] = format_decimal(value * (1000 if exposure[2] == "s" else 1))
    created = tags.get("CreateTime")
    meta.acquired = created if isinstance(created, datetime) else None
