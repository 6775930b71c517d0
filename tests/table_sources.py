"""The same tables written for every kind of source."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import openpyxl

from neuropress.tables import TableSource

type Rows = dict[str, list[list[str]]]


def contents(folder: Path) -> Rows:
    found = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found[path.stem] = list(csv.reader(file))
    return found


def to_tsv(rows: Rows, place: Path) -> TableSource:
    place.mkdir()
    for table, lines in rows.items():
        with (place / f"{table}.tsv").open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, delimiter="\t", lineterminator="\r\n").writerows(lines)
    return TableSource(str(place))


def to_latin(rows: Rows, place: Path) -> TableSource:
    place.mkdir()
    for table, lines in rows.items():
        with (place / f"{table}.csv").open("w", encoding="latin-1", newline="") as file:
            csv.writer(file, delimiter="|").writerows(lines)
    return TableSource(str(place), encoding="latin-1", delimiter="|")


def to_jsonl(rows: Rows, place: Path) -> TableSource:
    place.mkdir()
    for table, (header, *lines) in rows.items():
        objects = [{c: (v or None) for c, v in zip(header, line, strict=True)} for line in lines]
        text = "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects)
        # numbers and truths as a database would write them
        text = text.replace('"24.50"', "24.50").replace('"TRUE"', "true").replace('"FALSE"', "false")
        (place / f"{table}.jsonl").write_text(text, encoding="utf-8", newline="")
    return TableSource(str(place))


def to_sqlite(rows: Rows, place: Path) -> TableSource:
    connection = sqlite3.connect(place)
    for table, (header, *lines) in rows.items():
        connection.execute(f"CREATE TABLE {table} ({', '.join(f'{c} TEXT' for c in header)})")
        marks = ",".join("?" * len(header))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", [[v or None for v in line] for line in lines])
    connection.commit()
    connection.close()
    return TableSource(str(place))


def to_workbook(rows: Rows, place: Path) -> TableSource:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for table, lines in rows.items():
        sheet = book.create_sheet(table)
        for line in lines:
            sheet.append([v or None for v in line])
    book.save(place.with_suffix(".xlsx"))
    return TableSource(str(place.with_suffix(".xlsx")))
