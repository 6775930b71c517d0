"""Small tables and settings made to hang, to eat memory or to crash end in seconds, with a finding or status 2."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from campaigns import campaign
from hostile_datasets import HOSTILE, make

resource = pytest.importorskip("resource", reason="limits of memory are set with it")
MEMORY = 2 << 30
SECONDS = 30
VERBS: tuple[tuple[str, ...], ...] = (
    ("check", "{}", "--tables-only"),
    ("check", "{}"),
    ("check", "{}", "--letter", "RY"),
    ("check", "{}", "--propose", "{}/../fixes.csv"),
    ("plan", "{}"),
    ("convert", "{}"),
    ("export-tables", "{}", "--to", "{}/../out"),
)
CASES = sorted(HOSTILE)
SAMPLE = random.Random(7).sample(CASES, min(len(CASES), campaign(5)))
WHOLE = campaign(0) >= len(CASES)


def confine() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def neuropress(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, with 2 GB and 30 seconds."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "neuropress", *arguments],
        env={**os.environ, **threads},
        preexec_fn=confine,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize("case", SAMPLE)
def test_hostile_tables_end_with_a_finding(case: str, tmp_path: Path) -> None:
    root = make(tmp_path / "ds", HOSTILE[case])
    for verb in VERBS if WHOLE else VERBS[:1]:
        done = neuropress(*(argument.format(root) for argument in verb))
        assert done.returncode in (0, 1, 2), (verb, done.stdout[-800:], done.stderr[-2000:])
        assert "Traceback" not in done.stdout + done.stderr, (verb, done.stderr[-2000:])
        assert "internal.error" not in done.stdout, (verb, done.stdout[-2000:])
        assert len(done.stdout) < 50_000_000, (verb, len(done.stdout))
