"""What happens beside a run: raw files, locks and folders that change, links that lie in wait, journals that lie."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builder import Builder, abf, movie, slices
from campaigns import campaign

import neuropress
from neuropress.cli.main import main
from neuropress.model.finding import Problem
from neuropress.model.plan import digest
from neuropress.model.source import Input, SourceRoots
from neuropress.results.omezarr import staging
from neuropress.storage.roots import Folder
from neuropress.storage.state import DigestCache, StateFile, write_atomic
from neuropress.verbs.watch import Watch

LAYOUT = "neuropress.results.omezarr.layout"


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16))
    build.sem(slices(tmp_path / "v"))
    return build


def results(lab: Builder) -> list[Path]:
    return [*(lab.root / "output").rglob("*.nwb"), *(lab.root / "output").rglob("*.ome.zarr")]


def change(path: Path, *, keep_time: bool) -> None:
    """Another bit in the middle of a file; its size, and if asked its modification time, as they were."""
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("keep_time", [False, True])
@pytest.mark.parametrize("which", ["ephys/raw/e1.abf", "image/raw/m1.tif", "sem_dataset/raw/v1/s_4.tif"])
def test_a_raw_file_that_changes_meanwhile_is_not_called_converted(lab: Builder, which: str, keep_time: bool) -> None:
    (raw,) = [p for p in (lab.root / "source").rglob("*") if p.as_posix().endswith(which)]
    kind = ".ome.zarr" if "sem" in which else ".nwb"
    seen: list[int] = []

    def progress(nbytes: int) -> None:
        seen.append(nbytes)
        change(raw, keep_time=keep_time)

    report = lab.dataset.convert(progress=progress)
    assert seen
    (bad,) = [o for o in report.outcomes if o.target.endswith(kind)]
    assert bad.done == "withheld"
    assert "file.changed" in [f.id for f in bad.findings]
    assert not [p for p in results(lab) if p.name.endswith(kind)]


def test_a_changed_file_is_digested_again_whatever_its_time_says(tmp_path: Path) -> None:
    cache, path = DigestCache(tmp_path), tmp_path / "raw"
    path.write_bytes(b"a" * 1000)
    before = cache.get_file_digest(path)
    change(path, keep_time=True)
    assert cache.get_file_digest(path) != before


def test_digests_of_several_processes_are_kept_and_lines_that_are_none_cost_time_only(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abcd"]
    caches = [DigestCache(tmp_path / "state") for _ in paths]
    for path, cache in zip(paths, caches, strict=True):
        path.write_bytes(path.name.encode())
        cache.get_file_digest(path)
        cache.save()
    file = tmp_path / "state/digests.jsonl"
    file.write_bytes(file.read_bytes()[:-20])  # the last one died while it wrote
    for left in (["d"], []):
        read: list[str] = []
        cache = DigestCache(tmp_path / "state")
        for path in paths:
            cache.get_file_digest(path, lambda nbytes, name=path.name, read=read: read.append(name))
        cache.save()
        assert sorted(set(read)) == left


def test_what_is_saved_grows_with_what_is_new_and_is_rewritten_where_most_of_it_is_old(tmp_path: Path) -> None:
    path, file = tmp_path / "raw", tmp_path / "state/digests.jsonl"
    for number in range(120):
        path.write_bytes(b"x" * number)
        cache = DigestCache(tmp_path / "state")
        assert cache.get_file_digest(path).size == number
        cache.save()
    assert len(file.read_text().splitlines()) < 40  # rewritten after a hundred
    (tmp_path / "other").write_text("as it was")
    file.unlink()
    file.symlink_to(tmp_path / "other")
    cache = DigestCache(tmp_path / "state")
    cache.get_file_digest(path)
    cache.save()
    assert (tmp_path / "other").read_text() == "as it was"
    assert DigestCache(tmp_path / "state").get_file_digest(path).size == 119


def test_an_input_that_is_not_the_planned_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(b"a" * 10)
    stat, roots = path.stat(), SourceRoots((Folder(tmp_path),))

    def watch() -> Watch:
        return Watch(DigestCache(tmp_path), {}, None, lambda: roots)

    planned = Input("raw", 10, stat.st_mtime_ns)
    assert watch().remember(roots, [planned]) == watch().remember(roots, [planned])
    for other in (Input("raw", 9, stat.st_mtime_ns), Input("raw", 10, stat.st_mtime_ns - 1)):
        with pytest.raises(Problem) as caught:
            watch().remember(roots, [other])
        assert caught.value.finding.id == "file.changed"


def test_deleting_the_state_folder_meanwhile_lets_no_second_writer_in(lab: Builder) -> None:
    statuses: list[int] = []

    def progress(nbytes: int) -> None:
        if not statuses:
            shutil.rmtree(lab.root / ".neuropress")
            statuses.append(main(["convert", str(lab.root)]))

    assert lab.dataset.convert(progress=progress).ok
    assert statuses == [1]
    assert len(results(lab)) == 2


@pytest.mark.skipif(os.name == "nt", reason="an open lock cannot be deleted here")
@pytest.mark.parametrize("replaced", [False, True])
def test_a_lock_that_was_deleted_meanwhile_stops_the_run(lab: Builder, replaced: bool) -> None:
    lock = lab.root / ".neuropress.lock"

    def progress(nbytes: int) -> None:
        lock.unlink(missing_ok=True)
        if replaced:
            (lab.root / "other").touch()
            (lab.root / "other").replace(lock)

    report = lab.dataset.convert(progress=progress)
    assert "dataset.locked" in [f.id for o in report.outcomes for f in o.findings]
    assert results(lab) == []


@pytest.mark.parametrize("verb", ["convert", "publish"])
@pytest.mark.parametrize("how", ["link", "file", "lock is a link"])
def test_something_else_in_the_place_of_the_state_is_told(
    lab: Builder, tmp_path: Path, how: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state, other = lab.root / ".neuropress", tmp_path / "other"
    other.mkdir()
    (other / "kept").write_text("as it was")
    if how == "link":
        state.symlink_to(other)
    elif how == "file":
        state.write_text("in the way")
    else:
        (lab.root / ".neuropress.lock").symlink_to(other / "kept")
    more = ["--to", str(tmp_path / "rel"), "--release", "1.0.0"] if verb == "publish" else []
    assert main([verb, str(lab.root), *more]) == 2
    assert "move it away" in capsys.readouterr().err
    assert [p.name for p in other.iterdir()] == ["kept"]
    assert (other / "kept").read_text() == "as it was"


@pytest.mark.parametrize("verb", ["check", "plan", "status", "verify", "validate"])
def test_a_link_in_the_place_of_the_state_is_written_through_by_no_verb(
    lab: Builder, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "other").mkdir()
    (lab.root / ".neuropress").symlink_to(tmp_path / "other")
    assert main([verb, str(lab.root)]) == 0
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.parametrize("text", ["[]", "5", '"x"', "[" * 90_000, '{"a": ' * 9000, "{", "\xff"])
@pytest.mark.parametrize("name", ["digests.jsonl", "verified.json", "released.json", "holder.json"])
def test_a_memory_of_any_shape_is_as_none(lab: Builder, name: str, text: str) -> None:
    (lab.root / ".neuropress").mkdir()
    (lab.root / ".neuropress" / name).write_text(text, "latin-1")
    assert StateFile(lab.root / ".neuropress" / name).data == {}
    assert main(["status", str(lab.root)]) in (0, 1)


def test_entries_of_any_shape_in_a_memory_are_as_none(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(lab.root)]) == 0
    digests = lab.root / ".neuropress/digests.jsonl"
    names = [json.loads(line)[0] for line in digests.read_text().splitlines() if line]
    for entry in (5, None, [], {}, "x", [1, 2], [1, 2, 3, 4, None], {"release": 5}, {"fingerprint": 1}):
        more = entry if isinstance(entry, list) else [entry]
        digests.write_text("".join(f"{json.dumps([name, *more])}\n" for name in names) + json.dumps(entry))
        for name in ("verified.json", "released.json"):
            path = lab.root / ".neuropress" / name
            known = json.loads(path.read_text()) if path.is_file() else {}
            keys = known or {p.relative_to(lab.root / "output").as_posix(): 0 for p in results(lab)}
            path.write_text(json.dumps(dict.fromkeys(keys, entry)))
        assert main(["status", str(lab.root)]) == 0
        assert main(["verify", str(lab.root)]) == 0
    assert "internal.error" not in capsys.readouterr().out


LEFT = ("nwb.partial", "ome.zarr.partial", "ome.zarr.old")


@pytest.mark.parametrize("what", ["file", "folder", "nowhere"])
@pytest.mark.parametrize("left", LEFT)
def test_a_link_under_a_temporary_name_is_not_followed(lab: Builder, tmp_path: Path, left: str, what: str) -> None:
    assert main(["convert", str(lab.root)]) == 0
    wanted = {p.name: p for p in results(lab)}
    other = tmp_path / "other"
    if what == "folder":
        other.mkdir()
        (other / "kept").write_text("as it was")
    elif what == "file":
        other.write_text("as it was")
    for path in wanted.values():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        if path.name.endswith(left.rpartition(".")[0]):
            path.with_name(path.name + "." + left.rpartition(".")[2]).symlink_to(other)
    assert main(["convert", str(lab.root)]) == 0
    assert {p.name for p in results(lab)} == set(wanted)
    assert main(["verify", str(lab.root)]) == 0
    kept = {"folder": other / "kept", "file": other}.get(what)
    assert kept is None or kept.read_text() == "as it was"
    assert other.exists() == (what != "nowhere")
    assert not [p for p in (lab.root / "output").rglob("*") if p.is_symlink()]


def test_a_link_under_the_temporary_name_of_metadata_is_not_followed(lab: Builder, tmp_path: Path) -> None:
    assert main(["convert", str(lab.root)]) == 0
    (volume,) = (lab.root / "output").rglob("*.ome.zarr")
    other = tmp_path / "other"
    other.write_text("as it was")
    (volume / "zarr.json.tmp").symlink_to(other)
    lab.change("mouse", strain="other")
    assert main(["convert", str(lab.root)]) == 0
    assert other.read_text() == "as it was"
    assert main(["verify", str(lab.root)]) == 0


def test_small_files_are_written_through_no_link(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("as it was")
    (tmp_path / f"x.json.{os.getpid()}.partial").symlink_to(other)
    write_atomic(tmp_path / "x.json", "{}")
    assert (other.read_text(), (tmp_path / "x.json").read_text()) == ("as it was", "{}")


@pytest.mark.parametrize("place", ["", "yuste", "yuste/20250620/session/nwb", "lichtman"])
def test_an_output_folder_that_is_a_link_is_not_written_through(
    lab: Builder, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    link = lab.root / "output" / place
    if not place:
        link.rmdir()
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "other")
    assert main(["convert", str(lab.root)]) == (1 if place else 0)  # output itself may be a link
    assert ("output.occupied" in capsys.readouterr().out) == bool(place)
    assert bool(list((tmp_path / "other").iterdir())) == (not place)


def test_a_result_that_is_a_link_is_not_written_through(lab: Builder, tmp_path: Path) -> None:
    assert main(["convert", str(lab.root)]) == 0
    for path in results(lab):
        shutil.move(path, tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    lab.change("mouse", strain="other")
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if not p.is_relative_to(lab.root)}
    assert main(["convert", str(lab.root)]) == 1
    assert {p: p.stat().st_mtime_ns for p in kept} == kept


def interrupt(lab: Builder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stop the volume after some blocks; its ``.partial`` folder."""
    record_units, recorded = staging.Staging.record_units, []

    def stop(self: staging.Staging, units: dict[staging.UnitKey, staging.Digests]) -> None:
        record_units(self, units)
        recorded.extend(units)
        if len(recorded) > 1:
            raise OSError("the disk went away")

    with monkeypatch.context() as patch:
        patch.setattr(staging.Staging, "record_units", stop)
        assert main(["convert", str(lab.root)]) == 3
    (partial,) = (lab.root / "output").rglob("*.ome.zarr.partial")
    return partial


