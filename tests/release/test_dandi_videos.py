"""Videos of a session at DANDI: beside its file, named by it, and nothing else of it differs from what was proven."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import h5py
import pytest
from bucket_results import run
from builder import DATE, Builder
from dandi_archive import FakeArchive
from stub_dandi import SETTINGS, StubDandi, order
from video_files import write_video

from neuropress.model.finding import Problem
from neuropress.results.nwb.external import list_external_series, rename_external_files

SESSION = "sub-JB-M-0001/sub-JB-M-0001_ses-JB-S-0001_image.nwb"
KEYS = [f"basu/{DATE}/behavior/raw/{name}" for name in ("even.avi", "Uneven.MKV")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A session of two videos, one of them evenly spaced; tests leave it as it is."""
    from neuropress.cli.main import main

    folder = tmp_path_factory.mktemp("videos")
    build = Builder(folder / "ds")
    (build.root / "neuropress.toml").write_text(SETTINGS, "utf-8")
    build.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20250301", weight="24.50")
    build.session(1, session_id="JB_S_0001", mouse_id="JB_M_0001")
    for number, key in enumerate(KEYS, 1):
        times = [0, 40, 90, 170] if number == 2 else None
        build.put(key, write_video(folder / Path(key).name.lower(), times_ms=times))
        row = {"behavior_id": f"JB_B_{number:04d}", "session_id": "JB_S_0001", "metric_type": "video"}
        build.row("behavior", **row, file_path_raw=key)
    assert main(["run", "-q", str(build.root)]) == 0
    return build


def find_result(lab: Builder) -> Path:
    path = lab.output("JB_S_0001.nwb")
    assert path
    return path


def get_blob(fake: FakeArchive, path: str) -> bytes:
    return fake.blobs[fake.assets[path]["blob"]][1]


def test_videos_go_beside_their_session_and_are_recorded(
    lab: Builder,
    fake: FakeArchive,
    stub: StubDandi,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = find_result(lab).read_bytes()
    status, text = run(capsys, *order(lab, fake, "--dry-run"))
    assert (status, fake.assets, text.count("would send")) == (0, {}, 3 + 1), text
    status, text = run(capsys, *order(lab, fake))
    assert status == 0, text
    assert set(stub.shown[-1]) == set(fake.assets)  # dandi saw the videos where they lie
    assert all(stub.shown[-1].values())
    (tmp_path / "sent.nwb").write_bytes(get_blob(fake, SESSION))
    with h5py.File(tmp_path / "sent.nwb") as file:
        for number, key in enumerate(KEYS, 1):
            series = file[f"acquisition/JB_B_{number:04d}"]
            (name,) = series["external_file"].asstr()[:]
            suffix = Path(key).suffix.lower()
            stem = SESSION.rpartition("/")[2].removesuffix(".nwb")
            assert name == f"{stem}/{series.attrs['object_id']}_external_file_0{suffix}"
            place = f"sub-JB-M-0001/{name}"
            assert get_blob(fake, place) == lab.raw(key).read_bytes()
            assert fake.assets[place]["sent"]["encodingFormat"].startswith("video/x-")
    assert find_result(lab).read_bytes() == before
    assert not (lab.root / ".neuropress" / "copies").exists()
    record = json.loads((lab.root / "dandi" / "000123.json").read_bytes())
    placed = record["assets"][SESSION]
    assert placed["sha256"] == hashlib.sha256(before).hexdigest()
    assert placed["sent_sha256"] == hashlib.sha256(get_blob(fake, SESSION)).hexdigest()
    puts = sum(method == "PUT" for method, *_ in fake.seen)
    status, text = run(capsys, *order(lab, fake))
    assert (status, text.count("there already")) == (0, 3 + 1), text
    assert sum(method == "PUT" for method, *_ in fake.seen) == puts  # the copy has the same bytes again


def test_status_and_a_dry_run_without_key_tell_what_was_sent(
    lab: Builder,
    fake: FakeArchive,
    stub: StubDandi,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.rmtree(lab.root / "dandi", ignore_errors=True)
    assert "dandi" not in run(capsys, "status", str(lab.root))[1]
    assert run(capsys, *order(lab, fake))[0] == 0
    status, text = run(capsys, "status", str(lab.root))
    assert (status, text.splitlines()[0].split()[-2]) == (0, "dandi"), text
    (record,) = (lab.root / "dandi").iterdir()
    instance = json.loads(record.read_bytes())["instance"]
    assert f"{instance}:000123" in text
    monkeypatch.delenv("DANDI_API_KEY")
    asked = len(fake.seen)
    status, text = run(capsys, *order(lab, fake, "--dry-run"))
    assert (status, text.count("sent before"), len(fake.seen)) == (0, 3 + 1, asked), text
    shutil.rmtree(lab.root / "dandi")


def test_of_a_release_its_own_videos_are_sent(
    lab: Builder,
    fake: FakeArchive,
    stub: StubDandi,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, bare = str(tmp_path / "whole"), str(tmp_path / "bare")
    assert run(capsys, "publish", str(lab.root), "--to", whole, "--release", "1.0.0")[0] == 0
    assert run(capsys, "publish", str(lab.root), "--to", bare, "--release", "1.0.0", "--only", "nwb")[0] == 0
    status, text = run(capsys, *order(lab, fake, "--to", bare, "--release", "1.0.0"))
    assert (status, "dandi.video" in text, fake.assets) == (1, True, {}), text
    assert KEYS[0] in text
    status, text = run(capsys, *order(lab, fake, "--to", whole, "--release", "1.0.0"))
    assert (status, len(fake.assets)) == (0, 3), text
    record = json.loads((tmp_path / "whole/releases/1.0.0/dandi/000123.json").read_bytes())
    assert {placed["name"] for placed in record["assets"].values()} > set(KEYS)
    status, text = run(capsys, "releases", "verify", whole)
    assert (status, "3 files have the archive's digests" in text) == (0, True), text


def test_a_video_that_changed_or_is_gone_is_not_sent(
    lab: Builder,
    fake: FakeArchive,
    stub: StubDandi,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "ds"
    shutil.copytree(lab.root, root)
    copied = Builder.__new__(Builder)
    copied.root = root
    (root / "source" / KEYS[0]).unlink()
    status, text = run(capsys, *order(copied, fake))
    assert (status, KEYS[0] in text, fake.assets) == (1, True, {}), text


def test_nothing_but_the_names_differs_in_a_copy(lab: Builder, tmp_path: Path) -> None:
    original, copies = find_result(lab), [tmp_path / "one.nwb", tmp_path / "two.nwb"]
    with h5py.File(original) as file:
        names = {one.place: ("x" * 300,) for one in list_external_series(file)}
    assert len(names) == 2
    for copy in copies:
        shutil.copyfile(original, copy)
        rename_external_files(copy, original, names)
    assert copies[0].read_bytes() == copies[1].read_bytes() != original.read_bytes()
    for place, change in {
        "/acquisition/JB_B_0002/timestamps": lambda item: item.__setitem__(0, 1.5),
        "/acquisition/JB_B_0001": lambda item: item.attrs.__setitem__("description", "other"),
        "/general/neuropress/receipt_json": lambda item: item.__setitem__((), "{}"),
        "/specifications/core": lambda item: item.create_group("more"),
        "/session_description": lambda item: item.__setitem__((), "other"),
    }.items():
        shutil.copyfile(original, copies[0])
        with h5py.File(copies[0], "r+") as file:
            change(file[place])
        with pytest.raises(Problem, match="differ"):
            rename_external_files(copies[0], original, names)
