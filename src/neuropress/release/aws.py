"""Endpoint, region and credentials of an S3 store, by the usual AWS environment and profile files."""

from __future__ import annotations

import configparser
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..model.finding import problem

DEFAULT_REGION = "us-east-1"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Credentials that the object store client finds and renews by itself.
_AMBIENT = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_INSTANCE = ("169.254.169.254", 80)


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach S3. `keys` are the client's credential options, never shown."""

    region: str
    endpoint: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    anonymous: bool = False

    @property
    def plain_http(self) -> bool:
        """Whether the endpoint is reached without TLS."""
        return (self.endpoint or "").startswith("http://")


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
        ``release.endpoint`` or ``release.credentials``.
    """
    profile = _profile()
    env = os.environ
    endpoint = (
        endpoint or env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or profile.get("endpoint_url") or None
    )
    if endpoint:
        check_endpoint(endpoint)
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or profile.get("region") or DEFAULT_REGION
    keys = _keys(profile)
    if keys or any(env.get(name) for name in _AMBIENT) or _on_instance():
        return Access(region, endpoint, keys)
    if write:
        raise problem("release.credentials", "no credentials for the bucket were found")
    return Access(region, endpoint, anonymous=True)


def check_endpoint(endpoint: str) -> None:
    """Refuse an endpoint that is no URL, holds a password, or sends data in the clear."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
        raise problem("release.endpoint", "the endpoint is no plain http(s) URL of a host")
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not allowed:
        raise problem(
            "release.endpoint",
            f"the endpoint http://{parts.netloc} has no TLS: anyone on the way could read and change the data",
            hint="Use https://. If the network is yours alone, set AWS_ALLOW_HTTP=true.",
        )


def _keys(profile: Mapping[str, str]) -> dict[str, str]:
    """Static keys: the environment's, else the profile's; empty when there are none."""
    found = {name: os.environ.get(f"AWS_{name.upper()}", "") for name in ("access_key_id", "secret_access_key")}
    token = os.environ.get("AWS_SESSION_TOKEN", "")
    if any(found.values()) and not all(found.values()):
        raise problem(
            "release.credentials", "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set in the environment"
        )
    if not all(found.values()):
        found = {name: profile.get(f"aws_{name}", "") for name in found}
        token = profile.get("aws_session_token", "")
    if not all(found.values()):
        return {}
    return {**found, "session_token": token} if token else found


def _profile() -> Mapping[str, str]:
    """The chosen profile's settings from the shared configuration and credentials files."""
    env = os.environ
    named = env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE")
    name = named or "default"
    config = _read(env.get("AWS_CONFIG_FILE"), "config")
    credentials = _read(env.get("AWS_SHARED_CREDENTIALS_FILE"), "credentials")
    sections = [(config, name if name == "default" else f"profile {name}"), (credentials, name)]
    found = [file[section] for file, section in sections if file.has_section(section)]
    if named and not found:
        raise problem(
            "release.credentials",
            f"the AWS profile {named!r} is in no AWS configuration file",
            hint="Correct AWS_PROFILE, or add the profile with: aws configure --profile NAME",
        )
    settings = {key: value for section in found for key, value in section.items()}
    indirect = [key for key in ("sso_session", "sso_start_url", "role_arn", "credential_process") if key in settings]
    if indirect and not settings.get("aws_access_key_id") and not env.get("AWS_ACCESS_KEY_ID"):
        raise problem(
            "release.credentials",
            f"the AWS profile {name!r} obtains its keys by {indirect[0]}, which neuropress does not do itself",
            hint=f"Put the keys into the environment: aws configure export-credentials --profile {name} --format env",
        )
    return settings


def _read(path: str | None, default: str) -> configparser.RawConfigParser:
    # No interpolation: a secret key may hold a percent sign. No default section: [default] is a profile.
    parser = configparser.RawConfigParser(default_section="\0", strict=False)
    file = Path(path).expanduser() if path else Path.home() / ".aws" / default
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return parser
    except (configparser.Error, UnicodeDecodeError):
        # The parser's own message quotes the line, which may be a key.
        raise problem("release.credentials", f"{file} is not a readable AWS configuration file") from None
    return parser


def _on_instance() -> bool:
    """Whether an instance metadata service answers: asking it without one takes minutes to fail."""
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    try:
        socket.create_connection(_INSTANCE, timeout=1).close()
    except OSError:
        return False
    return True
