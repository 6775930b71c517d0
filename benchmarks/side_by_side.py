"""Candidates in processes of their own, in turn, and a table of what they took; for movie.py and recording.py."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MEASURED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    # Not ru_maxrss: it begins with the memory of the process that started this one.
    lines = open("/proc/self/status").read().splitlines()
    print("peak", next(line.split()[1] for line in lines if line.startswith("VmHWM")), file=sys.stderr)
"""


@dataclass(frozen=True)
class Run:
    """What one process took."""

    wall: float
    cpu: float
    peak: float
    size: int


def write_program(path: Path, code: Path) -> None:
    """A script that is neuropress's program, from a source folder."""
    path.write_text(
        f"import sys; sys.path.insert(0, {str(code)!r})\n"
        "from neuropress.cli.main import main\nsys.exit(main(sys.argv[1:]))\n"
    )


def run_process(command: list[str], made: Callable[[], int]) -> Run:
    """Run it, and look at its whole tree."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peaks = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("peak ")]
    return Run(wall, cpu, int(peaks[-1]) / 1024 if peaks else 0.0, made())


def make_copy(raw: Path, folder: Path) -> Callable[[], Run]:
    """`cp` of the raw file."""
    copied = folder / "copy"
    return lambda: run_process(["cp", str(raw), str(copied)], lambda: copied.stat().st_size)


def make_peer(raw: Path, folder: Path, python: str, name: str, text: str) -> Callable[[], Run]:
    """A script of another environment's, which makes an NWB file of the raw file."""
    result, measured, script = (folder / one for one in ("peer.nwb", "measured.py", f"{name}.py"))
    measured.write_text(MEASURED)
    script.write_text(text)

    def convert() -> Run:
        result.unlink(missing_ok=True)
        command = [python, str(measured), str(script), str(raw), str(result)]
        return run_process(command, lambda: result.stat().st_size)

    return convert


def compare(title: str, candidates: Mapping[str, Callable[[], Run]], rounds: int, *references: str) -> None:
    """Run all candidates in turn, and print a line for each: medians, and ratios to the first reference there is."""
    runs: dict[str, list[Run]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            runs[name].append(candidate())
    reference = next(runs[name] for name in references if name in runs)
    wall, cpu = median(r.wall for r in reference), median(r.cpu for r in reference)
    print(f"{title:20} {'wall s':>7} {'rel.':>6} {'CPU s':>7} {'rel.':>6} {'MiB':>6} {'output MB':>10}")
    for name, found in runs.items():
        seconds, used = median(r.wall for r in found), median(r.cpu for r in found)
        peak, size = max(r.peak for r in found), found[-1].size / 1e6
        print(f"{name:20} {seconds:7.1f} {seconds / wall:6.3f} {used:7.1f} {used / cpu:6.3f} {peak:6.0f} {size:10.1f}")
