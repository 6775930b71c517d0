"""Interfaces of neuroconv, run by the neuroconv of an environment of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
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


def identify_run(interface: str) -> str:
    """What an export follows from beside files and options: the environment's packages, and the driver's own code."""
    tool = choose_tool(interface)
    driver = files(__package__).joinpath(tool.script).read_bytes()
    return f"{tool.folder_name} {hashlib.sha256(driver).hexdigest()}"


def is_answer(value: Any) -> bool:
    """Whether this is what the driver says of an export."""
    kinds = {"versions": dict, "started": str, "about": dict, "unpickled": list, "corrected": list}
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name, kind in kinds.items())


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
        ``versions``, ``started``, ``about``, ``unpickled`` and ``corrected``.

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
    answer: dict[str, Any] = _ask(environment, [str(place)], seconds)
    refused = answer.get("refused") if isinstance(answer, dict) else None
    if refused:
        message = hide_secrets(str(answer.get("message") or "it says nothing"))[-SHOWN_CHARS:]
        id = _REFUSALS.get(refused, "neuroconv.failed")
        hint = f"neuropress tools interfaces {interface} shows its arguments; state them in arguments = {{ ... }}."
        if id == "neuroconv.failed":
            hint = f"The message is the interface's own. {hint}"
        elif id != "neuroconv.argument":
            hint = ""
        raise problem(id, f"{key}: {interface}: {message}", hint=hint, file=key, value=interface)
    if not is_answer(answer):
        message = f"{key}: {interface} answered {str(answer)[:80]!r}"
        raise problem("tool.failed", message, file=key, value=interface)
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
