"""What the pages of a TIFF are, by the text that ImageJ, OME and others put into its first page.

No library but tifffile, which our reader uses, says so for every dialect: this is a second, smaller reading of these
texts by ourselves, and shares no code with the reader. What it does not know, it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import PureWindowsPath
from xml.etree.ElementTree import Element

from ..model.budget import TIFF_PAGES
from ..model.parsing import parse_xml
from .reading import CannotRead

_PAIR = re.compile(r"^([A-Za-z]+)=(.*)$", re.MULTILINE)
_SCANIMAGE = re.compile(r"^(?:state\.|scanimage\.SI|SI\.)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PageOrder:
    """Axes before those of a page, slowest first; for each of their places, in C order, the file and its page.

    A file's name is empty for the file that has the text.
    """

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    pages: Sequence[tuple[str, int]]


def parse_page_order(text: str, pages: Sequence[int], content: str, name: str) -> PageOrder:
    """Order of a file's pages.

    Parameters
    ----------
    text
        Description of the first page.
    pages
        Numbers of its pages of full size.
    content
        Name of the image, where the file has several (``series1``).
    name
        Of the file.

    Raises
    ------
    CannotRead
        The text is in a dialect that is not known here.
    """
    if "<OME" in text[:4096]:
        return _parse_ome(text, content, name)
    if content:
        raise CannotRead("Pillow does not say which pages form which of several images")
    if text.startswith("ImageJ="):
        return _parse_imagej(text, pages)
    if text.startswith("{") and '"shape"' in text:
        return _parse_shaped(text, pages)
    if _SCANIMAGE.search(text):
        return _parse_scanimage(text, pages)
    return _order_pages("q", (len(pages),), pages)


def _order_pages(axes: Sequence[str], shape: Sequence[int], pages: Sequence[int]) -> PageOrder:
    """The file's own pages in C order; axes of length 1 are left out."""
    if prod(shape) != len(pages):
        if len(pages) == 1:
            raise CannotRead(f"Pillow reads the first of {prod(shape)} images that lie behind one directory")
        raise CannotRead(f"Pillow finds {len(pages)} pages, the description speaks of {prod(shape)}")
    return _drop_single(axes, shape, [("", number) for number in pages])


def _drop_single(axes: Sequence[str], shape: Sequence[int], pages: Sequence[tuple[str, int]]) -> PageOrder:
    kept = [(axis, extent) for axis, extent in zip(axes, shape, strict=True) if extent > 1]
    return PageOrder(tuple(axis for axis, _ in kept), tuple(extent for _, extent in kept), pages)


def _parse_imagej(text: str, pages: Sequence[int]) -> PageOrder:
    """ImageJ writes channels fastest, then slices, then frames, whatever the window shows."""
    pairs = {key: value.strip() for key, value in _PAIR.findall(text)}
    counts = [int(pairs.get(key, "1") or 1) for key in ("frames", "slices", "channels")]
    promised = max(int(pairs.get("images", "1") or 1), prod(counts))
    if promised == 1:
        return _order_pages("q", (len(pages),), pages)
    if prod(counts) != promised:  # it counts the pages and does not say what they are
        return _order_pages("q", (promised,), pages)
    return _order_pages("tzc", counts, pages)


def _parse_shaped(text: str, pages: Sequence[int]) -> PageOrder:
    """The extents that some Python programs leave; the axes stay open."""
    lead: list[int] = []
    for extent in json.loads(text)["shape"]:
        if prod(lead) >= len(pages):
            break
        lead.append(int(extent))
    return _order_pages("q" * len(lead), lead, pages)


def _parse_scanimage(text: str, pages: Sequence[int]) -> PageOrder:
    """Saved channels are fastest; whether the rest is time or depth is left open here."""
    match = re.search(r"(?:channelsSave|channelSave)\s*=\s*(.*)", text)
    flags = re.findall(r"acq\.savingChannel\d\s*=\s*(\d)", text)
    channels = max(len(re.findall(r"\d+", match[1])) if match else flags.count("1"), 1)
    return _order_pages("qc", (len(pages) // channels, channels), pages)


def _parse_ome(text: str, content: str, name: str) -> PageOrder:
    root = parse_xml(text.strip("\0"))
    images = [e for e in root.iter() if _tag(e) == "Pixels"]
    number = int(content.removeprefix("series")) if content.removeprefix("series").isdigit() else 0
    if "Modulo" in text:
        raise CannotRead("the OME-XML interleaves two things along one axis")
    if not number < len(images):
        raise CannotRead(f"the OME-XML has {len(images)} images, not the one called {content!r}")
    pixels = images[number]
    order = str(pixels.get("DimensionOrder", "XYZCT"))[2:].lower()  # fastest first
    samples = max((int(e.get("SamplesPerPixel", "1")) for e in pixels if _tag(e) == "Channel"), default=1)
    sizes = {axis: int(pixels.get(f"Size{axis.upper()}", "1")) for axis in "zct"}
    sizes["c"] = max(sizes["c"] // samples, 1)
    if prod(sizes.values()) > TIFF_PAGES:
        raise CannotRead(f"the OME-XML has {prod(sizes.values())} planes, more than {TIFF_PAGES}")
    places = list(product(*(range(sizes[axis]) for axis in reversed(order))))
    found = _place_pages(pixels, places, order, {name, _get_own_name(root)})
    pages = [found[place] for place in places]
    return _drop_single(tuple(reversed(order)), [sizes[axis] for axis in reversed(order)], pages)


def _get_own_name(root: Element) -> str:
    """What the file was called when it was written: by its own UUID, or because no other one is named."""
    elements = [element for element in root.iter() if _tag(element) == "UUID"]
    named = {element.get("FileName", ""): (element.text or "").strip() for element in elements}
    own = [name for name, identifier in named.items() if identifier == root.get("UUID")]
    return own[0] if own else next(iter(named), "") if len(named) == 1 else ""


def _place_pages(
    pixels: Element, places: list[tuple[int, ...]], order: str, own: set[str]
) -> dict[tuple[int, ...], tuple[str, int]]:
    """File and page of each plane: in order from the first one of each TiffData on, for as many as it counts."""
    found: dict[tuple[int, ...], tuple[str, int]] = {}
    blocks = [e for e in pixels if _tag(e) == "TiffData"]
    position = {place: index for index, place in enumerate(places)}
    for block in blocks:
        names = [e.get("FileName", "") for e in block if _tag(e) == "UUID"]
        file = "" if not names or names[0] in own else PureWindowsPath(names[0]).name
        first = tuple(int(block.get(f"First{axis.upper()}", "0")) for axis in reversed(order))
        directory = int(block.get("IFD", "0"))
        alone = block.get("IFD") is not None or names
        count = int(block.get("PlaneCount", "1" if alone else str(len(places))))
        start = position.get(first, 0)
        for step, place in enumerate(places[start : start + count]):
            found[place] = (file, directory + step)
    if not blocks:
        found = {place: ("", index) for place, index in position.items()}
    if len(found) != len(places):
        raise CannotRead(f"the OME-XML places {len(found)} of {len(places)} planes")
    return found


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
