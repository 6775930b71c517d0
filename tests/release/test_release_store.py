"""The door to a store: URLs, credentials, and what its errors become."""

import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from neuropress.cli.main import main
from neuropress.model.finding import Problem
from neuropress.release import Asset, StoreUnavailable, list_releases, publish_assets, read_release
from neuropress.storage.aws import Access, find_access
from neuropress.storage.store import Store, open_store

SECRET = "planted/secret+key%0123456789"  # as set by the fixture `aws_environment`


@pytest.fixture(autouse=True)
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuropress.storage.store.RETRY", {"max_retries": 0})
    monkeypatch.setattr("neuropress.storage.store.PAUSES", ())


@pytest.fixture
def answering() -> Iterator[Callable[[int, str], str]]:
    """Start a server that gives every request the same answer; returns its endpoint."""
    servers = []

    def start(status: int, body: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                data = f"{body} {self.headers.get('Authorization')} {SECRET}".encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_HEAD = do_POST = answer

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "id"),
    [
        (403, "AccessDenied", "storage.denied"),
        (400, "ExpiredToken", "storage.expired"),
        (403, "RequestTimeTooSkewed", "storage.clock"),
        (401, "Whatever", "storage.denied"),
        (403, "SignatureDoesNotMatch", "storage.denied"),
        (404, "NoSuchBucket", "storage.bucket"),
        (400, "AuthorizationHeaderMalformed", "storage.region"),
    ],
)
@pytest.mark.parametrize("method", ["list_names", "create", "get"])
def test_refusals_are_findings_of_ours(answering, status, code, id, method):
    endpoint = answering(status, f"<Error><Code>{code}</Code></Error>")
    store = open_store("s3://bucket/p", endpoint, write=True)
    with pytest.raises(Problem) as caught:
        store.create("k", b"") if method == "create" else getattr(store, method)("k")
    assert caught.value.finding.id == id
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_refused_look_up_is_no_absence(answering):
    store = open_store("s3://bucket/p", answering(403, ""), write=True)
    with pytest.raises(Problem) as caught:
        store.get_size("k")
    assert caught.value.finding.id == "storage.denied"


@pytest.mark.parametrize(("status", "body"), [(503, "<Code>SlowDown</Code>"), (500, "oops"), (400, "nonsense")])
def test_failures_are_unavailable(answering, status, body):
    store = open_store("s3://bucket/p", answering(status, body), write=True)
    for act in (lambda: store.create("k", b""), lambda: store.list_names("k"), lambda: store.get("k")):
        with pytest.raises(StoreUnavailable, match=r"s3://bucket/p: .* failed: (SlowDown|[45]00)") as caught:
            act()
        text = "".join(traceback.format_exception(caught.value))
        assert SECRET not in text
        assert "AKIAPLANTED" not in text


def test_no_server(tmp_path):
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(StoreUnavailable, match="s3://bucket/p: listing releases failed") as caught:
        publish_assets(
            [Asset("a/x", "raw", tmp_path / "x")],
            "s3://bucket/p",
            "1.0.0",
            title="",
            license="CC0-1.0",
            endpoint="http://127.0.0.1:9",
        )
    assert isinstance(caught.value, OSError)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.s3
def test_missing_bucket(s3_server):
    for act in (list_releases, read_release):
        with pytest.raises(Problem) as caught:
            act("s3://no-such-bucket/x", endpoint=s3_server.endpoint)
        assert caught.value.finding.id == "storage.bucket"


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "ftp://host/x",
        "https://bucket.s3.amazonaws.com/x",
        "s3://",
        "s3://B",
        "s3://ab",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "s3://bucket/a?versionId=1",
        f"s3://key:{SECRET}@bucket/p",
    ],
)
def test_urls_that_are_none(url):
    with pytest.raises(Problem) as caught:
        open_store(url, write=True)
    assert caught.value.finding.id == "storage.url"
    assert SECRET not in str(caught.value.finding)


def test_store_shows_no_secret():
    store = open_store("s3://bucket/p/", "http://127.0.0.1:9", write=True)
    assert store.url == "s3://bucket/p"
    assert SECRET not in repr(store)
    assert SECRET not in repr(find_access(None, write=True))


def test_reading_a_folder_does_not_make_it(tmp_path):
    with pytest.raises(Problem) as caught:
        read_release(str(tmp_path / "none"))
    assert caught.value.finding.id == "release.none"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["get", "rebuild", "verify"])
@pytest.mark.parametrize("number", ["/etc/passwd", "../1.0.0", "1.0", "latest"])
def test_a_path_is_no_number(tmp_path, capsys, verb, number):
    store = open_store(str(tmp_path), write=True)
    store.create("releases/1.0.0.json", b"{}")
    chosen = [str(tmp_path), str(tmp_path / "to"), "--release", number] if verb == "get" else [str(tmp_path), number]
    assert main(["releases", verb, *chosen]) == 1
    assert f"{number!r} is no release number" in "".join(capsys.readouterr())


