"""Where the environments of tools lie, and how each stands."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

from ..model.finding import Problem, problem
from .declared import Tool, get_tool
from .process import ProcessError, hide_secrets, run_limited

VERSION_SECONDS = 60.0
"""What a program may take to say its version: some import half of their packages for that."""
VERSION_BYTES = 1 << 16


class ToolState(StrEnum):
    """How the environment of a tool stands."""

    READY = "installed"
    MISSING = "not installed"
    BROKEN = "broken"
    OTHER = "wrong version"


@dataclass(frozen=True, slots=True)
class Environment:
    """A tool's environment as it was found.

    Attributes
    ----------
    version
        What the program says of itself; empty where it says nothing.
    reason
        Why it cannot be used; empty where it can.
    """

    tool: Tool
    folder: Path
    state: ToolState
    version: str = ""
    reason: str = ""

    @property
    def size(self) -> int:
        """Bytes of its files, counted anew; 0 without any."""
        return _measure_size(self.folder)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return get_python(self.folder)


def get_tools_folder() -> Path:
    """``NEUROPRESS_TOOLS``, else ``neuropress/tools`` in the user's cache (``XDG_CACHE_HOME``, ``~/.cache``)."""
    if stated := os.environ.get("NEUROPRESS_TOOLS"):
        return Path(stated).absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    base = Path(cache) if cache and Path(cache).is_absolute() else Path.home() / ".cache"
    return base / "neuropress" / "tools"


def get_python(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def list_environments(tool: Tool) -> list[Path]:
    """Every environment of a tool, of whatever declaration."""
    # Of twelve digits after the name: neuroconv-ecephys is another tool than neuroconv.
    return sorted(path for path in get_tools_folder().glob(f"{tool.name}-{'[0-9a-f]' * 12}") if path.is_dir())


def look_at_tool(tool: Tool) -> Environment:
    """How a tool's environment stands; the program is asked for its version."""
    folder = get_tools_folder() / tool.folder_name
    if not folder.is_dir():
        others = list_environments(tool)
        if not others:
            return Environment(tool, folder, ToolState.MISSING, reason="it is not installed")
        reason = f"{others[-1].name} was installed for another version than {tool.version}"
        return Environment(tool, others[-1], ToolState.OTHER, reason=reason)
    try:
        version = ask_version(tool, folder)
    except ProcessError as error:
        return Environment(tool, folder, ToolState.BROKEN, reason=str(error))
    if tool.version not in version.replace(",", " ").split():
        reason = f"it says that it is {version[:80] or 'nothing'}, and {tool.version} is wanted"
        return Environment(tool, folder, ToolState.OTHER, version, reason)
    return Environment(tool, folder, ToolState.READY, tool.version)


def ask_version(tool: Tool, folder: Path) -> str:
    """The last line of what a program answers when it is asked for its version.

    Raises
    ------
    ProcessError
        It cannot be started, fails, hangs or says too much.
    """
    command = make_command(tool, folder, tool.ask_version)
    done = run_limited(command, VERSION_SECONDS, VERSION_BYTES, tool.environment)
    if done.status:
        raise ProcessError(f"asked for its version it ended with status {done.status}: {done.describe_errors()}")
    lines = done.out.decode("utf-8", "replace").strip().splitlines()
    return hide_secrets(lines[-1].strip()) if lines else ""


def make_command(tool: Tool, folder: Path, arguments: tuple[str, ...]) -> list[str]:
    """The command that runs a tool.

    By the interpreter and not by a script of ``bin/``: scripts hold the path of the folder that they were installed to,
    and that had another name. ``-sP`` keeps the user's packages and the folder of the script out, `run_limited` our
    ``PYTHONPATH``; ``-I`` would pass over ``PYTHONHASHSEED``, too, and some programs write in the order of a set.
    """
    python = [str(get_python(folder)), "-sP"]
    if tool.script:
        return [*python, str(files(__package__).joinpath(tool.script)), *arguments]
    module, _, function = tool.program.partition(":")
    code = f"import sys; from {module} import {function}; sys.argv[0] = {tool.name!r}; sys.exit({function}())"
    return [*python, "-c", code, *arguments]


def find_tool(name: str) -> Environment:
    """The environment of a tool, which answered to its version just now.

    Raises
    ------
    Problem
        ``tool.unknown``; ``tool.missing``, ``tool.broken`` or ``tool.version``, each with the command that mends it.
    """
    found = look_at_tool(get_tool(name))
    if found.state is not ToolState.READY:
        raise _make_problem(found)
    return found


def _make_problem(found: Environment) -> Problem:
    ids = {ToolState.MISSING: "tool.missing", ToolState.BROKEN: "tool.broken", ToolState.OTHER: "tool.version"}
    hint = f"neuropress tools install {found.tool.name}"
    return problem(ids[found.state], f"{found.tool.name}: {found.reason}", hint=hint, file=str(found.folder))


def remove_tool(name: str) -> list[Path]:
    """Remove every environment of a tool; returns the folders that are gone."""
    tool = get_tool(name)
    removed = list_environments(tool)
    for folder in removed:
        remove_environment(folder)
    return removed


def remove_environment(folder: Path) -> None:
    """Remove an environment; it loses its name first, so that none is there in part. A link is not followed."""
    if folder.is_symlink():
        folder.unlink()
        return
    going = folder.with_name(f".{folder.name}.{os.getpid()}.removed")
    folder.rename(going)
    shutil.rmtree(going)


def _measure_size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        total += sum(os.lstat(os.path.join(place, name)).st_size for name in names)
    return total
