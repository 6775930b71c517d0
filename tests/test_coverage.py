"""Every cell is somewhere, where coverage says, and nowhere else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import pytest
from builder import DATE, Builder, abf, movie, slices
from clean_tables import PROFILE

import neuropress
from neuropress import converters
from neuropress.cli.main import main
from neuropress.converters import CONVERTERS, imaging
from neuropress.mapping import rules
from neuropress.model.plan import Field
from neuropress.planning import build
from neuropress.planning import mappings as planning
from neuropress.verbs.coverage import CLASSES, find_lost_rules, list_places, read_results

TOKENS = {  # table: columns that take any text
    "plasmid": ("plasmid_name", "gene", "backbone", "promoter", "notes"),
    "virus": ("virus_name", "notes"),
    "mouse": ("strain", "notes"),
    "session": ("anesthesia", "notes"),
    "image": ("processing_methods", "roi_tool", "notes"),
    "ephys": ("processing_methods", "notes"),
    "sem_dataset": ("section", "file_path_local", "notes"),
    "micro_ct_dataset": ("contrast_agent", "file_path_local", "notes"),
    "behavior": ("task", "injection", "notes"),
    "model": ("model_version", "description", "notes"),
    "analysis": ("description", "notes"),
    "cell_detection_dataset": ("tool", "file_path_local", "notes"),
}


def token(table: str, column: str) -> str:
    return f"zq{table}x{column}qz"


FILLED = ("patch_clamp", "imaging", "volume", "morphology")
"""Converters for whose rows the fixture has real files. The files of all other rows are no more than there, so all
other converters take none: a new modality changes nothing here. That its rules are promised is asked of every one."""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """All twelve tables with every column filled that can be, a token in every text."""
    for name in set(CONVERTERS) - set(FILLED):
        monkeypatch.setattr(converters.load_converter(name), "takes", lambda record: False)
    build = Builder(tmp_path / "ds")
    texts = {table: {c: token(table, c) for c in columns} for table, columns in TOKENS.items()}
    build.change(
        "plasmid",
        backbone="",
        promoter="",
        tuning="negative",
        **{k: v for k, v in texts["plasmid"].items() if k not in ("backbone", "promoter")},
    )
    build.change("plasmid", backbone=token("plasmid", "backbone"), promoter=token("plasmid", "promoter"))
    build.change("virus", **texts["virus"])
    build.row("plasmid", plasmid_id="EN_P_0001", plasmid_name="pCAG", gene="tdTomato", indicator="fluorescent protein")
    build.change(
        "mouse", litter_id="RY_L_0001", plasmid_id="EN_P_0001", cre_line=token("mouse", "strain"), **texts["mouse"]
    )
    build.session(1, **texts["session"])
    keys = {kind: f"yuste/{DATE}/{kind}" for kind in ("image", "ephys")}
    for kind, version in (
        ("image", "processed"),
        ("image", "roi"),
        ("image", "script"),
        ("ephys", "processed"),
        ("ephys", "script"),
    ):
        build.put(f"{keys[kind]}/{version}/f.txt", b"x")
    build.ephys(
        abf(tmp_path / "e.abf"),
        "20000",
        file_path_processed=f"{keys['ephys']}/processed/f.txt",
        file_path_script=f"{keys['ephys']}/script/f.txt",
        **texts["ephys"],
    )
    build.movie(
        movie(tmp_path / "m.tif"), (12, 20, 16), pixel_size="0.8", numerical_aperture="0.8", objective_magn="40x", exposure_time="2",
        laser_power="30", laser_line="488", file_path_processed=f"{keys['image']}/processed/f.txt",
        file_path_roi=f"{keys['image']}/roi/f.txt", file_path_script=f"{keys['image']}/script/f.txt", **texts["image"],
    )  # fmt: skip
    more = {f"file_path_{v}": f"lichtman/{DATE}/sem_dataset/{v}/s" for v in ("processed", "viewer", "script")}
    build.sem(slices(tmp_path / "v"), end_date=DATE, **more, **texts["sem_dataset"])
    for key in more.values():
        build.put(key, b"x")
    other_tables(build, tmp_path / "v", texts)
    assert main(["convert", str(build.root)]) == 0
    return build


def other_tables(build: Builder, stack: Path, texts: dict[str, dict[str, str]]) -> None:
    """Rows of the tables that no session holds."""
    key = f"lichtman/{DATE}/micro_ct_dataset/raw/v/"
    build.put(key, stack)
    build.row(
        "micro_ct_dataset",
        micro_ct_id="JL_MD_0001",
        mouse_id="RY_M_0001",
        voxel_size="1.5",
        start_date=DATE,
        end_date=DATE,
        file_path=key,
        **texts["micro_ct_dataset"],
    )
    build.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J")
    build.row(
        "session",
        session_id="JB_S_0001",
        mouse_id="JB_M_0001",
        experimenter="Bo Beispiel",
        session_date=DATE,
        start_time="10:00",
        end_time="11:00",
    )
    for name, key, cells in (
        ("behavior", f"basu/{DATE}/behavior/raw/b.dat", {"behavior_id": "JB_B_0001", "session_id": "JB_S_0001", "metric_type": "position", "file_path_raw": f"basu/{DATE}/behavior/raw/b.dat", "file_path_processed": f"basu/{DATE}/behavior/processed/p", "file_path_script": f"basu/{DATE}/behavior/script/s"}),
        ("model", f"segev/{DATE}/model/model/m.hoc", {"model_id": "IS_MOD_0001", "model_type": "biophysical", "file_path_model": f"segev/{DATE}/model/model/m.hoc", "file_path_script": f"segev/{DATE}/model/script/s"}),
        ("analysis", f"segev/{DATE}/analysis/raw/a.csv", {"analysis_id": "IS_A_0001", "source_type": "model", "source_id": "IS_MOD_0001", "file_path": f"segev/{DATE}/analysis/raw/a.csv"}),
        ("cell_detection_dataset", f"lichtman/{DATE}/cell_detection_dataset/raw/c.csv", {"cell_dataset_id": "JL_CD_0001", "mouse_id": "RY_M_0001", "start_date": DATE, "end_date": DATE, "file_path": f"lichtman/{DATE}/cell_detection_dataset/raw/c.csv"}),
    ):  # fmt: skip
        build.put(key, b"x")
        build.row(name, **cells, **texts[name])


def matrix(build: Builder, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, int]]:
    capsys.readouterr()
    assert main(["coverage", str(build.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {line["column"]: {c: line[c] for c in CLASSES} for line in lines if "column" in line}
    (total,) = (line for line in lines if "cells" in line)
    assert total["cells"] == sum(sum(row.values()) for row in found.values())
    return found


def test_all_columns_are_in_the_matrix_and_it_adds_up(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    found = matrix(lab, capsys)
    assert len(found) == 115
    read = sum(len(rows) * len(lab.dataset.config.profile.tables[t].columns) for t, rows in lab.rows.items())
    assert sum(sum(row.values()) for row in found.values()) == read
    assert found["mouse.weight"]["core NWB"] == 1
    assert found["sem_dataset.resolution"]["OME-Zarr"] == 1
    assert found["model.description"]["catalogue only"] == 1
    assert found["sem_dataset.file_path_local"]["private"] == 1
    assert found["ephys.file_path_script"]["free text"] == 1
    assert found["sem_dataset.section"]["record"] == 1


def test_tokens_are_where_coverage_says_and_nowhere_else(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    found = matrix(lab, capsys)
    output = lab.root / "output"
    holds = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    for table, columns in TOKENS.items():
        for column in columns:
            there = {str(p.relative_to(output)) for p, data in holds.items() if token(table, column).encode() in data}
            if column == "file_path_local":
                assert not there, column
                assert found[f"{table}.{column}"]["private"] == 1
                continue
            fate = next(name for name in CLASSES if found[f"{table}.{column}"][name] and name != "empty")
            if fate == "catalogue only":
                assert there == {"records.jsonl"}, (table, column, there)
            else:
                assert there, (table, column)
                assert "records.jsonl" not in there, (table, column, there)
                assert any(
                    name.endswith(".nwb" if fate in ("core NWB", "free text") else ("zarr.json", ".nwb"))
                    for name in there
                )


def carried(output: Path) -> dict[tuple[str, str, str, str], set[str]]:
    """Table, key, column and text of every cell -> the files that hold it, read without neuropress."""
    found: dict[tuple[str, str, str, str], set[str]] = {}
    for path in output.rglob("*"):
        if path.suffix == ".nwb":
            with h5py.File(path) as file:
                rows = json.loads(file["general/neuropress/records_json"][()])
        elif path.name == "zarr.json":
            rows = json.loads(path.read_bytes()).get("attributes", {}).get("neuropress", {}).get("records", [])
        elif path.name == "records.jsonl":
            rows = [json.loads(line) for line in path.read_bytes().splitlines()[1:]]
        else:
            continue
        name = path.relative_to(output).as_posix().removesuffix("/zarr.json")
        for row in rows:
            for column, text in row["cells"].items():
                found.setdefault((row["table"], row["key"], column, text), set()).add(name)
    return found


def test_every_cell_of_all_columns_is_where_explain_says_and_nowhere_else(lab: Builder) -> None:
    there = carried(lab.root / "output")
    columns = set()
    results = read_results(lab.dataset.config, neuropress.open(lab.root).workspace.current())
    for table, rows in lab.rows.items():
        spec = lab.dataset.config.profile.tables[table]
        for row in rows:
            for column, text in ((c, t) for c, t in row.items() if t):
                columns.add((table, column))
                files = there.pop((table, row[spec.key], column, text), set())
                told = list_places(lab.dataset.config, results, f"{table}.{row[spec.key]}.{column}")
                assert files == {p.file for p in told if p.field == "record, verbatim"}, (table, column)
                assert bool(files) == (column not in spec.private), (table, column)
    assert len(columns) == 115
    assert {text for _, _, _, text in there} == {""}, "nothing but what was typed"


def test_explain_follows_a_cell(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(lab.root), "--cell", "mouse.RY_M_0001.weight", "--json"]) == 0
    places = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"/general/subject/weight"} == {p["field"] for p in places if p["rule"]}
    assert sum(p["field"] == "record, verbatim" for p in places) == 3
    assert main(["explain", str(lab.root), "--cell", "model.IS_MOD_0001.description"]) == 0
    assert "records.jsonl" in capsys.readouterr().out
    assert main(["explain", str(lab.root), "--cell", "sem_dataset.JL_SD_0001.file_path_local"]) == 0
    assert "private" in capsys.readouterr().out
    assert main(["explain", str(lab.root), "--cell", "mouse.RY_M_0001.wieght"]) == 1


def test_one_changed_cell_changes_exactly_what_explain_names(lab: Builder) -> None:
    dataset = neuropress.open(lab.root)
    named = {place.file for place in dataset.find_cell("sem_dataset.JL_SD_0001.section")}
    before = {p: p.read_bytes() for p in (lab.root / "output").rglob("*") if p.is_file()}
    lab.change("sem_dataset", section="another")
    assert main(["convert", str(lab.root)]) == 0
    changed = {p for p, data in before.items() if p.read_bytes() != data}
    names = {p.relative_to(lab.root / "output").as_posix() for p in changed} - {"records.jsonl"}
    assert {name.split(".ome.zarr")[0] for name in names} == {name.split(".ome.zarr")[0] for name in named}


def without(name: str, position: int, source: int | None = None) -> rules.Mapping:
    """A mapping without one of its rules, or without one of the rule's sources."""
    whole = rules.load_mapping(name)
    rule = whole.rules[position]
    less = [replace(rule, source=rule.source[:source] + rule.source[source + 1 :])] if source is not None else []
    return replace(whole, rules=(*whole.rules[:position], *less, *whole.rules[position + 1 :]))


