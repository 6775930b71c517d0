"""What must not leave does not, whatever was remembered of it and whatever may be passed over."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import pytest
from builder import DATE, Builder, abf, movie, slices

from neuropress.cli.main import main
from neuropress.release import read_release

NWB = f"yuste/{DATE}/session/nwb/RY_S_0001.nwb"
RAW = f"yuste/{DATE}/ephys/raw/e1.abf"


@pytest.fixture
def converted(tmp_path: Path) -> Builder:
    """A dataset with one result, which was never verified or validated."""
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    assert main(["convert", str(build.root)]) == 0
    return build


def without_creators(notes: Mapping[str, Any]) -> dict[str, Any]:
    """What the release notes beside the people, whom every release names."""
    return {name: note for name, note in notes.items() if name != "creators"}


def publish(build: Builder, number: str, *options: str) -> int:
    return main(
        ["publish", str(build.root), "--to", str(get_destination(build)), "--release", number, "--json", *options]
    )


def get_destination(build: Builder) -> Path:
    return build.root.parent / "release"


def read_json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def list_refusal_errors(build: Builder, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, list[str]]:
    """Errors of a publication that is refused, by id: the files that they are about."""
    capsys.readouterr()
    assert publish(build, "1.0.0", *options) == 1
    assert not list(get_destination(build).rglob("*"))
    errors: dict[str, list[str]] = {}
    for line in read_json_lines(capsys):
        if line.get("severity") == "error":
            errors.setdefault(line["id"], []).append(line["location"].get("file"))
    return errors


def read_states(build: Builder, capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    capsys.readouterr()
    assert main(["status", str(build.root), "--json"]) == 0
    return {line["target"]: line for line in read_json_lines(capsys) if "target" in line}


def change_sample(path: Path) -> None:
    """Another sample under the receipt that was written for the old one."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) and item.size > 1000 else None
        )
        data = file[names[0]]
        data[(7,) * data.ndim] += 1


@pytest.mark.parametrize("options", [(), ("--allow-errors",)])
def test_a_stale_result_is_not_published(converted: Builder, options: tuple[str, ...], capsys) -> None:
    for verb in ("verify", "validate"):
        assert main([verb, str(converted.root)]) == 0
    converted.change("mouse", weight="25.5")
    assert list_refusal_errors(converted, capsys, *options) == {"publish.stale": [NWB]}
    converted.change("mouse", weight="24.50")
    raw = converted.raw(RAW)
    raw.write_bytes(raw.read_bytes() + b"\0")
    assert "publish.stale" in list_refusal_errors(converted, capsys, *options)


def test_a_result_that_was_never_converted_is_not_left_out_quietly(converted: Builder, capsys) -> None:
    (converted.root / "output" / NWB).unlink()
    assert list_refusal_errors(converted, capsys, "--allow-errors") == {"publish.stale": [NWB]}


@pytest.mark.parametrize("options", [(), ("--allow-errors",)])
@pytest.mark.parametrize("verbs", [(), ("validate",)])
def test_a_result_that_is_not_its_raw_file_is_not_published(converted: Builder, verbs, options, capsys) -> None:
    """Validators find nothing in it: only the comparison with the raw file shows it."""
    change_sample(converted.root / "output" / NWB)
    for verb in verbs:
        assert main([verb, str(converted.root)]) == 0
        assert read_states(converted, capsys)[NWB]["validated"] is True
    assert "verify.different" in list_refusal_errors(converted, capsys, *options)
    assert read_states(converted, capsys)[NWB]["verified"] is False


def test_what_was_verified_only_is_validated_before_it_leaves(tmp_path: Path, capsys) -> None:
    build = Builder(tmp_path / "movies")
    build.session(1)
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16), pixel_size="500")  # nanometres in a column of micrometres
    for verb in ("convert", "verify"):
        assert main([verb, str(build.root)]) == 0
    assert list_refusal_errors(build, capsys).keys() == {"nwb.pixel_size", "publish.errors"}
    now = read_states(build, capsys)[NWB]
    assert (now["verified"], now["validated"]) == (True, False)


