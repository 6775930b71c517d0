"""Many small slices: CPU seconds of the header pass (`plan`), of `convert`, and of a second `convert` that changes nothing.

    python benchmarks/slices.py [--slices 20000] [--side 256] [--code OTHER/src ...] [--folder KEEP]

Uncompressed TIFF slices of `--side` squared and 8 bits, with noise. Each command runs in a process of its own, for each
checkout in turn. `plan` reads the headers of all slices, and tables; "started" is `status` of the dataset before.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from sessions import ROOT, run


def make_dataset(folder: Path, count: int, side: int) -> Path:
    """A dataset of one volume, whose slices have one header."""
    from builder import Builder

    (first := folder / "first").mkdir(parents=True)
    build = Builder(folder / "ds")
    written = io.BytesIO()
    tifffile.imwrite(written, np.zeros((side, side), "u1"), metadata=None)
    head = written.getvalue()[: -side * side]
    numbers = np.random.default_rng(0)
    for z in range(count):
        pixels = numbers.integers(96, 128, (side, side), "u1")
        (first / f"s_{z:06}.tif").write_bytes(head + pixels.tobytes())
    build.sem(first)
    shutil.rmtree(first)
    return folder / "ds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--code", type=Path, nargs="*", default=[ROOT / "src"])
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        dataset = folder / "ds" if (folder / "ds").is_dir() else make_dataset(folder, args.slices, args.side)
        steps = (("started", "status"), ("headers", "plan"), ("convert", "convert"), ("second convert", "convert"))
        for code in args.code:
            for name in ("output", ".neuropress"):
                shutil.rmtree(dataset / name, ignore_errors=True)
            for name, verb in steps:
                cpu, wall, peak = run(code, verb, dataset, 1)
                print(f"{code}  {name:14} {cpu:7.1f} CPU s {wall:7.1f} s {peak:6.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
