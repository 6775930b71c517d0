"""What the readers of images share: TIFF directories and pages, planes of pixels, calibration, declarations."""

from __future__ import annotations

from ..format import Fact, Option

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a classic and a Big TIFF begin, in either byte order."""

AXIS_LETTERS = "tczyxsq"


def is_tiff(head: bytes) -> bool:
    """Whether the bytes begin a classic or Big TIFF."""
    return head.startswith(TIFF_SIGNATURES)


def _check_axes(text: str) -> str:
    wrong = sorted(set(text) - set(AXIS_LETTERS))
    if wrong or not text:
        return f"must consist of the letters {' '.join(AXIS_LETTERS)}, not {text[:40]!r}"
    twice = [letter for letter in AXIS_LETTERS if letter != "q" and text.count(letter) > 1]
    return f"names the axis {twice[0]} twice: {text[:40]!r}" if twice else ""


AXES = Option(
    "axes",
    "What each axis is where the file does not say, one letter an axis, slowest first: t c z y x s, and q for what "
    "stays open. It never overrules the file.",
    check=_check_axes,
)

IMAGE_FACTS = (
    Fact("x", "columns", "pixels"),
    Fact("y", "rows", "pixels"),
    Fact("z", "images behind each other, of one channel: depths, times or both"),
    Fact("pixel_size", "side of a pixel, where pixels are square", "um"),
    Fact("frame_rate", "frames a second, from the stated interval", "Hz"),
    Fact("exposure_time", "exposure of a frame", "ms"),
    Fact("numerical_aperture", "of the objective"),
    Fact("objective_magn", "magnification of the objective, as 40x"),
    Fact("laser_line", "excitation wavelength, where there is one", "nm"),
    Fact("photometric", "MinIsWhite, where 0 is white; else left out"),
)

IMAGE_FINDINGS = ("image.axes", "image.hostile", "image.unsupported", "tiff.damaged", "tiff.pages", "tiff.truncated")
"""What pixels and pages can be found to be, in a file or in a slice."""
