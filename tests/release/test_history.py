"""Releases form one line, whoever publishes and wherever they are cut off."""

import itertools
import json
import threading

import pytest
from campaigns import campaign

from neuropress.model.finding import Problem
from neuropress.release import Asset, PublishResult, list_releases, publish_assets, read_release, verify_release
from neuropress.storage.store import Store


def send(target, folder, number, content=b"x"):
    folder.mkdir(exist_ok=True)
    (folder / "s.nwb").write_bytes(content)
    asset = Asset("a/s.nwb", "nwb", folder / "s.nwb")
    return publish_assets([asset], target.url, number, title="T", license="CC0-1.0", endpoint=target.endpoint)


def line(target):
    """Numbers of all releases, from the first to the last, each the only successor of the one before."""
    numbers = list_releases(target.url, target.endpoint)
    parents = {n: json.loads(target.objects()[f"releases/{n}.json"])["parent"] for n in numbers}
    after = {parent["number"] if parent else None: n for n, parent in parents.items()}
    assert len(after) == len(numbers), f"a release has two successors: {parents}"
    walked = [after[None]]
    while walked[-1] in after:
        walked.append(after[walked[-1]])
    assert sorted(walked) == sorted(numbers)
    return walked


def latest(target):
    return json.loads(target.objects()["releases/latest.json"])["number"]


@pytest.mark.parametrize("first", [True, False])
def test_different_numbers_at_once_have_one_winner(target, tmp_path, first):
    if not first:
        send(target, tmp_path / "first", "0.9.0")
    count = campaign(3, full=6)
    barrier = threading.Barrier(count)
    outcomes = {}

    def run(index):
        barrier.wait()
        try:
            outcomes[index] = send(target, tmp_path / str(index), f"1.{index}.0", b"%d" % index)
        except Problem as bad:
            outcomes[index] = bad.finding

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lost = {i: out for i, out in outcomes.items() if not isinstance(out, PublishResult)}
    assert {out.id for out in lost.values()} <= {"release.superseded", "release.order"}
    winners = line(target)
    assert len(winners) == count - len(lost) + (not first)
    assert latest(target) == winners[-1]
    for index, found in sorted(lost.items()):
        sent_before = {k for k in target.data() if k.startswith("a/")}
        newest = winners[-1]
        assert found.id == "release.order" or "is the new parent" in found.hint
        again = send(target, tmp_path / str(index), f"2.{index}.0", b"%d" % index)
        assert again.parent == newest
        if found.id == "release.superseded":  # it had sent its data: nothing goes out twice
            assert (again.objects, again.present) == (0, 1)
            assert {k for k in target.data() if k.startswith("a/")} == sent_before
        winners = line(target)
    assert verify_release(target.url, deep=True, endpoint=target.endpoint) == ()


def test_a_publisher_that_dies_after_its_commit_is_finished_by_the_next(target, tmp_path, monkeypatch):
    send(target, tmp_path / "a", "1.0.0", b"one")
    real = Store.create

    def dying(self, key, *rest):
        if key == "releases/1.1.0.json":
            raise OSError("power cut")
        return real(self, key, *rest)

    monkeypatch.setattr(Store, "create", dying)
    with pytest.raises(OSError, match="power cut"):
        send(target, tmp_path / "a", "1.1.0", b"two")
    monkeypatch.setattr(Store, "create", real)
    assert list_releases(target.url, target.endpoint) == ("1.0.0",)
    with pytest.raises(Problem) as caught:
        send(target, tmp_path / "b", "1.2.0", b"three")
    assert caught.value.finding.id == "release.superseded"
    assert line(target) == ["1.0.0", "1.1.0"]
    assert read_release(target.url, "1.1.0", target.endpoint).assets["a/s.nwb"].sha256
    done = send(target, tmp_path / "b", "1.2.0", b"three")
    assert (done.parent, done.objects) == ("1.1.0", 0)
    assert (line(target), latest(target)) == (["1.0.0", "1.1.0", "1.2.0"], "1.2.0")


def test_the_same_publisher_again_finishes_its_own_commit(target, tmp_path, monkeypatch):
    real = Store.create
    monkeypatch.setattr(
        Store, "create", lambda self, key, *rest: key != "releases/1.0.0.json" and real(self, key, *rest)
    )
    with pytest.raises(OSError, match="cannot be read back"):
        send(target, tmp_path / "a", "1.0.0")
    monkeypatch.setattr(Store, "create", real)
    assert send(target, tmp_path / "a", "1.0.0").committed
    assert line(target) == ["1.0.0"]


def test_the_hint_does_not_stay_at_the_older_release(target, tmp_path, monkeypatch):
    """The first publisher stalls before it puts the hint; a second one commits meanwhile."""
    real, calls = Store.replace, itertools.count()

    def stalling(self, key, data):
        if key == "releases/latest.json" and next(calls) == 0:
            send(target, tmp_path / "b", "1.1.0", b"two")
        real(self, key, data)

    monkeypatch.setattr(Store, "replace", stalling)
    send(target, tmp_path / "a", "1.0.0", b"one")
    assert line(target) == ["1.0.0", "1.1.0"]
    assert latest(target) == "1.1.0"
