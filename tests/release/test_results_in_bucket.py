"""Volumes that are written into a bucket, through the command line: the same bytes as in a folder, whole or absent."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import tifffile
import zarr
from builder import DATE, Builder, abf, slices
from obstore.store import S3Store
from proxy import Proxy, Request
from servers import SECRET, Target
from zarr.storage import ObjectStore

from neuropress.cli.main import main
from neuropress.execution.processes import run_batch
from neuropress.results.omezarr import staging, units
from neuropress.storage.remote import BucketPath, ObjectConflictError

pytestmark = pytest.mark.s3

VOLUME = f"lichtman/{DATE}/sem_dataset/ome-zarr/JL_SD_0001.ome.zarr"
LAYOUT = "neuropress.results.omezarr.layout"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuropress.storage.store.CLIENT", {"timeout": "20s", "read_timeout": "2s"})
    monkeypatch.setattr("neuropress.storage.store.PAUSES", (0.02,) * 3)
    monkeypatch.setattr("neuropress.storage.store.RETRY", {"max_retries": 0})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny chunks, shards and slabs: a small volume has many units and passes."""
    for name, value in {"CHUNKS": ((2, 8), (4, 8)), "SLAB_BYTES": 4096, "SHARD_CHUNKS": 2}.items():
        monkeypatch.setattr(f"{LAYOUT}.{name}", value)


@pytest.fixture(params=["bucket", "rgw_bucket"])
def server(request: pytest.FixtureRequest) -> Target:
    """A bucket of moto, and one of Ceph RGW."""
    made: Target = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def one(bucket: Target) -> Target:
    """A bucket of moto, for what does not depend on the server."""
    return bucket


def fill(root: Path, scratch: Path) -> Builder:
    """A session and a volume of slices."""
    build = Builder(root)
    build.session(1)
    build.ephys(abf(scratch / "e.abf"), "20000")
    build.sem(slices(scratch / "v"))
    return build


def point_to(root: Path, server: Target, endpoint: str | None = None) -> None:
    """Have the volumes go into the bucket."""
    settings = f'[output]\nvolume = "{server.url}"\nendpoint = "{endpoint or server.endpoint}"\n'
    (root / "neuropress.toml").write_text(settings, encoding="utf-8")


def make_twin(build: Builder, folder: Path, server: Target) -> Path:
    """The same dataset with its volumes in a bucket."""
    shutil.copytree(build.root, folder, ignore=shutil.ignore_patterns("output", ".neuropress*"))
    point_to(folder, server)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def read_volume(server: Target) -> dict[str, bytes]:
    """The volume's objects, by their paths in it."""
    prefix = f"{VOLUME}/"
    return {key.removeprefix(prefix): data for key, data in server.objects().items() if key.startswith(prefix)}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = main(list(arguments))
    done = capsys.readouterr()
    assert "Traceback" not in done.out + done.err
    return status, done.out + done.err


