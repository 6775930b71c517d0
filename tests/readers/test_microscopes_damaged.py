"""Microscopes' files that were cut or spoilt: a finding or a reading, never a traceback, in bounded time and memory."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from campaigns import campaign
from microscope_files import make_oif_members, write_lif, write_nd2, write_oib, write_oif

from neuropress.model.content import Content
from neuropress.model.finding import Problem, is_described
from neuropress.model.source import Source
from neuropress.readers import raw
from neuropress.storage.roots import Folder

CORPUS = Path(__file__).resolve().parents[3] / "shared/corpus"
RANDOM = np.random.default_rng(12)
STACK = RANDOM.integers(0, 4000, (3, 2, 2, 6, 8), dtype=np.uint16)
FINDINGS = (
    "file.", "format.", "image.hostile", "image.unsupported", "microscope.", "oif.member", "tiff.",
)  # fmt: skip


def make_nd2(folder: Path) -> Path:
    frames = RANDOM.integers(0, 60000, (12, 5, 7, 2), dtype=np.uint16)
    loops = [("t", 2), ("p", 3), ("z", 2)]
    return write_nd2(folder / "a.nd2", frames, loops, times=[10.0 * i for i in range(12)], channels=("A", "B"))


def make_deflated_nd2(folder: Path) -> Path:
    frames = RANDOM.integers(0, 60, (4, 9, 7, 1), dtype=np.uint16)
    return write_nd2(folder / "b.nd2", frames, [("t", 4)], deflate=True)


def make_lif(folder: Path) -> Path:
    data = RANDOM.integers(0, 255, (2, 3, 5, 7), dtype=np.uint8)
    sizes = [(1, 7, "6e-6 m"), (2, 5, "4e-6 m"), (3, 3, "2e-6 m"), (4, 2, "1 s")]
    return write_lif(folder / "a.lif", [("first", data, sizes), ("second", data, sizes)])


def make_oib(folder: Path) -> Path:
    return write_oib(folder / "a.oib", make_oif_members(STACK))


def make_oif(folder: Path) -> Path:
    return write_oif(folder / "a.oif", make_oif_members(STACK))


def copy_corpus(path: str) -> Callable[[Path], Path]:
    def copy(folder: Path) -> Path:
        if not (CORPUS / path).is_file():
            pytest.skip("needs the corpus")
        target = folder / Path(path).name
        target.write_bytes((CORPUS / path).read_bytes())
        return target

    return copy


FILES = {
    "nd2": make_nd2,
    "nd2-deflated": make_deflated_nd2,
    "nd2-corpus": copy_corpus("nd2/soft-matter__pims/cluster.nd2"),
    "lif": make_lif,
    "lif-corpus": copy_corpus("lif/nimne__readlif/LeicaLASX_wavelength-sweep_example.lif"),
    "czi-mosaic": copy_corpus("czi/AllenCellModeling__aicspylibczi/mosaic_test.czi"),
    "czi-movie": copy_corpus("czi/sebi06__czitools/CellDivision_T3_Z5_CH2_X240_Y170.czi"),
    "czi-zstd": copy_corpus("czi/sebi06__czitools/newCZI_compressed.czi"),
    "oib": make_oib,
    "oif": make_oif,
}


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
