"""Has the raw objects of a result read once more by other libraries, each in a child process with limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO, Any

from ..model.budget import SECOND_READER_BYTES, SECOND_READER_RATE, SECOND_READER_SECONDS
from ..model.finding import Finding, finding
from ..model.provenance import Provenance
from ..model.serial import from_json, to_json
from ..model.source import SourceRoots
from ..results import detect_kind
from ..storage.remote import BucketPath, ResultPath
from . import SecondReader, SecondReading, list_second_readers

_FINDINGS = {
    "differs": "independent.different",
    "library wrong": "independent.library_wrong",
    "cannot read": "independent.unreadable",
}
COPY_BYTES = 8 * 2**20


def read_independently(path: ResultPath, roots: SourceRoots) -> tuple[tuple[SecondReading, ...], tuple[Finding, ...]]:
    """Compare a result with what libraries that share no code with our readers make of its raw files.

    Parameters
    ----------
    path
        A result that was verified: its raw files are those that it was made from.

    Returns
    -------
    tuple
        A reading for each raw object and library; and a finding for each that is not mere agreement.

    Raises
    ------
    Problem
        ``result.unreadable``; a raw file that is gone.
    """
    made = detect_kind(path).load().read_provenance(path)
    formats = {array.spec.source: array.spec.format for array in made.receipt.arrays.values()}

    def takes(reader: SecondReader, key: str) -> bool:
        return reader.takes(key, formats.get(key, ""), lambda key: roots.locate(key).head())

    unseconded = [key for key in made.receipt.sources if not any(takes(one, key) for one in list_second_readers())]
    findings = [_make_unseconded_finding(path, key, formats.get(key)) for key in unseconded]
    readings: list[SecondReading] = []
    with TemporaryDirectory(prefix="neuropress-") as scratch:
        for reader in list_second_readers():
            keys = [key for key in formats if takes(reader, key)]
            places = {key: _find_place(key, made, roots, Path(scratch)) for key in keys}
            readings += _run_library(reader, path, places)
    for one in readings:
        if one.verdict in _FINDINGS:
            message = f"{one.source}: {one.library} {one.version} {_VERDICTS[one.verdict]}: {'; '.join(one.reasons)}"
            findings.append(finding(_FINDINGS[one.verdict], message, file=one.source))
    return tuple(readings), tuple(findings)


_VERDICTS = {
    "differs": "reads something else",
    "library wrong": "is known to be wrong",
    "cannot read": "cannot read it",
}


def _make_unseconded_finding(path: ResultPath, key: str, format: str | None) -> Finding:
    what = f"the format {format}" if format else f"what {path.name} holds of it"
    return finding("independent.none", f"{key}: there is no second reader for {what}", file=key)


def _find_place(key: str, made: Provenance, roots: SourceRoots, scratch: Path) -> Path:
    """Where the raw object lies on this machine; an object of a bucket is copied with all that was read beside it."""
    source = roots.locate(key)
    local = source.root.path(key.rstrip("/"))
    if local is not None:
        return local
    for name in made.receipt.inputs:
        copy = scratch / name
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            with roots.locate(name).open() as file, copy.open("wb") as out:
                while piece := file.read(COPY_BYTES):
                    out.write(piece)
    return scratch / key


def _run_library(reader: SecondReader, result: ResultPath, places: Mapping[str, Path]) -> Iterator[SecondReading]:
    """One child for all raw objects; where it dies or hangs, that object could not be read and another one goes on."""
    waiting = dict(places)
    while waiting:
        done = list(_run_child(reader, result, waiting))
        yield from done
        for reading in done:
            waiting.pop(reading.source, None)


def _run_child(reader: SecondReader, result: ResultPath, places: Mapping[str, Path]) -> Iterator[SecondReading]:
    """Readings as they come; the last one says how the child ended, if it did not end well. Never none."""
    request = {
        "reader": to_json(reader),
        "result": result.to_json() if isinstance(result, BucketPath) else str(result.resolve()),
        "sources": {key: str(place) for key, place in places.items()},
        "memory": SECOND_READER_BYTES,
    }
    command = [sys.executable, "-m", f"{__package__}.worker"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as child:
        try:
            yield from _listen(child, reader, request, places)
        finally:
            child.kill()


def _listen(
    child: subprocess.Popen[bytes], reader: SecondReader, request: Mapping[str, Any], places: Mapping[str, Path]
) -> Iterator[SecondReading]:
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    lines: Queue[bytes] = Queue()
    errors: list[bytes] = []
    Thread(target=_collect_lines, args=(child.stdout, lines), daemon=True).start()
    listener = Thread(target=_collect_errors, args=(child.stderr, errors), daemon=True)
    listener.start()
    try:
        child.stdin.write(json.dumps(request).encode() + b"\n")
        child.stdin.close()
    except BrokenPipeError:
        pass  # it died at once: what it said stands in `errors`
    remaining = dict(places)
    while remaining:
        current = next(iter(remaining))  # the child takes them in this order
        seconds = _allow_seconds(places[current])
        try:
            line = lines.get(timeout=seconds)
        except Empty:
            yield _make_failed(reader, current, f"it took more than {seconds:.0f} s")
            return
        if not line:
            child.wait()
            listener.join(1)
            yield _make_failed(reader, current, _describe_end(child.returncode, b"".join(errors)))
            return
        del remaining[current]
        yield from_json(SecondReading, json.loads(line))


def _collect_lines(stream: IO[bytes], lines: Queue[bytes]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(b"")


def _collect_errors(stream: IO[bytes], errors: list[bytes]) -> None:
    """The last of what the library complains about; the pipe must not fill up."""
    for line in stream:
        errors.append(line)
        del errors[:-20]


def _allow_seconds(place: Path) -> float:
    """What reading one raw object may take, by its size."""
    files = [place] if place.is_file() else [file for file in place.iterdir() if file.is_file()]
    return SECOND_READER_SECONDS + sum(file.stat().st_size for file in files) / SECOND_READER_RATE


def _describe_end(status: int, errors: bytes) -> str:
    said = errors.decode("utf-8", "replace").strip().splitlines()
    ended = f"its process ended by signal {-status}" if status < 0 else f"its process ended with status {status}"
    return f"{ended}{f' ({said[-1][:300]})' if said else ''}"


def _make_failed(reader: SecondReader, key: str, reason: str) -> SecondReading:
    return SecondReading(key, reader.name, reader.version, "cannot read", reasons=(reason,))
