"""Spoilt headers of TIFF files of all sorts, in a process of 2 GB: a finding, or what tifffile reads."""

import collections
import json
import logging
import os
import random
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from campaigns import campaign
from test_tiff_cuts import write_all
from tiff_files import load_images

from neuropress.model.finding import Problem

LIMIT = 2 * 2**30
PIXELS = 2**26
"""Bytes that are compared; a spoilt width may state much more."""
SAMPLES = 16
"""Samples that bytes changed inside of the pixels may touch."""


def spoil_bytes(raw: bytes, choose: random.Random) -> bytes:
    """One to four bytes of the first and the last directory's surroundings, or anywhere."""
    spoilt = bytearray(raw)
    for _ in range(choose.randint(1, 4)):
        low, high = choose.choice([(0, min(len(raw), 400)), (max(len(raw) - 400, 0), len(raw)), (0, len(raw))])
        spoilt[choose.randrange(low, high)] = choose.choice([0, 1, 255, choose.randrange(256)])
    return bytes(spoilt)


def read_pixels(path: Path) -> list[np.ndarray]:
    images = load_images(path)
    try:
        pixels = [image.arrays["pixels"] for image in images]
        small = [p for p in pixels if np.prod(p.shape, dtype=object) * p.dtype.itemsize < PIXELS]
        return [p.read(tuple(slice(0, n) for n in p.shape)) for p in small]
    finally:
        for image in images:
            image.close()


def compare_pixels(path: Path, read: list[np.ndarray], unspoilt: list[np.ndarray]) -> str:
    """`equal` to tifffile or to the unspoilt file but for a few samples, `other`, or `alone` where tifffile fails."""
    close = [a for a in unspoilt for b in read if a.shape == b.shape and np.count_nonzero(a != b) <= SAMPLES]
    if len(close) >= len(read):
        return "equal"
    try:
        with tifffile.TiffFile(path, is_scanimage=False) as tif:
            theirs = [series.asarray() for series in tif.series]
    except Exception:  # noqa: BLE001 - whatever a library does with a spoilt file
        return "alone"
    known = {(array.size, array.tobytes()) for array in theirs}
    return "equal" if all((array.size, array.tobytes()) in known for array in read) else "other"


def run_flips(folder: Path, rounds: int) -> dict[str, int]:
    """How each round ended; exceptions that are no finding end the process."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    logging.getLogger("tifffile").propagate = False
    sorts: list[tuple[str, bytes]] = sorted(write_all(folder).items())
    counts: collections.Counter[str] = collections.Counter()
    whole: dict[str, list[np.ndarray]] = {}
    for seed in range(rounds):
        choose = random.Random(seed)
        name, raw = sorts[seed % len(sorts)]
        path = folder / "f.tif"
        if name not in whole:
            path.write_bytes(raw)
            whole[name] = read_pixels(path)
        path.write_bytes(spoil_bytes(raw, choose))
        try:
            counts[compare_pixels(path, read_pixels(path), whole[name])] += 1
        except Problem as refused:
            counts[f"finding {refused.finding.id}"] += 1
        except BaseException:
            print(f"seed {seed}: {name}", file=sys.stderr)
            raise
    return dict(counts)


def test_spoilt_headers_are_findings_or_readings(tmp_path: Path) -> None:
    tests = Path(__file__).resolve().parents[1]
    paths = [str(tests), str(tests / "readers"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(tmp_path), str(campaign(280, full=1000))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    counts: dict[str, Any] = json.loads(done.stdout)
    assert sum(counts.values()) == campaign(280, full=1000)
    assert not {
        c
        for c in counts
        if c.startswith("finding") and not c.startswith(("finding tiff.", "finding image.", "finding f"))
    }
    assert not counts.get("other"), counts


if __name__ == "__main__":
    print(json.dumps(run_flips(Path(sys.argv[1]), int(sys.argv[2]))))
