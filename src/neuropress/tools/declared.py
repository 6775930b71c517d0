"""What ``tools.toml`` declares."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from ..model.finding import problem
from ..model.parsing import parse_toml


@dataclass(frozen=True, slots=True)
class Tool:
    """A program and the packages that it needs; see ``tools.toml`` for the entries."""

    name: str
    packages: tuple[str, ...]
    ask_version: tuple[str, ...]
    version: str
    why: str
    program: str = ""
    script: str = ""
    interfaces: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder_name(self) -> str:
        """Name of its environment's folder: another declaration never takes the environment of this one."""
        pinned = "\n".join((*self.packages, "", *sorted(self.constraints)))
        return f"{self.name}-{hashlib.sha256(pinned.encode()).hexdigest()[:12]}"


def _read_declarations() -> Mapping[str, Any]:
    return parse_toml(files(__package__).joinpath("tools.toml").read_text("utf-8"))


def list_tools() -> list[Tool]:
    """Every tool that is declared, by name."""
    tools = []
    for name, entries in sorted(_read_declarations().items()):
        values: dict[str, Any] = {key: tuple(e) if isinstance(e, list) else e for key, e in entries.items()}
        tools.append(Tool(name, **values))
    return tools


def get_tool(name: str) -> Tool:
    """The declaration of a tool. Raises `Problem` (``tool.unknown``)."""
    tools = {tool.name: tool for tool in list_tools()}
    if name not in tools:
        raise problem("tool.unknown", f"there is no tool {name!r}; known: {', '.join(tools)}", value=name)
    return tools[name]
