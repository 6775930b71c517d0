"""Units: in any order, twice, at once, by workers that die or wake up late: the same bytes, or nothing."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builder import Builder, abf, slices
from late import Late

from neuropress.execution import processes
from neuropress.execution.digests import AHEAD, InputDigests
from neuropress.execution.executor import LocalExecutor, write_result
from neuropress.execution.processes import ProcessExecutor, WorkerDied, run_batch
from neuropress.model.finding import Problem, problem
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node, Plan, Target
from neuropress.model.receipt import InputDigest
from neuropress.model.source import Input, SourceRoots
from neuropress.results import KINDS, Request, Seal, Work
from neuropress.results.omezarr import units, volume

LAYOUT = "neuropress.results.omezarr.layout"
SEAL = Seal("1.0", "rows", {"v.tif": InputDigest(3, "ab")})
DATA = np.random.default_rng(1).integers(0, 999, (40, 50, 60)).astype("<u2")


class Raw:
    """Stands for `RawArrays`; `before` is called before each read."""

    rows = 0
    roots = SourceRoots(())

    def __init__(self, data: np.ndarray = DATA, before: Callable[[], object] = lambda: None) -> None:
        self.data, self.before = data, before

    def count_rows(self, spec: ArraySpec) -> int:
        return self.rows

    def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
        self.before()
        return self.data[selection].copy()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny chunks, shards and slabs: a small array has many units and passes."""
    for name, value in {"CHUNKS": ((2, 8), (4, 8)), "SLAB_BYTES": 4096, "SHARD_CHUNKS": 2}.items():
        monkeypatch.setattr(f"{LAYOUT}.{name}", value)


def make_request(path: Path, data: np.ndarray = DATA) -> Request:
    fields = {"multiscales/0/datasets/0/path": Field("0", "t")}
    for i, axis in enumerate("zyx"):
        fields[f"multiscales/0/axes/{i}/name"] = Field(axis, "t")
    place = "multiscales/0/datasets/0/coordinateTransformations/0"
    fields |= {f"{place}/type": Field("scale", "t")} | {f"{place}/scale/{i}": Field(1.0, "t") for i in range(3)}
    spec = ArraySpec("v.tif", "", "pixels", "tiff", data.shape, data.dtype.str, IndexMap.whole(data.shape))
    plan = Plan(Target("ome-zarr", "V", path.name), (Node("/", "Multiscale", fields, {}, {"0": spec}),), (), ())
    return Request(plan, path, SEAL)


def ignore_progress(nbytes: int) -> None:
    pass


def read_tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """What one process writes."""
    (tmp_path / "whole").mkdir()
    write_result(make_request(tmp_path / "whole/v.ome.zarr"), Raw(), LocalExecutor(), ignore_progress)
    return read_tree(tmp_path / "whole/v.ome.zarr")


def prepare_work(path: Path) -> Work:
    work = units.prepare(make_request(path))
    assert work is not None
    return work


@pytest.mark.parametrize("parts", [1, 3, 1000])
def test_units_alone_in_any_order_twice_and_at_once(tmp_path: Path, whole: dict[str, bytes], parts: int) -> None:
    path, choose = tmp_path / "v.ome.zarr", random.Random(parts)
    work, stages = prepare_work(path), 0
    while batches := units.list_pending(work, parts):
        names = [name for batch in batches for name in batch]
        assert len(set(names)) == len(names)
        assert len(batches) >= min(parts, len(names))
        runs: list[tuple[str, ...]] = [(name,) for name in names] + [(name,) for name in names[:5]]
        runs += [tuple(choose.sample(names, min(4, len(names))))]  # no rectangle
        choose.shuffle(runs)
        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(units.run_units, work, run, Raw(), ignore_progress) for run in runs]:
                future.result()
        stages += 1
    assert stages > 1
    volume.finish(make_request(path), work, Raw(), ignore_progress)
    assert read_tree(path) == whole


def test_a_batch_reads_every_page_once(tmp_path: Path) -> None:
    seen = np.zeros(DATA.shape, int)

    class Counting(Raw):
        def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
            seen[selection] += 1
            return super().read(spec, selection)

    write_result(make_request(tmp_path / "v.ome.zarr"), Counting(), LocalExecutor(), ignore_progress)
    assert (seen == 1).all()


def test_work_is_small_and_plain(tmp_path: Path) -> None:
    import json

    work = prepare_work(tmp_path / "v.ome.zarr")
    assert json.loads(json.dumps(work.task)) == work.task
    (batch, *_) = units.list_pending(work, 1000)
    assert len(pickle.dumps((run_batch, work, batch, SourceRoots((tmp_path,))))) < 2000


def run_late(work: Work, after: int) -> Late:
    (batch, *_) = units.list_pending(work, 1)
    return Late(lambda before: units.run_units(work, batch, Raw(before=before), ignore_progress), after)


