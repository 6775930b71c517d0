"""Profiles that grow: extended, with optional tables, read back without the profile."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from builder import Builder, abf, movie
from campaigns import campaign

import neuropress
from neuropress.api import Dataset
from neuropress.cli.main import main
from neuropress.config import load_config
from neuropress.model.finding import MappingError, Problem
from neuropress.model.provenance import Provenance
from neuropress.planning.records import parse_records
from neuropress.results import load_kind
from neuropress.verbs.export import canonical_tables

ROOT = Path(__file__).parents[1]


def blocks(language: str) -> list[str]:
    page = (ROOT / "docs/profiles.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def retype(path: Path, *rows: dict[str, str], **extra: str) -> None:
    """Add columns to all rows of a table, then rows."""
    with path.open(encoding="utf-8", newline="") as file:
        there = [row | extra for row in csv.DictReader(file)]
    names = dict.fromkeys(name for row in [*there, *rows] for name in row)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(names), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*there, *rows])


@pytest.fixture
def west(tmp_path: Path) -> Path:
    """The example of docs/profiles.md, with data."""
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    root = build.root
    overrides, _people, _split, _names, own, mapping, entries = blocks("toml")
    session, slices = blocks("json")
    (root / "consortium-west.toml").write_text(own, encoding="utf-8")
    (root / "schemas").mkdir()
    (root / "mappings").mkdir()
    (root / "mappings/session.toml").write_text(mapping, encoding="utf-8")
    (root / "schemas/session.schema.json").write_text(session, encoding="utf-8")
    (root / "schemas/slice.schema.json").write_text(slices, encoding="utf-8")
    (root / "neuropress.toml").write_text(entries + overrides, encoding="utf-8")
    retype(root / "tables/session.csv", room="B 12")
    (root / "tables/slice.csv").write_text(
        "slice_id,mouse_id,thickness,bench,notes\nRY_SL_0001,RY_M_0001,300,planted-secret,first\n", encoding="utf-8"
    )
    zebra = {"mouse_id": "ZZ_M_0001", "strain": "C57BL/6J", "birth_date": "20250101"}
    retype(root / "tables/mouse.csv", zebra)
    return root


def test_the_example_of_the_page_works(west: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(west)]) == 0, capsys.readouterr().out
    result = west / "output/yuste/20250620/session/nwb/RY_S_0001.nwb"
    told = {e.path: e for e in neuropress.open(west).explain(result).explanations}
    assert told["/experimenter"].field is not None
    assert told["/experimenter"].field.value == ["Example, Ada"]
    assert told["/protocol"].lines()[:3] == [
        "/protocol = 'Recorded in room B 12'",
        "  from table session, row RY_S_0001, column room: 'B 12'",
        "  by rule session/file.protocol, transform template",
    ]
    location = next(e for path, e in told.items() if path.endswith("electrode_ch0/location"))
    assert location.lines()[1] == "  from neuropress.toml [labs.RY], region: 'VISp2/3' (in place of the profile's)"
    assert location.profile == "consortium-west 2"
    rows = {row.table: row for row in load_kind("nwb").read_provenance(result).records}
    assert rows["slice"].cells == {
        "slice_id": "RY_SL_0001", "mouse_id": "RY_M_0001", "thickness": "300", "bench": "", "notes": "first",
    }  # fmt: skip
    assert rows["session"].cells["room"] == "B 12"
    assert not any(b"planted-secret" in p.read_bytes() for p in (west / "output").rglob("*") if p.is_file())
    assert main(["coverage", str(west)]) == 0


def test_a_release_gives_the_tables_back_without_the_profile(west: Path, tmp_path: Path) -> None:
    assert neuropress.open(west).run().ok
    assert neuropress.open(west).publish(str(tmp_path / "rel"), "1.0.0").ok
    config = load_config(west)
    wanted = dict(canonical_tables(west / "tables", config.profile))
    shutil.rmtree(west)
    assert main(["export-tables", str(tmp_path / "rel"), "--to", str(tmp_path / "out")]) == 0
    assert {p.stem: p.read_text("utf-8") for p in (tmp_path / "out").glob("*.csv")} == wanted
    assert "slice" in wanted


def test_a_mapping_of_the_profile_takes_the_place_of_rules_and_its_revision_counts(west: Path) -> None:
    assert neuropress.open(west).convert().ok
    path = west / "mappings/session.toml"
    replaced = path.read_text("utf-8").replace("file.protocol", "file.session_description")
    path.write_text(replaced.replace("revision = 1", "revision = 2"), encoding="utf-8")
    report = neuropress.open(west).plan()
    assert [o.done for o in report.outcomes] == ["outdated"]
    assert "mapping:session of consortium-west (revision 1 -> 2)" in report.outcomes[0].why
    (report,) = (neuropress.open(west).convert(outdated=True),)
    assert report.ok
    result = west / "output/yuste/20250620/session/nwb/RY_S_0001.nwb"
    told = {e.path: e.field.value for e in neuropress.open(west).explain(result).explanations if e.field}
    assert told["/session_description"] == "Recorded in room B 12"
    assert "/protocol" not in told
    lost = [f.message for f in neuropress.open(west).coverage().findings]
    assert "mappings/session.toml does not take session.room to file.protocol any more" in lost
    path.unlink()
    assert [o.done for o in neuropress.open(west).plan().outcomes] == ["outdated"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("sessions", 'revision = 1\ntable = ["session"]\nrule = []\n', "there is no mapping 'sessions'"),
        ("session", "revision = ", "mappings/session.toml"),
        ("session", 'revision = 1\ntable = ["session"]\n[[rule]]\nto = "file.protocol"\nfrom = "rom"\n', "no column 'rom'"),
        ("session", 'revision = 1\ntable = ["session"]\n[[rule]]\nto = "file.weather"\nfrom = "room"\n', "no field 'weather'"),
    ],
)  # fmt: skip
def test_a_broken_mapping_of_a_profile_is_told_in_one_line(
    name: str, text: str, said: str, west: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (west / f"mappings/{name}.toml").write_text(text, encoding="utf-8")
    assert main(["check", str(west)]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_another_version_of_the_profile_is_told_until_a_person_states_it(west: Path) -> None:
    path = west / "consortium-west.toml"
    path.write_text(path.read_text("utf-8").replace('version = "2"', 'version = "3"'), encoding="utf-8")
    told = [f for f in neuropress.open(west).check(tables_only=True).findings if f.severity != "info"]
    assert [(f.id, f.location.value, f.location.expected) for f in told] == [("profile.version", "2", "3")]


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16))
    build.row(
        "plasmid", plasmid_id="ML_P_0002", plasmid_name="pGP-jGCaMP8s", gene="jGCaMP8s", indicator="calcium indicator",
        wavelength="510", tuning="positive",
    )  # fmt: skip
    build.row("virus", virus_id="RY_V_0002", virus_name="v2", plasmid_id="ML_P_0002", serotype="AAV9", floxed="FALSE")
    return build


def injections(build: Builder) -> None:
    build.dataset = Dataset.open(build.root)
    common = {"mouse_id": "RY_M_0001", "region": "VISp"}
    build.row("injection", injection_id="RY_INJ_0001", virus_id="RY_V_0001", volume="300", **common)
    build.row("injection", injection_id="RY_INJ_0002", virus_id="RY_V_0002", injection_date="20250601", **common)


def planned(build: Builder) -> dict[str, object]:
    report = neuropress.open(build.root).plan()
    assert report.ok, report.findings
    plan = report.outcomes[0].facts["plan"]
    return {f"{n['path'].rstrip('/')}/{k}": v["value"] for n in plan["nodes"] for k, v in n["fields"].items()}


def test_all_injections_of_a_mouse_are_told_and_their_plasmids_known(lab: Builder) -> None:
    without = planned(lab)
    injections(lab)
    fields = planned(lab)
    assert str(fields["/virus"]).splitlines()[0] == without["/virus"]
    lines = str(fields["/virus"]).splitlines()[1:]
    assert [line.split("; ")[0] for line in lines] == ["virus_id=RY_V_0002"], "each virus once"
    assert "gene=jGCaMP8s" in lines[0]
    surgery = str(fields["/surgery"]).splitlines()
    assert [line.split("; ")[0] for line in surgery] == ["injection_id=RY_INJ_0001", "injection_id=RY_INJ_0002"]
    assert "volume_nL=300" in surgery[0]
    assert "virus_id=RY_V_0002" in surgery[1]
    assert fields["/general/optophysiology/RY_IMG_0001_plane/indicator"] == "see NWBFile.virus"
    rows = {(r["table"], r["key"]) for r in neuropress.open(lab.root).plan().outcomes[0].facts["plan"]["rows"]}
    assert rows >= {("injection", "RY_INJ_0001"), ("injection", "RY_INJ_0002"), ("virus", "RY_V_0002")}
    assert rows >= {("plasmid", "ML_P_0002")}


def test_a_bad_injection_withholds_the_sessions_of_its_mouse(lab: Builder) -> None:
    injections(lab)
    lab.change("injection", volume="-3")
    report = neuropress.open(lab.root).check()
    assert [f.id for f in report.findings if f.severity == "error"] == ["cell.range"]
    assert [o.done for o in report.outcomes] == ["has errors"]
    lab.change("injection", volume="3", injection_date="20240101")
    report = neuropress.open(lab.root).check()
    assert [f.id for f in report.findings if f.severity == "error"] == ["dates.before_birth"]


def test_a_row_names_the_indicator_region_and_species_that_hold_for_it(lab: Builder) -> None:
    injections(lab)
    retype(lab.root / "tables/image.csv", indicator="JGCaMP-8s", region="RSP")
    retype(lab.root / "tables/mouse.csv", species="Rattus norvegicus")
    fields = planned(lab)
    plane = "/general/optophysiology/RY_IMG_0001_plane"
    assert fields[f"{plane}/indicator"] == "JGCaMP-8s"
    assert fields[f"{plane}/location"] == "RSP"
    assert fields[f"{plane}/optical_channel/emission_lambda"] == 510.0
    assert fields["/general/subject/species"] == "Rattus norvegicus"
    nodes = neuropress.open(lab.root).plan().outcomes[0].facts["plan"]["nodes"]
    indicator = next(n for n in nodes if n["path"] == plane)["fields"]["indicator"]
    assert [(s["table"], s["column"], s["origin"]) for s in indicator["sources"]] == [("image", "indicator", "cell")]


def test_an_animal_that_is_no_mouse(lab: Builder, tmp_path: Path) -> None:
    (lab.root / "tables/subject.csv").write_text(
        "subject_id,species,strain,sex,birth_date,age,weight,notes\nRY_SUB_0001,Hydra vulgaris,AEP,,,P30D,,whole\n",
        encoding="utf-8",
    )
    hydra = {"session_id": "RY_S_0002", "experimenter": "Ada Example", "session_date": "20250620"}
    hydra |= {"start_time": "15:00", "end_time": "16:00", "subject_id": "RY_SUB_0001"}
    retype(lab.root / "tables/session.csv", hydra)
    lab.ephys(abf(tmp_path / "e.abf"), "20000", session=2)
    assert neuropress.open(lab.root).convert().ok
    fields = {
        e.path: e.field.value
        for e in neuropress.open(lab.root).explain(lab.output("RY_S_0002.nwb")).explanations
        if e.field
    }
    assert fields["/general/subject/species"] == "Hydra vulgaris"
    assert fields["/general/subject/subject_id"] == "RY_SUB_0001"
    assert fields["/general/subject/age"] == "P30D"
    assert fields["/session_description"] == "Recording session RY_S_0002 of RY_SUB_0001"
    assert neuropress.open(lab.root).validate().ok
    for both in ({"mouse_id": "RY_M_0001"}, {"subject_id": ""}):
        retype(lab.root / "tables/session.csv", hydra | {"session_id": "RY_S_0003"} | both)
        errors = [f for f in neuropress.open(lab.root).check(tables_only=True).findings if f.severity == "error"]
        assert [(f.id, f.location.key, f.location.column) for f in errors] == [
            ("row.conflict", "RY_S_0003", "mouse_id")
        ]
        text = (lab.root / "tables/session.csv").read_text("utf-8").splitlines(keepends=True)
        (lab.root / "tables/session.csv").write_text("".join(text[:-1]), encoding="utf-8")


def test_files_of_no_other_table_are_published_and_their_rows_kept(lab: Builder, tmp_path: Path) -> None:
    (lab.root / "tables/file_asset.csv").write_text(
        "file_asset_id,asset_type,source_id,description,file_path,notes\n"
        "ML_FA_0001,proteomics,ML_P_0001,proteins,lin/20250501/file_asset/raw/g.csv,\n",
        encoding="utf-8",
    )
    errors = [f for f in neuropress.open(lab.root).check().findings if f.severity == "error"]
    assert [(f.id, f.location.key) for f in errors] == [("file.missing", "ML_FA_0001")]
    lab.put("lin/20250501/file_asset/raw/g.csv", b"a,b")
    assert neuropress.open(lab.root).run().ok
    assert neuropress.open(lab.root).publish(str(tmp_path / "rel"), "1.0.0").ok
    assert (tmp_path / "rel/lin/20250501/file_asset/raw/g.csv").read_bytes() == b"a,b"
    (record,) = (lab.root / "output").rglob("ML_FA_0001.json")
    assert '"ML_FA_0001"' in record.read_text("utf-8")


def test_init_writes_the_optional_tables_that_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "a"), "--profile", "dendritic-consortium"]) == 0
    assert len(list((tmp_path / "a/tables").iterdir())) == 12
    assert (
        main(
            [
                "init",
                str(tmp_path / "b"),
                "--profile",
                "dendritic-consortium",
                "--with",
                "injection",
                "--with",
                "file_asset",
            ]
        )
        == 0
    )
    assert len(list((tmp_path / "b/tables").iterdir())) == 14
    capsys.readouterr()
    assert main(["init", str(tmp_path / "c"), "--profile", "dendritic-consortium", "--with", "injections"]) == 2
    assert "its optional tables: subject, injection, file_asset" in capsys.readouterr().err


OLD_RECORDS = (
    b'{"about":{"format":1,"profile":"dendritic-consortium","results":{},"version":"1"}}\n'
    b'{"cells":{"birth_date":"20250101","litter_id":"","mouse_id":"RY_M_0001","notes":"","strain":"B6"},'
    b'"key":"RY_M_0001","table":"mouse"}\n'
)


def test_records_of_the_first_version_stay_readable(tmp_path: Path) -> None:
    assert parse_records(OLD_RECORDS, "records.jsonl").rows[0].cells["strain"] == "B6"
    (tmp_path / "records.jsonl").write_bytes(OLD_RECORDS)
    assert main(["export-tables", str(tmp_path), "--to", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/mouse.csv").read_text("utf-8").splitlines()[1] == ",RY_M_0001,B6,,,,20250101,,,,"


def test_provenance_of_another_version_is_named() -> None:
    old = {
        "about": {"format": 1, "target": {"kind": "nwb", "id": "RY_S_0001", "path": "a.nwb"}, "notes": []},
        "records": [{"table": "mouse", "key": "RY_M_0001", "cells": {"mouse_id": "RY_M_0001"}}],
        "fields": {}, "headers": {},
        "receipt": {"version": "0.1.0", "rows": "", "revisions": {}, "inputs": {}, "arrays": {}},
    }  # fmt: skip
    for number in (1, 2, 3, 5):
        with pytest.raises(ValueError, match=f"provenance format {number}; this version reads 4"):
            Provenance.from_sections(old | {"about": old["about"] | {"format": number}})
    made = Provenance.from_sections(old | {"about": old["about"] | {"format": 4}})
    assert made.profile == ""
    assert made.records[0].fixes == {}


BROKEN = {
    "not TOML": ("name = ", "cannot be used"),
    "another name": ('name = "other"\nversion = "1"\nextends = "dendritic-consortium"', "must state name"),
    "no version": ('name = "own"\nextends = "dendritic-consortium"', "must state name"),
    "a version that is a number": ('name = "own"\nversion = 1\nextends = "dendritic-consortium"', "version: expected a text, found 1"),
    "an unknown base": ('name = "own"\nversion = "1"\nextends = "nowhere"', "there is no profile 'nowhere'"),
    "itself as base": ('name = "own"\nversion = "1"\nextends = "own"', "there is no profile 'own'"),
    "an unknown entry": ('labz = 1', "labz"),
    "an unknown zone": ('[labs.RY]\ntimezone = "America/Nowhere"', "no time zone"),
    "a lab without folder": ('[labs.ZZ]\nname = "Z"\ninstitution = "U"\ntimezone = "UTC"', "folder"),
    "a table of an unknown lab": ('[tables.mouse]\nlabs = ["...", "QQ"]', "there is no lab 'QQ'"),
    "a prefix twice": ('[tables.mouse]\nprefix = "V"', "prefix 'V'"),
    "a small prefix": ('[tables.mouse]\nprefix = "m"', "capital letters"),
    "a column twice": ('[tables.mouse]\noptional = ["...", "strain"]', "named twice"),
    "a key that is no column": ('[tables.mouse]\nkey = "id"', "no column 'id'"),
    "a foreign key to nowhere": ('[tables.mouse]\nforeign = { virus_id = ["viruses"] }', "no table 'viruses'"),
    "dots without a list below": ('[tables.mouse]\nprivate = ["...", "notes"]\naccompanies = ["..."]', "nothing that"),
    "a column without schema": ('[tables.mouse]\noptional = ["...", "colour"]', "does not describe the column colour"),
    "a table without schema": (
        '[tables.slice]\nkey = "slice_id"\nprefix = "SL"\nlabs = ["RY"]\ncolumns = ["slice_id"]', "has no schemas/slice"
    ),
    "a table that accompanies nothing": ('[tables.mouse]\naccompanies = "cage"', "no foreign key"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_profile_is_told_in_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, said = BROKEN[case]
    if not text.startswith("name"):
        text = f'name = "own"\nversion = "1"\nextends = "dendritic-consortium"\n{text}'
    main(["init", str(tmp_path / "ds"), "--profile", "dendritic-consortium"])
    (tmp_path / "ds/own.toml").write_text(text, encoding="utf-8")
    (tmp_path / "ds/neuropress.toml").write_text('profile = "own"\n', encoding="utf-8")
    capsys.readouterr()
    assert main(["check", str(tmp_path / "ds")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"properties": 3}', '{"properties": {"room": {"pattern": "("}}}', "\xff"])
def test_a_broken_schema_is_told_in_one_line(text: str, west: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (west / "schemas/session.schema.json").write_bytes(text.encode("latin-1"))
    assert main(["check", str(west)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(("unit", "status"), [("kg", 2), ("g", 0)])
def test_a_shipped_column_stays_in_its_unit(
    unit: str, status: int, west: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = {"description": "Weight.", "unit": unit, "oneOf": [{"type": "number"}, {"type": "null"}]}
    schema = {"title": "mouse", "properties": {"weight": weight}}
    (west / "schemas/mouse.schema.json").write_text(json.dumps(schema), encoding="utf-8")
    assert main(["check", str(west), "--tables-only"]) == status
    assert ("weight must stay in g" in capsys.readouterr().err) == (status == 2)


WORDS = ('""', "[]", "{}", "1", "true", '["..."]', '"mouse"', "nan", '"{lab}"', '"\\u0000"')


def spoilt(text: str, random_: random.Random) -> str:
    """One or two lines deleted, doubled, given another value or another letter."""
    lines = text.splitlines()
    for _ in range(random_.randint(1, 2)):
        at = random_.randrange(len(lines))
        name, mark, _ = lines[at].partition("=" if "=" in lines[at] else ":")
        how = random_.randrange(4)
        if how == 0 and len(lines) > 1:
            del lines[at]
        elif how == 1:
            lines.insert(at, random_.choice(lines))
        elif how == 2 and mark:
            lines[at] = f"{name}{mark} {random_.choice(WORDS)}"
        elif lines[at]:
            place = random_.randrange(len(lines[at]))
            lines[at] = lines[at][:place] + random_.choice('"[]{}=.,x1é ') + lines[at][place + 1 :]
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(campaign(3)))
def test_a_spoilt_profile_is_told_or_works(seed: int, west: Path) -> None:
    random_ = random.Random(seed)
    names = ("consortium-west.toml", "neuropress.toml", "schemas/slice.schema.json", "mappings/session.toml")
    whole = {west / name: (west / name).read_text("utf-8") for name in names}
    for _ in range(50):
        for path, text in whole.items():
            path.write_text(text, encoding="utf-8")
        path = random_.choice(list(whole))
        path.write_text(spoilt(whole[path], random_), encoding="utf-8")
        with suppress(Problem, MappingError):  # one line and status 2 on the command line
            Dataset.open(west).check(tables_only=True)
