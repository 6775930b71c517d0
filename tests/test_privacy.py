"""The one rule by which findings lose the text of private cells and no other."""

import json
from pathlib import Path
from typing import Any

import pytest
from builder import DATE, Builder
from folder_files import SUMMARY, write_micromanager
from hypothesis import given
from hypothesis import strategies as st

from neuropress.cli.main import main
from neuropress.model.budget import SHOWN_CHARS
from neuropress.model.finding import catalogue, finding
from neuropress.model.privacy import WITHHELD, hide_for, hide_names, hide_private, shorten, withhold_text
from neuropress.model.profile import load_profile
from neuropress.results.nwb.file import read_provenance
from neuropress.results.omezarr.volume import read_provenance as read_volume

PROFILE = load_profile("dendritic-consortium")
TABLE, PRIVATE = next((name, spec.private[0]) for name, spec in PROFILE.tables.items() if spec.private)
SECRET = "what nobody may read"


def made(column: str | None = PRIVATE, table: str | None = TABLE, text: str = SECRET):
    where = {"table": table, "column": column, "value": text, "expected": text, "key": "RY_M_0001", "line": 2}
    return finding("cell.range", f"{column} is {text}", hint=f"write {text}", **where)


def test_a_private_cell_is_told_without_its_text() -> None:
    hidden = hide_for(made(), PROFILE)
    assert SECRET not in repr(hidden)
    assert hidden.message == f"{PRIVATE}: {catalogue()['cell.range']['meaning']} The text is private and not shown."
    assert hidden.hint == catalogue()["cell.range"]["fix"]
    assert (hidden.location.key, hidden.location.line, hidden.location.column) == ("RY_M_0001", 2, PRIVATE)
    assert hidden == hide_private(made(), [PRIVATE]) == withhold_text(made())


@pytest.mark.parametrize(
    ("column", "table"), [("notes", TABLE), (None, TABLE), (PRIVATE, "no such table"), ("x", None)]
)
def test_other_cells_keep_their_text(column: str | None, table: str | None) -> None:
    assert hide_for(made(column, table), PROFILE) == made(column, table)


def test_without_a_column_only_the_meaning_is_told() -> None:
    assert withhold_text(made(None)).message.startswith(catalogue()["cell.range"]["meaning"])


@pytest.mark.parametrize("where", ["message", "hint", "value"])
@pytest.mark.parametrize(("length", "is_cut"), [(SHOWN_CHARS, False), (SHOWN_CHARS + 1, True)])
def test_a_very_long_text_is_cut_and_says_how_long_it_is(where: str, length: int, is_cut: bool) -> None:
    long = "x" * length
    texts = {"message": "m", "hint": "h", "value": "v", where: long}
    found = finding("cell.range", texts["message"], hint=texts["hint"], table=TABLE, value=texts["value"])
    short = shorten(found)
    told = {"message": short.message, "hint": short.hint, "value": short.location.value}
    assert told == texts | ({where: f"{'x' * SHOWN_CHARS}... ({length} characters)"} if is_cut else {})


def test_what_is_short_enough_stays_beside_what_is_not() -> None:
    found = finding("cell.range", "x" * 2 * SHOWN_CHARS, hint="h" * SHOWN_CHARS, value="v" * SHOWN_CHARS)
    short = shorten(found)
    assert (short.hint, short.location.value) == (found.hint, found.location.value)


def test_no_value_stays_no_value() -> None:
    found = finding("cell.range", "x" * 2 * SHOWN_CHARS, table=TABLE)
    assert shorten(found).location.value is None


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ({"UserName": "ada", "ComputerName": "RIG-4", "Frames": 3, "User": {"a": 1}},
         {"UserName": WITHHELD, "ComputerName": WITHHELD, "Frames": 3, "User": {"a": 1}}),
        ("<Document><UserName>Ada B</UserName><Name/></Document>",
         f"<Document><UserName>{WITHHELD}</UserName><Name/></Document>"),
        ('<Experimenter ID="E:0" UserName="ada" Email=\'a@b.c\'/>',
         f"<Experimenter ID=\"E:0\" UserName=\"{WITHHELD}\" Email='{WITHHELD}'/>"),
        ('{"Summary":{"UserName":"ada \u00fc","Z":1}}', f'{{"Summary":{{"UserName":"{WITHHELD}","Z":1}}}}'),
        ('{"a": "{\\"ComputerName\\": \\"RIG-4\\"}"}', f'{{"a": "{{\\"ComputerName\\": \\"{WITHHELD}\\"}}"}}'),
        ("min=1\r\nUserName: ada\r\nmax=2", f"min=1\r\nUserName: {WITHHELD}\r\nmax=2"),
        (["D:\\Ada B\\2025\\run 1.czi", "F:\\Pictures", "C:/Users/ada/x.pro"], ["run 1.czi", "Pictures", "x.pro"]),
        ("<StorageFolder>D:\\Ada\\cells</StorageFolder>", "<StorageFolder>cells</StorageFolder>"),
        ("\\\\server\\share\\ada\\a.tif", "a.tif"),
        ("/home/ada/data/a.abf and /Users/ada/b", f"/home/{WITHHELD}/data/a.abf and /Users/{WITHHELD}/b"),
    ],
)  # fmt: skip
def test_headers_lose_names_of_people_and_machines(stated: Any, kept: Any) -> None:
    assert hide_names(stated) == kept
    assert hide_names(kept) == kept


@pytest.mark.parametrize(
    "text",
    ["https://example.org/a/b", "s3://bucket/key", "UserSettingName=\"S75\"", "ratio 3:1", "time: 10:20", "User.BP 706",
     "<Filter>User.DBP 450</Filter>", "a:b\\c", "IN 0 (pA)", "mW/cm2"],
)  # fmt: skip
def test_other_texts_of_headers_stay(text: str) -> None:
    assert hide_names({"note": [text, 5, None, True, 0.5]}) == {"note": [text, 5, None, True, 0.5]}


@given(st.text(st.sampled_from("aU:\\/\"'<>={}\n serNamhost"), max_size=60))
def test_hiding_twice_is_hiding_once(text: str) -> None:
    once = hide_names(text)
    assert hide_names(once) == once


def test_a_result_names_nobody_who_recorded(tmp_path: Path) -> None:
    summary = {**SUMMARY, "UserName": "ada.example", "ComputerName": "RIG-4711", "Directory": "D:\\AdaE\\2025"}
    build = Builder(tmp_path / "ds")
    build.session()
    key = f"yuste/{DATE}/image/raw/Default/"
    build.movie(b"", (6, 6, 8), file_path_raw=key, frame_rate="8.79120879121")
    write_micromanager(build.raw(key), summary=summary)
    volume = build.sem(build.raw(key))
    for verb in ("convert", "verify"):
        assert main([verb, str(build.root)]) == 0
    session = build.output("RY_S_0001.nwb")
    assert session
    headers = [
        json.dumps(read_provenance(session).headers[key]),
        json.dumps(
            read_volume(session.parents[4] / "lichtman" / DATE / "sem_dataset/ome-zarr/JL_SD_0001.ome.zarr").headers[
                volume
            ]
        ),
    ]
    for text in headers:
        assert f'"ComputerName": "{WITHHELD}"' in text
        assert not any(name in text for name in ("ada.example", "RIG-4711", "AdaE"))
