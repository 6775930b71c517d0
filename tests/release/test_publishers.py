"""Two to four publishers at once: one winner for a number, and a history that is one line, whoever is killed."""

from __future__ import annotations

import functools
import json
import random
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from campaigns import campaign
from lines import Reader, check_history, publish_command, small_dataset
from proxy import Proxy, Request
from test_faults import data_objects

from neuropress.cli.main import main
from neuropress.release import verify_release

pytestmark = pytest.mark.s3

PUBLISHERS = 4
GATE_SECONDS = 6
"""How long publishers wait for each other; one that is refused early never comes."""
LOST = {"release.superseded", "release.taken", "release.order"}
COMMIT = re.compile(r"/releases/(next/[^/]+|[0-9.]+)\.json$")
CLAIM = re.compile(r"/releases/next/[^/]+\.json$")


@functools.cache
def datasets(folder: Path) -> tuple[Path, ...]:
    """As many datasets as publishers, each with another content under the same names."""
    return tuple(small_dataset(folder / str(number), number=number) for number in range(PUBLISHERS))


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("publishers")
    for number in range(PUBLISHERS):
        (folder / str(number)).mkdir()
    return datasets(folder)


class Publisher:
    """A publishing process and the proxy through which it sees the bucket.

    All wait for each other at `gate` before their first step of committing; `dies` ends it right after its claim.
    """

    def __init__(self, root: Path, target: Any, gate: threading.Barrier | None, *, dies: bool) -> None:
        self.root, self.target, self.gate, self.dies = root, target, gate, dies
        self.proxy = Proxy(target.endpoint, self.choose, stall=2)
        self.process: subprocess.Popen[bytes] | None = None
        self.outcome: tuple[int, set[str]] = (-1, set())
        self.sent: set[str] = set()

    def choose(self, request: Request, nth: int) -> str | None:
        path = request.target.partition("?")[0]
        if request.method != "PUT" or not COMMIT.search(path):
            return None
        gate, self.gate = self.gate, None
        if gate:
            with suppress(threading.BrokenBarrierError):
                gate.wait(timeout=GATE_SECONDS)
        if self.dies and CLAIM.search(path):
            self.dies = False
            threading.Timer(0.05, self.kill).start()  # once the server has the claim; its answer never comes
            return "stall after"
        return None

    def kill(self) -> None:
        if self.process:
            self.process.kill()

    def publish(self, number: str) -> tuple[int, set[str]]:
        """Exit status and the ids of the findings; again as long as the network failed or the process was killed."""
        command = [*publish_command(self.root, self.target, self.proxy.endpoint, number), "--json"]
        for _ in range(10):
            with subprocess.Popen([sys.executable, "-m", "neuropress", *command], stdout=subprocess.PIPE) as process:
                self.process = process
                output, _ = process.communicate(timeout=300)
            status = process.returncode
            if status in (0, 1):
                break
        lines = [json.loads(line) for line in output.decode("utf-8").splitlines()]
        ids = {str(line["id"]) for line in lines if line.get("severity") == "error" and "id" in line}
        self.outcome = status, ids
        return self.outcome


def get_next_number(chain: list[str]) -> str:
    return f"1.0.{int(chain[-1].rsplit('.', 1)[1]) + 1}" if chain else "1.0.0"


def check_outcomes(publishers: list[Publisher], numbers: list[str], chain: list[str]) -> None:
    """Every publisher either committed its number or got the finding that another did."""
    for number, publisher in zip(numbers, publishers, strict=True):
        status, ids = publisher.outcome
        assert (status == 0) or (status == 1 and ids and ids <= LOST), publisher.outcome
        assert status or number in chain
    winners = [number for number, p in zip(numbers, publishers, strict=True) if p.outcome[0] == 0]
    assert len(winners) == len(set(winners)), "two publishers of other content both won a number"
    assert set(chain) >= set(winners)


def publish_again(publisher: Publisher, target: Any) -> None:
    """A loser succeeds with the next number, and sends nothing that it had sent."""
    before = data_objects(publisher.proxy.answered)
    publisher.proxy.requests.clear()
    publisher.dies = False
    assert publisher.publish(get_next_number(check_history(target))) == (0, set())
    assert not data_objects(publisher.proxy.requests) & before


@pytest.mark.parametrize("seed", range(campaign(2, full=50)))
def test_publishers_at_once(contents: tuple[Path, ...], true_bucket: Any, seed: int) -> None:
    choose = random.Random(seed)
    count = choose.randint(2, PUBLISHERS)
    roots = choose.sample(contents, count)
    first = 0
    if choose.random() < 0.5:  # else they compete to be the first of all
        rest = [root for root in contents if root not in roots] or [roots[0]]
        with Publisher(rest[0], true_bucket, None, dies=False).proxy as proxy:
            assert publish_once(rest[0], true_bucket, proxy.endpoint, "1.0.0") == 0
        first = 1
    same = choose.random() < 0.5
    numbers = [f"1.0.{first if same else first + index}" for index in range(count)]
    gate = threading.Barrier(count) if choose.random() < 0.8 else None
    victim = choose.randrange(count) if choose.random() < 0.4 else -1
    publishers = [Publisher(root, true_bucket, gate, dies=i == victim) for i, root in enumerate(roots)]
    with Reader(true_bucket):
        run_together(publishers, numbers)
        chain = check_history(true_bucket)
        check_outcomes(publishers, numbers, chain)
        for publisher in publishers:
            if publisher.outcome[0] == 1:
                publish_again(publisher, true_bucket)
    for publisher in publishers:
        publisher.proxy.__exit__(None, None, None)
    for number in check_history(true_bucket):
        assert verify_release(true_bucket.url, number, deep=True, endpoint=true_bucket.endpoint) == ()


def publish_once(root: Path, target: Any, endpoint: str, number: str) -> int:
    command = [sys.executable, "-m", "neuropress", *publish_command(root, target, endpoint, number)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, timeout=300, check=False).returncode


def run_together(publishers: list[Publisher], numbers: list[str]) -> None:
    threads = []
    for publisher, number in zip(publishers, numbers, strict=True):
        publisher.proxy.__enter__()
        threads.append(threading.Thread(target=publisher.publish, args=(number,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("number", ["1.0.0", "1.0.1"])
def test_a_listing_that_comes_late_makes_no_second_history(
    contents: tuple[Path, ...], true_bucket: Any, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(publish_command(contents[0], true_bucket, true_bucket.endpoint, "1.0.0")) == 0

    def choose(request: Request, _: int) -> str | None:
        return "empty listing" if "list-type=2" in request.target else None

    with Proxy(true_bucket.endpoint, choose) as proxy:
        assert main(publish_command(contents[1], true_bucket, proxy.endpoint, number)) in (1, 3)
    assert "Traceback" not in "".join(capsys.readouterr())
    assert check_history(true_bucket) == ["1.0.0"]
    assert main(publish_command(contents[1], true_bucket, true_bucket.endpoint, "1.0.1")) == 0
    assert check_history(true_bucket) == ["1.0.0", "1.0.1"]
