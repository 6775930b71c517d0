"""Volumes that lie in a bucket, through the command line: every verb as on a folder, every fault named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorstore
import tifffile
import zarr
from bucket_results import VOLUME, files, fill, make_twin, point_to, read_volume, run
from builder import Builder
from campaigns import campaign
from obstore.store import S3Store
from proxy import Proxy, Request
from servers import SECRET, Target
from zarr.storage import ObjectStore

from neuropress.cli.main import main

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


DEEDS = ("change a shard", "change metadata", "delete a shard", "stray", "truncate")
ON_CEPH = DEEDS[: campaign(1, len(DEEDS))]
"""Ceph RGW takes four times as long for the same requests; one shows that it lists and reads as moto does."""


@pytest.mark.parametrize(
    ("name", "deed"), [*(("bucket", deed) for deed in DEEDS), *(("rgw_bucket", deed) for deed in ON_CEPH)]
)
def test_verify_notices_every_object(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    small: None,
    name: str,
    deed: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server: Target = request.getfixturevalue(name)
    root = tmp_path / "ds"
    fill(root, tmp_path)
    point_to(root, server)
    assert main(["convert", str(root)]) == 0
    assert main(["verify", str(root)]) == 0
    whole = read_volume(server)
    shard = sorted(key for key in whole if key.startswith("1/c/"))[0]
    data = bytearray(whole[shard])
    data[len(data) // 3] ^= 1
    key, spoilt, found = {
        "change a shard": (shard, bytes(data), ""),
        "change metadata": ("0/zarr.json", whole["0/zarr.json"].replace(b'"z"', b'"q"'), ""),
        "delete a shard": (shard, None, "verify.missing_file"),
        "stray": ("1/c/0/notes.txt", b"x", "verify.stray_file"),
        "truncate": (shard, whole[shard][:-5], ""),
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
    (root / "neuropress.toml").write_text(f'profile = "dendritic-consortium"\n[output]\n{entry}\n', encoding="utf-8")
    status, text = run(capsys, "check", str(root))
    assert (status, "[output]" in text, named in text, "secret" in text) == (2, True, True, False), text
