"""Tables as they stand: encodings, delimiters, quotes, line numbers, headers."""

from pathlib import Path

import pytest
from clean_tables import PROFILE, write_clean
from hypothesis import given
from hypothesis import strategies as st

from neuropress.checks import check_tables
from neuropress.model.finding import Severity
from neuropress.tables import load_tables, read_tables, validate, write_headers
from neuropress.tables.delimited import read_csv

VIRUS = PROFILE.tables["virus"]
HEADER = ",".join(VIRUS.columns)
ROW = "RY_V_0001,AAV1-syn,,AAV1,TRUE,,"


def virus(folder: Path, data: bytes | str) -> Path:
    path = folder / "virus.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return path


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(rows=st.lists(st.lists(text, min_size=7, max_size=7), max_size=6), end=st.sampled_from(["\n", "\r\n"]),
       has_bom=st.booleans(), delimiter=st.sampled_from(",;\t"))  # fmt: skip
def test_any_text_is_read_verbatim(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], end: str, has_bom: bool, delimiter: str
) -> None:
    lines = [VIRUS.columns, *rows]
    quoted = end.join(delimiter.join('"' + c.replace('"', '""') + '"' for c in line) for line in lines) + end
    path = virus(tmp_path_factory.mktemp("t"), ("\ufeff" if has_bom else "") + quoted)
    table = read_csv(path, VIRUS)
    assert table.findings == ()
    assert table.columns == VIRUS.columns
    assert [list(row.cells) for row in table.rows] == [row for row in rows if any(row)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_the_file(tmp_path: Path, end: str) -> None:
    note = f'"two{end}lines"'
    data = end.join([HEADER, "RY_V_0001,a,,AAV1,TRUE,," + note, "", ",,,,,,", "RY_V_0002,b,,AAV1,TRUE,,", ""])
    table = read_csv(virus(tmp_path, data), VIRUS)
    assert [row.line for row in table.rows] == [2, 6]
    assert table.rows[0].cells[-1] == f"two{end}lines"


def test_columns_may_stand_in_any_order_and_extra_ones_be_known(tmp_path: Path) -> None:
    spec = PROFILE.tables["image"]
    write_clean(tmp_path, {"image.region": "VISp5"})
    lines = (tmp_path / "image.csv").read_text("utf-8").splitlines()
    assert lines[0].endswith(",region")
    (tmp_path / "image.csv").write_text(
        "\n".join(",".join(reversed(line.split(","))) for line in lines) + "\n", "utf-8", newline=""
    )
    tables = load_tables(tmp_path, PROFILE)
    assert tables.findings == ()
    record = tables.records["image"]["RY_IMG_0001"]
    assert list(record.cells) == [*spec.columns, "region"]
    assert record.values["region"] == "VISp5"


STRUCTURE = {
    "latin-1": (HEADER.encode() + b"\n" + b"RY_V_0001,\xb5m,,AAV1,TRUE,,\n", "table.encoding", 2, "offset 69, line 2"),
    "utf-16": ((HEADER + "\n" + ROW).encode("utf-16"), "table.encoding", 1, "UTF-16"),
    "empty": (b"", "table.header", 1, "is empty"),
    "no header": ((ROW + "\n").encode(), "table.header", 1, "RY_V_0001"),
    "another delimiter": (HEADER.replace(",", "#").encode(), "table.header", 1, "names no column"),
    "open quote": ((HEADER + "\n" + 'RY_V_0001,"a,,AAV1,TRUE,,\n').encode(), "table.quotes", 2, "quotes"),
    "text after quote": ((HEADER + "\n" + 'RY_V_0001,"a"b,,AAV1,TRUE,,\n').encode(), "table.quotes", 2, "quotes"),
    "misspelt": ((HEADER.replace("titer", "tietr") + "\n" + ROW).encode(), "table.column_unknown", 1, "'tietr'"),
    "upper case": ((HEADER.replace("titer", "Titer") + "\n" + ROW).encode(), "table.column_unknown", 1, "'Titer'"),
    "renamed": ((HEADER.replace("titer", "dose") + "\n" + ROW).encode(), "table.column_unknown", 1, "'dose'"),
    "extra": ((HEADER + ",lot\n" + ROW + ",\n").encode(), "table.column_unknown", 1, "'lot'"),
    "nameless": ((HEADER + ",\n" + ROW + ",\n").encode(), "table.column_unknown", 1, "''"),
    "missing": ((HEADER.replace(",titer", "") + "\n" + ROW[:-1]).encode(), "table.column_missing", 1, "titer"),
    "double": ((HEADER + ",titer\n" + ROW + ",\n").encode(), "table.column_duplicate", 1, "2 times"),
    "short row": ((HEADER + "\n" + ROW[:-1]).encode(), "table.row_ragged", 2, "6 cells, the header 7"),
    "long row": ((HEADER + "\n" + ROW + "a,b").encode(), "table.row_ragged", 2, "8 cells, the header 7"),
}


@pytest.mark.parametrize("case", STRUCTURE)
def test_structure(tmp_path: Path, case: str) -> None:
    data, identifier, line, words = STRUCTURE[case]
    write_clean(tmp_path, {"mouse.virus_id": "RY_V_0001"})
    virus(tmp_path, data)
    tables = check_tables(tmp_path, PROFILE)
    assert [f.id for f in tables.findings] == [identifier]
    broken = tables.findings[0]
    assert broken.location.table == "virus"
    assert broken.location.line == line
    assert words in broken.message
    assert broken.hint
    if broken.severity is Severity.WARNING:  # a column too many withholds nothing
        assert not tables.blocked
        return
    # What points to the table is withheld by the true cause; another lab's mouse is not.
    assert tables.blocked["session", "RY_S_0001"] == broken
    assert ("session", "JB_S_0001") not in tables.blocked


def test_a_missing_table_matters_when_rows_point_to_it(tmp_path: Path) -> None:
    write_clean(tmp_path)
    (tmp_path / "model.csv").unlink()
    (absent,) = load_tables(tmp_path, PROFILE).findings
    assert (absent.id, absent.severity, absent.location.file) == ("table.absent", "warning", "model.csv")
    (tmp_path / "mouse.csv").unlink()
    tables = load_tables(tmp_path, PROFILE)
    assert sorted(f.id for f in tables.findings) == ["table.absent", "table.missing"]
    missing = next(f for f in tables.findings if f.id == "table.missing")
    assert "session RY_S_0001 points to RY_M_0001" in missing.message
    assert {("session", "RY_S_0001"), ("session", "JB_S_0001"), ("analysis", "RY_A_0001")} <= set(tables.blocked)
    assert ("plasmid", "ML_P_0001") not in tables.blocked


def test_new_tables_are_empty_and_good(tmp_path: Path) -> None:
    written = write_headers(tmp_path, PROFILE)
    assert len(written) == 12
    assert (tmp_path / "virus.csv").read_bytes() == HEADER.encode() + b"\n"
    assert load_tables(tmp_path, PROFILE).findings == ()
    (tmp_path / "virus.csv").write_text(HEADER + "\n" + ROW, "utf-8")
    assert write_headers(tmp_path, PROFILE) == []
    assert len(read_tables(tmp_path, PROFILE)["virus"][0].rows) == 1


@pytest.mark.parametrize("table", PROFILE.tables)
@pytest.mark.parametrize("fault", ["missing", "short"])
def test_a_table_of_any_kind_may_be_broken(tmp_path: Path, table: str, fault: str) -> None:
    """No rule trips over a table without its last named columns, or with half a row."""
    path = write_clean(tmp_path) / f"{table}.csv"
    lines = path.read_text("utf-8").splitlines()
    header = lines[0].split(",")
    if fault == "missing":
        keep = [PROFILE.tables[table].key, "notes"]
        path.write_text("\n".join([",".join(keep), "RY_M_0001,x"]) + "\n", "utf-8")
    else:
        path.write_text("\n".join([lines[0], ",".join(lines[1].split(",")[: len(header) // 2])]) + "\n", "utf-8")
    tables = check_tables(tmp_path, PROFILE)
    assert {f.location.table for f in tables.findings if f.id.startswith("table.")} == {table}


@given(cells=st.dictionaries(
    st.sampled_from([f"{t}.{c}" for t, spec in PROFILE.tables.items() for c in spec.columns]),
    st.text(max_size=12) | st.sampled_from(["RY_M_0001", "20250620", "0.375", "TRUE", "-1", "9:30"]), max_size=6,
))  # fmt: skip
def test_rows_that_are_taken_at_once_are_those_that_judging_takes(
    tmp_path_factory: pytest.TempPathFactory, cells: dict[str, str]
) -> None:
    folder = write_clean(tmp_path_factory.mktemp("t"), cells)
    for raw in read_tables(folder, PROFILE).values():
        quick = validate.parse_table(raw, PROFILE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(validate._TableLayout, "has_conflict", lambda columns, values: True)
            judged = validate.parse_table(raw, PROFILE)
        assert (quick.rows, quick.error_columns, quick.findings) == (judged.rows, judged.error_columns, judged.findings)
        assert quick.unkeyed == judged.unkeyed


@given(data=st.binary(max_size=200), table=st.sampled_from(sorted(PROFILE.tables)), header=st.booleans())
def test_any_bytes_end_in_findings(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, table: str, header: bool
) -> None:
    folder = write_clean(tmp_path_factory.mktemp("t"))
    start = ",".join(PROFILE.tables[table].columns).encode() + b"\n" if header else b""
    (folder / f"{table}.csv").write_bytes(start + data)
    check_tables(folder, PROFILE)
