"""Behaviour and events from tables with clocks of their own, through the whole line: shared modules, choice, parts."""

import json
from pathlib import Path

import behavior_csv as bc
import h5py
import pynwb
import pytest
from builder import DATE, Builder, movie

from neuropress.cli.main import main
from neuropress.results.nwb.file import read_provenance

WALK = "[walk] offset=12.5 started=2025-06-20T09:30:05\ntime_ms,x\n" + "".join(
    f"{100 * i + i % 7},{i / 7}\n" for i in range(50)
)
LICKS = "[licks]\ntime_ms,label\n5,lick\n17,lick left \u00fc\n40,reward\n"
NWB = "JB_S_0001.nwb"


@pytest.fixture
def ds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    bc.register_plugins(
        monkeypatch,
        bc.make_converter("walking", {"time_ms", "x"}, bc.build_position),
        bc.make_converter("licking", {"time_ms", "label"}, bc.build_licks),
    )
    made = Builder(tmp_path / "ds")
    session = {"session_id": "JB_S_0001", "mouse_id": "JB_M_0001", "experimenter": "Ada Example"}
    made.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20250301", weight="24.50")
    made.row("session", **session, session_date=DATE, start_time="09:30", end_time="10:50")
    return made


def add_behavior(ds: Builder, text: str, number: int = 1, **cells: str) -> str:
    key = f"basu/{DATE}/behavior/raw/b{number}.csv"
    ds.put(key, text.encode())
    ds.row("behavior", behavior_id=f"JB_B_{number:04d}", session_id="JB_S_0001", metric_type="position",
           file_path_raw=key, **cells)  # fmt: skip
    return key


def add_movie(ds: Builder, tmp_path: Path) -> None:
    key = f"basu/{DATE}/image/raw/m1.tif"
    ds.put(key, movie(tmp_path / "m.tif"))
    ds.row("image", image_id="JB_IMG_0001", session_id="JB_S_0001", image_type="voltage", frame_rate="100", x="16",
           y="20", z="12", file_path_raw=key)  # fmt: skip