EVERY_RULE = [
    (name, position, source)
    for name in ("session", *CONVERTERS)
    for position, rule in enumerate(rules.load_mapping(name).rules)
    for source in (None, *(range(len(rule.source)) if len(rule.source) > 1 else ()))
    # the zone of a birth date stands in two rules, for mice and for other animals; without it neither can be applied
    if not (rule.to == "subject.date_of_birth" and source == 1)
]


@pytest.mark.parametrize(("name", "position", "source"), EVERY_RULE)
def test_every_removed_rule_and_source_is_told_by_its_name(
    name: str, position: int, source: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(find_lost_rules(PROFILE)) == []
    rule = rules.load_mapping(name).rules[position]
    less = without(name, position, source)
    monkeypatch.setattr(planning, "load_profile_mapping", lambda n, _: less if n == name else rules.load_mapping(n))
    told = list(find_lost_rules(PROFILE))
    assert f"{name}/{rule.to}" in {found.location.expected for found in told}
    assert {found.id for found in told} == {"coverage.rule"}
    gone = rule.source[source] if source is not None else None
    assert gone is None or {gone.rpartition(".")[2].removeprefix("?")} >= {f.location.column for f in told}


def test_a_cell_that_a_converter_drops_is_told(
    lab: Builder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = imaging._MovieConverter._build_series_fields

    def forgetful(movie: imaging._MovieConverter, kind: str) -> dict[str, Field]:
        return {name: field for name, field in whole(movie, kind).items() if name != "exposure_time"}

    monkeypatch.setattr(imaging._MovieConverter, "_build_series_fields", forgetful)
    shutil.rmtree(lab.root / "output")
    assert main(["convert", str(lab.root)]) == 0
    assert main(["coverage", str(lab.root)]) == 1
    said = capsys.readouterr().out
    assert "image.RY_IMG_0001.exposure_time is in no core NWB field" in said
    assert "imaging/series.exposure_time" in said


@pytest.mark.parametrize("modality", ["one-photon", "two-photon"])
def test_light_is_told_of_movies_of_any_kind(lab: Builder, modality: str) -> None:
    with (lab.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(f'\n[labs.RY]\nmodality_voltage = "{modality}"\n')
    assert main(["convert", str(lab.root)]) == 0
    assert main(["coverage", str(lab.root)]) == 0
    told = {
        e.path: e.field.value
        for e in neuropress.open(lab.root).explain(lab.output("RY_S_0001.nwb")).explanations
        if e.field
    }
    series = "/acquisition/RY_IMG_0001"
    if modality == "one-photon":
        assert (told[f"{series}/exposure_time"], told[f"{series}/power"]) == (0.002, 30.0)
    else:
        assert told[f"{series}/description"].endswith("; exposure 2 ms; laser power 30 mW")


def test_a_removed_rule_makes_coverage_fail(
    lab: Builder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = rules.load_mapping("session")
    less = replace(whole, rules=tuple(r for r in whole.rules if r.to != "subject.weight"))
    for module in (planning, build):
        monkeypatch.setattr(
            module, "load_profile_mapping", lambda n, _: less if n == "session" else rules.load_mapping(n)
        )
    shutil.rmtree(lab.root / "output")
    assert main(["convert", str(lab.root)]) == 0
    assert main(["coverage", str(lab.root)]) == 1
    said = capsys.readouterr().out
    assert "coverage.lost" in said
    assert "mouse.RY_M_0001.weight" in said
    assert "coverage.rule" in said
    assert "mappings/session.toml does not take mouse.weight to subject.weight any more" in said


def test_a_stale_result_is_told(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    lab.change("mouse", weight="30")
    assert main(["coverage", str(lab.root)]) == 0
    assert "coverage.stale" in capsys.readouterr().out
