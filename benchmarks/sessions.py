"""Many small sessions: CPU seconds a session, and peak memory, of `plan`, `convert`, a second `convert` and `status`.

    python benchmarks/sessions.py [--sessions 100 1000] [--code OTHER/src ...] [--rounds 1] [--folder KEEP] [--workers 2]

A session is a recording of ten sweeps of 4000 samples and a movie of 20 frames of 96 x 128, with all its files and rows;
fsync, receipts and digests are as ever. Each command runs in a process of its own, for each checkout in turn, and what
starting and reading the settings take (`status` of a dataset of one session) is in the figures of that dataset alone.
What is linear has equal figures a session for 100 and for 1000 of them. Memory is that of the largest process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

STEPS = {"plan": "plan", "convert": "convert", "second convert": "convert", "status": "status"}


def make_dataset(root: Path, sessions: int) -> None:
    """Sessions that differ in their keys alone."""
    from builder import Builder, abf, movie

    build = Builder(root)
    write, build.write = build.write, lambda table: None  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as temporary:
        recording = abf(Path(temporary) / "a.abf", sweeps=10, points=4000)
        frames = movie(Path(temporary) / "m.tif", (20, 96, 128))
        for number in range(1, sessions + 1):
            build.session(number, start_time="14:05", end_time="15:00")
            build.ephys(recording, "20000", number=number, session=number)
            build.movie(frames, (20, 96, 128), number=number, session=number)
    for table in build.rows:
        write(table)


def run(code: Path, verb: str, dataset: Path, workers: int) -> tuple[float, float, float]:
    """CPU seconds of the process tree, wall seconds, and MiB of its largest process."""
    program = (
        "import sys\nfrom neuropress.cli.main import main\n"
        "if __name__ == '__main__': sys.exit(main(sys.argv[1:]) and 0)"
    )
    begun = time.perf_counter()
    command = [sys.executable, "-c", program, verb, str(dataset), "-q"]
    if verb == "convert" and workers > 1:
        command += ["--workers", str(workers)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(code)}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{verb} failed with status {status}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - begun, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--code", action="append", type=Path, default=[], help="source folder of another checkout")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    codes = [ROOT / "src", *args.code]
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        for count in args.sessions:
            dataset = folder / f"s{count}"
            if not dataset.exists():
                make_dataset(dataset, count)
            used: dict[tuple[Path, str], list[tuple[float, float, float]]] = {}
            for _ in range(args.rounds):
                for code in codes:
                    for name in ("output", ".neuropress"):
                        shutil.rmtree(dataset / name, ignore_errors=True)
                    (dataset / "output").mkdir()
                    for step, verb in STEPS.items():
                        used.setdefault((code, step), []).append(run(code, verb, dataset, args.workers))
            for (code, step), found in used.items():
                cpu, wall, peak = (median(part) for part in zip(*found, strict=True))
                each = f"{1000 * cpu / count:8.2f} ms each"
                print(f"{count:6} {step:15} {cpu:8.2f} CPU s {each} {wall:8.2f} s {peak:6.0f} MiB  {code}", flush=True)


if __name__ == "__main__":
    main()
