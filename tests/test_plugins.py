"""Another installed package adds a format and a modality; a broken one is reported and stops nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from builder import DATE, Builder
from toy_plugin import CONVERTER, DECLARATION, toy_file, write_dist_info, write_package

from neuropress import converters, readers, registry
from neuropress.cli.main import main
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.raw import choose_format
from neuropress.results.nwb import file as nwb
from neuropress.storage.roots import Folder

ROOT = Path(__file__).resolve().parents[1]
KEY = f"basu/{DATE}/behavior/raw/run.toy"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy package, installed by pip from its source tree."""
    folder = tmp_path_factory.mktemp("toy")
    tree = write_package(folder / "tree")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site"), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    """A session with one behaviour row, whose file is a toy."""
    build = Builder(tmp_path / "ds")
    build.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20250301")
    build.row(
        "session",
        session_id="JB_S_0001",
        mouse_id="JB_M_0001",
        experimenter="Bo Beispiel",
        session_date=DATE,
        start_time="10:00",
        end_time="11:00",
    )
    build.put(KEY, toy_file())
    cells = {"behavior_id": "JB_B_0001", "session_id": "JB_S_0001", "metric_type": "position", "task": "running"}
    build.row("behavior", **cells, file_path_raw=KEY)
    return build


def run_command(site: Path, *arguments: str) -> tuple[int, str]:
    """The command line in a process of its own, with the toy package installed."""
    path = os.pathsep.join([str(ROOT / "src"), str(site)])
    done = subprocess.run(
        [sys.executable, "-m", "neuropress", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def write_config(lab: Builder, text: str) -> None:
    (lab.root / "neuropress.toml").write_text(f'profile = "dendritic-consortium"\n[options."{KEY}"]\n{text}\n', "utf-8")


def test_an_installed_package_takes_a_new_format_through_the_whole_line(site: Path, lab: Builder) -> None:
    root = str(lab.root)
    write_config(lab, "skip = 10\nreverse = false\ntrack = 1.5")
    status, out = run_command(site, "check", root)
    assert (status, "1 ready" in out) == (0, True), out
    status, out = run_command(site, "run", root, "--workers", "2")
    assert status == 0, out
    path = lab.output("JB_S_0001.nwb")
    assert path is not None
    with h5py.File(path) as file:
        series = file["acquisition/JB_B_0001"]
        assert np.array_equal(series["data"], np.arange(10, 50))
        assert series.attrs["description"] == "running"
        receipt = json.loads(file["general/neuropress/receipt_json"][()])
    assert receipt["sources"] == {KEY: {"skip": 10, "reverse": False, "track": 1.5}}
    assert receipt["revisions"]["converter:toy_positions"] == receipt["revisions"]["mapping:toy_positions"] == 1
    status, out = run_command(site, "verify", str(path), "--source", str(lab.root / "source"))
    assert status == 0, out
    status, out = run_command(site, "explain", str(path), "JB_B_0001/description", "--json")
    assert (status, "toy_positions/series.description" in out, "behavior" in out) == (0, True, True)
    status, out = run_command(site, "coverage", root)
    assert status == 0, out
    _, out = run_command(site, "convert", root)
    assert "up to date" in out
    write_config(lab, "skip = 11")
    _, out = run_command(site, "plan", root)
    assert f"the options of {KEY} changed" in out


def test_formats_lists_it_and_add_takes_it(site: Path, lab: Builder, tmp_path: Path) -> None:
    status, out = run_command(site, "formats", "--json")
    entries = {entry["format"]: entry for entry in map(json.loads, out.splitlines())}
    assert (status, list(entries)) == (0, [*(format.name for format in readers.BUILT_IN), "toy"])
    assert (entries["toy"]["package"], entries["abf"]["package"]) == ("toy-behaviour", "neuropress")
    assert {option["name"] for option in entries["toy"]["options"]} == {
        "reader",
        "image",
        "skip",
        "track",
        "reverse",
        "clock_offset",
        "clock",
        "clock_threshold",
        "clock_edges",
        "arena",
    }
    _, out = run_command(site, "formats", "toy")
    assert "skip (a whole number from 0)" in out
    assert "sampling_rate (Hz)" in out
    (tmp_path / "second.toy").write_bytes(toy_file())
    more = ("--lab", "JB", "--session", "JB_S_0001", "--table", "behavior", "--dataset", str(lab.root))
    status, out = run_command(site, "add", str(tmp_path / "second.toy"), *more)
    assert (status, "behavior JB_B_0002" in out) == (0, True), out


@pytest.mark.parametrize(
    ("data", "id", "words"),
    [
        (toy_file(0), "toy.short", "Record it again."),
        (b"TOY1ODD!" + bytes(40), "toy.undescribed", "plug-in's finding that is not described"),
        (b"TOY1CRSH" + bytes(40), "plugin.failed", "package toy-behaviour"),
    ],
)
def test_findings_of_a_plugin_are_reported_on_their_row(
    site: Path, lab: Builder, data: bytes, id: str, words: str
) -> None:
    lab.put(KEY, data)
    for verb in ("check", "convert"):
        status, out = run_command(site, verb, str(lab.root), "--json")
        found = [entry for entry in map(json.loads, out.splitlines()) if entry.get("id") == id]
        assert status == 1
        assert found, out
        assert (found[0]["severity"], found[0]["location"]["key"]) == ("error", "JB_B_0001")
        assert words in found[0]["message"] + found[0]["hint"]
        assert "internal.error" not in out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("skip = -1", ["skip", "toy", "whole number from 0"]),
        ("skip = true", ["skip", "toy", "whole number from 0"]),
        ("skip = 1.5", ["skip", "toy", "whole number from 0"]),
        ("track = 1001", ["track", "number from 0 up to 1000"]),
        ("track = nan", ["track", "number from 0 up to 1000"]),
        ('arena = "field"', ["arena", "one of track, wheel"]),
        ('reverse = "yes"', ["reverse", "true or false"]),
        ("skpi = 3", ["skpi", "skip", "arena"]),
        ('reader = "toi"', ["toi", "'toy'", "known: abf"]),
        ('reader = "abf"\nskip = 3', ["skip", "abf", "image, reader"]),
        ('axes = "tyx"\nskip = 3', ["axes, skip"]),
    ],
)
def test_a_wrong_option_names_itself_its_reader_and_what_is_allowed(
    installed: Path, lab: Builder, text: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(lab, text)
    assert main(["check", str(lab.root)]) == 2
    output = capsys.readouterr().err
    assert all(word in output for word in [*words, KEY]), output


def test_an_option_of_another_reader_is_found_when_the_file_is_known(
    installed: Path, lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    write_config(lab, 'axes = "tyx"')
    assert main(["check", str(lab.root)]) == 1
    assert "reader.option" in capsys.readouterr().out


def test_a_reader_that_fails_on_samples_is_reported_by_its_package(
    installed: Path, lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.put(KEY, toy_file(13))
    assert main(["convert", str(lab.root)]) == 1
    out = capsys.readouterr().out
    assert "plugin.failed" in out
    assert "package toy-behaviour" in out
    assert lab.output("JB_S_0001.nwb") is None


def test_a_probe_that_fails_keeps_nobody_else_from_reading(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "a.swc").write_bytes(b"1 1 0 0 0 1 -1\n")
    assert choose_format(Source("a.swc", Folder(tmp_path))).format == "swc"
    (tmp_path / "a.grab").write_bytes(b"anything")
    with pytest.raises(Problem) as caught:
        choose_format(Source("a.grab", Folder(tmp_path)))
    assert caught.value.finding.id == "plugin.failed"


@pytest.fixture
def fresh() -> Iterator[None]:
    """Entry points are read once a process: read them anew, here and afterwards."""
    caches = (
        readers._load_readers,
        readers.get_registered_formats,
        converters._load_plugin_converters,
        registry._register_findings,
    )
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch, fresh: None) -> Path:
    """The toy package in this process."""
    monkeypatch.syspath_prepend(str(site))
    return site


def write_broken_plugin(site: Path, name: str, text: str = "", group: str = "readers", entry: str = "FORMAT") -> None:
    """A package whose one entry point, called like its module's last word, is not what it should be."""
    module = f"broken_{name}".replace("-", "_")
    (site / f"{module}.py").write_text(text, "utf-8")
    value = f"{module}:{entry}" if entry else module
    write_dist_info(site, f"broken-{name}", {f"neuropress.{group}": {name: value}})


