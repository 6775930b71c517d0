"""Threads share one arena of the allocator, and memory that was freed goes back."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from neuropress.model.allocator import release_memory, share_arena

if sys.argv[1] == "shared":
    share_arena()
c = ctypes.CDLL(None)
c.malloc.restype = c.fopen.restype = ctypes.c_void_p
c.malloc.argtypes = [ctypes.c_size_t]
c.free.argtypes = [ctypes.c_void_p]
c.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
c.fclose.argtypes = [ctypes.c_void_p]
start = threading.Barrier(8)

def work():
    start.wait()
    for _ in range(200):
        c.malloc(5000)
    start.wait()

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
out = c.fopen(sys.argv[2].encode(), b"w")
c.malloc_info(0, out)
c.fclose(out)

def read_resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

blocks = [c.malloc(50_000) for _ in range(1000)]
for block in blocks:
    ctypes.memset(block, 1, 50_000)
for block in blocks[:-1]:  # the last one keeps the heap from shrinking by itself
    c.free(block)
before = read_resident()
release_memory()
print(open(sys.argv[2]).read().count("<heap "), (before - read_resident()) // 2**20)
"""


def is_glibc() -> bool:
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


@pytest.mark.skipif(not is_glibc(), reason="only glibc has arenas")
def test_threads_share_an_arena_and_freed_pages_go_back(tmp_path: object) -> None:
    def run(how: str) -> tuple[int, int]:
        command = [sys.executable, "-c", PROGRAM, how, f"{tmp_path}/{how}.xml"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        heaps, released = map(int, done.stdout.split())
        return heaps, released

    heaps, released = run("shared")
    assert heaps == 1
    assert released > 40  # MiB
    assert run("plain")[0] > 1


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuropress.model.allocator import release_memory, reuse_freed_memory, share_arena

    for library in (object(), None):
        monkeypatch.setattr(ctypes, "CDLL", lambda name, library=library: library)
        share_arena()
        reuse_freed_memory()
        release_memory()


CHURN = """
import resource, sys
import numpy as np
from neuropress.model.allocator import reuse_freed_memory

if sys.argv[1] == "reused":
    reuse_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    np.ones(1 << 19, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not is_glibc(), reason="only glibc has these settings")
def test_a_thrifty_environment_does_not_have_buffers_mapped_again_and_again() -> None:
    faults = {}
    for how in ("as set", "reused"):
        done = subprocess.run(
            [sys.executable, "-c", CHURN, how],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"},  # as Dask starts its workers
        )
        faults[how] = int(done.stdout)
    assert faults["reused"] < faults["as set"] / 4
