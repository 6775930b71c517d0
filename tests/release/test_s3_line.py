"""The command line against an S3 server: publish, publish again, rebuild the tables."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from builder import DATE, Builder, abf, slices

from neuropress.cli.main import main
from neuropress.verbs.export import canonical_tables

pytestmark = pytest.mark.s3


@pytest.fixture
def bucket(s3_server: Any) -> str:
    s3_server.client().create_bucket(Bucket="line")
    return "s3://line/prefix"


def test_publish_twice_and_export(
    s3_server: Any, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.sem(slices(tmp_path / "v"))
    where = ["--to", bucket, "--endpoint", s3_server.endpoint]
    assert main(["convert", str(build.root)]) == 0
    assert main(["publish", str(build.root), *where, "--release", "1.0.0"]) == 0
    before = len(s3_server.requests())
    assert main(["publish", str(build.root), *where, "--release", "1.0.1"]) == 0
    assert "sent 0 objects, 0 bytes" in capsys.readouterr().out
    sent = [r for r in s3_server.requests()[before:] if r.startswith(("PUT", "POST"))]
    assert all("/releases/" in request for request in sent)
    key = f"prefix/yuste/{DATE}/session/nwb/RY_S_0001.nwb"
    body = s3_server.client().get_object(Bucket="line", Key=key)["Body"].read()
    path = build.output("RY_S_0001.nwb")
    assert path
    assert body == path.read_bytes()
    assert main(["publish", str(build.root), *where, "--release", "1.0.1"]) == 0
    expected = dict(canonical_tables(build.root / "tables", build.dataset.config.profile))
    shutil.rmtree(build.root)
    assert main(["export-tables", bucket, "--endpoint", s3_server.endpoint, "--to", str(tmp_path / "out")]) == 0
    assert {p.stem: p.read_bytes().decode("utf-8") for p in (tmp_path / "out").glob("*.csv")} == expected


def test_a_server_that_is_not_there_is_status_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuropress.storage.store.PAUSES", (0.1,))
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    assert main(["convert", str(build.root)]) == 0
    where = ["--to", "s3://line/prefix", "--endpoint", "http://127.0.0.1:9"]
    assert main(["publish", str(build.root), *where, "--release", "1.0.0"]) == 3
    assert "Traceback" not in capsys.readouterr().err
