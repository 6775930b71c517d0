"""Releases that somebody crafted: nothing outside their folder is opened or written, and each ends with a finding."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builder import Builder, abf
from confined import STRACE, run_verbs, trespasses

from neuropress.cli.main import main
from neuropress.model.plan import canonical

SECRET = "the content of a file that is none of its business"
VERBS = (
    ("export-tables", "{url}", "--to", "{out}"),
    ("releases", "list", "{url}"),
    ("releases", "verify", "{url}"),
    ("releases", "verify", "{url}", "--deep"),
    ("releases", "get", "{url}", "{out}"),
    ("releases", "rebuild", "{url}"),
    ("releases", "diff", "{url}", "1.0.0", "1.0.0"),
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    build = Builder(root / "ds")
    build.session(1)
    build.ephys(abf(root / "e.abf"), "20000")
    assert main(["convert", str(build.root)]) == 0
    assert main(["publish", str(build.root), "--to", str(root / "release"), "--release", "1.0.0"]) == 0
    return root / "release"


def rewrite(folder: Path, change: Callable[[dict], None]) -> None:
    """Change the release manifest, in the canonical form that neuropress demands."""
    path = folder / "releases/1.0.0.json"
    document = json.loads(path.read_text())
    change(document)
    data = f"{canonical(document)}\n"
    path.write_text(data)
    (folder / "releases/next/root.json").write_text(data)


def _entry(document: dict, kind: str) -> dict:
    return next(entry for entry in document["assets"].values() if entry["kind"] == kind)


def _key(key: str) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, secret: Path) -> None:
        rewrite(folder, lambda document: _entry(document, "nwb").update(key=key.format(secret=secret)))

    return spoil


def _name(name: str) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, secret: Path) -> None:
        def change(document: dict) -> None:
            old = next(n for n, entry in document["assets"].items() if entry["kind"] == "raw")
            document["assets"][name] = document["assets"].pop(old)

        rewrite(folder, change)

    return spoil


def _link(folder: Path, secret: Path) -> None:
    path = next(folder.rglob("RY_S_0001.nwb"))
    path.unlink()
    path.symlink_to(secret)


def _linked_folder(folder: Path, secret: Path) -> None:
    part = folder / "dataset/RY"
    shutil.copytree(part, secret.parent / "RY")
    shutil.rmtree(part)
    part.symlink_to(secret.parent / "RY")


def _linked_table(folder: Path, secret: Path) -> None:
    path = folder / "dataset/RY/tables/mouse.csv"
    path.unlink()
    path.symlink_to(secret)


def _pipe(folder: Path, secret: Path) -> None:
    path = next(folder.rglob("e1.abf"))
    path.unlink()
    os.mkfifo(path)


def _manifest(line: str) -> Callable[[Path, Path], None]:
    """A part whose manifest names a path outside."""

    def spoil(folder: Path, secret: Path) -> None:
        import hashlib

        data = line.encode() + b"\n"
        sha256 = hashlib.sha256(data).hexdigest()
        (folder / f"releases/manifests/{sha256}.jsonl").write_bytes(data)
        key = f"releases/manifests/{sha256}.jsonl"
        rewrite(folder, lambda document: _entry(document, "dataset").update(sha256=sha256, manifest=key))

    return spoil


def _text(name: str, data: bytes) -> Callable[[Path, Path], None]:
    return lambda folder, secret: (folder / name).write_bytes(data) and None


DIGEST = "0" * 64
CASES: dict[str, Callable[[Path, Path], None]] = {
    "key above": _key("../secret.txt"),
    "key absolute": _key("{secret}"),
    "key with dots": _key("yuste/../../secret.txt"),
    "key backslash": _key("..\\secret.txt"),
    "name above": _name("../written.txt"),
    "name absolute": _name("/tmp/neuropress-was-here"),
    "link": _link,
    "linked folder": _linked_folder,
    "linked table": _linked_table,
    "pipe": _pipe,
    "manifest path above": _manifest(f'{{"path":"../../../secret.txt","sha256":"{DIGEST}","size":1}}'),
    "manifest no text": _manifest('{"path":1,"sha256":[],"size":"x"}'),
    "manifest deep": _manifest("[" * 50_000),
    "release deep": _text("releases/1.0.0.json", b"[" * 500_000),
    "release list": _text("releases/1.0.0.json", b"[]"),
    "release null": _text("releases/1.0.0.json", b'{"format":1,"assets":null,"parent":7}'),
    "part deep": _text("dataset/RY/part.json", b'{"a":' * 200_000),
    "table no table": _text("dataset/RY/tables/mouse.csv", b'"' * 1_000_001),
}


@pytest.mark.parametrize("case", CASES)
def test_a_crafted_release_ends_with_a_finding(case: str, release: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(release, tmp_path / "place" / "release"))
    secret = tmp_path / "place" / "secret.txt"
    secret.write_text(SECRET)
    CASES[case](folder, secret)
    before = {p: p.lstat().st_mtime_ns for p in tmp_path.rglob("*")}
    trace = tmp_path / "out.trace" if STRACE else None
    verbs = [[part.format(url=folder, out=tmp_path / f"out{n}") for part in verb] for n, verb in enumerate(VERBS)]
    outcomes = run_verbs(verbs, tmp_path / "out.scratch", trace)
    for verb, status, out in outcomes:
        assert status in (0, 1), (verb, status)
        assert SECRET not in out, verb
    assert not any(SECRET in p.read_text(errors="replace") for p in tmp_path.glob("out*/**/*") if p.is_file())
    assert not (trace and trespasses(trace, tmp_path))
    assert any(status for _, status, _ in outcomes), "no verb found anything"
    after = {
        p: p.lstat().st_mtime_ns for p in tmp_path.rglob("*") if not p.relative_to(tmp_path).parts[0].startswith("out")
    }
    assert after == before
    assert not Path("/tmp/neuropress-was-here").exists()


def test_a_digest_that_is_none_is_no_release(release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(shutil.copytree(release, tmp_path / "release"))
    rewrite(folder, lambda document: _entry(document, "raw").update(sha256="0" * 63))
    assert main(["releases", "verify", str(folder)]) == 1
    assert "release.unreadable" in capsys.readouterr().out


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
@pytest.mark.parametrize("case", ["key above", "link", "linked folder", "linked table", "manifest path above"])
def test_what_lies_outside_is_never_opened(case: str, release: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(release, tmp_path / "place" / "release"))
    secret = tmp_path / "place" / "secret.txt"
    secret.write_text(SECRET)
    CASES[case](folder, secret)
    trace = tmp_path / "trace"
    verbs = [[part.format(url=folder, out=tmp_path / f"out{n}") for part in verb] for n, verb in enumerate(VERBS)]
    run_verbs(verbs, tmp_path / "scratch", trace)
    opened = [line for line in trace.read_text(errors="replace").splitlines() if "ENOENT" not in line]
    assert not [line for line in opened if str(secret) in line or f"{secret.parent}/RY" in line]
