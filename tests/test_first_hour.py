"""What somebody meets first: any lab, one file, and the way from files to a release."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
from builder import DATE, abf, movie, slices

import neuropress
from neuropress import Dataset, Problem
from neuropress.cli.arguments import VERBS, parser
from neuropress.cli.examples import EXAMPLES
from neuropress.cli.main import main
from neuropress.cli.progress import ProgressLine

LAB = ("--lab", "AB", "--name", "Smith lab", "--institution", "University of X", "--timezone", "Europe/Berlin")
ANIMAL = ("--timezone", "Europe/Berlin", "--subject", "rat 7", "--species", "Rattus norvegicus")
ANIMAL += ("--session-start", "2025-06-20T09:30")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main([*map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out + said.err


def rows(root: Path, table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((root / f"tables/{table}.csv").read_text("utf-8"))))


def fill(root: Path, table: str, **cells: str) -> None:
    """What a person types into the only row of a table."""
    (row,) = rows(root, table)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow(row | cells)
    (root / f"tables/{table}.csv").write_text(text.getvalue(), "utf-8")


def test_any_lab_goes_from_files_to_a_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ds = tmp_path / "ds"
    assert run(capsys, "init", ds, *LAB, "--species", "Rattus norvegicus")[0] == 0
    frames = movie(
        tmp_path / "m.tif", imagej=True, metadata={"axes": "TYX", "finterval": 0.02}, resolution=(1.25, 1.25)
    )
    status, said = run(
        capsys, "add", abf(tmp_path / "cell1.abf"), frames, "--lab", "AB", "--date", DATE, "--dataset", ds
    )
    assert status == 0, said
    assert [len(rows(ds, table)) for table in ("subject", "session", "ephys", "image")] == [1, 1, 1, 1]
    (session,) = rows(ds, "session")
    assert (session["session_id"], session["subject_id"]) == ("AB_S_0001", "AB_SUB_0001")
    assert rows(ds, "subject")[0]["species"] == "Rattus norvegicus"
    assert "add.incomplete: 3 findings" in said
    assert "somatic patch" in said
    fill(ds, "session", experimenter="Ada Lovelace", start_time="09:30")
    fill(ds, "ephys", recording_type="ex vivo; somatic patch")
    fill(ds, "image", image_type="calcium")
    status, said = run(capsys, "run", ds)
    assert status == 0, said
    (result,) = neuropress.open(ds).results()
    with h5py.File(result) as file:
        assert file["general/institution"][()] == b"University of X"
        assert file["general/lab"][()] == b"Smith lab"
        assert file["general/subject/species"][()] == b"Rattus norvegicus"
        text = json.dumps([str(file[name][()]) for name in ("general/institution", "session_description")])
        assert not {"Columbia", "VISp", "Baz1a"} & set(text.replace(",", " ").split())
        assert "Baz1a" not in str(file["general/keywords"][:]) if "general/keywords" in file else True
        for place in file["general/intracellular_ephys"].values():
            if "location" in place:
                assert place["location"][()] == b"unknown"
    with (ds / "neuropress.toml").open("a") as settings:
        settings.write('\n[dataset]\ntitle = "Rats"\nlicense = "CC-BY-4.0"\n')
    status, said = run(capsys, "publish", ds, "--to", tmp_path / "rel", "--release", "1.0.0")
    assert status == 0, said
    assert "Rats" in (tmp_path / "rel/releases/1.0.0/README.md").read_text("utf-8")
    status, said = run(capsys, "releases", "rebuild", tmp_path / "rel", "1.0.0")
    assert status == 0, said


def test_add_twice_adds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ds = tmp_path / "ds"
    run(capsys, "init", ds, *LAB)
    files = (abf(tmp_path / "cell1.abf"), abf(tmp_path / "cell2.abf", sweeps=5))
    assert run(capsys, "add", *files, "--lab", "AB", "--date", DATE, "--dataset", ds)[0] == 0
    before = {path: path.read_bytes() for path in sorted((ds / "tables").iterdir())}
    assert [row["session_id"] for row in rows(ds, "ephys")] == ["AB_S_0001", "AB_S_0001"]
    status, said = run(capsys, "add", *files, "--lab", "AB", "--date", DATE, "--dataset", ds)
    assert (status, said.count("added before ")) == (0, 2)
    assert {path: path.read_bytes() for path in sorted((ds / "tables").iterdir())} == before
    status, said = run(
        capsys, "add", abf(tmp_path / "c3.abf", sweeps=2), "--lab", "AB", "--dataset", ds, "--date", "20200101"
    )
    assert status == 0, said
    assert [row["session_date"] for row in rows(ds, "session")][-1] == "20200101"
    assert len(rows(ds, "subject")) == 1  # whose the second session is, a person must say
    assert rows(ds, "session")[-1]["subject_id"] == ""
    assert "add.incomplete" in said


def test_init_asks_for_the_lab_or_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, said = run(capsys, "init", tmp_path / "a", "--lab", "AB")
    assert status == 2
    assert all(option in said for option in ("--name", "--institution", "--timezone"))
    assert not (tmp_path / "a").exists()
    for bad in (("--lab", "ab"), ("--timezone", "Europe/Nowhere")):
        assert run(capsys, "init", tmp_path / "a", *LAB, *bad)[0] == 2
        assert not (tmp_path / "a").exists()
    answers = iter(["CD", "Doe lab", "Y College", "UTC", "", "CC0-1.0"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    assert run(capsys, "init", tmp_path / "a")[0] == 0
    assert neuropress.open(tmp_path / "a").config.profile.labs["CD"].institution == "Y College"
    assert "/source/" in (tmp_path / "a/.gitignore").read_text()
    assert neuropress.open(tmp_path / "a").config.profile.license == "CC0-1.0"


def test_a_missing_licence_is_heard_of_before_the_last_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)  # a whole command line asks nothing, there either
    ds = tmp_path / "ds"
    assert "license" in run(capsys, "init", ds, *LAB)[1]
    assert "license" in run(capsys, "status", ds)[1]
    status, said = run(capsys, "check", ds, "--json")
    assert (status, severities(said, "release.license")) == (0, ["info"])
    settings = ds / "neuropress.toml"
    settings.write_text(settings.read_text("utf-8") + 'to = "release"\n', "utf-8")
    status, said = run(capsys, "check", ds, "--json")
    assert (status, severities(said, "release.license")) == (0, ["warning"])
    assert run(capsys, "add", abf(tmp_path / "c.abf"), "--lab", "AB", "--dataset", ds, "--date", "20200101")[0] == 0
    for dry in ((), ("--dry-run",)):
        status, said = run(capsys, "publish", ds, "--to", tmp_path / "r", "--release", "1.0.0", *dry, "--json")
        assert (status, severities(said, "release.license")) == (1, ["error"])
        assert not (tmp_path / "r").exists()
    whole = tmp_path / "whole"
    said = run(capsys, "init", whole, *LAB, "--license", "CC-BY-4.0", "--title", 'Dendrites "in vivo"')[1]
    assert "license" not in said + run(capsys, "status", whole)[1]
    assert neuropress.open(whole).config.profile.title == 'Dendrites "in vivo"'
    assert severities(run(capsys, "check", whole, "--json")[1], "release.license") == []


def severities(said: str, id: str) -> list[str]:
    found = (json.loads(line) for line in said.splitlines())
    return [one["severity"] for one in found if one.get("id") == id]


def test_a_lab_that_is_not_known_says_how_to_add_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ds = tmp_path / "ds"
    run(capsys, "init", ds, *LAB)
    status, said = run(capsys, "add", abf(tmp_path / "c.abf"), "--lab", "XY", "--dataset", ds)
    assert status == 1
    assert "[labs.XY]" in said
    (ds / "neuropress.toml").write_text('profile = "generic"\n[labs.XY]\nname = "Z"\n')
    status, said = run(capsys, "check", ds)
    assert status == 2
    assert "lacks institution, timezone" in said
    with pytest.raises(Problem, match="names no lab"):
        Dataset.init(tmp_path / "none")


def test_profiles_lists_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\nversion = "3"\nextends = "generic"\ntitle = "Mine"\n')
    status, said = run(capsys, "profiles", tmp_path, "--json")
    known = {entry["profile"]: entry for entry in map(json.loads, said.splitlines())}
    assert (status, sorted(known)) == (0, ["dendritic-consortium", "generic", "mine"])
    assert len(known["dendritic-consortium"]["tables"]) == 12
    assert known["generic"]["labs"] == {}


def test_one_recording_becomes_a_proven_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, to = abf(tmp_path / "cell1.abf"), tmp_path / "out/cell1.nwb"
    status, said = run(capsys, "convert", raw, "--to", to)
    assert status == 2
    assert all(option in said for option in ("--timezone", "--subject", "--species", "--session-start"))
    assert not to.parent.exists()
    status, said = run(capsys, "convert", raw, "--to", to, *ANIMAL, "--experimenter", "Ada Lovelace")
    assert status == 0, said
    assert "verified" in said
    assert "valid" in said
    first = to.read_bytes()
    with h5py.File(to) as file:
        assert file["general/subject/species"][()] == b"Rattus norvegicus"
        assert not {"institution", "keywords", "lab"} & set(file["general"])
        assert file["session_start_time"][()] == b"2025-06-20T09:30:00+02:00"
    assert [path.name for path in to.parent.iterdir()] == ["cell1.nwb"]
    status, said = run(capsys, "convert", raw, "--to", to, *ANIMAL, "--experimenter", "Ada Lovelace")
    assert (status, "up to date" in said, to.read_bytes()) == (0, True, first)
    assert run(capsys, "explain", to, "species")[1].count("row rat 7, column species") == 1
    assert run(capsys, "verify", to, "--source", tmp_path)[0] == 0


def test_one_stack_becomes_a_proven_volume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "em.tif"
    tifffile.imwrite(path, np.arange(600, dtype=np.uint16).reshape(20, 30))
    status, said = run(capsys, "convert", path, "--to", tmp_path / "em.ome.zarr", "--pixel-size", "0.5")
    assert status == 0, said
    root = json.loads((tmp_path / "em.ome.zarr/zarr.json").read_text("utf-8"))
    scales = root["attributes"]["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scales[-2:] == [0.5, 0.5]
    status, said = run(capsys, "convert", slices(tmp_path / "stack"), "--to", tmp_path / "stack.ome.zarr")
    assert status == 0, said
    assert "volume.spacing_unknown" in said


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--to", "x.xyz"), 2, "single.target|does not say what to write"),
        (("--to", "x.nwb", *ANIMAL, "--session-start", "yesterday"), 2, "ISO 8601"),
        (("--to", "x.nwb", "--timezone", "Mars/Base"), 2, "no time zone"),
        (("--to", "x.nwb", *ANIMAL, "--species", "rat"), 2, "Latin name"),
        (("--to", "x.nwb", *ANIMAL, "--set", "ephys.colour=red"), 2, "no column 'colour'"),
        (("--to", "x.nwb", *ANIMAL, "--set", "image.x=3"), 2, "image.x is no column"),
        (("--to", "x.ome.zarr"), 2, "does not become"),
        (("--to", "x.nwb", *ANIMAL, "--option", "axes=tyx"), 1, "reader.option|no option"),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    got, said = run(capsys, "convert", abf(tmp_path / "cell1.abf"), *arguments)
    assert got == status, said
    assert any(words in said for words in told.split("|")), said
    assert [path.name for path in tmp_path.iterdir()] == ["cell1.abf"]


def test_inspect_says_and_draws_what_a_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = abf(tmp_path / "cell1.abf")
    status, said = run(capsys, "inspect", raw, "--json", "--png", tmp_path / "c.png")
    seen = json.loads(said.splitlines()[0])
    (content,) = seen["contents"]
    assert (status, seen["format"], content["rate"], content["sweeps"]) == (0, "abf", "20000", 3)
    assert content["channels"][0]["unit"]
    picture = imagecodecs.png_decode((tmp_path / "c.png").read_bytes())
    assert picture.shape[1] == 1000
    assert 0 < (picture == 0).sum() < picture.size / 2
    stack = tmp_path / "s.tif"
    tifffile.imwrite(
        stack,
        np.zeros((5, 20, 30), np.float32) + np.arange(30, dtype=np.float32),
        metadata={"axes": "ZYX"},
        imagej=True,
    )
    status, said = run(capsys, "inspect", stack, "--png", tmp_path / "s.png")
    frame = imagecodecs.png_decode((tmp_path / "s.png").read_bytes())
    assert (status, frame.shape, frame[0, 0], frame[0, -1]) == (0, (20, 30), 0, 255)
    assert "float32, z 5 x y 20 x x 30" in said


@pytest.mark.parametrize(
    ("name", "head", "told"),
    [
        ("a.dm4", b"\0\0\0\4\0\0", "Gatan"),
        ("a.bin", b"AxGr\0\1", "AxoGraph"),
        ("a.lof", b"\x70\0\0\0", "Leica"),
        ("a.h5", b"\x1f\x8b\x08\0", "gzip"),
        ("a.pkl", b"\x80\x04\x95", "pickled"),
        ("a.unknown", b"\1\2\3\4\5\6\7\x08", "01 02 03 04"),
    ],
)
def test_a_known_format_that_is_not_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, head: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(head)
    status, said = run(capsys, "inspect", tmp_path / name)
    assert (status, "format.unknown" in said, told in said) == (1, True, True), said


def test_every_help_has_examples_that_the_parser_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert EXAMPLES.keys() == VERBS.keys()
    for verb, lines in EXAMPLES.items():
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        for line in lines:
            assert line in shown
            words = shlex.split(line.partition(" >")[0])
            assert parser().parse_args(words[1:]).verb == verb


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_verbs_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, script = run(capsys, "completion", shell)
    assert status == 0
    for word in ("export-tables", "keep-going", "session-start", "rebuild"):
        assert word in script
    if shell == "bash":
        asked = f'{script}\nCOMP_WORDS=(neuropress convert --keep); COMP_CWORD=2; _neuropress; echo "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["--keep-going"]


def test_the_library_takes_what_people_write(tmp_path: Path) -> None:
    lab = {"name": "Smith lab", "institution": "X", "timezone": "UTC"}
    dataset = Dataset.init(tmp_path / "ds", labs={"AB": lab})
    with pytest.raises(Problem, match="did you mean 'subject'"):
        dataset.records("subjects")
    assert neuropress.Selection(labs="AB") == neuropress.Selection(labs=("AB",))
    report = dataset.check(neuropress.Selection(sessions="AB_S_0009"))
    assert [found.id for found in report.errors] == ["dataset.selection"]
    assert "AB_S_0009 is not in the tables" in report._repr_html_()


def test_the_line_of_progress_fits_and_says_what_is_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("neuropress.cli.progress.monotonic", lambda: clock[0])
    line = ProgressLine()
    monkeypatch.setattr(line, "_resume", lambda: None)
    line.begin_item("convert", "RY_S_0001.nwb", 1, 4)
    clock[0] += 10
    line.begin_item("convert", f"a{'b' * 90}z.nwb", 2, 4)
    line.expect(4_000_000_000)
    clock[0] += 10
    line(2_000_000_000)
    for width in (20, 40, 79, 200):
        assert len(line.format(width)) <= width
    assert line.format(79).startswith("convert 2/4 ...")
    assert "bz.nwb  2 GB/4 GB  200 MB/s  0:33 left" in line.format(79)  # 1.5 of 4 items took 20 s


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of Unix")
def test_a_terminal_of_80_columns_sees_progress_and_a_pipe_none(tmp_path: Path) -> None:
    import pty

    path = tmp_path / "em.tif"
    tifffile.imwrite(path, np.arange(4_000_000, dtype=np.uint16).reshape(4, 1000, 1000), photometric="minisblack")
    command = [sys.executable, "-m", "neuropress", "convert", str(path), "--to", str(tmp_path / "em.ome.zarr")]
    command += ["--option", "axes=zyx", "--set", "image.z=4"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | {"COLUMNS": "80"}) as run:
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # the other side is closed
            while piece := os.read(ours, 65536):
                seen += piece
    os.close(ours)
    assert run.returncode == 0, seen
    lines = [part.removeprefix(b"\x1b[K") for part in seen.split(b"\r")]
    assert any(line.startswith(b"convert") for line in lines), seen
    assert max(map(len, lines)) < 80
    drawn = [line for line in lines if line]
    assert all(one != other for one, other in pairwise(drawn)), "a line that stands still looks dead"
    quiet = subprocess.run(command, capture_output=True, check=True)
    assert b"\r" not in quiet.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of Unix")
def test_an_error_stands_on_a_line_of_its_own_after_the_line_of_progress(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "neuropress", "convert", str(tmp_path / "none")]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # the other side is closed
            while piece := os.read(ours, 65536):
                seen += piece
    os.close(ours)
    assert run.returncode == 2
    assert seen.startswith(b"\r\x1b[Kconvert")
    assert seen.count(b"\r\x1b[Kneuropress convert: ") == 1
    assert not seen.endswith(b"\x1b[K"), "the message is taken away"


def test_options_of_a_pattern_hold_for_all_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ds = tmp_path / "ds"
    run(capsys, "init", ds, *LAB, "--species", "Mus musculus")
    for name in ("a", "b", "c"):
        tifffile.imwrite(
            tmp_path / f"{name}.tif", np.zeros((5, 20, 30), np.uint8), photometric="minisblack", metadata=None
        )
    settings = ds / "neuropress.toml"
    with settings.open("a") as file:
        file.write('\n[options."ab/*/image/raw/*.tif"]\naxes = "tyx"\n[options."ab/*/image/raw/b*"]\naxes = "zyx"\n')
    files = [tmp_path / f"{name}.tif" for name in "ab"]
    assert run(capsys, "add", *files, "--lab", "AB", "--date", DATE, "--dataset", ds)[0] == 0
    status, said = run(
        capsys, "add", tmp_path / "c.tif", "--option", "axes=cyx", "--lab", "AB", "--date", DATE, "--dataset", ds
    )
    assert status == 0, said
    config = neuropress.open(ds).config
    place = f"ab/{DATE}/image/raw"
    assert [config.find_options(f"{place}/{name}.tif") for name in "abc"] == [
        {"axes": axes} for axes in ("tyx", "zyx", "cyx")
    ]
    assert config.find_options("ab/x/ephys/raw/a.tif") == {}
    with settings.open("a") as file:
        file.write('\n[options."xy/*"]\naxes = "tyx"\n')
    status, said = run(capsys, "check", ds)
    assert "no row names xy/*" in said
    assert "no row names ab" not in said


def test_output_has_three_levels_and_fits_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = tmp_path / "ds"
    run(capsys, "init", ds, *LAB, "--species", "Mus musculus")
    run(capsys, "add", abf(tmp_path / "cell1.abf"), "--lab", "AB", "--date", DATE, "--dataset", ds)
    fill(ds, "session", experimenter="Ada Lovelace")
    fill(ds, "ephys", recording_type="ex vivo; somatic patch")
    status, said = run(capsys, "check", ds)
    assert "people.unlisted" in said
    assert "header." not in said
    assert "header." in run(capsys, "check", ds, "-v")[1]
    errors = run(capsys, "check", ds, "-q")[1]
    assert "people.unlisted" not in errors
    assert (status == 0) is (errors == "")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    wide = [line for line in run(capsys, "check", ds, "-v")[1].splitlines() if len(line) >= 80 and " " in line.strip()]
    assert not wide


def test_a_result_is_explained_on_a_page_and_coverage_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ds = tmp_path / "ds"
    run(capsys, "init", ds, *LAB, "--species", "Mus musculus")
    run(capsys, "add", abf(tmp_path / "cell1.abf"), "--lab", "AB", "--date", DATE, "--dataset", ds)
    fill(ds, "session", experimenter="Ada Lovelace", start_time="09:30")
    fill(ds, "ephys", recording_type="ex vivo; somatic patch")
    assert run(capsys, "convert", ds)[0] == 0
    (result,) = neuropress.open(ds).results()
    status, said = run(capsys, "explain", result)
    assert (status, "and 2 like it" in said, "/general/subject" in said) == (0, True, True)
    assert len(said.splitlines()) < 25
    assert said.count("by rule") == 0
    assert run(capsys, "explain", result, "--all")[1].count("by rule") > 20
    status, said = run(capsys, "coverage", ds)
    assert status == 0, said
    assert max(map(len, said.splitlines())) <= 80
    page = run(capsys, "coverage", ds, "--html")[1]
    assert page.startswith("<!doctype html>")
    assert "<td>experimenter</td>" in page
