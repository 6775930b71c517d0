"""Targets to publish to: a folder, and a bucket of each S3 server that is started here (moto, Ceph RGW)."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rgw
from dandi_archive import KEY, FakeArchive, serve
from filelock import FileLock
from servers import SECRET, Server, Target, make_bucket
from stub_dandi import StubDandi


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = rgw.free_port()
    log = tmp_path_factory.mktemp("moto") / "requests.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the S3 server did not start: {log.read_text('utf-8')}")
                time.sleep(0.1)
        yield Server(f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def rgw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Ceph RGW for all processes of a parallel run."""
    if missing := rgw.missing_programs():
        pytest.skip(f"s3: Ceph RGW is not installed (no {missing[0]})")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "rgw"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        endpoint = rgw.join(folder, SECRET)
    yield Server(endpoint)
    rgw.leave(folder)


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of this machine's user takes part."""
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPLANTED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.fixture
def bucket(s3_server: Server, request: pytest.FixtureRequest) -> Iterator[Target]:
    client = s3_server.client()  # now: tests change the environment that clients are made from
    made = make_bucket(s3_server, request.node.nodeid)
    yield made
    made.remove(client)


@pytest.fixture
def rgw_bucket(rgw_server: Server, request: pytest.FixtureRequest) -> Iterator[Target]:
    client = rgw_server.client()  # now: tests change the environment that clients are made from
    made = make_bucket(rgw_server, request.node.nodeid)
    yield made
    made.remove(client)


@pytest.fixture
def true_bucket(request: pytest.FixtureRequest) -> Target:
    """A bucket of Ceph RGW; of moto on a machine that has no Ceph."""
    return request.getfixturevalue("bucket" if rgw.missing_programs() else "rgw_bucket")


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3), pytest.param("rgw", marks=pytest.mark.s3)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """A folder and a bucket of each server: a test that takes it runs three times."""
    if request.param == "folder":
        return Target(str(tmp_path / "published here"), None)
    return request.getfixturevalue("bucket" if request.param == "s3" else "rgw_bucket")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that fail are made again at once, and not for long."""
    monkeypatch.setattr("neuropress.storage.store.CLIENT", {"timeout": "20s", "read_timeout": "2s"})
    monkeypatch.setattr("neuropress.storage.store.PAUSES", (0.02,) * 3)
    monkeypatch.setattr("neuropress.storage.store.RETRY", {"max_retries": 0})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny chunks, shards and slabs: a small volume has many units and passes."""
    for name, value in {"CHUNKS": ((2, 8), (4, 8)), "SLAB_BYTES": 4096, "SHARD_CHUNKS": 2}.items():
        monkeypatch.setattr(f"neuropress.results.omezarr.layout.{name}", value)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubDandi:
    """The program dandi, which is asked for nothing."""
    from neuropress.archive import zarrs
    from neuropress.publishing.dandi import opinion, upload

    dandi = StubDandi()
    monkeypatch.setattr(upload, "find_tool", lambda name: dandi)
    monkeypatch.setattr(opinion, "validate_tree", dandi.validate)
    monkeypatch.setattr(opinion, "describe_files", dandi.describe)
    monkeypatch.setattr(zarrs, "FIRST_WAIT", 0.001)
    return dandi


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeArchive]:
    """An archive in memory, whose key stands in the environment."""
    monkeypatch.setenv("DANDI_API_KEY", KEY)
    with serve() as archive:
        yield archive
