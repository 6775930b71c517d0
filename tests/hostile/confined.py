"""Strangers' input as a process meets it: 2 GB of memory, 30 seconds a verb, every file that it opens on record."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

resource = pytest.importorskip("resource", reason="limits of memory are set with it")

MEMORY = 2 << 30
SECONDS = 30
STRACE = shutil.which("strace")
QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

_CALL = re.compile(r'^\d+\s+(execve|open|openat|openat2|creat)\((?:[^",]+, )?"((?:[^"\\]|\\.)*)"(.*?)\)? = (-?\d+)')
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")


def _confine() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


DRIVER = """
import contextlib, io, json, signal, sys
from neuropress.cli.main import main
outcomes = []
for verb in json.loads(sys.argv[2]):
    out = io.StringIO()
    signal.alarm(int(sys.argv[1]))
    with contextlib.redirect_stdout(out):
        status = main(verb)
    signal.alarm(0)
    outcomes.append([verb, status, out.getvalue()[:50_000]])
print(json.dumps(outcomes))
"""


def run_verbs(
    verbs: list[list[str]], scratch: Path, trace: Path | None = None, **environment: str
) -> list[tuple[list[str], int, str]]:
    """Carry out verbs of the command line, one after the other in one process.

    Parameters
    ----------
    scratch
        Where its temporary files go.
    trace
        Where strace notes every file that is opened and every program that is started.

    Returns
    -------
    list
        Verb, exit status and standard output of each; none of them failed with a traceback, ran out of
        memory or took longer than `SECONDS`.
    """
    scratch.mkdir(exist_ok=True)
    strace = (STRACE, "-f", "-qq", "-e", "trace=open,openat,openat2,creat,execve", "-o", str(trace)) if trace else ()
    done = subprocess.run(
        [*(part for part in strace if part), sys.executable, "-c", DRIVER, str(SECONDS), json.dumps(verbs)],
        env={**os.environ, **QUIET, "TMPDIR": str(scratch), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        preexec_fn=_confine,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS * (len(verbs) + 1),
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == 0, (done.returncode, done.stderr[-3000:])
    outcomes = [(verb, status, out) for verb, status, out in json.loads(done.stdout)]
    for verb, status, out in outcomes:
        assert status in (0, 1, 2), (verb, status, out[-2000:])
        assert "internal.error" not in out, (verb, out[-2000:])
        assert "Traceback" not in out, (verb, out[-2000:])
    return outcomes


def trespasses(trace: Path, own: Path) -> list[str]:
    """What a traced process did that it should not: files written that are not below `own`, programs started."""
    found, started = [], 0
    for line in trace.read_text("utf-8", "replace").splitlines():
        call = _CALL.match(line)
        if call is None or int(call[4]) < 0:
            continue
        name, path, flags = call[1], Path(call[2]), call[3]
        if name == "execve":
            started += path.name != "uname"  # which the standard library's `platform` asks
            found += [line] if started > 1 else []
        elif name == "creat" or _WRITES.search(flags):
            elsewhere = path.is_absolute() and path.parts[1] not in ("dev", "proc") and not path.is_relative_to(own)
            found += [line] if elsewhere else []
    assert started, "nothing was traced"
    return found
