"""What the tests of microscopes' readers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from microscope_files import make_oif_members, write_lif, write_nd2, write_oib, write_oif

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


RANDOM = np.random.default_rng(12)
STACK = RANDOM.integers(0, 4000, (3, 2, 2, 6, 8), dtype=np.uint16)


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


FILES: dict[str, Callable[[Path], Path]] = {
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
