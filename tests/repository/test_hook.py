"""The pre-commit hook, annotations and the action: datasets below the root of a repository."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from builder import git
from clean_tables import PEOPLE, write_clean
from hypothesis import given
from hypothesis import strategies as st

from neuropress import Dataset
from neuropress.cli.main import main
from neuropress.tables.places import _find_field

ROOT = Path(__file__).resolve().parents[2]
HEAVY = "numpy h5py zarr pynwb hdmf numcodecs tifffile nwbinspector"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two clean datasets below the root of a git repository, everything committed."""
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q")
    for name in ("east/ds", "west"):
        dataset = Dataset.init(root / name, "dendritic-consortium")
        write_clean(dataset.config.root / "tables")
        with (root / name / "neuropress.toml").open("a", encoding="utf-8") as settings:
            for person in PEOPLE:
                settings.write(f'\n[[people]]\nname = "{person.name}"\ntyped = ["{person.typed[0]}"]\n')
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and ".git" not in p.parts}


def run_hook(root: Path, *changed: str) -> subprocess.CompletedProcess[str]:
    """What pre-commit runs: the hook's entry and the changed files, from the repository's root."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    program, *arguments = shlex.split(hook["entry"])
    assert program == "neuropress"
    # `-X importtime` says on standard error what was imported.
    command = [sys.executable, "-X", "importtime", "-m", "neuropress", *arguments, *changed]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def damage(root: Path, name: str = "east/ds") -> None:
    path = root / name / "tables/mouse.csv"
    path.write_text(path.read_text("utf-8").replace(",F,20250101", ",female,20250101"), "utf-8", newline="\n")


def test_the_hook_leaves_clean_tables_alone_and_opens_no_array_library(repository: Path) -> None:
    before = files(repository)
    done = run_hook(repository, "east/ds/tables/mouse.csv", "west/neuropress.toml", "README.md")
    assert (done.returncode, done.stdout) == (0, "")
    assert files(repository) == before
    assert not list(repository.rglob(".neuropress*"))
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "neuropress.tables" in imported
    assert not imported & set(HEAVY.split())


def test_the_hook_checks_the_datasets_that_have_changed_files(repository: Path) -> None:
    damage(repository)
    assert run_hook(repository, "west/tables/mouse.csv").returncode == 0
    done = run_hook(repository, "west/tables/mouse.csv", "east/ds/tables/mouse.csv", "east/ds/tables/virus.csv")
    assert done.returncode == 1
    assert done.stdout.count("cell.choice") == 1
    assert "east/ds/tables/mouse.csv" in done.stdout


def test_a_dataset_that_cannot_be_opened_keeps_no_other_from_being_checked(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(repository, "west")
    (repository / "east/ds/neuropress.toml").write_text("profile = ", "utf-8")
    monkeypatch.chdir(repository)
    changed = ["east/ds/neuropress.toml", "west/tables/mouse.csv"]
    assert main(["check", "--tables-only", "--format", "github", "--changed", *changed]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("::error file=east/ds/neuropress.toml,title=dataset.config::")
    assert second.startswith("::error file=west/tables/mouse.csv,line=2,col=57,title=cell.choice::")


@pytest.mark.parametrize("wrong", [["ds"], ["--letter", "RY"], ["--propose", "x.csv"]])
def test_changed_files_name_the_datasets_alone(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *wrong, "--changed", "tables/x.csv"]) == 2
    assert "--changed" in capsys.readouterr().err


def test_files_without_a_dataset_are_no_error(tmp_path: Path) -> None:
    assert main(["check", "--tables-only", "--changed", str(tmp_path / "a.csv"), str(tmp_path / "gone/b.csv")]) == 0
    assert main(["check", "--tables-only", "--changed"]) == 0


def test_annotations_name_file_line_and_character(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = repository / "east/ds/tables/session.csv"
    text = path.read_text("utf-8")
    assert "first day,\nquiet" in text  # the row goes on over two lines
    path.write_text(text.replace("11:45", "quarter to"), "utf-8", newline="\n")
    (repository / "east/ds/waivers.csv").write_text("finding,row,reason,person,expiry\nno.such,mouse.X,r,A,29991231\n")
    assert main(["check", str(repository / "east/ds"), "--tables-only", "--format", "github"]) == 1
    out = capsys.readouterr().out
    line = text.splitlines()[1]
    assert f"::error file=east/ds/tables/session.csv,line=2,col={line.index('11:45') + 1},title=" in out
    assert "::error file=east/ds/waivers.csv,line=2,col=1,title=waiver.invalid::" in out


def test_a_revision_that_is_not_there_is_an_annotation(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(repository / "west"), "--since", "nowhere", "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error title=since.revision::")


@given(st.lists(st.text(st.sampled_from('ab",\n '), max_size=6), min_size=1, max_size=5), st.integers(0, 4))
def test_fields_are_found_where_csv_reads_them(cells: list[str], position: int) -> None:
    import csv
    import io

    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow(cells)
    lines = file.getvalue().splitlines(keepends=True)
    found = _find_field(["header\n", *lines], 2, position, ",")
    if position >= len(cells):
        assert found is None
        return
    assert found is not None
    line, character = found
    rest = "".join([lines[line - 2][character - 1 :], *lines[line - 1 :]])
    assert next(csv.reader(io.StringIO(rest, newline="")), [""])[:1] in ([cells[position]], [])


def run_action(root: Path, bin: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """The steps of the action, with `python` and `neuropress` as programs that a test may run."""
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    assert action["runs"]["using"] == "composite"
    values = {name: inputs.get(name, entry["default"]) for name, entry in action["inputs"].items()}
    steps = [step for step in action["runs"]["steps"] if "run" in step]
    assert [step["shell"] for step in steps] == ["bash"] * len(steps)
    script = ["set -eo pipefail"]
    environment = {"PATH": f"{bin}:{os.environ['PATH']}", "GITHUB_ACTION_PATH": str(ROOT), "HOME": str(bin)}
    for step in steps:
        for name, text in step.get("env", {}).items():
            assert text == f"${{{{ inputs.{name.lower()} }}}}"
            environment[name] = values[name.lower()]
        assert "${{" not in step["run"]
        script.append(step["run"])
    return subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = {
        "python": f'[ "$*" = "-m pip install --quiet {ROOT}" ] || exit 9\n',
        "neuropress": f'PYTHONPATH="{ROOT}/src" exec "{sys.executable}" -m neuropress "$@"\n',
    }
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}", "utf-8")
        (folder / name).chmod(0o755)
    return folder


def test_the_action_checks_a_dataset(repository: Path, bin: Path) -> None:
    done = run_action(repository, bin, dataset="west")
    assert (done.returncode, done.stdout) == (0, "")
    damage(repository, "west")
    done = run_action(repository, bin, dataset="west")
    assert done.returncode == 1
    assert done.stdout.startswith("::error file=west/tables/mouse.csv,line=2,")
    git(repository, "commit", "-q", "-a", "-m", "second")
    assert run_action(repository, bin, dataset="west", since="HEAD").returncode == 0
    assert run_action(repository, bin, dataset="west", since="HEAD~1", format="jsonl").stdout.startswith("{")


def test_inputs_of_the_action_are_no_commands(repository: Path, bin: Path) -> None:
    done = run_action(repository, bin, dataset="west", since='$(touch spoilt) "; touch spoilt; #')
    assert done.returncode == 1
    assert "since.revision" in done.stdout
    assert run_action(repository, bin, dataset="-x; touch spoilt").returncode == 2
    assert not list(repository.rglob("spoilt"))
