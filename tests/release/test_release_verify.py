"""Reading releases back, and finding what is wrong with them."""

import dataclasses
import hashlib

import pytest

from neuropress.model.finding import Problem
from neuropress.release import (
    Asset,
    audit_releases,
    list_releases,
    open_release,
    publish_assets,
    read_release,
    verify_release,
)
from neuropress.release.audit import check_hint
from neuropress.storage.store import open_store


@pytest.fixture
def published(target, tmp_path):
    for name in ("f", "v/a", "v/b/c"):
        path = tmp_path / "ds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    assets = [Asset("l/f.nwb", "nwb", tmp_path / "ds" / "f"), Asset("l/v.zarr", "ome-zarr", tmp_path / "ds" / "v")]
    publish_assets(assets, target.url, "1.0.0", title="T", license="CC0-1.0", endpoint=target.endpoint)
    return target


def findings(target, *, deep=False):
    return [(f.id, f.location.file) for f in verify_release(target.url, deep=deep, endpoint=target.endpoint)]


def test_read(published):
    assert list_releases(published.url, published.endpoint) == ("1.0.0",)
    newest = read_release(published.url, endpoint=published.endpoint)
    assert newest == read_release(published.url, "1.0.0", published.endpoint)
    assert {name: (e.kind, e.files, e.size) for name, e in newest.assets.items()} == {
        "l/f.nwb": ("nwb", 1, 1),
        "l/v.zarr": ("ome-zarr", 2, 8),
    }
    with pytest.raises(Problem, match=r"there is no release 9\.9\.9 at"):
        read_release(published.url, "9.9.9", published.endpoint)


def test_sound(published):
    assert findings(published) == findings(published, deep=True) == []


@pytest.mark.parametrize("key", ["l/f.nwb", "l/v.zarr/b/c"])
def test_lost(published, key):
    published.overwrite(key, None)
    assert findings(published) == findings(published, deep=True) == [("release.lost", key)]


@pytest.mark.parametrize("key", ["l/f.nwb", "l/v.zarr/b/c"])
def test_other_size(published, key):
    published.overwrite(key, b"much longer")
    assert findings(published) == findings(published, deep=True) == [("release.differs", key)]


@pytest.mark.parametrize(("key", "data"), [("l/f.nwb", b"g"), ("l/v.zarr/b/c", b"v/b/d")])
def test_other_bytes_of_the_same_size(published, key, data):
    published.overwrite(key, data)
    assert findings(published) == []
    assert findings(published, deep=True) == [("release.differs", key)]


def test_extra(published):
    published.overwrite("l/v.zarr/b/extra", b"")
    published.overwrite("l/v.zarr2", b"")
    assert findings(published) == [("release.extra", "l/v.zarr/b/extra")]


def test_manifest_lost_or_changed(published):
    manifest = read_release(published.url, endpoint=published.endpoint).assets["l/v.zarr"].manifest
    published.overwrite(manifest, b"{}\n")
    assert findings(published, deep=True) == [("release.differs", manifest)]
    published.overwrite(manifest, None)
    assert findings(published, deep=True) == [("release.lost", manifest)]


def test_a_manifest_that_is_none_though_its_digest_is_right(published):
    before = read_release(published.url, endpoint=published.endpoint).assets["l/v.zarr"]
    forged = b"[1, 2]\n"
    sha256 = hashlib.sha256(forged).hexdigest()
    text = published.objects()["releases/1.0.0.json"].decode()
    manifest = before.manifest.replace(before.sha256, sha256)  # it is called by its digest
    published.overwrite(manifest, forged)
    published.overwrite("releases/1.0.0.json", text.replace(before.sha256, sha256).encode())
    assert ("release.unreadable", manifest) in findings(published)


def test_damaged_release(published):
    published.overwrite("releases/1.0.0.json", b"{}")
    with pytest.raises(Problem) as caught:
        read_release(published.url, endpoint=published.endpoint)
    assert caught.value.finding.id == "release.unreadable"


@pytest.fixture
def line(published, tmp_path):
    """A second release after the first, with another file."""
    (tmp_path / "ds/f").write_bytes(b"g")
    asset = Asset("l/f.nwb", "nwb", tmp_path / "ds/f")
    publish_assets([asset], published.url, "1.1.0", title="T", license="CC0-1.0", endpoint=published.endpoint)
    assert findings(published, deep=True) == []
    return published


def rewritten(target, number, **fields):
    """The bytes of a release that says something else, as neuropress would have written them."""
    return dataclasses.replace(read_release(target.url, number, target.endpoint), **fields).to_bytes()


def claim_of(key):
    return f"releases/claims/{hashlib.sha256(key.encode()).hexdigest()}.json"


