"""Fragments of neuroconv: made by the interface in a scratch folder, kept as long as all that they follow from."""

from __future__ import annotations

import atexit
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from ...model.budget import JSON_BYTES, read_file
from ...model.finding import Problem, problem
from ...model.parsing import parse_json
from ...model.plan import canonical
from ...model.source import BeforeRead, Source, Stamp, check_key, no_wait
from ...tools.neuroconv import identify_run, is_answer, run_interface

PATHS = ("path", "paths", "path_list", "nsx_override")
"""How arguments end that are paths; the driver has the same."""
PICKLES = (".pickle", ".pkl", ".pck", ".p", ".joblib")
"""Files that are nothing but pickles; those in other files are noticed by the driver."""
_COPY_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Made:
    """A fragment that an interface made.

    Attributes
    ----------
    path
        The fragment.
    answer
        What the driver said of the run.
    withheld
        Names of files that were not handed to the interface.
    """

    path: Path
    answer: Mapping[str, Any]
    withheld: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _MadeRoot:
    """The one file of a fragment, as a root that has it under the key of its raw object."""

    path_made: Path
    name: str = "what neuroconv exported"

    def holds(self, key: str) -> bool:
        """Whether the fragment is still there."""
        return self.path_made.is_file()

    def stamp(self, key: str) -> Stamp:
        """The stamp of the fragment."""
        known = self.path_made.stat()
        return known.st_size, known.st_mtime_ns, known.st_ctime_ns, known.st_ino

    def members(self, folder: str) -> tuple[str, ...]:
        """None: it is no folder."""
        return ()

    def files(self, folder: str) -> tuple[str, ...]:
        """None: it is no folder."""
        return ()

    def open(self, key: str) -> io.RawIOBase:
        """The fragment, to be read."""
        return io.FileIO(self.path_made)

    def path(self, key: str) -> Path:
        """Where the fragment lies."""
        return self.path_made

    def sha256(self, key: str, before_read: BeforeRead = no_wait) -> str:
        """SHA-256 (hex) of the fragment."""
        with self.path_made.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def open_made(source: Source, made: Made) -> Source:
    """A fragment as a source of its own, under the key of its raw object."""
    return Source(source.key, _MadeRoot(made.path))


def make_fragment(source: Source, options: Mapping[str, Any]) -> Made:
    """The fragment of a raw object: the one that is kept if all that it follows from is as it was, else a new one.

    Raises
    ------
    Problem
        ``neuroconv.*``, ``tool.*``; a file that is missing, or named outside of the roots.
    """
    if options.get("trust") and not source.is_trusted:
        message = f"{source.key}: its result says that it was trusted, and no settings here do"
        raise problem("neuroconv.untrusted", message, file=source.key)
    keys, withheld = _list_files(source, options)
    stamps = {key: source.stamp(key) for key in keys}
    folder = _find_folder(source)
    own = hashlib.sha256(source.key.encode()).hexdigest()[:16]
    asked = [dict(options), identify_run(str(options["interface"])), sorted(stamps.items())]
    path = folder / f"{own}-{hashlib.sha256(canonical(asked).encode()).hexdigest()[:16]}.nwb"
    answer = _read_kept(path)
    if answer is None:
        nbytes = sum(stamp[0] for stamp in stamps.values())
        answer = _make(source, options, keys, path, nbytes)
        for old in folder.glob(f"{own}-*"):
            if old.stem != path.stem:
                old.unlink(missing_ok=True)
    return Made(path, answer, withheld)


def _find_folder(source: Source) -> Path:
    """Where fragments are kept; without a dataset until this process ends."""
    folder = source.scratch
    if folder is None or folder.is_symlink() or folder.parent.is_symlink():
        return _make_temporary_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a dataset that may only be read
        return _make_temporary_folder()
    return folder


