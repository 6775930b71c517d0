"""Parts of one run: in any order, at once, killed, late and half blind: the bytes of a single run, or nothing."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builder import Builder, slices
from campaigns import campaign
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from late import Late
from shared_lab import clear, make_lab, take_digests
from test_units import DATA, LAYOUT, Raw, ignore_progress, make_request, read_tree

from neuropress.cli.main import main
from neuropress.execution.executor import LocalExecutor, write_result
from neuropress.execution.parts import write_share
from neuropress.model.finding import Problem
from neuropress.model.run_part import RunPart
from neuropress.results.omezarr import parts, units, volume
from neuropress.results.omezarr.staging import Staging
from neuropress.storage.shared_lock import lock_part, note_begin, note_end
from neuropress.storage.state import keep_run_token, lock_dataset

PIXELS = DATA[:9, :17, :20]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_units(monkeypatch)


def shrink_units(patch: pytest.MonkeyPatch) -> None:
    """Tiny chunks, shards and slabs: a small array has many units and passes. Nothing waits for the disk."""
    for name, value in {"CHUNKS": ((2, 4), (4, 4)), "SLAB_BYTES": 4096, "SHARD_CHUNKS": 2, "UNIT": 8}.items():
        patch.setattr(f"{LAYOUT}.{name}", value)
    patch.setattr("neuropress.results.durable.sync_path", lambda path: None)
    patch.setattr("os.fsync", lambda handle: None)


@contextmanager
def have_lock() -> Iterator[bool]:
    yield True


def run_part(path: Path, part: RunPart, try_lock: Any = have_lock) -> str:
    return write_share(make_request(path, PIXELS), Raw(PIXELS), part, try_lock, lambda: None, ignore_progress)


def write_whole(path: Path) -> dict[str, bytes]:
    path.parent.mkdir()
    write_result(make_request(path, PIXELS), Raw(PIXELS), LocalExecutor(), ignore_progress)
    return read_tree(path)


@pytest.mark.parametrize("count", [1, 3, 7, 64])
def test_shares_are_all_units_once_and_nearly_equal(tmp_path: Path, small: None, count: int) -> None:
    work = units.prepare(make_request(tmp_path / "v.ome.zarr", PIXELS))
    assert work is not None
    known = sorted(name for batch in units.list_pending(work, 1) for name in batch)
    shares = [[n for b in parts.list_share(work, RunPart(k, count)) for n in b] for k in range(1, count + 1)]
    assert sorted(name for share in shares for name in share) == known
    longest_row = 3
    assert max(map(len, shares)) <= -(-len(known) // count) + longest_row
    for share in shares:  # neighbours: no group of pages is in more parts than it must be
        assert [known.index(name) for name in share] == sorted(known.index(name) for name in share)


def test_parts_in_any_order_make_the_bytes_of_one_run(tmp_path: Path, small: None) -> None:
    whole = write_whole(tmp_path / "whole/v.ome.zarr")
    for number, order in enumerate([(1, 2, 3), (3, 1, 2), (2, 3, 1), (2, 2, 1, 3, 3)]):
        path = tmp_path / f"{number}/v.ome.zarr"
        path.parent.mkdir()
        said = [run_part(path, RunPart(k, 3)) for k in order]
        assert not said[-1]
        assert "units are left to other parts" in said[0]
        assert read_tree(path) == whole
        assert [p.name for p in path.parent.iterdir()] == ["v.ome.zarr"]


class Steps:
    """Lets threads go one step at a time, in an order that is drawn; between steps they see each other late.

    A step ends before each rename, each look at journals and each look for a folder, which is where another process
    may come in between.
    """

    def __init__(self, choose: random.Random, count: int) -> None:
        self._choose, self._turn = choose, threading.Condition()
        self._waiting: set[int] = set()
        self._running = count
        self._next: int | None = None
        self._names: dict[int, int] = {}
        self._seen: dict[int, dict[Any, Any]] = {}
        self.is_blind = True

    def enter(self, number: int) -> None:
        self._names[threading.get_ident()] = number

    def pause(self) -> None:
        number = self._names.get(threading.get_ident())
        if number is None:
            return
        with self._turn:
            self._waiting.add(number)
            self._pick()
            assert self._turn.wait_for(lambda: self._next == number, 60)
            self._waiting.discard(number)
            self._next = None

    def leave(self) -> None:
        with self._turn:
            self._running -= 1
            self._names.pop(threading.get_ident())
            self._pick()

    def _pick(self) -> None:
        if self._waiting and len(self._waiting) == self._running and self._next is None:
            self._next = self._choose.choice(sorted(self._waiting))
            self._turn.notify_all()

    def look(self, see: Callable[[], dict[Any, Any]], folder: str) -> dict[Any, Any]:
        """What a thread sees in the journals: as they are, or what it saw there before, with what it did itself."""
        self.pause()
        number = self._names.get(threading.get_ident())
        if number is None or not self.is_blind:
            return see()
        if self._choose.random() < 0.5:
            self._seen[number] = see()
        return self._seen.get(number, {})

    def is_late(self) -> bool:
        self.pause()
        return self.is_blind and threading.get_ident() in self._names and self._choose.random() < 0.3


def watch_steps(patch: pytest.MonkeyPatch, steps: Steps) -> None:
    """Have the code of parts stop where another process may come in between, and see late."""
    read_done, is_begun = Staging.read_done, Staging.is_begun
    patch.setattr(Staging, "read_done", lambda self: steps.look(lambda: read_done(self), str(self.folder)))
    patch.setattr(Staging, "is_begun", lambda self: not steps.is_late() and is_begun(self))
    for owner, name in ((Staging, "keep_shards"), (Staging, "record_units"), (Staging, "close")):
        patch.setattr(owner, name, pausing(getattr(owner, name), steps))
    for name in ("replace_folder", "rename_durably", "remove_path"):
        patch.setattr(f"neuropress.results.durable.{name}", pausing(getattr(parts.durable, name), steps))
    is_finished = parts.is_finished
    patch.setattr(parts, "is_finished", lambda request: not steps.is_late() and is_finished(request))


def pausing(function: Callable[..., Any], steps: Steps) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        steps.pause()
        return function(*arguments)

    return call


@settings(max_examples=campaign(3, 300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), with_locks=st.booleans())
def test_parts_that_see_each_other_late_spoil_no_byte(
    tmp_path_factory: pytest.TempPathFactory, seed: int, with_locks: bool
) -> None:
    """Parts, and a part twice as if it had been sent again, interleaved at every step; also where no lock works."""
    folder, choose = tmp_path_factory.mktemp("late"), random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        shrink_units(patch)
        patch.setattr("neuropress.execution.parts.PATIENCE", 0.0)
        whole = write_whole(folder / "whole/v.ome.zarr")
        path = folder / "parts/v.ome.zarr"
        path.parent.mkdir()
        numbers = [1, 2, 3, choose.choice((1, 2, 3))]
        steps, lock = Steps(choose, len(numbers)), threading.Lock()

        @contextmanager
        def try_lock() -> Iterator[bool]:
            is_held = lock.acquire(blocking=False) if with_locks else True
            try:
                yield is_held
            finally:
                if with_locks and is_held:
                    lock.release()

        def run(thread: int, number: int) -> str:
            steps.enter(thread)
            try:
                return run_part(path, RunPart(number, 3), try_lock)
            except (OSError, Problem, RuntimeError) as error:  # at worst it does not even see what it did itself
                return str(error)
            finally:
                steps.leave()

        watch_steps(patch, steps)
        with ThreadPoolExecutor(len(numbers)) as pool:
            said = [call.result() for call in [pool.submit(run, *item) for item in enumerate(numbers)]]
        if path.exists():
            assert read_tree(path) == whole, said
        steps.is_blind = False
        for number in (1, 2, 3):  # sent again, as they are where something was left
            said.append(run_part(path, RunPart(number, 3)))
    assert read_tree(path) == whole, said
    assert [p.name for p in path.parent.iterdir()] == ["v.ome.zarr"], said


def run_late(path: Path, part: RunPart, after: int) -> Late:
    request = make_request(path, PIXELS)
    return Late(
        lambda before: write_share(request, Raw(PIXELS, before), part, have_lock, lambda: None, ignore_progress), after
    )


@pytest.mark.parametrize("after", [0, 2])
def test_a_part_that_wakes_up_when_all_is_finished_fails_and_spoils_nothing(
    tmp_path: Path, small: None, after: int
) -> None:
    whole = write_whole(tmp_path / "whole/v.ome.zarr")
    path = tmp_path / "parts/v.ome.zarr"
    path.parent.mkdir()
    late = run_late(path, RunPart(2, 3), after)
    said = [run_part(path, RunPart(number, 3)) for number in (1, 2, 3)]
    assert not said[-1]
    assert isinstance(late.wake(), FileNotFoundError)
    assert read_tree(path) == whole
    assert [p.name for p in path.parent.iterdir()] == ["v.ome.zarr"]


def test_a_part_that_comes_when_all_is_finished_leaves_it_alone(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "parts/v.ome.zarr"
    whole = write_whole(path)
    before = {p: p.stat().st_ino for p in path.rglob("*")}
    assert run_part(path, RunPart(1, 2)) == ""
    seen = iter([False, False])  # it sees the volume late
    is_finished = parts.is_finished
    monkeypatch.setattr(parts, "is_finished", lambda request: next(seen, None) is None and is_finished(request))
    assert run_part(path, RunPart(1, 2)) == ""
    assert read_tree(path) == whole
    metadata = ("zarr.json", "METADATA.ome.xml")
    assert {p: p.stat().st_ino for p in path.rglob("*") if p.name not in metadata} == {
        p: inode for p, inode in before.items() if p.name not in metadata
    }
    assert [p.name for p in path.parent.iterdir()] == ["v.ome.zarr"]


def test_a_changed_cell_rewrites_the_metadata_once(tmp_path: Path, small: None) -> None:
    path = tmp_path / "parts/v.ome.zarr"
    write_whole(path)
    request = make_request(path, PIXELS)
    request = replace(request, seal=replace(request.seal, rows="of a changed cell"))
    before = {p: p.stat().st_ino for p in path.rglob("*") if p.is_file()}
    root = path / "zarr.json"
    inodes = []
    for number in (2, 1):
        assert not write_share(request, Raw(PIXELS), RunPart(number, 2), have_lock, lambda: None, ignore_progress)
        inodes.append(root.stat().st_ino)
    assert "of a changed cell" in root.read_text("ascii")
    assert inodes[0] == inodes[1] != before[root]
    kept = {p: inode for p, inode in before.items() if p != root and p.parent.name != "OME"}
    assert {p: p.stat().st_ino for p in kept} == kept
    assert [p.name for p in path.parent.iterdir()] == ["v.ome.zarr"]


def test_what_a_run_of_another_plan_left_is_begun_anew(tmp_path: Path, small: None) -> None:
    whole = write_whole(tmp_path / "whole/v.ome.zarr")
    path = tmp_path / "parts/v.ome.zarr"
    path.parent.mkdir()
    other = make_request(path, PIXELS + 1)
    assert write_share(other, Raw(PIXELS + 1), RunPart(1, 2), have_lock, lambda: None, ignore_progress)  # left undone
    (partial,) = path.parent.iterdir()
    journals = [p for p in partial.iterdir() if p.name.startswith("units-")]
    journals[0].rename(partial / "units-of-another-plan")
    assert run_part(path, RunPart(1, 2))
    assert not run_part(path, RunPart(2, 2))
    assert read_tree(path) == whole


def test_only_parts_of_the_same_plan_share_the_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuropress.storage.shared_lock.PATIENCE", 0.1)
    state = tmp_path / ".neuropress"
    with lock_part(state, RunPart(1, 3), "plan"):
        with lock_part(state, RunPart(2, 3), "plan"):
            pass
        for part, plan, why in ((RunPart(2, 3), "other", "another plan"), (RunPart(1, 3), "plan", "at work already")):
            with pytest.raises(Problem, match=why) as caught, lock_part(state, part, plan):
                pass
            assert caught.value.finding.id == "dataset.locked"
        with pytest.raises(Problem, match="is in use by"), lock_dataset(state, "convert"):
            pass
    with lock_dataset(state, "convert"), pytest.raises(Problem, match="neuropress convert"):  # noqa: SIM117
        with lock_part(state, RunPart(1, 3), "plan"):
            pass
    with lock_part(state, RunPart(2, 3), "other"):
        pass


def test_the_last_part_knows_that_it_is(tmp_path: Path) -> None:
    with lock_part(tmp_path / ".neuropress", RunPart(1, 2), "plan"):
        assert not note_end(tmp_path / ".neuropress", RunPart(1, 2))
        assert note_end(tmp_path / ".neuropress", RunPart(2, 2))
        note_begin(tmp_path / ".neuropress", RunPart(1, 2))
        assert not note_end(tmp_path / ".neuropress", RunPart(2, 2))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Builder, dict[str, str]]:
    return make_lab(tmp_path_factory.mktemp("lab"))


def test_a_dataset_in_parts_is_the_same_tree(
    lab: tuple[Builder, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    build, expected = lab
    clear(build.root)
    first = build.dataset.convert(part="2/2")
    assert first.ok
    (waiting,) = [outcome for outcome in first.outcomes if outcome.done == "waiting"]
    assert "1 of 2 units are left" in waiting.why
    assert "left to other parts whole" in first.note
    assert not (build.root / "output/records.jsonl").exists()
    assert main(["convert", str(build.root), "--part", "1/2"]) == 0
    assert "convert: " in capsys.readouterr().out
    assert take_digests(build.root) == expected
    assert all(outcome.done == "up to date" for outcome in build.dataset.convert().outcomes)
    assert take_digests(build.root) == expected


def start(root: Path, part: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "neuropress", "convert", str(root), "--part", part]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def volume_lab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Builder, dict[str, str]]:
    """A dataset with a volume alone, whose processes start in half the time."""
    folder = tmp_path_factory.mktemp("volume")
    build = Builder(folder / "ds")
    build.sem(slices(folder / "v", (520, 40, 36)))
    assert build.dataset.convert().ok
    return build, take_digests(build.root)


@pytest.mark.parametrize("seed", range(campaign(1, 50)))
def test_a_part_that_is_killed_and_sent_again_leaves_the_same_tree(
    volume_lab: tuple[Builder, dict[str, str]], seed: int
) -> None:
    build, expected = volume_lab
    clear(build.root)
    choose = random.Random(seed)
    running = [start(build.root, part) for part in ("1/2", "2/2")]
    victim = choose.randrange(2)
    time.sleep(choose.uniform(0.3, 3.0))
    running[victim].kill()
    for process in running:
        process.wait()
    again = start(build.root, f"{victim + 1}/2")
    assert again.wait() == 0
    assert running[1 - victim].returncode == 0
    assert take_digests(build.root) == expected


def test_a_worker_of_a_run_that_has_ended_gives_no_result_its_name(tmp_path: Path) -> None:
    with keep_run_token(tmp_path) as token:
        token.check()
        with keep_run_token(tmp_path) as newer:  # of a run after one that was killed
            newer.check()
            with pytest.raises(Problem) as caught:
                token.check()
    assert caught.value.finding.id == "dataset.locked"
    assert not list(tmp_path.iterdir())


def test_a_part_is_k_of_n(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("0/3", "4/3", "1", "a/b", "1/0", "-1/2"):
        with pytest.raises(SystemExit) as caught:
            main(["convert", ".", "--part", text])
        assert caught.value.code == 2
        assert "--part" in capsys.readouterr().err


def test_the_staging_of_parts_is_no_result_that_nobody_asked_for(lab: tuple[Builder, dict[str, str]]) -> None:
    build, expected = lab
    clear(build.root)
    assert [f.id for f in build.dataset.convert(part="1/2").findings if f.id == "result.stray"] == []
    assert build.dataset.convert().ok  # a run that is not in parts goes on with what lies there
    assert take_digests(build.root) == expected


def test_pixels_are_those_of_the_source(tmp_path: Path, small: None) -> None:
    path = tmp_path / "v.ome.zarr"
    for number in (2, 1):
        run_part(path, RunPart(number, 2))
    with volume.open_arrays(path) as arrays:
        np.testing.assert_array_equal(arrays["/0"][tuple(slice(0, n) for n in PIXELS.shape)], PIXELS)
