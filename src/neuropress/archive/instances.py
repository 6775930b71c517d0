"""Which archive: one that is known by name, or one at an address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..model.finding import problem

INSTANCES: Mapping[str, str] = {
    "dandi": "https://api.dandiarchive.org/api",
    "dandi-sandbox": "https://api.sandbox.dandiarchive.org/api",
    "ember-dandi": "https://api-dandi.emberarchive.org/api",
    "ember-dandi-sandbox": "https://api-dandi.sandbox.emberarchive.org/api",
}
"""Name -> address of its interface."""
DEFAULT = "dandi"
_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Instance:
    """An archive: its name, which stands in file names, and the address of its interface without a last slash."""

    name: str
    api: str


def find_instance(text: str) -> Instance:
    """An archive by its name or by the address of its interface.

    Raises
    ------
    Problem
        ``dandi.instance``: the name is not known, or the key would go over the network unencrypted.
    """
    if text in INSTANCES:
        return Instance(text, INSTANCES[text])
    known = ", ".join(INSTANCES)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
        parts = urlsplit("")
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment or "@" in parts.netloc:
        raise problem("dandi.instance", f"{text[:80]!r} is no archive; known: {known}", value=text[:80])
    if parts.scheme == "http" and host not in _LOCAL:
        message = f"{text[:80]} is not encrypted, and the key would go to it as it is"
        raise problem("dandi.instance", message, value=text[:80])
    api = text.rstrip("/")
    for name, address in INSTANCES.items():
        if address == api:
            return Instance(name, api)
    return Instance(re.sub(r"[^0-9A-Za-z.]", "-", f"{host}-{port}" if port else host), api)
