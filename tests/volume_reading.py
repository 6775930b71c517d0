"""Readers of volumes in tests: whole, by blocks, and of spoilt files."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaigns import spoil

from neuropress.model.content import Content, Image
from neuropress.model.finding import Finding, Problem, is_described
from neuropress.model.source import Source
from neuropress.readers import raw
from neuropress.storage.roots import Folder

FINDINGS = ("file.", "reader.", "format.", "image.axes", "path.outside", "voxels.", "arrays.", "imaris.")


_OPENED: list[Content] = []


def open_contents(path: Path, **options: Any) -> tuple[Content, ...]:
    """The contents of a file. Raises `Problem`."""
    contents = raw.read(Source(path.name, Folder(path.parent)), options)
    _OPENED.extend(contents)
    return contents


@pytest.fixture(autouse=True)
def close_volumes() -> Iterator[None]:
    """Close what a test opened; modules that name it have it."""
    yield
    while _OPENED:
        _OPENED.pop().close()


def open_image(path: Path, **options: Any) -> Image:
    """The only image of a file."""
    (image,) = open_contents(path, **options)
    assert isinstance(image, Image)
    return image


def read_pixels(image: Content) -> np.ndarray:
    """All pixels."""
    pixels = image.arrays["pixels"]
    block = pixels.read(tuple(slice(0, n) for n in pixels.shape))
    assert (block.shape, block.dtype) == (pixels.shape, pixels.dtype)
    return block


def check_blocks(image: Content, expected: np.ndarray, seed: int = 1, count: int = 6) -> None:
    """Random blocks, in random order, and then all pixels are the expected ones, bit by bit."""
    chance, pixels = random.Random(seed), image.arrays["pixels"]
    assert (pixels.shape, pixels.dtype) == (expected.shape, expected.dtype.newbyteorder("="))
    for _ in range(count):
        starts = [chance.randrange(n) for n in pixels.shape]
        part = tuple(slice(at, chance.randint(at + 1, n)) for at, n in zip(starts, pixels.shape, strict=True))
        assert pixels.read(part).tobytes() == np.ascontiguousarray(expected[part]).astype(pixels.dtype).tobytes()
    assert read_pixels(image).tobytes() == np.ascontiguousarray(expected).astype(pixels.dtype).tobytes()
    image.close()


def find_problem(path: Path, **options: Any) -> Finding:
    """What a file is found to be, when it is opened or read."""
    found = try_pixels(path, **options)
    assert isinstance(found, Finding), found
    return found


def try_pixels(path: Path, **options: Any) -> list[np.ndarray] | Finding:
    """Pixels of all images, or the finding; any other exception goes on."""
    contents: tuple[Content, ...] = ()
    try:
        contents = open_contents(path, **options)
        images = [one for one in contents if isinstance(one, Image)]
        assert all(one.arrays["pixels"].dtype.itemsize * np.prod(one.arrays["pixels"].shape) < 2**28 for one in images)
        return [read_pixels(one) for one in images]
    except Problem as problem:
        found = problem.finding
    finally:
        for one in contents:
            one.close()
    assert found.id.startswith(FINDINGS), found
    assert is_described(found.id)
    return found


def spoil_file(path: Path, seed: int, options: Mapping[str, Any] | None = None) -> int:
    """Cut and flip a file: a finding, or a reading; a cut one gives never other pixels. Counts the findings."""
    whole, found = path.read_bytes(), 0
    before = try_pixels(path, **(options or {}))
    assert not isinstance(before, Finding), before
    for data in spoil(whole, seed):
        path.write_bytes(data)
        after = try_pixels(path, **(options or {}))
        if isinstance(after, Finding):
            found += 1
        elif len(data) < len(whole) and after:
            assert all(map(np.array_equal, before, after)), f"cut at {len(data)} of {len(whole)}"
    path.write_bytes(whole)
    return found
