"""What a Dask scheduler costs a unit: ``python benchmarks/dask_units.py``, 10,000 units that do nothing on two workers."""

import pickle
import sys
import tempfile
import time
from pathlib import Path

import psutil

from neuropress.execution.cluster import DaskExecutor
from neuropress.model.progress import Progress
from neuropress.model.source import SourceRoots
from neuropress.results import Batch, Work
from neuropress.storage.roots import Folder

UNITS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
TASK = {
    "spec": {"source": "lab/20250101/sem_dataset/raw/v1/", "path": "", "name": "pixels", "format": "slices"}
    | {"shape": [20000] * 3, "dtype": "|u1", "index": {"slices": [[0, 20000]] * 3, "order": [0, 1, 2]}, "options": {}},
    "names": ["z", "y", "x"],
    "stated": [8.0, 4.0, 4.0],
    "stamps": "0" * 64,
}


def run_nothing(work: Work, batch: Batch, roots: SourceRoots, progress: Progress) -> None:
    """A batch of units that does nothing."""


def main() -> None:
    """Print bytes, messages and seconds a unit."""
    from distributed import LocalCluster

    roots = SourceRoots((Folder(Path(tempfile.gettempdir())),))
    work = Work("ome-zarr", "/shared/ds/output/lab/20250101/sem_dataset/ome-zarr/X.ome.zarr.partial", "0" * 64, TASK)
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", protocol="tcp", processes=True
    )
    with cluster, DaskExecutor(cluster.scheduler_address) as executor:
        before, begun, cpu = psutil.net_io_counters(pernic=True)["lo"], time.perf_counter(), time.process_time()
        calls = [
            executor.submit(run_nothing, work, (f"0/{n}.0.0",), roots, progress=lambda nbytes: None)
            for n in range(UNITS)
        ]
        for call in calls:
            call.result()
        seconds, spent = time.perf_counter() - begun, time.process_time() - cpu
        after = psutil.net_io_counters(pernic=True)["lo"]
        sent, packets = after.bytes_sent - before.bytes_sent, after.packets_sent - before.packets_sent
    print(f"message of a unit, pickled: {len(pickle.dumps((work, ('0/1.0.0',), roots)))} bytes")
    print(f"loopback: {sent / UNITS:.0f} bytes and {packets / UNITS:.1f} packets a unit, client, scheduler and workers")
    print(f"{1000 * seconds / UNITS:.2f} ms a unit; {1000 * spent / UNITS:.2f} ms CPU of client and scheduler")


if __name__ == "__main__":
    main()
