"""Keys that a profile obtains: by a program, an assumed role, single sign-on; renewed, and never shown."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from builder import Builder, abf
from servers import SECRET

from neuropress.cli.main import main
from neuropress.model.finding import Problem
from neuropress.release import Asset, list_releases, publish_assets
from neuropress.storage.aws import find_access
from neuropress.storage.store import open_store

ISSUED = "issued/secret+key%9876543210"


@pytest.fixture(autouse=True)
def profile_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def write_config(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / "config").write_text(text, encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_PROFILE", "lab")  # only now: the test's own client has no profile


def credential_program(folder: Path, *, minutes: float, failing: bool = False) -> str:
    """A command that gives out keys and counts its calls in a file."""
    script = folder / "keys.py"
    script.write_text(
        "import datetime, json, pathlib, sys\n"
        f"calls = pathlib.Path({str(folder / 'calls')!r})\n"
        "calls.write_text(calls.read_text() + 'x' if calls.exists() else 'x')\n"
        f"end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes={minutes})\n"
        f"if {failing}: sys.exit('no luck with {ISSUED}')\n"
        "keys = {'Version': 1, 'AccessKeyId': 'AKIAPLANTED', 'Expiration': end.isoformat()}\n"
        f"print(json.dumps(keys | {{'SecretAccessKey': {SECRET!r}, 'SessionToken': ''}}))\n",
        encoding="utf-8",
    )
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))}"


def send(target: Any, folder: Path) -> None:
    (folder / "x").write_bytes(b"x")
    publish_assets([Asset("a/x", "raw", folder / "x")], target.url, "1.0.0", title="", license="CC0-1.0", endpoint=target.endpoint)  # fmt: skip
    assert list_releases(target.url, target.endpoint) == ("1.0.0",)


@pytest.mark.s3
def test_a_program_gives_the_keys(monkeypatch, tmp_path, true_bucket):
    command = credential_program(tmp_path, minutes=60)
    write_config(monkeypatch, tmp_path, f"[profile lab]\ncredential_process = {command}\n")
    send(true_bucket, tmp_path)
    assert SECRET not in repr(find_access(None, write=True))
    assert SECRET not in repr(open_store(true_bucket.url, true_bucket.endpoint, write=True))


@pytest.mark.s3
def test_keys_are_renewed_while_a_store_is_open(monkeypatch, tmp_path, true_bucket):
    """The program's keys live shorter than the library likes, so it is asked again and again."""
    command = credential_program(tmp_path, minutes=1)
    write_config(monkeypatch, tmp_path, f"[profile lab]\ncredential_process = {command}\n")
    store = open_store(true_bucket.url, true_bucket.endpoint, write=True)
    calls = tmp_path / "calls"
    for number in range(3):
        before = calls.read_text()
        assert store.create(f"k{number}", b"x")
        if number:
            assert len(calls.read_text()) > len(before)
        threading.Event().wait(0.2)  # the store's client asks ten times a second at most
    # a renewal that fails is reported as such, without what the program wrote
    credential_program(tmp_path, minutes=1, failing=True)
    with pytest.raises(
        Problem, match=r"obtains its keys by credential_process, which failed \(CredentialRetri"
    ) as caught:
        store.create("later", b"x")
    text = "".join(traceback.format_exception(caught.value))
    assert caught.value.finding.id == "storage.credentials"
    assert ISSUED not in text
    assert SECRET not in text


def test_long_lived_keys_are_used_until_they_need_renewal(monkeypatch, tmp_path):
    command = credential_program(tmp_path, minutes=60)
    write_config(monkeypatch, tmp_path, f"[profile lab]\ncredential_process = {command}\n")
    provider = find_access(None, write=True).provider
    assert provider
    end = provider()["expires_at"]
    assert end
    left = end - datetime.now(UTC)
    assert timedelta(minutes=5) < left < timedelta(minutes=10)
    assert (tmp_path / "calls").read_text() == "x"


