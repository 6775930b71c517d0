"""Campaigns of faults between a publisher and its bucket: nothing lost, nothing twice, nothing wrong under a key."""

from __future__ import annotations

import functools
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import rgw
from campaigns import campaign
from lines import Reader, check_history, digests, publish_command, publish_until_done, small_dataset
from proxy import FAULTS, Proxy, Request, seeded
from servers import Server, Target, make_bucket

from neuropress.cli.main import main
from neuropress.release import verify_release

pytestmark = pytest.mark.s3

FAULTS_A_ROUND = 5
# moto does not compare the bytes that arrive with their signature.
KINDS = tuple(kind for kind in FAULTS if kind != "corrupted request" or not rgw.missing_programs())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("faults"), large=True)


@pytest.fixture
def expected(dataset: Path, tmp_path: Path) -> dict[str, str]:
    """What an uninterrupted publish of 1.0.0 leaves: key -> digest."""
    return published_to_folder(dataset, tmp_path / "expected")


def published_to_folder(dataset: Path, folder: Path) -> dict[str, str]:
    target = Target(str(folder), None)
    publish_until_done(publish_command(dataset, target, None, "1.0.0"))
    return {k: v for k, v in digests(target).items() if not k.endswith("README.md")}  # which names its place


def impatient(monkeypatch: pytest.MonkeyPatch, *, retry: bool) -> None:
    """Short time limits and pauses; without retries every fault ends the command."""
    monkeypatch.setattr("neuropress.storage.store.CLIENT", {"timeout": "20s", "read_timeout": "2s"})
    monkeypatch.setattr("neuropress.storage.store.PART", 5 * 2**20)
    monkeypatch.setattr("neuropress.storage.store.PAUSES", (0.02,) * 8 if retry else ())
    monkeypatch.setattr("neuropress.storage.store.RETRY", {"max_retries": 3 if retry else 0})


@pytest.mark.parametrize("seed", range(campaign(4, full=200)))
def test_faults_while_publishing(
    dataset: Path, expected: dict[str, str], true_bucket: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, retry=seed % 2 == 0)
    choose = seeded(seed, random.Random(seed).choice((0.05, 0.15, 0.4)), KINDS)
    number = 0
    with Proxy(true_bucket.endpoint, choose, FAULTS_A_ROUND, stall=3) as proxy, Reader(true_bucket):
        while number == 0 or proxy.left:
            publish_until_done(publish_command(dataset, true_bucket, proxy.endpoint, f"1.0.{number}"))
            found = verify_release(true_bucket.url, f"1.0.{number}", deep=True, endpoint=true_bucket.endpoint)
            assert found == ()
            number += 1
    assert proxy.caused.total() == FAULTS_A_ROUND
    assert check_history(true_bucket) == [f"1.0.{n}" for n in range(number)]
    lying = digests(true_bucket)
    data = {key for key in expected if not key.startswith("releases/")}
    assert {k: v for k, v in lying.items() if not k.startswith("releases/")} == {k: expected[k] for k in data}
    assert {k: lying[k] for k in expected} == expected


@functools.cache
def count_requests(dataset: Path, server: str) -> int:
    """How many requests an uninterrupted publish makes."""
    target = make_bucket(Server(server), "uninterrupted")
    with Proxy(server, lambda *_: None) as proxy:
        publish_until_done(publish_command(dataset, target, proxy.endpoint, "1.0.0"))
    return len(proxy.requests)


class Killer:
    """Kills a process when its n-th request comes, before or while it is carried out."""

    def __init__(self, at: int, choose: random.Random) -> None:
        self.at, self.count = at, 0
        self.before = choose.random() < 0.5
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()

    def __call__(self, request: Request, nth: int) -> str | None:
        with self.lock:
            self.count += 1
            if self.count == self.at and self.process:
                self.process.kill()
                return "reset before" if self.before else None
            return None


def data_objects(requests: list[str]) -> set[str]:
    """Names of the data objects that requests wrote."""
    names = {r.split(" ", 1)[1].partition("?")[0] for r in requests if r.startswith(("PUT", "POST"))}
    return {name for name in names if "/releases/" not in name}


def run_publisher(command: list[str]) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-m", "neuropress", *command], stdout=quiet, stderr=quiet)


@pytest.mark.parametrize("seed", range(campaign(5, full=200)))
def test_a_killed_publish_resumes(dataset: Path, expected: dict[str, str], true_bucket: Any, seed: int) -> None:
    choose = random.Random(seed)
    whole = count_requests(dataset, true_bucket.endpoint)
    with Reader(true_bucket):
        for requests in choose.choice(((whole,), (whole,), (whole // 2, whole // 2))):
            killer = Killer(choose.randint(1, requests), choose)
            with Proxy(true_bucket.endpoint, killer) as proxy:
                killer.process = run_publisher(publish_command(dataset, true_bucket, proxy.endpoint, "1.0.0"))
                assert killer.process.wait(timeout=300) in (0, -9)
        finished = data_objects(proxy.answered)
        with Proxy(true_bucket.endpoint, lambda *_: None) as proxy:
            publish_until_done(publish_command(dataset, true_bucket, proxy.endpoint, "1.0.0"))
    assert not data_objects(proxy.requests) & finished  # at most what was under way is sent again
    assert verify_release(true_bucket.url, deep=True, endpoint=true_bucket.endpoint) == ()
    assert {k: v for k, v in digests(true_bucket).items() if not k.endswith("README.md")} == expected


def test_a_listed_release_that_is_not_there_is_status_3(
    dataset: Path, true_bucket: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    impatient(monkeypatch, retry=True)
    publish_until_done(publish_command(dataset, true_bucket, true_bucket.endpoint, "1.0.0"))

    def choose(request: Request, _: int) -> str | None:
        return "missing" if request.method == "GET" and request.target.endswith("/releases/1.0.0.json") else None

    with Proxy(true_bucket.endpoint, choose) as proxy:
        assert main(publish_command(dataset, true_bucket, proxy.endpoint, "1.0.1")) == 3
    text = "".join(capsys.readouterr())
    assert "1.0.0" in text
    assert "Traceback" not in text
    publish_until_done(publish_command(dataset, true_bucket, true_bucket.endpoint, "1.0.1"))
    assert check_history(true_bucket) == ["1.0.0", "1.0.1"]
