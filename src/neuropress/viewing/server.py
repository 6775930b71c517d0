"""A web server for volumes on this machine alone: read only, ranges, nothing but the files of the volumes."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

HOST = "127.0.0.1"
PIECE = 2**20
EVENTS = "events"
"""Where a page hears what to show."""
MOST_STATE = 2**20
ALIVE_SECONDS = 15.0
RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; connect-src 'self' blob: data:; "
    "frame-ancestors 'none'; form-action 'none'; base-uri 'none'"
)
"""What a page may load: nothing from elsewhere, whatever a volume's metadata names."""
TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
}


@dataclass(frozen=True, slots=True)
class Served:
    """One file that the server gives.

    Attributes
    ----------
    size
        In bytes.
    read
        ``read(start, length)`` gives bytes of it.
    suffix
        By which its type is told.
    """

    size: int
    read: Callable[[int, int], bytes]
    suffix: str = ""


type Find = Callable[[str], Served | None]
"""Looks a path up, without its leading slash; None where there is nothing."""


class Server(ThreadingHTTPServer):
    """Serves folders to this machine.

    Each run has an address that nobody can guess, as other people may be logged in to this machine, and answers only
    requests that name this machine, as a page from elsewhere can have its own name lead here.

    Parameters
    ----------
    folders
        First part of a path -> what lies below it.
    port
        0 for any that is free.

    Attributes
    ----------
    events
        What every page hears when it is opened.
    """

    daemon_threads = True

    def __init__(self, folders: Mapping[str, Find], port: int = 0) -> None:
        self.folders, self.events = folders, list[Mapping[str, Any]]()
        self.is_closed = threading.Event()
        self.secret = secrets.token_urlsafe(16)
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """What all paths lie below."""
        return f"http://{HOST}:{self.server_port}/{self.secret}"

    def server_close(self) -> None:
        """Let the pages go, too."""
        self.is_closed.set()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "neuropress", ""

    def do_GET(self) -> None:
        """Bytes of a file, all or a range."""
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        """Whether a file is there, and its size."""
        self._answer(has_body=False)

    def do_POST(self) -> None:
        """What a page's user has changed, which the page alone keeps."""
        length = self.headers.get("Content-Length", "")
        if self._find_path() is None or not length.isdecimal() or int(length) > MOST_STATE:
            self.close_connection = True
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        self.rfile.read(int(length))
        answer = json.dumps({"g": secrets.token_hex(8)}).encode()
        self._begin(HTTPStatus.OK, {"Content-Length": str(len(answer)), "Content-Type": TYPES[".json"]})
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a volume takes thousands of requests."""

    def _answer(self, *, has_body: bool) -> None:
        path = self._find_path()
        if path is None:
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        folder, _, name = path.partition("/")
        if folder == EVENTS and has_body:
            self._send_events()
            return
        find = self.server.folders.get(folder)
        try:
            found = find(name) if find else None
        except OSError:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        part = find_range(self.headers.get("Range", ""), found.size)
        if part is None:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{found.size}"})
            return
        start, stop = part
        headers = {"Content-Type": TYPES.get(found.suffix, "application/octet-stream")}
        is_part = "Range" in self.headers
        if is_part:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{found.size}"
        headers["Content-Length"] = str(stop - start)
        self._begin(HTTPStatus.PARTIAL_CONTENT if is_part else HTTPStatus.OK, headers)
        for at in range(start, stop if has_body else start, PIECE):
            self.wfile.write(found.read(at, min(PIECE, stop - at)))

    def _find_path(self) -> str | None:
        """What is asked for below the secret; None where the secret or the name of this machine is wrong."""
        names = {f"{host}:{self.server.server_port}" for host in (HOST, "localhost")}
        secret, _, rest = unquote(urlsplit(self.path).path).removeprefix("/").partition("/")
        is_known = secrets.compare_digest(secret.encode(), self.server.secret.encode())
        return rest if is_known and self.headers.get("Host") in names else None

    def _send_events(self) -> None:
        """Server-sent events: what there is to show, then a sign of life now and then."""
        self.close_connection = True
        self._begin(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
        for event in self.server.events:
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        while not self.server.is_closed.wait(ALIVE_SECONDS):
            self.wfile.write(b":\n\n")

    def _refuse(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        self._begin(status, {"Content-Length": "0", **(headers or {})})

    def _begin(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        always = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in {**always, **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def find_range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last that a request asks for; None where there are none.

    A header of several ranges, or of another sort, is as good as none: all bytes.
    """
    match = RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return 0, size
    if not match[1]:
        start, stop = max(size - int(match[2]), 0), size
    else:
        start = int(match[1])
        stop = min(int(match[2]) + 1, size) if match[2] else size
    return (start, stop) if start < stop else None
