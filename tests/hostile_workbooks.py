"""Workbooks of a few kilobytes that ask for gigabytes, or are no workbooks."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from table_sources import contents, to_workbook

type Spoil = Callable[[str, bytes], bytes]


def rewrite(path: Path, spoil: Spoil, added: dict[str, bytes] | None = None) -> None:
    """Write the package again, each part through `spoil`."""
    with zipfile.ZipFile(path) as old:
        parts = {name: spoil(name, old.read(name)) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in (parts | (added or {})).items():
            new.writestr(name, data)


def book(root: Path, spoil: Spoil | None = None, added: dict[str, bytes] | None = None) -> Path:
    """The dataset's tables as a workbook, spoilt, in place of the folder."""
    source = to_workbook(contents(root / "tables"), root / "book")
    if spoil:
        rewrite(Path(source.location), spoil, added)
    config = root / "neuropress.toml"
    config.write_text(config.read_text("utf-8") + '\n[tables]\nsource = "book.xlsx"\n', "utf-8")
    return Path(source.location)


def sheet(change: Callable[[bytes], bytes], number: int = 1) -> Callable[[Path], object]:
    def apply(root: Path) -> None:
        book(root, lambda name, data: change(data) if name == f"xl/worksheets/sheet{number}.xml" else data)

    return apply


def part(wanted: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def apply(root: Path) -> None:
        book(root, lambda name, data: change(data) if name == wanted else data)

    return apply


def more(name: str, data: bytes) -> Callable[[Path], object]:
    def apply(root: Path) -> None:
        book(root, lambda _, old: old, {name: data})

    return apply


def into(data: bytes, xml: bytes) -> bytes:
    """Further rows at the end of a sheet."""
    return data.replace(b"</sheetData>", xml + b"</sheetData>")


def cell(place: str, text: str = "x") -> bytes:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'.encode()


def not_zip(root: Path) -> None:
    book(root).write_bytes(b"PK\x03\x04 no zip")


def stored_bomb(root: Path) -> None:
    """A part of 3 GB of spaces, in a file of 3 MB."""
    path = book(root)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/media/x.xml", "w", force_zip64=True) as file,
    ):
        for _ in range(600):
            file.write(b" " * (1 << 20))


ENTITIES = b"".join(
    f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 1000}">'.encode() for n in range(9)
)  # fmt: skip

WORKBOOKS: dict[str, Callable[[Path], object]] = {
    "row 900 million": sheet(lambda d: into(d, b'<row r="900000000">' + cell("A900000000") + b"</row>")),
    "row 10 to the 30": sheet(lambda d: into(d, b'<row r="' + b"9" * 30 + b'">' + cell("A3") + b"</row>")),
    "row minus one": sheet(lambda d: into(d, b'<row r="-1">' + cell("A3") + b"</row>")),
    "60,000 merged cells": sheet(
        lambda d: d.replace(
            b"</sheetData>",
            b"</sheetData><mergeCells>" + b"".join(b'<mergeCell ref="A%d:B%d"/>' % (n, n) for n in range(1, 60_001)) + b"</mergeCells>",
        )
    ),
    "cells in column XFD": sheet(lambda d: into(d, b"".join(b'<row r="%d">' % n + cell(f"XFD{n}") + b"</row>" for n in range(9, 3000)))),
    "cells in column ZZZZ": sheet(lambda d: into(d, b'<row r="9">' + cell("ZZZZ9") + b"</row>")),
    "a million empty rows": sheet(lambda d: into(d, b"".join(b'<row r="%d"/>' % n for n in range(9, 1_000_009)))),
    "three million rows without numbers": sheet(lambda d: into(d, b"<row/>" * 3_000_000)),
    "wrong dimension": sheet(lambda d: re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:XFD1048576"', d)),
    "dimension of junk": sheet(lambda d: re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="junk"', d)),
    "open element": sheet(lambda d: into(d, b"<row>")),
    "10,000 levels": sheet(lambda d: into(d, b"<x>" * 10_000 + b"</x>" * 10_000)),
    "number of 5,000 digits": sheet(lambda d: into(d, b'<row r="9"><c r="A9"><v>' + b"9" * 5000 + b"</v></c></row>")),
    "number 1e999999999": sheet(lambda d: into(d, b'<row r="9"><c r="A9"><v>1e999999999</v></c></row>')),
    "date of year 300,000": sheet(lambda d: into(d, b'<row r="9"><c r="A9" s="1"><v>99999999999</v></c></row>')),
    "text that is not there": sheet(lambda d: into(d, b'<row r="9"><c r="A9" t="s"><v>99999999</v></c></row>')),
    "entities": more("xl/sharedStrings.xml", b"<!DOCTYPE x [" + ENTITIES + b"]><sst><si><t>&e8;</t></si></sst>"),
    "outside entity": part(
        "xl/workbook.xml", lambda d: b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + d.split(b"?>")[-1]
    ),
    "two million shared texts": more("xl/sharedStrings.xml", b"<sst>" + b"<si><t>a</t></si>" * 2_100_000 + b"</sst>"),
    "two million shared texts under another name": more("xl/x.bin", b"<sst>" + b"<si><t>a</t></si>" * 2_100_000 + b"</sst>"),
    "a million styles": part(
        "xl/styles.xml", lambda d: d.replace(b"</cellXfs>", b'<xf numFmtId="0" fontId="0" fillId="0" borderId="0"/>' * 1_000_000 + b"</cellXfs>")
    ),
    "no zip": not_zip,
    "unpacks to 600 MB": stored_bomb,
    "link to another workbook": more(
        "xl/externalLinks/externalLink1.xml",
        b'<externalLink xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>',
    ),
}  # fmt: skip
