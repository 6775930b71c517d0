"""Checks of a repository of tables: facts, revisions, waivers, formats."""

from __future__ import annotations

import json
import shlex
import shutil
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from builder import Builder, abf, git, movie

from neuropress.cli.arguments import parser
from neuropress.cli.formats import github, junit
from neuropress.cli.main import main
from neuropress.model.finding import finding
from neuropress.verbs.changed import RepositoryPlace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16))
    return build


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_tables_are_compared_with_facts_where_no_raw_file_lies(
    lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["facts", str(lab.root)]) == 0
    first = (lab.root / "facts.jsonl").read_bytes()
    assert main(["facts", str(lab.root)]) == 0
    assert (lab.root / "facts.jsonl").read_bytes() == first
    assert {json.loads(line)["format"] for line in first.decode().splitlines()} == {"abf", "tiff"}
    shutil.rmtree(lab.root / "source")
    assert main(["check", str(lab.root), "--tables-only"]) == 0
    capsys.readouterr()
    assert main(["check", str(lab.root), "--tables-only", "--format", "jsonl"]) == 0
    states = [x["id"] for x in lines(capsys)]
    assert states.count("header.agrees") >= 4
    lab.change("ephys", sampling_rate="10000")
    assert main(["check", str(lab.root), "--tables-only"]) == 1
    assert "header.disagrees" in capsys.readouterr().out
    (lab.root / "facts.jsonl").unlink()
    assert main(["check", str(lab.root), "--tables-only"]) == 0


def test_facts_that_cannot_be_read_are_told(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    (lab.root / "facts.jsonl").write_text("{}\n", "utf-8")
    assert main(["check", str(lab.root), "--tables-only"]) == 1
    assert "facts.unreadable" in capsys.readouterr().out


def test_since_fails_on_new_findings_only(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(lab.root / "source")
    lab.change("mouse", sex="male")
    git(lab.root, "init", "-q")
    git(lab.root, "add", ".")
    git(lab.root, "commit", "-q", "-m", "first")
    assert main(["check", str(lab.root), "--tables-only"]) == 1
    assert main(["check", str(lab.root), "--since", "HEAD"]) == 0
    path = lab.root / "tables/mouse.csv"  # the line moves, the finding stays the same
    header, rest = path.read_text("utf-8").split("\n", 1)
    path.write_text(f"{header}\n{',RY_M_0008,C57BL/6J' + ',' * 8}\n{rest}", "utf-8", newline="\n")
    assert main(["check", str(lab.root), "--since", "HEAD"]) == 0
    lab.change("ephys", sampling_rate="20 kHz")
    capsys.readouterr()
    assert main(["check", str(lab.root), "--since", "HEAD", "--format", "jsonl"]) == 1
    errors = [x for x in lines(capsys) if x["severity"] == "error"]
    assert [x["location"]["column"] for x in errors] == ["sampling_rate"]  # type: ignore[index]


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "HEAD~99"])
def test_a_revision_that_is_not_there_is_told(lab: Builder, revision: str, capsys: pytest.CaptureFixture[str]) -> None:
    git(lab.root, "init", "-q")
    assert main(["check", str(lab.root), f"--since={revision}"]) == 1
    assert "since.revision" in capsys.readouterr().out
    assert not (lab.root / "x").exists()


HEADER = "finding,row,reason,person,expiry\n"


def test_a_waiver_names_who_answers_for_it(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    lab.change("mouse", sex="male")
    capsys.readouterr()
    assert main(["check", str(lab.root), "--format", "jsonl"]) == 1
    (wrong,) = [x for x in lines(capsys) if x["severity"] == "error"]
    waivers = lab.root / "waivers.csv"
    waivers.write_text(HEADER + f"{wrong['id']},mouse.RY_M_0001.sex,old colony,Ada Example,29991231\n", "utf-8")
    assert main(["check", str(lab.root)]) == 0
    assert "waived by Ada Example until 29991231: old colony" in capsys.readouterr().out
    assert main(["convert", str(lab.root)]) == 0
    assert lab.output("RY_S_0001.nwb") is None


@pytest.mark.parametrize(
    ("line", "identifier", "status"),
    [
        ("no.such,mouse.RY_M_0001,r,Ada,29991231", "waiver.invalid", 1),
        ("cell.type,rat.X,r,Ada,29991231", "waiver.invalid", 1),
        ("cell.type,mouse.RY_M_0001,r,Ada,soon", "waiver.invalid", 1),
        ("cell.type,mouse.RY_M_0001,r,,29991231", "waiver.unsigned", 1),
        ("cell.type,mouse.RY_M_0001,,Ada,29991231", "waiver.unsigned", 1),
        ("cell.type,mouse.RY_M_0001,r,Ada,20200101", "waiver.expired", 0),
        ("cell.type,mouse.RY_M_0001,r,Ada,29991231", "waiver.unmatched", 0),
    ],
)
def test_a_waiver_that_does_not_hold_is_told(
    lab: Builder, line: str, identifier: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab.root / "waivers.csv").write_text(HEADER + line + "\n", "utf-8")
    assert main(["check", str(lab.root)]) == status
    assert identifier in capsys.readouterr().out


HOSTILE = finding(
    "cell.type",
    "a <b> & \x00 \x1f\nnew line, 100 % : ok",
    table="mouse",
    line=3,
    key="RY_M_0001",
    column="weight",
    value="<&>",
)


def test_junit_is_sound_xml_whatever_a_cell_holds() -> None:
    suite = ElementTree.fromstring(junit([HOSTILE]).encode("utf-8"))
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "RY_M_0001" in str(failure.get("message"))
    empty = ElementTree.fromstring(junit([]).encode("utf-8"))
    assert (empty.get("tests"), empty.get("failures")) == ("1", "0")


def test_github_annotations_are_one_escaped_line_each() -> None:
    (line,) = github([(HOSTILE, RepositoryPlace("tables/mouse.csv", 3))]).splitlines()
    assert line.startswith("::error file=tables/mouse.csv,line=3,title=cell.type::")
    assert "%0Anew line, 100 %25 : ok" in line


def test_formats_through_the_command_line(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    lab.change("mouse", sex="male")
    for form, start in (("junit", "<?xml"), ("github", "::"), ("jsonl", "{")):
        capsys.readouterr()
        assert main(["check", str(lab.root), "--format", form]) == 1
        assert capsys.readouterr().out.startswith(start)


def test_the_hook_and_the_workflow_use_options_that_exist() -> None:
    import yaml

    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    arguments = parser().parse_args(shlex.split(hook["entry"])[1:])
    assert arguments.tables_only
    assert arguments.changed == []
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]["neuropress"]
    workflow = yaml.safe_load((ROOT / "docs/examples/check-tables.yml").read_text("utf-8"))
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    (step,) = [s for s in workflow["jobs"]["check"]["steps"] if "/neuropress@" in s["uses"]]
    assert set(step["with"]) <= set(action["inputs"])
