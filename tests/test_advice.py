"""Advice is certain or absent: nobody who follows a hint, a letter or a proposal writes wrong data."""

from __future__ import annotations

import csv
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest
from builder import Builder, abf
from campaigns import campaign
from clean_tables import clean_rows, write_clean, write_tables
from damaged_cells import COUNTS, UNITS, Defect, build_rows, damage_rows

from neuropress.api import Dataset
from neuropress.cli.main import main
from neuropress.model.finding import catalogue

DEFECTS = 50
ALL_DEFECTS = 500
BATCH = 10
_WRITE = re.compile(r"Write (.+?) instead of ")
_DIGITS = re.compile(r"[^\s'\"()]*\d[^\s'\"()]*")

type Outcomes = Counter[tuple[str, str]]
"""How often which source of advice was right, blank or wrong."""


def advised_values(advice: str, defect: Defect) -> set[str]:
    """The values that a piece of advice names: what it says to write, and whatever has a digit."""
    values = {match.strip("'") for match in _WRITE.findall(advice)}
    rest = advice.replace(repr(defect.text), "")
    return values | {token.strip(".,;:") for token in _DIGITS.findall(rest)}


def is_right(value: str, defect: Defect) -> bool:
    if f"{defect.table}.{defect.column}" in (*UNITS, *COUNTS, "image.numerical_aperture"):
        try:
            return Decimal(value) == Decimal(defect.truth)
        except ArithmeticError:
            return False
    return value == defect.truth


def judge(values: set[str], defect: Defect) -> str:
    if not values:
        return "blank"
    return "right" if all(is_right(value, defect) for value in values) else "wrong"


def letter_cures(letter: str) -> Iterator[tuple[str, str, int, str]]:
    """(table, column, line, cure) of every row that a letter's text names."""
    for point in re.split(r"(?m)^(?=\d+\. )", letter)[1:]:
        place = re.match(r"\d+\. (?:\d+ rows: )?table (\w+), column (\w+)\n", point)
        if place is None:
            continue
        body, _, shared = point.rpartition("   What to do: ")
        for entry in re.split(r"(?m)^     (?! )", body)[1:]:
            text, arrow, own = entry.partition("\n       -> ")
            cure = own.split("\n")[0] if arrow else shared.split("\n")[0]
            message = text.partition("   Effect: ")[0]
            for line in re.findall(r"\bline (\d+)(?::|;|\))", message):
                yield place[1], place[2], int(line), cure


def all_letters(dataset: Path, capsys: pytest.CaptureFixture[str]) -> str:
    texts = []
    for lab in (*Dataset.open(dataset).config.profile.labs, "-"):
        main(["check", str(dataset), "--tables-only", "--letter", lab])
        texts.append(capsys.readouterr().out)
    return "\n".join(texts)


def read_proposals(dataset: Path) -> Mapping[tuple[str, str, int], str]:
    path = dataset.parent / "fixes.csv"
    path.unlink(missing_ok=True)
    assert main(["check", str(dataset), "--propose", str(path)]) == 0
    with path.open(encoding="utf-8", newline="") as file:
        return {(x["table"], x["column"], int(x["line"])): x["fix"] for x in csv.DictReader(file)}


