"""What was proven of each result: the SHA-256 of each file, and what `verify` and `validate` found on these bytes.

One small JSON file a result, under ``.neuropress/proofs/``. A proof holds for the files as
they were: one that is changed, gone or new ends it. `publish` sends the bytes of a proof and
no others. Deleting the folder costs the time to prove again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

from ..independent import SecondReading
from ..model.finding import Finding, Problem, Severity, finding, has_errors, problem
from ..model.parsing import parse_json
from ..model.progress import Progress
from ..model.serial import SPARSE, from_json, to_json
from ..model.source import SourceRoots, Stamp
from ..results import detect_kind
from ..storage.files import digest_file
from ..storage.remote import BucketPath, ResultPath
from ..storage.roots import get_file_stamp
from ..storage.state import DigestCache, write_atomic

if TYPE_CHECKING:
    from .verify import Verification

FOLDER = "proofs"
FORMAT = 2


@dataclass(frozen=True, slots=True, order=True)
class ProvenFile:
    """A file of a result: its path in a folder (``""`` for a file by itself), what its stamp was, its SHA-256."""

    path: str
    stamp: Stamp
    sha256: str

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.stamp[0]


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of the bytes of one result.

    Attributes
    ----------
    files
        All of them, sorted by path.
    verified
        They equal the raw files they were made from.
    validated
        They were validated; `findings` are what was found, of severity warning or error.
    second
        What other libraries came to, which read the raw files once more.
    """

    files: tuple[ProvenFile, ...]
    verified: bool = False
    validated: bool = False
    findings: tuple[Finding, ...] = ()
    second: tuple[SecondReading, ...] = field(default=(), metadata=SPARSE)

    @property
    def is_refuted(self) -> bool:
        """Whether another library reads something else in the raw files."""
        return any(reading.verdict == "differs" for reading in self.second)

    @property
    def digests(self) -> Mapping[str, str]:
        """Path of each file -> SHA-256."""
        return {file.path: file.sha256 for file in self.files}

    def matches(self, path: ResultPath) -> bool:
        """Whether the result has these very files still, by their stamps."""
        return dict(list_files(path)) == {file.path: file.stamp for file in self.files}


class Proofs:
    """The proofs of one dataset."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def load(self, name: str, path: ResultPath) -> Proof | None:
        """The proof of a result by its path below ``output/``; None when it holds no longer, or there is none."""
        try:
            data = parse_json(self._get_path(name).read_bytes())
            if data.pop("format") != FORMAT or data.pop("name") != name:
                return None
            proof = from_json(Proof, data)
            findings = tuple(replace(f, severity=Severity(f.severity)) for f in proof.findings)
            return replace(proof, findings=findings) if proof.matches(path) else None
        except (Problem, OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # damaged or not there: it is proven again

    def save(self, name: str, proof: Proof) -> None:
        """Keep a proof. A dataset that may only be read keeps none."""
        with suppress(OSError):
            text = json.dumps({"format": FORMAT, "name": name, **to_json(proof)}, separators=(",", ":"))
            write_atomic(self._get_path(name), text)

    def forget(self, name: str) -> None:
        """Drop what was proven of a result."""
        with suppress(OSError):
            self._get_path(name).unlink(missing_ok=True)

    def _get_path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def list_files(path: ResultPath) -> Iterator[tuple[str, Stamp]]:
    """Relative path and stamp, as it is now, of every file of a result; links are not followed.

    Raises
    ------
    Problem
        ``result.unsafe``: something in it is neither a file nor a folder of its own.
    """
    if isinstance(path, BucketPath):
        yield from path.list_files().items()
        return
    if not path.is_dir():
        yield "", get_file_stamp(path.stat())
        return
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(path / prefix) as entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                    continue
                stat = entry.stat(follow_symlinks=False)
                if not S_ISREG(stat.st_mode):
                    message = f"{path.name}: {name} is neither a file nor a folder of its own"
                    raise problem("result.unsafe", message, file=str(path / name))
                yield name, get_file_stamp(stat)


def digest_files(path: ResultPath, known: Proof | None = None) -> tuple[ProvenFile, ...]:
    """Digest every file of a result; files whose stamp is that of `known` are not read again."""
    before: Mapping[str, ProvenFile] = {file.path: file for file in known.files} if known else {}
    made = []
    for name, stamp in sorted(list_files(path), key=lambda item: item[0]):
        old = before.get(name)
        if old is not None and old.stamp == stamp:
            made.append(old)
            continue
        file = path / name if name else path
        sha256 = file.sha256() if isinstance(file, BucketPath) else digest_file(file)
        made.append(ProvenFile(name, stamp, sha256))
    return tuple(made)


def prove_result(
    path: ResultPath, roots: SourceRoots, cache: DigestCache, progress: Progress
) -> tuple[Verification, Proof | None]:
    """Verify one result and digest every file of it; None for the proof where anything is wrong.

    The files are digested first, and must be the same ones at the end.

    Raises
    ------
    Problem
        ``result.none`` or ``result.unsafe``: it is no result that could be proven.
    """
    detect_kind(path)
    proof = Proof(digest_files(path), verified=True)
    from .verify import verify_result  # its numpy is for arrays alone: whoever asks how results stand needs none

    verification = verify_result(path, roots, cache, progress)
    changed = tuple(f.at(file=str(path)) for f in _check_unchanged(proof, path))
    verification = replace(verification, findings=(*verification.findings, *changed))
    return verification, None if has_errors(verification.findings) else proof


def _check_unchanged(proof: Proof, path: ResultPath) -> Iterator[Finding]:
    if not proof.matches(path):
        yield finding("verify.changed", f"{path.name} changed while it was verified")


def keep_verification(proofs: Proofs, name: str, path: ResultPath, proof: Proof | None) -> None:
    """Remember what `prove_result` came to; what `validate` found on the same bytes stays."""
    if proof is None:
        proofs.forget(name)
        return
    known = proofs.load(name, path)
    if known and known.digests == proof.digests:
        second = proof.second or known.second
        proof = replace(proof, validated=known.validated, findings=known.findings, second=second)
    proofs.save(name, proof)


def keep_validation(
    proofs: Proofs, name: str, path: ResultPath, files: tuple[ProvenFile, ...], findings: Iterable[Finding]
) -> None:
    """Remember what `validate` found on these files; that they are verified stays."""
    known = proofs.load(name, path)
    proof = known if known is not None and known.files == files else Proof(files)
    kept = tuple(f for f in findings if f.severity is not Severity.INFO)
    if proof.matches(path):
        proofs.save(name, replace(proof, validated=True, findings=kept))
