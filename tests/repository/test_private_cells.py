"""The text of a private cell is in nothing that neuropress prints or writes, however the tables are damaged."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from campaigns import campaign
from clean_tables import write_clean
from table_sources import Rows, contents, to_jsonl, to_sqlite, to_workbook

from neuropress.api import Dataset
from neuropress.cli.main import main

TABLES = ("sem_dataset", "micro_ct_dataset", "cell_detection_dataset")
COLUMN = "file_path_local"
WRAPS = (
    "/data/{}",
    "{}",
    "\0{}",
    " {}",
    "{}\x07",
    '{}"x',
    "{}\nx",
    "=cmd|{}",
    "\\\\server\\{}",
    "é{}",
    "{}@lab.edu",
    "C:\\{}",
)
VERBS = (
    ("check", "{}"),
    ("check", "{}", "--json"),
    ("check", "{}", "--tables-only", "--format", "junit"),
    ("check", "{}", "--tables-only", "--format", "github"),
    ("check", "{}", "--tables-only", "--format", "jsonl"),
    ("check", "{}", "--letter", "JL"),
    ("check", "{}", "--letter", "-", "--html"),
    ("check", "{}", "--propose", "{}/fixes.csv"),
    ("plan", "{}", "--json"),
    ("convert", "{}", "--keep-going"),
    ("status", "{}"),
    ("coverage", "{}"),
    ("explain", "{}", "--cell", "sem_dataset.JL_SD_0001.file_path_local"),
    ("export-tables", "{}", "--to", "{}/out"),
)  # fmt: skip
type Damage = Callable[[list[str], random.Random], None]


def drop_delimiter(lines: list[str], random_: random.Random) -> None:
    """A row has a cell less or more."""
    lines[1] = lines[1].replace(",", random_.choice(["", ",,"]), 1)


def stray_quote(lines: list[str], random_: random.Random) -> None:
    place = random_.randrange(1, len(lines))
    cells = lines[place].split(",")
    cells[random_.randrange(len(cells))] += '"'
    cells[random_.randrange(len(cells))] = '"' + cells[0]
    lines[place] = ",".join(cells)


def quote_over_rows(lines: list[str], random_: random.Random) -> None:
    """A quote begins a cell of a row, and ends in the same column of a later one."""
    doubled = [*lines, lines[1].replace("_0001", "_0002", 1), lines[1].replace("_0001", "_0003", 1)]
    column = random_.randrange(1, lines[0].count(",") + 1)
    for place, quoted in ((1, '"{}'), (len(doubled) - 1, '{}"')):
        cells = doubled[place].split(",")
        if len(cells) > column:
            cells[column] = quoted.format(cells[column].replace('"', ""))
            doubled[place] = ",".join(cells)
    lines[:] = doubled


def misspell_header(lines: list[str], random_: random.Random) -> None:
    lines[0] = lines[0].replace(COLUMN, random_.choice(["file_path_locl", "x", "", "notes", COLUMN.upper()]))


def no_header(lines: list[str], random_: random.Random) -> None:
    del lines[0]


def joined_with_header(lines: list[str], random_: random.Random) -> None:
    lines[:2] = [lines[0] + random_.choice(["", ","]) + lines[1]]


def joined_rows(lines: list[str], random_: random.Random) -> None:
    lines.append(lines[1] + random_.choice(["", ",", "\r"]) + lines[1])


def other_delimiter(lines: list[str], random_: random.Random) -> None:
    place = random_.randrange(len(lines))
    lines[place] = lines[place].replace(",", ";")


def spoil_key(lines: list[str], random_: random.Random) -> None:
    lines[1] = random_.choice(["", "x", "JL-SD-1", "JL_SD_0000"]) + lines[1][lines[1].index(",") :]


def double_row(lines: list[str], random_: random.Random) -> None:
    lines.append(lines[1])


def nothing(lines: list[str], random_: random.Random) -> None:
    """The private cell alone is wrong, or nothing is."""


DAMAGES: tuple[Damage, ...] = (
    nothing, drop_delimiter, stray_quote, quote_over_rows, misspell_header, no_header, joined_with_header, joined_rows,
    other_delimiter, spoil_key, double_row,
)  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "latin-1", "utf-16")


def plant(root: Path, token: str, random_: random.Random) -> None:
    """A clean dataset whose private cells hold a token in all sorts of wrappings, its rows damaged."""
    Dataset.init(root, "dendritic-consortium")
    texts = {table: random_.choice(WRAPS).format(token) for table in TABLES}
    write_clean(root / "tables", {f"{table}.{COLUMN}": text for table, text in texts.items()})
    for table in TABLES:
        path = root / f"tables/{table}.csv"
        lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
        random_.choice(DAMAGES)(lines, random_)
        data = "\n".join([*lines, ""]).encode(random_.choice(ENCODINGS), "replace")
        path.write_bytes(data if random_.random() < 0.8 else data.replace(b"\n", b"\r\n"))


def leaks(root: Path, token: str, printed: str) -> list[str]:
    written = [p for folder in ("output", ".neuropress", "out") for p in (root / folder).rglob("*") if p.is_file()]
    written += [p for p in (root / "fixes.csv", root / "facts.jsonl") if p.is_file()]
    return [str(p) for p in written if token.encode() in p.read_bytes()] + (["printed"] if token in printed else [])


@pytest.mark.parametrize("seed", range(campaign(15)))
def test_no_private_text_leaves(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, token = tmp_path / "ds", f"Tok{seed:04d}en"
    plant(root, token, random.Random(seed))
    for verb in VERBS:
        assert main([argument.format(root) for argument in verb]) in (0, 1, 2), verb
        printed = capsys.readouterr()
        assert leaks(root, token, printed.out + printed.err) == [], verb


@pytest.mark.parametrize("make", [to_jsonl, to_sqlite, to_workbook])
@pytest.mark.parametrize("text", ["=Tok0en()", "\x01Tok0en", " Tok0en", "Tok0en\ud83d\ude00"])
def test_no_private_text_leaves_from_other_sources(
    make: Callable[[Rows, Path], object], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ds"
    Dataset.init(root, "dendritic-consortium")
    clean = text.encode("utf-16", "surrogatepass").decode("utf-16")
    if make is to_workbook and "\x01" in clean:
        clean = " Tok0en"
    write_clean(root / "tables", {f"{table}.{COLUMN}": clean for table in TABLES})
    make(contents(root / "tables"), root / "other")
    name = "other.xlsx" if make is to_workbook else "other"
    (root / "neuropress.toml").write_text(f'profile = "dendritic-consortium"\n[tables]\nsource = "{name}"\n', "utf-8")
    for verb in VERBS:
        assert main([argument.format(root) for argument in verb]) in (0, 1), verb
        printed = capsys.readouterr()
        assert leaks(root, "Tok0en", printed.out + printed.err) == [], verb


@pytest.mark.parametrize(
    "line",
    ['{"file_path_local": ["Tok0en"]}', '{"Tok0en": 1, "Tok0en": 2}', '{"Tok0en": 1}', '{"x": Tok0en}', '"Tok0en"'],
)
def test_a_bad_json_line_does_not_tell_private_text(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ds"
    Dataset.init(root, "dendritic-consortium")
    (root / "tables/sem_dataset.csv").unlink()
    (root / "tables/sem_dataset.jsonl").write_text(line + "\n", "utf-8")
    for verb in VERBS:
        main([argument.format(root) for argument in verb])
        printed = capsys.readouterr()
        assert leaks(root, "Tok0en", printed.out + printed.err) == [], verb


@pytest.mark.parametrize(
    ("profile", "mapping", "reason"),
    [
        ("", 'from = "sem_dataset.file_path_local"', "file_path_local is private"),
        ('[tables.sem_dataset]\nprivate = ["file_path_raw"]\n', "", "cannot be private"),
    ],
)
def test_no_rule_takes_a_private_cell_to_a_result(
    profile: str, mapping: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ds"
    Dataset.init(root, "dendritic-consortium")
    (root / "neuropress.toml").write_text('profile = "own"\n', "utf-8")
    head = 'name = "own"\nversion = "1"\nextends = "dendritic-consortium"\n'
    (root / "own.toml").write_text(head + profile, "utf-8")
    if mapping:
        (root / "mappings").mkdir()
        text = 'revision = 1\ntable = ["sem_dataset"]\n[[rule]]\nto = "image.name"\nfrom = "file_path_local"\n'
        (root / "mappings/volume.toml").write_text(text, "utf-8")
    assert main(["check", str(root)]) == 2
    assert reason in capsys.readouterr().err


def test_a_key_cannot_be_private(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "ds"
    Dataset.init(root, "dendritic-consortium")
    (root / "neuropress.toml").write_text('profile = "own"\n', "utf-8")
    head = 'name = "own"\nversion = "1"\nextends = "dendritic-consortium"\n'
    (root / "own.toml").write_text(head + '[tables.mouse]\nprivate = ["virus_id"]\n', "utf-8")
    assert main(["check", str(root)]) == 2
    assert "cannot be private" in capsys.readouterr().err


def test_a_check_that_looks_at_a_private_cell_does_not_tell_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "ds"
    Dataset.init(root, "dendritic-consortium")
    write_clean(root / "tables", {"mouse.birth_date": "20250630"})
    (root / "neuropress.toml").write_text('profile = "own"\n', "utf-8")
    head = 'name = "own"\nversion = "1"\nextends = "dendritic-consortium"\n'
    (root / "own.toml").write_text(head + '[tables.mouse]\nprivate = ["birth_date"]\n', "utf-8")
    assert main(["check", str(root), "--tables-only"]) in (1, 2)
    printed = capsys.readouterr()
    assert "20250630" not in printed.out + printed.err
