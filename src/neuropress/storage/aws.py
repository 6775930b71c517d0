"""Endpoint, region and credentials of an S3 store, by the usual AWS environment and profile files."""

from __future__ import annotations

import configparser
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..model.finding import Problem, problem

if TYPE_CHECKING:
    from obstore.store import S3Credential

DEFAULT_REGION = "us-east-1"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Credentials that the object store client finds and renews by itself.
_CLIENT_SOURCES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_METADATA_SERVICE = ("169.254.169.254", 80)
# Settings of a profile by which its keys are obtained; the vendor's library does that.
_RENEWED_SOURCES = (
    "sso_session",
    "sso_start_url",
    "login_session",
    "credential_process",
    "role_arn",
    "credential_source",
    "web_identity_token_file",
)
LIFETIME = timedelta(minutes=9)
"""How long renewable keys are used before they are asked for again. The library never gives out keys with less than
ten minutes to live unless the issuer does, and the store's client renews what has less than five."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach S3. `keys` are the client's credential options, never shown; `provider` renews them."""

    region: str
    endpoint: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    anonymous: bool = False
    provider: RenewedKeys | None = field(default=None, repr=False)

    def list_secrets(self) -> tuple[str, ...]:
        """Every text that no message may hold."""
        return (*self.keys.values(), *(self.provider.seen if self.provider else ()))

    def get_renewal_problem(self) -> Problem | None:
        """Why the keys could not be renewed, when that is what failed."""
        return self.provider.problem if self.provider else None

    @property
    def plain_http(self) -> bool:
        """Whether the endpoint is reached without TLS."""
        return (self.endpoint or "").startswith("http://")


class RenewedKeys:
    """Keys that botocore obtains and renews: by single sign-on, an assumed role or a program. Called by the client.

    Attributes
    ----------
    seen
        All secrets so far.
    problem
        Why the last attempt to get keys failed; None when it did not.
    """

    def __init__(self, profile: str, method: str, credentials: Any) -> None:
        self._profile, self._method, self._credentials = profile, method, credentials
        self._lock = threading.Lock()
        self.seen: set[str] = set()
        self.problem: Problem | None = None

    def __call__(self) -> S3Credential:
        """Keys that are good for a while. Raises `Problem` (``storage.credentials``)."""
        with self._lock:
            now = datetime.now(UTC)
            try:
                frozen = self._credentials.get_frozen_credentials()
            except Exception as error:  # noqa: BLE001 - whatever the vendor's library or its plug-ins raise
                self.problem = _make_renewal_problem(self._profile, self._method, type(error).__name__)
            else:
                self.problem = None
            if self.problem:
                raise self.problem
            self.seen |= {text for text in (frozen.secret_key, frozen.token) if text}
            # No public name says when the keys end; without one they are asked for again after `LIFETIME`.
            end = getattr(self._credentials, "_expiry_time", None) or now + LIFETIME
            return {
                "access_key_id": frozen.access_key,
                "secret_access_key": frozen.secret_key,
                "token": frozen.token,
                # The client takes no other object for UTC, such as the one that the library uses.
                "expires_at": min(end, now + LIFETIME).astimezone(UTC),
            }


def _make_renewal_problem(profile: str, method: str, reason: str) -> Problem:
    # The library's message is not shown: it quotes what a credential program wrote, which may be a key.
    hint = f"Sign in with: aws sso login --profile {profile}" if method.startswith("sso_") else ""
    message = f"the AWS profile {profile!r} obtains its keys by {method}, which failed ({reason})"
    return problem("storage.credentials", message, **({"hint": hint} if hint else {}))


def _obtain_renewed_keys(profile: str, method: str) -> RenewedKeys:
    """Keys of a profile that does not hold them itself, obtained once to see that it works."""
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError:
        raise problem(
            "storage.credentials",
            f"the AWS profile {profile!r} obtains its keys by {method}, which needs botocore",
            hint="Install it with: python -m pip install 'neuropress[aws]'",
        ) from None
    try:
        credentials = Session(profile=profile).get_credentials()
    except BotoCoreError as error:
        failure = type(error).__name__
    else:
        failure = "" if credentials else "no keys were found"
    if failure:
        raise _make_renewal_problem(profile, method, failure)
    keys = RenewedKeys(profile, method, credentials)
    keys()
    return keys


