"""Programs that cannot share our environment, each in one of its own that is made, checked and removed here.

They stand in ``tools.toml``; nothing of them is ever imported. An environment lies in the user's cache and gets its
name when its check has passed, so that there is none that is half made.
"""

from .declared import Tool, list_tools
from .environment import Environment, find_tool, get_tools_folder, look_at_tool, remove_tool
from .install import install_tool
from .process import Ended
from .run import run_tool

__all__ = [
    "Ended",
    "Environment",
    "Tool",
    "find_tool",
    "get_tools_folder",
    "install_tool",
    "list_tools",
    "look_at_tool",
    "remove_tool",
    "run_tool",
]
