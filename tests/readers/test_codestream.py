"""Extents that compressed images state of themselves, exactly."""

from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest

from neuropress.readers.images.codestream import read_stated_extent

WIDE, HIGH = 37, 21
GREY, COLOUR = np.zeros((HIGH, WIDE), np.uint8), np.zeros((HIGH, WIDE, 3), np.uint8)

CODECS: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: imagecodecs.jpeg_encode(GREY),
    "JPEG 2000, boxed": lambda: imagecodecs.jpeg2k_encode(GREY, codecformat="jp2"),
    "JPEG 2000, bare": lambda: imagecodecs.jpeg2k_encode(GREY, codecformat="j2k"),
    "PNG": lambda: imagecodecs.png_encode(GREY),
    "WebP, lossy": lambda: imagecodecs.webp_encode(COLOUR, lossless=False, level=50),
    "WebP, lossless": lambda: imagecodecs.webp_encode(COLOUR, lossless=True),
    "JPEG XL": lambda: imagecodecs.jpegxl_encode(GREY),
    "JPEG XL, small": lambda: imagecodecs.jpegxl_encode(np.zeros((16, 24), np.uint8)),
    "JPEG XL, ratio": lambda: imagecodecs.jpegxl_encode(np.zeros((300, 400), np.uint8)),
    "JPEG XR": lambda: imagecodecs.jpegxr_encode(GREY),
    "LERC": lambda: imagecodecs.lerc_encode(GREY),
}
OTHER = {"JPEG XL, small": (24, 16), "JPEG XL, ratio": (400, 300)}


@pytest.mark.parametrize(
    ("high", "wide"), [(21, 50), (300, 300), (300, 360), (300, 400), (300, 450), (270, 480), (300, 375), (300, 600)]
)
def test_every_ratio_of_jpeg_xl(high: int, wide: int) -> None:
    data = bytes(imagecodecs.jpegxl_encode(np.zeros((high, wide), np.uint8)))
    assert read_stated_extent(data) == (wide, high)


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_is_believed_exactly(name: str) -> None:
    assert read_stated_extent(bytes(CODECS[name]())) == OTHER.get(name, (WIDE, HIGH))


def test_extended_webp() -> None:
    head = b"RIFF" + bytes(4) + b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4)
    assert read_stated_extent(head + (36).to_bytes(3, "little") + (20).to_bytes(3, "little")) == (WIDE, HIGH)


@pytest.mark.parametrize("name", [name for name in CODECS if not name.startswith("JPEG XL")])
def test_a_cut_header_states_nothing_or_the_same(name: str) -> None:
    """But for JPEG XL, whose size is bits of any number: it is decoded with no more room than its page has."""
    data = bytes(CODECS[name]())
    for length in range(min(len(data), 100)):
        assert read_stated_extent(data[:length]) in (None, read_stated_extent(data))
