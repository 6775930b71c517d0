"""Declared clocks: applied exactly, recorded, above the header's; and recordings that are not within their session."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import h5py
import pytest
from builder import DATE, Builder, abf, movie
from hypothesis import given
from hypothesis import strategies as st
from test_inventory import dated_abf, list_findings

from neuropress.cli.main import main
from neuropress.model.clock import find_number_complaint, parse_number

SESSION = f"output/yuste/{DATE}/session/nwb/RY_S_0001.nwb"
NINE = 9 * 3600
"""When the session starts, in seconds of the day."""


def declare(build: Builder, key: str, offset: str) -> None:
    path = build.root / "neuropress.toml"
    path.write_text(f'{path.read_text().rstrip()}\n\n[options."{key}"]\nclock_offset = "{offset}"\n')


def list_times(findings: list[dict]) -> list[dict]:  # type: ignore[type-arg]
    """Those on clocks."""
    prefixes = ("recording.", "clock.", "ephys.alignment", "image.alignment", "behavior.alignment")
    return [one for one in findings if one.get("id", "").startswith(prefixes)]


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    """A movie and a recording, neither of which says when it began."""
    build = Builder(tmp_path / "ds")
    build.session()
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16))
    return build


def read_starts(build: Builder) -> dict[str, float]:
    with h5py.File(build.root / SESSION) as file:
        return {name: float(one["starting_time"][()]) for name, one in file["acquisition"].items()}


def test_without_any_clock_the_alignment_is_unknown(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    found = list_times(list_findings(capsys, "convert", str(lab.root)))
    assert {one["id"] for one in found} == {"ephys.alignment_unknown", "image.alignment"}
    with h5py.File(lab.root / SESSION) as file:
        assert all("alignment unknown" in one.attrs["comments"] for one in file["acquisition"].values())


def test_a_declared_clock_is_applied_exactly_and_recorded(
    lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(lab, "yuste/*/ephys/raw/*", "100000/3")
    declare(lab, f"yuste/{DATE}/image/raw/m1.tif", "0.1")
    lab.change("session", end_time="20:00")
    assert list_times(list_findings(capsys, "convert", str(lab.root))) == []
    starts = read_starts(lab)
    assert starts.pop("RY_IMG_0001") == 0.1
    assert min(starts.values()) == float(Fraction(100000, 3))
    with h5py.File(lab.root / SESSION) as file:
        for one in file["acquisition"].values():
            assert "alignment unknown" not in one.attrs["comments"]
            assert "clock declared: time 0 of the file is " in one.attrs["comments"]
    root = str(lab.root)
    assert main(["explain", str(lab.root / SESSION), "/acquisition/RY_IMG_0001/starting_time"]) == 0
    assert f"neuropress.toml, options of yuste/{DATE}/image/raw/m1.tif, clock_offset: '0.1'" in capsys.readouterr().out
    assert main(["verify", root, "--independent"]) == 0, capsys.readouterr().out
    assert main(["publish", root, "--to", str(tmp_path / "r"), "--release", "1.0.0"]) == 0, capsys.readouterr().out
    assert main(["releases", "rebuild", str(tmp_path / "r")]) == 0, capsys.readouterr().out
    # Another value makes the result again.
    text = (lab.root / "neuropress.toml").read_text().replace('"0.1"', '"0.2"')
    (lab.root / "neuropress.toml").write_text(text)
    assert main(["convert", root]) == 0
    assert read_starts(lab)["RY_IMG_0001"] == 0.2


@pytest.mark.parametrize(
    ("offset", "severity", "words"),
    [("272.5", None, ""), ("12.5", "warning", "260.000000 s more"), ("272.75", "info", "0.250000 s less")],
)
def test_above_the_headers_clock(
    offset: str, severity: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    key = build.ephys(dated_abf(tmp_path / "e.abf", DATE, NINE + 272), "20000")
    (started,) = read_header_starts(build, capsys)
    declare(build, key, str(Fraction(offset) - Fraction("272.5") + started))
    found = list_times(list_findings(capsys, "convert", str(build.root)))
    assert [(one["id"], one["severity"]) for one in found] == ([("clock.differs", severity)] if severity else [])
    assert all(words in one["message"] for one in found)
    assert min(read_starts(build).values()) == float(Fraction(offset) - Fraction("272.5") + started)
    assert main(["verify", str(build.root), "--independent"]) == 0, capsys.readouterr().out


def read_header_starts(build: Builder, capsys: pytest.CaptureFixture[str]) -> list[Fraction]:
    """Seconds from nine o'clock by the header."""
    assert main(["convert", str(build.root)]) == 0, capsys.readouterr().out
    return [Fraction(str(min(read_starts(build).values())))]


