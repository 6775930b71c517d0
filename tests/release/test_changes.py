"""Differences between releases by meaning, what counts as a loss, and who may accept it; no store is needed."""

from __future__ import annotations

import pytest

from neuropress.model.finding import Problem
from neuropress.model.plan import SourceRow
from neuropress.model.record import Fix
from neuropress.publishing.changes import (
    CellText,
    ChangeKind,
    ReleaseContent,
    collect_rows,
    compare_contents,
    is_accepted,
    make_loss_findings,
)
from neuropress.publishing.parts import Part, PartTable, merge_rows
from neuropress.publishing.scope import Scope
from neuropress.publishing.selection import SelectedContent, is_inherited
from neuropress.release.manifest import AssetEntry

COLUMNS = ("mouse_id", "sex", "weight", "notes")


def entry(
    sha256: str = "a", size: int = 3, kind: str = "nwb", manifest: str | None = None, **provenance: list[str]
) -> AssetEntry:
    return AssetEntry("key", kind, size, 1, sha256, manifest, provenance)


def row(key: str, fixes: dict[str, Fix] | None = None, **cells: str) -> SourceRow:
    return SourceRow("mouse", key, {"mouse_id": key, **cells}, fixes or {})


def part(lab: str, *rows: SourceRow, table: str = "mouse", **settings: str) -> Part:
    return Part(lab, settings, {table: PartTable("mouse_id", COLUMNS, ("notes",), rows)}, {"waivers.csv": lab.encode()})


def list_differences(before: ReleaseContent, after: ReleaseContent) -> list[tuple[str, str, str, str, str]]:
    return [(c.level, str(c.what), c.name, c.before, c.after) for c in compare_contents(before, after)]


def test_assets() -> None:
    before = {
        "gone": entry(size=5),
        "same": entry(),
        "other": entry("a", 3),
        "folder": entry(),
        "dataset/RY": entry(kind="dataset"),
    }
    after = {
        "new": entry(size=7),
        "same": entry(),
        "other": entry("b", 4),
        "folder": entry(manifest="m"),
        "dataset/JL": entry("c", kind="dataset"),
    }
    assert list_differences(ReleaseContent(before), ReleaseContent(after)) == [
        ("asset", "changed", "folder", "3", "3"),
        ("asset", "lost", "gone", "5", ""),
        ("asset", "added", "new", "", "7"),
        ("asset", "changed", "other", "3", "4"),
    ]


def cells(**texts: str) -> dict[str, CellText]:
    return {column: CellText(text, text) for column, text in texts.items()}


def test_a_cell_that_was_damaged_and_put_right_by_signature_has_changed() -> None:
    before = {"mouse": {"A": cells(weight="24.50")}}
    after = {"mouse": {"A": {"weight": CellText("24.50", "24.5O")}}}
    assert list_differences(ReleaseContent(tables=before), ReleaseContent(tables=after)) == [
        ("cell", "changed", "mouse.A.weight", "24.50", "24.5O read as 24.50"),
    ]


def test_tables_rows_and_cells() -> None:
    before = {"mouse": {"A": cells(sex="F", weight="20", notes=""), "B": {}}, "virus": {"V": {}}}
    after = {"mouse": {"A": cells(sex="M", weight="", notes="n"), "C": {}}, "model": {}}
    assert list_differences(ReleaseContent(tables=before), ReleaseContent(tables=after)) == [
        ("table", "added", "model", "", "0 rows"),
        ("cell", "added", "mouse.A.notes", "", "n"),
        ("cell", "changed", "mouse.A.sex", "F", "M"),
        ("cell", "lost", "mouse.A.weight", "20", ""),
        ("row", "lost", "mouse.B", "", ""),
        ("row", "added", "mouse.C", "", ""),
        ("table", "lost", "virus", "1 rows", ""),
        ("row", "lost", "virus.V", "", ""),
    ]
    assert list_differences(ReleaseContent(tables=before), ReleaseContent(tables=before)) == []


