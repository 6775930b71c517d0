"""Results that strangers crafted: every verb refuses them in seconds and bounded memory, and opens nothing else."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import crafted_nwb
import crafted_zarr
import h5py
import numpy as np
import pytest
from builder import Builder, abf, movie, slices
from campaigns import campaign

MEMORY = 2 * 2**30
SECONDS = 60
ALL = [("nwb", name) for name in crafted_nwb.CASES] + [("zarr", name) for name in crafted_zarr.CASES]
CLEAN = {
    "nwb": {
        "attribute-reference", "rank-32", "compound", "soft-link-nowhere", "filter-plugin-none", "texts-many",
    },
    "zarr": set(),
}  # fmt: skip

DRIVER = """
import contextlib, io, json, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, (%d, %d))
except ImportError:
    pass
from neuropress.cli.main import main
result, dataset, to = sys.argv[1:]
told = {}
for verb, *arguments in (
    ["explain", result], ["verify", dataset], ["validate", dataset], ["coverage", dataset],
    ["export-tables", dataset, "--to", to], ["validate", result], ["verify", result],
):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = main([verb, *arguments])
    told.setdefault(verb, []).append([status, said.getvalue()[:20000]])
print(json.dumps(told))
""" % (MEMORY, MEMORY)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    folder = tmp_path_factory.mktemp("hostile")
    build = Builder(folder / "ds")
    build.session(1)
    build.ephys(abf(folder / "e.abf", points=40_000), "20000")
    build.movie(movie(folder / "m.tif"), (12, 20, 16))
    build.sem(slices(folder / "v", (9, 300, 560)))
    assert build.dataset.convert().ok
    return build


def craft(good: Builder, kind: str, name: str, folder: Path) -> tuple[Path, Path, Path]:
    """A copy of the dataset with one bad result: its folder, the result, and a file that is none of its business."""
    shutil.copytree(good.root, folder / "ds")
    secret = folder / "foreign-secret.h5"
    with h5py.File(secret, "w") as file:
        file["data"] = np.frombuffer(b"SECRETSECRETSECRET" * 8, "u1")
    pattern = "*.nwb" if kind == "nwb" else "*.ome.zarr"
    (result,) = (folder / "ds/output").rglob(pattern)
    {"nwb": crafted_nwb, "zarr": crafted_zarr}[kind].CASES[name](result, secret)
    return folder / "ds", result, secret


def run(dataset: Path, result: Path, to: Path, prefix: tuple[str, ...] = (), **environment: str) -> dict:  # type: ignore[type-arg]
    """Statuses and outputs of all verbs that read results, in a process of bounded memory and time."""
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment}
    command = [*prefix, sys.executable, "-c", DRIVER, str(result), str(dataset), str(to)]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=SECONDS, env={**os.environ, **quiet}
    )
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def check(told: dict, kind: str, name: str) -> None:  # type: ignore[type-arg]
    for verb, runs in told.items():
        for status, said in runs:
            assert status in (0, 1, 2), (verb, said)
            assert "internal.error" not in said, (verb, said)
            assert "Traceback" not in said, (verb, said)
            assert "SECRET" not in said, (verb, said)
    for status, said in told["verify"]:
        assert status in (1, 2), said
        assert any(word in said for word in ("result.", "verify.", "path.", "format.", "file.")), said


def chosen(rounds: int) -> list[tuple[str, str]]:
    cases = random.Random(1).sample(ALL, len(ALL))
    return cases[: min(rounds, len(cases))]


@pytest.mark.parametrize(("kind", "name"), chosen(campaign(5)), ids=lambda text: str(text))
def test_every_verb_refuses_what_is_crafted(good: Builder, kind: str, name: str, tmp_path: Path) -> None:
    dataset, result, _ = craft(good, kind, name, tmp_path)
    check(run(dataset, result, tmp_path / "tables"), kind, name)
    assert not list(tmp_path.glob("*.ran"))