@pytest.mark.parametrize(
    ("offset", "id"),
    [
        ("-30", "recording.before_session"),
        ("-86400000", "recording.before_session"),
        ("0", None),
        ("2990", None),
        ("3061", "recording.after_session"),
        ("999999999999999999999999999999", "recording.after_session"),
    ],
)
def test_outside_of_its_session(offset: str, id: str | None, lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    declare(lab, f"yuste/{DATE}/image/raw/m1.tif", offset)
    found = list_findings(capsys, "check", str(lab.root))
    mine = [one for one in list_times(found) if one["location"]["table"] == "image"]
    assert [(one["id"], one["severity"]) for one in mine] == ([(id, "warning")] if id else [])
    assert all((one["location"]["key"], one["location"]["column"]) == ("RY_IMG_0001", "file_path_raw") for one in mine)


def test_what_is_no_exact_number_is_refused(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    declare(lab, f"yuste/{DATE}/image/raw/m1.tif", "1e3")
    assert main(["check", str(lab.root)]) != 0
    assert "clock_offset" in "".join(capsys.readouterr())


def test_longer_than_its_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its own length, whether anybody knows when it began or not."""
    build = Builder(tmp_path / "ds")
    build.session(end_time="09:01")
    key = build.movie(movie(tmp_path / "m.tif"), (12, 20, 16), frame_rate="0.05")
    (found,) = [one for one in list_times(list_findings(capsys, "check", str(build.root))) if "beyond" in one["id"]]
    assert "lasts for 240 s, 180 s longer than RY_S_0001" in found["message"]
    declare(build, key, "30")
    (found,) = [one for one in list_times(list_findings(capsys, "check", str(build.root))) if "beyond" in one["id"]]
    assert "lasts for 240 s, until 210 s after RY_S_0001 ended" in found["message"]


def test_a_session_without_an_end_is_a_day_at_most(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    lab.change("session", end_time="")
    declare(lab, f"yuste/{DATE}/image/raw/m1.tif", "90000")
    found = [one for one in list_times(list_findings(capsys, "check", str(lab.root))) if "recording" in one["id"]]
    assert [one["id"] for one in found] == ["recording.after_session"]
    assert "had lasted for a day" in found[0]["message"]


def test_a_start_that_only_headers_tell_is_earlier_by_the_offset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = Builder(tmp_path / "ds")
    build.session(start_time="", end_time="")
    key = build.ephys(dated_abf(tmp_path / "e.abf", DATE, NINE + 272), "20000")
    declare(build, key, "12")
    found = list_findings(capsys, "convert", str(build.root))
    assert "clock.differs" not in {one.get("id") for one in found}
    assert min(read_starts(build).values()) == 12.0


@given(st.from_regex(r"-?[0-9]{1,30}(\.[0-9]{1,30})?(/[0-9]{1,30})?", fullmatch=True))
def test_numbers_are_exact_or_refused(text: str) -> None:
    if find_number_complaint(text):
        assert not int(text.rpartition("/")[2])
        return
    above, _, below = text.partition("/")
    assert parse_number(text) * Fraction(below or 1) == Fraction(above)


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_a_complaint(text: str) -> None:
    if not find_number_complaint(text):
        parse_number(text)
