"""Writing results: seconds and peak memory of `convert`, of this checkout and of others in turn.

    python benchmarks/writing.py [--code OTHER/src ...] [--workers N] [--only NAME ...]

Makes datasets of one result each: a folder of 200 plain TIFF slices of 2048 x 2048 in 8 bits
(0.84 GB), 100 such slices packed by LZW (whole pages are decoded), 400 of 1024 x 1024 in 16 bits, and
a session with one movie of 1 GB. Each candidate converts each of them in a process of its own,
three times in turn; then the medians of the seconds and CPU seconds and the largest peak memory (of the
process or of one of its workers) are printed. Give the source folder of an older checkout to compare with.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

ROUNDS = 3
MEASURE = """
import resource, sys, time
import neuropress

def main():
    begun = time.perf_counter()
    report = neuropress.open(sys.argv[1]).convert(workers=int(sys.argv[2]))
    seconds = time.perf_counter() - begun
    assert report.ok, report.findings[:3]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(seconds, sum(u.ru_utime + u.ru_stime for u in used), max(u.ru_maxrss for u in used) / 1024)

if __name__ == "__main__":
    main()
"""


def page(side: int, z: int, dtype: str) -> np.ndarray:
    """A page that compresses about as tissue does: smooth structure that drifts with depth, and noise."""
    noise = np.random.default_rng(z)
    y, x = np.ogrid[:side, :side]
    smooth = np.sin((x + 3 * z) / 37) * np.cos((y - 2 * z) / 53)
    values = 128 + 60 * smooth + noise.normal(0, 6, (side, side))
    return (values * (1 if dtype == "u1" else 16)).astype(dtype)


def make_slices(folder: Path, count: int, side: int, dtype: str, compression: str | None) -> Path:
    folder.mkdir(parents=True)
    for z in range(count):
        tifffile.imwrite(folder / f"s_{z:04}.tif", page(side, z, dtype), metadata=None, compression=compression)
    return folder


def make_datasets(folder: Path, wanted: list[str]) -> dict[str, Path]:
    """One dataset a case, by its name."""
    from builder import Builder

    found = {}
    volumes = {"slices": (200, 2048, "u1", None), "lzw": (100, 2048, "u1", "lzw"), "slices16": (400, 1024, "<u2", None)}
    for name, shape in volumes.items():
        if name in wanted:
            build = Builder(folder / name)
            raw = make_slices(folder / "raw" / name, *shape)
            build.sem(raw)
            shutil.rmtree(raw)
            found[name] = build.root
    if "movie" in wanted:
        build = Builder(folder / "movie")
        build.session(1)
        movie = folder / "m.tif"
        with tifffile.TiffWriter(movie, bigtiff=True) as out:
            for z in range(2000):
                out.write(page(512, z, "<u2"), contiguous=True, metadata=None, photometric="minisblack")
        build.movie(movie, (2000, 512, 512))
        movie.unlink()
        found["movie"] = build.root
    return found


def measure(code: Path, dataset: Path, workers: int) -> tuple[float, float, float]:
    """Seconds, CPU seconds and MiB of one conversion from nothing."""
    for name in ("output", ".neuropress"):
        shutil.rmtree(dataset / name, ignore_errors=True)
    (dataset / "output").mkdir()
    script = dataset.parent / "measure.py"
    script.write_text(MEASURE)
    command = [sys.executable, str(script), str(dataset), str(workers)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(code)}, check=True, capture_output=True)
    seconds, cpu, memory = map(float, done.stdout.split())
    return seconds, cpu, memory


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--code", action="append", type=Path, default=[])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=["slices", "lzw", "slices16", "movie"])
    parser.add_argument("--folder", type=Path, help="keep the datasets here and use them again")
    args = parser.parse_args()
    codes = [ROOT / "src", *args.code]
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        missing = [name for name in args.only if not (folder / name).is_dir()]
        datasets = {name: folder / name for name in args.only} | make_datasets(folder, missing)
        for name, dataset in datasets.items():
            runs = [[measure(code, dataset, args.workers) for code in codes] for _ in range(ROUNDS)]
            for number, code in enumerate(codes):
                seconds = median(run[number][0] for run in runs)
                cpu = median(run[number][1] for run in runs)
                memory = max(run[number][2] for run in runs)
                print(f"{name:10} {seconds:6.1f} s {cpu:6.1f} CPU s {memory:6.0f} MiB  {code}")


if __name__ == "__main__":
    main()