def test_every_verb_gives_the_same_as_from_a_folder(
    server: Target, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    build = fill(tmp_path / "ds", tmp_path)
    remote = make_twin(build, tmp_path / "remote", server)
    assert main(["convert", str(build.root)]) == 0
    assert main(["check", str(remote)]) == 0
    assert run(capsys, "convert", str(remote))[0] == 0
    local = files(build.root / "output" / VOLUME)
    assert len(local) > 20
    assert read_volume(server) == local
    assert server.objects().keys() == {f"{VOLUME}/{name}" for name in local}  # nothing else lies there
    here = {name for name in files(build.root / "output") if not name.startswith(VOLUME)}
    assert files(remote / "output").keys() == here  # the session and the records; no staging folder
    assert files(remote / "output")["records.jsonl"] == files(build.root / "output")["records.jsonl"]
    assert "up to date" in run(capsys, "plan", str(remote))[1]
    for verb in ("verify", "validate", "coverage", "status"):
        status, text = run(capsys, verb, str(remote))
        assert (status, "error" in text) == (0, False), text
    status, text = run(capsys, "status", str(remote), "--json")
    assert text.count('"verified":true') + text.count('"verified": true') == 2
    assert text.count('"validated":true') + text.count('"validated": true') == 2
    explained = run(capsys, "explain", str(build.root / "output" / VOLUME), "multiscales/0/name")
    assert run(capsys, "explain", str(remote / "output" / VOLUME), "multiscales/0/name") == explained
    for verb in ("verify", "validate"):
        status, text = run(capsys, verb, str(remote / "output" / VOLUME))
        assert (status, "JL_SD_0001" in text) == (0, True), text
    exported = [tmp_path / f"tables of {root.name}" for root in (build.root, remote)]
    for root, place in zip((build.root, remote), exported, strict=True):
        assert main(["export-tables", str(root), "--to", str(place)]) == 0
    assert files(exported[0]) == files(exported[1])


def test_a_url_names_a_volume(
    one: Target, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_twin(fill(tmp_path / "ds", tmp_path), tmp_path / "remote", one)
    assert main(["convert", str(root)]) == 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", one.endpoint or "")
    url = f"{one.url}/{VOLUME}"
    status, text = run(capsys, "explain", url, "0")
    assert (status, "array 0" in text or "/0" in text) == (0, True)
    assert run(capsys, "validate", url)[0] == 0
    assert "verify.no_source" in run(capsys, "verify", url)[1]
    status, text = run(capsys, "verify", url, "--source", str(root / "source"))
    assert (status, "verified" in text) == (0, True), text
    status, text = run(capsys, "explain", f"{one.url}/nothing.ome.zarr")
    assert (status, "result.none" in text) == (1, True)


def test_other_programs_read_a_volume(one: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """zarr-python by obstore, tensorstore by its own client; level 0 equals the raw pages."""
    root = tmp_path / "ds"
    build = fill(root, tmp_path)
    point_to(root, one)
    assert main(["convert", str(root)]) == 0
    pages = np.stack([tifffile.imread(path) for path in sorted((tmp_path / "v").iterdir())])
    bucket, prefix = one.url.removeprefix("s3://").split("/", 1)
    store = S3Store(
        bucket,
        prefix=f"{prefix}/{VOLUME}",
        config={  # type: ignore[arg-type]
            "aws_endpoint_url_s3": one.endpoint,
            "access_key_id": "AKIAPLANTED",
            "secret_access_key": SECRET,
            "region": "us-east-1",
        },
        client_options={"allow_http": True},
    )
    group = zarr.open_group(ObjectStore(store, read_only=True), mode="r", zarr_format=3)
    image = group.attrs["ome"]["multiscales"][0]  # type: ignore[index, call-overload]
    assert np.array_equal(group[image["datasets"][0]["path"]][:], pages)  # type: ignore[index, call-overload]
    kvstore = {
        "driver": "s3",
        "bucket": bucket,
        "path": f"{prefix}/{VOLUME}/0/",
        "endpoint": one.endpoint,
        "aws_region": "us-east-1",
        "aws_credentials": {"type": "environment"},
    }
    opened = tensorstore.open({"driver": "zarr3", "kvstore": kvstore}, read=True).result()
    assert np.array_equal(opened.read().result(), pages)
    assert build.root == root


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


@pytest.mark.parametrize("after", [1, 2, 5])
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
    assert [name for name in after if after[name] != before.get(name)] == ["zarr.json"]
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
    seen: list[str] = []

    def choose(request: Request, _: int) -> str | None:
        if request.method == "PUT" and "/c/" in request.target:
            seen.append("zarr.json" if "zarr.json" in read_volume(one) else "none")
        return None

    with Proxy(one.endpoint, choose) as proxy:
        point_to(root, one, proxy.endpoint)
        status, text = run(capsys, "convert", str(root))
        assert status == 0, text
        puts = [line for line in proxy.requests if line.startswith("PUT")]
    assert set(seen) == {"none"}
    assert puts[-1].split()[1].endswith(f"{VOLUME}/zarr.json")
    point_to(root, one)
    after = read_volume(one)
    local = make_twin(build, tmp_path / "local", one)
    (local / "neuropress.toml").write_text("")
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


@pytest.mark.parametrize("deed", ["change a shard", "change metadata", "delete a shard", "stray", "truncate"])
def test_verify_notices_every_object(
    server: Target, tmp_path: Path, small: None, deed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ds"
    fill(root, tmp_path)
    point_to(root, server)
    assert main(["convert", str(root)]) == 0
    assert main(["verify", str(root)]) == 0
    whole = read_volume(server)
    name = sorted(name for name in whole if name.startswith("1/c/"))[0]
    data = bytearray(whole[name])
    data[len(data) // 3] ^= 1
    key, spoilt, found = {
        "change a shard": (name, bytes(data), ""),
        "change metadata": ("0/zarr.json", whole["0/zarr.json"].replace(b'"z"', b'"q"'), ""),
        "delete a shard": (name, None, "verify.missing_file"),
        "stray": ("1/c/0/notes.txt", b"x", "verify.stray_file"),
        "truncate": (name, whole[name][:-5], ""),
    }[deed]
    server.overwrite(f"{VOLUME}/{key}", spoilt)
    text = run(capsys, "status", str(root), "--json")[1]
    assert "JL_SD_0001" in text
    status, text = run(capsys, "verify", str(root))
    assert (status, "JL_SD_0001" in text, found in text) == (1, True, True), text
    status, text = run(capsys, "publish", str(root), "--to", str(tmp_path / "release"), "--release", "1.0.0")
    assert status == 1


def test_a_release_is_made_of_the_bucket(
    one: Target, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same as from a folder, into a folder and into the same bucket beside the results."""
    build = fill(tmp_path / "ds", tmp_path)
    remote = make_twin(build, tmp_path / "remote", one)
    published = {}
    for root in (build.root, remote):
        assert main(["convert", str(root)]) == 0
        place = tmp_path / f"release of {root.name}"
        status, text = run(capsys, "publish", str(root), "--to", str(place), "--release", "1.0.0")
        assert status == 0, text
        published[root] = {key: data for key, data in files(place).items() if not key.startswith("releases/")}
        assert main(["releases", "verify", str(place), "--deep"]) == 0
    assert published[remote] == published[build.root]
    beside = one.url.rpartition("/")[0] + "/releases here"
    order = ["publish", str(remote), "--release", "1.0.0", "--endpoint", one.endpoint or "", "--to"]
    assert run(capsys, *order, beside)[0] == 0
    status, text = run(capsys, "status", str(remote), "--json")
    assert text.count("1.0.0") == 2
    for inside in (one.url, f"{one.url}/deeper", one.url.rpartition("/")[0]):
        status, text = run(capsys, *order, inside)
        assert (status, "release.target" in text) == (1, True), text


def test_a_result_without_a_row_is_named(
    one: Target, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the bucket; and in output/, where volumes lay before the bucket was named."""
    build = fill(tmp_path / "ds", tmp_path)
    assert main(["convert", str(build.root)]) == 0
    point_to(build.root, one)
    status, text = run(capsys, "convert", str(build.root))
    assert (status, text.count("result.stray"), VOLUME in text) == (0, 1, True), text
    shutil.rmtree(build.root / "output" / VOLUME)
    assert "result.stray" not in run(capsys, "status", str(build.root))[1]
    build.change("sem_dataset", start_date="20250701")
    status, text = run(capsys, "status", str(build.root))
    assert ("result.stray" in text, one.url in text) == (True, True), text


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


def test_a_network_that_fails_makes_no_result_bad(
    one: Target, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 3 and the bucket's name at every moment; what was proven stays, and nothing is made anew."""
    root = tmp_path / "ds"
    fill(root, tmp_path)
    point_to(root, one)
    assert main(["convert", str(root)]) == 0
    whole = read_volume(one)
    for verb in ("verify", "validate", "status", "convert", "coverage"):
        ended = set()
        with Proxy(one.endpoint, lambda request, _: None) as counting:
            point_to(root, one, counting.endpoint)
            assert run(capsys, verb, str(root))[0] == 0
        total = len(counting.requests)
        for after in sorted({0, 1, 2, total // 4, total // 2, 3 * total // 4, total - 2}):

            def choose(request: Request, _: int, after: int = after) -> str | None:
                return "reset before" if len(proxy.requests) > after else None

            with Proxy(one.endpoint, choose) as proxy:
                point_to(root, one, proxy.endpoint)
                status, text = run(capsys, verb, str(root))
            assert (status == 3) is (proxy.caused.total() > 0), (verb, after, text)
            assert status == 0 or one.url in text, text
            ended.add(status)
        assert 3 in ended
    assert read_volume(one) == whole
    point_to(root, one)
    assert "up to date" in run(capsys, "convert", str(root))[1]


def test_what_a_bucket_refuses_is_named(one: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "ds"
    fill(root, tmp_path)
    nowhere = Target("s3://no-such-bucket-of-mine/out", one.server)
    point_to(root, nowhere)
    status, text = run(capsys, "convert", str(root))
    assert (status, "storage.bucket" in text, nowhere.url in text) == (1, True, True), text
    assert main(["check", str(root), "--tables-only"]) == 0


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ('session = "s3://bucket/x"', "volume"),
        ('volume = "/mnt/large"', "s3://bucket/prefix"),
        ('volume = "s3://UPPER/x"', "bucket name"),
        ('volume = "s3://key:secret@bucket/x"', "credentials"),
        ('volume = "s3://bucket/x"\nendpoint = "http://s3.example.org"', "endpoint"),
        ('root = "s3://bucket/x"', "volume"),
        ("volume = 5", "text"),
        ('volume = "s3://bucket/raw/x"\n[source]\nroots = ["s3://bucket/raw"]', "raw files"),
    ],
)
def test_settings_that_are_none_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: str, named: str
) -> None:
    root = Builder(tmp_path / "ds").root
    (root / "neuropress.toml").write_text(f"[output]\n{entry}\n", encoding="utf-8")
    status, text = run(capsys, "check", str(root))
    assert (status, "[output]" in text, named in text, "secret" in text) == (2, True, True, False), text