@pytest.mark.parametrize("after", [0, 1])
def test_a_late_worker_does_not_touch_what_was_finished_without_it(
    tmp_path: Path, whole: dict[str, bytes], after: int
) -> None:
    path = tmp_path / "v.ome.zarr"
    late = run_late(prepare_work(path), after)
    write_result(make_request(path), Raw(), LocalExecutor(), ignore_progress)
    assert isinstance(late.wake(), FileNotFoundError)
    assert read_tree(path) == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v.ome.zarr", "whole"]


@pytest.mark.parametrize("after", [0, 1])
def test_a_late_worker_of_another_plan_fails(tmp_path: Path, after: int) -> None:
    """Another file lies under the same name by now: what was read from the old one must not come in."""
    path, other = tmp_path / "v.ome.zarr", DATA + 1
    late = run_late(prepare_work(path), after)
    newer = replace(make_request(path), seal=replace(SEAL, stamps="of another file"))
    work = units.prepare(newer)
    assert work is not None
    assert isinstance(late.wake(), FileNotFoundError)
    while batches := units.list_pending(work, 1):
        LocalExecutor().run_units(work, batches, Raw(other), ignore_progress)  # type: ignore[arg-type]
    volume.finish(newer, work, Raw(), ignore_progress)
    with volume.open_arrays(path) as arrays:
        np.testing.assert_array_equal(arrays["/0"][tuple(slice(0, n) for n in DATA.shape)], other)


