"""Provenance inside results is small, and explains every field and array as the plan had it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from abf_files import make_epoch, write_abf2
from builder import Builder, abf, movie, slices

from neuropress.cli.main import main
from neuropress.model.plan import canonical
from neuropress.model.serial import to_json
from neuropress.results import detect_kind


def one_recording(made: Builder, scratch: Path) -> str:
    made.session()
    made.ephys(abf(scratch / "a.abf", 200, 2000), "20000")
    return "RY_S_0001.nwb"


def recordings_and_a_movie(made: Builder, scratch: Path) -> str:
    made.session()
    for number in range(1, 5):
        made.ephys(abf(scratch / "a.abf", 10 * number, 500), "20000", number=number)
    made.movie(movie(scratch / "m.tif"), (12, 20, 16))
    return "RY_S_0001.nwb"


def a_few_of_each(made: Builder, scratch: Path) -> str:
    """Recordings of one sweep and a movie: nearly nothing is alike, so that columns do not help."""
    made.session()
    for number in range(1, 5):
        made.ephys(abf(scratch / "a.abf", 1, 500 * number), "20000", number=number)
    made.movie(movie(scratch / "m.tif"), (12, 20, 16))
    return "RY_S_0001.nwb"


def irregular_recordings(made: Builder, scratch: Path) -> str:
    """Two channels and a rebuilt command, sweeps at no regular times."""
    choose = np.random.default_rng(5)
    made.session()
    for number in range(1, 4):
        sweeps = [choose.integers(-3000, 3000, (640, 2)).astype("<i2") for _ in range(30)]
        raw = write_abf2(
            scratch / "a.abf", sweeps, starts=np.cumsum(choose.integers(4000, 9000, 30)).tolist(),
            units=[b"pA", b"mV"], commands=[b"pA", b"mV"],
            dac=[{}, {"nWaveformEnable": 1, "nWaveformSource": 1, "fDACHoldingLevel": -70.0}],
            epochs=[make_epoch(0, 1, -60.0, 100, nDACNum=1, fEpochLevelInc=10.0)],
        )  # fmt: skip
        made.ephys(raw, "10000", number=number)
    return "RY_S_0001.nwb"


def files_of_any_name(made: Builder, scratch: Path) -> str:
    """Forty recordings of one sweep each, whose names have nothing in common."""
    made.session()
    for number in range(1, 41):
        made.ephys(abf(scratch / "a.abf", 1, 400), "20000", number=number)
        name = "".join(chr(97 + int(n)) for n in np.random.default_rng(number).integers(0, 26, 9))
        key = f"yuste/20250620/ephys/raw/cell_{name}.abf"
        made.raw(made.rows["ephys"][-1]["file_path_raw"]).rename(made.raw(key))
        made.change("ephys", number - 1, file_path_raw=key)
    return "RY_S_0001.nwb"


def one_movie(made: Builder, scratch: Path) -> str:
    made.session()
    made.movie(movie(scratch / "m.tif"), (12, 20, 16))
    return "RY_S_0001.nwb"


def volume(made: Builder, scratch: Path) -> str:
    made.sem(slices(scratch / "slices", (2000, 4, 5)))
    return "JL_SD_0001.ome.zarr"


CASES = {
    made.__name__: (made, inputs)
    for made, inputs in (
        (one_recording, 1), (recordings_and_a_movie, 5), (a_few_of_each, 5), (irregular_recordings, 3), (files_of_any_name, 40),
        (one_movie, 1), (volume, 2000),
    )
}  # fmt: skip
INPUT_BYTES = 64
"""A slice of a volume: its digest has 46, the rest is its size, unless all have the same."""


def planned(made: Builder) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields and arrays of the one plan, by their paths."""
    (outcome,) = [outcome for outcome in made.dataset.plan().outcomes if "plan" in outcome.facts]
    fields, arrays = {}, {}
    for node in outcome.facts["plan"]["nodes"]:
        place = node["path"].rstrip("/")
        fields |= {f"{place}/{name}": field for name, field in node["fields"].items()}
        arrays |= {f"{place}/{name}": array for name, array in node["arrays"].items()}
    return fields, arrays


@pytest.mark.parametrize("name", CASES)
def test_provenance_is_small_and_explains_all_that_was_planned(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, inputs = CASES[name]
    made = Builder(tmp_path / "ds")
    result = make(made, tmp_path)
    fields, arrays = planned(made)
    assert made.dataset.convert().ok
    path = made.output(result)
    assert path is not None
    read = detect_kind(path).load().read_provenance(path)
    assert len(read.receipt.inputs) == inputs
    stored = {section: len(text) for section, text in _stored(path).items()}
    size = stored["about"] + stored["fields"] + stored["receipt"]
    assert size <= 200 * len(arrays) + 20_000 + (INPUT_BYTES * inputs if name == "volume" else 0)
    explained = {one.path: one for one in made.dataset.explain(path).explanations}
    # Of a volume the windows of channels are measured in what was written.
    measured = (
        {f"/omero/channels/0/window/{end}" for end in ("min", "max", "start", "end")} if name == "volume" else set()
    )
    assert explained.keys() == fields.keys() | arrays.keys() | measured
    for place, field in fields.items():
        assert canonical(to_json(explained[place].field)) == canonical(field)
    for place, spec in arrays.items():
        assert to_json(explained[place].array)["spec"] == spec
    assert main(["verify", str(made.root)]) == 0


def _stored(path: Path) -> dict[str, str]:
    """The sections as they lie in the result, without the blanks of indented JSON."""
    if path.is_dir():
        ours = json.loads((path / "zarr.json").read_text())["attributes"]["neuropress"]
        return {name: canonical(section) for name, section in ours.items()}
    import h5py

    with h5py.File(path) as file:
        return {name.removesuffix("_json"): item[()].decode() for name, item in file["general/neuropress"].items()}
