"""Loading, reading and writing TIFF files in tests."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from neuropress.model.content import Image
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.tiff import read as tiff
from neuropress.storage.roots import Folder

RNG = np.random.default_rng(7)
MOVIE = RNG.integers(0, 4096, (5, 12, 10), dtype=np.uint16)


def load_images(path: Path, **options: Any) -> tuple[Image, ...]:
    return tiff.read(Source(path.name, Folder(path.parent)), options)


def read_whole(image: Image) -> np.ndarray:
    pixels = image.arrays["pixels"]
    data = pixels.read(tuple(slice(0, n) for n in pixels.shape))
    assert data.dtype == pixels.dtype
    assert data.dtype.isnative
    assert data.shape == pixels.shape
    return data


def read_one(path: Path, **options: Any) -> tuple[Image, np.ndarray]:
    (image,) = load_images(path, **options)
    data = read_whole(image)
    image.close()
    return image, data


def expect_refusal(path: Path) -> Problem:
    with pytest.raises(Problem) as caught:
        read_all(path)
    return caught.value


def read_all(path: Path) -> None:
    images = load_images(path)
    try:
        for image in images:
            read_whole(image)
    finally:
        for image in images:
            image.close()


def write_ifds(path: Path, **kwargs: Any) -> None:
    with tifffile.TiffWriter(path, bigtiff=kwargs.pop("bigtiff", False), byteorder=kwargs.pop("byteorder", "<")) as out:
        for frame in MOVIE:
            out.write(frame, contiguous=False, metadata=None, **kwargs)


def write_ome_set(folder: Path, second: str = "b.ome.tif") -> None:
    uuids = ("urn:uuid:00000000-0000-4000-8000-000000000001", "urn:uuid:00000000-0000-4000-8000-000000000002")
    parts = "".join(
        f'<TiffData FirstT="{t}" IFD="0" PlaneCount="1"><UUID FileName="{name}">{uuid}</UUID></TiffData>'
        for t, (name, uuid) in enumerate(zip(("a.ome.tif", second), uuids, strict=True))
    )
    for name, uuid, frame in zip(("a.ome.tif", "b.ome.tif"), uuids, MOVIE, strict=False):
        xml = (
            f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuid}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="10" SizeY="12" '
            f'SizeZ="1" SizeC="1" SizeT="2"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{parts}</Pixels></Image></OME>'
        )
        tifffile.imwrite(folder / name, frame, description=xml, metadata=None)


# ---------------------------------------------------------------- own files, bad


def cut_chain(path: Path) -> None:
    """Make the first directory the last."""
    raw = bytearray(path.read_bytes())
    order = "<" if raw[:1] == b"I" else ">"
    (at,) = struct.unpack_from(order + "I", raw, 4)
    (count,) = struct.unpack_from(order + "H", raw, at)
    struct.pack_into(order + "I", raw, at + 2 + 12 * count, 0)
    path.write_bytes(raw)
