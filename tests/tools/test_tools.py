"""Programs in environments of their own: made, found, told apart from broken ones, and held to limits."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuropress import tools
from neuropress.cli.main import main
from neuropress.model.finding import Finding, Problem, Severity
from neuropress.tools import dandi, declared, environment, process

PROGRAM = """
import json, pathlib, subprocess, sys, os, time

def main():
    folder = pathlib.Path(sys.prefix)
    mode = (folder / "mode").read_text() if (folder / "mode").exists() else "valid"
    if sys.argv[1] == "--version":
        print("stub, version", "2.0" if mode == "other" else "1.0")
        return 0
    paths = sorted(map(str, pathlib.Path(sys.argv[4]).glob("sub-*/*.nwb")))
    seen = [sorted(os.environ), [os.path.realpath(p) for p in paths], sys.path, hash("x")]
    (folder / "seen").write_text(json.dumps(seen))
    if mode == "huge":
        while True:
            print("x" * 100_000)
    if mode == "hangs":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        time.sleep(60)
    if mode == "garbage":
        print("Traceback of https://me:hunter2@example.org/")
    if mode == "crashes":
        sys.stderr.write("it went wrong, api_key=hunter2\\n")
        return 1
    if mode == "faults":
        for id, severity, message in (
            ("DANDI.X", "ERROR", "no age in " + paths[0]),
            ("NWBI.During io.read(), an error", "CRITICAL", "Traceback (most recent)\\n  File x\\nValueError: bad"),
            ("NWBI.check", "HINT", "could be better"),
        ):
            print(json.dumps({"id": id, "severity": severity, "message": message, "path": paths[0],
                              "within_asset_paths": {paths[0]: "/general/subject"}}))
        print(json.dumps({"id": "DANDI.Y", "severity": "WARNING", "message": "of the whole", "path": None}))
        return 1
    return 0