LINES: tuple[bytes, ...] = (
    b"", b"\n", b"null\n", b"[]\n", b"{}\n", b"[" * 90_000 + b"\n", b'{"plan": 5}\n', b"\xff\xff\n", b'{"a":' * 9000 + b"\n",
)  # fmt: skip
ENTRIES: tuple[object, ...] = (
    None, [], {}, {"unit": "0/0.0.0"}, {"unit": "9/0.0.0", "digests": {}}, {"unit": "0/9.0.0", "digests": {}},
    {"unit": "0/0.0.0", "digests": {}}, {"unit": "0/0", "digests": {"0": []}}, {"unit": "0/-1.0.0", "digests": {}},
    {"unit": "0/0.0.0", "digests": []}, {"unit": "../../x", "digests": {"0": 5}}, {"unit": 5, "digests": {"0": 5}},
    {"unit": "0/0.0.0", "digests": {"0": ["zz"], "1": ["00"]}}, {"unit": "-1/0.0.0", "digests": {"x": 1}},
)  # fmt: skip


def spoil(partial: Path, choose: random.Random, other: Path) -> None:
    """Do something to an unfinished volume that no neuropress does."""
    (path,) = partial.rglob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    signed = [{**entry, "sum": digest(entry)} for entry in ENTRIES if isinstance(entry, dict)]
    entries = [json.dumps(entry).encode() + b"\n" for entry in (*ENTRIES, *signed)]
    content = bytearray(path.read_bytes())
    content[choose.randrange(len(content))] = choose.randrange(256)
    files = [p for p in partial.rglob("*") if p.is_file() and p != path]
    deeds: list[Callable[[], object]] = [
        lambda: path.write_bytes(choose.choice(LINES)),
        lambda: path.write_bytes(lines[0] + choose.choice((*LINES, *entries))),
        lambda: path.write_bytes(b"".join(lines) + choose.choice((*LINES, *entries))),
        lambda: path.write_bytes(content),
        lambda: path.write_bytes(b"".join(reversed(lines))),
        lambda: (path.unlink(), path.mkdir()),
        lambda: (path.unlink(), path.symlink_to(other)),
        lambda: (shutil.rmtree(partial), partial.write_bytes(b"x")),
        lambda: (shutil.rmtree(partial), partial.symlink_to(other)),
        lambda: (partial / "foreign").write_bytes(b"x"),
        lambda: (partial / "0/foreign").mkdir(),
        lambda: choose.choice(files).unlink(),
        lambda: (
            shutil.move(partial / "0", other.parent / "moved"),
            (partial / "0").symlink_to(other.parent / "moved"),
        ),
        lambda: (partial / "0/c/0/0/9").symlink_to(other),
        lambda: os.mkfifo(partial / "0/pipe"),
        lambda: os.mkfifo(path.with_name("x.jsonl")),
        lambda: path.with_name("x.tmp").write_bytes(b"of a worker that was killed"),
        lambda: path.parent.rename(path.parent.with_name("units-other")),
        lambda: path.parent.rename(path.parent.with_name("units-done")),
    ]
    choose.choice(deeds)()


