"""The one door to a bucket or a folder: small, synchronous, safe to call from many threads."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from ..model.finding import Problem, problem
from .aws import find_access

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Config  # exists for type checkers only

type Progress = Callable[[int], None]
"""Called with the number of bytes that were just sent."""

SMALL = 5 * 2**20
"""Files up to this size are sent with one request, larger ones in parts (bytes)."""
PART = 8 * 2**20
MAX_PARTS = 9000
PARTIAL = "releases/partial"
IN_FLIGHT = 48 * 2**20
RETRY: RetryConfig = {"max_retries": 10, "retry_timeout": timedelta(minutes=3)}

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-_]{1,61}[a-z0-9]")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3}[^:\n]*)")
_DENIED = re.compile(
    "AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|AllAccessDisabled|AccountProblem"
)
_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")


class StoreUnavailable(OSError):
    """The network, the server or the machine failed; trying again later may work."""


class _Raw(io.RawIOBase):
    """obstore's reader with the interface of Python's own files."""

    def __init__(self, reader: obstore.ReadableFile) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._reader.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        data = self._reader.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@dataclass(frozen=True, slots=True)
class Store:
    """Objects below one URL. Keys are relative to it, with ``/`` between their parts.

    Every method raises `StoreUnavailable` when the machine or the network failed, and
    `Problem` (``release.denied``, ``release.bucket``, ``release.region``) when the store refuses.
    """

    url: str
    backend: S3Store | LocalStore = field(repr=False)
    folder: Path | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def get(self, key: str) -> bytes | None:
        """An object's bytes; None when there is none."""
        with self._errors(f"reading {key}"):
            try:
                return bytes(obstore.get(self.backend, key).bytes())
            except FileNotFoundError as error:
                _absent(error)
                return None

    def open(self, key: str) -> BinaryIO:
        """An object as a seekable file, read piece by piece as asked for."""
        with self._errors(f"reading {key}"):
            return cast(BinaryIO, io.BufferedReader(_Raw(obstore.open_reader(self.backend, key))))

    def create(self, key: str, data: bytes, sha256: str | None = None) -> bool:
        """Put an object unless one is there; False when one is. Of many callers exactly one wins."""
        with self._errors(f"writing {key}"):
            try:
                obstore.put(self.backend, key, data, mode="create", attributes=self._attributes(sha256))
            except (AlreadyExistsError, PreconditionError):
                return False
            self._settle(key)
            return True

    def replace(self, key: str, data: bytes) -> None:
        """Put an object whether or not one is there: for hints and texts for people only."""
        with self._errors(f"writing {key}"):
            obstore.put(self.backend, key, data)

    def size(self, key: str) -> int | None:
        """An object's size in bytes; None when there is none."""
        with self._errors(f"looking up {key}"):
            try:
                return obstore.head(self.backend, key)["size"]
            except FileNotFoundError as error:
                _absent(error)
                return None

    def list(self, folder: str) -> Iterator[tuple[str, int]]:
        """Key and size in bytes of every object below a folder, at any depth."""
        with self._errors(f"listing {folder}"):
            for chunk in obstore.list(self.backend, folder, chunk_size=1000):
                for item in chunk:
                    yield item["path"], item["size"]

    def names(self, folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the objects, and of the folders, directly in a folder."""
        with self._errors(f"listing {folder}"):
            found = obstore.list_with_delimiter(self.backend, folder)
        objects = tuple(item["path"].rsplit("/", 1)[-1] for item in found["objects"])
        return objects, tuple(path.rsplit("/", 1)[-1] for path in found["common_prefixes"])

    def sha256(self, key: str) -> str:
        """An object's SHA-256: as stated when it was put, else computed by reading it."""
        if self.folder is None:
            with self._errors(f"looking up {key}"):
                stated = obstore.get(self.backend, key, options={"head": True}).attributes.get("sha256")
            if stated:
                return stated
        return self.read_sha256(key)

    def read_sha256(self, key: str) -> str:
        """An object's SHA-256, computed by reading all of it."""
        total = hashlib.sha256()
        with self._errors(f"reading {key}"):
            for chunk in obstore.get(self.backend, key).stream(min_chunk_size=PART):
                total.update(chunk)
        return total.hexdigest()

    def upload(self, path: Path, key: str, size: int, sha256: str, progress: Progress) -> bool:
        """Send a file unless an object is there; False when one is.

        The bytes that go out are digested once more, so that what lies in the store is
        what the manifest says. A file above `SMALL` bytes goes in parts and does not look
        whether an object is there: conditions on parts are ignored by some servers.

        Raises
        ------
        Problem
            ``release.changed``: the file is no longer the one that was digested.
        """
        if size <= SMALL and self.folder is None:
            data = path.read_bytes()
            _same(path, hashlib.sha256(data).hexdigest(), sha256)
            created = self.create(key, data, sha256)
            progress(size if created else 0)
            return created
        part = max(PART, -(-size // MAX_PARTS))
        # A killed copy must not leave its remains inside a published folder, so it is staged elsewhere.
        staged = key if self.folder is None else f"{PARTIAL}/{uuid4().hex}"
        with self._errors(f"writing {key}"):
            obstore.put(
                self.backend,
                staged,
                _checked(path, part, sha256, progress),
                attributes=self._attributes(sha256),
                chunk_size=part,
                max_concurrency=max(1, IN_FLIGHT // part // 2),
            )
            self._settle(staged)
            return staged == key or self._rename(staged, key)

    def _rename(self, staged: str, key: str) -> bool:
        try:
            obstore.rename(self.backend, staged, key, overwrite=False)
        except AlreadyExistsError:
            obstore.delete(self.backend, staged)
            return False
        return True

    def _settle(self, key: str) -> None:
        """Bring a file of a folder to the disk: a commit must not outlive its data when the power fails."""
        if self.folder:
            with (self.folder / key).open("r+b") as file:
                os.fsync(file.fileno())

    def _attributes(self, sha256: str | None) -> dict[str, str] | None:
        # Folders have no place for attributes; there the bytes themselves are digested.
        return {"sha256": sha256} if sha256 and self.folder is None else None

    def _errors(self, doing: str) -> AbstractContextManager[None]:
        return _told_for(self.url, self.secrets, doing)


@contextmanager
def _told_for(url: str, secrets: tuple[str, ...], doing: str) -> Iterator[None]:
    """Say in our own words what the client's errors mean; never quote keys or headers."""
    try:
        yield
    except (BaseError, NotImplementedError, OSError) as error:
        told = _told(error, url, secrets, doing)
    else:
        return
    raise told from None  # the client's own text may quote a request


def _told(error: BaseException, url: str, secrets: tuple[str, ...], doing: str) -> Problem | OSError:
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    name = code[1] if code else ""
    denied = isinstance(error, (PermissionDeniedError, UnauthenticatedError))
    if name == "NoSuchBucket":
        return problem("release.bucket", f"{url}: there is no such bucket")
    if name in _REGION:
        return problem("release.region", f"{url}: the bucket is in another region ({name})")
    if _DENIED.fullmatch(name) or denied or (status and status[1][:3] in ("401", "403")):
        return problem("release.denied", f"{url}: access denied while {doing} ({name or 'no code given'})")
    if isinstance(error, FileNotFoundError):
        return problem("release.lost", f"{url}: gone while {doing}")
    reason = name or (status[1] if status else text.split("\n", 1)[0][:200])
    for secret in secrets:
        reason = reason.replace(secret, "***")
    return StoreUnavailable(f"{url}: {doing} failed: {reason}")


def _absent(error: FileNotFoundError) -> None:
    """Pass over a missing object, but not a missing bucket."""
    if "NoSuchBucket" in str(error):
        raise error


def open_store(url: str, endpoint: str | None = None, *, write: bool = False) -> Store:
    """The store behind ``s3://bucket/prefix`` or a folder's path.

    Parameters
    ----------
    endpoint
        S3 only; default from the AWS environment (see `neuropress.release.aws`).
    write
        Whether objects will be put: a folder is made, credentials are needed.

    Raises
    ------
    Problem
        ``release.url``, ``release.endpoint``, ``release.credentials``, or ``release.none``
        for a folder that is not there.
    """
    folder = local_folder(url)
    if folder is not None:
        if not write and not folder.is_dir():
            raise problem("release.none", f"{folder} is no folder, so it holds no releases", file=str(folder))
        with _told_for(str(folder), (), "opening the folder"):
            return Store(str(folder), LocalStore(folder, mkdir=write), folder)
    bucket, prefix = bucket_and_prefix(url)
    access = find_access(endpoint, write=write)
    plain = f"s3://{bucket}/{prefix}".rstrip("/")
    config = cast("S3Config", {**access.keys, "region": access.region, "skip_signature": access.anonymous})
    if access.endpoint:
        # This name, because the environment's AWS_ENDPOINT_URL_S3 would win over a mere `endpoint`.
        config["aws_endpoint_url_s3"] = access.endpoint
    secrets = tuple(access.keys.values())
    with _told_for(plain, secrets, "opening the bucket"):
        backend = S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={"allow_http": access.plain_http, "timeout": "10min", "connect_timeout": "10s"},
            retry_config=RETRY,
        )
    return Store(plain, backend, None, secrets)


def local_folder(url: str) -> Path | None:
    """The folder that a URL names; None for a bucket. Raises `Problem` (``release.url``)."""
    if url.startswith("s3://"):
        return None
    if not url.strip() or "://" in url or "\0" in url:
        scheme = url.split("://", 1)[0][:20] if "://" in url else url[:20]
        raise problem("release.url", f"cannot publish to {scheme!r}...: neither s3://bucket/prefix nor a folder")
    return Path(url).resolve()


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """The parts of an ``s3://`` URL. Raises `Problem` (``release.url``)."""
    rest = url.removeprefix("s3://")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if "@" in bucket or ":" in bucket or urlsplit(url).query:
        raise problem("release.url", "an s3:// URL holds no credentials and no query: s3://bucket/prefix")
    if not _BUCKET.fullmatch(bucket):
        raise problem("release.url", f"{bucket!r} is no bucket name (3-63 of a-z 0-9 . - _)")
    if prefix and (any(p in ("", ".", "..") for p in prefix.split("/")) or any(ord(c) < 32 for c in prefix)):
        raise problem("release.url", f"{url}: the prefix has an empty part, '.', '..' or a control character")
    return bucket, prefix


def _checked(path: Path, part: int, sha256: str, progress: Progress) -> Iterator[bytes]:
    """A file in parts; ends in an error, which aborts the upload, when its digest is another."""
    total = hashlib.sha256()
    held = b""
    with path.open("rb") as file:
        while chunk := file.read(part):
            if held:
                yield held
                progress(len(held))
            total.update(chunk)
            held = chunk
    _same(path, total.hexdigest(), sha256)
    yield held
    progress(len(held))


def _same(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise problem("release.changed", f"{path} changed while it was being published", file=str(path))
