"""What results say of themselves is remembered beside the dataset, and believed no longer than they stay the same."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builder import Builder, abf, slices

import neuropress
import neuropress.planning.receipts as receipts
from neuropress.model.provenance import Provenance


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.sem(slices(tmp_path / "v"))
    assert build.dataset.convert().ok
    return build


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Results whose provenance was read whole."""
    seen: list[str] = []

    def watch(wanted: receipts.Wanted, path: Path) -> Provenance:
        seen.append(path.name)
        return read_whole(wanted, path)

    read_whole = receipts.read_whole
    monkeypatch.setattr(receipts, "read_whole", watch)
    return seen


def standings(lab: Builder) -> dict[str, tuple[str, str]]:
    """By the ending of each result, asked of the dataset as one who opens it anew."""
    return {one.target.split(".", 1)[1]: (one.done, one.why) for one in neuropress.open(lab.root).status().outcomes}


CURRENT = {"nwb": ("up to date", ""), "ome.zarr": ("up to date", "")}
NWB, ZARR = "RY_S_0001.nwb", "JL_SD_0001.ome.zarr"


def test_a_result_is_read_once_and_again_only_when_it_is_another_file(lab: Builder, read: list[str]) -> None:
    assert [standings(lab), sorted(read)] == [CURRENT, [ZARR, NWB]]
    read.clear()
    assert [standings(lab), read] == [CURRENT, []]
    shutil.rmtree(lab.root / ".neuropress")
    assert [standings(lab), sorted(read)] == [CURRENT, [ZARR, NWB]]


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_result_that_changed_is_noticed_whatever_its_time_says(lab: Builder, keep_time: bool) -> None:
    standings(lab)
    for path in (lab.output(NWB), next((lab.root / "output").rglob("*.ome.zarr")) / "zarr.json"):
        assert path is not None
        stat, content = path.stat(), path.read_bytes()
        path.write_bytes(content.replace(b"receipt", b"deceipt"))
        if keep_time:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert {state for state, _ in standings(lab).values()} == {"new"}


def test_what_is_remembered_of_a_result_says_what_changed_since(lab: Builder, read: list[str]) -> None:
    standings(lab)
    lab.change("mouse", weight="25.00")
    settings = lab.root / "neuropress.toml"
    settings.write_text(f'{settings.read_text()}\n[options."*/raw/v1/"]\nimage = "1"\n')
    read.clear()
    now = standings(lab)
    assert now["nwb"] == ("metadata changed", "mouse.RY_M_0001.weight changed")
    assert now["ome.zarr"][0] == "raw data changed"
    assert "the options of" in now["ome.zarr"][1]
    raw = next((lab.root / "source").rglob("e1.abf"))
    raw.write_bytes(raw.read_bytes() + b"\0")
    assert standings(lab)["nwb"] == ("raw data changed", f"{raw.relative_to(lab.root / 'source').as_posix()} changed")


def spoil_receipt(entry: list) -> list:
    entry[-1]["receipt"]["rows"] = 5
    return entry


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entry: [*entry[:-1], None],
        lambda entry: [*entry[:-1], {}],
        lambda entry: [*entry[:-1], {**entry[-1], "readable_by": "0.0.1 3"}],
        lambda entry: [*entry[:-1], {**entry[-1], "receipt": []}],
        lambda entry: [*entry[:-1], {**entry[-1], "receipt": {"version": "1"}}],
        lambda entry: [entry[0], *entry[2:]],
        spoil_receipt,
    ],
)
def test_memories_that_are_none_or_of_another_version_are_read_again(
    lab: Builder, read: list[str], spoil: Callable[[list], list]
) -> None:
    standings(lab)
    file = lab.root / ".neuropress/receipts.jsonl"
    entries = [json.loads(line) for line in file.read_text().splitlines() if line]
    file.write_text("".join(f"{json.dumps(spoil(entry))}\n" for entry in entries) + "[5")
    read.clear()
    assert [standings(lab), sorted(read)] == [CURRENT, [ZARR, NWB]]
