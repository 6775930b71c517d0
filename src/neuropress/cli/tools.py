"""``neuropress tools``: programs that run in environments of their own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .. import tools
    from .render import Output

SHOWN_WHOLE = 4
"""Interfaces that are shown with their arguments; more than that are a list to choose from."""

ACTIONS = {
    "list": "every tool: how it stands, its version, its size, and why it needs an environment of its own",
    "install": "make the environment of a tool, or make it anew where it is broken or holds another version",
    "remove": "remove every environment of a tool",
    "interfaces": "neuroconv's interfaces for [options], those with WORD in name or suffix; of one its arguments",
    "interop": "path of the file with our interface for neuroconv's own environment, to copy there",
}


def add_tools(verb: argparse.ArgumentParser) -> None:
    """The actions of ``neuropress tools`` and their options."""
    actions = verb.add_subparsers(dest="action", metavar="ACTION", required=True)
    made = {name: actions.add_parser(name, help=text, description=f"{text}.") for name, text in ACTIONS.items()}
    for action in made.values():
        action.add_argument("--json", action="store_true", help="one JSON object a line on standard output")
    for name in ("install", "remove"):
        made[name].add_argument("name", metavar="NAME", help="of a tool, as dandi")
    made["interfaces"].add_argument("word", metavar="WORD", nargs="?", default="", help="as deeplabcut, or .edf")


def run_tools(args: argparse.Namespace, output: Output) -> int:
    """One action on the environments of tools."""
    from .. import tools

    if args.action == "interfaces":
        return _list_interfaces(args, output)
    if args.action == "interop":
        path = str(Path(__file__).parents[1] / "interop" / "neuroconv.py")
        if args.json:
            output.record({"path": path})
        else:
            output.say(path)
        return 0
    if args.action == "remove":
        removed = tools.remove_tool(args.name)
        output.say(f"{args.name} is removed" if removed else f"{args.name} was not installed")
        return 0
    if args.action == "install":
        tools.declared.get_tool(args.name)  # before words of minutes
        output.say(f"installing {args.name} into {tools.get_tools_folder()} (this takes minutes)")
        found = [tools.install_tool(args.name)]
    else:
        found = [tools.look_at_tool(tool) for tool in tools.list_tools()]
    for one in found:
        nbytes = one.size
        if args.json:
            output.record({**_describe(one), "size": nbytes})
        else:
            size = f"{nbytes / 1e6:,.0f} MB" if nbytes else ""
            output.say(f"{one.tool.name:18} {one.state:14} {one.tool.version:10} {size:>8}  {one.tool.why}")
        if one.reason and nbytes:
            output.say(f"{'':18} {one.reason}: neuropress tools install {one.tool.name}")
    return 0


def _list_interfaces(args: argparse.Namespace, output: Output) -> int:
    from ..tools.neuroconv import list_interfaces

    word = args.word.casefold()
    found = [one for one in list_interfaces() if word in one["name"].casefold() or word in one["suffixes"]]
    for one in found:
        if args.json:
            output.record(one)
            continue
        trust = "  needs trust = true" if one["unpickles"] else ""
        output.say(f"{one['name']:38} {one['tool']:18} {one['about'][:100]}{trust}")
        for argument in [*one["arguments"], *one["options"]] if len(found) <= SHOWN_WHOLE else []:
            need = "needed" if argument["required"] else f"default {argument.get('default', 'none')}"
            output.say(f"    {argument['name']:34} {argument.get('type', 'anything')}, {need}")
    if not found:
        output.say(f"no interface has {args.word!r} in its name, and none takes such files")
    return 0 if found else 1


def _describe(one: tools.Environment) -> dict[str, object]:
    return {
        "name": one.tool.name,
        "state": str(one.state),
        "version": one.tool.version,
        "folder": str(one.folder),
        "reason": one.reason,
        "why": one.tool.why,
    }
