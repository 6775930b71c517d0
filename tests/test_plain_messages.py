"""What users mistype, delete or point at is told in one plain line, with the right exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from builder import Builder, abf, slices

from neuropress.cli.main import main
from neuropress.planning.estimate import format_size


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    return build


def test_a_session_whose_date_is_not_understood_is_in_every_list(
    lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.change("session", session_date="20250620.0")
    for verb, said in (("status", "session RY_S_0001  blocked: session_date"), ("plan", "blocked            session RY_S_0001"),
                       ("convert", "blocked            session RY_S_0001"), ("check", "has errors         session RY_S_0001")):  # fmt: skip
        main([verb, str(lab.root)])
        assert said in capsys.readouterr().out, verb
    assert main(["check", str(lab.root), "--letter", "RY"]) == 1
    assert "withholds the result of session RY_S_0001" in capsys.readouterr().out


def test_a_result_whose_row_is_gone_or_moved_is_told(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(lab.root)]) == 0
    capsys.readouterr()
    old = "yuste/20250620/session/nwb/RY_S_0001.nwb"
    lab.change("session", session_date="20250620.0")
    main(["status", str(lab.root)])
    assert "result.stray" not in capsys.readouterr().out  # its row is there, only not understood
    key = "yuste/20250621/ephys/raw/e1.abf"
    lab.put(key, lab.raw("yuste/20250620/ephys/raw/e1.abf"))
    lab.change("session", session_date="20250621")
    lab.change("ephys", file_path_raw=key)
    assert main(["convert", str(lab.root)]) == 0
    said = capsys.readouterr().out
    assert f"{old} is asked for by no row of the tables" in said
    assert (lab.root / "output" / old).is_file()
    assert main(["publish", str(lab.root), "--to", str(lab.root.parent / "rel"), "--release", "1.0.0"]) == 0
    assert not (lab.root.parent / "rel" / old).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "REL", "--release", "1.0"], "'1.0' is no release number"),
        (["--to", "ftp://x/y", "--release", "1.0.0"], "neither s3://bucket/prefix nor a folder"),
        (["--to", "s3://", "--release", "1.0.0"], "is no bucket name"),
        (["--to", "REL", "--release", "1.0.0", "--endpoint", "here"], "the endpoint is no plain http(s) URL"),
        (["--release", "1.0.0"], "say where with --to URL"),
    ],
)
def test_wrong_use_of_publish_is_status_2(
    lab: Builder, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(lab.root.parent / "rel") if a == "REL" else a for a in arguments]
    assert main(["publish", str(lab.root), *given]) == 2
    told = capsys.readouterr()
    assert said in told.out + told.err


def test_publishing_before_converting_says_so(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", str(lab.root), "--to", str(lab.root.parent / "rel"), "--release", "1.0.0"]) == 1
    assert "RY_S_0001.nwb has not been converted\n" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["explain", "verify", "validate"])
def test_what_is_no_result_is_told_as_what_it_is(
    verb: str, lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.nwb").write_text("no HDF5", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    with h5py.File(tmp_path / "foreign.nwb", "w") as file:
        file["x"] = 1
    assert main(["convert", str(lab.root)]) == 0
    result = lab.output("RY_S_0001.nwb")
    assert result
    (tmp_path / "half.nwb").write_bytes(result.read_bytes()[:50_000])
    capsys.readouterr()
    for name, said in (
        ("none.nwb", "does not exist"),
        ("folder", "result.none"),
        ("text.nwb", "result.none"),
        ("half.nwb", "truncated file"),
        (
            "foreign.nwb",
            "was not written by neuropress" if verb != "validate" else "not recognized as an HDF5 NWB file",
        ),
    ):
        assert main([verb, str(tmp_path / name)]) == 1, name
        told = capsys.readouterr().out
        assert said in told, told
        assert "Traceback" not in told
        assert "0x7f" not in told


@pytest.mark.parametrize("number", ["x", "0", "-1", "1.5"])
def test_a_wrong_number_of_workers_is_told(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["convert", ".", "--workers", number])
    assert caught.value.code == 2
    assert f"'{number}' is no whole number above 0" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_reader_that_leaves_is_no_error(lab: Builder) -> None:
    command = [sys.executable, "-m", "neuropress", "coverage", str(lab.root), "--json"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_sizes_are_told_with_a_digit_before_the_point() -> None:
    assert [format_size(n) for n in (0, 999, 1000, 12_345_678, 3_200_000_000, 10**13)] == [
        "0 bytes", "999 bytes", "1 kB", "12.3 MB", "3.2 GB", "10 TB",
    ]  # fmt: skip


def test_an_export_never_goes_over_the_tables_wherever_they_lie(
    lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab.root / "tables").rename(tmp_path / "elsewhere")
    with (lab.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(f'\n[tables]\nsource = "{(tmp_path / "elsewhere").as_posix()}"\n')
    assert main(["convert", str(lab.root)]) == 0
    before = {p: p.read_bytes() for p in (tmp_path / "elsewhere").iterdir()}
    assert main(["export-tables", str(lab.root), "--to", str(tmp_path / "elsewhere")]) == 1
    assert "export.over_tables" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in (tmp_path / "elsewhere").iterdir()} == before


def test_a_file_in_the_place_of_a_volume_is_told_and_left_alone(
    lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.sem(slices(tmp_path / "v"))
    place = lab.root / "output/lichtman/20250620/sem_dataset/ome-zarr/JL_SD_0001.ome.zarr"
    place.parent.mkdir(parents=True)
    place.write_text("mine", encoding="utf-8")
    assert main(["convert", str(lab.root)]) != 0
    assert place.read_text("utf-8") == "mine"
    assert "JL_SD_0001.ome.zarr" in capsys.readouterr().out


def test_errors_that_a_release_records_do_not_tell_private_cells(lab: Builder, tmp_path: Path) -> None:
    lab.sem(slices(tmp_path / "v"), file_path_local=" D:/planted-secret/x", notes=" padded")
    lab.row("behavior", behavior_id="JB_B_0001", session_id="RY_S_0001", metric_type="event",
            file_path_raw="basu/20250620/behavior/raw/none.dat")  # fmt: skip
    assert main(["run", str(lab.root)]) == 1
    to = tmp_path / "rel"
    assert main(["publish", str(lab.root), "--to", str(to), "--release", "1.0.0", "--allow-errors"]) == 0
    published = {p: p.read_bytes() for p in to.rglob("*") if p.is_file()}
    assert not [p for p, data in published.items() if b"planted-secret" in data]
    assert not [p for p, data in published.items() if str(tmp_path).encode() in data and p.suffix != ".abf"]
    assert any(b"none of the source roots (source)" in data for data in published.values())
    assert any(b"file_path_local" in data for data in published.values())
    assert any(b"' padded'" in data for data in published.values())


def test_options_of_a_file_that_no_row_names_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    key = build.rows["ephys"][0]["file_path_raw"]
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'\n[options."{key}"]\nreader = "abf"\n[options."yuste/*.tif"]\nreader = "abf"\n')
    for more in ([], ["--tables-only"]):
        assert main(["check", str(build.root), "--format", "jsonl", *more]) == 0
        unused = [line for line in capsys.readouterr().out.splitlines() if '"options.unused"' in line]
        assert len(unused) == 1
        assert "yuste/*.tif" in unused[0]
