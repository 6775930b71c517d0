"""``python -m neuropress.cli.commands_page``: docs/reference/commands.md, generated from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from .arguments import VERBS, parser
from .examples import EXAMPLES

HEADER = """# Commands

Every verb with its arguments, options and examples; `neuropress VERB --help` says the same.
{status}
Generated: `python -m neuropress.cli.commands_page > docs/reference/commands.md`.
"""


def page() -> str:
    """The page as Markdown: one section a verb, in the order of ``--help``."""
    top = parser()
    verbs = _get_subparsers(top)
    listed = " ".join(f"[{name}](#{name})" for name in verbs)
    parts = [HEADER.format(status=top.epilog), f"Verbs: {listed}\n"]
    for name, verb in verbs.items():
        parts += [f"## {name}\n", f"{VERBS[name][0].upper()}{VERBS[name][1:]}.\n"]
        parts += [*_format_verb(f"neuropress {name}", verb)]
        parts += ["```sh", *EXAMPLES[name], "```\n"]
    return "\n".join(parts)


def _get_subparsers(verb: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = (action for action in verb._actions if isinstance(action, argparse._SubParsersAction))
    return {name: made for action in found for name, made in action.choices.items()}


def _format_verb(name: str, verb: argparse.ArgumentParser) -> Iterator[str]:
    below = _get_subparsers(verb)
    for action, made in below.items():
        yield f"### {name.removeprefix('neuropress ')} {action}\n"
        yield f"{(made.description or '').capitalize()}\n"
        yield from _format_verb(f"{name} {action}", made)
    if not below:
        arguments = [_name_argument(one) for one in verb._actions if not one.option_strings]
        yield f"`{' '.join([name, *arguments])} [options]`\n"
        yield from _format_options(verb)


def _format_options(verb: argparse.ArgumentParser) -> Iterator[str]:
    own: dict[str, list[argparse.Action]] = {"": []}
    for group in verb._action_groups:
        title = "" if group.title in ("options", "positional arguments") else str(group.title)
        own.setdefault(title, []).extend(one for one in group._group_actions if one.dest != "help")
    for title, actions in own.items():
        if title:
            yield f"{title[0].upper()}{title[1:]}:\n"
        if actions:
            yield "| argument | meaning |\n|---|---|"
            yield from (f"| {_name_option(one)} | {_format_meaning(one)} |" for one in actions)
            yield ""


def _format_meaning(action: argparse.Action) -> str:
    meaning = (action.help or "").replace("%(default)s", str(action.default)).replace("|", "\\|")
    choices = [f"`{choice}`" for choice in action.choices or () if choice]
    return f"{meaning} ({', '.join(choices)})" if choices else meaning


def _name_argument(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    return {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} ..."}.get(str(action.nargs), name)


def _name_option(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_name_argument(action)}`".replace("|", "\\|")
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    needed = " (needed)" if action.required else ""
    return f"`{', '.join(action.option_strings)}{value}`{needed}".replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
