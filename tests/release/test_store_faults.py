"""Each fault between the store's door and a server, one at a time: overcome, or named for what it is."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rgw
from proxy import FAULTS, Proxy, Request, suits

from neuropress.release import Asset, StoreUnavailable, publish_assets, verify_release
from neuropress.storage.content import LocalFile
from neuropress.storage.parallel import run_all
from neuropress.storage.store import SMALL, Store, open_store

pytestmark = pytest.mark.s3

THERE = random.Random(1).randbytes(300_000)
LARGE = random.Random(2).randbytes(SMALL + 6 * 2**20)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuropress.storage.store.CLIENT", {"timeout": "20s", "read_timeout": "1s"})
    monkeypatch.setattr("neuropress.storage.store.PART", 5 * 2**20)
    monkeypatch.setattr("neuropress.storage.store.PAUSES", (0.02,) * 5)
    monkeypatch.setattr("neuropress.storage.store.RETRY", {"max_retries": 0})  # the worst case: our own repeats only


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def upload(store: Store, folder: Path, data: bytes, key: str) -> tuple[bool, int]:
    """Whether the file was sent, and how many bytes the progress counts."""
    (folder / "file").write_bytes(data)
    counted: list[int] = []
    sent = store.upload(LocalFile(folder / "file"), key, len(data), sha256(data), counted.append)
    return sent, sum(counted)


def read_pieces(store: Store) -> bytes:
    with store.open("there") as file:
        file.seek(-1000, 2)
        end = file.read()
        file.seek(0)
        return file.read(1000) + end


OPERATIONS: dict[str, tuple[Callable[[Store, Path], Any], Any]] = {
    "create": (lambda store, _: (store.create("new", b"bytes"), store.get("new")), (True, b"bytes")),
    "create on another": (lambda store, _: (store.create("there", b"x"), store.get("there")), (False, THERE)),
    "replace": (lambda store, _: (store.replace("new", b"bytes"), store.get("new")), (None, b"bytes")),
    "get": (lambda store, _: store.get("there"), THERE),
    "get nothing": (lambda store, _: store.get("not there"), None),
    "size": (lambda store, _: (store.get_size("there"), store.get_size("not there")), (len(THERE), None)),
    "sha256": (lambda store, _: (store.get_sha256("there"), store.read_sha256("there")), (sha256(THERE),) * 2),
    "list": (lambda store, _: list(store.list_objects("")), [("folder/a", 1), ("there", len(THERE))]),
    "names": (lambda store, _: store.list_names(""), (("there",), ("folder",))),
    "open": (lambda store, _: read_pieces(store), THERE[:1000] + THERE[-1000:]),
    "upload": (lambda store, folder: upload(store, folder, b"small", "new"), (True, 5)),
    "upload in parts": (lambda store, folder: upload(store, folder, LARGE, "new"), (True, len(LARGE))),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_is_overcome(true_bucket: Any, tmp_path: Path, operation: str, fault: str) -> None:
    """At whichever request of the operation it comes."""
    if fault == "corrupted request" and rgw.missing_programs():
        pytest.skip("moto takes any bytes: this fault of s3 needs Ceph RGW")
    if (operation, fault) == ("open", "corrupted answer"):
        return  # a piece of an object has no digest
    act, expected = OPERATIONS[operation]
    direct = open_store(true_bucket.url, true_bucket.endpoint, write=True)
    direct.create("there", THERE)
    direct.create("folder/a", b"a")
    for position in range(12):

        def choose(request: Request, _: int, position: int = position) -> str | None:
            return fault if len(proxy.requests) == position + 1 and suits(fault, request) else None

        with Proxy(true_bucket.endpoint, choose, stall=1.5) as proxy:
            assert act(open_store(true_bucket.url, proxy.endpoint, write=True), tmp_path) == expected
        if operation.startswith("upload"):
            data = LARGE if "parts" in operation else b"small"
            assert direct.read_sha256("new") == sha256(data)
        true_bucket.overwrite("new", None)
        if not proxy.caused and len(proxy.requests) <= position:
            return
    raise AssertionError("the operation makes too many requests")


def test_a_lost_answer_does_not_make_two_winners(true_bucket: Any) -> None:
    with Proxy(true_bucket.endpoint, lambda request, _: "dropped answer", left=1) as proxy:
        store = open_store(true_bucket.url, proxy.endpoint, write=True)
        assert store.create("k", b"first")
        assert not store.create("k", b"second")
    assert store.access
    other = open_store(true_bucket.url, true_bucket.endpoint, write=True)

    def meanwhile(request: Request, _: int) -> str:
        other.create("taken", b"theirs")
        return "reset before"

    with Proxy(true_bucket.endpoint, meanwhile, left=1) as proxy:
        assert not open_store(true_bucket.url, proxy.endpoint, write=True).create("taken", b"ours")
    assert other.get("taken") == b"theirs"


def test_a_fault_that_stays_ends_in_status_3_and_names_it(true_bucket: Any) -> None:
    for fault, words in (("slow down", "SlowDown"), ("conflict", "ConditionalRequestConflict"), ("reset before", "")):
        with Proxy(true_bucket.endpoint, lambda request, _, fault=fault: fault) as proxy:
            store = open_store(true_bucket.url, proxy.endpoint, write=True)
            with pytest.raises(StoreUnavailable, match=f"writing k failed: .*{words}"):
                store.create("k", b"x")
        assert len(proxy.requests) == 6


def test_a_long_listing_goes_on_where_it_was_broken(true_bucket: Any) -> None:
    direct = open_store(true_bucket.url, true_bucket.endpoint, write=True)
    keys = [f"f/{number:04}" for number in range(1100)]
    assert all(run_all(lambda key: direct.create(key, b""), keys, 16))

    def choose(request: Request, nth: int) -> str | None:
        return "truncated answer" if "list-type" in request.target and nth == 0 else None

    with Proxy(true_bucket.endpoint, choose) as proxy:
        store = open_store(true_bucket.url, proxy.endpoint, write=True)
        assert [key for key, _ in store.list_objects("f")] == keys
    assert proxy.caused.total() >= 2


def test_bytes_damaged_on_every_way_are_a_finding(true_bucket: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"bytes")
    assets = [Asset("a/x", "raw", tmp_path / "x")]
    publish_assets(assets, true_bucket.url, "1.0.0", title="", license="CC0-1.0", endpoint=true_bucket.endpoint)

    def choose(request: Request, _: int) -> str | None:
        return "corrupted answer" if request.method == "GET" and request.target.endswith("/a/x") else None

    with Proxy(true_bucket.endpoint, choose) as proxy:
        found = verify_release(true_bucket.url, deep=True, endpoint=proxy.endpoint)
    assert [f.id for f in found] == ["release.differs"]


def test_an_object_that_is_listed_and_not_there_is_worth_another_try(target: Any) -> None:
    store = open_store(target.url, target.endpoint, write=True)
    for act in (store.get_sha256, store.read_sha256, store.open):
        with pytest.raises(StoreUnavailable, match="gone, or the store does not show it yet"):
            act("k")
