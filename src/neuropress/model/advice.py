"""What to do about findings of foreign validators, which say what is missing and not where a person states it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files

from .finding import Finding

_CHECK = re.compile(r"(?:nwbinspector:|dandi:NWBI\.)(\w+)")


@cache
def load_advice() -> Mapping[str, str]:
    """Name of a check of nwbinspector -> what to do."""
    return tomllib.loads(files("neuropress.model").joinpath("advice.toml").read_text("utf-8"))


def add_advice(found: Finding) -> Finding:
    """The finding with what to do about it, where that is known and it says nothing itself."""
    check = _CHECK.fullmatch(found.id)
    advice = load_advice().get(check[1], "") if check else ""
    return replace(found, hint=advice) if advice and not found.hint else found