BROKEN = {
    "missing": ("raise ImportError('no library')", "readers", "no library"),
    "leaving": ("import sys; sys.exit(3)", "readers", "SystemExit"),
    "nothing": ("FORMAT = 3", "readers", "not a neuropress.readers.Format"),
    "renamed": (DECLARATION, "readers", "declares the name 'toy'"),
    "tiff": (DECLARATION, "readers", "has one of this name itself"),
    "unmapped": (CONVERTER.replace("toy_positions", "unmapped"), "converters", "neither a text MAPPING nor a file"),
    "misruled": (
        f'{CONVERTER.replace("toy_positions", "misruled")}\nMAPPING = "revision = x"',
        "converters",
        "misruled.toml",
    ),
    "aimless": (f'{CONVERTER.replace("toy_positions", "aimless")}\nTARGET = "moon"', "converters", "'moon'"),
    "partless": ("NAME = 'partless'", "converters", "REVISION"),
    "session": (CONVERTER, "converters", "has one of this name itself"),
}


def test_broken_plugins_are_reported_by_package_and_stop_nothing(
    installed: Path, lab: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = tmp_path / "more"
    more.mkdir()
    for name, (text, group, _) in BROKEN.items():
        write_broken_plugin(more, name, text, group, "FORMAT" if group == "readers" else "")
    write_dist_info(more, "twin", {"neuropress.readers": {"twice": "broken_renamed:FORMAT"}})
    write_dist_info(more, "other-twin", {"neuropress.readers": {"twice": "broken_renamed:FORMAT"}})
    monkeypatch.syspath_prepend(str(more))
    assert main(["check", str(lab.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    messages = [line["message"] for line in lines if line.get("id") == "plugin.broken"]
    for name, (_, _, words) in BROKEN.items():
        assert any(f"package broken-{name}:" in message and words in message for message in messages), (name, messages)
    assert {m.split(":")[0] for m in messages if "'twice'" in m} == {"package twin", "package other-twin"}
    assert any(line.get("done") == "ready" for line in lines)
    assert main(["formats"]) == 0
    assert "package toy-behaviour" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ['["abf.empty"]\nseverity = "info"\nmeaning = ""\nexample = ""\nfix = ""', '["a.b"]\nfix = ""', "["]
)
def test_findings_that_are_not_whole_or_not_new_are_refused(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    folder = tmp_path / "grabbing"
    folder.mkdir()
    (folder / "__init__.py").write_text(DECLARATION, "utf-8")
    (folder / "findings.toml").write_text(text, "utf-8")
    write_dist_info(tmp_path, "grabbing", {"neuropress.readers": {"toy": "grabbing:FORMAT"}})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "grabbing", raising=False)
    (broken,) = readers.list_broken_readers()
    assert "findings.toml" in broken.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("/acquisition", "/nowhere"), "nothing in an NWB file can hold"),
        (('"TimeSeries"', '"Timeserie"'), "no type Timeserie"),
        (('"unit": unit', '"units": unit'), "no field 'units'"),
        (("float(text)", "text"), "rate"),
        (('"position", content.format', '"speed", content.format'), "no reader found an array 'speed'"),
        (('array.shape, "<i2"', '(7,), "<i2"'), "index map"),
        (("{PLACE}/{job.record.key}", "{PLACE}/x"), "x"),
    ],
)
def test_what_check_calls_ready_convert_can_do(
    fresh: None, lab: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    site = tmp_path / "site"
    tree = write_package(site)
    text = (
        CONVERTER.replace(*change)
        if change[0] != "float(text)"
        else CONVERTER.replace("Field(float(text)", "Field(text")
    )
    (tree / "toy_behaviour/positions.py").write_text(text, "utf-8")
    points = {
        "neuropress.readers": {"toy": "toy_behaviour:FORMAT"},
        "neuropress.converters": {"toy_positions": "toy_behaviour.positions"},
    }
    write_dist_info(site, "toy-behaviour", points)
    for name in [name for name in sys.modules if name.startswith("toy_behaviour")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(site))
    answers = {}
    for verb in ("check", "plan", "convert"):
        status = main([verb, str(lab.root), "--json"])
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        messages = [line["message"] for line in lines if line.get("id") == "plan.invalid"]
        answers[verb] = (status, bool(messages) and words in messages[0])
    ready = (0, False) if words == "x" else (1, True)
    assert answers == {"check": ready, "plan": ready, "convert": ready}
    for name in [name for name in sys.modules if name.startswith("toy_behaviour")]:
        del sys.modules[name]


LIGHT = """
import sys
from pathlib import Path
from neuropress.config import load_config
load_config(Path(sys.argv[1]))
heavy = {"numpy", "h5py", "zarr", "pynwb", "tifffile", "toy_behaviour.read"} & set(sys.modules)
assert not heavy, heavy
"""
HELP = """
import sys
from neuropress.cli.main import main
try:
    main(["--help"])
except SystemExit:
    pass
loaded = {"numpy", "neuropress.registry", "neuropress.readers", "toy_behaviour"} & set(sys.modules)
assert not loaded, loaded
"""


@pytest.mark.parametrize("code", [LIGHT, HELP])
def test_settings_are_checked_and_help_is_shown_without_opening_a_reader(site: Path, lab: Builder, code: str) -> None:
    write_config(lab, "skip = 1")
    path = os.pathsep.join([str(ROOT / "src"), str(site)])
    command = [sys.executable, "-c", code, str(lab.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr


def test_check_asks_the_writer_again_only_when_the_plan_changed(
    installed: Path, lab: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    whole = nwb.check_plan
    monkeypatch.setattr(nwb, "check_plan", lambda plan: asked.append(plan) or whole(plan))
    for _ in range(2):
        assert main(["check", str(lab.root)]) == 0
    assert len(asked) == 1
    lab.change("behavior", task="resting")
    assert main(["check", str(lab.root)]) == 0
    assert len(asked) == 2
    assert main(["convert", str(lab.root)]) == 0
    assert len(asked) == 2, "convert builds once, for writing"
    assert asked[0].target.id == "JB_S_0001"


def test_a_described_finding_can_be_waived_and_another_cannot(
    installed: Path, lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.put(KEY, toy_file(0))
    row = "behavior.JB_B_0001,{},A. Person,lost in the move,20991231\n"
    (lab.root / "waivers.csv").write_text("row,finding,person,reason,expiry\n" + row.format("toy.short"), "utf-8")
    assert main(["check", str(lab.root)]) == 0
    assert "toy.short" in capsys.readouterr().out
    (lab.root / "waivers.csv").write_text("row,finding,person,reason,expiry\n" + row.format("toy.undescribed"), "utf-8")
    assert main(["check", str(lab.root)]) == 1
    assert "waiver.invalid" in capsys.readouterr().out
