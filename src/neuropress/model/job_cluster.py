"""``[cluster]`` of ``neuropress.toml``: jobs of a batch system that run Dask workers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BATCH_SYSTEMS = {
    "htcondor": "HTCondorCluster",
    "local": "LocalCluster",
    "lsf": "LSFCluster",
    "moab": "MoabCluster",
    "oar": "OARCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "slurm": "SLURMCluster",
}
"""What ``kind`` may say -> the class of dask-jobqueue. ``local`` runs the jobs as processes of this machine."""
_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:,@=/+-]{0,99}")
_MOST_JOBS = 10_000


@dataclass(frozen=True, slots=True)
class JobCluster:
    """Jobs that run Dask workers, one worker each.

    Attributes
    ----------
    kind
        The batch system, of `BATCH_SYSTEMS`.
    jobs
        How many.
    cores, memory
        Of each job; memory as the batch system writes it (``16GB``).
    walltime, queue, account, interface
        As the batch system writes them; empty for its default. `interface` is the network over which all talk.
    """

    kind: str
    jobs: int
    cores: int
    memory: str
    walltime: str = ""
    queue: str = ""
    account: str = ""
    interface: str = ""


def parse_job_cluster(data: Mapping[str, Any]) -> JobCluster | None:
    """The entries of ``[cluster]``; None where there are none.

    What is known is little on purpose: a dataset may come from somebody else, and its texts go into a script.
    All else stands in Dask's own settings of the person who runs it.

    Raises
    ------
    ValueError
        An entry is none that there is, is missing, or of the wrong kind.
    """
    if not data:
        return None
    known = JobCluster.__slots__
    for name, value in data.items():
        if name not in known:
            own = "; other settings of jobs stand in Dask's own file, jobqueue.yaml"
            raise ValueError(f"[cluster] {name} is none of {', '.join(known)}{own}")
        if name in ("jobs", "cores"):
            if type(value) is not int or not 0 < value <= _MOST_JOBS:
                raise ValueError(f"[cluster] {name} must be a whole number from 1 to {_MOST_JOBS}, not {value!r}")
        elif not isinstance(value, str) or not _TEXT.fullmatch(value):
            raise ValueError(f"[cluster] {name} must be a word of letters, digits and _.:,@=/+-, not {value!r}")
    if missing := [name for name in ("kind", "jobs", "cores", "memory") if name not in data]:
        raise ValueError(f"[cluster] lacks {', '.join(missing)}")
    if data["kind"] not in BATCH_SYSTEMS:
        raise ValueError(f"[cluster] kind {data['kind']!r} is none of {', '.join(BATCH_SYSTEMS)}")
    return JobCluster(**data)
