"""Targets to publish to: a folder, and a bucket of each S3 server that is started here (moto, Ceph RGW)."""

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import rgw
from botocore.config import Config
from filelock import FileLock

SECRET = "planted/secret+key%0123456789"


@dataclass
class Server:
    """An S3 server on the loopback; moto's `log` holds one line for every request."""

    endpoint: str
    log: Path = Path(os.devnull)

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=rgw.ACCESS_KEY,
            aws_secret_access_key=SECRET,
            config=Config(proxies={}),
        )

    def requests(self) -> list[str]:
        """``METHOD /path`` of every request so far."""
        lines = self.log.read_text("utf-8", errors="replace").splitlines()
        return [line.split('"')[1].rsplit(" ", 1)[0] for line in lines if '" ' in line and "HTTP/1" in line]


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


class Target:
    """Where a test publishes, looked at without neuropress."""

    def __init__(self, url: str, server: Server | None) -> None:
        self.url = url
        self.server = server

    @property
    def endpoint(self) -> str | None:
        return self.server.endpoint if self.server else None

    def objects(self) -> dict[str, bytes]:
        """Key -> bytes of everything below the URL."""
        if self.server is None:
            root = Path(self.url)
            return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        client, (bucket, prefix) = self.server.client(), self._place()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {
            key.removeprefix(prefix): client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in sorted(keys)
        }

    def data(self) -> dict[str, bytes]:
        """Everything but what lies under ``releases/``."""
        return {k: v for k, v in self.objects().items() if not k.startswith("releases/")}

    def overwrite(self, key: str, data: bytes | None) -> None:
        """Replace or delete an object behind the back of neuropress."""
        if self.server is None:
            path = Path(self.url, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if data is None else path.write_bytes(data)
        else:
            bucket, prefix = self._place()
            client = self.server.client()
            if data is None:
                client.delete_object(Bucket=bucket, Key=prefix + key)
            else:
                client.put_object(Bucket=bucket, Key=prefix + key, Body=data)

    def _place(self) -> tuple[str, str]:
        bucket, prefix = self.url.removeprefix("s3://").split("/", 1)
        return bucket, f"{prefix}/"


def make_bucket(server: Server, name: str) -> Target:
    """An empty bucket, named by the digest of a text."""
    bucket = f"b{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    server.client().create_bucket(Bucket=bucket)
    return Target(f"s3://{bucket}/some prefix/ds", server)


@pytest.fixture
def bucket(s3_server: Server, request: pytest.FixtureRequest) -> Target:
    return make_bucket(s3_server, request.node.nodeid)


@pytest.fixture
def rgw_bucket(rgw_server: Server, request: pytest.FixtureRequest) -> Target:
    return make_bucket(rgw_server, request.node.nodeid)


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
