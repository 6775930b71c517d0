"""Publishing to a folder and to a bucket."""

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from neuropress.model.finding import Problem
from neuropress.release import (
    Asset,
    PublishResult,
    draft_release,
    list_releases,
    open_destination,
    publish_assets,
    publish_draft,
    read_release,
    verify_release,
)
from neuropress.storage.store import SMALL, Store

NWB = "yuste/20250620/session/nwb/RY_S_0001.nwb"
VOLUME = "yuste/20250620/em/ome-zarr/RY_E_0001.ome.zarr"
RAW = "yuste/20250620/ephys/raw/cell 1 ü µ"
CHUNKS = {"zarr.json": b"{}", "0/zarr.json": b"[]", "0/c/0/0": b"chunk", "0/c/0/1": b"", ".zattrs": b"hidden"}


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


@pytest.fixture
def ds(tmp_path: Path) -> Path:
    raw = {"日本 100%.abf": b"abf", "a/b+c&d=e#1.txt": b"text"}
    write(tmp_path / "ds", {"s.nwb": b"nwb bytes", **{f"v.ome.zarr/{k}": v for k, v in CHUNKS.items()}})
    write(tmp_path / "ds" / "raw", raw)
    return tmp_path / "ds"


@pytest.fixture
def assets(ds: Path) -> list[Asset]:
    receipt = {"version": "0.1.0", "inputs": ("a", "b")}
    return [
        Asset(VOLUME, "ome-zarr", ds / "v.ome.zarr"),
        Asset(NWB, "nwb", ds / "s.nwb", receipt),
        Asset(RAW, "raw", ds / "raw"),
    ]


def send(target: Any, assets: Sequence[Asset], number: str = "1.0.0", **options: Any) -> PublishResult:
    options = {"title": "Dendrites", "license": "CC-BY-4.0", **options}
    return publish_assets(assets, target.url, number, endpoint=target.endpoint, **options)


def verify(target: Any, number: str | None = None, *, deep: bool = True) -> list[str]:
    return [f.id for f in verify_release(target.url, number, deep=deep, endpoint=target.endpoint)]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_first_release(target, assets, ds):
    done = send(target, assets, notes={"reason": "first"})
    assert (done.committed, done.parent, done.key) == (True, None, "releases/1.0.0.json")
    assert (done.objects, done.present, done.assets, done.new, done.unchanged) == (8, 0, 3, 3, 0)
    assert done.bytes == sum(p.stat().st_size for p in ds.rglob("*") if p.is_file())
    assert target.data() == {
        NWB: b"nwb bytes",
        **{f"{VOLUME}/{name}": data for name, data in CHUNKS.items()},
        f"{RAW}/日本 100%.abf": b"abf",
        f"{RAW}/a/b+c&d=e#1.txt": b"text",
    }
    assert verify(target) == []
    release = json.loads(target.objects()["releases/1.0.0.json"])
    assert (release["format"], release["number"], release["parent"]) == (1, "1.0.0", None)
    assert (release["license"], release["title"], release["notes"]) == ("CC-BY-4.0", "Dendrites", {"reason": "first"})
    assert release["assets"][NWB] == {
        "key": NWB,
        "kind": "nwb",
        "size": 9,
        "files": 1,
        "sha256": sha256(b"nwb bytes"),
        "manifest": None,
        "provenance": {"version": "0.1.0", "inputs": ["a", "b"]},
    }


def test_manifest_of_a_folder_is_named_by_its_digest(target, assets):
    send(target, assets)
    objects = target.objects()
    entry = json.loads(objects["releases/1.0.0.json"])["assets"][VOLUME]
    manifest = objects[entry["manifest"]]
    assert entry["manifest"] == f"releases/manifests/{entry['sha256']}.jsonl"
    assert sha256(manifest) == entry["sha256"]
    rows = [json.loads(line) for line in manifest.splitlines()]
    assert rows == [{"path": p, "size": len(b), "sha256": sha256(b)} for p, b in sorted(CHUNKS.items())]


