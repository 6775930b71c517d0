"""An HTTP proxy before an S3 server that spoils chosen requests: resets, stalls, lost, cut and corrupted answers.

Whether and how a request is spoilt depends on the seed, the request and how often it was made, not on the order in
which threads ask.
"""

from __future__ import annotations

import http.client
import random
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

FAULTS = (
    "reset before",  # the server never hears of the request
    "reset inside",  # half of the request arrives
    "dropped answer",  # the request is carried out, its answer is lost
    "slow down",  # 503 SlowDown
    "internal error",  # 500 InternalError
    "conflict",  # 409 ConditionalRequestConflict, of a conditional PUT
    "stall before",  # silence; the server never hears of the request
    "stall after",  # silence after the request was carried out
    "truncated answer",
    "corrupted answer",  # a bit of an object that is read
    "corrupted request",  # a bit of an object that is written
)
ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>please wait</Message></Error>'
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
CANNED = {
    "slow down": (503, ERROR.format("SlowDown")),
    "internal error": (500, ERROR.format("InternalError")),
    "conflict": (409, ERROR.format("ConditionalRequestConflict")),
    # Of a store that shows late what was written; chosen by tests of their own.
    "missing": (404, ERROR.format("NoSuchKey")),
    "empty listing": (200, EMPTY),
}


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        found = re.search(rb"(?im)^" + name.encode() + rb":[ \t]*(.*?)\r?$", self.head)
        return found[1].decode("latin-1") if found else ""

    @property
    def conditional(self) -> bool:
        return bool(self.header("if-none-match"))

    @property
    def of_object(self) -> bool:
        """Whether an object's bytes are sent or asked for, not a listing or an upload's bookkeeping."""
        path, _, query = self.target.partition("?")
        plain = not query or "partNumber=" in query or query.startswith("x-id=")
        return self.method in ("GET", "PUT") and path.count("/") > 1 and plain

    @property
    def name(self) -> str:
        """What the request is, without names and numbers that a server or a test gives by chance."""
        path, _, query = self.target.partition("?")
        return f"{self.method} {path.split('/', 2)[-1]} {re.sub('uploadId=[^&]*', 'uploadId', query)}"


type Choice = Callable[[Request, int], str | None]
"""The fault for a request that is made for the n-th time; None to leave it alone."""


def suits(fault: str, request: Request) -> bool:
    """Whether a fault can befall a request."""
    if fault == "conflict":
        return request.method == "PUT" and request.conditional
    if fault == "corrupted answer":
        return request.method == "GET" and request.of_object
    if fault == "corrupted request":
        return request.method == "PUT" and request.of_object and bool(request.body)
    return True


def seeded(seed: int, rate: float, kinds: tuple[str, ...] = FAULTS) -> Choice:
    """Spoil a share of the requests."""

    def choose(request: Request, nth: int) -> str | None:
        dice = random.Random(f"{seed} {nth} {request.name}")
        if dice.random() >= rate:
            return None
        return dice.choice([kind for kind in kinds if suits(kind, request)])

    return choose


class Proxy:
    """Stands before `server` while the ``with`` block runs.

    Attributes
    ----------
    left
        How many more faults it may cause; None for any number.
    caused
        What it did: how often which fault.
    requests, answered
        ``METHOD /target`` of every request that came, and of those that the server carried out; of an upload in parts, its end.
    """

    def __init__(self, server: str, choose: Choice, left: int | None = None, stall: float = 5) -> None:
        place = urlsplit(server)
        self.upstream = (str(place.hostname), int(place.port or 80))
        self.choose, self.left, self.stall = choose, left, stall
        self.caused: Counter[str] = Counter()
        self.requests: list[str] = []
        self.answered: list[str] = []
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError, http.client.HTTPException), client.makefile("rb") as stream:
            while (request := _read_request(client, stream)) is not None:
                if not self._answer(client, request):
                    # A reset, not an orderly end: the answer to come is lost.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return

    def _fault(self, request: Request) -> str | None:
        with self._lock:
            self.requests.append(f"{request.method} {request.target}")
            if self.left == 0:
                return None
            nth = self._seen[request.name]
            self._seen[request.name] += 1
            fault = self.choose(request, nth)
            if fault:
                self.caused[fault] += 1
                self.left = None if self.left is None else self.left - 1
            return fault

    def _answer(self, client: socket.socket, request: Request) -> bool:
        """Answer a request; False to reset the connection."""
        fault = self._fault(request)
        if fault in CANNED:
            status, body = CANNED[fault]
            client.sendall(_response(status, "Told", [("Content-Type", "application/xml")], body.encode()))
            return True
        if fault == "reset before":
            return False
        if fault == "stall before":
            self._ended.wait(self.stall)
            return False
        if fault == "corrupted request":
            request = Request(request.method, request.target, request.head, _flip(request.body))
        answer, start = self._forward(request, cut=fault == "reset inside")
        if fault in ("reset inside", "dropped answer"):
            return False
        if fault == "stall after":
            self._ended.wait(self.stall)
            return False
        if fault == "truncated answer":
            client.sendall(
                answer[: start + (len(answer) - start) // 2] if len(answer) > start else answer[: start // 2]
            )
            return False
        if fault == "corrupted answer" and answer[9:12] in (b"200", b"206"):
            answer = answer[:start] + _flip(answer[start:])
        client.sendall(answer)
        return True

    def _forward(self, request: Request, *, cut: bool) -> tuple[bytes, int]:
        """The server's answer, and where its body starts."""
        with socket.create_connection(self.upstream, timeout=60) as server:
            if cut:
                whole = request.head + request.body
                server.sendall(whole[: len(whole) - len(request.body) // 2 - 1])
                return b"", 0
            server.sendall(request.head)
            server.sendall(request.body)
            response = http.client.HTTPResponse(server, method=request.method)
            response.begin()
            body = response.read()
            started = "?uploads" in request.target or (request.method == "PUT" and "uploadId=" in request.target)
            if response.status < 300 and not started:
                self.answered.append(f"{request.method} {request.target}")
            hop = ("connection", "transfer-encoding", "keep-alive")
            headers = [(k, v) for k, v in response.getheaders() if k.lower() not in hop]
            whole = _response(response.status, response.reason, headers, body)
            return whole, len(whole) - len(body)


def _read_request(client: socket.socket, stream: object) -> Request | None:
    read = stream.readline  # type: ignore[attr-defined]
    head = first = read()
    if not first:
        return None
    while (line := read()) not in (b"\r\n", b""):
        head += line
    method, target, _ = first.decode("latin-1").split(" ", 2)
    bare = Request(method, target, head, b"")
    if bare.header("expect"):
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = re.sub(rb"(?im)^expect:.*\r\n", b"", head)
    body = stream.read(int(bare.header("content-length") or 0))  # type: ignore[attr-defined]
    return Request(method, target, head + b"\r\n", body)


def _response(status: int, reason: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    if not any(name.lower() == "content-length" for name, _ in headers):
        headers = [*headers, ("Content-Length", str(len(body)))]
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def _flip(data: bytes) -> bytes:
    """Data with a bit of its middle byte changed."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else data
