"""All files of the corpus as one dataset, and what ``publish --dandi --dry-run`` says of it: ``dandiset.py FOLDER``.

Each recording, movie and table of behaviour is a session of one animal; images and stacks are volumes of electron
microscopy, whatever they are, with a resolution that nobody stated: names and metadata are looked at here, and no pixel.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import corpus_folder
from results import FRAME_RATES, NWB, Task, list_tasks

from neuropress.cli.main import main
from neuropress.config import load_config
from neuropress.model.content import Content, Recording
from neuropress.model.source import Source
from neuropress.planning.facts import read_header_cells
from neuropress.readers import raw
from neuropress.storage.roots import Folder

DATE = "20250620"
SETTINGS = """profile = "generic"
[dataset]
title = "Corpus"
license = "CC-BY-4.0"
[labs.AB]
name = "Example"
institution = "Example University"
timezone = "Europe/Berlin"
species = "Mus musculus"
[[people]]
name = "Example, Ada"
typed = ["Ada Example"]
"""
ANIMAL = {"subject_id": "AB_SUB_0001", "species": "Mus musculus", "sex": "F", "age": "P90D"}
PREFIXES = {"ephys": "E", "image": "IMG", "behavior": "B", "sem_dataset": "SD"}
STATED = {
    "ephys": {"recording_type": "somatic patch"},
    "image": {"image_type": "calcium"},
    "behavior": {"metric_type": "position"},
}
VOLUME = "sem_dataset"


def make_dataset(tasks: Sequence[Task], folder: Path) -> Path:
    """A dataset with a session or a volume for each file."""
    folder.mkdir()
    (folder / "tables").mkdir()
    (folder / "neuropress.toml").write_text(SETTINGS, "utf-8")
    settings, profile = SETTINGS, load_config(folder).profile
    rows: dict[str, list[dict[str, str]]] = {"subject": [ANIMAL]}
    for number, task in enumerate(tasks, 1):
        contents = read_contents(task.raw, task.options)
        table = choose_table(task, contents)
        session = make_session(f"AB_S_{number:04}", contents)
        day = DATE if table == VOLUME else session["session_date"]
        key = f"ab/{day}/{table}/raw/{number:03}/{task.raw.name}" + "/" * task.raw.is_dir()
        put(task.raw, folder / "source" / key)
        if task.options:
            settings += f'[options."{key}"]\n' + "".join(f"{n} = {json.dumps(v)}\n" for n, v in task.options.items())
        cells = read_header_cells(table, contents, profile)
        row = {**cells, profile.tables[table].key: f"AB_{PREFIXES[table]}_{number:04}", "file_path_raw": key}
        if table == VOLUME:
            row |= {"subject_id": "AB_SUB_0001", "resolution": "4", "start_date": DATE}
        else:
            stated = {name.partition(".")[2]: text for name, text in task.cells.items()}
            row |= {"session_id": session["session_id"], **STATED[table], **stated}
            rows.setdefault("session", []).append(session)
        rows.setdefault(table, []).append(row)
    (folder / "neuropress.toml").write_text(settings, "utf-8")
    for table, lines in rows.items():
        with (folder / "tables" / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, profile.tables[table].columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(lines)
    return folder


def read_contents(path: Path, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Headers of a file."""
    contents = raw.read(Source(path.name + "/" * path.is_dir(), Folder(path.parent)), options)
    for content in contents:
        content.close()
    return contents


def choose_table(task: Task, contents: Sequence[Content]) -> str:
    """Where such a file has its row."""
    if not task.name.endswith(NWB):
        return VOLUME
    if isinstance(contents[0], Recording):
        return "ephys"
    return "image" if str(task.raw).endswith(tuple(FRAME_RATES)) else "behavior"


def make_session(key: str, contents: Sequence[Content]) -> dict[str, str]:
    """A session that began when the file's clock says, else on the day of the dataset."""
    clocks = [c for c in (getattr(one, "acquired", None) or one.started for one in contents) if c]
    clock = min(clocks) if clocks else None
    day, time = (f"{clock:%Y%m%d}", "") if clock else (DATE, "09:30")
    known = {"session_id": key, "subject_id": "AB_SUB_0001", "experimenter": "Ada Example", "session_date": day}
    return {**known, "start_time": time}


def put(raw_object: Path, place: Path) -> None:
    """Copy a file or folder, with what lies beside a recording and belongs to it."""
    if raw_object.is_dir():
        shutil.copytree(raw_object, place)
        return
    place.parent.mkdir(parents=True)
    beside = [p for p in raw_object.parent.iterdir() if p.suffix in (".atf", ".ibw") and p != raw_object]
    for path in (raw_object, *(beside if raw_object.suffix in (".abf", ".ibw") else ())):
        shutil.copyfile(path, place.with_name(path.name))


def ask_dandi(dataset: Path) -> list[dict[str, Any]]:
    """What a dry run says, with dandi's words: outcomes and findings."""
    said = io.StringIO()
    with redirect_stdout(said):
        main(["publish", str(dataset), "--dandi", "000123", "--dry-run", "--json"])
    return [json.loads(line) for line in said.getvalue().splitlines()]


def count_words(said: Sequence[dict[str, Any]]) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Outcomes by the suffix of their files, and findings of dandi by severity and id."""
    sent = Counter(Path(one["target"]).suffix for one in said if one.get("done") == "would send")
    found = Counter((one["severity"], one["id"]) for one in said if one.get("id", "").startswith("dandi:"))
    return sent, found


if __name__ == "__main__":
    corpus = corpus_folder()
    assert corpus, "NEUROPRESS_CORPUS names the corpus"
    dataset = make_dataset(list(list_tasks(corpus)), Path(sys.argv[1]).resolve())
    assert main(["run", "-q", str(dataset)]) == 0
    print(*count_words(ask_dandi(dataset)), sep="\n")