def run_batch(seed: int, dataset: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Outcomes, list[str]]:
    """Damage a clean dataset and judge all advice on it; what was wrong, in words."""
    random_ = random.Random(seed)
    rows = build_rows(random_)
    defects = {(d.table, d.column, d.line): d for d in damage_rows(rows, BATCH, random_)}
    write_tables(dataset / "tables", rows)
    findings = Dataset.open(dataset).check(tables_only=True).findings
    advice: list[tuple[str, tuple[str, str, int], str]] = []
    for found in findings:
        where = found.location
        advice.append(("hint", (where.table or "", where.column or "", where.line or 0), found.hint))
    for table, column, line, cure in letter_cures(all_letters(dataset, capsys)):
        advice.append(("letter", (table, column, line), cure))
    outcomes: Outcomes = Counter()
    wrong = []
    for source, place, text in advice:
        defect = defects.get(place)
        if defect is None:
            wrong += [f"{source} on an intact cell {place}: {text}"] if _WRITE.search(text) else []
            continue
        outcome = judge(advised_values(text, defect), defect)
        outcomes[source, outcome] += 1
        wrong += [f"{source}: {text} {defect}"] if outcome == "wrong" else []
    for place, fix in read_proposals(dataset).items():
        defect = defects.get(place)
        outcome = judge({fix} - {""}, defect) if defect else ("wrong" if fix else "blank")
        outcomes["proposal", outcome] += 1
        wrong += [f"proposal {place}: {fix!r} {defect}"] if outcome == "wrong" else []
    advised = {place for source, place, _ in advice if source == "letter"}
    reported = {(f.location.table, f.location.column, f.location.line) for f in findings if f.severity != "info"}
    missing = [place for place in defects if place in reported and place not in advised]
    return outcomes, wrong + [f"no letter names {place}" for place in missing]


