"""What the tests of microscopes' readers share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neuropress.model.content import Image
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers import raw
from neuropress.storage.roots import Folder

CORPUS = Path(__file__).resolve().parents[2] / "shared/corpus"


def read_images(path: Path, **options: Any) -> tuple[Image, ...]:
    images = raw.read(Source(path.name, Folder(path.parent)), options)
    assert all(isinstance(image, Image) for image in images)
    return images  # type: ignore[return-value]


def read_pixels(image: Image) -> np.ndarray:
    """All pixels, also read in odd blocks, as others read them."""
    array = image.arrays["pixels"]
    whole = array.read(tuple(slice(0, n) for n in array.shape))
    part = tuple(slice(n // 3, n // 3 + max(n // 2, 1)) for n in array.shape)
    assert np.array_equal(array.read(part), whole[part])
    assert (whole.shape, whole.dtype) == (array.shape, array.dtype)
    image.close()
    return whole


def read_times(image: Image) -> list[float]:
    array = image.arrays[image.timestamps]
    return list(array.read((slice(0, array.shape[0]),)))


def find_problem(path: Path, **options: Any) -> tuple[str, str]:
    """Id and message of the finding that a file is, when its header or its pixels are read."""
    images: tuple[Image, ...] = ()
    try:
        images = read_images(path, **options)
        for image in images:
            read_pixels(image)
    except Problem as problem:
        return problem.finding.id, problem.finding.message
    finally:
        for image in images:
            image.close()
    raise AssertionError("it was read")