def test_text_for_people_and_hint(target, assets):
    send(target, assets)
    objects = target.objects()
    readme = objects["releases/1.0.0/README.md"].decode()
    assert readme.startswith("# Dendrites 1.0.0\n\n- License: CC-BY-4.0\n")
    assert f"| {NWB} | nwb | `{NWB}` | 1 | 9 | {sha256(b'nwb bytes')} |" in readme
    committed = sha256(objects["releases/1.0.0.json"])
    assert json.loads(objects["releases/latest.json"]) == {"number": "1.0.0", "sha256": committed}


def test_same_number_and_content_does_nothing(target, assets):
    send(target, assets)
    before = target.objects()
    done = send(target, list(reversed(assets)))
    assert (done.committed, done.objects, done.bytes, done.unchanged) == (False, 0, 0, 3)
    assert target.objects() == before


def test_without_change_nothing_is_sent_again(target, assets, monkeypatch):
    send(target, assets)
    before = target.data()
    for name in ("upload", "get_sha256", "get_size", "read_sha256"):
        monkeypatch.setattr(Store, name, lambda *_: pytest.fail("asked about unchanged data"))
    done = send(target, assets, "1.1.0")
    assert (done.committed, done.parent, done.objects, done.bytes, done.unchanged) == (True, "1.0.0", 0, 0, 3)
    assert target.data() == before
    first, second = (target.objects()[f"releases/{n}.json"] for n in ("1.0.0", "1.1.0"))
    assert json.loads(second)["parent"] == {"number": "1.0.0", "sha256": sha256(first)}
    assert json.loads(second)["assets"] == json.loads(first)["assets"]


@pytest.mark.s3
def test_requests_of_a_publish_without_change(bucket, assets):
    send(bucket, assets)
    seen = len(bucket.server.requests())
    send(bucket, assets, "1.1.0")
    plain = (re.sub(r"\x1b\[\d+m", "", r) for r in bucket.server.requests()[seen:])  # moto colours what is not found
    requests = [r.split("?")[0].replace("%20", " ") for r in plain]
    place = "/" + bucket.url.removeprefix("s3://")
    assert requests == [
        f"GET /{bucket.url.removeprefix('s3://').split('/')[0]}",
        f"GET {place}/releases/1.0.0.json",
        f"PUT {place}/releases/next/1.0.0.json",
        f"PUT {place}/releases/1.1.0.json",
        f"PUT {place}/releases/1.1.0/README.md",
        f"PUT {place}/releases/latest.json",
        f"GET {place}/releases/next/1.1.0.json",
    ]


def test_correction_lies_beside_the_original(target, assets, ds):
    send(target, assets)
    old = target.data()
    (ds / "s.nwb").write_bytes(b"corrected")
    (ds / "v.ome.zarr/0/c/0/0").write_bytes(b"other")
    done = send(target, assets, "1.1.0")
    assert (done.new, done.changed, done.unchanged, done.objects) == (0, 2, 1, 6)
    new = target.data()
    assert {k: new[k] for k in old} == old
    assert new[NWB.replace(".nwb", ".r2.nwb")] == b"corrected"
    assert new[VOLUME.replace(".ome.zarr", ".r2.ome.zarr") + "/0/c/0/0"] == b"other"
    assert verify(target, "1.0.0") == verify(target, "1.1.0") == []
    release = read_release(target.url, endpoint=target.endpoint)
    assert (release.number, release.assets[NWB].key) == ("1.1.0", NWB.replace(".nwb", ".r2.nwb"))


def test_third_content_and_return_to_the_first(target, assets, ds):
    keys = []
    for patch, data in enumerate([b"one", b"two", b"three", b"one"]):
        (ds / "s.nwb").write_bytes(data)
        done = send(target, assets, f"1.0.{patch}")
        keys.append(read_release(target.url, endpoint=target.endpoint).assets[NWB].key)
    assert [k.removeprefix(NWB.removesuffix(".nwb")) for k in keys] == [".nwb", ".r2.nwb", ".r3.nwb", ".nwb"]
    assert (done.objects, done.present, done.changed) == (0, 1, 1)


def test_removed_asset_stays_in_the_old_release(target, assets):
    send(target, assets)
    send(target, assets[:1], "2.0.0")
    assert list(read_release(target.url, endpoint=target.endpoint).assets) == [VOLUME]
    assert verify(target, "1.0.0") == []


