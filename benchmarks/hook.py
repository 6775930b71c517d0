"""The pre-commit hook: wall and CPU seconds of `neuropress check --tables-only --changed` on clean tables.

    python benchmarks/hook.py [ROWS]

Makes clean tables of ROWS rows in all, a third of them mice, sessions and images, in a dataset below a
repository's root, and runs what the hook runs, each time in a process of its own; the first run warms the caches.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from tables import make_tables

from neuropress import Dataset

RUNS = 5


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset.init(Path(folder) / "lab" / "ds", "dendritic-consortium")
        tables = dataset.config.root / "tables"
        make_tables(tables, -(-rows // 12) * 4)
        files = sorted(map(str, tables.glob("*.csv")))
        count = sum(len(dataset.records(table)) for table in ("mouse", "session", "image"))
        seconds, cpu = [], []
        for _ in range(RUNS + 1):
            before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
            command = [sys.executable, "-m", "neuropress", "check", "--tables-only", "--changed", *files]
            subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
            seconds.append(perf_counter() - begun)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    for name, values in (("s", seconds[1:]), ("CPU s", cpu[1:])):
        print(f"{count} rows: {median(values):.2f} {name} (from {min(values):.2f} to {max(values):.2f} {name})")


if __name__ == "__main__":
    main()
