"""Letters: plain words, ranked, and every error in exactly one."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from builder import DATE, Builder, abf

from neuropress.cli.main import main
from neuropress.model.finding import finding
from neuropress.model.profile import load_profile
from neuropress.verbs.letter import compose_letter


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    """Errors of two labs, of no lab, and one in several rows."""
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20 kHz")
    for number in range(2, 7):
        build.row("mouse", mouse_id=f"RY_M_{number:04d}", strain="C57BL/6J", sex="female")
    build.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", weight="heavy")
    build.row("virus", virus_name="without a key", serotype="AAV1", floxed="TRUE")
    path = build.root / "tables/model.csv"
    path.write_text(path.read_text("utf-8").replace("notes", "nots"), "utf-8", newline="\n")
    return build


def test_every_error_is_in_exactly_one_letter(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(lab.root), "--format", "jsonl"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    profile = lab.dataset.config.profile
    letters = [lab.dataset.letter(name) for name in (*profile.labs, "-")]
    sent = [f.to_json() for letter in letters for f in letter.findings if f.severity == "error"]
    for found in (*lines, *sent):
        found["location"].pop("file", None)  # from the repository's root for programs, from the dataset's for people
    errors = [json.dumps(x, sort_keys=True) for x in lines if x["severity"] == "error"]
    assert sorted(json.dumps(x, sort_keys=True) for x in sent) == sorted(errors)
    assert len(errors) >= 8
    assert all(sum(p.rows for p in letter.points) == len(letter.findings) for letter in letters)


def test_a_letter_ranks_by_what_is_withheld(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(lab.root), "--letter", "RY"]) == 1
    text = capsys.readouterr().out
    assert text.startswith("To: Rafael Yuste (RY)\n")
    first, second = text.index("1. table ephys, column sampling_rate"), text.index("2. 5 rows: table mouse, column sex")
    assert first < second
    assert "withholds RY_S_0001.nwb" in text
    assert "RY_M_0002, line 3: " in text
    assert all(f"RY_M_{number:04d}, line {number + 1}" in text for number in range(2, 7))
    assert "heavy" not in text
    assert main(["check", str(lab.root), "--letter", "JB"]) == 1
    assert "heavy" in capsys.readouterr().out
    assert main(["check", str(lab.root), "--letter", "-"]) == 1
    assert "nots" in capsys.readouterr().out


def test_the_golden_letter() -> None:
    heavy_mouse = finding(
        "cell.type",
        "weight: 'heavy' is no number",
        hint="Write a number.",
        table="mouse",
        line=4,
        key="JB_M_0001",
        column="weight",
    )
    letter = compose_letter(
        "JB", [heavy_mouse], {("mouse", "JB_M_0001"): ["JB_S_0001.nwb"]}, load_profile("dendritic-consortium")
    )
    assert letter.to_text() == (
        "To: Jayeeta Basu (JB)\n\n"
        "neuropress found 1 thing in your metadata tables; 1 of them keep data from being published. The most blocking come first.\n\n"
        "1. table mouse, column weight\n"
        "     JB_M_0001, line 4: weight: 'heavy' is no number\n"
        "   Effect: withholds JB_S_0001.nwb, and so blocks the release and the DANDI upload\n"
        "   What to do: Write a number.\n"
    )


def test_a_lab_without_findings_and_a_lab_that_is_none(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(lab.root), "--letter", "EN"]) == 0
    assert "nothing to mend" in capsys.readouterr().out
    assert main(["check", str(lab.root), "--letter", "XX"]) == 2


def test_a_page_holds_hostile_cells_as_text(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    lab.change("mouse", 1, sex="<script>alert(1)</script>")
    assert main(["check", str(lab.root), "--letter", "RY", "--html"]) == 1
    page = capsys.readouterr().out
    tags: list[str] = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    reader.feed(page)
    assert "script" not in tags
    assert "&lt;script&gt;" in page
    assert "http" not in page
    assert DATE not in page.split("<body>")[0]