def test_texts_of_changes() -> None:
    before = ReleaseContent({"a": entry(size=5), "b": entry()}, {"mouse": {"A": cells(sex="F", weight="20")}})
    after = ReleaseContent({"b": entry("b", 4)}, {"mouse": {"A": cells(sex="M", notes="n")}, "model": {}})
    texts = {c.name: c.describe() for c in compare_contents(before, after)}
    assert texts == {
        "a": "5 bytes",
        "b": "3 bytes -> 4 bytes",
        "model": "0 rows",
        "mouse.A.notes": "'n'",
        "mouse.A.sex": "'F' -> 'M'",
        "mouse.A.weight": "'20'",
    }


def test_rows_are_compared_as_they_were_signed_and_a_second_one_of_a_key_is_kept() -> None:
    fix = Fix("488 nm", "488", "Ada Example", "a unit")
    parts = [
        part("RY", row("A", {"notes": fix}, notes="488 nm"), row("B", sex="F")),
        part("ML", row("B", sex="M"), row("B")),
    ]
    assert collect_rows(parts) == {
        "mouse": {
            "A": {"mouse_id": CellText("A", "A"), "notes": CellText("488", "488 nm")},
            "B": cells(mouse_id="B", sex="F"),
            "B (2)": cells(mouse_id="B", sex="M"),
            "B (3)": cells(mouse_id="B"),
        }
    }


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("mouse.A.weight", ["mouse.A.weight", "mouse.A", "mouse", "mouse.*.weight", "mouse.A.*"]),
        ("lab/1/nwb/s.nwb", ["lab/1/nwb/s.nwb", "lab/1", "lab/1/", "lab", "lab/*"]),
    ],
)
def test_a_loss_is_accepted_by_its_name_and_by_what_holds_it(name: str, accepted: list[str]) -> None:
    (change,) = compare_contents(ReleaseContent({name: entry()}), ReleaseContent())
    assert all(is_accepted(change, [one]) for one in accepted)
    assert is_accepted(change, ["else", accepted[0]])
    for other in (
        "*",
        "*.weight",
        "*/s.nwb",
        "mous",
        "mouse.A.weigh",
        "lab/1/nw",
        "mouse.B",
        "mouse.*.sex",
        "lab/2/*",
        "",
    ):
        assert not is_accepted(change, [other]), other
    assert not is_accepted(change, [])


def test_losses_are_told_by_table_column_and_kind() -> None:
    before = ReleaseContent(
        {"x": entry(), "y": entry()},
        {"mouse": {k: cells(sex="F", weight="1") for k in "ABCDEFG"}, "virus": {"V": {}}, "model": {"M": {}}},
    )
    after = ReleaseContent({}, {"mouse": {k: cells(sex="") for k in "ABCDEFG"}, "virus": {}})
    changes = compare_contents(before, after)
    found = make_loss_findings(changes, ["mouse.*.sex", "x", "nothing"], "1.0.0")
    assert [(f.id, f.location.table, f.location.value) for f in found] == [
        ("publish.loss", None, "y"),
        ("publish.loss", "model", "model"),
        ("publish.loss", "mouse", "mouse.A.weight"),
        ("publish.loss", "virus", "virus.V"),
        ("publish.no_such_loss", None, "nothing"),
    ]
    hints = [f.hint.split("'")[1] for f in found[:4]]
    assert hints == ["y", "model", "mouse.*.weight", "virus.V"]
    assert "and 2 more" in found[2].message
    for hint in hints:  # what the hint says is enough
        assert not any(f.location.value == hint for f in make_loss_findings(changes, [hint], "1.0.0"))
    assert make_loss_findings([c for c in changes if c.what is not ChangeKind.LOST], [], "1.0.0") == []
    assert make_loss_findings(changes, ["x", "y", "mouse", "virus", "model"], "1.0.0") == []


