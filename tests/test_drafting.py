"""Attribute lists become a profile that works once a person has decided what they leave open."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from clean_tables import PROFILE
from hypothesis import given
from hypothesis import strategies as st

import neuropress
from neuropress.cli.main import main
from neuropress.model.finding import Problem
from neuropress.model.profile import load_profile
from neuropress.tables import check_schemas
from neuropress.tables.schema import compile_table_schema
from neuropress.verbs.drafting import DraftReport, draft_profile

PUBLISHED = Path(os.environ.get("NEUROPRESS_CORPUS", Path(__file__).parents[2] / "shared/corpus")).parent
PUBLISHED /= "dendritic-consortium"


def lists(folder: Path, **tables: list[tuple[str, str, str]]) -> Path:
    folder.mkdir(exist_ok=True)
    for table, columns in tables.items():
        attributes = [{"attribute": n, "type": t, "description": d} for n, t, d in columns]
        (folder / f"{table}.json").write_text(json.dumps({table: {"attributes": attributes}}), encoding="utf-8")
    return folder


FISH = [
    ("fish_id", "ID", "Unique fish"),
    ("tank_id", "ID", "Tank (if any)"),
    ("sex", "str", "Sex (M or F)"),
    ("length", "float", "Body length in millimeters (mm)"),
    ("depth", "float", "Swimming depth"),
    ("stage", "stage", "Larva or adult"),
    ("file_path_raw", "str", "S3 path to file or stack"),
    ("file_path_local", "str", "Local path"),
    ("notes", "str", "Additional comments"),
]
MARKDOWN = """\
- **Zoe Zebra (ZZ)**: fish, tank.

### `fish` Table

A fish. Object-specific prefix for IDs: **F**

| **Attribute** | **Type** | **Description** |
|---|---|---|
| `fish_id (PK)` | ID | Unique fish |
| `tank_id (FK)` | ID | Tank it lives in |

### `tank` Table

A tank. Prefix: **T**

