"""What is done with a release: list, compare, verify, fetch, and make every result again."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builder import DATE, Builder, abf, movie, slices
from campaigns import campaign

from neuropress.cli.main import main
from neuropress.tables.fixes import COLUMNS

NWB = f"yuste/{DATE}/session/nwb/RY_S_0001.nwb"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Two releases of a dataset with a signed fix, a waiver, options, a lab's own default and a private cell."""
    root = tmp_path_factory.mktemp("releases")
    build = Builder(root / "ds")
    build.session(1, notes="first")
    build.ephys(abf(root / "e.abf"), "20000")
    build.movie(movie(root / "m.tif"), (12, 20, 16), pixel_size="0.8", laser_line="488 nm")
    build.sem(slices(root / "v"), file_path_local="D:/secret/place")
    build.row("mouse", mouse_id="RY_M_0002", strain="C57BL/6J")
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as file:
        file.write('[labs.RY]\nregion = "VISp2/3"\nmodality_voltage = "two-photon"\n')
        file.write(f'[options."yuste/{DATE}/image/raw/m1.tif"]\naxes = "tyx"\n')
    fix = ("", "image", "RY_IMG_0001", "", "laser_line", "488 nm", "488", "a unit in the cell", "", "Ada Example")
    lines = [",".join(COLUMNS), ",".join(fix)]
    (build.root / "applied_fixes.csv").write_text("\n".join(lines) + "\n")
    (build.root / "waivers.csv").write_text(
        "finding,row,reason,person,expiry\nmouse.weight,mouse.RY_M_0001,it is a rat,Ada Example,29991231\n"
    )
    assert main(["convert", str(build.root)]) == 0
    assert publish(build, "1.0.0") == 0
    build.change("mouse", weight="25.5")
    build.change("session", notes="second")
    assert main(["convert", str(build.root)]) == 0
    assert publish(build, "1.1.0") == 0
    return build


def publish(build: Builder, number: str) -> int:
    return main(["publish", str(build.root), "--to", str(build.root.parent / "release"), "--release", number])


def get_url(build: Builder) -> str:
    return str(build.root.parent / "release")


def read_json_lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_list(published: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["releases", "list", get_url(published), "--json"]) == 0
    found = read_json_lines(capsys.readouterr().out)
    assert [(r["target"], r["parent"]) for r in found] == [("1.0.0", None), ("1.1.0", "1.0.0")]
    assert main(["releases", "list", str(published.root)]) == 1


def test_diff_is_by_meaning(published: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["releases", "diff", get_url(published), "1.0.0", "1.1.0", "--json"]) == 0
    found = {
        (c["level"], c["name"]): (c["what"], c["before"], c["after"]) for c in read_json_lines(capsys.readouterr().out)
    }
    assert found["cell", "mouse.RY_M_0001.weight"] == ("changed", "24.50", "25.5")
    assert found["cell", "session.RY_S_0001.notes"] == ("changed", "first", "second")
    assert found["asset", NWB][0] == "changed"
    assert {name for level, name in found if level == "cell"} == {
        "mouse.RY_M_0001.weight",
        "session.RY_S_0001.notes",
    }


def test_a_release_holds_the_tables_and_no_private_cell(published: Builder) -> None:
    folder = Path(get_url(published))
    assert "JL_SD_0001" in (folder / "dataset/JL/tables/sem_dataset.csv").read_text()
    assert b"secret" not in b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".nwb")
    assert "it is a rat" in (folder / "dataset/RY/waivers.csv").read_text()
    assert "Ada Example" in (folder / "dataset/RY/applied_fixes.csv").read_text()
    assert not (folder / "dataset/JL/applied_fixes.csv").exists()


def test_verify_says_which_release_is_good(published: Builder, tmp_path: Path, capsys) -> None:
    copy = Path(shutil.copytree(get_url(published), tmp_path / "release"))
    assert main(["releases", "verify", str(copy), "--deep"]) == 0
    first = next(p for p in copy.rglob("RY_S_0001.nwb"))
    data = bytearray(first.read_bytes())
    data[-100] ^= 1
    first.write_bytes(data)
    assert main(["releases", "verify", str(copy)]) == 0
    capsys.readouterr()
    assert main(["releases", "verify", str(copy), "--deep", "--json"]) == 1
    states = {r["target"]: r["done"] for r in read_json_lines(capsys.readouterr().out) if "target" in r}
    assert states == {"1.0.0": "damaged", "1.1.0": "good"}
    assert main(["releases", "verify", str(copy), "1.1.0", "--deep"]) == 0