def read_findings(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return {line["id"]: line["message"] for line in lines if "id" in line and "message" in line}


def test_two_converters_share_a_module_and_each_takes_its_file(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    add_behavior(ds, WALK, 1, task="open field")
    add_behavior(ds, LICKS, 2)
    root = str(ds.root)
    for verb in ("check", "plan", "convert", "verify", "validate"):
        assert main([verb, root]) == 0, (verb, capsys.readouterr().out)
    path = ds.output(NWB)
    assert path
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        walk = file.processing["behavior"]["BehavioralTimeSeries"]["JB_B_0001_walk"]
        assert walk.timestamps[:3].tolist() == [12.5, 12.601, 12.702]
        assert walk.comments == "open field"
        assert list(file.events["JB_B_0002"]["label"][:]) == ["lick", "lick left \u00fc", "reward"]
        assert file.processing["behavior"].description == "Behaviour of the mouse."
    capsys.readouterr()
    assert main(["explain", str(path), "JB_B_0001_walk/timestamps"]) == 0
    assert "stored*0.001 + 12.5 s" in capsys.readouterr().out
    with h5py.File(path, "r+") as file:
        file["/events/JB_B_0002/label"][2] = "rewarD"
    assert main(["verify", root, "--json"]) != 0
    assert "verify.different" in read_findings(capsys)


def test_a_file_for_no_converter_or_for_two_is_reported(ds: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    add_behavior(ds, "[odd]\na,b\n1,2\n", 1)
    assert main(["convert", str(ds.root), "--json"]) != 0
    message = read_findings(capsys)["convert.choice"]
    assert "DataTable 'odd' (tables: a, b)" in message
    assert "licking: a table with label, time_ms; walking: a table with time_ms, x" in message
    ds.put(f"basu/{DATE}/behavior/raw/b1.csv", (WALK + LICKS).encode())
    assert main(["convert", str(ds.root), "--json"]) != 0
    assert "is for licking and walking alike" in read_findings(capsys)["convert.choice"]


def test_several_contents_of_one_file_are_taken_by_name_and_each_is_compared(
    ds: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    add_behavior(ds, WALK + WALK.replace("[walk]", "[run] task=maze"), 1, task="maze")
    assert main(["convert", str(ds.root)]) == 0, capsys.readouterr().out
    arrays = read_provenance(ds.output(NWB)).receipt.arrays  # type: ignore[arg-type]
    assert {spec.spec.content for spec in arrays.values()} == {"walk", "run"}
    assert main(["verify", str(ds.root)]) == 0


def test_a_module_that_two_describe_differently_is_reported(
    ds: Builder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    walking = bc.make_converter("walking", {"time_ms", "x"}, bc.build_position)
    licking = bc.make_converter("licking", {"time_ms", "label"}, bc.build_licks)
    licking.build = lambda jobs: bc.Built(  # type: ignore[attr-defined]
        (bc.Node(bc.MODULE, "ProcessingModule", {"description": bc.make_constant("module", "Licks.")}),)
    )
    bc.register_plugins(monkeypatch, walking, licking)
    add_behavior(ds, WALK, 1)
    add_behavior(ds, LICKS, 2)
    assert main(["convert", str(ds.root), "--json"]) != 0
    message = read_findings(capsys)["plan.collision"]
    assert "walking and licking want different objects at /processing/behavior" in message
    assert "description is 'Behaviour of the mouse.' and 'Licks.'" in message


@pytest.mark.parametrize("start", ["09:30", ""])
def test_a_session_in_two_files(ds: Builder, tmp_path: Path, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    add_behavior(ds, WALK, 1)
    add_movie(ds, tmp_path)
    ds.change("session", start_time=start, end_time=start and "10:50")
    settings = (ds.root / "neuropress.toml").read_text()
    (ds.root / "neuropress.toml").write_text(settings + '\n[split]\nwalking = "behavior"\n')
    root, release = str(ds.root), str(tmp_path / "release")
    for verb in ("check", "convert", "verify", "validate"):
        assert main([verb, root]) == 0, (verb, capsys.readouterr().out)
    with h5py.File(ds.output(NWB)) as main_file, h5py.File(ds.output("JB_S_0001_behavior.nwb")) as part:
        both = (main_file, part)
        starts = {file["session_start_time"][()].decode() for file in both}
        assert starts == {"2025-06-20T09:30:00-04:00" if start else "2025-06-20T09:30:05-04:00"}
        assert {file["general/session_id"][()] for file in both} == {b"JB_S_0001"}
        assert part["identifier"][()] == main_file["identifier"][()] + b":behavior"
        assert main_file.attrs["object_id"] != part.attrs["object_id"]
        assert (list(main_file["acquisition"]), list(part["acquisition"])) == (["JB_IMG_0001"], [])
        assert (list(main_file["processing"]), list(part["processing"])) == ([], ["behavior"])
    capsys.readouterr()
    assert main(["status", root, "--json"]) == 0
    states = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(s["done"], s["verified"]) for s in states if "done" in s] == [("up to date", True)] * 2
    assert main(["publish", root, "--to", release, "--release", "1.0.0"]) == 0, capsys.readouterr().out
    assert main(["export-tables", release, "--to", str(tmp_path / "tables")]) == 0
    for table in ("session", "behavior", "image"):
        assert (tmp_path / f"tables/{table}.csv").read_text() == (ds.root / f"tables/{table}.csv").read_text()
    assert main(["releases", "rebuild", release]) == 0, capsys.readouterr().out
    (ds.root / "neuropress.toml").write_text(settings)
    assert main(["convert", root]) == 0
    with h5py.File(ds.output(NWB)) as file:
        assert (list(file["acquisition"]), list(file["processing"])) == (["JB_IMG_0001"], ["behavior"])
    capsys.readouterr()
    main(["check", root, "--json"])
    assert "JB_S_0001_behavior.nwb" in read_findings(capsys)["result.stray"]


@pytest.mark.parametrize(
    ("entry", "message"), [('waking = "a"', "no converter of sessions"), ('walking = "../x"', "small letters")]
)
def test_a_split_that_cannot_be_is_reported(
    ds: Builder, entry: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with (ds.root / "neuropress.toml").open("a") as file:
        file.write(f"\n[split]\n{entry}\n")
    assert main(["check", str(ds.root)]) != 0
    assert message in "".join(capsys.readouterr())


@pytest.mark.parametrize("start", ["09:30", ""])
def test_a_bad_file_withholds_its_own_part_and_others_that_need_its_clock(
    ds: Builder, tmp_path: Path, start: str
) -> None:
    add_behavior(ds, WALK + "1,2,3\n", 1)
    add_movie(ds, tmp_path)
    ds.change("session", start_time=start, end_time=start and "10:50")
    with (ds.root / "neuropress.toml").open("a") as file:
        file.write('\n[split]\nwalking = "behavior"\n')
    assert main(["convert", str(ds.root)]) == 1
    assert ds.output("JB_S_0001_behavior.nwb") is None
    assert (ds.output(NWB) is None) is (not start)
