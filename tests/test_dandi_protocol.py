"""Files and volumes go to an archive whole or not at all, once, and go on where they were cut off."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dandi_archive
import pytest
from campaigns import campaign
from dandi_archive import ASSET_PATH, KEY, FakeArchive, etag_of, part_sizes, serve, zarr_checksum
from dandi_driver import FILE, VOLUME, read_members, send_all
from hypothesis import given
from hypothesis import strategies as st

from neuropress.archive import Archive, Dandiset, blobs, digests, find_instance, zarrs
from neuropress.archive.blobs import Blob, send_blob
from neuropress.archive.dandiset import check_path
from neuropress.archive.journal import Journal
from neuropress.archive.metadata import merge_metadata
from neuropress.archive.records import PlacedAsset, UploadRecord, check_record, load_records, put_record
from neuropress.archive.zarrs import send_zarr
from neuropress.model.finding import Finding, Problem
from neuropress.model.progress import no_progress
from neuropress.storage.content import GeneratedBytes, LocalFile
from neuropress.storage.failures import StoreUnavailable
from neuropress.storage.store import open_store

PART = 1000
TREE = {"zarr.json": b"{}", "0/zarr.json": b"[]", "0/c/0/0": b"abc", "0/c/10/0": b"", "1-x": b"1", "1/a": b"2"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeArchive]:
    monkeypatch.setattr(digests, "PART", PART)
    monkeypatch.setattr(dandi_archive, "PART", PART)
    monkeypatch.setattr(zarrs, "FIRST_WAIT", 0.001)
    with serve() as archive:
        yield archive


def connect(fake: FakeArchive, key: str = KEY) -> Dandiset:
    return Dandiset(Archive(find_instance(f"{fake.url}/api"), key, (0.001, 0.002)), "000123")


def make_blob(data: bytes) -> Blob:
    content = GeneratedBytes("a.nwb", data)
    etag = digests.digest_blob(content, len(data), hashlib.sha256(data).hexdigest(), no_progress)
    return Blob(content, len(data), etag)


def sent_parts(fake: FakeArchive) -> list[str]:
    return [path for method, path, _, _ in fake.seen if method == "PUT" and path.startswith("/s3/")]


def lay_out(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


# Figures of dandischema 0.14 and zarr-checksum 0.4.7.


@pytest.mark.parametrize(
    ("size", "parts", "first", "last"),
    [
        (1, 1, 1, 1),
        (2**26 + 1, 2, 2**26, 1),
        (2**26 * 9999, 9999, 2**26, 2**26),
        (2**26 * 9999 + 1, 10_000, 67_102_154, 67_093_291),
        (5 * 2**40, 10_000, 549_755_814, 549_754_694),
    ],
)
def test_parts_are_those_of_the_archive(size: int, parts: int, first: int, last: int) -> None:
    listed = digests.list_parts(size)
    assert (len(listed), listed[0].size, listed[-1].size) == (parts, first, last)
    assert listed[-1].offset + listed[-1].size == size
    assert part_sizes(size) == [part.size for part in listed]


def test_a_volume_s_checksum_is_that_of_the_archive() -> None:
    files = {name: (hashlib.md5(data).hexdigest(), len(data)) for name, data in TREE.items()}
    assert digests.digest_tree(files) == zarr_checksum(TREE) == "8c371c764cd15e8dd71c691a65aa4431-6--9"


@given(st.dictionaries(st.lists(st.sampled_from("ab0-é"), min_size=1, max_size=3).map("/".join), st.binary(max_size=3)))
def test_any_tree_has_the_checksum_of_its_leaves(files: dict[str, bytes]) -> None:
    leaves = {path: data for path, data in files.items() if not any(other.startswith(f"{path}/") for other in files)}
    entries = {name: (hashlib.md5(data).hexdigest(), len(data)) for name, data in leaves.items()}
    assert digests.digest_tree(entries) == zarr_checksum(leaves)


def test_a_file_goes_in_parts_once_and_its_bytes_are_known_ever_after(fake: FakeArchive, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(2 * PART + 1)
    blob = make_blob(data)
    assert blob.etag == etag_of([data[:PART], data[PART : 2 * PART], data[2 * PART :]])
    stored = send_blob(connect(fake), blob, tmp_path, no_progress)
    assert fake.blobs[stored] == (blob.etag, data)
    assert len(sent_parts(fake)) == 3
    assert send_blob(connect(fake), blob, tmp_path, no_progress) == stored
    assert len(sent_parts(fake)) == 3
    assert list(tmp_path.iterdir()) == []
    assert not any(known for _, path, known, _ in fake.seen if path.startswith("/s3/"))


def test_addresses_that_expired_are_asked_for_again(fake: FakeArchive, tmp_path: Path) -> None:
    blob = make_blob(b"x" * (3 * PART))
    begun = Journal(tmp_path, f"{connect(fake).archive.instance.name}-000123-{blob.etag}")
    begun.begin("00000000-0000-0000-0000-000000000000", [f"{fake.url}/s3/uploads/gone/{n}?sig=1" for n in (1, 2, 3)])
    assert oct((tmp_path / next(tmp_path.iterdir()).name).stat().st_mode)[-3:] == "600"
    stored = send_blob(connect(fake), blob, tmp_path, no_progress)
    assert fake.blobs[stored][0] == blob.etag
    fake.expired = True
    with pytest.raises(Problem, match="expired") as refused:
        send_blob(connect(fake), make_blob(b"y"), tmp_path, no_progress)
    assert refused.value.finding.id == "dandi.refused"


def test_a_file_that_changes_is_not_taken_for_the_one_that_was_proven(fake: FakeArchive, tmp_path: Path) -> None:
    path = tmp_path / "a.nwb"
    path.write_bytes(b"x" * (2 * PART))
    blob = Blob(LocalFile(path), 2 * PART, make_blob(path.read_bytes()).etag)
    path.write_bytes(b"y" * (2 * PART))
    with pytest.raises(Problem) as changed:
        send_blob(connect(fake), blob, tmp_path / "j", no_progress)
    assert changed.value.finding.id == "storage.changed"
    assert fake.blobs == {}
    with pytest.raises(Problem, match="changed"):
        digests.digest_blob(LocalFile(path), 2 * PART, "0" * 64, no_progress)


@given(st.binary(max_size=200))
def test_a_journal_that_is_no_journal_is_nothing(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "a.jsonl").write_bytes(data)
    assert Journal(folder, "a").load() is None
    whole = b'{"upload_id": "u", "urls": ["https://a"]}\n{"part": 1, "etag": "e"}\n'
    (folder / "a.jsonl").write_bytes(whole + b'{"part": 2, "et')
    sent = Journal(folder, "a").load()
    assert sent is not None
    assert (sent.upload_id, sent.etags) == ("u", {1: "e"})


def test_a_volume_becomes_what_it_is_here(fake: FakeArchive, tmp_path: Path) -> None:
    volume = lay_out(tmp_path / "v", TREE)
    dandiset = connect(fake)
    id = send_zarr(dandiset, VOLUME, read_members(volume), "", no_progress)
    assert fake.zarrs[id].files == TREE
    assert fake.zarrs[id].checksum == zarr_checksum(TREE)
    before = len(sent_parts(fake))
    assert send_zarr(dandiset, VOLUME, read_members(volume), "", no_progress) == id  # found by its name
    assert len(sent_parts(fake)) == before
    (volume / "1-x").unlink()
    lay_out(volume, {"0/c/0/0": b"abd", "2": b"3"})
    send_zarr(dandiset, VOLUME, read_members(volume), id, no_progress)
    assert fake.zarrs[id].files == {**{k: v for k, v in TREE.items() if k != "1-x"}, "0/c/0/0": b"abd", "2": b"3"}
    assert sorted(path.rpartition(f"{id}/")[2] for path in sent_parts(fake)[before:]) == ["0/c/0/0", "2"]


def test_passing_faults_are_tried_again_and_lasting_ones_told(fake: FakeArchive, tmp_path: Path) -> None:
    fake.before = lambda number, method, path: (503, "busy") if number % 3 == 1 else None
    blob = make_blob(b"x" * 2500)
    stored = send_blob(connect(fake), blob, tmp_path, no_progress)
    assert fake.blobs[stored][0] == blob.etag
    fake.before = lambda number, method, path: (503, f"busy {KEY}")
    with pytest.raises(StoreUnavailable, match=r"503: .busy \*\*\*"):
        connect(fake).list_assets()
    fake.before = lambda number, method, path: (200, "no page")
    with pytest.raises(Problem, match="cannot be read"):
        connect(fake).list_assets()


def test_an_answer_that_was_lost_makes_nothing_twice(fake: FakeArchive) -> None:
    fake.blobs["b"] = ("e", b"x")
    dandiset = connect(fake)
    about = {"path": FILE, "schemaVersion": "", "encodingFormat": "", "access": [], "digest": {}, "contentSize": 1}
    dandiset.place_asset(about, {"blob_id": "b"}, None)
    dandiset.place_asset(about, {"blob_id": "b"}, None)
    assert list(fake.assets) == [FILE]


def test_keys_accounts_and_addresses(fake: FakeArchive) -> None:
    with pytest.raises(Problem, match="without the key"):
        connect(fake, "").check_account()
    with pytest.raises(Problem) as refused:
        connect(fake, "another-key").check_account()
    assert refused.value.finding.id == "dandi.key"
    assert "another-key" not in refused.value.finding.message
    with pytest.raises(Problem, match="characters"):
        connect(fake, "a\r\nHost: b")
    connect(fake).check_account()
    with pytest.raises(Problem) as absent:
        Dandiset(connect(fake).archive, "000999").check_account()
    assert absent.value.finding.id == "dandi.dandiset"
    assert KEY not in repr(connect(fake))
    for text in (
        "dandy",
        "http://example.org/api",
        "https://",
        "https://me:pw@example.org",
        "ftp://127.0.0.1",
        "https://[x",
    ):
        with pytest.raises(Problem) as bad:
            find_instance(text)
        assert bad.value.finding.id == "dandi.instance"
    assert find_instance("https://api.dandiarchive.org/api/").name == "dandi"
    # Whoever is asked may answer with another address: the key stays.
    fake.before = lambda number, method, path: None
    with pytest.raises(Problem):
        connect(fake).archive.get("/info")  # the fake leads to /info/


def test_what_people_wrote_at_the_archive_stays() -> None:
    there = {"name": "Theirs", "contributor": [{"name": "B, C", "identifier": "0000-0002-1825-0097"}], "license": ["x"]}
    draft = {
        "name": "Ours",
        "description": "d",
        "license": ["y"],
        "contributor": [{"name": "B, Chris", "identifier": "0000-0002-1825-0097"}, {"name": "D, E"}],
        "relatedResource": [{"url": "https://a"}],
    }
    merged = merge_metadata(there, draft)
    assert merged["name"] == "Theirs"
    assert merged["license"] == ["x"]
    assert [one["name"] for one in merged["contributor"]] == ["B, C", "D, E"]
    assert (merged["description"], merged["relatedResource"]) == ("d", [{"url": "https://a"}])
    assert merge_metadata(merged, draft) == merged


@given(st.text(st.sampled_from("aZ0-_+~# [^`/ä*:.\\\t"), min_size=1, max_size=40))
def test_paths_that_the_archive_refuses_are_refused_here(text: str) -> None:
    """Those with a part that begins or ends in a dot apart: names of ours have none."""
    path = "/".join(filter(None, (part.replace(".", "x") for part in text.split("/")))) + ".nwb"
    taken = bool(ASSET_PATH.match(path)) and not set(path) & set("\\\t")
    try:
        check_path(path)
    except Problem:
        assert not taken, path
    else:
        assert taken, path


def test_records_are_created_once_and_compared(fake: FakeArchive, tmp_path: Path) -> None:
    store = open_store(str(tmp_path), write=True)
    dandiset = connect(fake)
    fake.blobs["b"] = ("e" * 32 + "-1", b"x")
    about = {"path": FILE, "schemaVersion": "", "encodingFormat": "", "access": [], "digest": {}, "contentSize": 1}
    dandiset.place_asset(about, {"blob_id": "b"}, None)
    asset = dandiset.list_assets()[FILE]
    placed = PlacedAsset("a.nwb", asset.asset_id, 1, asset.digest, "0" * 64)
    instance = dandiset.archive.instance
    record = UploadRecord(instance.name, instance.api, "000123", "draft", "1.0.0", "f" * 64, {FILE: placed})
    key = put_record(store, record)
    assert key == put_record(store, record) == "releases/1.0.0/dandi/000123.json"
    assert load_records(store, "1.0.0") == {key: record}
    assert list(check_record(record, KEY, key)) == []
    assert not any(known for _, path, known, _ in fake.seen[-1:] if path)  # the key goes to no address of a record
    fake.blobs["b"] = ("d" * 32 + "-1", b"y")
    assert [f.id for f in check_record(record, KEY, key)] == ["dandi.differs"]
    fake.assets.clear()
    assert [f.id for f in check_record(record, KEY, key)] == ["dandi.gone"]
    other = UploadRecord(instance.name, instance.api, "000123", "draft", "1.0.0", "f" * 64, {})
    assert put_record(store, other) == "releases/1.0.0/dandi/000123.r2.json"
    assert load_records(store, "1.0.0") == {"releases/1.0.0/dandi/000123.r2.json": other}
    assert put_record(store, record) == "releases/1.0.0/dandi/000123.r3.json"  # as it was once, and is again
    assert put_record(store, record) == "releases/1.0.0/dandi/000123.r3.json"
    own = replace(record, release="", manifest="")
    assert put_record(store, own) == "dandi/000123.json"
    assert load_records(store, "") == {"dandi/000123.json": own}
    (tmp_path / key).write_text("{}")
    (damaged,) = (f for f in load_records(store, "1.0.0").values() if isinstance(f, Finding))
    assert damaged.id == "dandi.record"


def test_a_process_killed_at_any_moment_goes_on(fake: FakeArchive, tmp_path: Path) -> None:
    """Killed before or after the archive did what it was asked for; the next run ends it, and sends few bytes twice."""
    chance = random.Random(5)
    data = chance.randbytes(12 * PART + 7)
    (tmp_path / "a.nwb").write_bytes(data)
    files = {"zarr.json": b"{}", **{f"0/c/{n}": chance.randbytes(50) for n in range(8)}}
    volume = lay_out(tmp_path / "v", files)
    with serve() as sample:
        send_all(connect(sample), tmp_path / "sample", tmp_path / "a.nwb", volume)
        requests = len(sample.seen)
    command = [sys.executable, str(Path(__file__).with_name("dandi_driver.py"))]
    command += [f"{fake.url}/api", str(tmp_path / "j"), str(tmp_path / "a.nwb"), str(volume), str(PART)]
    kills = 0
    for _ in range(campaign(3, 20)):
        moment, is_after = chance.randrange(1, requests), chance.random() < 0.5
        start = len(fake.seen)
        child = subprocess.Popen(command, env={**os.environ, "DANDI_API_KEY": KEY}, stderr=subprocess.PIPE)

        def kill(
            number: int, method: str, path: str, at: int = start + moment, child: subprocess.Popen = child
        ) -> None:
            if number == at and child.poll() is None:
                os.kill(child.pid, signal.SIGKILL)
                child.wait()

        fake.before = (lambda *_: None) if is_after else kill
        fake.after = kill if is_after else (lambda *_: None)
        _, errors = child.communicate(timeout=60)
        assert child.returncode in (0, -signal.SIGKILL), errors.decode()
        kills += child.returncode != 0
        if child.returncode == 0:  # all was there before the moment came: begin anew
            fake.assets.clear()
            fake.blobs.clear()
            fake.zarrs.clear()
    assert kills
    fake.before = fake.after = lambda *_: None
    send_all(connect(fake), tmp_path / "j", tmp_path / "a.nwb", volume)
    (asset,) = (a for a in fake.assets.values() if a["blob"])
    assert fake.blobs[asset["blob"]][1] == data
    (zarr,) = fake.zarrs.values()
    assert (zarr.files, zarr.status, zarr.checksum) == (files, "Complete", zarr_checksum(files))
    assert set(fake.assets) == {FILE, VOLUME}
    assert list((tmp_path / "j").iterdir()) == []
    assert len(sent_parts(fake)) <= (campaign(3, 20) + 1) * (13 + len(files))
    before = len(sent_parts(fake))
    send_all(connect(fake), tmp_path / "j", tmp_path / "a.nwb", volume)
    assert len(sent_parts(fake)) == before
    assert blobs.WORKERS < 13
