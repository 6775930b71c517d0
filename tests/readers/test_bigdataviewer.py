"""BigDataViewer's XML and HDF5 (synthetic only): setups, times, distances; what does not fit together is named."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import volume_reading
from campaigns import spoil
from volume_reading import check_blocks, find_problem, open_contents, open_image, try_pixels

VALUES = np.random.default_rng(6).integers(0, 2**16, (2, 3, 5, 12, 14), np.uint16)
"""Setup, time, z, y, x."""
SETUP = """<ViewSetup><id>{number}</id><name>{name}</name><size>14 12 5</size>
<voxelSize><unit>{unit}</unit><size>0.25 0.25 2.0</size></voxelSize></ViewSetup>"""
XML = """<?xml version="1.0" encoding="UTF-8"?>
<SpimData version="0.2"><BasePath type="relative">.</BasePath><SequenceDescription>
<ImageLoader format="{loader}"><hdf5 type="relative">{file}</hdf5></ImageLoader>
<ViewSetups>{setups}</ViewSetups>
<Timepoints type="range"><first>0</first><last>2</last></Timepoints>
</SequenceDescription></SpimData>"""


@pytest.fixture(autouse=True)
def close(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(volume_reading, "FINDINGS", (*volume_reading.FINDINGS, "bigdataviewer."))
    yield from volume_reading.close_volumes.__wrapped__()  # type: ignore[attr-defined]


def write_xml(path: Path, names: Iterable[str] = ("GFP", "RFP"), unit: str = "µm", **others: str) -> Path:
    setups = "".join(SETUP.format(number=n, name=name, unit=unit) for n, name in enumerate(names))
    path.write_text(XML.format(**{"loader": "bdv.hdf5", "file": "v.h5", "setups": setups} | others), "utf-8")
    return path


def write_hdf5(path: Path, values: np.ndarray = VALUES, times: Iterable[int] = (0, 1, 2)) -> Path:
    """Two levels; integers of 16 bits are signed in the file, whatever they mean."""
    with h5py.File(path, "w") as file:
        for setup, stacks in enumerate(values):
            file[f"s{setup:02}/resolutions"] = np.array([[1, 1, 1], [2, 2, 1]], "f8")
            for time, stack in zip(times, stacks, strict=True):
                place = f"t{time:05}/s{setup:02}"
                stored = stack.view("<i2") if stack.dtype == np.uint16 else stack
                file.create_dataset(f"{place}/0/cells", data=stored, chunks=(4, 8, 8), compression="gzip")
                file[f"{place}/1/cells"] = stored[:, ::2, ::2]
    return path


def test_setups_are_images_with_their_times(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "v.h5")
    images = open_contents(write_xml(tmp_path / "v.xml"))
    assert [image.name for image in images] == ["GFP", "RFP"]
    for image, values in zip(images, VALUES, strict=True):
        assert image.spacing == {"x": Decimal("0.25"), "y": Decimal("0.25"), "z": Decimal(2)}  # type: ignore[attr-defined]
        assert image.arrays["pixels"].axes == ("t", "z", "y", "x")
        check_blocks(image, values)
    check_blocks(open_image(tmp_path / "v.xml", image="RFP"), VALUES[1])
    images = open_contents(tmp_path / "v.h5", reader="bigdataviewer")
    assert [image.name for image in images] == ["setup 0", "setup 1"]
    check_blocks(images[1], VALUES[1])


def test_other_types_gaps_and_units(tmp_path: Path) -> None:
    values = (VALUES[:1] >> 8).astype(np.uint8)
    write_hdf5(tmp_path / "v.h5", values, times=(0, 2, 7))
    image = open_image(write_xml(tmp_path / "v.xml", ["only"], unit="pixel"))
    assert image.spacing == {}
    assert image.warnings == ("setup 0 has the times 0, 2, 7: others are not there",)
    check_blocks(image, values[0])


@pytest.mark.parametrize(
    ("others", "id", "words"),
    [
        ({"loader": "bdv.n5"}, "bigdataviewer.unsupported", "'bdv.n5'"),
        ({"file": "w.h5"}, "bigdataviewer.damaged", "'w.h5'"),
        ({"file": "../v.h5"}, "bigdataviewer.damaged", "does not lie beside it"),
        ({"file": "/etc/passwd"}, "bigdataviewer.damaged", "does not lie beside it"),
        ({"setups": SETUP.format(number="x", name="", unit="")}, "bigdataviewer.damaged", "the id 'x'"),
        ({"setups": SETUP.format(number=0, name="", unit="").replace("5</size>", "6</size>")}, "bigdataviewer.damaged",
         "states 14 x 12 x 6 voxels of setup 0, there are 14 x 12 x 5"),
    ],
)  # fmt: skip
def test_an_xml_that_does_not_fit_its_pixels(tmp_path: Path, others: dict[str, str], id: str, words: str) -> None:
    write_hdf5(tmp_path / "v.h5")
    found = find_problem(write_xml(tmp_path / "v.xml", **others))
    assert found.id == id
    assert words in found.message


def test_pixels_in_other_files_are_not_followed(tmp_path: Path) -> None:
    """BigStitcher may split a data set into files that the first one links to."""
    write_hdf5(tmp_path / "w.h5")
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["t00000/s00"] = h5py.ExternalLink("w.h5", "t00000/s00")
    assert find_problem(write_xml(tmp_path / "v.xml")).id == "arrays.unsafe"


def test_spoilt_files_end_in_a_finding_or_in_pixels(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "v.h5", VALUES[:1, :1], times=(0,))
    xml = write_xml(tmp_path / "v.xml", ["only"])
    for path in (xml, tmp_path / "v.h5"):
        whole = path.read_bytes()
        for data in spoil(whole, 8):
            path.write_bytes(data)
            try_pixels(xml, reader="bigdataviewer")
        path.write_bytes(whole)
