"""Volumes that are written into a bucket: killed, rebuilt, disturbed; whole or absent, and the bytes of a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from bucket_results import VOLUME, files, fill, make_twin, point_to, read_volume, run
from builder import Builder
from campaigns import campaign
from proxy import Proxy, Request
from servers import Target

from neuropress.cli.main import main
from neuropress.execution.processes import run_batch
from neuropress.results.omezarr import staging, units
from neuropress.storage.remote import BucketPath, ObjectConflictError

pytestmark = [pytest.mark.s3, pytest.mark.usefixtures("impatient")]


@pytest.fixture(params=["bucket", "rgw_bucket"])
def server(request: pytest.FixtureRequest) -> Target:
    """A bucket of moto, and one of Ceph RGW."""
    made: Target = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def one(bucket: Target) -> Target:
    """A bucket of moto, for what does not depend on the server."""
    return bucket


class Killer:
    """Stands for the server, and kills a process when the n-th shard is sent to it."""

    def __init__(self, after: int) -> None:
        self.after, self.seen, self.process = after, 0, None

    def __call__(self, request: Request, _: int) -> str | None:
        if request.method == "PUT" and "/c/" in request.target:
            self.seen += 1
            if self.seen == self.after and self.process is not None:
                os.killpg(self.process.pid, signal.SIGKILL)
                return "dropped answer" if self.after % 2 else "reset before"
        return None


def start(root: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "neuropress", "convert", str(root), "--workers", str(workers)]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)


def make_large(root: Path) -> Builder:
    """A volume of several units at the usual sizes."""
    build = Builder(root)
    folder = root.parent / "large"
    folder.mkdir()
    for z, page in enumerate(np.random.default_rng(1).integers(0, 255, (40, 700, 600)).astype(np.uint8)):
        tifffile.imwrite(folder / f"s{z:03}.tif", page, metadata=None)
    build.sem(folder)
    return build


KILLS = [*(("bucket", after) for after in (1, 2, 5)), *(("rgw_bucket", after) for after in (2, 1, 5)[: campaign(1, 3)])]


@pytest.mark.parametrize(("server", "after"), KILLS, indirect=["server"])
def test_a_killed_convert_continues_to_the_same_bytes(server: Target, tmp_path: Path, after: int) -> None:
    build = make_large(tmp_path / "ds")
    remote = make_twin(build, tmp_path / "remote", server)
    assert main(["convert", str(build.root)]) == 0
    killer = Killer(after)
    with Proxy(server.endpoint, killer) as proxy:
        point_to(remote, server, proxy.endpoint)
        killer.process = start(remote, 1 + after % 2)
        assert killer.process.wait() == -signal.SIGKILL
        assert "zarr.json" not in read_volume(server)
    (partial,) = (remote / "output").rglob("*.partial")
    lines = [json.loads(line) for path in partial.rglob("*.jsonl") for line in path.read_text().splitlines()]
    with Proxy(server.endpoint, lambda request, _: None) as proxy:
        point_to(remote, server, proxy.endpoint)
        assert start(remote, 1).wait() == 0
        sent = list_puts(proxy)
    assert not sent & {name for line in lines for name in line["objects"]}
    assert read_volume(server) == files(build.root / "output" / VOLUME)
    assert not list((remote / "output").rglob("*.partial"))


def interrupt(root: Path, monkeypatch: pytest.MonkeyPatch, after: int = 3) -> None:
    """Stop the volume after some units."""
    record_units, recorded = staging.Staging.record_units, []

    def stop(self: staging.Staging, done: Any) -> None:
        record_units(self, done)
        recorded.extend(done)
        if len(recorded) >= after:
            raise OSError("the machine went away")

    with monkeypatch.context() as patch:
        patch.setattr(staging.Staging, "record_units", stop)
        assert main(["convert", str(root)]) == 3


def test_finished_units_are_not_sent_again(
    one: Target, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ds"
    build = fill(root, tmp_path)
    point_to(root, one)
    assert main(["convert", str(root)]) == 0
    whole = read_volume(one)
    for key in whole:
        one.overwrite(f"{VOLUME}/{key}", None)
    interrupt(root, monkeypatch)
    before = {name for name in read_volume(one) if "/c/" in name}
    assert before
    status, text = run(capsys, "status", str(root))
    assert ("new" in text, "zarr.json" in read_volume(one)) == (True, False), (status, text)
    gone, replaced, *rest = sorted(before)
    one.overwrite(f"{VOLUME}/{gone}", None)  # units that were done and are no more what they were
    one.overwrite(f"{VOLUME}/{replaced}", b"x" * len(whole[replaced]))
    one.overwrite(f"{VOLUME}/0/c/99/9/9", b"stray")
    with Proxy(one.endpoint, lambda request, _: None) as proxy:
        point_to(root, one, proxy.endpoint)
        assert main(["convert", str(root)]) == 0
        sent = list_puts(proxy)
    assert read_volume(one) == whole
    assert {gone, replaced} <= sent
    assert set(rest) - sent  # of the other units none is sent again
    assert build.root == root


def list_puts(proxy: Proxy) -> set[str]:
    return {line.split()[1].split(f"{VOLUME}/")[-1] for line in proxy.requests if line.startswith("PUT")}


def test_a_changed_cell_replaces_the_metadata_alone(
    one: Target, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ds"
    build = fill(root, tmp_path)
    point_to(root, one)
    assert main(["convert", str(root)]) == 0
    before = read_volume(one)
    build.change("sem_dataset", resolution="8")
    assert "metadata changed" in run(capsys, "status", str(root))[1]
    status, text = run(capsys, "convert", str(root))
    assert (status, "metadata rewritten" in text) == (0, True), text
    after = read_volume(one)
    assert [name for name in after if after[name] != before.get(name)] == ["OME/METADATA.ome.xml", "zarr.json"]
    assert after.keys() == before.keys()
    assert main(["verify", str(root)]) == 0


def test_changed_raw_data_never_show_a_mixture(
    one: Target, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a smaller volume is made in the place of a larger one, there is none; then it is there alone."""
    root = tmp_path / "ds"
    build = fill(root, tmp_path)
    point_to(root, one)
    assert main(["convert", str(root)]) == 0
    before = read_volume(one)
    key = next((root / "source").rglob("s_8.tif"))
    key.unlink()  # one slice fewer
    seen: list[int] = []
    assert one.server is not None
    client, (bucket, prefix) = one.server.client(), one.url.removeprefix("s3://").split("/", 1)

    def choose(request: Request, _: int) -> str | None:
        if request.method == "PUT" and "/c/" in request.target:
            listing = client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/{VOLUME}/zarr.json")
            seen.append(listing["KeyCount"])
        return None

    with Proxy(one.endpoint, choose) as proxy:
        point_to(root, one, proxy.endpoint)
        status, text = run(capsys, "convert", str(root))
        assert status == 0, text
        puts = [line for line in proxy.requests if line.startswith("PUT")]
    assert set(seen) == {0}
    assert puts[-1].split()[1].endswith(f"{VOLUME}/zarr.json")
    point_to(root, one)
    after = read_volume(one)
    local = make_twin(build, tmp_path / "local", one)
    (local / "neuropress.toml").write_text('profile = "dendritic-consortium"\n')
    assert main(["convert", str(local)]) == 0
    assert after == files(local / "output" / VOLUME)
    assert before.keys() - after.keys()
    assert main(["verify", str(root)]) == 0


