"""What is remembered of a result's bytes holds for these bytes and no others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from builder import DATE, Builder, abf, movie

from neuropress import proof as proofs
from neuropress.cli.main import main
from neuropress.model.finding import Problem

NWB = f"yuste/{DATE}/session/nwb/RY_S_0001.nwb"


@pytest.fixture
def made(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    assert main(["convert", str(build.root)]) == 0
    return build


def read_state(build: Builder, capsys: pytest.CaptureFixture[str]) -> tuple[bool, bool]:
    """Whether `status` calls the result verified and validated."""
    capsys.readouterr()
    assert main(["status", str(build.root), "--json"]) == 0
    (outcome,) = [json.loads(x) for x in capsys.readouterr().out.splitlines()]
    return outcome["verified"], outcome["validated"]


def find_proof_file(build: Builder) -> Path:
    (path,) = (build.root / ".neuropress/proofs").iterdir()
    return path


def test_each_verb_remembers_its_own_and_keeps_the_other_s(made: Builder, capsys) -> None:
    assert read_state(made, capsys) == (False, False)
    assert main(["validate", str(made.root)]) == 0
    assert read_state(made, capsys) == (False, True)
    assert main(["verify", str(made.root)]) == 0
    assert read_state(made, capsys) == (True, True)
    assert main(["validate", str(made.root)]) == 0
    assert read_state(made, capsys) == (True, True)


def test_findings_of_the_validators_are_remembered(tmp_path: Path, capsys) -> None:
    build = Builder(tmp_path / "movies")
    build.session(1)
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16), pixel_size="500")
    assert main(["convert", str(build.root)]) == 0
    assert main(["validate", str(build.root)]) == 1
    assert main(["verify", str(build.root)]) == 0
    assert read_state(build, capsys) == (True, False)
    kept = json.loads(find_proof_file(build).read_text())["findings"]
    assert "nwb.pixel_size" in {entry["id"] for entry in kept}
    assert {entry["severity"] for entry in kept} <= {"warning", "error"}


def test_a_raw_file_that_is_no_longer_the_same_ends_the_proof(made: Builder, capsys) -> None:
    assert main(["verify", str(made.root)]) == 0
    raw = made.raw(f"yuste/{DATE}/ephys/raw/e1.abf")
    data = bytearray(raw.read_bytes())
    data[-1] ^= 1
    raw.write_bytes(data)
    assert main(["verify", str(made.root)]) == 1
    assert read_state(made, capsys)[0] is False


def set_part(data: dict, at: int) -> list:
    """The stamp of a proof's only file with size, a time or the inode set to 0."""
    stamp = list(data["files"][0]["stamp"])
    stamp[at] = 0
    return stamp


@pytest.mark.parametrize(
    "change",
    [
        lambda data: {**data, "format": 1},
        lambda data: {**data, "name": "another.nwb"},
        lambda data: {**data, "files": []},
        lambda data: {**data, "files": [{**data["files"][0], "path": "else"}]},
        *(
            lambda data, at=at: {**data, "files": [{**data["files"][0], "stamp": set_part(data, at)}]}
            for at in range(4)
        ),
        lambda data: {k: v for k, v in data.items() if k != "files"},
        lambda data: [data],
        lambda data: "{" * 9,
    ],
)
def test_a_proof_of_other_files_is_none(made: Builder, change, capsys) -> None:
    assert main(["verify", str(made.root)]) == 0
    path = find_proof_file(made)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    assert read_state(made, capsys)[0] is False
    assert main(["verify", str(made.root)]) == 0
    assert read_state(made, capsys)[0] is True


def test_a_result_that_changes_while_it_is_verified_is_not_proven(made: Builder, monkeypatch, capsys) -> None:
    from neuropress.proof import verify

    real = verify.verify_result

    def touching(path: Path, *rest):
        done = real(path, *rest)
        os.utime(path, ns=(0, 0))
        return done

    monkeypatch.setattr(verify, "verify_result", touching)
    assert main(["verify", str(made.root), "--json"]) == 1
    assert "verify.changed" in capsys.readouterr().out
    assert read_state(made, capsys)[0] is False


def test_a_result_that_changes_while_it_is_validated_is_not_remembered(made: Builder, monkeypatch, capsys) -> None:
    from neuropress.results.nwb import file

    real = file.validate

    def touching(path: Path):
        found = real(path)
        os.utime(path, ns=(0, 0))
        return found

    monkeypatch.setattr(file, "validate", touching)
    assert main(["validate", str(made.root)]) == 0
    assert read_state(made, capsys) == (False, False)


def test_every_file_of_a_folder_is_listed_and_nothing_but_files(tmp_path: Path) -> None:
    folder = tmp_path / "v.ome.zarr"
    for name in ("zarr.json", "0/c/0/1", "0/zarr.json"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    names = {name for name, _ in proofs.list_files(folder)}
    assert names == {"zarr.json", "0/c/0/1", "0/zarr.json"}
    digests = proofs.digest_files(folder)
    assert [file.path for file in digests] == sorted(names)
    proof = proofs.Proof(digests)
    assert proof.matches(folder)
    again = folder / "0/c/0/1"
    again.write_text("0/c/0/2")
    changed = proofs.digest_files(folder, proof)
    assert {f.path for f, g in zip(digests, changed, strict=True) if f.sha256 != g.sha256} == {"0/c/0/1"}
    assert not proof.matches(folder)
    (folder / "new").write_text("")
    assert not proofs.Proof(changed).matches(folder)
    (folder / "new").unlink()
    assert proofs.Proof(changed).matches(folder)
    for link in (folder / "0/c/0/link", folder / "0/folder"):
        link.symlink_to(folder / "0/c")
        with pytest.raises(Problem) as caught:
            list(proofs.list_files(folder))
        assert caught.value.finding.id == "result.unsafe"
        link.unlink()
