"""neuroconv's own interfaces, in the environments that ``neuropress tools install`` makes (``.ci/full``).

Files of the vendors' layouts are made by the tests; DeepLabCut's and the ABF file are of the corpus
(``docs/tools.md`` has origin and licence of each).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import interface_files
import numpy as np
import pytest
import tifffile
from builder import DATE, Builder

from neuropress.cli.main import main

pytestmark = pytest.mark.skipif("NEUROPRESS_INTERFACES" not in os.environ, reason="neuroconv's environments are asked")

DLC = "behaviour/DeepLabCut__DLC2NWB/m3v1mp4DLC_resnet50_openfieldAug20shuffle1_30000.h5"
ABF = "abf/swharden__pyABF/17o05028_ic_steps.abf"
SESSIONS = (
    '{ recording_sessions = [{ abf_file_name = "17o05028_ic_steps.abf", icephys_experiment_type = "current_clamp" }] }'
)
CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "DeepLabCutInterface": ("behavior", DLC, ("arguments = { sampling_frequency = 30 }",)),
    "CsvTimeIntervalsInterface": ("behavior", "csv", ()),
    "ExternalVideoInterface": ("behavior", "video", ('external_folder = "../../behavior/raw"',)),
    "SLEAPInterface": ("behavior", "sleap_project", ("arguments = { frames_per_second = 25.0 }",)),
    "CaimanSegmentationInterface": ("image", "caiman", ()),
    "Suite2pSegmentationInterface": ("image", "suite2p", ("trust = true",)),
    "TiffImagingInterface": ("image", "tiff", ("arguments = { sampling_frequency = 30.0 }",)),
    "AbfInterface": ("ephys", ABF, (f"arguments = {{ icephys_metadata = {SESSIONS} }}",)),
    "EDFRecordingInterface": ("ephys", "edf", ()),
    "SpikeGLXRecordingInterface": ("ephys", "spikeglx", ('arguments = { stream_id = "imec0.ap" }',)),
    "NeuralynxRecordingInterface": ("ephys", "neuralynx", ()),
    "IntanRecordingInterface": ("ephys", "intan", ()),
    "OpenEphysBinaryRecordingInterface": ("ephys", "open_ephys", ()),
    "MdaSortingInterface": ("ephys", "mda", ("arguments = { sampling_frequency = 30000 }",)),
}


def make_input(what: str, folder: Path) -> Path:
    if what == "csv":
        (folder / "trials.csv").write_text(
            "start_time,stop_time,outcome\n0.5,1.5,hit\n2.5,3.5,miss\n5,6,late\n", "utf-8"
        )
        return folder / "trials.csv"
    if what == "tiff":
        tifffile.imwrite(folder / "movie.tif", np.arange(40 * 6 * 8, dtype="u2").reshape(40, 6, 8))
        return folder / "movie.tif"
    if what == "video":
        from video_files import write_video

        return write_video(folder / "cam.mp4")
    if what == "caiman":
        from caiman_files import COLUMNS, ROWS, write_results

        return write_results(folder / "caiman.hdf5", params__data__dims=np.array([ROWS, COLUMNS]))
    made: Path = getattr(interface_files, f"write_{what}")(folder)
    return made


def run(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[list[str], list[dict[str, Any]]]:
    capsys.readouterr()
    main([words[0], str(root), *words[1:], "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [one["done"] for one in lines if "done" in one], [one for one in lines if "id" in one]


@pytest.mark.corpus
@pytest.mark.parametrize("interface", CASES)
def test_an_interface_converts(
    interface: str, tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, what, options = CASES[interface]
    raw = corpus / what if "/" in what else make_input(what, tmp_path)
    lab, folder = ("JB", "basu") if table == "behavior" else ("RY", "yuste")
    build = Builder(tmp_path / "ds")
    if lab == "JB":
        build.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20250301")
    times = {"session_date": DATE, "start_time": "10:00", "end_time": "11:00"}
    build.row("session", session_id=f"{lab}_S_0001", mouse_id=f"{lab}_M_0001", experimenter="Bo Beispiel", **times)
    key = f"{folder}/{DATE}/{table}/raw/{raw.name}{'/' if raw.is_dir() else ''}"
    build.put(key, raw)
    cells = {
        "behavior": {"behavior_id": "JB_B_0001", "metric_type": "position"},
        "ephys": {"ephys_id": "RY_E_0001", "recording_type": "somatic patch; ex vivo", "sampling_rate": "20000"},
        "image": {
            "image_id": "RY_IMG_0001",
            "image_type": "voltage",
            "frame_rate": "30",
            "x": "8",
            "y": "6",
            "z": "40",
        },
    }[table]
    build.row(table, **cells, session_id=f"{lab}_S_0001", file_path_raw=key)
    entries = ['reader = "neuroconv"', f'interface = "{interface}"', 'clock_offset = "0"', *options]
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\n[options."{key}"]\n' + "\n".join(entries) + "\n")
    done, found = run(build.root, capsys, "convert")
    assert done == ["converted"], found
    assert run(build.root, capsys, "convert")[0] == ["up to date"]
    done, found = run(build.root, capsys, "verify", "--independent")
    assert done == ["verified"], found
    assert "neuroconv.reproduced" in [one["id"] for one in found]
    if interface == "TiffImagingInterface":
        assert "neuroconv.sides" in [one["id"] for one in run(build.root, capsys, "check")[1]]
    done, found = run(build.root, capsys, "validate", "--dandi")
    assert [one["id"] for one in found if one["severity"] == "error"] == [], found
    if interface == "AbfInterface":
        compare_with_ours(build, raw)


def compare_with_ours(build: Builder, raw: Path) -> None:
    """The samples of neuroconv's series are those that our own reader reads."""
    from neuropress.model.source import Source
    from neuropress.readers.abf.read import read
    from neuropress.storage.roots import Folder

    (content,) = read(Source(raw.name, Folder(raw.parent)), {})
    path = build.output("RY_S_0001.nwb")
    assert path is not None
    with h5py.File(path) as file:
        names = sorted(name for name in file["acquisition"] if "response" in name)
        series = [file[f"acquisition/{name}/data"][:].ravel() for name in names]
    ours = [content.arrays[f"sweep{number:03}/adc0"] for number in range(len(series))]
    assert len(series) == 16
    for one, two in zip(series, ours, strict=True):
        assert one.tobytes() == two.read((slice(0, two.shape[0]),)).tobytes()
    content.close()
