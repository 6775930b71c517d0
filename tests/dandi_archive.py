"""An archive that speaks DANDI's protocol, on 127.0.0.1 and in memory, and refuses what the real one refuses.

Parts have the sizes that the file's size demands and are put to signed addresses, in which the key is a mistake; an
upload is complete when the ETag of its parts is the one that was promised; an asset needs bytes that are there, a path
of its own and its metadata; volumes are digested when they are finalised, and keep a dandiset from being published.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "0123456789abcdef-not-a-real-key"
MIB = 2**20
ASSET_PATH = re.compile(r"^([A-z0-9(),&\s#+~_=-]?\/?\.?[A-z0-9(),&\s#+~_=-])+$")
PAGE = 3
"""Entries of a page, few, so that paging is seen."""
BUSY = "Zarr archive is currently ingesting or has already ingested"


PART = 64 * MIB
"""Tests make it smaller, here and in what is tested."""


def part_sizes(size: int) -> list[int]:
    length = PART if -(-size // PART) < 10_000 else -(-size // 10_000)
    return [length] * (size // length) + ([size % length] if size % length else [])


def etag_of(parts: list[bytes]) -> str:
    return f"{hashlib.md5(b''.join(hashlib.md5(p).digest() for p in parts)).hexdigest()}-{len(parts)}"


def zarr_checksum(files: dict[str, bytes]) -> str:
    """Over the tree, from its leaves."""

    def listing(prefix: str) -> tuple[str, int, int]:
        inside = {p[len(prefix) :]: data for p, data in files.items() if p.startswith(prefix)}
        names = sorted(inside)
        own = [n for n in names if "/" not in n]
        folders = sorted({n.split("/")[0] for n in names if "/" in n})
        entries = [{"digest": hashlib.md5(inside[n]).hexdigest(), "name": n, "size": len(inside[n])} for n in own]
        below = []
        for name in folders:
            md5, count, size = listing(f"{prefix}{name}/")
            below.append({"digest": f"{md5}-{count}--{size}", "name": name, "size": size})
        text = json.dumps({"directories": below, "files": entries}, separators=(",", ":"))
        return hashlib.md5(text.encode()).hexdigest(), len(inside), sum(map(len, inside.values()))

    md5, count, size = listing("")
    return f"{md5}-{count}--{size}"


@dataclass
class Upload:
    size: int
    etag: str
    parts: dict[int, bytes] = field(default_factory=dict)
    whole: bytes | None = None


@dataclass
class Zarr:
    name: str
    files: dict[str, bytes] = field(default_factory=dict)
    status: str = "Pending"
    checksum: str | None = None


class Refusal(Exception):
    def __init__(self, status: int, text: Any, **headers: str) -> None:
        self.status, self.text, self.headers = status, text, headers


class FakeArchive:
    """One dandiset, 000123, whose owner has `KEY`.

    Attributes
    ----------
    before
        Called with the number, method and path of each request; what it returns is answered in place of the answer.
    seen
        Method, path, whether the key came along, and the size of the body of each request.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.url = ""
        self.blobs: dict[str, tuple[str, bytes]] = {}
        self.uploads: dict[str, Upload] = {}
        self.zarrs: dict[str, Zarr] = {}
        self.assets: dict[str, dict[str, Any]] = {}
        self.metadata: dict[str, Any] = {"name": "Ours", "schemaVersion": "0.8.0", "license": ["spdx:CC-BY-4.0"]}
        self.seen: list[tuple[str, str, bool, int]] = []
        self.before: Callable[[int, str, str], tuple[int, Any] | None] = lambda number, method, path: None
        self.after: Callable[[int, str, str], None] = lambda number, method, path: None
        self.expired = False
        self.owner = True
        self.embargo = "OPEN"
        self.status = "APPROVED"
        self.schema = "0.8.0"

    # What a request comes to: a path below /api, or below /s3 where the signature stands for the key.

    def answer(self, method: str, url: str, headers: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(url)
        path, query = unquote(parts.path), {k: v[0] for k, v in parse_qs(parts.query).items()}
        key = headers.get("Authorization")
        with self.lock:
            if path.startswith("/s3/"):
                if key:
                    raise Refusal(400, "<Code>InvalidArgument</Code> only one auth mechanism allowed")
                return self.store(method, path.removeprefix("/s3/"), query, headers, body)
            if key not in (None, f"token {KEY}"):
                raise Refusal(401, {"detail": "Invalid token."})
            if not path.endswith("/"):
                raise Refusal(301, "", Location=f"{path}/")
            data = json.loads(body) if body else None
            return self.route(method, path.removeprefix("/api/").strip("/").split("/"), query, data, key is not None)

    def route(self, method: str, steps: list[str], query: dict[str, str], data: Any, known: bool) -> Any:
        if method != "GET" and not known:
            raise Refusal(401, {"detail": "Authentication credentials were not provided."})
        if method != "GET" and not self.owner:
            raise Refusal(403, {"detail": "You do not have permission to perform this action."})
        match [method, *steps]:
            case ["GET", "info"]:
                return 200, {"schema_version": self.schema, "version": "0"}, {}
            case ["GET", "auth", "token"]:
                if not known:
                    raise Refusal(401, {"detail": "Authentication credentials were not provided."})
                return 200, KEY, {}
            case ["GET", "users", "me"]:
                return 200, {"username": "ada", "admin": False, "status": self.status}, {}
            case [_, "dandisets", "000123", *_] if self.embargo != "OPEN" and not self.owner:
                raise Refusal(403 if known else 401, {"detail": "You do not have permission to perform this action."})
            case [other, "dandisets" | "uploads" | "zarr", *_] if other != "GET" and self.embargo == "UNEMBARGOING":
                raise Refusal(400, {"detail": "Dandiset modification not allowed during unembargo"})
            case ["GET", "dandisets", "000123"]:
                return 200, {"identifier": "000123", "embargo_status": self.embargo}, {}
            case ["GET", "dandisets", "000123", "users"]:
                return 200, [{"username": "ada" if self.owner else "eve", "name": "", "email": None}], {}
            case [_, "dandisets", "000123", "versions", "draft", *rest]:
                return self.draft(method, rest, query, data)
            case ["POST", "uploads", "initialize"]:
                return self.initialize(data)
            case ["POST", "uploads", id, step]:
                return self.finish(id, step, data)
            case [_, "zarr", *rest]:
                return self.volume(method, rest, query, data)
            case ["GET", "assets", id, "download"]:
                blob = next(a["blob"] for a in self.assets.values() if a["asset_id"] == id)
                raise Refusal(302, "", Location=f"{self.url}/s3/blobs/{blob}?sig=1")
        raise Refusal(404, {"detail": "Not found."})

    def draft(self, method: str, rest: list[str], query: dict[str, str], data: Any) -> Any:
        match [method, *rest]:
            case ["GET"]:
                return 200, self.metadata, {}
            case ["PUT"]:
                self.metadata = dict(data["metadata"], name=data["name"])
                return 200, {"version": "draft"}, {}
            case ["GET", "assets"]:
                chosen = [a for p, a in sorted(self.assets.items()) if p.startswith(query.get("path", ""))]
                return 200, self.page(chosen, query, f"/api/dandisets/000123/versions/draft/{rest[0]}/"), {}
            case ["POST", "assets"]:
                if data["metadata"]["path"] in self.assets:
                    raise Refusal(409, "An asset with that path already exists")
                return 200, self.place(data), {}
            case ["PUT", "assets", id]:
                old = next((p for p, a in self.assets.items() if a["asset_id"] == id), None)
                if old is None:
                    raise Refusal(404, {"detail": "No Asset matches the given query."})
                del self.assets[old]
                return 200, self.place(data), {}
            case ["POST", "publish"]:
                if self.zarrs:
                    raise Refusal(400, "Cannot publish dandisets which contain zarrs")
                return 202, None, {}
        raise Refusal(404, {"detail": "Not found."})

    def place(self, data: Any) -> dict[str, Any]:
        metadata, path = data["metadata"], data["metadata"]["path"]
        if ("blob_id" in data) == ("zarr_id" in data):
            raise Refusal(400, {"blob_id": "Exactly one of blob_id or zarr_id must be specified."})
        if not ASSET_PATH.match(path) or len(path) > 512:
            raise Refusal(400, ["Path improperly formatted"])
        for other in self.assets:
            if other.startswith(f"{path}/") or path.startswith(f"{other}/"):
                raise Refusal(409, f'Path of new asset "{path}" conflicts with existing assets')
        for name in ("schemaVersion", "encodingFormat", "access", "digest", "contentSize"):
            if name not in metadata:
                raise Refusal(400, {"metadata": f"{name} is required"})
        asset = {"asset_id": str(uuid.uuid4()), "path": path, "blob": None, "zarr": None, "sent": metadata}
        if "blob_id" in data:
            if data["blob_id"] not in self.blobs:
                raise Refusal(404, {"detail": "Not found."})
            asset["blob"] = data["blob_id"]
        else:
            if data["zarr_id"] not in self.zarrs:
                raise Refusal(404, {"detail": "Not found."})
            asset["zarr"] = data["zarr_id"]
        self.assets[path] = asset
        return self.show(asset)

    def show(self, asset: dict[str, Any]) -> dict[str, Any]:
        """As a listing has it: size and digests are those of what is there, whatever was said of it."""
        if asset["blob"]:
            etag, data = self.blobs[asset["blob"]]
            size, digest = len(data), {"dandi:dandi-etag": etag}
        else:
            volume = self.zarrs[asset["zarr"]]
            size = sum(map(len, volume.files.values()))
            digest = {"dandi:dandi-zarr-checksum": volume.checksum}
        metadata = {**asset["sent"], "digest": digest, "contentSize": size}
        return {**{k: asset[k] for k in ("asset_id", "path", "blob", "zarr")}, "size": size, "metadata": metadata}

    def page(self, entries: list[Any], query: dict[str, str], path: str) -> dict[str, Any]:
        number = int(query.get("page", 1))
        chosen = entries[(number - 1) * PAGE : number * PAGE]
        others = "&".join(f"{k}={v}" for k, v in query.items() if k != "page")
        more = f"{self.url}{path}?{others}&page={number + 1}" if number * PAGE < len(entries) else None
        shown = [self.show(e) if "asset_id" in e else e for e in chosen]
        return {"count": len(entries), "next": more, "previous": None, "results": shown}

    def initialize(self, data: Any) -> Any:
        digest, size = data["digest"], data["contentSize"]
        if digest["algorithm"] != "dandi:dandi-etag" or not re.fullmatch(r"[0-9a-f]{32}-\d{1,5}", digest["value"]):
            raise Refusal(400, {"digest": "Unsupported Digest Type."})
        if data["dandiset"] != "000123" or size < 1:
            raise Refusal(400, {"contentSize": "Ensure this value is greater than or equal to 1."})
        for id, (etag, _) in self.blobs.items():
            if etag == digest["value"]:
                raise Refusal(409, "Blob already exists.", Location=id)
        id = str(uuid.uuid4())
        self.uploads[id] = Upload(size, digest["value"])
        parts = [
            {"part_number": n, "size": s, "upload_url": f"{self.url}/s3/uploads/{id}/{n}?sig={n}"}
            for n, s in enumerate(part_sizes(size), 1)
        ]
        return 200, {"upload_id": id, "parts": parts}, {}

    def finish(self, id: str, step: str, data: Any) -> Any:
        upload = self.uploads.get(id)
        if upload is None:
            raise Refusal(404, {"detail": "No Upload matches the given query."})
        if step == "complete":
            body = "".join(f"<Part>{p['part_number']} {p['etag']}</Part>" for p in data["parts"])
            return 200, {"complete_url": f"{self.url}/s3/complete/{id}?sig=1", "body": f"<C>{body}</C>"}, {}
        if upload.whole is None:
            raise Refusal(400, ["Object does not exist."])
        if len(upload.whole) != upload.size:
            raise Refusal(400, [f"Size {upload.size} does not match actual size {len(upload.whole)}."])
        if (etag := etag_of([p for _, p in sorted(upload.parts.items())])) != upload.etag:
            raise Refusal(400, [f"ETag {upload.etag} does not match actual ETag {etag}."])
        del self.uploads[id]
        if any(known == upload.etag for known, _ in self.blobs.values()):
            raise Refusal(409, "An identical blob has already been uploaded.")
        self.blobs[id] = (upload.etag, upload.whole)
        return 200, {"blob_id": id, "etag": upload.etag, "size": upload.size}, {}

    def volume(self, method: str, rest: list[str], query: dict[str, str], data: Any) -> Any:
        if not rest and method == "POST":
            if any(z.name == data["name"] for z in self.zarrs.values()):
                raise Refusal(400, ["Zarr already exists"])
            id = str(uuid.uuid4())
            self.zarrs[id] = Zarr(data["name"])
            return 200, {"zarr_id": id, "name": data["name"], "status": "Pending"}, {}
        if not rest:
            named = [
                {"zarr_id": i, "name": z.name} for i, z in self.zarrs.items() if z.name == query.get("name", z.name)
            ]
            return 200, {"next": None, "results": named}, {}
        volume = self.zarrs.get(rest[0])
        if volume is None:
            raise Refusal(404, {"detail": "Not found."})
        match [method, *rest[1:]]:
            case ["GET"]:
                if volume.status == "Ingesting":
                    volume.status, volume.checksum = "Complete", zarr_checksum(volume.files)
                elif volume.status == "Uploaded":
                    volume.status = "Ingesting"
                return 200, {"zarr_id": rest[0], "status": volume.status, "checksum": volume.checksum}, {}
            case ["POST", "finalize"]:
                if volume.status != "Pending":
                    raise Refusal(400, BUSY)
                volume.status = "Uploaded"
                return 204, None, {}
            case ["GET", "files"]:
                names = [n for n in sorted(volume.files) if n > query.get("after", "")]
                shown = [
                    {"Key": n, "ETag": hashlib.md5(volume.files[n]).hexdigest(), "Size": len(volume.files[n])}
                    for n in names[:PAGE]
                ]
                more = f"{self.url}/api/zarr/{rest[0]}/files/?after={names[PAGE - 1]}" if len(names) > PAGE else None
                return 200, {"next": more, "results": shown}, {}
            case ["POST" | "DELETE", "files"]:
                if volume.status in ("Uploaded", "Ingesting"):
                    raise Refusal(400, BUSY)
                volume.status, volume.checksum = "Pending", None
                if method == "DELETE":
                    for one in data:
                        del volume.files[one["path"]]
                    return 204, None, {}
                base = f"{self.url}/s3/zarr/{rest[0]}"
                return (
                    200,
                    [
                        f"{base}/{one['path']}?sig={base64.b16encode(one['base64md5'].encode()).decode()}"
                        for one in data
                    ],
                    {},
                )
        raise Refusal(404, {"detail": "Not found."})

    def store(self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> Any:
        if self.expired or "sig" not in query:
            raise Refusal(403, "<Code>AccessDenied</Code><Message>Request has expired</Message>")
        md5 = hashlib.md5(body)
        match [method, *path.split("/", 2)]:
            case ["PUT", "uploads", id, number]:
                upload = self.uploads.get(id)
                if upload is None or upload.whole is not None:
                    raise Refusal(404, "<Code>NoSuchUpload</Code>")
                if len(body) != part_sizes(upload.size)[int(number) - 1]:
                    raise Refusal(400, "<Code>EntityTooSmall</Code>")
                upload.parts[int(number)] = body
            case ["POST", "complete", id]:
                upload = self.uploads.get(id)
                if upload is None or upload.whole is not None:
                    raise Refusal(404, "<Code>NoSuchUpload</Code>")
                parts = [upload.parts.get(n, b"") for n in range(1, len(part_sizes(upload.size)) + 1)]
                named = re.findall(r"<Part>(\d+) (\w+)</Part>", body.decode())
                if named != [(str(n), hashlib.md5(p).hexdigest()) for n, p in enumerate(parts, 1)]:
                    raise Refusal(400, "<Code>InvalidPart</Code>")
                upload.whole = b"".join(parts)
                return 200, "<CompleteMultipartUploadResult/>", {}
            case ["PUT", "zarr", id, name]:
                wanted = base64.b16decode(query["sig"]).decode()
                stated = headers.get("Content-MD5")
                if stated != wanted:
                    raise Refusal(403, "<Code>SignatureDoesNotMatch</Code>")
                if base64.b64encode(md5.digest()).decode() != stated:
                    raise Refusal(400, "<Code>BadDigest</Code>")
                self.zarrs[id].files[name] = body
            case ["GET", "blobs", id]:
                return 200, self.blobs[id][1], {}
            case _:
                raise Refusal(404, "<Code>NoSuchKey</Code>")
        return 200, "", {"ETag": f'"{md5.hexdigest()}"'}


@contextmanager
def serve() -> Iterator[FakeArchive]:
    """An archive that listens; its interface is at ``.url + "/api"``."""
    fake = FakeArchive()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = unquote(urlsplit(self.path).path)
            with fake.lock:
                fake.seen.append((self.command, path, "Authorization" in self.headers, len(body)))
                number = len(fake.seen)
            fixed = fake.before(number, self.command, path)
            try:
                status, answer, headers = (
                    (*fixed, {}) if fixed else fake.answer(self.command, self.path, self.headers, body)
                )
            except Refusal as refusal:
                status, answer, headers = refusal.status, refusal.text, refusal.headers
            fake.after(number, self.command, path)
            is_text = isinstance(answer, str) and self.path.startswith("/s3/")
            data = answer if isinstance(answer, bytes) else (answer if is_text else json.dumps(answer)).encode()
            data = b"" if answer is None else data
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                pass

        do_GET = do_POST = do_PUT = do_DELETE = respond

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
