"""The program dandi itself looks at what is sent to an archive in memory: the demonstration, videos, the corpus."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from builder import DATE, Builder, movie
from campaigns import campaign
from dandi_archive import KEY, serve
from dandiset import ask_dandi, count_words, make_dataset
from results import has_dandi, list_tasks, make_demo
from video_files import write_video

from neuropress.cli.main import main

pytestmark = pytest.mark.skipif(not has_dandi(), reason="dandi is not installed (neuropress tools install dandi)")


def test_dandi_has_no_error_and_all_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_demo(tmp_path)[0]
    while not (dataset / "neuropress.toml").is_file():
        dataset = dataset.parent
    monkeypatch.setenv("DANDI_API_KEY", KEY)
    with serve() as fake:
        order = ["publish", str(dataset), "--dandi", "000123", "--dandi-instance", f"{fake.url}/api"]
        assert main(order) == 0, capsys.readouterr().out
        (volume,) = fake.zarrs.values()
        assert volume.status == "Complete"
        (session,) = (asset for path, asset in fake.assets.items() if path.endswith(".nwb"))
        assert session["sent"]["wasAttributedTo"][0]["identifier"] == "RY_M_0001"
        assert "dandi:" not in capsys.readouterr().out.replace("tool dandi:", "")
        sent = len(fake.seen)
        assert main(order) == 0
        assert all(method == "GET" for method, *_ in fake.seen[sent:])


def test_dandi_has_no_error_in_a_session_with_videos_and_a_volume_of_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build = Builder(tmp_path / "ds")
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as file:
        file.write('[dataset]\ntitle = "A \'title\' of \\"ours\\""\nlicense = "CC-BY-4.0"\n')
    build.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20250301", weight="24.50")
    build.session(1, session_id="JB_S_0001", mouse_id="JB_M_0001")
    key = f"basu/{DATE}/behavior/raw/cam.AVI"
    build.put(key, write_video(tmp_path / "cam.avi"))
    row = {"behavior_id": "JB_B_0001", "session_id": "JB_S_0001", "metric_type": "video"}
    build.row("behavior", **row, file_path_raw=key)
    build.session(2)
    more = {"image_type": "structural", "frame_rate": "", "pixel_size": "0.2"}
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16), 2, 2, **more)
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as file:
        file.write('[labs.RY]\nmodality_structural = "confocal"\n')
    assert main(["run", "-q", str(build.root)]) == 0, capsys.readouterr().out
    monkeypatch.setenv("DANDI_API_KEY", KEY)
    with serve() as fake:
        order = ["publish", str(build.root), "--dandi", "000123", "--dandi-instance", f"{fake.url}/api"]
        assert main(order) == 0, capsys.readouterr().out
        (video,) = (asset for path, asset in fake.assets.items() if path.endswith("_external_file_0.avi"))
        assert fake.blobs[video["blob"]][1] == build.raw(key).read_bytes()
        assert "microscopy/sub-RYM0001/micr/sub-RYM0001_sample-RYIMG0002_CONF.ome.zarr" in fake.assets


@pytest.mark.corpus
def test_dandi_has_no_error_in_results_of_real_files(tmp_path: Path, corpus: Path) -> None:
    every = list(list_tasks(corpus))
    tasks = random.Random(3).sample(every, min(len(every), campaign(3, full=10**6)))
    dataset = make_dataset(tasks, tmp_path / "ds")
    assert main(["run", "-q", str(dataset)]) == 0
    sent, found = count_words(ask_dandi(dataset))
    assert sent[".nwb"] + sent[".zarr"] == len(tasks)
    assert not [one for one in found if one[0] == "error"], found