def test_create_gives_one_winner(tmp_path):
    store = open_store(str(tmp_path / "out"), write=True)
    assert store.create("a/b", b"one")
    assert not store.create("a/b", b"two")
    assert (store.get("a/b"), store.get("a/c"), store.get_size("a/b"), store.get_size("a/c")) == (b"one", None, 3, None)
    assert store.list_names("a") == (("b",), ())
    assert store.list_names("") == ((), ("a",))
    assert list(store.list_objects("a")) == [("a/b", 3)]


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="opening the folder failed"):
        open_store(str(tmp_path / "file" / "out"), write=True)


def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def keys(access: Access) -> tuple[str | None, str | None, str | None]:
    return tuple(access.keys.get(k) for k in ("access_key_id", "secret_access_key", "session_token"))


def test_environment_wins_over_the_profile(monkeypatch, tmp_path):
    write_profile(monkeypatch, tmp_path, "[default]\naws_access_key_id=P\naws_secret_access_key=Q\n")
    assert keys(find_access(None, write=True)) == ("AKIAPLANTED", SECRET, None)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "T")
    assert keys(find_access(None, write=True))[2] == "T"


def write_profile(monkeypatch: pytest.MonkeyPatch, folder: Path, credentials: str, config: str = "") -> None:
    for name, text in (("SHARED_CREDENTIALS", credentials), ("CONFIG", config)):
        (folder / name).write_text(text, encoding="utf-8")
        monkeypatch.setenv(f"AWS_{name}_FILE", str(folder / name))


def test_profile(monkeypatch, tmp_path):
    without_keys(monkeypatch)
    credentials = f"[default]\naws_access_key_id=D\naws_secret_access_key=D\n[lab]\naws_access_key_id=P\naws_secret_access_key={SECRET}\naws_session_token=T\n"
    config = "[profile lab]\nregion = eu-central-1\nendpoint_url = https://s3.example.org\n"
    write_profile(monkeypatch, tmp_path, credentials, config)
    assert keys(find_access(None, write=True)) == ("D", "D", None)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    access = find_access(None, write=True)
    assert keys(access) == ("P", SECRET, "T")
    assert (access.region, access.endpoint) == ("eu-central-1", "https://s3.example.org")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://other.example.org")
    access = find_access(None, write=True)
    assert (access.region, access.endpoint) == ("us-west-2", "https://other.example.org")
    assert find_access("https://third.example.org", write=True).endpoint == "https://third.example.org"


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ("[other]\n", "the AWS profile 'lab' is in no AWS configuration file"),
        (f"[lab\n{SECRET}", "is not a readable AWS configuration file"),
    ],
)
def test_profiles_that_do_not_serve(monkeypatch, tmp_path, credentials, message):
    without_keys(monkeypatch)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    write_profile(monkeypatch, tmp_path, credentials)
    with pytest.raises(Problem, match=message) as caught:
        find_access(None, write=True)
    assert caught.value.finding.id == "storage.credentials"
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_half_a_credential(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(Problem, match="only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set"):
        find_access(None, write=True)


def test_without_credentials(monkeypatch):
    without_keys(monkeypatch)
    with pytest.raises(Problem) as caught:
        find_access(None, write=True)
    assert caught.value.finding.id == "storage.credentials"
    assert find_access(None, write=False).anonymous


@pytest.mark.s3
def test_anonymous_reading(monkeypatch, bucket, tmp_path):
    (tmp_path / "x").write_bytes(b"x")
    publish_assets(
        [Asset("a/x", "raw", tmp_path / "x")],
        bucket.url,
        "1.0.0",
        title="",
        license="CC0-1.0",
        endpoint=bucket.endpoint,
    )
    without_keys(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", str(bucket.endpoint))
    assert list_releases(bucket.url) == ("1.0.0",)


@pytest.mark.parametrize(
    "endpoint", ["storage", "ftp://h", "https://user:pw@h", "http://storage.example.org", "http://"]
)
def test_endpoints_that_are_refused(endpoint):
    with pytest.raises(Problem) as caught:
        find_access(endpoint, write=True)
    assert caught.value.finding.id == "storage.endpoint"
    assert "pw" not in caught.value.finding.message


def test_http_elsewhere_only_on_demand(monkeypatch):
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    assert find_access("http://storage.example.org", write=True).plain_http


def test_claims_that_cannot_be_read_back(tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(b"x")
    monkeypatch.setattr(Store, "create", lambda *_: False)
    with pytest.raises(StoreUnavailable, match="cannot be read back"):
        publish_assets(
            [Asset("a/x", "raw", tmp_path / "x")], str(tmp_path / "out"), "1.0.0", title="", license="CC0-1.0"
        )
