"""A program of others, run with limits: of time, of what it says, and of what it gets to know."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import IO

from ..model.budget import SHOWN_CHARS

_PIECE = 1 << 16
_ERRORS = 1 << 16
"""Bytes of complaints that are kept, the last ones."""
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "COMSPEC", "PATHEXT")
"""Variables that a program gets. Not all: it needs no key of a bucket or an archive, and may log what it has."""
_PASSWORD = re.compile(r"(?<=://)[^\s/@]+@")
_TOKEN = re.compile(r"(?i)\b((?:[a-z_]*(?:token|password|passwd|secret|api_?key))\s*[=:]\s*)\S+")


class ProcessError(Exception):
    """Why a program gave nothing that could be used, in words."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and what it wrote."""

    status: int
    out: bytes
    errors: bytes

    def describe_errors(self) -> str:
        """The last line of its complaints, without secrets."""
        lines = self.errors.decode("utf-8", "replace").strip().splitlines() or ["it says nothing"]
        return hide_secrets(lines[-1].strip())[:SHOWN_CHARS]


def hide_secrets(text: str) -> str:
    """A text without passwords in addresses and without tokens."""
    return _TOKEN.sub(r"\1***", _PASSWORD.sub("***@", text))


def run_limited(
    command: Sequence[str],
    seconds: float,
    most_bytes: int,
    environment: Mapping[str, str],
    *,
    everything: bool = False,
) -> Ended:
    """Run a command to its end; it and all that it starts are killed where it goes beyond a limit.

    Parameters
    ----------
    seconds, most_bytes
        What it may take, and what it may write to standard output.
    environment
        Variables that are added.
    everything
        Pass on our whole environment and the home folder (pip has its settings there), Python's own variables apart.

    Raises
    ------
    ProcessError
        It cannot be started, or a limit was reached; the text names it.
    """
    with TemporaryDirectory(prefix="neuropress-tool-", ignore_cleanup_errors=True) as scratch:
        given = {k: v for k, v in os.environ.items() if (everything or k in _PASSED_ON) and k not in _PYTHON}
        if not everything:
            given |= {"HOME": scratch, "USERPROFILE": scratch}
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=given | dict(environment),
                cwd=scratch,
                start_new_session=os.name != "nt",
            )
        except OSError as error:
            raise ProcessError(f"{command[0]} cannot be started: {error.strerror or error}") from error
        return _listen(child, seconds, most_bytes)


_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV")


def _listen(child: subprocess.Popen[bytes], seconds: float, most_bytes: int) -> Ended:
    assert child.stdout is not None
    assert child.stderr is not None
    out, errors, flooded = bytearray(), bytearray(), Event()
    threads = [
        Thread(target=_collect, args=(child.stdout, out, most_bytes, child, flooded), daemon=True),
        Thread(target=_keep_end, args=(child.stderr, errors), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        raise ProcessError(f"it took more than {seconds:.0f} s and was stopped") from None
    finally:
        _kill(child)
        for thread in threads:
            thread.join(5)
    if flooded.is_set():
        raise ProcessError(f"it wrote more than {most_bytes} bytes and was stopped")
    return Ended(child.returncode, bytes(out), bytes(errors))


def _collect(
    stream: IO[bytes], kept: bytearray, most_bytes: int, child: subprocess.Popen[bytes], flooded: Event
) -> None:
    with stream:
        while piece := stream.read1(_PIECE):  # type: ignore[attr-defined]
            kept += piece
            if len(kept) > most_bytes:
                flooded.set()
                _kill(child)
                return


def _keep_end(stream: IO[bytes], kept: bytearray) -> None:
    with stream:
        while piece := stream.read1(_PIECE):  # type: ignore[attr-defined]
            kept += piece
            del kept[:-_ERRORS]


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a program and what it started, which would hold the pipes open; that it is gone already is fine."""
    try:
        if os.name == "nt":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    child.wait()
