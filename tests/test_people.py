"""People: their names as standards want them, their ORCIDs, and where results and releases carry them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
from builder import Builder, abf
from hypothesis import given
from hypothesis import strategies as st

from neuropress.cli.main import main
from neuropress.model.people import Person, check_people, find_person, is_orcid
from neuropress.publishing.creators import format_creator

ORCID = "0000-0002-1825-0097"
LIST = f"""
[[people]]
name = "de la Cruz, Juan"
typed = ["Juan de la Cruz", "J. de la Cruz"]
orcid = "{ORCID}"
"""


@pytest.mark.parametrize("orcid", [ORCID, "0000-0001-5109-3700", "0000-0002-1694-233X"])
def test_true_orcids(orcid: str) -> None:
    assert is_orcid(orcid)


@given(st.integers(0, 15), st.integers(1, 9))
def test_a_wrong_digit_is_noticed(position: int, by: int) -> None:
    digits = list(ORCID.replace("-", ""))
    digits[position] = str((int(digits[position]) + by) % 10)
    text = "".join(digits)
    assert not is_orcid("-".join(text[i : i + 4] for i in range(0, 16, 4)))


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    assert is_orcid(text) in (True, False)
    found = find_person((Person("Lovelace, Ada", ("Ada Lovelace",)),), text)
    assert found is None or " ".join(text.split()) in ("Lovelace, Ada", "Ada Lovelace")


@pytest.mark.parametrize(
    ("people", "ids"),
    [
        ([Person("Lovelace, Ada", (), ORCID), Person("Plato")], []),
        ([Person("Lovelace, Ada", (), "0000-0002-1825-0098")], ["people.orcid"]),
        ([Person("Lovelace, Ada", (), f"https://orcid.org/{ORCID}")], ["people.orcid"]),
        ([Person("Lovelace, Ada", (), ORCID), Person("Hopper, Grace", (), ORCID)], ["people.orcid"]),
        ([Person("Ada Lovelace")], ["people.name"]),
        ([Person("Lovelace, ")], ["people.name"]),
        ([Person("Smith, Jane", ("J. Smith",)), Person("Smith, John", ("J.  Smith",))], ["people.name"]),
    ],
)
def test_what_is_wrong_with_a_list(people: list[Person], ids: list[str]) -> None:
    assert [found.id for found in check_people(people, "neuropress.toml")] == ids


def test_a_wrong_orcid_is_written_nowhere() -> None:
    assert "nameIdentifiers" not in format_creator(Person("Lovelace, Ada", (), "0000-0002-1825-0098"))
    assert format_creator(Person("\u738b\u5c0f\u660e")) == {"name": "\u738b\u5c0f\u660e", "nameType": "Personal"}


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1, experimenter="Juan de la Cruz")
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    return build


def read_ids(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line["id"] for line in lines if "id" in line]


def test_an_unlisted_name_stays_and_is_asked_for(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(lab.root)]) == 0
    with h5py.File(lab.output("RY_S_0001.nwb")) as file:
        assert list(file["general/experimenter"].asstr()) == ["Juan de la Cruz"]
    capsys.readouterr()
    assert main(["check", str(lab.root), "--json"]) == 0
    assert "people.unlisted" in read_ids(capsys)
    assert main(["validate", str(lab.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    forms = [line for line in lines if line.get("id") == "nwbinspector:check_experimenter_form"]
    assert {line["severity"] for line in forms} == {"info"}


def test_a_listed_name_reaches_result_release_and_the_dataset_got_from_it(
    lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(lab.root)]) == 0
    with (lab.root / "neuropress.toml").open("a", encoding="utf-8") as file:
        file.write(LIST)
    capsys.readouterr()
    assert main(["check", str(lab.root), "--json"]) == 0
    assert "people.unlisted" not in read_ids(capsys)
    assert main(["convert", str(lab.root)]) == 0, "the list changes the result"
    with h5py.File(lab.output("RY_S_0001.nwb")) as file:
        assert list(file["general/experimenter"].asstr()) == ["de la Cruz, Juan"]
    release = tmp_path / "release"
    assert main(["publish", str(lab.root), "--to", str(release), "--release", "1.0.0"]) == 0
    (creator,) = json.loads((release / "releases/1.0.0.json").read_bytes())["notes"]["creators"]
    assert (creator["name"], creator["familyName"], creator["givenName"]) == ("de la Cruz, Juan", "de la Cruz", "Juan")
    assert creator["nameIdentifiers"][0]["nameIdentifier"] == f"https://orcid.org/{ORCID}"
    assert f"de la Cruz, Juan (https://orcid.org/{ORCID})" in (release / "releases/1.0.0/README.md").read_text("utf-8")
    assert main(["releases", "rebuild", str(release)]) == 0
    assert main(["releases", "get", str(release), str(tmp_path / "got")]) == 0
    assert ORCID in (tmp_path / "got/neuropress.toml").read_text("utf-8")


def test_a_wrong_orcid_is_an_error_of_check(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    with (lab.root / "neuropress.toml").open("a", encoding="utf-8") as file:
        file.write(LIST.replace(ORCID, "0000-0002-1825-0098"))
    assert main(["check", str(lab.root), "--json"]) == 1
    assert "people.orcid" in read_ids(capsys)