def test_taken_number(target, assets, ds):
    send(target, assets)
    send(target, assets, "1.4.0")
    before = target.objects()
    (ds / "s.nwb").write_bytes(b"corrected")
    with pytest.raises(Problem) as caught:
        send(target, assets)
    assert caught.value.finding.id == "release.taken"
    assert caught.value.finding.hint == "A new release has 1.4.0 as its parent; the next free number is 1.4.1."
    assert target.objects() == before
    with pytest.raises(Problem) as caught:
        send(target, assets, "1.3.9")
    assert caught.value.finding.id == "release.order"
    assert "1.4.1" in caught.value.finding.hint


@pytest.mark.parametrize("option", [{"license": "CC0-1.0"}, {"title": "Other"}, {"notes": {"a": 1}}])
def test_taken_number_with_another_description(target, assets, option):
    send(target, assets)
    with pytest.raises(Problem) as caught:
        send(target, assets, **option)
    assert caught.value.finding.id == "release.taken"


def test_foreign_bytes_are_never_overwritten(target, assets):
    target.overwrite(NWB, b"foreign 9")
    target.overwrite(f"{VOLUME}/0/c/0/0", b"stale")
    target.overwrite(f"{RAW}/extra", b"")
    send(target, assets)
    data = target.data()
    assert (data[NWB], data[f"{VOLUME}/0/c/0/0"], data[f"{RAW}/extra"]) == (b"foreign 9", b"stale", b"")
    keys = {name: entry.key for name, entry in read_release(target.url, endpoint=target.endpoint).assets.items()}
    assert keys == {
        NWB: NWB.replace(".nwb", ".r2.nwb"),
        VOLUME: VOLUME.replace(".ome.zarr", ".r2.ome.zarr"),
        RAW: f"{RAW}.r2",
    }
    assert verify(target) == []


def test_a_key_that_was_given_away_stays_free_for_its_owner(target, assets, ds):
    """Another publisher has claimed two keys and sent nothing yet; its bytes must find their places."""
    for key in (NWB, VOLUME):
        text = json.dumps({"key": key, "sha256": sha256(b"another's")}, separators=(",", ":"))
        target.overwrite(f"releases/claims/{sha256(key.encode())}.json", f"{text}\n".encode())
    send(target, assets)
    keys = {name: entry.key for name, entry in read_release(target.url, endpoint=target.endpoint).assets.items()}
    assert keys == {NWB: NWB.replace(".nwb", ".r2.nwb"), VOLUME: VOLUME.replace(".ome.zarr", ".r2.ome.zarr"), RAW: RAW}
    assert NWB not in target.data()
    assert not [key for key in target.data() if key.startswith(f"{VOLUME}/")]
    assert verify(target) == []


def test_equal_bytes_that_lie_there_are_taken(target, assets):
    target.overwrite(NWB, b"nwb bytes")
    done = send(target, assets)
    assert (done.objects, done.present) == (7, 1)
    assert read_release(target.url, endpoint=target.endpoint).assets[NWB].key == NWB


def test_interrupted_publish_resumes(target, assets, monkeypatch):
    real, sent = Store.upload, []

    def failing(self: Store, path: Path, key: str, *rest: Any) -> bool:
        if len(sent) >= 4:
            raise OSError("cable pulled")
        sent.append(key)
        return real(self, path, key, *rest)

    monkeypatch.setattr("neuropress.release.sending.WORKERS", 1)
    monkeypatch.setattr(Store, "upload", failing)
    with pytest.raises(OSError, match="cable pulled"):
        send(target, assets)
    assert list_releases(target.url, target.endpoint) == ()
    assert len(target.data()) == 4
    monkeypatch.setattr(Store, "upload", real)
    done = send(target, assets)
    assert (done.objects, done.present, done.committed) == (4, 4, True)
    assert not [key for key in target.data() if ".r2" in key]
    assert verify(target) == []


