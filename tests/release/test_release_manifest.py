"""Release numbers, release manifests, file manifests and revision keys."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model.finding import Problem
from neuropress.model.source import check_key
from neuropress.release.assets import FileDigest, format_manifest, make_revision_key, parse_manifest
from neuropress.release.manifest import (
    AssetEntry,
    Parent,
    Release,
    format_readme,
    get_next_number,
    list_release_numbers,
    parse_number,
)

ENTRY = AssetEntry("a/x.nwb", "nwb", 3, 1, "f" * 64, None, {"tool": "µ"})
RELEASE = Release("1.2.0", "Tïtle", "CC0-1.0", {"a/x.nwb": ENTRY}, Parent("1.1.0", "ee"), {"why": ["a", 1, None]})


@pytest.mark.parametrize(
    ("number", "triple", "following"),
    [
        ("0.0.0", (0, 0, 0), "0.0.1"),
        ("1.2.3", (1, 2, 3), "1.2.4"),
        ("1.2.9", (1, 2, 9), "1.2.10"),
        ("2025.06.20", (2025, 6, 20), "2025.06.21"),
        ("2025.12.31", (2025, 12, 31), "2026.01.01"),
        ("2024.02.29", (2024, 2, 29), "2024.03.01"),
    ],
)
def test_numbers(number, triple, following):
    assert parse_number(number) == triple
    assert get_next_number(number) == following


@pytest.mark.parametrize(
    "number",
    ["", "1", "1.2", "v1.2.3", "1.2.3-rc1", "01.2.3", "1.2.3\n", "١.٢.٣", "2025.02.30", "2025.13.01", "../1.2.3"],
)
def test_numbers_that_are_none(number):
    with pytest.raises(Problem) as caught:
        parse_number(number)
    assert caught.value.finding.id == "release.number"


def test_numbers_among_files():
    names = ["1.10.0.json", "1.9.0.json", "latest.json", "1.9.0.withdrawn.json", "x", "2.0.0", "2025.06.20.json"]
    assert list_release_numbers(names) == ("1.9.0", "1.10.0", "2025.06.20")


@given(st.tuples(st.integers(0, 999), *[st.integers(0, 10**9 - 2)] * 2))
def test_next_number_comes_after(triple):
    number = ".".join(map(str, triple))
    assert parse_number(get_next_number(number)) > parse_number(number)


def test_release_to_bytes_and_back():
    data = RELEASE.to_bytes()
    assert Release.from_bytes(data, "x") == RELEASE
    assert data.endswith(b"}\n")
    assert data.isascii()


def test_releases_have_the_same_content():
    moved = dataclasses.replace(RELEASE, parent=None, assets={"a/x.nwb": dataclasses.replace(ENTRY, key="elsewhere")})
    assert RELEASE.has_same_content(moved)
    assert not RELEASE.has_same_content(dataclasses.replace(RELEASE, title="other"))
    other = dataclasses.replace(ENTRY, sha256="00")
    assert not RELEASE.has_same_content(dataclasses.replace(RELEASE, assets={"a/x.nwb": other}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b"[" * 100_000,
        RELEASE.to_bytes()[:-10],
        RELEASE.to_bytes().replace(b'"format":1', b'"format":2'),
        RELEASE.to_bytes().replace(b'"kind"', b'"kinds"'),
        json.dumps(json.loads(RELEASE.to_bytes())).encode(),
    ],
)
def test_releases_that_cannot_be_read(data):
    with pytest.raises(Problem, match=r"^place/1\.json is no readable release: ") as caught:
        Release.from_bytes(data, "place/1.json")
    assert caught.value.finding.id == "release.unreadable"


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../x", "a\\b", "C:/x"])
@pytest.mark.parametrize("part", ["name", "key"])
def test_a_release_that_leads_outside_is_refused(key, part):
    name, entry = (key, ENTRY) if part == "name" else ("a/x.nwb", dataclasses.replace(ENTRY, key=key))
    with pytest.raises(Problem, match="no readable release"):
        Release.from_bytes(dataclasses.replace(RELEASE, assets={name: entry}).to_bytes(), "x")
    with pytest.raises(Problem):
        parse_manifest(format_manifest([FileDigest(key, 1, "0" * 64)]))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    with pytest.raises(Problem):
        Release.from_bytes(data, "x")


def _is_safe(name):
    try:
        check_key(name)
    except Problem:
        return False
    return not name.endswith("/")


names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(_is_safe)


@given(st.dictionaries(names, st.tuples(st.integers(0), st.text("0123456789abcdef", min_size=64, max_size=64))))
def test_file_manifest_and_back(files):
    rows = [FileDigest(path, size, sha256) for path, (size, sha256) in files.items()]
    data = format_manifest(rows)
    assert list(parse_manifest(data)) == sorted(rows)
    assert format_manifest(reversed(rows)) == data


@pytest.mark.parametrize(
    ("name", "folder", "expected"),
    [
        ("a/x.nwb", False, "a/x.r2.nwb"),
        ("a/x.1.ome.zarr", True, "a/x.1.r2.ome.zarr"),
        ("a/x.zarr", True, "a/x.r2.zarr"),
        ("a/x.ome.tiff", False, "a/x.r2.ome.tiff"),
        ("a/x.tar.gz", False, "a/x.r2.tar.gz"),
        ("a/2025.06.20", True, "a/2025.06.20.r2"),
        ("a.b/cell1", False, "a.b/cell1.r2"),
        ("a/.ome.zarr", True, "a/.ome.r2.zarr"),
        ("x", False, "x.r2"),
    ],
)
def test_revision_key(name, folder, expected):
    assert make_revision_key(name, 2, folder=folder) == expected
    assert make_revision_key(name, 1, folder=folder) == name


def test_readme_names_people_with_their_identifiers():
    ada = {"nameType": "Personal", "name": "Example, Ada", "nameIdentifiers": [{"nameIdentifier": "0000-0001"}]}
    notes = {"creators": [ada, {"nameType": "Personal", "name": "Sample, Bea"}]}
    text = format_readme(dataclasses.replace(RELEASE, notes=notes), "s3://b/p")
    assert "- creators: Example, Ada (0000-0001); Sample, Bea" in text


def test_readme_keeps_its_table():
    entry = dataclasses.replace(ENTRY, key="a|b\nc")
    text = format_readme(dataclasses.replace(RELEASE, assets={"a|b\nc": entry}), "s3://b/p")
    row = next(line for line in text.splitlines() if line.startswith("| a"))
    assert row == "| a\\|b c | nwb | `a\\|b c` | 1 | 3 | " + "f" * 64 + " |"
    assert '- why: ["a",1,null]' in text
    assert "- Release before this one: 1.1.0" in text
