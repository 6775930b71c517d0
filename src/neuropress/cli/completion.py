"""``completion``: a script for a shell, made from the parser's own verbs and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

SHELLS = ("bash", "zsh", "fish")


def format_completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for one shell; file names complete everywhere."""
    verbs = {name: (text, sorted(_list_options(made))) for name, text, made in _list_verbs(parser)}
    if shell == "fish":
        return "\n".join(_format_fish(verbs)) + "\n"
    script = "\n".join(_format_bash(verbs)) + "\n"
    return script if shell == "bash" else f"autoload -U +X bashcompinit && bashcompinit\n{script}"


def _list_verbs(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, made in action.choices.items():
                yield name, helps.get(name, ""), made


def _list_options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Options of a verb, and its actions or other words that it takes."""
    for action in parser._actions:
        if action.help is argparse.SUPPRESS:
            continue
        yield from (option for option in action.option_strings if option.startswith("--"))
        if not action.option_strings and action.choices:
            yield from map(str, action.choices)


def _format_bash(verbs: Mapping[str, tuple[str, list[str]]]) -> Iterator[str]:
    yield "_neuropress() {"
    yield '  local word="${COMP_WORDS[COMP_CWORD]}" words='
    yield '  if [ "$COMP_CWORD" -eq 1 ]; then'
    yield f'    words="{" ".join(verbs)}"'
    yield "  else"
    yield '    case "${COMP_WORDS[1]}" in'
    for name, (_, options) in verbs.items():
        yield f'      {name}) words="{" ".join(options)}" ;;'
    yield "    esac"
    yield "  fi"
    yield '  COMPREPLY=($(compgen -W "$words" -- "$word"))'
    yield '  [ "$COMP_CWORD" -gt 1 ] && COMPREPLY+=($(compgen -f -- "$word"))'
    yield "}"
    yield "complete -o filenames -F _neuropress neuropress"


def _format_fish(verbs: Mapping[str, tuple[str, list[str]]]) -> Iterator[str]:
    for name, (text, options) in verbs.items():
        quoted = text.replace("'", "\\'")
        yield f"complete -c neuropress -n __fish_use_subcommand -a {name} -d '{quoted}'"
        for option in options:
            word = f"-l {option[2:]}" if option.startswith("--") else f"-a {option}"
            yield f"complete -c neuropress -n '__fish_seen_subcommand_from {name}' {word}"
