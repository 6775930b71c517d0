"""Killed at any moment and run again: the same bytes as without the kill, nothing left over."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from builder import Builder, abf
from campaigns import campaign


def convert(root: Path, workers: int = 1) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-m", "neuropress", "convert", str(root), "--workers", str(workers)]
    return subprocess.Popen(command, stdout=quiet, stderr=quiet)


def digests(root: Path) -> dict[str, str]:
    files = (p for p in sorted((root / "output").rglob("*")) if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Builder, dict[str, str], float]:
    """A dataset, its results when nothing interrupts, and how long that takes."""
    folder = tmp_path_factory.mktemp("kills")
    build = Builder(folder / "ds")
    random_pixels = np.random.default_rng(1)
    build.session(1)
    build.ephys(abf(folder / "e.abf", sweeps=40, points=20000), "20000")
    frames = random_pixels.integers(0, 4000, (150, 256, 256)).astype(np.uint16)
    tifffile.imwrite(folder / "m.tif", frames, photometric="minisblack", metadata=None)
    build.movie(folder / "m.tif", frames.shape)
    (folder / "v").mkdir()
    for z, page in enumerate(random_pixels.integers(0, 255, (150, 700, 600)).astype(np.uint8)):
        tifffile.imwrite(folder / f"v/s{z:03}.tif", page, metadata=None)
    build.sem(folder / "v")
    begun = time.perf_counter()
    assert convert(build.root).wait() == 0
    return build, digests(build.root), time.perf_counter() - begun


@pytest.mark.parametrize("seed", range(campaign(3)))
def test_a_killed_convert_continues_to_the_same_bytes(whole: tuple[Builder, dict[str, str], float], seed: int) -> None:
    build, expected, seconds = whole
    shutil.rmtree(build.root / "output")
    shutil.rmtree(build.root / ".neuropress")
    choose = random.Random(seed)
    for _ in range(choose.choice((1, 1, 2))):
        process = convert(build.root, choose.choice((1, 2)))  # workers outlive it for a moment
        time.sleep(choose.uniform(0.2, 1.0) * seconds)
        process.kill()
        process.wait()
    assert convert(build.root, choose.choice((1, 2))).wait() == 0
    assert digests(build.root) == expected
