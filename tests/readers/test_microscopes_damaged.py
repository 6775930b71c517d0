"""Microscopes' files that were cut or spoilt: a finding or a reading, never a traceback, in bounded time and memory."""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from campaigns import campaign
from microscope_reading import FILES

from neuropress.model.content import Content
from neuropress.model.finding import Problem, is_described
from neuropress.model.source import Source
from neuropress.readers import raw
from neuropress.storage.roots import Folder

FINDINGS = (
    "file.", "format.", "image.hostile", "image.unsupported", "microscope.", "oif.member", "tiff.",
)  # fmt: skip


def read_all(path: Path) -> list[np.ndarray] | str:
    """The pixels of all images, or the finding."""
    images: tuple[Content, ...] = ()
    found = []
    try:
        images = raw.read(Source(path.name, Folder(path.parent)), {})
        for image in images:
            pixels = image.arrays["pixels"]
            assert np.prod(pixels.shape, dtype=object) * pixels.dtype.itemsize < 2**31
            found.append(pixels.read(tuple(slice(0, min(n, 2048)) for n in pixels.shape)))
    except Problem as problem:
        return problem.finding.id
    finally:
        for image in images:
            image.close()
    return found


def check_finding(id: str) -> None:
    assert id.startswith(FINDINGS), id
    assert is_described(id)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_a_finding_or_read_as_the_whole_one(tmp_path: Path, name: str) -> None:
    path = FILES[name](tmp_path)
    whole, data = read_all(path), path.read_bytes()
    assert not isinstance(whole, str), whole
    chance = random.Random(f"cut {name}")
    places = [*(chance.randrange(1, len(data)) for _ in range(campaign(3, 20)))]
    for place in places:
        path.write_bytes(data[:place])
        found = read_all(path)
        if isinstance(found, str):
            check_finding(found)
        else:
            equal = len(found) == len(whole) and all(map(np.array_equal, found, whole))
            assert equal, f"cut at byte {place} of {len(data)}"


@pytest.mark.parametrize("name", FILES)
def test_a_spoilt_file_is_a_finding_or_read(tmp_path: Path, name: str) -> None:
    path = FILES[name](tmp_path)
    data = path.read_bytes()
    chance = random.Random(f"flip {name}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest = 0.0
    for number in range(campaign(12, 200)):
        spoilt = bytearray(data)
        # Half of them where headers mostly are: at the begin and at the end.
        ends = [chance.randrange(min(8192, len(data))), len(data) - 1 - chance.randrange(min(8192, len(data)))]
        place = chance.randrange(len(data)) if number % 2 else chance.choice(ends)
        spoilt[place] ^= 1 << chance.randrange(8) if number % 3 else 0xFF
        path.write_bytes(spoilt)
        start = time.monotonic()
        found = read_all(path)
        if isinstance(found, str):
            check_finding(found)
        slowest = max(slowest, time.monotonic() - start)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert slowest < 20
    assert grown < 600 * 1024, f"{grown} kB"
