"""Files of sessions named as ``dandi organize`` names them: the rules, the whole line, and dandi itself."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
from pathlib import Path
from random import Random

import pynwb
import pytest
from builder import DATE, Builder, abf, movie
from hypothesis import example, given
from hypothesis import strategies as st

from neuropress import tools
from neuropress.cli.main import main
from neuropress.model import dandi_names
from neuropress.model.finding import Problem

WALK = "time_ms,x_cm,y_cm\n" + "".join(f"{10 * i + i % 3},{i / 7},{i / 3}\n" for i in range(30))
LICKS = "time_ms,event\n5,lick\n17,left\n40,reward\n"
DANDI = '\n[output]\nnames = "dandi"\n'
SUBJECT = "sub-RY-M-0001/sub-RY-M-0001"


def state(ds: Builder, text: str) -> None:
    with (ds.root / "neuropress.toml").open("a", encoding="utf-8") as file:
        file.write(text)


def behavior(ds: Builder, text: str, number: int, options: str = "") -> None:
    """A session with a behaviour table, of the lab that may have such rows."""
    key = f"basu/{DATE}/behavior/raw/b{number}.csv"
    ds.put(key, text.encode())
    ds.session(number, session_id=f"JB_S_{number:04d}", mouse_id="JB_M_0001")
    row = {"behavior_id": f"JB_B_{number:04d}", "session_id": f"JB_S_{number:04d}", "metric_type": "position"}
    ds.row("behavior", **row, file_path_raw=key)
    if options:
        state(ds, f'\n[options."{key}"]\n{options}\n')


def results(ds: Builder) -> list[str]:
    output = ds.root / "output"
    return sorted(path.relative_to(output).as_posix() for path in output.rglob("*.nwb"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, object]]]:
    capsys.readouterr()
    status = main([*arguments, "--json"])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def find(lines: list[dict[str, object]], id: str) -> list[str]:
    return [str(line["message"]) for line in lines if line.get("id") == id]


@pytest.fixture
def ds(tmp_path: Path) -> Builder:
    """Recordings, a movie of one photon, both, one that may be anything, and behaviour: a session each."""
    made = Builder(tmp_path / "ds")
    (made.root / "neuropress.toml").write_text('profile = "dendritic-consortium"\n', encoding="utf-8")
    state(made, DANDI)
    made.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="M", birth_date="20250301", weight="25")
    for number in range(1, 5):
        made.session(number)
    trace, frames = abf(tmp_path / "e.abf"), movie(tmp_path / "m.tif")
    made.ephys(trace, "20000", 1, 1)
    made.movie(frames, (12, 20, 16), 2, 2, exposure_time="2")
    made.ephys(trace, "20000", 3, 3)
    made.movie(frames, (12, 20, 16), 3, 3, laser_line="920")
    made.movie(frames, (12, 20, 16), 4, 4)
    behavior(made, WALK, 5)
    return made


KINDS = [
    "sub-JB-M-0001/sub-JB-M-0001_ses-JB-S-0005_behavior.nwb",
    f"{SUBJECT}_ses-RY-S-0001_icephys.nwb",
    f"{SUBJECT}_ses-RY-S-0002_ophys.nwb",
    f"{SUBJECT}_ses-RY-S-0003_icephys+ophys.nwb",
    f"{SUBJECT}_ses-RY-S-0004_image+ophys.nwb",
]
RECORDING, BOTH = KINDS[1], KINDS[3]


def test_every_kind_of_session_through_the_whole_line(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("check", "plan", "run", "status", "coverage"):
        assert main([verb, str(ds.root)]) == 0, (verb, capsys.readouterr().out)
    assert results(ds) == KINDS
    status, lines = run(capsys, "validate", str(ds.root))
    assert (status, find(lines, "nwb.dandi_name")) == (0, [])
    assert main(["explain", str(ds.root / "output" / RECORDING), "/general/subject/weight"]) == 0
    assert [line["done"] for line in run(capsys, "convert", str(ds.root))[1] if "done" in line] == ["up to date"] * 5


@pytest.fixture
def environment() -> tools.Environment:
    """The dandi of an environment of its own."""
    try:
        return tools.find_tool("dandi")
    except Problem as bad:
        pytest.skip(f"dandi: {bad.finding.message} (neuropress tools install dandi)")


def test_dandi_organize_gives_the_same_names(
    ds: Builder, tmp_path: Path, environment: tools.Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    behavior(ds, WALK, 6)
    key = f"basu/{DATE}/image/raw/m6.tif"
    ds.put(key, movie(tmp_path / "m.tif"))
    ds.row("image", image_id="JB_IMG_0006", session_id="JB_S_0006", image_type="voltage", frame_rate="100", x="16",
           y="20", z="12", laser_line="920", file_path_raw=key)  # fmt: skip
    assert main(["convert", str(ds.root)]) == 0, capsys.readouterr().out
    ours = results(ds)
    assert "sub-JB-M-0001/sub-JB-M-0001_ses-JB-S-0006_behavior+ophys.nwb" in ours
    assert len(ours) == 6
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, name in enumerate(ours):  # names from which dandi learns nothing
        os.link(ds.root / "output" / name, flat / f"{number}.nwb")

    def organize(*arguments: str) -> dict[str, str]:
        folder = tmp_path / f"organized-{len(arguments)}-{len(list(tmp_path.iterdir()))}"
        command = ["organize", "--files-mode", "dry", "--jobs", "1", "--dandiset-path", str(folder), *arguments]
        done = tools.run_tool("dandi", command, seconds=300, environment=environment)
        assert done.status == 0, done
        pairs = re.findall(r"(\d+)\.nwb -> (\S+)", done.out.decode())
        return {ours[int(number)]: path for number, path in pairs}

    assert organize(str(flat)) == {name: name for name in ours}
    one = organize("--required-field", "session_id", str(flat / "2.nwb"))
    assert one == {ours[2]: ours[2]}


NAMING = """
import json, sys
from dandi.organize import create_unique_filenames_from_metadata as name_files
for line in open(sys.argv[1], encoding="utf-8"):
    print(json.dumps(name_files([json.loads(line)], required_fields=["session_id"])[0]["dandi_path"]))