def find_access(endpoint: str | None, *, write: bool) -> Access:
    """Endpoint, region and credentials from arguments, environment and AWS profile files.

    Parameters
    ----------
    endpoint
        Wins over ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL`` and the profile's ``endpoint_url``.
    write
        Whether credentials are needed; without any, reading is anonymous.

    Raises
    ------
    Problem
        ``storage.endpoint`` or ``storage.credentials``.
    """
    profile = _read_profile()
    env = os.environ
    endpoint = find_endpoint(endpoint)
    if endpoint:
        check_endpoint(endpoint)
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or profile.get("region") or DEFAULT_REGION
    keys = _find_static_keys(profile)
    method = next((name for name in _RENEWED_SOURCES if profile.get(name)), None)
    if method and not keys:
        return Access(region, endpoint, provider=_obtain_renewed_keys(_get_profile_name(), method))
    if keys or any(env.get(name) for name in _CLIENT_SOURCES) or _is_on_instance():
        return Access(region, endpoint, keys)
    if write:
        raise problem("storage.credentials", "no credentials for the bucket were found")
    return Access(region, endpoint, anonymous=True)


def find_endpoint(endpoint: str | None) -> str | None:
    """The stated endpoint, else that of the environment, else that of the profile; None for AWS itself."""
    if endpoint:
        return endpoint
    env = os.environ
    return env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or _read_profile().get("endpoint_url") or None


def check_endpoint(endpoint: str) -> None:
    """Refuse an endpoint that is no URL, holds a password, or sends data in the clear."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
        raise problem("storage.endpoint", "the endpoint is no plain http(s) URL of a host")
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not allowed:
        raise problem(
            "storage.endpoint",
            f"the endpoint http://{parts.netloc} has no TLS: anyone on the way could read and change the data",
            hint="Use https://. If the network is yours alone, set AWS_ALLOW_HTTP=true.",
        )


def _find_static_keys(profile: Mapping[str, str]) -> dict[str, str]:
    """Static keys: the environment's, else the profile's; empty when there are none."""
    keys = {name: os.environ.get(f"AWS_{name.upper()}", "") for name in ("access_key_id", "secret_access_key")}
    token = os.environ.get("AWS_SESSION_TOKEN", "")
    if any(keys.values()) and not all(keys.values()):
        raise problem(
            "storage.credentials", "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set in the environment"
        )
    if not all(keys.values()):
        keys = {name: profile.get(f"aws_{name}", "") for name in keys}
        token = profile.get("aws_session_token", "")
    if not all(keys.values()):
        return {}
    if token:
        keys["session_token"] = token
    return keys


def _read_profile() -> Mapping[str, str]:
    """The chosen profile's settings from the shared configuration and credentials files."""
    env = os.environ
    name = _get_profile_name()
    config = _read_config_file(env.get("AWS_CONFIG_FILE"), "config")
    credentials = _read_config_file(env.get("AWS_SHARED_CREDENTIALS_FILE"), "credentials")
    # Only the configuration file puts the word "profile" before names, and not before "default".
    section_names = [(config, name if name == "default" else f"profile {name}"), (credentials, name)]
    sections = [file[section] for file, section in section_names if file.has_section(section)]
    if not sections and (env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE")):
        raise problem(
            "storage.credentials",
            f"the AWS profile {name!r} is in no AWS configuration file",
            hint="Correct AWS_PROFILE, or add the profile with: aws configure --profile NAME",
        )
    settings: dict[str, str] = {}
    for section in sections:
        settings |= section  # the credentials file, which comes last, wins
    return settings


def _get_profile_name() -> str:
    return os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"


def _read_config_file(path: str | None, default: str) -> configparser.RawConfigParser:
    # No interpolation: a secret key may hold a percent sign. No default section: [default] is a profile.
    parser = configparser.RawConfigParser(default_section="\0", strict=False)
    file = Path(path).expanduser() if path else Path.home() / ".aws" / default
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return parser
    except (configparser.Error, UnicodeDecodeError):
        # The parser's own message quotes the line, which may be a key.
        raise problem("storage.credentials", f"{file} is not a readable AWS configuration file") from None
    return parser


def _is_on_instance() -> bool:
    """Whether an instance metadata service answers: asking it without one takes minutes to fail."""
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    try:
        socket.create_connection(_METADATA_SERVICE, timeout=1).close()
    except OSError:
        return False
    return True