def test_one_changed_byte_anywhere_is_found(published: Builder, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(get_url(published), tmp_path / "release"))
    files = sorted(p for p in copy.rglob("*") if p.is_file() and p.stat().st_size)
    choice = random.Random(7)
    tried = choice.sample(files, min(campaign(8), len(files))) + [p for p in files if "releases" in p.parts][:20]
    for path in tried:
        good = path.read_bytes()
        spoilt = bytearray(good)
        spoilt[choice.randrange(len(good))] ^= 1 << choice.randrange(8)
        path.write_bytes(spoilt)
        command = [sys.executable, "-m", "neuropress", "releases", "verify", str(copy), "--deep", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, path
        finding_ids = [f["id"] for f in read_json_lines(done.stdout) if "severity" in f]
        assert finding_ids, path
        text_only = path.name in ("README.md", "latest.json")
        assert done.returncode == (0 if text_only else 1), path
        path.write_bytes(good)
    assert main(["releases", "verify", str(copy), "--deep"]) == 0


def test_get_gives_a_dataset_that_stands_by_itself(published: Builder, tmp_path: Path, capsys) -> None:
    back = tmp_path / "back"
    assert main(["releases", "get", get_url(published), str(back)]) == 0
    files = [p for folder in ("output", "source") for p in (back / folder).rglob("*") if p.is_file()]
    assert f"{len(files)} files" in capsys.readouterr().out
    assert (back / "output" / NWB).read_bytes() == (published.root / "output" / NWB).read_bytes()
    assert not (back / "schemas").exists()  # those that neuropress has itself
    for verb in ("check", "verify", "validate"):
        assert main([verb, str(back)]) == 0, verb
    capsys.readouterr()
    assert main(["convert", str(back)]) == 0
    assert "up to date" in capsys.readouterr().out
    # The same content again is the same release, wherever it comes from.
    assert main(["publish", str(back), "--to", get_url(published), "--release", "1.1.0"]) == 0


def test_get_goes_on_where_it_was_cut_off_and_never_over_another(published: Builder, tmp_path: Path, capsys) -> None:
    back = tmp_path / "back"
    get = ["releases", "get", get_url(published), str(back), "--release", "1.0.0"]
    assert main([*get, "--lab", "RY"]) == 0
    assert not (back / "output/lichtman").exists()
    raw = next((back / "source").rglob("*.abf"))
    raw.unlink()
    table = back / "tables/mouse.csv"
    table.write_text(table.read_text().replace("24.50", "26.50"))
    assert main(get) == 0
    assert raw.read_bytes() == published.raw(f"yuste/{DATE}/ephys/raw/e1.abf").read_bytes()
    assert (back / "output/lichtman").exists()
    assert "26.50" in table.read_text()  # what a person changed is not written over
    raw.write_bytes(b"somebody's own")
    capsys.readouterr()
    assert main(get) == 1
    assert "release.occupied" in capsys.readouterr().out
    assert raw.read_bytes() == b"somebody's own"
    assert main(["releases", "get", get_url(published), str(back), "--release", "1.1.0"]) == 2
    assert main(["releases", "get", get_url(published), str(published.root)]) == 2


def test_what_comes_with_other_bytes_gets_no_name(published: Builder, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(get_url(published), tmp_path / "release"))
    raw = next(p for p in copy.rglob("e1.abf"))
    raw.write_bytes(raw.read_bytes()[:-1] + b"\xff")
    back = tmp_path / "back"
    assert main(["releases", "get", str(copy), str(back)]) == 1
    assert not list(back.rglob("e1.abf*"))


def rebuild(release: str, *options: str, zone: str = "UTC", locale: str = "C.UTF-8") -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "neuropress", "releases", "rebuild", release, *options, "--json"]
    environment = {**os.environ, "TZ": zone, "LC_ALL": locale}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "Europe/Berlin")


@pytest.mark.parametrize("round_", range(campaign(2, full=20)))
def test_rebuild_gives_the_same_bytes_in_any_zone_with_any_workers(published: Builder, round_: int) -> None:
    number = ("1.0.0", "1.1.0")[round_ % 2]
    workers = 1 + round_ % 3
    done = rebuild(get_url(published), number, "--workers", str(workers), zone=ZONES[round_ % len(ZONES)])
    assert done.returncode == 0, done.stdout + done.stderr
    states = [r["done"] for r in read_json_lines(done.stdout) if "target" in r]
    assert states == ["equal", "equal", "rebuilt"]


def test_rebuild_needs_nothing_of_the_dataset(published: Builder, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(get_url(published), tmp_path / "elsewhere"))
    hidden = published.root.rename(published.root.with_name("hidden"))
    try:
        assert rebuild(str(copy)).returncode == 0
    finally:
        hidden.rename(published.root)


def test_rebuild_tells_what_differs(published: Builder, tmp_path: Path) -> None:
    """A result that was published is not what the tables of its release say."""
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.session(2)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.ephys(abf(tmp_path / "f.abf", sweeps=2), "20000", number=2, session=2)
    assert main(["convert", str(build.root)]) == 0
    to = ["--to", str(tmp_path / "release")]
    assert main(["publish", str(build.root), *to, "--release", "1.0.0"]) == 0
    build.change("mouse", weight="25.5")  # stands behind both sessions, and only one is published anew
    assert main(["convert", str(build.root)]) == 0
    assert main(["publish", str(build.root), *to, "--release", "1.1.0", "--session", "RY_S_0002"]) == 0
    done = rebuild(str(tmp_path / "release"))
    assert done.returncode == 1
    assert [f["id"] for f in read_json_lines(done.stdout) if f.get("severity") == "error"] == ["rebuild.differs"]
    assert "1 of 2 results are equal" in done.stdout


def test_a_result_compressed_by_another_library_is_compared_decoded(published: Builder, tmp_path: Path) -> None:
    code = (
        "import sys, imagecodecs as ic; real = ic.deflate_encode; ic.deflate_encode = lambda data, level: real(data, 9)\n"
        "from neuropress.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.movie(movie(tmp_path / "m.tif", (60, 50, 40)), (60, 50, 40))
    assert main(["convert", str(build.root)]) == 0
    to = str(tmp_path / "release")
    assert main(["publish", str(build.root), "--to", to, "--release", "1.0.0"]) == 0
    command = [sys.executable, "-c", code, "releases", "rebuild", to, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [r["done"] for r in read_json_lines(done.stdout) if "target" in r] == ["equal when decoded", "rebuilt"]
    assert "rebuild.decoded" in done.stdout


def test_a_release_with_rules_of_another_version_says_so(published: Builder, tmp_path: Path) -> None:
    code = (
        "import sys, neuropress.publishing.restore as r\n"
        "real = r.read_shipped_rules; r.read_shipped_rules = lambda: {**real(), 'imaging.toml': 'revision = 99'}\n"
        "from neuropress.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "releases", "rebuild", get_url(published), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "release.other_rules" in done.stdout
    assert done.returncode == 0
