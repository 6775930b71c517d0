"""SWC morphologies: counts as MorphIO has them, exact extents, and files that are no tree."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source
from neuropress.readers.raw import choose_format
from neuropress.readers.swc import read as swc
from neuropress.storage.roots import Folder

SIMPLE = """# soma, two neurites that branch
1 1 0 0 0 1 -1
2 3 0 0 0 1 1
3 3 0 5.50 0 1 2
4 3 -5 5.5 0 0 3
5 3 6 5.5 0 0 3
6 2 0 0 0 1 1
7 2 0 -4 0 1 6
8 2 6 -4 0 0 7
9 2 -5 -4 0 0 7
"""


def read_facts(path: Path) -> dict[str, str]:
    (content,) = swc.read(Source(path.name, Folder(path.parent)), {})
    assert content.arrays == {}
    return dict(content.facts)


def expect_finding(path: Path, text: str | bytes) -> Finding:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Problem) as caught:
        read_facts(path)
    return caught.value.finding


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_tree(tmp_path: Path, end: str) -> None:
    path = tmp_path / "cell.SWC"
    path.write_bytes(SIMPLE.replace("\n", end).encode())
    assert choose_format(Source(path.name, Folder(tmp_path))).format == "swc"
    assert read_facts(path) == {
        "points": "9",
        "soma_points": "1",
        "roots": "2",
        "sections": "6",
        "total_length": "31.500000",  # 5.5 + 5 + 6 and 4 + 6 + 5; what leads to the soma is no neurite
        "x_min": "-5",
        "x_max": "6",
        "y_min": "-4",
        "y_max": "5.5",
        "z_min": "0",
        "z_max": "0",
    }


def test_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.swc"
    path.write_text(SIMPLE)
    expected = read_facts(path)
    path.write_text("\n".join(reversed(SIMPLE.splitlines())))
    assert read_facts(path) == expected


@pytest.mark.parametrize(
    ("text", "id", "line"),
    [
        (SIMPLE[:-8], "swc.line", 10),
        ("1 1 0 0 0 1", "swc.line", 1),
        ("1 1 0 0 nan 1 -1", "swc.line", 1),
        ("1 1 0 0 1e999 1 -1", "swc.line", 1),
        ("1 1 0 0 x 1 -1", "swc.line", 1),
        ("1 1 0 0 " + "9" * 50_000 + " 1 -1", "swc.line", 1),
        ("1.5 1 0 0 0 1 -1", "swc.line", 1),
        ("1 1 1_0 0 0 1 -1", "swc.line", 1),
        (b"\xff\xfe\0\1", "swc.line", 1),
        (b"\xff" * 2**17, "swc.line", 1),
        (SIMPLE + "# " + "x" * 2**16, "swc.line", 11),
        ("1 1 0 0 0 1 -1\n1 3 0 0 0 1 1", "swc.tree", 2),
        ("1 1 0 0 0 1 -1\n2 3 0 0 0 1 7", "swc.tree", 2),
        ("1 3 0 0 0 1 2\n2 3 0 0 0 1 1", "swc.tree", 1),
        ("1 3 0 0 0 1 1", "swc.tree", 1),
    ],
)
def test_what_is_no_tree_is_reported_with_its_line(tmp_path: Path, text: str | bytes, id: str, line: int) -> None:
    found = expect_finding(tmp_path / "a.swc", text)
    assert found.id == id
    assert found.message.startswith(f"a.swc line {line}: ")
    assert len(found.message) < 300


def test_a_mark_before_the_text_and_separators_in_comments(tmp_path: Path) -> None:
    path = tmp_path / "a.swc"
    path.write_bytes(b"\xef\xbb\xbf# one\xe2\x80\xa8line\r1 1 0 0 0 1 -1\r\n2 3 0 0 0 1 1\n")
    assert read_facts(path)["points"] == "2"


def test_more_samples_and_comments_than_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swc, "SWC_SAMPLES", 8)
    assert expect_finding(tmp_path / "a.swc", SIMPLE).message.endswith("more than 8 samples")
    monkeypatch.setattr(swc, "SWC_SAMPLES", 9)
    monkeypatch.setattr(swc, "SWC_COMMENTS", 8)
    (tmp_path / "a.swc").write_text("# 12\n# 34\n# 56\n# 78\n" + SIMPLE)
    (content,) = swc.read(Source("a.swc", Folder(tmp_path)), {})
    left_out = "[comments after the first 8 characters of them are left out]"
    assert content.header["comments"] == ["# 12", "# 34", left_out]


def test_more_lines_than_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swc, "MAX_LINES", 20)
    path = tmp_path / "cell.swc"
    path.write_text(SIMPLE + "\n" * 5)
    assert read_facts(path)["points"] == "9"
    path.write_text(SIMPLE + "\n" * 50)
    with pytest.raises(Problem) as caught:
        read_facts(path)
    assert caught.value.finding.id == "swc.line"


def test_no_sample(tmp_path: Path) -> None:
    assert expect_finding(tmp_path / "a.swc", "# nothing\n").id == "swc.line"


def test_a_long_chain_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.swc"
    path.write_text("".join(f"{i} 3 {i} 0 0 1 {i - 1 if i > 1 else -1}\n" for i in range(1, 100_001)))
    assert (read_facts(path)["sections"], read_facts(path)["total_length"]) == ("1", "99999.000000")


@given(st.binary(max_size=400) | st.text(alphabet="0123456789 .-#e\n", max_size=400).map(str.encode))
def test_any_bytes_are_a_tree_or_a_finding(data: bytes) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder, "a.swc")
        path.write_bytes(data)
        try:
            assert int(read_facts(path)["points"]) >= 1
        except Problem as bad:
            if not bad.finding.id.startswith("swc."):
                raise


@pytest.mark.corpus
def test_real_trees_have_the_counts_that_morphio_gives(corpus: Path) -> None:
    tried = 0
    for line in (corpus / "MANIFEST.tsv").read_text().splitlines():
        stated = re.search(r"morphology, (\d+) sections, (\d+) roots, (\d+) points, soma points (\d+)", line)
        path = corpus / line.split("\t")[0]
        if stated is None or path.suffix != ".swc":
            continue
        sections, roots, points, soma = map(int, stated.groups())
        found = {name: int(text) for name, text in read_facts(path).items() if name in ("points", "sections", "roots")}
        assert (found["sections"], found["roots"]) == (sections, roots), path
        # MorphIO counts the sample behind which a section begins for that section again, unless it stands there twice.
        samples = found["points"] - soma
        assert samples <= points <= samples + sections - roots, path
        assert int(read_facts(path)["soma_points"]) == soma, path
        tried += 1
    assert tried >= 5
