"""``restructure`` of volumes in a bucket, and into one: the bytes of the same from a folder, proven and resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from bucket_results import files, run
from servers import Target

from neuropress.results.omezarr.staging import Staging
from neuropress.storage.remote import BucketPath

pytestmark = [pytest.mark.s3, pytest.mark.usefixtures("impatient")]


@pytest.fixture
def here(bucket: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A volume with labels and points in a folder, and the same objects in the bucket."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint or "")
    image = np.random.default_rng(0).integers(0, 999, (5, 30, 40)).astype("u2")
    tifffile.imwrite("stack.tif", image, imagej=True, metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"})
    tifffile.imwrite("ids.tif", (image > 500).astype("u4"), photometric="minisblack")
    Path("cells.csv").write_text("x,y,z\n1,2,3\n4,5,1\n")
    points = ("--points", "cells.csv", "--points-option", "unit=pixel", "--points-option", "first=0")
    status, said = run(capsys, "convert", "stack.tif", "--labels", "ids.tif", *points, "--to", "old.ome.zarr")
    assert status == 0, said
    for name in files(folder / "old.ome.zarr"):
        BucketPath.of_url(f"{bucket.url}/old.ome.zarr/{name}").upload_file(folder / "old.ome.zarr" / name)
    return folder


def read_objects(bucket: Target, name: str) -> dict[str, bytes]:
    return {key.removeprefix(f"{name}/"): data for key, data in bucket.objects().items() if key.startswith(f"{name}/")}


def test_from_a_bucket_into_it_cut_off_and_continued(
    bucket: Target, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, to = (f"{bucket.url}/{name}.ome.zarr" for name in ("old", "new"))
    before, chunks = read_objects(bucket, "old.ome.zarr"), ("--chunks", "4,16,16", "--shards", "4,16,16")
    done: list[int] = []
    record = Staging.record_units

    def fail(staging: Staging, units: dict) -> None:  # type: ignore[type-arg]
        if done:
            raise OSError("gone")
        done.append(len(units))
        record(staging, units)

    with monkeypatch.context() as patched:
        patched.setattr(Staging, "record_units", fail)
        status, said = run(capsys, "restructure", old, "--to", to, *chunks)
        assert (status, "gone" in said) == (3, True), said
    assert list(here.glob("new.ome.zarr.partial/units-*/*.jsonl"))
    sent: list[str] = []
    put = BucketPath.upload_file
    monkeypatch.setattr(BucketPath, "upload_file", lambda self, file: sent.append(self.key) or put(self, file))
    status, said = run(capsys, "restructure", old, "--to", to, *chunks)
    assert (status, "verified" in said, "left behind" in said) == (0, True, False), said
    status, said = run(capsys, "restructure", old, "--to", "new.ome.zarr", *chunks)
    assert status == 0, said
    assert read_objects(bucket, "new.ome.zarr") == files(here / "new.ome.zarr")
    shards = [name for name in files(here / "new.ome.zarr") if "/c/" in name]
    assert 0 < len([key for key in sent if "/c/" in key]) < len(shards), "what was sent is not sent again"
    assert not list(here.glob("*.partial"))
    status, said = run(capsys, "verify", to, "--source", bucket.url)
    assert (status, "verified" in said) == (0, True), said
    assert read_objects(bucket, "old.ome.zarr") == before
    for arguments, word in (
        ((f"{bucket.url}/none.ome.zarr",), "result.none"),
        ((old, "--to", f"{old}/x.ome.zarr"), "raw files are never written to"),
        ((old, "--to", old), "raw files are never written to"),
    ):
        status, said = run(capsys, "restructure", *arguments)
        assert (status, word in " ".join(said.split())) in ((1, True), (2, True)), said