@pytest.mark.s3
def test_an_assumed_role(monkeypatch, tmp_path, bucket):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", bucket.endpoint)
    config = (
        "[profile base]\naws_access_key_id = AKIAPLANTED\naws_secret_access_key = x\nregion = us-east-1\n"
        "[profile lab]\nrole_arn = arn:aws:iam::123456789012:role/publisher\nsource_profile = base\nregion = us-east-1\n"
    )
    write_config(monkeypatch, tmp_path, config)
    seen = len(bucket.server.requests())
    send(bucket, tmp_path)
    access = find_access(None, write=True)
    assert access.provider
    assert access.provider()["access_key_id"].startswith("ASIA")
    assert "POST /" in bucket.server.requests()[seen:]


@pytest.fixture
def portal() -> Iterator[tuple[str, list[str]]]:
    """A stub of the sign-on portal: gives keys for the cached token. Its endpoint, and the tokens that it was shown."""
    tokens: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers.get("x-amz-sso_bearer_token", ""))
            end = int((datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000)
            keys = {"accessKeyId": "AKIAPLANTED", "secretAccessKey": SECRET, "sessionToken": "", "expiration": end}
            data = json.dumps({"roleCredentials": keys}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", tokens
    server.shutdown()
    server.server_close()


SIGN_ON = (
    "[profile lab]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = publisher\nregion = us-east-1\n"
    "[sso-session work]\nsso_region = us-east-1\nsso_start_url = https://work.example.org/start\n"
)


def cache_token(home: Path, *, minutes: int) -> None:
    cache = home / ".aws/sso/cache"
    cache.mkdir(parents=True)
    end = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    token = {
        "startUrl": "https://work.example.org/start",
        "region": "us-east-1",
        "accessToken": "tok3n",
        "expiresAt": end,
    }
    (cache / f"{hashlib.sha1(b'work').hexdigest()}.json").write_text(json.dumps(token), encoding="utf-8")


@pytest.mark.s3
def test_single_sign_on(monkeypatch, tmp_path, true_bucket, portal):
    write_config(monkeypatch, tmp_path, SIGN_ON)
    cache_token(tmp_path, minutes=60)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", portal[0])
    # The library looks up the home folder once, when it is loaded, hence a process of its own.
    code = "import sys; from neuropress.storage.store import open_store as o; o(*sys.argv[1:], write=True).create('k', b'x')"
    command = [sys.executable, "-c", code, true_bucket.url, true_bucket.endpoint]
    subprocess.run(command, timeout=120, check=True)
    monkeypatch.delenv("AWS_PROFILE")
    assert true_bucket.objects() == {"k": b"x"}
    assert set(portal[1]) == {"tok3n"}


@pytest.mark.parametrize("minutes", [None, -5])
def test_single_sign_on_that_is_over_says_how_to_sign_in(monkeypatch, tmp_path, minutes, capsys):
    write_config(monkeypatch, tmp_path, SIGN_ON)
    if minutes:
        cache_token(tmp_path, minutes=minutes)
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    assert main(["convert", str(build.root)]) == 0
    assert main(["publish", str(build.root), "--to", "s3://bucket/p", "--release", "1.0.0"]) == 1
    text = "".join(capsys.readouterr())
    assert "storage.credentials" in text
    assert "aws sso login --profile lab" in text
    assert "tok3n" not in text


def test_without_the_library_the_command_to_install_it_is_named(monkeypatch, tmp_path):
    write_config(monkeypatch, tmp_path, SIGN_ON)
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(Problem) as caught:
        find_access(None, write=True)
    assert caught.value.finding.id == "storage.credentials"
    assert "python -m pip install 'neuropress[aws]'" in caught.value.finding.hint


def test_a_role_without_its_source_is_a_finding(monkeypatch, tmp_path):
    config = "[profile lab]\nrole_arn = arn:aws:iam::123456789012:role/publisher\nsource_profile = none\n"
    write_config(monkeypatch, tmp_path, config)
    with pytest.raises(Problem, match="obtains its keys by role_arn, which failed"):
        find_access(None, write=True)