@cache
def _make_temporary_folder() -> Path:
    folder = Path(mkdtemp(prefix="neuropress-fragments-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _read_kept(path: Path) -> Mapping[str, Any] | None:
    """What was said of a fragment that is still as it was made; None where there is none."""
    with suppress(OSError, ValueError):
        known = parse_json(read_file(path.with_suffix(".json"), JSON_BYTES))
        stamp = path.stat()
        if isinstance(known, dict) and known.get("file") == [stamp.st_size, stamp.st_mtime_ns]:
            return known["answer"] if is_answer(known.get("answer")) else None
    return None


def _list_files(source: Source, options: Mapping[str, Any]) -> tuple[list[str], tuple[str, ...]]:
    """Keys of all that the interface gets, and names of what it does not get for want of trust.

    A file comes with those beside it whose names begin as its own does (``run.ap.bin``, ``run.ap.meta``), a folder
    with all that is in it, and both with what arguments name.
    """
    if source.is_folder:
        keys = set(source.list_keys())
    else:
        stem = source.name.partition(".")[0] if "." in source.name.lstrip(".") else source.name
        folder = source.key.removesuffix(source.name)
        names = source.root.members(folder.rstrip("/"))
        keys = {source.key, *(folder + name for name in names if name.startswith((f"{stem}.", f"{stem}_meta")))}
    pickled = () if options.get("trust") else tuple(key for key in keys if key.lower().endswith(PICKLES))
    keys -= {key for key in pickled if key != source.key}
    for text in _list_paths(options.get("arguments", {})):
        keys |= set(_locate_argument(source, text))
    return sorted(keys), tuple(sorted(PurePosixPath(key).name for key in pickled if key != source.key))


def _list_paths(arguments: Any, is_path: bool = False) -> Iterator[str]:
    """The paths among arguments: all texts of those that are called a path."""
    if isinstance(arguments, dict):
        for name, value in arguments.items():
            yield from _list_paths(value, is_path or name.endswith(PATHS))
    elif isinstance(arguments, list):
        for value in arguments:
            yield from _list_paths(value, is_path)
    elif is_path and isinstance(arguments, str):
        yield arguments


def _locate_argument(source: Source, text: str) -> Sequence[str]:
    """Keys of the files of a path that starts at the folder of the raw object."""
    folder = source.key.rstrip("/") + "/" if source.is_folder else source.key.removesuffix(source.name)
    key = folder + text
    try:
        check_key(key)
    except Problem as bad:
        hint = "Paths among arguments start at the folder of the row's file: put what they name there, or below."
        raise problem(bad.finding.id, bad.finding.message, hint=hint, file=key) from bad
    if not source.root.holds(key):
        raise problem("file.missing", f"{key}, which an argument of {source.key} names, is not there", file=key)
    return Source(key, source.root).list_keys()


def _make(
    source: Source, options: Mapping[str, Any], keys: Sequence[str], path: Path, nbytes: int
) -> Mapping[str, Any]:
    """Run the interface on links to its files, and keep what it made."""
    with TemporaryDirectory(prefix=".making-", dir=path.parent, ignore_cleanup_errors=True) as made:
        scratch = Path(made).resolve()
        stage = scratch / "stage"
        place = _lay_out(source, keys, stage)
        request = {
            "interface": options["interface"],
            "arguments": options.get("arguments", {}),
            "metadata": options.get("metadata", {}),
            "offset": options.get("clock_offset", ""),
            "trust": bool(options.get("trust")),
            "external_folder": options.get("external_folder", ""),
            "source": str(place),
            "folder": str(place if source.is_folder else place.parent),
            "stage": str(stage),
            "fragment": str(scratch / "made.nwb"),
        }
        answer = run_interface(request, scratch / "request.json", nbytes, source.key)
        stamp = (scratch / "made.nwb").stat()
        note = {"file": [stamp.st_size, stamp.st_mtime_ns], "key": source.key, "answer": answer}
        (scratch / "made.json").write_text(json.dumps(note), "utf-8")
        os.replace(scratch / "made.nwb", path)
        os.replace(scratch / "made.json", path.with_suffix(".json"))
    return answer


def _lay_out(source: Source, keys: Sequence[str], stage: Path) -> Path:
    """Links to the raw files, or copies of objects of a bucket, as they lie beside each other; the raw one's place."""
    above = str(PurePosixPath(source.key.rstrip("/")).parent)
    for key in keys:
        place = stage / PurePosixPath(key).relative_to(above)
        place.parent.mkdir(parents=True, exist_ok=True)
        local = source.root.path(key)
        if local is not None:
            place.symlink_to(local.resolve())
            continue
        with source.open(key) as file, place.open("wb") as out:
            shutil.copyfileobj(file, out, _COPY_BYTES)
    return stage / source.key.rstrip("/").rpartition("/")[2]
