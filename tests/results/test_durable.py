"""After a power cut a name stands for a whole file: bytes are on the disk before the rename, the name after it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from builder import Builder, abf, movie, slices

from neuropress.results import durable
from neuropress.results.omezarr import staging
from neuropress.storage.state import write_atomic

pytestmark = pytest.mark.skipif(os.name == "nt", reason="folders cannot be synced here")

type Key = tuple[int, int]


class Disk:
    """Records what is synced and renamed, and checks that nothing gets a name before its bytes are safe."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: dict[Key, int] = {}
        self.waiting: dict[Path, str] = {}
        self.renamed: list[str] = []
        self.journal: list[Path] = []
        self._fsync, self._replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "replace", self.replace)

    def fsync(self, handle: int) -> None:
        self._fsync(handle)
        stat = os.fstat(handle)
        self.synced[stat.st_dev, stat.st_ino] = stat.st_size
        for folder in [
            f for f in self.waiting if f.exists() and (f.stat().st_dev, f.stat().st_ino) == (stat.st_dev, stat.st_ino)
        ]:
            del self.waiting[folder]

    def replace(self, source: str | Path, final: str | Path) -> None:
        source, final = Path(source), Path(final)
        for path in source.rglob("*") if source.is_dir() else [source]:
            self.check(path, final)
        self._replace(source, final)
        self.renamed.append(final.name)
        if not final.name.endswith(".old"):
            self.waiting[final.parent] = final.name
        self.waiting.pop(source, None)

    def check(self, path: Path, final: Path) -> None:
        """All bytes of a file, and all names in a folder, are on the disk."""
        stat = path.stat()
        known = self.synced.get((stat.st_dev, stat.st_ino))
        if final.name.endswith(".old"):
            return
        assert known is not None, f"{path} was not synced before {final} got its name"
        assert path.is_dir() or known == stat.st_size, f"{path} grew after it was synced"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_conversion_syncs_before_every_name_and_its_folder_after(tmp_path: Path, disk: Disk) -> None:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16))
    build.sem(slices(tmp_path / "v", (9, 300, 560)))
    for strain in ("C57BL/6J", "other"):  # whole, then metadata only
        build.change("mouse", strain=strain)
        disk.renamed.clear()
        assert build.dataset.convert().ok
        assert disk.waiting == {}
        assert {"RY_S_0001.nwb", "zarr.json", "records.jsonl"} <= set(disk.renamed)
    (volume,) = (build.root / "output").rglob("*.ome.zarr")
    shutil.rmtree(volume)
    assert build.dataset.convert().ok
    assert {"JL_SD_0001.ome.zarr", "0"} <= set(disk.renamed)
    assert disk.waiting == {}


def test_a_shard_is_safe_before_the_journal_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    build = Builder(tmp_path / "ds")
    build.sem(slices(tmp_path / "v", (9, 300, 560)))
    recorded: list[staging.UnitKey] = []
    record_units = staging.Staging.record_units

    def record(self: staging.Staging, units: dict[staging.UnitKey, staging.Digests]) -> None:
        for path in self.folder.rglob("*"):
            if not path.relative_to(self.folder).parts[0].startswith(staging.PREFIX):
                disk.check(path, self.folder)
        assert disk.waiting == {}
        record_units(self, units)
        (journal,) = self.folder.rglob(f"*{staging.JOURNAL}")
        for place in (journal, journal.parent):
            stat = place.stat()
            assert place.is_dir() or disk.synced.get((stat.st_dev, stat.st_ino)) == stat.st_size
            assert (stat.st_dev, stat.st_ino) in disk.synced
        recorded.extend(units)

    monkeypatch.setattr(staging.Staging, "record_units", record)
    assert build.dataset.convert().ok
    assert recorded


def test_small_files(tmp_path: Path, disk: Disk) -> None:
    write_atomic(tmp_path / "a.json", "{}")
    durable.write_text(tmp_path / "b.json", "{}")
    assert disk.renamed == ["a.json", "b.json"]
    assert disk.waiting == {}


def test_settle_syncs_files_and_folders(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "f").write_bytes(b"123")
    for path in (tmp_path / "f", tmp_path):
        durable.sync_path(path)
        assert (path.stat().st_dev, path.stat().st_ino) in disk.synced