| `tank_id (PK)` | ID | Unique tank |
"""


def drafted(tmp_path: Path) -> tuple[Path, DraftReport]:
    folder = lists(tmp_path / "lists", fish=FISH, tank=[("tank_id", "ID", "Unique tank")])
    (folder / "all.md").write_text(MARKDOWN, encoding="utf-8")
    return tmp_path / "own", draft_profile(folder, tmp_path / "own", "fishes")


def schema(folder: Path, table: str) -> dict[str, Any]:
    return dict(json.loads((folder / f"schemas/{table}.schema.json").read_text("utf-8"))["properties"])


def test_what_the_lists_state_is_taken_over_and_guesses_are_marked(tmp_path: Path) -> None:
    folder, _ = drafted(tmp_path)
    fish = schema(folder, "fish")
    assert list(fish) == [name for name, _, _ in FISH]
    assert fish["fish_id"] == {"description": "Unique fish", "type": "string"}
    assert fish["sex"]["enum"] == ["M", "F", None]
    assert fish["sex"]["$comment"].startswith("Guessed: ")
    assert fish["length"]["oneOf"][0] == {"type": "number"}
    assert "'stage' is taken for text" in fish["stage"]["$comment"]


def test_what_is_open_is_listed_and_ranked(tmp_path: Path) -> None:
    folder, made = drafted(tmp_path)
    open_questions = {(d.when, d.place): d.question for d in made.decisions}
    assert [d.when for d in made.decisions] == sorted(d.when for d in made.decisions)
    assert "Time zones" in open_questions[0, "labs.ZZ"]
    assert "'stage' is not known" in open_questions[0, "fish.stage"]
    assert "unit is not stated" in open_questions[1, "fish.depth"]
    assert "unit" not in open_questions[1, "fish.length"]
    assert "Two lists differ" in open_questions[1, "fish.tank_id"]
    assert "one file, or a folder" in open_questions[2, "fish.file_path_raw"]
    assert "private" in open_questions[2, "fish.file_path_local"]
    page = (folder / "decisions.md").read_text("utf-8")
    assert all(d.place in page for d in made.decisions)


def test_the_profile_works_once_the_decisions_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = drafted(tmp_path)
    assert main(["init", str(folder), "--profile", "fishes"]) == 2
    assert "labs.ZZ: '' is no time zone" in capsys.readouterr().err
    text = (folder / "fishes.toml").read_text("utf-8").replace('timezone = ""', 'timezone = "America/Denver"')
    (folder / "fishes.toml").write_text(text, encoding="utf-8")
    assert main(["init", str(folder), "--profile", "fishes"]) == 0
    (folder / "tables/tank.csv").write_text("tank_id\nZZ_T_0001\n", encoding="utf-8")
    header = ",".join(name for name, _, _ in FISH)
    rows = ["ZZ_F_0001,ZZ_T_0001,M,4.5,1,larva,,/secret,", "ZZ_F_0002,ZZ_T_0002,X,four,1,larva,,,"]
    (folder / "tables/fish.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    findings = [(f.id, f.location.key, f.location.column) for f in neuropress.open(folder).check().findings]
    assert findings == [
        ("cell.choice", "ZZ_F_0002", "sex"),
        ("cell.type", "ZZ_F_0002", "length"),
        ("link.dangling", "ZZ_F_0002", "tank_id"),
        ("release.license", None, None),
    ]


def test_the_same_lists_give_the_same_bytes_and_nothing_is_overwritten(tmp_path: Path) -> None:
    folder, made = drafted(tmp_path)
    again = draft_profile(tmp_path / "lists", tmp_path / "again", "fishes")
    assert [p.read_bytes() for p in made.files] == [p.read_bytes() for p in again.files]
    (folder / "fishes.toml").unlink()
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(Problem) as caught:
        draft_profile(tmp_path / "lists", folder, "fishes")
    assert caught.value.finding.id == "schema.exists"
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


HOSTILE = {
    "truncated": ('{"fish": {"attrib', "not JSON"),
    "a list": ("[]", "names of tables"),
    "empty": ("{}", "names of tables"),
    "no attributes": ('{"fish": {}}', "no list of attributes"),
    "attributes of another kind": ('{"fish": {"attributes": [3]}}', "is not attribute, type and description"),
    "a type that is a number": (
        '{"fish": {"attributes": [{"attribute": "a", "type": 3, "description": ""}]}}', "is not attribute"
    ),
    "an attribute twice": (json.dumps({"fish": {"attributes": [{"attribute": "a", "type": "str", "description": ""}] * 2}}), "twice"),
    "a way out": ('{"../fish": {"attributes": [{"attribute": "a", "type": "str", "description": ""}]}}', "cannot be the name"),
    "a column with a space": ('{"fish": {"attributes": [{"attribute": "a b", "type": "str", "description": ""}]}}', "cannot be the name"),
    "deep": ("[" * 100_000, "not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_lists_that_cannot_be_read_are_told_and_nothing_is_written(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, problem = HOSTILE[case]
    folder = lists(tmp_path / "lists", tank=[("tank_id", "ID", "")])
    (folder / "zfish.json").write_text(text, encoding="utf-8")
    assert main(["schema", "import", str(folder), "--to", str(tmp_path / "own")]) == 1
    output = capsys.readouterr().out
    assert "schema.input" in output
    assert problem in output
    assert "zfish.json" in output
    assert not (tmp_path / "own").exists()


@given(data=st.binary(max_size=300), suffix=st.sampled_from([".json", ".md"]))
def test_any_bytes_are_drafted_or_told(data: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / f"a{suffix}").write_bytes(data)
    with pytest.raises(Problem):
        draft_profile(folder, folder / "own", "own")
    assert not (folder / "own").exists()


def test_no_list_and_no_folder_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "import", str(tmp_path)]) == 1
    assert "holds no attribute list" in capsys.readouterr().out
    assert main(["schema", "import", str(tmp_path / "none")]) == 1
    assert "there is no folder" in capsys.readouterr().out
    assert main(["schema", "import", str(tmp_path), "--name", "../x"]) == 1
    assert "cannot be the name of a profile" in capsys.readouterr().out


@pytest.mark.corpus
@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="no corpus: the published lists lie beside it")
def test_the_published_lists_give_the_shipped_tables(tmp_path: Path) -> None:
    """docs/schema-import.md states these figures."""
    made = draft_profile(PUBLISHED, tmp_path / "own", "own")
    assert [sum(d.when == when for d in made.decisions) for when in range(3)] == [2, 13, 32]
    path = tmp_path / "own/own.toml"
    path.write_text(path.read_text("utf-8").replace('timezone = ""', 'timezone = "UTC"'), encoding="utf-8")
    profile = load_profile("own", tmp_path / "own")
    check_schemas(profile)
    shipped = {name: spec for name, spec in PROFILE.tables.items() if not spec.optional_table}
    assert set(profile.tables) == set(shipped)
    places = {d.place for d in made.decisions}
    kinds = 0
    for name, spec in shipped.items():
        own = profile.tables[name]
        assert (own.columns, own.key, own.prefix) == (spec.columns, spec.key, spec.prefix)
        assert (set(own.labs), own.private, set(own.paths)) == (set(spec.labs), spec.private, set(spec.paths))
        for column in spec.columns:
            mine, hand = (
                compile_table_schema(name, own.schema).columns[column],
                compile_table_schema(name).columns[column],
            )
            kinds += mine.kind == hand.kind
            assert mine.kind == hand.kind or f"{name}.{column}" in places
            links = (own.foreign.get(column), spec.foreign.get(column))
            assert links[0] == links[1] or f"{name}.{column}" in places
    assert kinds == 115
