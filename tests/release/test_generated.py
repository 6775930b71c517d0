"""Assets that are bytes made for the release, not files."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from neuropress.model.finding import Problem
from neuropress.release import Asset, publish_assets, verify_release
from neuropress.storage.store import SMALL, Store


def send(target: Any, assets: list[Asset], number: str = "1.0.0") -> Any:
    return publish_assets(assets, target.url, number, title="Dendrites", license="CC-BY-4.0", endpoint=target.endpoint)


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_generated_bytes_are_published_as_files_are(target, tmp_path, monkeypatch):
    members = {"part.json": b"{}", "tables/a.csv": b"a\n1\n", "empty": b""}
    large = os.urandom(SMALL + 2**20)
    generated = [Asset("about.json", "about", b"{}"), Asset("part", "part", members), Asset("large", "raw", large)]
    root = write(
        tmp_path / "made", {"about.json": b"{}", "large": large, **{f"part/{k}": v for k, v in members.items()}}
    )
    lying = [dataclasses.replace(asset, content=root / asset.name) for asset in generated]
    real, sent = Store.upload, []

    def failing(self: Store, content: Any, key: str, *rest: Any) -> bool:
        if len(sent) >= 3:
            raise OSError("cable pulled")
        sent.append(key)
        return real(self, content, key, *rest)

    monkeypatch.setattr("neuropress.release.sending.WORKERS", 1)
    monkeypatch.setattr(Store, "upload", failing)
    with pytest.raises(OSError, match="cable pulled"):
        send(target, generated)
    monkeypatch.setattr(Store, "upload", real)
    done = send(target, generated)
    assert (done.objects, done.present) == (2, 3)
    assert target.data() == {"about.json": b"{}", "large": large, **{f"part/{k}": v for k, v in members.items()}}
    assert list(verify_release(target.url, deep=True, endpoint=target.endpoint)) == []
    again = send(target, lying, "1.0.1")
    assert (again.objects, again.unchanged) == (0, 3)


@pytest.mark.parametrize("members", [{}, {"../x": b""}, {"a//b": b""}, {"/a": b""}])
def test_generated_folders_are_confined(target, members):
    with pytest.raises(Problem) as caught:
        send(target, [Asset("part", "part", members)])
    assert caught.value.finding.id == "release.asset"
    assert target.data() == {}