KILLED = """
import json, os, sys
from pathlib import Path
from neuropress.release import Asset, publish_assets
from neuropress.storage.store import Store
url, endpoint, method, calls, assets = json.loads(sys.argv[1])
real, seen = getattr(Store, method), []
def dying(self, *args):
    seen.append(args)
    if len(seen) > calls or args[0] == "releases/1.0.0.json":
        os._exit(9)
    return real(self, *args)
setattr(Store, method, dying)
publish_assets([Asset(n, k, Path(p)) for n, k, p in assets], url, "1.0.0", title="Dendrites", license="CC-BY-4.0",
        endpoint=endpoint)
"""


@pytest.mark.parametrize(
    ("method", "calls", "visible"), [("upload", 3, False), ("create", 99, False), ("replace", 0, True)]
)
def test_killed_process(target, assets, method, calls, visible):
    plain = [dataclasses.replace(asset, provenance={}) for asset in assets]
    facts = [target.url, target.endpoint, method, calls, [(a.name, a.kind, str(a.content)) for a in plain]]
    died = subprocess.run([sys.executable, "-c", KILLED, json.dumps(facts)], timeout=60, check=False)
    assert died.returncode == 9
    assert list_releases(target.url, target.endpoint) == (("1.0.0",) if visible else ())
    done = send(target, plain)
    assert done.committed is not visible
    assert done.objects + done.present == (0 if visible else 8)
    assert "releases/1.0.0/README.md" in target.objects()
    assert len(target.data()) == 8
    assert verify(target) == []


def test_concurrent_publishers_one_wins(target, tmp_path):
    count = 12
    barrier = threading.Barrier(count)
    outcomes: dict[int, PublishResult | Problem] = {}

    def run(index: int) -> None:
        files = {"s.nwb": b"nwb %d" % index, "v.zarr/zarr.json": b"{}", "v.zarr/c": b"%d" % index, "same": b"same"}
        folder = write(tmp_path / f"ds{index}", files)
        mine = [Asset(n, "x", folder / p) for n, p in (("a/s.nwb", "s.nwb"), ("a/v.zarr", "v.zarr"), ("b", "same"))]
        barrier.wait()
        try:
            outcomes[index] = send(target, mine)
        except Problem as error:
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [i for i, outcome in outcomes.items() if isinstance(outcome, PublishResult)]
    losers = {i: outcome.finding for i, outcome in outcomes.items() if isinstance(outcome, Problem)}
    assert len(winners) == 1
    assert len(losers) == count - 1
    assert {f.id for f in losers.values()} == {"release.taken"}
    assert all("the next free number is 1.0.1" in f.hint for f in losers.values())
    assert verify(target) == []
    release = read_release(target.url, endpoint=target.endpoint)
    assert target.data()[release.assets["a/s.nwb"].key] == b"nwb %d" % winners[0]
    loser = tmp_path / f"ds{next(iter(losers))}"
    done = send(target, [Asset("a/s.nwb", "x", loser / "s.nwb")], "1.0.1")
    assert (done.parent, done.objects, done.present) == ("1.0.0", 0, 1)
    assert verify(target, "1.0.1") == []


def test_concurrent_publishers_of_equal_content_all_succeed(target, assets):
    barrier = threading.Barrier(6)
    outcomes: list[PublishResult] = []

    def run() -> None:
        barrier.wait()
        outcomes.append(send(target, assets))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    assert any(done.committed for done in outcomes)
    assert len(target.data()) == 8
    assert verify(target) == []


def test_large_file_goes_in_parts(target, tmp_path):
    data = b"".join(i.to_bytes(4, "little") for i in range(5 * 2**20))
    write(tmp_path / "ds", {"big.nwb": data, "edge.nwb": data[:SMALL]})
    received: list[int] = []
    big = [Asset(f"a/{n}", "nwb", tmp_path / "ds" / n) for n in ("big.nwb", "edge.nwb")]
    done = send(target, big, progress=received.append)
    assert (done.objects, done.bytes, sum(received)) == (2, len(data) + SMALL, len(data) + SMALL)
    assert target.data() == {"a/big.nwb": data, "a/edge.nwb": data[:SMALL]}
    assert verify(target) == []


