"""Indexes of folders of planes, cut and spoilt: a finding or a reading, never a traceback."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from campaigns import campaign, spoil
from folder_files import STACK, write_micromanager, write_mmstack, write_prairieview

from neuropress.model.content import Content
from neuropress.model.finding import Problem, is_described
from neuropress.model.source import Source
from neuropress.readers import raw
from neuropress.storage.roots import Folder

FINDINGS = ("file.", "format.", "image.hostile", "image.unsupported", "microscope.", "tiff.")
SMALL = STACK[:2, :, :, :2, :3]
FOLDERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "micromanager-1": (lambda folder: write_micromanager(folder, SMALL, version=1), "metadata.txt"),
    "micromanager-2": (lambda folder: write_micromanager(folder, SMALL), "metadata.txt"),
    "mmstack": (lambda folder: write_mmstack(folder, SMALL), "run_MMStack_Pos0_metadata.txt"),
    "mmstack-tiff": (lambda folder: write_mmstack(folder, SMALL), "run_MMStack_Pos0.ome.tif"),
    "prairieview": (lambda folder: write_prairieview(folder, SMALL), "run.xml"),
    "prairieview-pages": (lambda folder: write_prairieview(folder, SMALL, is_multipage=True), "run.xml"),
    "plane": (lambda folder: write_micromanager(folder, SMALL, version=1), "img_000000001_RFP_001.tif"),
}


def read_all(folder: Path) -> list[tuple[tuple[str, ...], list[float], np.ndarray]] | str:
    """Axes, times and pixels of all images, or the finding."""
    images: tuple[Content, ...] = ()
    found = []
    try:
        images = raw.read(Source(f"{folder.name}/", Folder(folder.parent)), {})
        for image in images:
            pixels, times = image.arrays["pixels"], image.arrays.get("times")
            assert np.prod(pixels.shape, dtype=object) < 10_000
            values = list(times.read((slice(0, times.shape[0]),))) if times else []
            found.append((pixels.axes, values, pixels.read(tuple(slice(0, n) for n in pixels.shape))))
    except Problem as problem:
        return problem.finding.id
    finally:
        for image in images:
            image.close()
    return found


@pytest.mark.parametrize("name", FOLDERS)
def test_an_index_that_is_cut_or_spoilt(tmp_path: Path, name: str) -> None:
    write, member = FOLDERS[name]
    folder = write(tmp_path / "run")
    whole, data = read_all(folder), (folder / member).read_bytes()
    assert not isinstance(whole, str), whole
    for number, spoilt in enumerate(spoil(data, 11)):
        (folder / member).write_bytes(spoilt)
        start = time.monotonic()
        found = read_all(folder)
        assert time.monotonic() - start < 20
        if isinstance(found, str):
            assert found.startswith(FINDINGS)
            assert is_described(found)
        if number < campaign(3, 20) and not isinstance(found, str):  # the first ones are cut
            for before, after in zip(whole, found, strict=True):
                assert before[:2] == after[:2]
                np.testing.assert_array_equal(before[2], after[2])
