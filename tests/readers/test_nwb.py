"""NWB files that a lab already has: facts of it, and what is no NWB 2 in HDF5."""

from __future__ import annotations

import random
from pathlib import Path

import h5py
import numpy as np
import pytest
from campaigns import campaign
from lab_nwb_files import STARTED, write_nwb

from neuropress.model.content import Content
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers import raw
from neuropress.storage.roots import Folder


def open_source(path: Path) -> Source:
    return Source(path.name + ("/" if path.is_dir() else ""), Folder(path.parent))


def read(path: Path) -> Content:
    (content,) = raw.read(open_source(path))
    return content


@pytest.fixture(scope="module")
def nwb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nwb(tmp_path_factory.mktemp("nwb") / "cell.nwb")


def test_facts_are_what_pynwb_wrote(nwb: Path) -> None:
    content = read(nwb)
    assert (content.format, dict(content.arrays)) == ("nwb", {})
    assert {name: content.facts[name] for name in ("identifier", "session_id", "session_start_time")} == {
        "identifier": "lab-17",
        "session_id": "RY_S_0001",
        "session_start_time": STARTED,
    }
    assert {name: content.facts[name] for name in ("subject_id", "species", "sex")} == {
        "subject_id": "RY_M_0001",
        "species": "Mus musculus",
        "sex": "F",
    }
    assert (content.facts["sampling_rate"], content.facts["series"], content.facts["samples"]) == ("20000", "1", "40")
    assert content.started is not None
    assert content.started.isoformat() == STARTED
    (series,) = content.header["series"]
    assert (series["path"], series["type"], series["shape"]) == ("/acquisition/sweep0", "CurrentClampSeries", [40])
    assert "frame_rate" not in content.facts


def test_rates_that_differ_are_no_fact(nwb: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.nwb"
    path.write_bytes(nwb.read_bytes())
    with h5py.File(path, "r+") as file:
        file.copy("acquisition/sweep0", "acquisition/sweep1")
        file["acquisition/sweep1/starting_time"].attrs["rate"] = 10000.0
    content = read(path)
    assert ("sampling_rate" in content.facts, content.facts["series"]) == (False, "2")


@pytest.mark.parametrize(
    ("spoil", "id"),
    [
        (lambda file: file.attrs.pop("nwb_version"), "nwb.unreadable"),
        (lambda file: file.attrs.__setitem__("nwb_version", "1.0.6"), "nwb.version"),
        (lambda file: file.attrs.__setitem__("nwb_version", np.zeros(3)), "nwb.unreadable"),
        (lambda file: file.__setitem__("more", h5py.ExternalLink("/etc/passwd", "/")), "nwb.unsafe"),
        (lambda file: file.create_dataset("out", (4,), "u1", external=[("/etc/passwd", 0, 4)]), "nwb.unsafe"),
    ],
)
def test_what_cannot_be_trusted_is_a_finding(spoil: object, id: str, nwb: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.nwb"
    path.write_bytes(nwb.read_bytes())
    with h5py.File(path, "r+") as file:
        spoil(file)  # type: ignore[operator]
    with pytest.raises(Problem) as caught:
        read(path)
    assert caught.value.finding.id == id


def test_version_1_is_named(tmp_path: Path) -> None:
    path = tmp_path / "old.nwb"
    with h5py.File(path, "w") as file:
        file["nwb_version"] = "NWB-1.0.6"
    with pytest.raises(Problem, match=r"NWB-1\.0\.6") as caught:
        read(path)
    assert caught.value.finding.id == "nwb.version"


@pytest.mark.parametrize("name", ["cell.nwb", "cell.nwb.zarr"])
def test_a_folder_is_zarr(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / ".zgroup").write_text("{}")
    with pytest.raises(Problem) as caught:
        read(tmp_path / name)
    assert caught.value.finding.id == "nwb.zarr"


def test_whatever_is_called_nwb_is_a_finding_at_worst(nwb: Path, tmp_path: Path) -> None:
    """Cut and flipped files: a finding, or a reading."""
    data, path = nwb.read_bytes(), tmp_path / "spoilt.nwb"
    rng = random.Random(20)
    spoilt = [data[: rng.randrange(1, len(data))] for _ in range(campaign(3, 20))]
    for _ in range(campaign(20, 200)):
        whole = bytearray(data)
        whole[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        spoilt.append(bytes(whole))
    found = set()
    for one in (b"no HDF5 at all", *spoilt):
        path.write_bytes(one)
        try:
            read(path)
        except Problem as bad:
            found.add(bad.finding.id)
    assert "nwb.unreadable" in found
    assert {id.partition(".")[0] for id in found} == {"nwb"}


@pytest.mark.corpus
def test_real_files(corpus: Path) -> None:
    paths = sorted((corpus / "nwb").rglob("*.nwb"))
    assert paths
    for path in paths:
        content = read(path)
        with h5py.File(path) as file:
            assert content.facts["identifier"] == file["identifier"].asstr()[()]
            assert content.facts["nwb_version"] == file.attrs["nwb_version"]