def test_what_a_selection_takes_of_the_parent() -> None:
    mine = entry(labs=["RY"], sessions=["RY_S_0001"])
    both = entry(labs=["RY", "ML"])
    raw = entry(kind="raw", labs=["RY"], sessions=["RY_S_0001", "RY_S_0002"])
    tables = entry(kind="dataset", labs=["RY"])
    cases = {
        Scope(): (True, True, True),
        Scope(labs=("RY",)): (True, True, True),
        Scope(labs=("ML",)): (False, True, False),
        Scope(sessions=("RY_S_0001",)): (True, False, True),
        Scope(sessions=("RY_S_0002",)): (False, False, True),
        Scope(labs=("ML",), sessions=("RY_S_0001",)): (False, False, False),
        Scope(kinds=("raw",)): (False, False, True),
        Scope(labs=("RY",), kinds=("nwb",)): (True, True, False),
    }
    for scope, taken in cases.items():
        assert tuple(scope.includes_entry("x", e) for e in (mine, both, raw)) == taken, scope
        assert [is_inherited("x", e, scope, SelectedContent()) for e in (mine, both, raw)] == [not t for t in taken]
    assert Scope().includes_entry("x", entry())
    assert not Scope(labs=("RY",)).includes_entry("x", entry())
    for scope, name, kept in (
        (Scope(), "RY", False),
        (Scope(labs=("RY",)), "RY", False),
        (Scope(labs=("ML",)), "RY", True),
        (Scope(), "none", False),
        (Scope(labs=("RY",)), "none", True),
        (Scope(sessions=("RY_S_0001",)), "RY", True),
    ):
        assert is_inherited(f"dataset/{name}", tables, scope, SelectedContent()) is kept, (scope, name)
        assert not is_inherited(f"dataset/{name}", tables, scope, SelectedContent(parts={name: part(name)}))
    assert Scope(labs=("RY",), kinds=("raw",)).to_json() == {"lab": ["RY"], "only": ["raw"]}
    assert (bool(Scope()), bool(Scope(kinds=("raw",)))) == (False, True)


def test_a_part_is_read_back_as_it_was_written() -> None:
    fix = Fix("488 nm", "488", "Ada Example", "a unit")
    key = Fix("RY_M_1", "RY_M_0001", "Ada Example", "digits")
    first = SourceRow("mouse", "RY_M_0001", {"mouse_id": "RY_M_1", "notes": 'a\n,"b'}, {"mouse_id": key})
    made = part("RY", first, row("RY_M_0002", {"notes": fix}, notes="488 nm"), region="V1")
    files = made.to_files()
    assert files.keys() == {"part.json", "tables/mouse.csv", "applied_fixes.csv", "waivers.csv"}
    back = Part.from_files(files, "x")
    assert back.to_files() == files
    assert (back.lab, back.settings, back.sha256) == (made.lab, made.settings, made.sha256)
    assert [(r.key, dict(r.fixes)) for r in back.tables["mouse"].rows] == [
        ("RY_M_0001", {"mouse_id": key}),
        ("RY_M_0002", {"notes": fix}),
    ]
    assert part("RY").to_files().keys() == {"part.json", "waivers.csv"}
    assert Part.from_files(part("RY").to_files(), "x").tables["mouse"].rows == ()
    for name, data in (
        ("part.json", b"{}"),
        ("part.json", files["part.json"].replace(b'"format":1', b'"format":2')),
        ("applied_fixes.csv", b"a\n1\n"),
    ):
        with pytest.raises(Problem) as caught:
            Part.from_files({**files, name: data}, "x")
        assert caught.value.finding.id == "release.unreadable"


def test_only_chosen_rows_are_published_anew() -> None:
    before = part("RY", row("A", sex="F"), row("B", sex="F"), row("C", sex="F"), row("D", sex="F"))
    now = part("RY", row("A", sex="M"), row("B", sex="M"), row("E", sex="M"), row("F", sex="M"), region="V1")
    merged = merge_rows(before, now, {("mouse", k) for k in "BCE"})
    rows = {r.key: r.cells["sex"] for r in merged.tables["mouse"].rows}
    assert rows == {"A": "F", "B": "M", "D": "F", "E": "M"}
    assert merged.settings == {"region": "V1"}
    alone = merge_rows(None, now, {("mouse", "A")})
    assert [r.key for r in alone.tables["mouse"].rows] == ["A"]
    other = merge_rows(part("RY", row("V"), table="virus"), now, {("mouse", "A")})
    assert {name: [r.key for r in table.rows] for name, table in other.tables.items()} == {
        "virus": ["V"],
        "mouse": ["A"],
    }
