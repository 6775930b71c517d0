"""Rows joined, and what one bad row means for the others: one finding, everything that depends on it withheld."""

from decimal import Decimal
from pathlib import Path

import pytest
from clean_tables import PROFILE, clean_rows, write_clean, write_tables

from neuropress.tables import load_tables, normalise_key

BELOW_RY_MOUSE = {
    ("session", "RY_S_0001"), ("image", "RY_IMG_0001"), ("ephys", "RY_E_0001"), ("analysis", "RY_A_0001"),
    ("sem_dataset", "JL_SD_0001"), ("micro_ct_dataset", "JL_MD_0001"), ("cell_detection_dataset", "JL_CD_0001"),
}  # fmt: skip


def test_rows_are_typed_verbatim_and_joined(tmp_path: Path) -> None:
    tables = load_tables(write_clean(tmp_path), PROFILE)
    image = tables.records["image"]["RY_IMG_0001"]
    mouse = image.related("session.mouse")
    assert mouse is not None
    assert mouse.cells["weight"].text == "24.50"
    assert mouse.values["weight"] == Decimal("24.50")
    assert image.values["x"] == 512
    assert image.values["notes"] is None
    assert image.related("session.mouse.virus.plasmid") is tables.records["plasmid"]["ML_P_0001"]
    assert tables.records["virus"]["RY_V_0001"].values["floxed"] is True
    assert tables.records["analysis"]["RY_A_0001"].parents == {"source": image}
    session = tables.records["session"]["RY_S_0001"]
    assert session.cells["notes"].text == 'first day,\nquiet "room"'
    assert session.line == 2
    assert tables.records["session"]["JB_S_0001"].line == 4
    assert tables.get_children(session, "image") == (image,)
    assert tables.get_children(session, "behavior") == ()


@pytest.mark.parametrize(
    "cells",
    [
        {"mouse.weight": "heavy"},
        {"mouse.mouse_id": "RY_M_1"},
        {"mouse.mouse_id": ""},
        {"mouse.mouse_id": "RY_MD_0001"},
        {"mouse.mouse_id": "XX_M_0009"},
        {"mouse.virus_id": "none"},
    ],
)
def test_rows_below_a_bad_one_have_its_cause(tmp_path: Path, cells: dict[str, str]) -> None:
    tables = load_tables(write_clean(tmp_path, cells), PROFILE)
    assert len(tables.findings) == 1
    for row in BELOW_RY_MOUSE:
        assert tables.blocked[row] == tables.findings[0]
    assert ("behavior", "JB_B_0001") not in tables.blocked
    assert "RY_M_0001" not in tables.records["mouse"]


def test_a_dangling_key_is_told_beside_an_unrelated_bad_row(tmp_path: Path) -> None:
    cells = {"mouse[1].mouse_id": "JB_M_1", "session.mouse_id": "RY_M_0007"}
    tables = load_tables(write_clean(tmp_path, cells), PROFILE)
    assert sorted(f.id for f in tables.findings) == ["key.format", "link.dangling"]
    assert tables.blocked["session", "JB_S_0001"].id == "key.format"


def test_a_wrong_key_does_not_hide_behind_a_key_that_is_there_twice(tmp_path: Path) -> None:
    """Numbers go on from row to row: a second 0001 before a 0002 leaves no gap that 0009 could fill."""
    rows = clean_rows()
    mouse = rows["mouse"][0]
    rows["mouse"] += [{**mouse, "weight": "20"}, {**mouse, "mouse_id": "RY_M_0002"}, {**mouse, "mouse_id": "RY_M_0003"}]
    rows["session"][0]["mouse_id"] = "RY_M_0009"
    assert sorted(f.id for f in load_tables(write_tables(tmp_path, rows), PROFILE).findings) == [
        "key.duplicate",
        "link.dangling",
    ]
    # But where the row stands in the place of the missing number, that row is the one that is meant.
    rows["mouse"][2]["mouse_id"] = "RY_M_0002"
    rows["mouse"][3]["mouse_id"] = "RY_M_0002"
    rows["session"][0]["mouse_id"] = "RY_M_0003"
    rows["mouse"][3]["weight"] = "21"
    assert [f.id for f in load_tables(write_tables(tmp_path, rows), PROFILE).findings] == ["key.duplicate"]