@pytest.mark.parametrize("seed", range(campaign(25)))
def test_whatever_was_done_to_an_unfinished_volume_it_is_written(
    lab: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    for name, value in {"CHUNKS": ((4, 4), (8, 8)), "SHARD_CHUNKS": 2, "SLAB_BYTES": 600}.items():
        monkeypatch.setattr(f"{LAYOUT}.{name}", value)
    partial = interrupt(lab, monkeypatch)
    other = tmp_path / "other"
    other.write_text("as it was")
    spoil(partial, random.Random(seed), other)
    assert main(["convert", str(lab.root)]) == 0
    assert main(["verify", str(lab.root)]) == 0
    (volume,) = (lab.root / "output").rglob("*.ome.zarr")
    assert not partial.exists()
    assert not [p for p in volume.rglob("*") if p.is_symlink() or p.suffix == ".tmp" or "foreign" in p.name]
    assert other.read_text() == "as it was"


def test_a_folder_that_only_looks_finished_is_written_anew(lab: Builder) -> None:
    assert main(["convert", str(lab.root)]) == 0
    (volume,) = (lab.root / "output").rglob("*.ome.zarr")
    partial = volume.with_name(volume.name + ".partial")
    volume.rename(partial)
    (partial / "foreign").write_bytes(b"x")
    next(p for p in (partial / "0/c").rglob("*") if p.is_file()).unlink()
    assert main(["convert", str(lab.root)]) == 0
    assert main(["verify", str(lab.root)]) == 0
    assert np.all([p.name != "foreign" for p in volume.rglob("*")])


def test_an_unfinished_file_that_another_run_took_away_is_a_finding(lab: Builder) -> None:
    def progress(nbytes: int) -> None:
        for left in (lab.root / "output").rglob("*.nwb.*.partial"):
            left.unlink()

    report = neuropress.open(lab.root).convert(progress=progress)
    assert [one.id for one in report.errors] == ["dataset.locked"]
    assert report.exit_status == 1
    assert not list((lab.root / "output").rglob("*.nwb"))
