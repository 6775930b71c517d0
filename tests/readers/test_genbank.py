"""GenBank files: facts as they were typed here, and files that are cut off, contradict themselves or are none."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model.content import Content
from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source
from neuropress.readers import get_formats
from neuropress.readers.genbank import read as genbank
from neuropress.readers.raw import choose_format
from neuropress.readers.raw import read as read_raw
from neuropress.storage.roots import Folder

MAP = """LOCUS       pToy_1                    24 bp    DNA     circular SYN 05-MAR-2024
DEFINITION  a plasmid that nobody has.
FEATURES             Location/Qualifiers
     source          1..24
                     /organism="nothing"
     promoter        complement(1..6)
                     /label="toy LOCUS"
     CDS             join(7..12,
                     13..18)
ORIGIN
        1 acgtacgtac gtacgtacgt
       21 ggNS
//
"""


def contents(path: Path, text: str | bytes, options: Mapping[str, str] | None = None) -> tuple[Content, ...]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_raw(Source(path.name, Folder(path.parent)), options)


def facts(path: Path, text: str | bytes) -> dict[str, str]:
    (content,) = contents(path, text)
    assert content.arrays == {}
    assert set(content.facts) <= {fact.name for fact in get_formats()["genbank"].facts}
    return dict(content.facts)


def refused(path: Path, text: str | bytes) -> Finding:
    with pytest.raises(Problem) as caught:
        contents(path, text)
    assert len(caught.value.finding.message) < 500
    return caught.value.finding


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("before", ["", "\ufeff", "\n"])
def test_a_map(tmp_path: Path, end: str, before: str) -> None:
    path = tmp_path / "a.GB"
    assert facts(path, (before + MAP).replace("\n", end)) == {
        "locus": "pToy_1",
        "length": "24",
        "molecule": "DNA",
        "topology": "circular",
        "date": "2024-03-05",
        "features": "3",
        "gc_content": "0.565217",  # 10 of 20, G, G and S of 3; N says nothing: 13 of 23
    }
    assert choose_format(Source(path.name, Folder(tmp_path))).format == "genbank"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("LOCUS a b 12 bp 24 bp ds-DNA linear 5-mar-2024", ("a b 12 bp", "ds-DNA", "linear", "2024-03-05")),
        ("LOCUS\tx\t24 bp", ("x", None, None, None)),
        ("LOCUS 24 bp mRNA", (None, "mRNA", None, None)),
        ("LOCUS x 24 bp circular", ("x", None, "circular", None)),
        ("LOCUS x 24 bp DNA 31-FEB-2024", ("x", "DNA", None, None)),
        ("LOCUS x 24 bp DNA 01-ABC-2024", ("x", "DNA", None, None)),
    ],
)
def test_what_a_locus_line_does_not_say_is_left_out(
    tmp_path: Path, line: str, expected: tuple[str | None, ...]
) -> None:
    text = f"{line}\n" + MAP.partition("\n")[2]
    found = facts(tmp_path / "a.gb", text)
    assert tuple(map(found.get, ("locus", "molecule", "topology", "date"))) == expected


def test_a_date_that_is_none_is_told(tmp_path: Path) -> None:
    (content,) = contents(tmp_path / "a.gb", MAP.replace("05-MAR", "31-FEB"))
    assert content.warnings == ("the date 31-FEB-2024 of its LOCUS line is none",)


def test_a_record_whose_sequence_is_elsewhere(tmp_path: Path) -> None:
    text = MAP.partition("ORIGIN")[0] + "CONTIG      join(X1.1:1..24)\n//\n"
    assert "gc_content" not in facts(tmp_path / "a.gb", text)


def test_several_records_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    text = MAP + MAP.replace("pToy_1", "pToy_2") + "\n" + MAP
    names = [content.name for content in contents(tmp_path / "a.gb", text)]
    assert names == ["pToy_1 (record 1)", "pToy_2", "pToy_1 (record 3)"]
    for option in ("2", "pToy_2"):
        (content,) = contents(tmp_path / "a.gb", text, {"image": option})
        assert content.facts["locus"] == "pToy_2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("LOCUS", "line 1: LOCUS states no length"),
        ("LOCUS x " + "9" * 70_000 + " bp", "line 1: a line of more than"),
        ("LOCUS x " + "9" * 50 + " bp", "line 1: LOCUS states no length"),
        ("LOCUS x 10_0 bp", "line 1: LOCUS states no length"),
        ("LOCUS x \u0662\u0664 bp", "line 1: LOCUS states no length"),
        ("LOCUS x -1 bp", "line 1: LOCUS states no length"),
        ("LOCUS x 24 aa", "line 1: its length is in aa"),
        ("LOCUS x 999999999999 bp\n//", "line 2: LOCUS in line 1 states 999999999999 bp, but the sequence has 0"),
        (MAP[:-3], "line 1: its record has no end"),
        (MAP.replace("       21 ggNS\n", ""), "line 12: LOCUS in line 1 states 24 bp, but the sequence has 20"),
        (MAP.partition("ORIGIN")[0] + "//\n", "line 10: LOCUS in line 1 states 24 bp, but the sequence has 0"),
        (MAP.replace("ggNS", "ggN*"), "line 12: it has characters that are no letters"),
        (MAP.replace("ggNS", "gg\0S"), "line 12: it has characters that are no letters"),
        (MAP.encode().replace(b"ggNS", b"gg\xffS"), "line 12: it has characters that are no letters"),
        (MAP[:-3] + MAP, "line 13: the record of line 1 has no end"),
        (MAP + "more\n", "line 14: a record begins with LOCUS"),
    ],
)
def test_what_is_no_whole_map_is_told_with_its_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    found = refused(tmp_path / "a.gb", text)
    assert found.id == "genbank.damaged"
    assert found.message.startswith(f"a.gb {words}")


def test_a_map_cut_at_any_byte_is_a_finding(tmp_path: Path) -> None:
    for end in range(1, len(MAP) - 1):
        assert refused(tmp_path / "a.gb", MAP[:end]).id in ("genbank.damaged", "format.unknown"), end
    assert facts(tmp_path / "a.gb", MAP[:-1])["length"] == "24"


def test_what_is_called_so_and_is_none(tmp_path: Path) -> None:
    for text in ("LOCUST,1\n", ">fasta\nacgt\n", b"\0\1"):
        assert refused(tmp_path / "a.gb", text).id == "format.unknown"


def test_more_than_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genbank, "MOST_RECORDS", 1)
    assert "more than 1 records" in refused(tmp_path / "a.gb", MAP + MAP).message
    monkeypatch.setattr(genbank, "MOST_LINES", 12)
    assert "line 13: a line of more than" in refused(tmp_path / "a.gb", MAP).message
    monkeypatch.setattr(genbank, "MOST_LINES", 99)
    monkeypatch.setattr(genbank, "MOST_HEADER", 80)
    (content,) = contents(tmp_path / "a.gb", MAP.replace("DEFINITION", "COMMENT " + "x" * 90 + "\nDEFINITION"))
    assert content.header["lines"][1:] == [genbank.LEFT_OUT]
    monkeypatch.setattr(genbank, "MOST_BYTES", 100)
    assert "more than 100 bytes" in refused(tmp_path / "a.gb", MAP).message


@given(
    st.binary(max_size=300).map(lambda data: b"LOCUS " + data)
    | st.lists(st.sampled_from([*MAP.splitlines(), "LOCUS x 4 bp", " 1 acgt", "", "CONTIG", "WGS"]), max_size=20).map(
        lambda lines: "\n".join(["LOCUS x 4 bp", *lines]).encode()
    )
)
def test_any_bytes_are_maps_or_a_finding(data: bytes) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        try:
            assert all(int(c.facts["length"]) >= 0 for c in contents(Path(folder, "a.gb"), data))
        except Problem as bad:
            if bad.finding.id != "genbank.damaged":
                raise
