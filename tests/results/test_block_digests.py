"""Blocks are digested by BLAKE3; results of earlier builds, by SHA-256, which they do not say, are read as before."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from blake3 import blake3
from builder import Builder, movie, slices

from neuropress import Dataset
from neuropress.model.elements import digest_elements
from neuropress.results.nwb import storage
from neuropress.results.omezarr import blocks, units, volume


def forget(text: str) -> str:
    """A receipt as it was before receipts said what blocks are digested by."""
    return re.sub(r'"hash":\s*"sha256",\s*|,\s*"hash":\s*"sha256"', "", text)


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """A dataset with a session and a volume, as an earlier build wrote it."""
    build = Builder(tmp_path / "ds")
    build.session()
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16))
    build.sem(slices(tmp_path / "slices", (9, 300, 320)))
    for module in (storage, blocks, units, volume):
        monkeypatch.setattr(module, "HASH", "sha256")
    assert Dataset.open(build.root).convert().exit_status == 0
    monkeypatch.undo()
    (root,) = (build.root / "output").rglob("*.ome.zarr/zarr.json")
    text = root.read_text()
    assert '"hash"' in text
    root.write_text(forget(text))
    assert '"hash"' not in root.read_text()
    (session,) = (build.root / "output").rglob("*.nwb")
    with h5py.File(session, "r+") as file:
        receipt = file["general/neuropress/receipt_json"]
        assert '"hash"' in receipt.asstr()[()]
        receipt[()] = forget(receipt.asstr()[()])
        assert '"hash"' not in receipt.asstr()[()]
    return build


def read_shards(build: Builder) -> dict[str, tuple[int, bytes]]:
    files = (path for path in (build.root / "output").rglob("*/c/*/*/*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_an_earlier_result_is_verified(earlier: Builder) -> None:
    report = Dataset.open(earlier.root).verify()
    assert report.exit_status == 0, report.findings
    level = next(path for path in sorted(read_shards(earlier)) if "/1/" in path)
    data = bytearray(Path(level).read_bytes())
    data[len(data) // 3] ^= 1
    Path(level).write_bytes(data)
    assert Dataset.open(earlier.root).verify().exit_status == 1


def test_its_arrays_stay_and_so_do_their_digests(earlier: Builder) -> None:
    before = read_shards(earlier)
    earlier.change("sem_dataset", resolution="5")
    earlier.change("image", notes="seen twice")
    assert Dataset.open(earlier.root).convert().exit_status == 0
    assert read_shards(earlier) == before
    (root,) = (earlier.root / "output").rglob("*.ome.zarr")
    assert {array.hash for array in volume.read_provenance(root).receipt.arrays.values()} == {"sha256"}
    report = Dataset.open(earlier.root).verify()
    assert report.exit_status == 0, report.findings


def test_what_a_digest_is_taken_over() -> None:
    data = np.arange(2 * 300 * 400, dtype=">u2").reshape(2, 300, 400)[:, 3:, ::2]
    octets = np.ascontiguousarray(data, "<u2").tobytes()
    assert digest_elements(data, "blake3") == blake3(octets).digest()
    assert digest_elements(data) == hashlib.sha256(octets).digest()
    texts = np.array(["a", "", "µm"], np.dtypes.StringDType())
    octets = b"".join(len(t.encode()).to_bytes(8, "little") + t.encode() for t in texts)
    assert digest_elements(texts, "blake3") == blake3(octets).digest()
