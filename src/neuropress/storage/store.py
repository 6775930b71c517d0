"""The one door to a bucket or a folder: small, synchronous, safe to call from many threads.

A request that fails for a passing reason is made again, with growing pauses. What is put on condition that nothing
lies there may have arrived although its answer was lost: then the object is read back, and equal bytes are ours.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import LocalStore, S3Store

from ..model.finding import Unusable, problem
from ..model.progress import Progress, no_progress
from .aws import Access, find_access
from .content import Readable, check_digest, read_in_thread, read_parts, read_verified_parts
from .failures import PAUSES, StoreUnavailable, TransientFailure, get_error_code, is_conflict, translate_error
from .folder import check_path, get_local_folder, parse_bucket_url
from .objects import ObjectBytes

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig, S3Config  # exists for type checkers only

__all__ = [
    "SMALL",
    "ObjectInfo",
    "Progress",
    "Store",
    "StoreUnavailable",
    "get_local_folder",
    "open_store",
    "parse_bucket_url",
]

SMALL = 5 * 2**20
"""Files up to this size are sent with one request, larger ones in parts (bytes)."""
PART = 8 * 2**20
MAX_PARTS = 9000
PARTIAL = "releases/partial"
IN_FLIGHT = 48 * 2**20
READINGS = 3
"""How often an object is read that does not have the digest stated for it."""
RETRY: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(minutes=3)}
"""The client's own repeats, of a single part or page; `PAUSES` govern whole operations."""
CLIENT: ClientConfig = {"timeout": "10min", "connect_timeout": "10s"}


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of an object without reading it: size in bytes, ETag or ``""``, time of its last change."""

    size: int
    etag: str
    modified_ns: int


@dataclass(frozen=True, slots=True)
class _Reading:
    """An object as it was read: its bytes if they are kept, their digest, the digest stated for it or ``""``."""

    data: bytes
    sha256: str
    stated: str


@dataclass(frozen=True, slots=True)
class Store:
    """Objects below one URL. Keys are relative to it, with ``/`` between their parts.

    Every method raises `StoreUnavailable` when the machine or the network failed, and
    `Problem` (``storage.denied``, ``storage.expired``, ``storage.clock``, ``storage.bucket``, ``storage.region``)
    when the store refuses.
    """

    url: str
    backend: S3Store | LocalStore = field(repr=False)
    folder: Path | None = None
    access: Access | None = field(default=None, repr=False)
    unretried: S3Store | LocalStore | None = field(default=None, repr=False)

    def get(self, key: str) -> bytes | None:
        """An object's bytes; None when there is none.

        Bytes other than those whose digest was stated are read again, as they may be damaged on the way. What
        remains is damage in the store, and returned as it is: callers compare digests.
        """

        def read_object() -> _Reading | None:
            try:
                answer = obstore.get(self.backend, key)
            except FileNotFoundError as error:
                _raise_missing_bucket(error)
                return None
            data = bytes(answer.bytes())
            return _Reading(data, hashlib.sha256(data).hexdigest(), _get_stated_digest(answer))

        reading = self._read_until_stable(key, read_object)
        return None if reading is None else reading.data

    def open(self, key: str) -> BinaryIO:
        """An object as a seekable file, read piece by piece as asked for; pieces have no digest to compare with."""
        entry = self._retry_request("reading", key, lambda: _make_object_info(self._get_head(key).meta))
        raw = ObjectBytes(partial(self.read_range, key), (entry.size, entry.modified_ns, entry.etag, ""))
        return cast(BinaryIO, io.BufferedReader(raw))

    def read_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        """Some bytes of an object.

        Raises
        ------
        Problem
            ``file.changed``: the object has another ETag than the one asked for.
        """
        options: GetOptions = {"range": (start, start + length)}
        if etag:
            options["if_match"] = etag

        def read() -> bytes:
            try:
                data = bytes(obstore.get(self.backend, key, options=options).bytes())
            except PreconditionError:
                raise problem("file.changed", f"{key} was replaced at {self.url} while it was read", file=key) from None
            if len(data) != length:
                raise StoreUnavailable(f"{self.url}: reading {key} gave {len(data)} bytes instead of {length}")
            return data

        return self._retry_request("reading", key, read)

    def create(self, key: str, data: bytes | memoryview, sha256: str | None = None) -> bool:
        """Put an object unless one is there; False when one is. Of many callers exactly one wins.

        When an answer was lost, the object that is found there is ours if its bytes are: whoever wrote equal bytes.
        """
        attributes = self._make_attributes(sha256 or hashlib.sha256(data).hexdigest())
        uncertain = False  # whether an earlier attempt may have arrived

        def put() -> bool:
            nonlocal uncertain
            try:
                obstore.put(self.unretried or self.backend, key, data, mode="create", attributes=attributes)
            except (AlreadyExistsError, PreconditionError) as error:
                if is_conflict(error):
                    raise
                return uncertain and self.get(key) == data
            except BaseError:
                uncertain = True
                raise
            self._sync_file(key)
            return True

        return self._retry_request("writing", key, put)

    def replace(self, key: str, data: bytes) -> None:
        """Put an object whether or not one is there: for hints and texts for people only."""
        attributes = self._make_attributes(hashlib.sha256(data).hexdigest())
        self._retry_request("writing", key, lambda: obstore.put(self.backend, key, data, attributes=attributes))

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects of a bucket; one that is not there is removed already. Nothing of a release ever is."""
        if keys:
            self._retry_request("deleting", keys[0], lambda: obstore.delete(self.backend, keys))

    def get_size(self, key: str) -> int | None:
        """An object's size in bytes; None when there is none."""
        entry = self.get_info(key)
        return None if entry is None else entry.size

    def get_info(self, key: str) -> ObjectInfo | None:
        """Size, ETag and time of an object; None when there is none."""

        def look_up() -> ObjectInfo | None:
            try:
                return _make_object_info(self._get_head(key).meta)
            except FileNotFoundError as error:
                _raise_missing_bucket(error)
                return None

        return self._retry_request("looking up", key, look_up)

    def list_objects(self, folder: str) -> Iterator[tuple[str, int]]:
        """Key and size in bytes of every object below a folder, at any depth."""
        for key, entry in self.list_entries(folder):
            yield key, entry.size

    def list_entries(self, folder: str) -> Iterator[tuple[str, ObjectInfo]]:
        """Key and what is known of every object below a folder, at any depth."""
        pauses = self._start_pauses()
        last: str | None = None
        while True:
            try:
                with self._translate_errors("listing", folder):
                    # Pages of a bucket come in the order of keys, so a broken listing goes on where it stood.
                    for chunk in obstore.list(self.backend, folder, offset=last, chunk_size=1000):
                        for item in chunk:
                            last = item["path"]
                            if self.folder is not None:
                                check_path(self.folder, last)
                            yield last, _make_object_info(item)
                return
            except TransientFailure:
                if not _sleep_pause(pauses):
                    raise

    def list_names(self, folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the objects, and of the folders, directly in a folder."""
        objects, folders = self.list_folder(folder)
        return tuple(objects), folders

    def list_folder(self, folder: str) -> tuple[dict[str, ObjectInfo], tuple[str, ...]]:
        """The objects directly in a folder by name, and the names of its folders."""
        listing = self._retry_request("listing", folder, lambda: obstore.list_with_delimiter(self.backend, folder))
        # An object called "folder/", by which some tools mark a folder, is listed under the folder's own name.
        inside = (item for item in listing["objects"] if item["path"] != folder)
        objects = {item["path"].rsplit("/", 1)[-1]: _make_object_info(item) for item in inside}
        return objects, tuple(path.rsplit("/", 1)[-1] for path in listing["common_prefixes"])

    def get_sha256(self, key: str) -> str:
        """An object's SHA-256: as stated when it was put, else computed by reading it."""
        stated = ""
        if self.folder is None:
            stated = self._retry_request("looking up", key, lambda: _get_stated_digest(self._get_head(key)))
        return stated or self.read_sha256(key)

    def read_sha256(self, key: str, progress: Progress = no_progress) -> str:
        """An object's SHA-256, computed by reading all of it; see `get` on bytes damaged on the way."""
        counted = 0

        def read_object() -> _Reading:
            nonlocal counted
            progress(-counted)  # of a reading that has to be made again
            counted = 0
            answer = obstore.get(self.backend, key)
            total = hashlib.sha256()
            for chunk in answer.stream(min_chunk_size=PART):
                total.update(chunk)
                counted += len(chunk)
                progress(len(chunk))
            return _Reading(b"", total.hexdigest(), _get_stated_digest(answer))

        return self._read_until_stable(key, read_object).sha256

    def upload(self, content: Readable, key: str, size: int, sha256: str, progress: Progress) -> bool:
        """Send a file, or bytes, unless an object is there; False when one is.

        The bytes that go out are digested once more, so that what lies in the store is
        what the manifest says. A file above `SMALL` bytes goes in parts and does not look
        whether an object is there: conditions on parts are ignored by some servers.

        Raises
        ------
        Problem
            ``storage.changed``: the file is no longer the one that was digested.
        """
        if size <= SMALL and self.folder is None:
            data = b"".join(read_parts(content, SMALL))
            check_digest(content, hashlib.sha256(data).hexdigest(), sha256)
            created = self.create(key, data, sha256)
            progress(size if created else 0)
            return created
        if self.folder is not None:
            # A killed copy must not leave its remains inside a published folder, so it is staged elsewhere.
            staged = f"{PARTIAL}/{uuid4().hex}"
            self._retry_request("writing", key, lambda: self._send_parts(content, staged, size, sha256, progress))
            with self._translate_errors("writing", key):
                self._sync_file(staged)
                return self._rename_staged(staged, key)
        begun = False

        def send() -> None:
            # The upload may be complete although the answer that says so was lost.
            nonlocal begun
            if begun and self.get_size(key) == size and self.get_sha256(key) == sha256:
                progress(size)
            else:
                begun = True
                self._send_parts(content, key, size, sha256, progress)

        self._retry_request("writing", key, send)
        return True

    def _send_parts(self, content: Readable, key: str, size: int, sha256: str, progress: Progress) -> None:
        """Send a file in parts; the object appears when all have arrived."""
        part = max(PART, -(-size // MAX_PARTS))
        sent = 0

        def count(more: int) -> None:
            nonlocal sent
            sent += more
            progress(more)

        try:
            obstore.put(
                self.backend,
                key,
                read_in_thread(read_verified_parts(content, part, sha256, count)),
                attributes=self._make_attributes(sha256),
                chunk_size=part,
                max_concurrency=max(1, IN_FLIGHT // part // 2),
            )
        except BaseException:
            progress(-sent)
            raise

    def _rename_staged(self, staged: str, key: str) -> bool:
        try:
            obstore.rename(self.backend, staged, key, overwrite=False)
        except AlreadyExistsError:
            obstore.delete(self.backend, staged)
            return False
        return True

    def _sync_file(self, key: str) -> None:
        """Bring a file of a folder to the disk: a commit must not outlive its data when the power fails."""
        if self.folder:
            with (self.folder / key).open("r+b") as file:
                os.fsync(file.fileno())

    def _get_head(self, key: str) -> GetResult:
        try:
            return obstore.get(self.backend, key, options={"head": True})
        except BaseError:
            # The answer to HEAD has no body, so it does not say why it is a refusal; that to a listing does.
            obstore.list_with_delimiter(self.backend, key)
            raise

    def _make_attributes(self, sha256: str) -> dict[str, str] | None:
        # Folders have no place for attributes; there the bytes themselves are digested.
        return {"sha256": sha256} if self.folder is None else None

    def _read_until_stable[T: _Reading | None](self, key: str, read: Callable[[], T]) -> T:
        """Read until the digest is the stated one, or the same other one twice: then the store itself holds damage."""
        before = ""
        for _ in range(READINGS):
            reading = self._retry_request("reading", key, read)
            if reading is None or reading.stated in ("", reading.sha256) or reading.sha256 == before:
                return reading
            before = reading.sha256
        raise StoreUnavailable(f"{self.url}: reading {key} failed: its bytes are others each time they are read")

    def _retry_request[R](self, action: str, key: str, act: Callable[[], R]) -> R:
        """Carry out a request, again and again while it fails for a passing reason."""
        pauses = self._start_pauses()
        while True:
            try:
                with self._translate_errors(action, key):
                    return act()
            except TransientFailure:
                if not _sleep_pause(pauses):
                    raise

    def _start_pauses(self) -> Iterator[float]:
        return iter(() if self.folder else PAUSES)

    @contextmanager
    def _translate_errors(self, action: str, key: str) -> Iterator[None]:
        """Turn the client's errors into our own; no request about a key that leads out of a folder is made."""
        action = f"{action} {key}"
        if self.folder is not None:
            check_path(self.folder, key)
        try:
            yield
            return
        except (StoreUnavailable, Unusable):  # of the store itself, or of another one whose bytes are being sent
            raise
        except (BaseError, NotImplementedError, OSError) as error:
            secrets = self.access.list_secrets() if self.access else ()
            refused = self.access.get_renewal_problem() if self.access else None
            translated = refused or translate_error(error, self.url, secrets, action)
        raise translated from None  # the client's own text may quote a request


def _sleep_pause(pauses: Iterator[float]) -> bool:
    """Sleep for about the next pause; False when there is none left."""
    pause = next(pauses, None)
    if pause is None:
        return False
    time.sleep(pause * random.uniform(0.5, 1))  # so that many threads do not come back at once
    return True


def _make_object_info(meta: ObjectMeta) -> ObjectInfo:
    # Whole microseconds: the client's time has no finer part, and a float of seconds could not hold nanoseconds.
    return ObjectInfo(meta["size"], meta["e_tag"] or "", int(meta["last_modified"].timestamp() * 10**6) * 10**3)


def _get_stated_digest(answer: GetResult) -> str:
    """The SHA-256 that was stated when the object was put; empty when none was."""
    return str(answer.attributes.get("sha256", ""))


def _raise_missing_bucket(error: FileNotFoundError) -> None:
    """Pass over a missing object, but not a missing bucket."""
    if get_error_code(error) == "NoSuchBucket":
        raise error


def open_store(url: str, endpoint: str | None = None, *, write: bool = False) -> Store:
    """The store behind ``s3://bucket/prefix`` or a folder's path.

    Parameters
    ----------
    endpoint
        S3 only; default from the AWS environment (see `neuropress.storage.aws`).
    write
        Whether objects will be put: a folder is made, credentials are needed.

    Raises
    ------
    Problem
        ``storage.url``, ``storage.endpoint``, ``storage.credentials``, or ``release.none``
        for a folder that is not there.
    """
    folder = get_local_folder(url)
    if folder is not None:
        if not write and not folder.is_dir():
            raise problem("release.none", f"{folder} is no folder, so it holds no releases", file=str(folder))
        return _open_backend(str(folder), None, lambda: (LocalStore(folder, mkdir=write), None), folder)
    bucket, prefix = parse_bucket_url(url)
    access = find_access(endpoint, write=write)
    plain = f"s3://{bucket}/{prefix}".rstrip("/")
    config = cast("S3Config", {**access.keys, "region": access.region, "skip_signature": access.anonymous})
    if access.endpoint:
        # This name, because the environment's AWS_ENDPOINT_URL_S3 would win over a mere `endpoint`.
        config["aws_endpoint_url_s3"] = access.endpoint

    def connect(retry: RetryConfig) -> S3Store:
        return S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={**CLIENT, "allow_http": access.plain_http},
            retry_config=retry,
            credential_provider=access.provider,
        )

    # A conditional PUT goes out once a call: only then is "exists" the answer to the only request.
    return _open_backend(plain, access, lambda: (connect(RETRY), connect({**RETRY, "max_retries": 0})), None)


def _open_backend(
    url: str,
    access: Access | None,
    connect: Callable[[], tuple[S3Store | LocalStore, S3Store | None]],
    folder: Path | None,
) -> Store:
    try:
        backend, unretried = connect()
    except (BaseError, NotImplementedError, OSError) as error:
        action = "opening the bucket" if folder is None else "opening the folder"
        translated = translate_error(error, url, access.list_secrets() if access else (), action)
    else:
        return Store(url, backend, folder, access, unretried)
    raise translated from None  # the client's own text may quote its options