@pytest.mark.parametrize("size", [10, 20 * 2**20])
def test_file_that_changes_meanwhile(target, tmp_path, size):
    path = write(tmp_path / "ds", {"x.nwb": bytes(size)}) / "x.nwb"
    with pytest.raises(Problem) as caught:
        send(target, [Asset("a/x.nwb", "nwb", path)], digests=lambda _: sha256(b"before"))
    assert caught.value.finding.id == "storage.changed"
    assert target.data() == {}
    assert list_releases(target.url, target.endpoint) == ()


def test_dry_run_writes_nothing(target, assets, ds):
    done = send(target, assets, dry_run=True)
    assert (done.committed, done.objects, done.new) == (False, 8, 3)
    assert not os.path.exists(target.url)
    assert target.server is None or target.objects() == {}
    send(target, assets)
    before = target.objects()
    (ds / "s.nwb").write_bytes(b"corrected")
    done = send(target, assets, "1.0.1", dry_run=True)
    assert (done.parent, done.objects, done.bytes, done.changed) == ("1.0.0", 1, 9, 1)
    assert target.objects() == before


def test_calendar_numbers(target, assets):
    send(target, assets, "2025.06.30")
    with pytest.raises(Problem) as caught:
        send(target, assets[:1], "2025.06.30")
    assert "2025.07.01" in caught.value.finding.hint
    assert send(target, assets[:1], "2025.07.01").parent == "2025.06.30"


def refusal(*args: Any, **options: Any) -> str:
    with pytest.raises(Problem) as caught:
        publish_assets(*args, **{"title": "T", "license": "CC0-1.0", **options})
    return caught.value.finding.id


def test_a_draft_without_a_licence_is_not_sent(tmp_path, ds):
    draft = draft_release(open_destination(str(tmp_path / "out"), "1.0.0"), [Asset("a/x", "raw", ds / "s.nwb")])
    with pytest.raises(Problem, match="has no licence"):
        publish_draft(draft, title="T", license=" ")
    assert list_releases(str(tmp_path / "out")) == ()


def test_refusals_before_anything_is_written(tmp_path, assets, ds):
    url = str(tmp_path / "out")
    one = [Asset("a/x", "raw", ds / "s.nwb")]
    assert refusal([], url, "1.0.0") == "release.empty"
    assert refusal(one, url, "v1") == "release.number"
    assert refusal(one, url, "1.0.0", license=" ") == "release.license"
    assert refusal([*one, *one], url, "1.0.0") == "release.asset"
    assert refusal([*one, Asset("a/x/y", "raw", ds / "raw")], url, "1.0.0") == "release.asset"
    assert refusal(one, str(ds), "1.0.0", dataset=ds) == "release.target"
    assert refusal(one, str(ds / "out"), "1.0.0", dataset=ds) == "release.target"
    assert refusal(one, str(tmp_path), "1.0.0", dataset=ds) == "release.target"
    assert refusal(assets, str(ds / "raw" / "out"), "1.0.0") == "release.target"
    for name in ("releases/x", "../x", "/x", "a//x", "a\\x", "a/x/", "C:x", "a/\nx", "a/\udcff"):
        assert refusal([Asset(name, "raw", ds / "s.nwb")], url, "1.0.0") == "release.asset"
    assert not os.path.exists(url)


def test_assets_that_cannot_be_published(tmp_path, ds):
    url = str(tmp_path / "out")
    (tmp_path / "empty").mkdir()
    assert refusal([Asset("a", "raw", tmp_path / "none")], url, "1.0.0") == "release.asset"
    assert refusal([Asset("a", "raw", tmp_path / "empty")], url, "1.0.0") == "release.asset"
    assert refusal([Asset("a #1", "raw", ds / "s.nwb")], url, "1.0.0") == "release.asset"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_not_followed_out(tmp_path, ds):
    private = write(tmp_path / "private", {"x": b""})
    link = ds / "raw" / "link"
    for goal, id in ((private, "path.outside"), (private / "x", "path.outside"), (ds / "raw" / "a", "release.asset")):
        link.symlink_to(goal)
        assert refusal([Asset("a", "raw", ds / "raw")], str(tmp_path / "out"), "1.0.0") == id
        link.unlink()
