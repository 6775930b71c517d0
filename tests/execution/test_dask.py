"""A dataset on the workers of Dask, whoever started them: the bytes of a single run, or a clear refusal."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from builder import Builder
from campaigns import campaign
from shared_lab import clear, make_lab, take_digests

from neuropress.cli.main import main


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Builder, dict[str, str]]:
    return make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("seed", range(campaign(1, 50)))
def test_dask_workers_one_of_them_killed_make_the_same_tree(lab: tuple[Builder, dict[str, str]], seed: int) -> None:
    distributed = pytest.importorskip("distributed")
    build, expected = lab
    clear(build.root)
    choose = random.Random(seed)
    quiet = {"dashboard_address": None, "host": "127.0.0.1", "silence_logs": 50}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, **quiet) as cluster, ThreadPoolExecutor(1) as pool:
        converting = pool.submit(build.dataset.convert, dask=cluster.scheduler_address)
        time.sleep(choose.uniform(0.2, 3.0))
        cluster.workers[choose.randrange(2)].process.process._process.kill()
        report = converting.result()
        assert report.ok, report
    assert {outcome.done for outcome in report.outcomes} == {"converted"}
    assert take_digests(build.root) == expected


def test_a_scheduler_that_does_not_answer_is_named(
    lab: tuple[Builder, dict[str, str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    clear(lab[0].root)
    monkeypatch.setattr("neuropress.execution.cluster.TIMEOUT", 0.2)
    assert main(["convert", str(lab[0].root), "--dask", "tcp://127.0.0.1:9"]) == 2
    assert "tcp://127.0.0.1:9" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["convert", str(lab[0].root), "--dask", "tcp://127.0.0.1:9"]) == 2
    assert "neuropress[dask]" in capsys.readouterr().err


JOB_SETTINGS = '[cluster]\nkind = "local"\njobs = 2\ncores = 1\nmemory = "1GB"\n'


def state_cluster(build: Builder, text: str) -> None:
    path = build.root / "neuropress.toml"
    path.write_text(path.read_text().partition("\n[cluster]")[0] + "\n" + text)


def test_jobs_make_the_same_tree_and_leave_no_keys(lab: tuple[Builder, dict[str, str]]) -> None:
    pytest.importorskip("dask_jobqueue")
    build, expected = lab
    clear(build.root)
    state_cluster(build, JOB_SETTINGS)
    command = [sys.executable, "-m", "neuropress", "convert", str(build.root), "--dask", "cluster"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert take_digests(build.root) == expected
    assert not list((build.root / ".neuropress").glob("cluster-*"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "[cluster]"),
        (JOB_SETTINGS.replace("local", "slurm"), "slurm took no job: sbatch: error: invalid account"),
        (JOB_SETTINGS.replace("local", "lsd"), "kind 'lsd' is none of htcondor, local"),
        (JOB_SETTINGS.replace("= 2", "= 0"), "jobs must be a whole number from 1"),
        (JOB_SETTINGS + 'queue = "long\\nrm -rf x"\n', "queue must be a word"),
        (JOB_SETTINGS + 'job_script_prologue = "x"\n', "job_script_prologue is none of"),
        ('[cluster]\nkind = "slurm"\n', "lacks jobs, cores, memory"),
    ],
)
def test_jobs_that_cannot_be_are_refused(
    lab: tuple[Builder, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    said: str,
) -> None:
    pytest.importorskip("dask_jobqueue")
    build, _ = lab
    clear(build.root)
    state_cluster(build, text)
    batch = tmp_path / "sbatch"
    batch.write_text("#!/bin/sh\necho 'sbatch: error: invalid account' >&2\nexit 1\n")
    batch.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    try:
        assert main(["convert", str(build.root), "--dask", "cluster"]) == 2
    finally:
        state_cluster(build, "")
    assert said in capsys.readouterr().err
    assert not list((build.root / ".neuropress").glob("cluster-*"))
