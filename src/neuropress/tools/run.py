"""Tools at work."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..model.finding import problem
from .environment import Environment, find_tool, make_command
from .process import Ended, ProcessError, run_limited

TOOL_BYTES = 64 * 2**20
"""What a tool may write: findings on ten thousand results have a tenth of it."""


def run_tool(
    name: str,
    arguments: Sequence[str],
    *,
    seconds: float,
    most_bytes: int = TOOL_BYTES,
    environment: Environment | None = None,
) -> Ended:
    """Run a tool in its environment, with a scratch folder for its home and few of our variables.

    Parameters
    ----------
    arguments
        Paths among them must be absolute.
    environment
        Where `find_tool` found it just now; looked for anew without.

    Returns
    -------
    Ended
        Exit status, standard output, and the end of standard error.

    Raises
    ------
    Problem
        As `find_tool`; ``tool.failed``: it took too long, said too much or could not be started.
    """
    found = environment or find_tool(name)
    command = make_command(found.tool, found.folder, tuple(arguments))
    try:
        given = {**found.tool.environment, "PATH": _join_path(found), "PYTHONHASHSEED": "0"}
        return run_limited(command, seconds, most_bytes, given)
    except ProcessError as error:
        raise problem("tool.failed", f"{name}: {error}", value=name) from error


def _join_path(found: Environment) -> str:
    """Our ``PATH`` behind the folder of the tool's own programs: dandi calls the validator of BIDS by its name."""
    return os.pathsep.join(filter(None, (str(found.python.parent), os.environ.get("PATH", ""))))