def test_a_change_that_leaves_size_and_time_as_they_were_ends_the_proof(converted: Builder, capsys) -> None:
    for verb in ("verify", "validate"):
        assert main([verb, str(converted.root)]) == 0
    path = converted.root / "output" / NWB
    before, bytes_before = path.stat(), path.read_bytes()
    change_sample(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert path.read_bytes() != bytes_before
    now = read_states(converted, capsys)[NWB]
    assert (now["verified"], now["validated"]) == (False, False)
    assert "verify.different" in list_refusal_errors(converted, capsys)


@pytest.mark.parametrize("options", [(), ("--allow-errors",)])
def test_a_result_that_is_a_link_is_not_published(
    converted: Builder, options: tuple[str, ...], tmp_path: Path, capsys
) -> None:
    build = Builder(tmp_path / "volumes")
    build.sem(slices(tmp_path / "v", (3, 20, 20)))
    assert main(["convert", str(build.root)]) == 0
    for verb in ("verify", "validate"):
        assert main([verb, str(build.root)]) == 0
    volume = next((build.root / "output").rglob("*.ome.zarr"))
    shard = next(p for p in (volume / "0/c").rglob("*") if p.is_file())
    shard.rename(tmp_path / "shard")
    shard.symlink_to(tmp_path / "shard")
    errors = list_refusal_errors(build, capsys, *options)
    assert list(errors) == ["result.unsafe"]


def test_waivers_that_were_used_stand_in_the_release(converted: Builder, capsys) -> None:
    converted.row("mouse", mouse_id="RY_M_0002", strain="C57BL/6J", genotype="+/+; +/+")
    header = "finding,row,reason,person,expiry\n"
    used = "mouse.genotype_count,mouse.RY_M_0002,typed twice,Ada Example,29991231\n"
    idle = "mouse.weight,mouse.RY_M_0002,it is a rat,Bob Example,29991231\n"
    assert "mouse.genotype_count" in list_refusal_errors(converted, capsys)
    (converted.root / "waivers.csv").write_text(header + used + idle)
    assert publish(converted, "1.0.0") == 0
    assert without_creators(read_release(str(get_destination(converted))).notes) == {
        "waivers": [
            {
                "finding": "mouse.genotype_count",
                "row": "mouse.RY_M_0002",
                "reason": "typed twice",
                "person": "Ada Example",
                "expiry": "29991231",
            }
        ]
    }


def test_errors_that_were_passed_over_stand_in_the_release(converted: Builder, capsys) -> None:
    converted.row("mouse", mouse_id="RY_M_0002", strain="C57BL/6J", genotype="+/+; +/+")
    assert publish(converted, "1.0.0", "--allow-errors") == 0
    notes = read_release(str(get_destination(converted))).notes
    assert [(e["id"], e["location"]["key"]) for e in notes["errors"]] == [("mouse.genotype_count", "RY_M_0002")]
    assert without_creators(notes).keys() == {"errors"}


def test_an_asset_that_is_gone_is_a_loss_although_no_row_is(converted: Builder, capsys) -> None:
    script = f"yuste/{DATE}/ephys/script/fit.py"
    converted.put(script, b"print(1)\n")
    converted.change("ephys", file_path_script=script)
    assert main(["convert", str(converted.root)]) == 0
    assert publish(converted, "1.0.0") == 0
    assert script in read_release(str(get_destination(converted))).assets
    converted.raw(script).unlink()
    assert publish(converted, "1.1.0") == 1  # the session states a file that is gone
    assert '"publish.stale"' in capsys.readouterr().out
    assert main(["convert", str(converted.root)]) == 0
    capsys.readouterr()
    for options in ((), ("--allow-errors",)):
        assert publish(converted, "1.1.0", *options) == 1
        lines = read_json_lines(capsys)
        assert "publish.loss" in {line["id"] for line in lines if line.get("severity") == "error"}
        assert [line["name"] for line in lines if line.get("what") == "lost"] == [script]
    assert publish(converted, "1.1.0", "--allow-errors", "--accept-loss", script) == 0
    release = read_release(str(get_destination(converted)))
    assert script not in release.assets
    assert release.notes["accepted_losses"] == [script]


def test_a_file_that_a_private_cell_names_is_not_sent(tmp_path: Path, capsys) -> None:
    build = Builder(tmp_path / "ds")
    public, private, local = (
        f"lichtman/{DATE}/sem_dataset/{name}" for name in ("viewer/v.txt", "processed/p.txt", "raw/l.txt")
    )
    for key in (public, private, local):
        build.put(key, key.encode())
    build.sem(
        slices(tmp_path / "v", (3, 20, 20)), file_path_viewer=public, file_path_processed=private, file_path_local=local
    )
    (build.root / "own.toml").write_text(
        'name = "own"\nversion = "1"\nextends = "dendritic-consortium"\n'
        '[tables.sem_dataset]\nprivate = ["...", "file_path_processed"]\n'
    )
    settings = build.root / "neuropress.toml"
    texts = settings.read_text().splitlines()
    settings.write_text("\n".join('profile = "own"' if t.startswith("profile =") else t for t in texts) + "\n")
    assert main(["convert", str(build.root)]) == 0
    assert publish(build, "1.0.0") == 0
    names = read_release(str(get_destination(build))).assets
    assert public in names
    assert private not in names
    assert local not in names
    sent = b"".join(p.read_bytes() for p in get_destination(build).rglob("*") if p.is_file())
    assert public.encode() in sent
    assert private.encode() not in sent
    assert local.encode() not in sent


def test_what_a_publication_proves_and_sends_is_remembered(converted: Builder, capsys) -> None:
    now = read_states(converted, capsys)[NWB]
    assert (now["verified"], now["validated"], now["released"]) == (False, False, None)
    assert publish(converted, "1.0.0", "--dry-run") == 0
    assert {line["done"] for line in read_json_lines(capsys) if line.get("target") == NWB} >= {"verified", "validated"}
    now = read_states(converted, capsys)[NWB]
    assert (now["verified"], now["validated"], now["released"]) == (True, True, None)
    assert publish(converted, "1.0.0") == 0
    (published,) = [line for line in read_json_lines(capsys) if line.get("done") == "published"]
    release = get_destination(converted)
    files = [p for p in release.rglob("*") if p.is_file() and p.relative_to(release).parts[0] != "releases"]
    assert published["objects"] == len(files)
    assert published["bytes"] == sum(p.stat().st_size for p in files)
    assert (published["assets"], published["unchanged"], published["parent"]) == (4, 0, None)
    assert read_states(converted, capsys)[NWB]["released"] == "1.0.0"
    assert publish(converted, "1.1.0") == 0
    (published,) = [line for line in read_json_lines(capsys) if line.get("done") == "published"]
    assert (published["objects"], published["assets"], published["unchanged"], published["parent"]) == (
        0,
        4,
        4,
        "1.0.0",
    )
    converted.change("mouse", weight="25.5")
    assert main(["convert", str(converted.root)]) == 0
    assert read_states(converted, capsys)[NWB]["released"] is None


def test_what_was_validated_already_is_not_validated_again(converted: Builder, monkeypatch) -> None:
    assert main(["validate", str(converted.root)]) == 0
    monkeypatch.setattr("neuropress.results.nwb.file.validate", lambda *_: pytest.fail("was validated"))
    assert publish(converted, "1.0.0") == 0


def test_a_trial_with_errors_tells_what_would_change_and_fails(converted: Builder, capsys) -> None:
    converted.row("mouse", mouse_id="RY_M_0002", strain="C57BL/6J", genotype="+/+; +/+")
    capsys.readouterr()
    assert publish(converted, "1.0.0", "--dry-run") == 1
    lines = read_json_lines(capsys)
    assert ("asset", "added", NWB) in {(line.get("level"), line.get("what"), line.get("name")) for line in lines}
    assert "publish.errors" in {line.get("id") for line in lines}
    assert not get_destination(converted).exists()


def test_errors_of_other_sessions_do_not_withhold_a_selected_one(converted: Builder, tmp_path: Path, capsys) -> None:
    converted.session(2)
    converted.ephys(abf(tmp_path / "f.abf", sweeps=2), "soon", number=2, session=2)
    assert main(["convert", str(converted.root)]) in (0, 1)
    for option in ((), ("--lab", "RY"), ("--session", "RY_S_0002")):
        assert "publish.errors" in list_refusal_errors(converted, capsys, *option), option
    assert publish(converted, "1.0.0", "--session", "RY_S_0001") == 0
    release = read_release(str(get_destination(converted)))
    assert NWB in release.assets
    assert without_creators(release.notes) == {"selected": {"session": ["RY_S_0001"]}}


def test_a_fetched_file_is_on_the_disk_before_it_has_its_name(converted: Builder, tmp_path: Path, monkeypatch) -> None:
    assert publish(converted, "1.0.0") == 0
    synced: set[int] = set()
    real_sync, real_replace = os.fsync, os.replace

    def sync(handle: int) -> None:
        real_sync(handle)
        synced.add(os.fstat(handle).st_ino)

    def replace(source: Path, final: Path) -> None:
        assert os.stat(source).st_ino in synced, final
        real_replace(source, final)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    back = tmp_path / "back"
    assert main(["releases", "get", str(get_destination(converted)), str(back)]) == 0
    for name in (f"output/{NWB}", f"source/{RAW}"):
        assert (back / name).stat().st_ino in synced, name
