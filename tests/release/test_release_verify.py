"""Reading releases back, and finding what is wrong with them."""

import pytest

from neuropress.model.finding import Problem
from neuropress.release import Asset, list_releases, publish, read_release, verify_release


@pytest.fixture
def published(target, tmp_path):
    for name in ("f", "v/a", "v/b/c"):
        path = tmp_path / "ds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    assets = [Asset("l/f.nwb", "nwb", tmp_path / "ds" / "f"), Asset("l/v.zarr", "ome-zarr", tmp_path / "ds" / "v")]
    publish(assets, target.url, "1.0.0", title="T", license="CC0-1.0", endpoint=target.endpoint)
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


def test_damaged_release(published):
    published.overwrite("releases/1.0.0.json", b"{}")
    with pytest.raises(Problem) as caught:
        read_release(published.url, endpoint=published.endpoint)
    assert caught.value.finding.id == "release.unreadable"