"""


def make_wheel(folder: Path) -> Path:
    """A package of one module, made without a network and without a build."""
    path = folder / "stubdandi-1.0-py3-none-any.whl"
    info = "stubdandi-1.0.dist-info"
    members = {
        "stubdandi.py": PROGRAM,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: stubdandi\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in members.items():
            wheel.writestr(name, text)
    return path


def declare(package: str, version: str = "1.0") -> dict[str, dict[str, object]]:
    entries = {"packages": [package], "program": "stubdandi:main", "ask_version": ["--version"], "version": version}
    return {"dandi": {**entries, "why": "it is a stub", "environment": {"STATED": "1"}}}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of tools with the stub in it."""
    folder = tmp_path_factory.mktemp("tools")
    wheel = make_wheel(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROPRESS_TOOLS", str(folder / "cache"))
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setattr(declared, "_read_declarations", lambda: declare(str(wheel)))
        assert main(["tools", "install", "dandi"]) == 0
        yield folder / "cache"


@pytest.fixture
def stub(installed: Path) -> Iterator[Path]:
    """The stub's environment, in which the file `mode` says how the stub behaves."""
    folder = tools.find_tool("dandi").folder
    yield folder
    (folder / "mode").unlink(missing_ok=True)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No tool is installed."""
    monkeypatch.setenv("NEUROPRESS_TOOLS", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(declared, "_read_declarations", lambda: declare("no-such-stub==1.0"))
    return tmp_path / "cache"


def states(capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    assert main(["tools", "list", "--json"]) == 0
    return [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]


def result(folder: Path) -> Path:
    path = folder / "a.nwb"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    return path


def test_what_ships_is_pinned_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tools.list_tools()
    assert "dandi" in [tool.name for tool in shipped]
    for tool in shipped:
        assert all("==" in package for package in (*tool.packages, *tool.constraints))
        assert tool.program.count(":") == 1 or Path(tools.__file__).with_name(tool.script).is_file()
        assert any(package.endswith(f"=={tool.version}") for package in tool.packages)
        assert tool.why


def test_a_tool_is_not_taken_for_one_whose_name_begins_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROPRESS_TOOLS", str(tmp_path))
    folders = [tmp_path / declared.get_tool(name).folder_name for name in ("neuroconv", "neuroconv-ecephys")]
    for folder in folders:
        folder.mkdir()
    assert tools.remove_tool("neuroconv") == folders[:1]
    assert folders[1].is_dir()


def test_an_environment_is_made_listed_and_found(stub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert states(capsys) == ["installed"]
    assert [path.name for path in stub.parent.iterdir() if not path.name.endswith(".lock")] == [stub.name]
    main(["tools", "list"])
    out = capsys.readouterr().out
    assert out.split()[:3] == ["dandi", "installed", "1.0"]
    assert "MB" in out
    assert "it is a stub" in out
    before = stub.stat().st_ino
    assert main(["tools", "install", "dandi"]) == 0
    assert stub.stat().st_ino == before


def test_a_program_gets_none_of_our_variables_and_packages(
    stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("PYTHONPATH", "/nowhere/of/ours")
    assert dandi.validate_with_dandi([result(tmp_path)]) == ({tmp_path / "a.nwb": []}, [])
    names, paths, search, digest = json.loads((stub / "seen").read_text())
    assert paths == [str((tmp_path / "a.nwb").resolve())]
    assert "AWS_SECRET_ACCESS_KEY" not in names
    assert "STATED" in names
    assert "/nowhere/of/ours" not in search
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    dandi.validate_with_dandi([tmp_path / "a.nwb"])
    assert json.loads((stub / "seen").read_text())[3] == digest  # a set has one order, whoever runs it


def test_what_dandi_finds_becomes_findings_on_the_result(stub: Path, tmp_path: Path) -> None:
    (stub / "mode").write_text("faults")
    path = result(tmp_path)
    found, others = dandi.validate_with_dandi([path, tmp_path / "b.ome.zarr"])
    assert [(f.id, f.severity) for f in found[path]] == [
        ("dandi:DANDI.X", Severity.ERROR),
        ("dandi:NWBI.During", Severity.ERROR),
        ("dandi:NWBI.check", Severity.INFO),
    ]
    assert found[path][0].message == "no age in a.nwb"
    assert found[path][0].location.array == "/general/subject"
    assert found[path][1].message == "ValueError: bad"
    assert [f.id for f in others] == ["dandi:DANDI.Y"]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("huge", "bytes"), ("hangs", "took more than"), ("garbage", "cannot be read"), ("crashes", "went wrong")],
)
def test_hostile_output_is_one_finding(
    stub: Path, tmp_path: Path, mode: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stub / "mode").write_text(mode)
    monkeypatch.setattr(dandi, "START_SECONDS", 3.0 if mode == "hangs" else 60.0)
    monkeypatch.setattr(dandi, "FILE_SECONDS", 0.0)
    begun = time.monotonic()
    found, (failed,) = dandi.validate_with_dandi([result(tmp_path)])
    assert time.monotonic() - begun < 30
    assert (found, failed.id) == ({}, "tool.failed")
    assert reason in failed.message
    assert "hunter2" not in failed.message
    assert len(failed.message) < 1500


def test_what_is_explained_of_nwbinspector_is_explained_of_dandi_s() -> None:
    def make(id: str, message: str, severity: Severity, hint: str = "") -> Finding:
        return Finding(id, "", severity, message, hint)

    ours = [
        make("nwbinspector:few", "a", Severity.INFO, "few frames"),
        make("nwbinspector:few", "b", Severity.INFO, "few frames"),
        make("nwbinspector:few", "b", Severity.WARNING),
        make("nwbinspector:bad", "a", Severity.INFO, "known"),
    ]
    theirs = [
        make("dandi:NWBI.few", "a", Severity.WARNING),
        make("dandi:NWBI.few", "b", Severity.WARNING),  # of two objects one is not explained: which it is, is open
        make("dandi:NWBI.few", "c", Severity.WARNING),
        make("dandi:NWBI.bad", "a", Severity.ERROR),
    ]
    explained = dandi.take_explanations(theirs, ours)
    assert [one.severity for one in explained] == [Severity.INFO, Severity.WARNING, Severity.WARNING, Severity.INFO]
    assert (explained[0].hint, explained[3].hint) == ("few frames", "known")


def test_validate_goes_on_where_dandi_fails(stub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stub / "mode").write_text("crashes")
    assert main(["validate", str(result(tmp_path)), "--dandi"]) == 1
    out = capsys.readouterr().out
    assert "tool.failed" in out
    assert "result.unreadable" in out


def test_another_version_in_the_environment_is_told(stub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stub / "mode").write_text("other")
    assert states(capsys) == ["wrong version"]
    with pytest.raises(Problem, match=r"version 2\.0, and 1\.0 is wanted") as bad:
        tools.find_tool("dandi")
    assert (bad.value.finding.id, bad.value.finding.hint) == ("tool.version", "neuropress tools install dandi")


def test_the_environment_of_another_declaration_is_told_and_replaced(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cache"
    for name in ("dandi-000000000000", ".dandi.partial-x", ".dandi-0.1.removed"):
        (folder / name).mkdir(parents=True)
    monkeypatch.setenv("NEUROPRESS_TOOLS", str(folder))
    assert states(capsys) == ["wrong version"]
    assert main(["validate", str(result(tmp_path)), "--dandi"]) == 1
    assert "tool.version" in capsys.readouterr().out
    assert main(["tools", "install", "dandi"]) == 0
    assert states(capsys) == ["installed"]
    assert not (folder / "dandi-000000000000").exists()
    made = tools.find_tool("dandi").folder
    environment.get_python(made).unlink()  # as when the Python it was made from is gone
    assert states(capsys) == ["broken"]
    with pytest.raises(Problem, match="cannot be started") as bad:
        tools.find_tool("dandi")
    assert bad.value.finding.id == "tool.broken"
    assert main(["tools", "install", "dandi"]) == 0
    assert states(capsys) == ["installed"]
    assert main(["tools", "remove", "dandi"]) == 0
    assert states(capsys) == ["not installed"]
    assert [path for path in folder.iterdir() if path.suffix != ".lock"] == []


def test_an_offline_pip_leaves_nothing_and_says_what_to_do(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tools", "install", "dandi"]) == 1
    out = capsys.readouterr().out
    assert "tool.install" in out
    assert "no-such-stub==1.0" in out
    assert "PIP_FIND_LINKS" in out
    assert [path for path in empty.iterdir() if path.suffix != ".lock"] == []
    assert states(capsys) == ["not installed"]
    assert main(["tools", "remove", "dandi"]) == 0


def test_a_tool_that_is_missing_or_unknown_is_one_line(
    empty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", str(result(tmp_path)), "--dandi"]) == 1
    out = capsys.readouterr().out
    assert "tool.missing" in out
    assert "neuropress tools install dandi" in out
    assert main(["tools", "install", "dandy"]) == 1
    assert "tool.unknown" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"NEUROPRESS_TOOLS": "/a/b", "XDG_CACHE_HOME": "/c"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/neuropress/tools"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/neuropress/tools"),
        ({"HOME": "/h"}, "/h/.cache/neuropress/tools"),
    ],
)
def test_the_folder_of_tools(variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NEUROPRESS_TOOLS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert tools.get_tools_folder() == Path(folder)


def test_secrets_are_hidden() -> None:
    text = "at https://me:hunter2@example.org/simple, API_KEY=hunter2 and token: hunter2"
    assert "hunter2" not in process.hide_secrets(text)
    assert "https://***@example.org/simple" in process.hide_secrets(text)


def test_what_a_program_started_ends_with_it(stub: Path) -> None:
    pid = stub / "pid"
    code = f"import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); open({str(pid)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    with pytest.raises(process.ProcessError, match="took more than"):
        process.run_limited([str(environment.get_python(stub)), "-I", "-c", code], 2.0, 1000, {})
    for _ in range(50):
        status = Path(f"/proc/{pid.read_text()}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return
        time.sleep(0.1)
    os.kill(int(pid.read_text()), 9)
    pytest.fail("the child of the program is still there")
