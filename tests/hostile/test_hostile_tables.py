"""Small tables and settings made to hang, to eat memory or to crash end in seconds, with a finding or status 2."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from campaigns import campaign
from confined import STRACE, run_verbs, trespasses
from hostile_datasets import HOSTILE, make

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
SAMPLE = random.Random(7).sample(CASES, min(len(CASES), campaign(5, full=len(CASES))))
WHOLE = campaign(0, full=len(CASES)) >= len(CASES)


@pytest.mark.parametrize("case", SAMPLE)
def test_hostile_tables_end_with_a_finding(case: str, tmp_path: Path) -> None:
    root = make(tmp_path / "ds", HOSTILE[case])
    verbs = [[argument.format(root) for argument in verb] for verb in (VERBS if WHOLE else VERBS[:1])]
    trace = tmp_path / "trace" if WHOLE and STRACE else None
    run_verbs(verbs, tmp_path / "scratch", trace)
    assert not (trace and trespasses(trace, tmp_path))
