"""TIFF, PNG and folders of them by Pillow, which has decoders of its own (its PNG) or libtiff's.

Codecs whose only library in use is one and the same are refused: Pillow would decode by the code that our reader uses.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from .page_order import PageOrder, parse_page_order
from .reading import CannotRead, SecondImage

SUBFILE, BITS, COMPRESSION, PHOTOMETRIC = 254, 258, 259, 262
DESCRIPTION, ORIENTATION, SAMPLES, FORMAT = 270, 274, 277, 339
METAMORPH_PLANES, LSM = 33629, 34412
OWN_CODECS = (1, 5, 8, 32773, 32946)
"""None, LZW, deflate and PackBits: libtiff's code. Of deflate the library zlib may be common, which ends each stream
with a checksum of what it should have given."""
_PNG, _JPEG = b"\x89PNG", b"\xff\xd8\xff"
_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
KINDS = {1: "u", 2: "i", 3: "f"}
REDUCED = 1
WHITE_IS_ZERO = 0


@dataclass(frozen=True, slots=True)
class _Page:
    """What decides how a page is stored, by its own tags."""

    size: tuple[int, int]
    dtype: str
    bits: int
    samples: int
    photometric: int
    compression: int


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondImage:
    """See `neuropress.independent.SecondReaderModule`."""
    Image.MAX_IMAGE_PIXELS = None  # what a page may claim, the limit of the process says
    warnings.simplefilter("ignore")
    image = _read_folder(path) if path.is_dir() else _read_file(path, content)
    axes = str(options.get("axes", ""))
    if len(axes) == len(image.axes):
        stated = (known if known != "q" else said for known, said in zip(image.axes, axes, strict=True))
        image = replace(image, axes=tuple(stated))
    return image


def _read_file(path: Path, content: str) -> SecondImage:
    with path.open("rb") as file:
        head = file.read(4)
    return _read_slice(path) if head.startswith((_PNG, _JPEG)) else _read_tiff(path, content)


def _read_tiff(path: Path, content: str) -> SecondImage:
    with closing(_open_tiff(path)) as file:
        pages, text = _list_pages(file)
    full = [number for number, page in enumerate(pages) if page is not None]
    order = parse_page_order(text, full, content, path.name)
    last = max((number for name, number in order.pages if not name), default=0)
    if last >= len(pages):
        raise CannotRead(f"Pillow finds {len(pages)} pages, the description speaks of page {last + 1}")
    forms = {pages[number] for name, number in order.pages if not name}
    form = next(iter(forms), None)
    if form is None or len(forms) != 1:
        raise CannotRead("Pillow does not say which pages form which of several images")
    return _make_tiff_image(path, order, form)


def _make_tiff_image(path: Path, order: PageOrder, form: _Page) -> SecondImage:
    opened: dict[str, TiffImagePlugin.TiffImageFile] = {}

    def read_page(number: int) -> np.ndarray:
        name, page = order.pages[number]
        if name not in opened:
            for file in opened.values():
                file.close()
            opened.clear()
            opened[name] = _open_tiff(path.parent / name if name else path)
        opened[name].seek(page)
        return _restore(np.asarray(opened[name]), form)

    width, height = form.size
    plane = ("y", "x", "s")[: 2 + (form.samples > 1)]
    shape = (*order.shape, height, width, form.samples)[: len(order.shape) + len(plane)]
    return SecondImage((*order.axes, *plane), shape, np.dtype(form.dtype), read_page, _find_mistakes(form))


def _open_tiff(path: Path) -> TiffImagePlugin.TiffImageFile:
    image = Image.open(path, formats=("TIFF",))
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        image.close()
        raise CannotRead(f"Pillow takes {path.name} for {image.format}")
    return image


def _list_pages(file: TiffImagePlugin.TiffImageFile) -> tuple[list[_Page | None], str]:
    """Every page of the main chain, None for reduced ones; and the description of the first."""
    pages: list[_Page | None] = []
    text = str(file.tag_v2.get(DESCRIPTION, ""))
    for number in range(getattr(file, "n_frames", 1)):
        file.seek(number)
        tags = file.tag_v2
        planes = tags.get(METAMORPH_PLANES, ())
        if LSM in tags or (isinstance(planes, tuple) and len(planes) > 1):
            raise CannotRead("Pillow does not know how MetaMorph and LSM count planes behind one directory")
        pages.append(None if int(tags.get(SUBFILE, 0)) & REDUCED else _describe_page(file))
    return (pages if any(pages) else [_describe_page(file)]), text


def _describe_page(file: TiffImagePlugin.TiffImageFile) -> _Page:
    tags = file.tag_v2
    compression = int(tags.get(COMPRESSION, 1))
    if compression not in OWN_CODECS:
        raise CannotRead(f"Pillow decodes compression {compression} by the library that our reader uses")
    if int(tags.get(ORIENTATION, 1)) != 1:
        raise CannotRead(f"Pillow turns the page as its tag Orientation says ({tags[ORIENTATION]})")
    bits, formats = tags.get(BITS, (1,)), tags.get(FORMAT, (1,))
    kind = KINDS.get(int(formats[0]), "u")
    size = 8 if bits[0] < 8 else int(bits[0])
    if len(set(bits)) != 1 or (bits[0] > 8 and bits[0] not in (16, 32, 64)):
        raise CannotRead(f"Pillow does not read samples of {bits} bits")
    dtype = f"{kind}{size // 8}"
    return _Page(file.size, dtype, int(bits[0]), int(tags.get(SAMPLES, 1)), int(tags.get(PHOTOMETRIC, 1)), compression)


def _restore(pixels: np.ndarray, form: _Page) -> np.ndarray:
    """Samples as stored, where Pillow shows the same bits as another type or number (see `_find_mistakes`)."""
    wanted = np.dtype(form.dtype)
    if form.bits == 1:
        pixels = pixels.astype(np.uint8)
        return 1 - pixels if form.photometric == WHITE_IS_ZERO else pixels
    if form.photometric == WHITE_IS_ZERO and form.bits <= 8:
        pixels = np.uint8(255) - pixels
    if form.bits < 8 and pixels.dtype == np.uint8:
        pixels = pixels // np.uint8(255 // (2**form.bits - 1))
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if native.dtype.itemsize == wanted.itemsize:
        return native.view(wanted)
    converted = native.astype(wanted)
    if not np.array_equal(converted, native):
        raise CannotRead(f"Pillow gives {native.dtype} where the page states {wanted}")
    return converted


def _find_mistakes(form: _Page) -> dict[str, str]:
    """Sign and type of a sample, which Pillow has no mode for: the bits are compared, its number is not believed."""
    if form.dtype in ("i1", "u4") or (form.dtype == "i2" and form.bits == 16 and form.samples > 1):
        return {
            "type": f"Pillow has no mode for samples of type {form.dtype} (BitsPerSample, SampleFormat): bits agree"
        }
    if form.photometric == WHITE_IS_ZERO and form.bits <= 8:
        return {"type": "Pillow inverts images in which 0 is white (PhotometricInterpretation 0): inverted back"}
    return {}


def _read_folder(path: Path) -> SecondImage:
    """One image a file, in the order of the numbers in their names: an axis for each number that counts."""
    files = [f for f in sorted(path.iterdir()) if f.suffix.lower() in _SUFFIXES and f.name[0] != "."]
    files.sort(key=lambda file: [int(number) for number in re.findall(r"[0-9]+", file.stem)])
    if not files:
        raise CannotRead("Pillow finds no image in the folder")
    first = _read_slice(files[0])
    columns = zip(*(re.findall(r"[0-9]+", file.stem) for file in files), strict=False)
    counts = [count for column in columns if (count := len({int(number) for number in column})) > 1]
    lead = counts if prod(counts) == len(files) else [len(files)]
    axes = (*("q" for _ in lead), *first.axes)
    shape = (*lead, *first.shape)
    return replace(first, axes=axes, shape=shape, read_page=lambda n: _read_slice(files[n]).read_page(0))


def _read_slice(path: Path) -> SecondImage:
    with path.open("rb") as file:
        if file.read(3) == _JPEG:
            raise CannotRead("Pillow decodes JPEG by libjpeg-turbo, the library that our reader has")
    with Image.open(path, formats=("TIFF", "PNG")) as image:  # others of Pillow's start programs
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            form = _describe_page(image)
            return _make_tiff_image(path, PageOrder((), (), [("", 0)]), form)
        if image.format != "PNG":
            raise CannotRead(f"Pillow takes {path.name} for {image.format}")
        form = _describe_png(path, image)
        pixels = _restore(np.asarray(image), form)
    plane = ("y", "x", "s")[: pixels.ndim]
    return SecondImage(plane, pixels.shape, pixels.dtype, lambda number: pixels, {})


def _describe_png(path: Path, image: Image.Image) -> _Page:
    """From its header chunk: bits and colour type, which Pillow's mode does not always have."""
    with path.open("rb") as file:
        head = file.read(26)
    bits, colour = head[24], head[25]
    samples: Sequence[int] = (1, 0, 3, 1, 2, 0, 4)
    if bits == 16 and colour != 0:
        raise CannotRead("Pillow keeps 8 of the 16 bits of a PNG in colour (IHDR: bit depth 16)")
    return _Page(image.size, "u2" if bits == 16 else "u1", bits, samples[colour], 1, 1)
