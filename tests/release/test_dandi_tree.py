"""Where results lie in a dandiset: whose they are, and names that only one may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuropress.model.plan import SourceRow
from neuropress.model.profile import load_profile
from neuropress.publishing.dandi import bids, tree
from neuropress.publishing.dandi.tree import Animal, PlacedResult, VolumeFacts, place_results
from neuropress.release import Asset, FileDigest

PROFILE = load_profile("dendritic-consortium")


def make_row(table: str, key: str, **cells: str) -> SourceRow:
    return SourceRow(table, key, cells)


@pytest.mark.parametrize(
    "own",
    [
        make_row("sem_dataset", "JL_SD_0001", mouse_id="RY_M_0001"),
        make_row("image", "RY_IMG_0001", session_id="RY_S_0001"),  # an image names its session, and that the animal
    ],
)
def test_the_animal_of_a_volume_is_found(own: SourceRow) -> None:
    rows = [own, make_row("session", "RY_S_0001", mouse_id="RY_M_0001"), make_row("mouse", "RY_M_0001", sex="F")]
    found = tree._find_animal(own, {(row.table, row.key): row for row in rows}, PROFILE)
    assert found == Animal("RY_M_0001", "Mus musculus", "", "F")
    assert tree._find_animal(own, {(own.table, own.key): own}, PROFILE) is None


def place_volume(subject: str, key: str) -> PlacedResult:
    volume = VolumeFacts(Animal(subject, "Mus musculus"), key, (1.0, 1.0), "um")
    label = volume.animal.label
    path = f"microscopy/sub-{label}/micr/sub-{label}_sample-{volume.sample}_SEM.ome.zarr"
    asset = Asset(f"{key}.ome.zarr", "ome-zarr", Path(key), {}, (FileDigest("zarr.json", 1, "0" * 64),))
    return PlacedResult(path, asset, subject, {}, volume)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (("M_1", "A_1"), ("M_2", "A_2"), None),
        (("M_1", "A_1"), ("M_1", "A_2"), None),
        (("M_1", "A_1"), ("M-1", "A_2"), "M_1 and M-1 would both be microscopy/sub-M1"),
        (("M_1", "A_1"), ("m1", "A_2"), "M_1 and m1 would both be microscopy/sub-m1"),
        (("M_1", "A_1"), ("M_2", "A-1"), "A_1 and A-1 would both be sample-A1"),
    ],
)
def test_two_animals_or_samples_of_one_label_are_told(
    one: tuple[str, str], two: tuple[str, str], same: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = {f"{key}.ome.zarr": place_volume(subject, key) for subject, key in (one, two)}
    monkeypatch.setattr(tree, "_place_volume", lambda asset, row, found, profile: placed[asset.name])
    found = place_results([(result.asset, {}) for result in placed.values()], PROFILE)
    assert [f.message for f in found.findings if f.id == "dandi.same_name"] == ([same] if same else [])
    assert len(found.placed) == (1 if same else 2)


def test_columns_that_others_added_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {bids.PARTICIPANTS: "participant_id\tage\tsex\nsub-M1\t4\tM\nsub-X\t3\tF\n"}
    files = {
        one.path: one.asset.content for one in bids.list_bids_files([place_volume("M_1", "A_1")], PROFILE, [], there)
    }
    table = files[bids.PARTICIPANTS]
    assert isinstance(table, bytes)
    head, ours, theirs = table.decode().splitlines()
    assert head.split("\t") == ["participant_id", "source_id", "species", "strain", "sex", "age"]
    assert ours.split("\t") == ["sub-M1", "M_1", "Mus musculus", "n/a", "M", "4"]
    assert theirs.split("\t") == ["sub-X", "n/a", "n/a", "n/a", "F", "3"]