"""


def test_dandi_follows_the_same_rules(tmp_path: Path, environment: tools.Environment) -> None:
    """Odd ids and any types, without files."""
    random = Random(10)
    odd = "_*\\/<>:|\"'?%@;,. \t\u00a0\u2003\u3000\x85+-#&()[]{}=~^!$`\u00e9\u732bAz09"
    types = [*(name for names in dandi_names.TYPES.values() for name in names), "TimeSeries", "Device", "Subject",
             "EventsTable", "TimeIntervals", "ProcessingModule", "DynamicTable", "Units", "PoseEstimation"]  # fmt: skip
    ours, lines = [], []
    for _ in range(400):
        subject, session = ("".join(random.choices(odd, k=random.randint(1, 12))) for _ in range(2))
        chosen = random.sample(types, random.randint(0, 4))
        ours.append(dandi_names.make_dandi_path(subject, session, dandi_names.find_modalities(chosen)))
        counted = [f"{name} (3)" if random.random() < 0.5 else name for name in chosen]
        lines.append({"path": "a.nwb", "subject_id": subject, "session_id": session, "nd_types": counted})
    asked = tmp_path / "asked.jsonl"
    asked.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    command = [str(environment.python), "-I", "-c", NAMING, str(asked)]
    done = subprocess.run(command, capture_output=True, check=True, env={"HOME": str(tmp_path), "DANDI_NO_ET": "1"})
    theirs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b'"')]
    assert theirs == ours
    assert None not in ours


def test_what_a_row_does_not_say_is_found_in_the_result(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    behavior(ds, LICKS, 7, 'columns = "event = text"')
    assert main(["convert", str(ds.root), "--session", "JB_S_0007"]) == 0, capsys.readouterr().out
    named = "sub-JB-M-0001/sub-JB-M-0001_ses-JB-S-0007_behavior.nwb"
    assert results(ds) == [named]
    status, lines = run(capsys, "validate", str(ds.root))
    (message,) = find(lines, "nwb.dandi_name")
    name = named.rpartition("/")[2]
    assert (status, name in message, name.replace("_behavior", "") in message) == (0, True, True)


def test_results_under_other_names_are_strays_and_stay(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ds.root / "neuropress.toml"
    text = settings.read_text()
    settings.write_text(text.replace(DANDI, ""))
    one = ("--session", "RY_S_0001")
    assert main(["convert", str(ds.root), *one]) == 0
    (before,) = results(ds)
    assert before == f"yuste/{DATE}/session/nwb/RY_S_0001.nwb"
    old = (ds.root / "output" / before).read_bytes()
    settings.write_text(text)
    status, lines = run(capsys, "status", str(ds.root))
    (message,) = find(lines, "result.stray")
    assert (status, before in message, RECORDING in message) == (0, True, True)
    assert main(["convert", str(ds.root), *one]) == 0
    assert results(ds) == [RECORDING, before]
    assert (ds.root / "output" / before).read_bytes() == old
    settings.write_text(text.replace('"dandi"', '"profile"'))
    (message,) = find(run(capsys, "status", str(ds.root))[1], "result.stray")
    assert (RECORDING in message, before in message) == (True, True)


def test_a_row_that_cannot_be_read_makes_no_stray_of_the_result(
    ds: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(ds.root), "--session", "RY_S_0003"]) == 0
    ds.change("image", 1, frame_rate="fast")
    status, lines = run(capsys, "check", str(ds.root))
    assert (status, find(lines, "result.stray")) == (1, [])
    ds.change("image", 1, frame_rate="100")
    ds.change("session", 2, mouse_id="")
    status, lines = run(capsys, "check", str(ds.root))
    assert (status, find(lines, "result.stray")) == (1, [])


def test_two_results_of_one_name_are_withheld(ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state(ds, '\n[split]\nimaging = "movies"\n')
    one = ("--session", "RY_S_0003")
    assert main(["convert", str(ds.root), *one]) == 0
    names = [f"{SUBJECT}_ses-RY-S-0003_icephys.nwb", f"{SUBJECT}_ses-RY-S-0003_ophys.nwb"]
    assert results(ds) == names
    own = 'revision = 1\ntable = ["session"]\n[[rule]]\nto = "file.session_id"\nfrom = "notes"\n'
    make_own_profile(ds, own)
    for position in (0, 2):
        ds.change("session", position, notes="day one")
    status, lines = run(capsys, "check", str(ds.root), "--tables-only")
    messages = find(lines, "result.same_path")
    assert (status, len(messages), len(set(messages))) == (1, 2, 1)
    assert ("RY_S_0001" in messages[0], "RY_S_0003" in messages[0]) == (True, True)
    assert f"{SUBJECT}_ses-day-one_icephys.nwb" in messages[0]
    status, lines = run(capsys, "convert", str(ds.root), "--keep-going")
    assert (status, len(find(lines, "result.same_path"))) == (1, 2)
    assert f"{SUBJECT}_ses-day-one_ophys.nwb" in results(ds)
    assert f"{SUBJECT}_ses-day-one_icephys.nwb" not in results(ds)
    assert [line["done"] for line in run(capsys, "status", str(ds.root))[1] if "done" in line].count("blocked") == 2, (
        lines
    )


def make_own_profile(ds: Builder, session: str) -> None:
    (ds.root / "mappings").mkdir()
    (ds.root / "mappings/session.toml").write_text(session)
    (ds.root / "own.toml").write_text('name = "own"\nversion = "1"\nextends = "dendritic-consortium"\n')
    settings = ds.root / "neuropress.toml"
    settings.write_text(settings.read_text().replace('"dendritic-consortium"', '"own"'))


@pytest.mark.parametrize("notes", ["", "a\u202eb", "x" * 300])
def test_a_session_without_such_a_name_lies_where_the_profile_says(
    ds: Builder, notes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = 'revision = 1\ntable = ["session"]\n[[rule]]\nto = "file.session_id"\nfrom = "notes"\n'
    make_own_profile(ds, own)
    ds.change("session", 0, notes=notes)
    _, lines = run(capsys, "check", str(ds.root), "--session", "RY_S_0001")
    (message,) = find(lines, "result.no_dandi_name")
    assert f"yuste/{DATE}/session/nwb/RY_S_0001.nwb" in message


def test_a_setting_that_is_none_is_refused_and_a_profile_may_have_it(
    ds: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ds.root / "neuropress.toml"
    text = settings.read_text()
    settings.write_text(text.replace('"dandi"', '"bids"'))
    assert main(["check", str(ds.root)]) == 2
    assert "bids" in capsys.readouterr().err
    make_own_profile(ds, 'revision = 1\ntable = ["session"]\n')
    with (ds.root / "own.toml").open("a") as file:
        file.write('names = "dandi"\n')
    settings.write_text('profile = "own"\n')
    assert main(["convert", str(ds.root), "--session", "RY_S_0001"]) == 0
    assert results(ds) == [RECORDING]


def test_types_are_those_of_pynwb() -> None:
    """The modules of pynwb name the modalities; of types that are groups, for dandi looks at no others."""
    general = ("base", "device", "file", "misc")
    known: dict[str, set[str]] = {}
    for module in (item for _, item in inspect.getmembers(pynwb, inspect.ismodule)):
        for name, item in inspect.getmembers(module, inspect.isclass):
            is_type = issubclass(item, pynwb.core.NWBMixin) and item.__dict__.get("neurodata_type") == name
            folder, _, modality = item.__module__.rpartition(".")
            if is_type and folder == "pynwb" and modality not in general and not issubclass(item, pynwb.core.NWBData):
                known.setdefault(modality, set()).add(name)
    assert {modality: set(types) for modality, types in dandi_names.TYPES.items()} == known


@given(st.text(max_size=60))
@example("RY_M_0001")
@example("a.b/c\\d e\u00a0f\u2028g")
def test_characters(text: str) -> None:
    made = dandi_names.replace_characters(text)
    assert len(made) == len(text)
    assert not set(made) & set("_*\\/<>:|\"'?%@;,.")
    assert not re.search(r"\s", made)
    for before, after in zip(text, made, strict=True):
        kept = not re.match(r"\s", before) and before not in "_*\\/<>:|\"'?%@;,."
        assert after == (before if kept else "-")


@given(st.text(max_size=120), st.text(max_size=120), st.sets(st.sampled_from(sorted(dandi_names.TYPES))))
@example("..", "..", set())
@example("a", "b", {"ophys", "icephys"})
def test_paths(subject: str, session: str, modalities: set[str]) -> None:
    types = [dandi_names.TYPES[modality][0] for modality in modalities]
    found = dandi_names.find_modalities([*types, "TimeSeries", "Device", "NoSuchType"])
    assert found == tuple(sorted(modalities))
    path = dandi_names.make_dandi_path(subject, session, found)
    if path is None:
        assert not subject or not session or not (subject + session).isprintable() or len(subject + session) > 40
        return
    folder, name = path.split("/")
    assert len(name.encode()) <= 255
    assert path.isprintable()
    assert ".." not in path
    parts = name.removesuffix(".nwb").split("_")
    assert parts[0] == folder == f"sub-{dandi_names.replace_characters(subject)}"
    assert parts[1] == f"ses-{dandi_names.replace_characters(session)}"
    assert parts[2:] == (["+".join(sorted(modalities))] if modalities else [])
    assert dandi_names.find_session_in_name(path) == parts[1].removeprefix("ses-")
