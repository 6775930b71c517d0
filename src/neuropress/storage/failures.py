"""What a store's errors mean, and which of them are worth asking again for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, UnauthenticatedError

from ..model.finding import Problem, problem

PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds to wait before a request is made again; as many times as there are pauses."""

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3}[^:\n]*)")
_DENIED = re.compile(
    "AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|AllAccessDisabled|AccountProblem"
)
_EXPIRED = re.compile("ExpiredToken|ExpiredTokenException|TokenRefreshRequired|RequestExpired")
_CLOCK = re.compile("RequestTimeTooSkewed|RequestInTheFuture")
_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
# Refusals of one request that the next may not meet: bytes damaged on the way, another writer, an upload that is over.
_TRANSIENT = re.compile(
    "XAmzContentSHA256Mismatch|BadDigest|IncompleteBody|RequestTimeout|NoSuchUpload|InvalidPart"
    "|ConditionalRequestConflict|OperationAborted|SlowDown|Throttling|TooManyRequests|InternalError|ServiceUnavailable"
)
_TRANSIENT_STATUS = ("408", "409", "429", "5")


class StoreUnavailable(OSError):
    """The network, the server or the machine failed; trying again later may work."""


class TransientFailure(StoreUnavailable):
    """One request failed in a way that the same request, made again now, may not."""


def translate_error(error: BaseException, url: str, secrets: Iterable[str], action: str) -> Problem | StoreUnavailable:
    """Say in our own words what a client's error means; keys and headers are never quoted."""
    text = str(error)
    name = get_error_code(error)
    status = get_error_status(error)
    denied = isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or status[:3] in ("401", "403")
    if isinstance(error, InvalidPathError):
        return problem("path.unsafe", f"{url}: {action} met an object whose key has '..' or a control character in it")
    if name == "NoSuchBucket":
        return problem("storage.bucket", f"{url}: there is no such bucket")
    if name in _REGION:
        return problem("storage.region", f"{url}: the bucket is in another region ({name})")
    if _CLOCK.fullmatch(name):
        return problem("storage.clock", f"{url}: this machine's clock and the store's differ too much ({name})")
    if _EXPIRED.fullmatch(name):
        return problem("storage.expired", f"{url}: the credentials expired while {action} ({name})")
    if _DENIED.fullmatch(name) or denied:
        return problem("storage.denied", f"{url}: access denied while {action} ({name or 'no code given'})")
    reason = name or status or text.split("\n", 1)[0][:200]
    for secret in secrets:
        reason = reason.replace(secret, "***")
    message = f"{url}: {action} failed: {reason}"
    if isinstance(error, FileNotFoundError) and name != "NoSuchUpload":
        return StoreUnavailable(f"{url}: {action} failed: it is gone, or the store does not show it yet")
    return TransientFailure(message) if _is_transient(error, name, status) else StoreUnavailable(message)


def _is_transient(error: BaseException, name: str, status: str) -> bool:
    if _TRANSIENT.fullmatch(name):
        return True
    if status:
        return status.startswith(_TRANSIENT_STATUS)
    # Without an answer: a reset, a timeout, an answer cut short. Errors of Python's own come from local files.
    return isinstance(error, BaseError)


def is_conflict(error: BaseException) -> bool:
    """Whether a conditional request met another one: nothing is decided. The client takes it for "exists"."""
    return get_error_status(error).startswith("409")


def get_error_code(error: BaseException) -> str:
    """The store's own name of an error; empty when it gave none."""
    match = _CODE.search(str(error))
    return match[1] if match else ""


def get_error_status(error: BaseException) -> str:
    """HTTP status and its text, ``503 Service Unavailable``; empty when there was no answer."""
    match = _STATUS.search(str(error))
    return match[1].strip() if match else ""