def test_a_late_worker_of_the_same_plan_leaves_its_units_whole_or_fails(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    path = tmp_path / "v.ome.zarr"
    late = run_late(prepare_work(path), 1)
    work = prepare_work(path)  # clears unfinished shards away
    assert isinstance(late.wake(), FileNotFoundError)
    while batches := units.list_pending(work, 1):
        LocalExecutor().run_units(work, batches, Raw(), ignore_progress)
    volume.finish(make_request(path), work, Raw(), ignore_progress)
    assert read_tree(path) == whole


def test_a_late_writer_of_a_session_does_not_give_another_file_the_name(tmp_path: Path) -> None:
    import nwb_example as example

    from neuropress.results.nwb import file as nwb

    path, waiting, go_on = tmp_path / "RY_S_0001.nwb", threading.Event(), threading.Event()

    class Slow(example.Memory):
        def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
            waiting.set()
            assert go_on.wait(60)
            return super().read(spec, selection)

    asked = Request(example.make_example_plan(), path, example.SEAL)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(nwb.finish, asked, None, Slow(), ignore_progress)
        assert waiting.wait(60)
        (left,) = tmp_path.iterdir()
        left.unlink()  # as a new run does with what a killed one left
        path.write_bytes(b"of the new run")
        go_on.set()
        assert isinstance(late.exception(), FileNotFoundError)
    assert [p.name for p in tmp_path.iterdir()] == ["RY_S_0001.nwb"]
    assert path.read_bytes() == b"of the new run"


def kill_yourself(progress: Callable[[int], None]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def count_to(number: int, progress: Callable[[int], None]) -> int:
    for n in range(number):
        progress(n)
    return number


def sleep_a_little(progress: Callable[[int], None]) -> str:
    time.sleep(0.3)
    return "slept"


def raise_problem(progress: Callable[[int], None]) -> None:
    raise problem("file.changed", "it changed", file="x.tif")


class Unsendable(Exception):
    def __init__(self, one: object, two: object) -> None:
        super().__init__(f"{one} and {two}")


def raise_unsendable(progress: Callable[[int], None]) -> None:
    raise Unsendable("this", threading.Lock())


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL here")
def test_a_worker_that_dies_fails_its_call_only() -> None:
    reported: list[int] = []
    with ProcessExecutor(2) as workers:
        calls = [workers.submit(kill_yourself, progress=ignore_progress) for _ in range(2)]
        others = [workers.submit(count_to, 5, progress=reported.append) for _ in range(4)]
        assert [type(call.exception()) for call in calls] == [WorkerDied, WorkerDied]
        assert [call.result() for call in others] == [5] * 4
        assert sorted(reported) == sorted([*range(5)] * 4)
        with pytest.raises(Problem) as caught:
            workers.submit(raise_problem, progress=ignore_progress).result()
        assert (caught.value.finding.id, caught.value.finding.location.file) == ("file.changed", "x.tif")
        with pytest.raises(RuntimeError, match="Unsendable: this and"):
            workers.submit(raise_unsendable, progress=ignore_progress).result()


def test_the_end_waits_for_what_is_under_way_and_leaves_no_process() -> None:
    with ProcessExecutor(2) as workers:
        assert workers.submit(count_to, 1, progress=ignore_progress).result() == 1
        call = workers.submit(sleep_a_little, progress=ignore_progress)
        while not call.running():
            time.sleep(0.01)
        processes = [worker.process for worker in workers._all]
    assert call.done()
    assert call.result() == "slept"
    assert processes
    assert not any(process.is_alive() for process in processes)


def test_nobody_gets_the_answer_to_a_call_that_was_broken_off() -> None:
    def stop(nbytes: int) -> None:
        raise OSError("nobody listens any more")

    with ProcessExecutor(1) as workers:
        with pytest.raises(OSError, match="nobody listens"):
            workers.submit(count_to, 5, progress=stop).result()
        assert workers.submit(count_to, 3, progress=ignore_progress).result() == 3


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """A dataset with two results: a session, and a volume of several units (worker processes know no tiny chunks)."""
    monkeypatch.undo()
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.sem(slices(tmp_path / "v", (600, 70, 66)))
    return build


def results(build: Builder) -> dict[str, bytes]:
    return {name: data for name, data in read_tree(build.root / "output").items() if not name.endswith("records.jsonl")}


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL here")
def test_a_killed_worker_costs_its_units_and_the_next_run_continues(
    lab: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lab.dataset.convert().ok
    expected = results(lab)
    shutil.rmtree(lab.root / "output")
    shutil.rmtree(lab.root / ".neuropress")
    call, victims = processes._Worker.call, []

    def call_and_kill(self: Any, function: Any, arguments: Any, progress: Any) -> Any:
        if function is run_batch and not victims:
            victims.append(self.process)
            self.process.kill()
        return call(self, function, arguments, progress)

    monkeypatch.setattr(processes._Worker, "call", call_and_kill)
    report = lab.dataset.convert(workers=2)
    assert len(victims) == 1
    assert {o.done for o in report.outcomes} == {"converted", "failed"}
    assert "machine.failed" in [f.id for o in report.outcomes for f in o.findings]
    (partial,) = (lab.root / "output").rglob("*.partial")
    assert any('"unit"' in journal.read_text() for journal in partial.rglob("*.jsonl"))
    reported: list[int] = []
    assert lab.dataset.convert(workers=2, progress=reported.append).ok
    assert sum(reported) == 600 * 70 * 66
    assert results(lab) == expected


DEAD_WORKERS = """
import gc, os
from neuropress.execution import processes

call = processes._Worker.call

def kill_and_call(worker, *arguments):
    worker.process.kill()
    worker.process.join()
    return call(worker, *arguments)

def ask(executor):
    failed = [executor.submit(os.getpid, progress=print).exception()]
    raise failed[0]  # this frame, the list and the traceback are a cycle

if __name__ == "__main__":
    processes._Worker.call = kill_and_call
    with processes.ProcessExecutor(1) as executor:
        for _ in range(3):
            try:
                ask(executor)
            except processes.WorkerDied as died:
                print(died)
            gc.collect()
"""


def test_what_dead_workers_leave_is_collected_without_a_crash(tmp_path: Path) -> None:
    script = tmp_path / "dead.py"
    script.write_text(DEAD_WORKERS)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "a worker process died (out of memory, or killed)\n" * 3


def test_kinds_with_units_name_a_module_that_has_them() -> None:
    for kind in KINDS.values():
        if kind.units:
            module = kind.load_units()
            assert all(callable(getattr(module, name)) for name in ("prepare", "list_pending", "run_units"))


def test_a_worker_that_lays_the_volume_out_in_another_way_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = prepare_work(tmp_path / "v.ome.zarr")
    (batch, *_) = units.list_pending(work, 1)
    monkeypatch.setattr(f"{LAYOUT}.SHARD_CHUNKS", 4)
    with pytest.raises(OSError, match="another version"):
        units.run_units(work, batch, Raw(), ignore_progress)


def test_digests_are_taken_beside_the_work_and_not_far_ahead() -> None:
    first, second, read = threading.Event(), threading.Event(), []

    def take(touched: Input, before_read: Callable[[int], None]) -> InputDigest:
        before_read(0)
        read.append(touched.key)
        (first if touched.key == "a" else second).set()
        before_read(touched.size)
        return InputDigest(touched.size, touched.key)

    files = [Input("a", 2 * AHEAD, 0), Input("b", 5, 0), Input("c", 5, 0)]
    digests = InputDigests(take, files, 100)
    assert first.wait(60)
    assert not second.wait(0.05)
    digests.advance(60)
    assert second.wait(60)
    assert list(digests) == ["a", "b", "c"]
    assert digests["c"] == InputDigest(5, "c")
    digests.close()
    waiting = InputDigests(take, files, 100)
    assert waiting["c"] == InputDigest(5, "c")  # whoever needs one does not wait for the work
    waiting.close()
    stopped = InputDigests(take, files, 100)
    stopped.close()