def test_no_advice_on_seeded_defects_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/proof.md states the figures of the 500."""
    dataset = tmp_path / "ds"
    Dataset.init(dataset, "dendritic-consortium")
    outcomes: Outcomes = Counter()
    wrong: list[str] = []
    for seed in range(campaign(DEFECTS, ALL_DEFECTS) // BATCH):
        made, told = run_batch(seed, dataset, capsys)
        outcomes, wrong = outcomes + made, wrong + told
    print(dict(sorted(outcomes.items())))
    assert wrong == []
    for source in ("hint", "letter", "proposal"):
        assert outcomes[source, "wrong"] == 0
        assert outcomes[source, "right"] > outcomes[source, "blank"] / 2


def test_the_dataset_of_the_campaign_is_clean(tmp_path: Path) -> None:
    for seed in range(5):
        Dataset.init(tmp_path / str(seed), "dendritic-consortium")
        write_tables(tmp_path / str(seed) / "tables", build_rows(random.Random(seed)))
        findings = Dataset.open(tmp_path / str(seed)).check(tables_only=True).findings
        assert [str(found) for found in findings if found.severity == "error"] == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Dataset.init(tmp_path / "ds", "dendritic-consortium")
    return tmp_path / "ds"


def hints(dataset: Path, cells: Mapping[str, str]) -> dict[str, str]:
    """Column -> hint of the errors that `check` finds after these cells of the clean dataset were changed."""
    write_clean(dataset / "tables", cells)
    findings = Dataset.open(dataset).check(tables_only=True).findings
    return {f.location.column or "": f.hint for f in findings if f.severity == "error"}


def proposed(dataset: Path, cells: Mapping[str, str]) -> list[str]:
    write_clean(dataset / "tables", cells)
    return [fix for _, fix in sorted(read_proposals(dataset).items())]


CERTAIN = {
    "ephys.sampling_rate": {"20 kHz": "20000", "0.02 MHz": "20000", "20000 Hz": "20000", "12,5 kHz": "12500",
                            "1,234.5": "1234.5", "1.234,5": "1234.5", "1,234,567": None, "20,5": "20.5", "0,375": "0.375"},
    "micro_ct_dataset.voxel_size": {"800 nm": "0.8", "0.8 \u00b5m": "0.8", "0.8\u00a0um": "0.8", "0.0008 mm": "0.8"},
    "image.laser_power": {"0.0355 W": "35.5", "35500 uW": "35.5", "35.5mW": "35.5"},
    "mouse.weight": {"24.50 g": "24.50", "24500 mg": "24.5", "0.0245 kg": "24.5"},
    "image.laser_line": {"0.92 um": "920", "920,0": "920"},
    "image.z": {"1000.0": "1000", "1,000.0": "1000", "1'024": "1024"},
    "session.session_date": {"2018/11/16": "20181116", "16/11/2018": "20181116", "11/16/2018": "20181116",
                             "2018-11-16": "20181116", "16.11.2018": "20181116", "05/05/2018": "20180505",
                             "2018/3/4": "20180304", " 20181116.0 ": "20181116"},
    "session.start_time": {"2:00 PM": "14:00", "0.604166667": "14:30", "12:05 a.m.": "00:05", "9:30\u202fpm": "21:30"},
    "mouse.sex": {"f": "F", "M ": "M"},
}  # fmt: skip
UNCERTAIN = {
    "ephys.sampling_rate": ("20 khz", "20 mHz Hz", "20,000", "1.000 kHz", "20 000", "20\u00a0000", "20 kg", "~20 kHz", "20.000 Hz"),
    "micro_ct_dataset.voxel_size": ("0.7 m", "0.7 px", "0.7 um/px", "0.7 ?m", "0.7 UM", "1,625"),
    "image.laser_power": ("35500 W", "35 MILLIWATT", "35.5 MW", "35 mw"),
    "mouse.weight": ("24 kg", "24 mL", "24 G", "24 N", "<24", "24-25"),
    "image.z": ("1.000", "1,024", "12,000", "1e3 px", "1000 frames"),
    "image.numerical_aperture": ("0.8 NA", "0.8 m"),
    "session.session_date": ("03/04/2018", "3.4.2018", "16/11/18", "11/16", "45000/1/1", "2018/16/11", "2.01811E+07",
                             "20181311", "43420", "41958", "17851", "60000", "16-Nov-18", "31/02/2018"),
    "session.start_time": ("0.5", "0.40", "0.60", "14:00 AM", "0:30 PM", "13:30 PM", "9:75", "930", "9.30", "02:00:30", "1.5"),
    "mouse.genotype": ("#NAME?", "#REF!", "####"),
    "plasmid.gene": ("2-Sep", "1-Mar", "Sep-07", "4-Oct"),
    "mouse.strain": (" Camk2a\u00a0Cre", "Camk2a-Cre\u2019 ", "M\u00c3\u00bcller ", "M?ller ", "\ufffdx "),
    "mouse.sex": ("male", "W", "x"),
}  # fmt: skip


@pytest.mark.parametrize("place", CERTAIN)
def test_what_is_certain_is_advised(place: str, folder: Path) -> None:
    table, column = place.split(".")
    for text, right in CERTAIN[place].items():
        hint = hints(folder, {place: text})[column]
        values = advised_values(hint, Defect("", table, 2, column, text, right or ""))
        if right is None:  # certain, and more than the column may hold
            assert values == set(), text
            continue
        assert values == {right}, text
        assert proposed(folder, {place: text}) == [right], text


@pytest.mark.parametrize("place", UNCERTAIN)
def test_what_is_in_doubt_is_not_advised(place: str, folder: Path) -> None:
    table, column = place.split(".")
    for text in UNCERTAIN[place]:
        hint = hints(folder, {place: text})[column]
        assert advised_values(hint, Defect("", table, 2, column, text, "")) == set(), (text, hint)
        assert proposed(folder, {place: text}) == [""], text


def test_a_day_number_is_certain_while_the_other_count_gives_a_day_to_come(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            return cls(2026, 1, 1, tzinfo=tz)

    monkeypatch.setattr("neuropress.tables.spelling.datetime", Clock)
    assert proposed(folder, {"mouse.birth_date": "45828"}) == ["20250620"]  # or 2029, from 1904
    assert proposed(folder, {"mouse.birth_date": "44366"}) == [""]  # 2021, or 20250620 from 1904


def test_a_key_is_proposed_only_where_the_rows_bear_it_out(folder: Path) -> None:
    assert proposed(folder, {"image.session_id": "ry-s-1"}) == ["RY_S_0001"]
    assert proposed(folder, {"image.session_id": "ry-s-9"}) == [""]
    assert proposed(folder, {"mouse.mouse_id": "JB_M_1"}) == [""]  # the second mouse has that key
    rows = clean_rows()
    rows["session"].append(dict(rows["session"][0]) | {"session_id": "RY_S_2"})
    rows["session"].append(dict(rows["session"][0]) | {"session_id": "ry_s_0002"})
    write_tables(folder / "tables", rows)
    assert set(read_proposals(folder).values()) == {""}
    findings = Dataset.open(folder).check(tables_only=True).findings
    assert {f.location.expected for f in findings if f.id == "key.format"} == {"<initials>_S_<four digits>"}


def test_every_row_of_a_letter_has_its_own_cure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = clean_rows()
    rows["session"][0]["notes"] = ""
    times = ["2:00 PM", "0.604166667", "2:00 PM", "2:00 PM", "2:00 PM", "3:15 PM", "0.40"]
    for number, time in enumerate(times, 3):
        rows["session"].append(dict(rows["session"][0]) | {"session_id": f"RY_S_{number:04d}", "start_time": time})
    write_tables(folder / "tables", rows)
    letter = all_letters(folder, capsys)
    cures = {line: cure for _, column, line, cure in letter_cures(letter) if column == "start_time"}
    wanted = {4: "14:00", 5: "14:30", 6: "14:00", 7: "14:00", 8: "14:00", 9: "15:15"}
    for line, value in wanted.items():
        assert cures[line].startswith(f"Write {value} instead of {times[line - 4]!r}"), line
    assert "Write" not in cures[10]
    page = Dataset.open(folder).letter("RY", tables_only=True).to_html()
    for line, value in wanted.items():
        assert f"RY_S_{line - 1:04d}, line {line}" in page
        assert f"Write {value} instead of" in page


def test_a_changed_raw_file_does_not_cost_the_good_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = Builder(tmp_path / "ds")
    lab.session(1)
    key = lab.ephys(abf(tmp_path / "e.abf"), "20000")
    assert main(["convert", str(lab.root)]) == 0
    before = sha256(lab.raw(key).read_bytes()).hexdigest()
    data = bytearray(lab.raw(key).read_bytes())
    data[-5] ^= 4
    lab.raw(key).write_bytes(data)
    capsys.readouterr()
    assert main(["verify", str(lab.output("RY_S_0001.nwb")), "--source", str(lab.root / "source")]) == 1
    told = capsys.readouterr().out
    assert "verify.input_changed" in told
    assert before in told  # what a backup is recognised by
    assert "Keep the result" in told
    assert "Delete" not in told
    assert "verify.different" not in told


def test_no_advice_destroys_what_may_be_good() -> None:
    for id, entry in catalogue().items():
        assert not re.search(r"[Dd]elete the (result|volume|record)\b", entry["fix"]), id


def test_a_table_that_is_there_is_not_written_over(folder: Path) -> None:
    write_clean(folder / "tables")
    (folder / "tables/mose.csv").write_bytes((folder / "tables/mouse.csv").read_bytes())
    (found,) = [f for f in Dataset.open(folder).check(tables_only=True).findings if f.id == "table.misnamed"]
    assert "Save it as" not in found.hint
    assert "Rename" not in found.hint


@pytest.mark.parametrize(("name", "certain"), [("Weight", True), ("weight_kg", False), ("wieght", False)])
def test_a_column_of_another_unit_is_not_renamed(name: str, certain: bool, folder: Path) -> None:
    write_clean(folder / "tables")
    path = folder / "tables/mouse.csv"
    path.write_text(path.read_text("utf-8").replace("weight", name, 1), "utf-8", newline="\n")
    (found,) = [f for f in Dataset.open(folder).check(tables_only=True).findings if f.id == "table.column_unknown"]
    assert found.hint.startswith("Rename it to weight") == certain
