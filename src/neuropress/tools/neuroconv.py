"""Interfaces of neuroconv, run by the neuroconv of an environment of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..model.budget import LINE_CHARS, SHOWN_CHARS
from ..model.finding import problem
from ..model.parsing import parse_json
from .declared import Tool, get_tool, list_tools
from .environment import Environment, find_tool
from .process import hide_secrets
from .run import run_tool

NAME = "neuroconv"

START_SECONDS = 300.0
BYTES_A_SECOND = 1_000_000
"""What a run may take: the slowest interfaces decode some MB of TIFF or video a second."""

_REFUSALS = {
    "unknown": "neuroconv.interface",
    "argument": "neuroconv.argument",
    "untrusted": "neuroconv.untrusted",
}


def choose_tool(interface: str) -> Tool:
    """The tool whose environment has what an interface needs."""
    return next((tool for tool in list_tools() if interface in tool.interfaces), get_tool(NAME))


def run_interface(request: Mapping[str, Any], place: Path, nbytes: int, key: str) -> dict[str, Any]:
    """Have an interface make a fragment; its file is ``request["fragment"]``.

    Parameters
    ----------
    request
        What ``neuroconv_driver.py`` asks for.
    place
        File that the request is written to: arguments stand in no list of processes.
    nbytes
        Size of what is read, for the limit of time.
    key
        Raw object that findings are about.

    Returns
    -------
    dict
        ``versions``, ``started``, ``about`` and ``unpickled``.

    Raises
    ------
    Problem
        As `neuropress.tools.find_tool`; ``neuroconv.interface``, ``neuroconv.argument``, ``neuroconv.untrusted``:
        it was refused; ``neuroconv.failed``: it failed; ``tool.failed``: it took too long, or answered nothing.
    """
    interface = str(request["interface"])
    environment = find_tool(choose_tool(interface).name)
    place.write_text(json.dumps(request), "utf-8")
    seconds = START_SECONDS + nbytes / BYTES_A_SECOND
    answer = _ask(environment, [str(place)], seconds)
    if not isinstance(answer, dict):
        raise problem("tool.failed", f"{interface} answered {str(answer)[:80]!r}", file=key, value=interface)
    if refused := answer.get("refused"):
        message = hide_secrets(str(answer.get("message") or "it says nothing"))[-SHOWN_CHARS:]
        raise problem(
            _REFUSALS.get(refused, "neuroconv.failed"), f"{key}: {interface}: {message}", file=key, value=interface
        )
    if not Path(request["fragment"]).is_file():
        raise problem("tool.failed", f"{key}: {interface} made no file", file=key, value=interface)
    return answer


def list_interfaces() -> list[dict[str, Any]]:
    """Every interface with its arguments, as neuroconv's own environment describes them, and its tool.

    Raises
    ------
    Problem
        As `neuropress.tools.find_tool`: neither environment can be used; ``tool.failed``.
    """
    found = _ask(find_tool(NAME), ["interfaces"], START_SECONDS)
    return [{**one, "tool": choose_tool(one["name"]).name} for one in found]


def _ask(environment: Environment, arguments: list[str], seconds: float) -> Any:
    """The driver's answer. Raises `Problem` (``tool.failed``)."""
    name = environment.tool.name
    done = run_tool(name, arguments, seconds=seconds, environment=environment)
    lines = done.out.decode("utf-8", "replace").strip().splitlines()
    try:
        if done.status or not lines:
            raise ValueError(f"it ended with status {done.status}: {done.describe_errors()}")
        return parse_json(lines[-1].encode(), LINE_CHARS)
    except (ValueError, RecursionError) as error:
        raise problem("tool.failed", f"{name}: {error}"[:SHOWN_CHARS], value=name) from error