def test_a_late_worker_spoils_nothing(
    one: Target, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same run, when the volume is whole; and of one before the raw file changed."""
    root = tmp_path / "ds"
    build = fill(root, tmp_path)
    point_to(root, one)
    calls: list[tuple[Any, ...]] = []
    run_units = units.run_units

    def remember(work: Any, batch: Any, raw: Any, progress: Any) -> None:
        calls.append((work, batch, raw.roots))
        run_units(work, batch, raw, progress)

    with monkeypatch.context() as patch:
        patch.setattr(units, "run_units", remember)
        assert main(["convert", str(root)]) == 0
    first = read_volume(one)
    for work, batch, roots in calls[:3]:
        with pytest.raises(FileNotFoundError):
            run_batch(work, batch, roots, lambda n: None)
    assert read_volume(one) == first
    page = next((root / "source").rglob("s_0.tif"))
    pixels = tifffile.imread(page)
    tifffile.imwrite(page, 255 - pixels, metadata=None)
    assert main(["convert", str(root)]) == 0
    second = read_volume(one)
    name = next(name for name in first if "/c/" in name and first[name] != second[name])
    # One that had looked whether its staging folder is there before it fell asleep, and now sends what it has.
    late = tmp_path / "late"
    late.write_bytes(first[name])
    with pytest.raises(ObjectConflictError):
        (BucketPath.from_json(calls[0][0].task["bucket"]) / name).upload_file(late)
    assert read_volume(one) == second
    assert main(["verify", str(root)]) == 0
    assert build.root == root


def test_what_a_late_worker_left_is_removed(
    one: Target, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes between two runs, or while one is at work: that one fails, and the next puts it right."""
    root = tmp_path / "ds"
    fill(root, tmp_path)
    point_to(root, one)
    assert main(["convert", str(root)]) == 0
    whole = read_volume(one)
    for key in whole:
        one.overwrite(f"{VOLUME}/{key}", None)
    names = sorted(name for name in whole if "/c/" in name)
    one.overwrite(f"{VOLUME}/{names[-1]}", b"of an older plan")  # before: deleted

    def choose(request: Request, _: int) -> str | None:
        if request.method == "PUT" and request.target.endswith(f"{VOLUME}/0/zarr.json"):
            one.overwrite(f"{VOLUME}/{names[0]}", b"of an older plan")
            one.overwrite(f"{VOLUME}/0/c/77/7/7", b"of an older plan")
        return None

    with Proxy(one.endpoint, choose) as proxy:
        point_to(root, one, proxy.endpoint)
        status, text = run(capsys, "convert", str(root))
    assert (status, "did not write" in text, "zarr.json" in read_volume(one)) == (3, True, False), text
    point_to(root, one)
    assert main(["convert", str(root)]) == 0
    assert read_volume(one) == whole


@pytest.mark.parametrize("fault", ["reset before", "dropped answer", "slow down", "truncated answer"])
def test_a_passing_fault_changes_nothing(one: Target, tmp_path: Path, small: None, fault: str) -> None:
    """Of every fifth request, of convert and of verify."""
    build = fill(tmp_path / "ds", tmp_path)
    remote = make_twin(build, tmp_path / "remote", one)
    assert main(["convert", str(build.root)]) == 0

    def choose(request: Request, nth: int) -> str | None:
        return fault if nth == 0 and len(proxy.requests) % 5 == 0 else None

    with Proxy(one.endpoint, choose) as proxy:
        point_to(remote, one, proxy.endpoint)
        assert main(["convert", str(remote)]) == 0
        assert main(["verify", str(remote)]) == 0
        assert main(["validate", str(remote)]) == 0
    assert proxy.caused.total() > 5
    assert read_volume(one) == files(build.root / "output" / VOLUME)
