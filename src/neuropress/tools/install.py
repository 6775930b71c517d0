"""Making the environment of a tool, by venv and by the pip of the environment with the user's own settings."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

from filelock import FileLock, Timeout

from ..model.finding import Problem, problem
from .declared import Tool, get_tool
from .environment import (
    Environment,
    ToolState,
    ask_version,
    find_tool,
    get_python,
    get_tools_folder,
    list_environments,
    look_at_tool,
    remove_environment,
)
from .process import ProcessError, hide_secrets, run_limited

INSTALL_SECONDS = 1800.0
INSTALL_BYTES = 16 * 2**20
_OFFLINE = (
    "name resolution",
    "establish a new connection",
    "Max retries",
    "Network is unreachable",
    "No matching",
    "timed out",
)
"""What pip says where it reaches nothing, or nothing that has the package."""
_CONSTRAINTS = "neuropress-constraints.txt"
_SCRIPT_HEAD = 4096
"""Bytes of a script in which its interpreter stands: in its first line, or in the second where the path is long."""


def install_tool(name: str) -> Environment:
    """Make the environment of a tool, unless a good one is there; older ones are removed.

    Raises
    ------
    Problem
        ``tool.unknown``; ``tool.install``: venv or pip failed, or the program does not say the version that is wanted;
        ``tool.locked``: it is being installed just now.
    """
    tool = get_tool(name)
    folder = get_tools_folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f".{name}.lock", timeout=0):
            for left in (*folder.glob(f".{name}.partial-*"), *folder.glob(f".{name}-*.removed")):
                shutil.rmtree(left, ignore_errors=True)  # of an attempt that was killed
            if look_at_tool(tool).state is ToolState.READY:
                return find_tool(name)
            _make_environment(tool, folder)
    except Timeout:
        raise problem("tool.locked", f"{name} is being installed by another neuropress", value=name) from None
    return find_tool(name)


def _make_environment(tool: Tool, folder: Path) -> None:
    """Make it in a folder of another name, and give it its own one when the program says its version there."""
    partial = Path(mkdtemp(prefix=f".{tool.name}.partial-", dir=folder))
    try:
        _run_step(tool, [sys.executable, "-I", "-m", "venv", str(partial)], "python -m venv")
        constraints = partial / _CONSTRAINTS
        constraints.write_text("".join(f"{line}\n" for line in tool.constraints), "utf-8")
        pip = [str(get_python(partial)), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        _run_step(tool, [*pip, "--quiet", "--constraint", str(constraints), *tool.packages], "pip")
        version = ask_version(tool, partial)
        if tool.version not in version.replace(",", " ").split():
            raise ProcessError(f"the program says {version[:80]!r}, and {tool.version} is wanted")
        for old in list_environments(tool):
            remove_environment(old)
        _correct_scripts(partial, folder / tool.folder_name)
        os.rename(partial, folder / tool.folder_name)
    except ProcessError as error:
        raise problem("tool.install", f"{tool.name} cannot be installed: {error}", value=tool.name) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _correct_scripts(partial: Path, final: Path) -> None:
    """Have scripts name the interpreter where it will lie: a program may call those of the packages that it needs."""
    for script in get_python(partial).parent.iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        data = script.read_bytes()
        head = data[:_SCRIPT_HEAD]
        if head.startswith(b"#!"):
            script.write_bytes(head.replace(os.fsencode(partial), os.fsencode(final)) + data[_SCRIPT_HEAD:])


def _run_step(tool: Tool, command: list[str], name: str) -> None:
    done = run_limited(command, INSTALL_SECONDS, INSTALL_BYTES, {}, everything=True)
    if not done.status:
        return
    text = hide_secrets((done.errors or done.out).decode("utf-8", "replace"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = next((line for line in reversed(lines) if "ERROR" in line or "Error" in line), lines[-1] if lines else "")
    if any(sign in text for sign in _OFFLINE):
        raise _make_offline_problem(tool, reason)
    raise ProcessError(f"{name} ended with status {done.status}: {reason[:300]}")


def _make_offline_problem(tool: Tool, reason: str) -> Problem:
    message = f"{tool.name} cannot be installed: pip does not reach {', '.join(tool.packages)} ({reason[:300]})"
    hint = (
        "Go online; pip follows your own settings. From a folder of wheels: "
        f"PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER neuropress tools install {tool.name}"
    )
    return problem("tool.install", message, hint=hint, value=tool.name)