def test_a_release_that_is_not_what_was_committed(line):
    line.overwrite("releases/1.1.0.json", rewritten(line, "1.1.0", title="Another"))
    assert findings(line) == [("release.differs", "releases/1.1.0.json")]


@pytest.mark.parametrize("key", ["releases/next/1.0.0.json", "releases/1.0.0.json"])
def test_a_history_that_is_lost(line, key):
    line.overwrite(key, None)
    assert findings(line) == [("release.lost", key)]


def test_a_parent_that_is_another_release(line):
    line.overwrite("releases/1.0.0.json", rewritten(line, "1.0.0", title="Another"))
    assert findings(line) == [("release.differs", "releases/1.0.0.json")]


def test_what_is_read_again_is_counted(published):
    class Watching:
        expected, done = 0, 0

        def __call__(self, nbytes):
            self.done += nbytes

        def begin_item(self, step, name, number, count):
            raise AssertionError("the verb announces its step")

        def expect(self, nbytes):
            self.expected += nbytes

    store, watching = open_store(published.url, published.endpoint), Watching()
    (audit,) = audit_releases(store, ["1.0.0"], deep=True, progress=watching)
    assert watching.done == watching.expected == audit.size == 9


@pytest.mark.parametrize("key", ["l/f.r2.nwb", "releases/1.1.0/README.md"])
def test_what_only_a_deep_look_finds(line, key):
    is_text = key.endswith(".md")
    place = key if is_text else claim_of(key)
    for data, id in (
        (b"{}", "release.text" if is_text else "release.differs"),
        (None, "release.text" if is_text else "release.lost"),
    ):
        line.overwrite(place, data)
        assert findings(line) == []
        assert findings(line, deep=True) == [(id, place)]


@pytest.mark.parametrize("data", [None, b"{}", b'{"number":"1.0.0"}\n'])
def test_a_hint_that_names_no_newest_release_is_told(line, data):
    store, newest = open_store(line.url, line.endpoint), read_release(line.url, endpoint=line.endpoint)
    assert list(check_hint(store, newest)) == []
    line.overwrite("releases/latest.json", data)
    assert [f.id for f in check_hint(store, newest)] == ["release.text"]


def test_several_releases_are_told_apart(line):
    line.overwrite("l/f.nwb", b"much longer")
    audits = audit_releases(open_store(line.url, line.endpoint), ["1.0.0", "1.1.0"], deep=True)
    summaries = [(a.number, [f.id for f in a.findings], a.assets, a.size) for a in audits]
    assert summaries == [("1.0.0", ["release.differs"], 2, 9), ("1.1.0", [], 1, 1)]
    line.overwrite("releases/1.0.0.json", b"{}")
    audits = audit_releases(open_store(line.url, line.endpoint), ["1.0.0"])
    assert [(a.number, [f.id for f in a.findings]) for a in audits] == [("1.0.0", ["release.unreadable"])]
    with pytest.raises(Problem) as caught:
        audit_releases(open_store(line.url, line.endpoint), ["3.0.0"])
    assert caught.value.finding.id == "release.none"


def test_bytes_of_a_release_are_compared_as_they_are_read(published):
    with open_release(published.url, endpoint=published.endpoint) as release:
        assert (release.read("l/f.nwb"), release.read("l/v.zarr", "b/c")) == (b"f", b"v/b/c")
        assert [f.path for f in release.list_files("l/v.zarr")] == ["a", "b/c"]
    cases = [
        ("l/f.nwb", "", "l/f.nwb", b"g", "release.differs"),
        ("l/v.zarr", "b/c", "l/v.zarr/b/c", b"v/b/d", "release.differs"),
        ("l/v.zarr", "a", "l/v.zarr/a", None, "release.lost"),
        ("l/v.zarr", "stray", "l/v.zarr/stray", b"x", "release.lost"),
        ("l/none", "", "l/none", b"x", "release.lost"),
    ]
    for name, member, key, data, id in cases:
        published.overwrite(key, data)
        with open_release(published.url, endpoint=published.endpoint) as release, pytest.raises(Problem) as caught:
            release.read(name, member)
        assert caught.value.finding.id == id, key
    manifest = read_release(published.url, endpoint=published.endpoint).assets["l/v.zarr"].manifest
    published.overwrite(manifest, b"")
    with open_release(published.url, endpoint=published.endpoint) as release, pytest.raises(Problem) as caught:
        release.list_files("l/v.zarr")
    assert caught.value.finding.id == "release.lost"


@pytest.mark.parametrize("place", ["l/f.r2.nwb", claim_of("l/f.r2.nwb")])
def test_a_finding_names_the_asset_and_the_object(line, place):
    line.overwrite(place, b"x")
    (found,) = verify_release(line.url, deep=True, endpoint=line.endpoint)
    assert found.message.startswith("l/f.nwb: ")
    assert place in found.message