def test_a_row_with_a_key_that_is_there_twice_has_its_own_cells_checked(tmp_path: Path) -> None:
    rows = clean_rows()
    rows["image"].append({**rows["image"][0], "session_id": "RY_S_0009", "x": "wide", "frame_rate": ""})
    found = {
        (f.id, f.location.line, f.location.column) for f in load_tables(write_tables(tmp_path, rows), PROFILE).findings
    }
    assert {("key.duplicate", 3, "image_id"), ("link.dangling", 3, "session_id"), ("cell.type", 3, "x")} <= found


def test_a_session_knows_its_rows_without_a_key(tmp_path: Path) -> None:
    tables = load_tables(write_clean(tmp_path, {"ephys.ephys_id": "RY_IMG_0007"}), PROFILE)
    session = tables.records["session"]["RY_S_0001"]
    assert ("session", "RY_S_0001") not in tables.blocked
    assert tables.get_blocked_children(session) == {("ephys", "RY_IMG_0007"): tables.findings[0]}
    tables = load_tables(write_clean(tmp_path, {"ephys.ephys_id": ""}), PROFILE)
    assert list(tables.get_blocked_children(session)) == [("ephys", "line 2")]


def test_a_key_twice_withholds_both_and_what_points_to_them(tmp_path: Path) -> None:
    rows = clean_rows()
    rows["image"].append(
        {**rows["image"][0], "session_id": "JB_S_0001", "file_path_raw": "yuste/20250620/image/raw/2.tif"}
    )
    tables = load_tables(write_tables(tmp_path, rows), PROFILE)
    assert [f.id for f in tables.findings] == ["key.duplicate"]
    assert set(tables.blocked) == {("image", "RY_IMG_0001"), ("analysis", "RY_A_0001")}
    for key in ("RY_S_0001", "JB_S_0001"):
        assert list(tables.get_blocked_children(tables.records["session"][key])) == [("image", "RY_IMG_0001")]


def test_rows_of_a_broken_table_are_known_to_their_session(tmp_path: Path) -> None:
    write_clean(tmp_path)
    path = tmp_path / "ephys.csv"
    path.write_text(path.read_text("utf-8").replace("notes", "nots,notes", 1), "utf-8", newline="")
    tables = load_tables(tmp_path, PROFILE)
    assert [(f.id, f.severity) for f in tables.findings] == [
        ("table.column_unknown", "warning"),
        ("table.row_ragged", "error"),
    ]
    session = tables.records["session"]["RY_S_0001"]
    assert tables.get_children(session, "ephys") == ()
    assert list(tables.get_blocked_children(session)) == [("ephys", "RY_E_0001")]


def test_a_long_chain_and_a_circle_of_analyses(tmp_path: Path) -> None:
    rows = clean_rows()
    first = rows["analysis"][0]
    for number in range(2, 3001):
        rows["analysis"].append(
            {
                **first,
                "analysis_id": f"RY_A_{number:04d}",
                "source_type": "analysis",
                "source_id": f"RY_A_{number - 1:04d}",
            }
        )
    assert load_tables(write_tables(tmp_path, rows), PROFILE).findings == ()
    rows["analysis"][0] |= {"source_type": "analysis", "source_id": "RY_A_0003"}
    tables = load_tables(write_tables(tmp_path, rows), PROFILE)
    (circle,) = tables.findings
    assert circle.id == "link.circle"
    assert "RY_A_0001 -> RY_A_0003 -> RY_A_0002 -> RY_A_0001" in circle.message
    assert len(tables.blocked) == 3000


def test_normalise_key() -> None:
    key = "yuste/20250620/image/raw/a b%20.tif"
    assert normalise_key(key, PROFILE) == key
    for bucket in PROFILE.buckets:
        assert normalise_key(f"s3://{bucket}/{key}", PROFILE) == key
        assert normalise_key(f"https://{bucket}.s3.amazonaws.com/{key}", PROFILE) == key
        assert normalise_key(f"https://{bucket}.s3.us-west-2.amazonaws.com/{key}", PROFILE) == key
    assert normalise_key(f"s3://other/{key}", PROFILE) == f"s3://other/{key}"
