"""Requests to an archive, on the standard library; what it refuses is a finding in its own words."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from ..model.budget import SHOWN_CHARS
from ..model.finding import Finding, Problem, finding, problem
from ..model.parsing import parse_json
from ..storage.failures import PAUSES, StoreUnavailable
from .instances import Instance

SECONDS = 60.0
PUT_SECONDS = 600.0
"""How long an answer may take; that to a part of 64 MB on a slow line longer."""
ANSWER_BYTES = 64 * 2**20
PAGE = 1000
MOST_PAGES = 100_000
MOST_WAIT = 60.0
_PASSING = (429, 500, 502, 503, 504)
_BROKEN = (URLError, ConnectionError, TimeoutError, http.client.HTTPException)


class Refused(Problem):
    """The archive answered, and refuses: the same request will not do better. `status` is that of HTTP."""

    def __init__(self, found: Finding, status: int = 0, location: str = "", said: str = "") -> None:
        super().__init__(found)
        self.status = status
        self.location = location
        self.said = said


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers in lower case, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _StayHere(HTTPRedirectHandler):
    """An answer that leads elsewhere is one: the key must not follow it."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


@cache
def _make_opener() -> OpenerDirector:
    """With the machine's proxies and certificates, which are read once."""
    return build_opener(_StayHere)


@dataclass(frozen=True)
class Archive:
    """An archive, with the key of an account where there is one.

    Every method raises `Refused` where the archive refuses, and `StoreUnavailable` when the machine or the network
    failed for longer than the pauses last.

    Attributes
    ----------
    key
        Of the account; empty for what anybody may read.
    """

    instance: Instance
    key: str = field(default="", repr=False)
    pauses: tuple[float, ...] = PAUSES

    def __post_init__(self) -> None:
        if not self.key.isascii() or not self.key.isprintable() or " " in self.key:
            raise problem("dandi.key", "the key has characters that no key has", hint="Copy it once more, whole.")

    def get(self, path: str, /, **query: str | int) -> Any:
        """The answer to GET, as plain objects."""
        return self._ask("GET", self._locate(path, query))

    def post(self, path: str, data: Any = None) -> Any:
        """The answer to POST."""
        return self._ask("POST", self._locate(path), data)

    def put(self, path: str, data: Any) -> Any:
        """The answer to PUT."""
        return self._ask("PUT", self._locate(path), data)

    def delete(self, path: str, data: Any) -> Any:
        """The answer to DELETE."""
        return self._ask("DELETE", self._locate(path), data)

    def list_pages(self, path: str, /, **query: str | int) -> Iterator[Any]:
        """Entries of all pages, one after the other."""
        url: str | None = self._locate(path, query)
        for _ in range(MOST_PAGES):
            if not url:
                return
            page = self._ask("GET", url)
            try:
                yield from page["results"]
                url = page["next"]
            except (KeyError, TypeError):
                raise self._misunderstand(url or "", "it is no page of entries") from None
            if url and not self._is_ours(url):
                raise self._misunderstand(url, "the next page lies elsewhere")

    def put_signed(self, url: str, data: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Put bytes to an address that the archive signed; the key is not sent there."""
        return self._request(Request(url, data, dict(headers or {}), method="PUT"), PUT_SECONDS)

    def post_signed(self, url: str, data: bytes) -> Answer:
        """The same by POST."""
        return self._request(Request(url, data, {"Content-Type": "text/xml"}, method="POST"), PUT_SECONDS)

    def fetch_asset(self, asset_id: str) -> bytes:
        """The bytes of a small file of the archive, of at most `ANSWER_BYTES`."""
        request = self._make_request("GET", self._locate(f"/assets/{asset_id}/download/"))
        try:
            return self._request(request, SECONDS).body
        except Refused as refused:
            if refused.status not in (301, 302, 303, 307) or not refused.location:
                raise
            return self._request(Request(refused.location), SECONDS).body

    def _ask(self, method: str, url: str, data: Any = None) -> Any:
        answer = self._request(self._make_request(method, url, data), SECONDS)
        if not answer.body.strip():
            return None
        try:
            return parse_json(answer.body)
        except (ValueError, RecursionError) as error:
            raise self._misunderstand(url, str(error)) from error

    def _make_request(self, method: str, url: str, data: Any = None) -> Request:
        request = Request(url, method=method, headers={"Accept": "application/json"})
        if data is not None:
            request.data = json.dumps(data).encode("utf-8")
            request.add_header("Content-Type", "application/json")
        if self.key:
            request.add_unredirected_header("Authorization", f"token {self.key}")
        return request

    def _locate(self, path: str, query: Mapping[str, str | int] | None = None) -> str:
        return f"{self.instance.api}{quote(path)}{'?' + urlencode(query) if query else ''}"

    def _is_ours(self, url: str) -> bool:
        ours, other = urlsplit(self.instance.api), urlsplit(url)
        return (ours.scheme, ours.netloc) == (other.scheme, other.netloc)

    def _request(self, request: Request, seconds: float) -> Answer:
        for pause in (*self.pauses, None):
            try:
                return self._request_once(request, seconds)
            except HTTPError as error:
                with error:
                    said = _read_text(error)
                    refused = self._refuse(error, said)
                if error.code not in _PASSING or pause is None:
                    raise (refused if error.code not in _PASSING else self._give_up(f"{error.code}: {said}")) from None
                pause = _read_wait(error) or pause
            except _BROKEN as error:
                if pause is None:
                    raise self._give_up(str(getattr(error, "reason", error) or type(error).__name__)) from None
            time.sleep(pause * random.uniform(0.5, 1.0))
        raise AssertionError("the last pause is None")

    def _request_once(self, request: Request, seconds: float) -> Answer:
        with _make_opener().open(request, timeout=seconds) as answer:
            body = answer.read(ANSWER_BYTES + 1)
            if len(body) > ANSWER_BYTES:
                raise self._misunderstand(request.full_url, f"it has more than {ANSWER_BYTES} bytes")
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, body)

    def _refuse(self, error: HTTPError, said: str) -> Refused:
        place, said = urlsplit(error.url).path, self._hide_key(said)
        location = str(error.headers.get("Location") or "")
        if error.code in (401, 403) and error.url.startswith(f"{self.instance.api}/"):
            message = f"{self.instance.name} refuses {error.code} at {place}: {said}"
            return Refused(finding("dandi.key", message), error.code, location, said)
        message = f"{self.instance.name} answers {error.code} at {place}: {said}"
        return Refused(finding("dandi.refused", message[:SHOWN_CHARS]), error.code, location, said)

    def _misunderstand(self, url: str, why: str) -> Refused:
        message = f"what {self.instance.name} answers at {urlsplit(url).path} cannot be read: {why}"
        return Refused(finding("dandi.refused", message[:SHOWN_CHARS]))

    def _give_up(self, why: str) -> StoreUnavailable:
        return StoreUnavailable(f"{self.instance.name} ({self.instance.api}): {self._hide_key(why)[:SHOWN_CHARS]}")

    def _hide_key(self, text: str) -> str:
        return text.replace(self.key, "***") if self.key else text


def _read_text(answer: IO[bytes]) -> str:
    """The beginning of what was said, in one line."""
    try:
        text = answer.read(4096).decode("utf-8", "replace")
    except _BROKEN:
        text = ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:400] or "it says nothing"


def _read_wait(error: HTTPError) -> float:
    """Seconds for which the archive asks us to wait; 0 where it does not."""
    text = error.headers.get("Retry-After") or ""
    return min(float(text), MOST_WAIT) if text.isdecimal() else 0.0
