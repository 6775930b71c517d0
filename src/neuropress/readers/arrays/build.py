"""A file of named arrays and its declaration, to contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...model.content import Content
from . import draft
from .behavior import build_behavior
from .movie import build_image, build_own_images, list_own_images
from .recording import build_recording
from .tree import ArrayTree, Variable

KINDS = {
    "channels": ("rate", "time", "clamp", "sweep_interval"),
    "pixels": ("axes", "pixel_size", "z_spacing", "frame_rate"),
    "columns": ("frame_rate",),
}
"""What says what the arrays are, and what else may be stated with it."""
EXAMPLES = {
    "channels": 'of a recording channels = "NAME = mV", rate = "RATE"',
    "pixels": 'of a movie pixels = "NAME", axes = "tyx", of a volume axes = "zyx"',
    "columns": 'of behaviour columns = "NAME = time s; NAME = cm"',
}
OF_READERS = ("header", "decimal", "whole")
"""How a reader is to read a file, whatever its arrays are."""


def build_contents(tree: ArrayTree, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Contents as declared; a plain `Content` with ``undeclared`` in its header where nobody says anything.

    Raises
    ------
    Problem
        ``arrays.declaration``, ``arrays.times``.
    """
    stated = {name: value for name, value in options.items() if name not in OF_READERS}
    kinds = [kind for kind in KINDS if kind in stated]
    if not kinds:
        own = list_own_images(tree)
        if own and not stated:
            return build_own_images(tree, own)
        if not stated:
            return (_make_undeclared(tree),)
        if path := _find_only_image(tree, own, stated):
            kinds, stated = ["pixels"], {"pixels": path, **stated}
            options = {"pixels": path, **options}
    if len(kinds) != 1:
        what = f"{' and '.join(kinds)} are stated; a file is one of these" if kinds else _describe_missing(stated)
        raise tree.make_problem("arrays.declaration", what)
    if foreign := sorted(set(stated) - {*kinds, *KINDS[kinds[0]]}):
        raise tree.make_problem("arrays.declaration", f"{foreign[0]} is stated, which does not go with {kinds[0]}")
    if kinds[0] == "channels":
        return (build_recording(tree, options),)
    if kinds[0] == "pixels":
        return (build_image(tree, options),)
    return build_behavior(tree, options)


def _find_only_image(tree: ArrayTree, own: Sequence[Variable], stated: Mapping[str, Any]) -> str:
    """The array that is meant where options of an image are stated and only one can be; "" where several can."""
    if not set(stated) <= set(KINDS["pixels"]):
        return ""
    candidates = own or (list(tree.variables.values()) if "axes" in stated else [])
    return candidates[0].path if len(candidates) == 1 else ""


def _describe_missing(stated: Mapping[str, Any]) -> str:
    likely = [kind for kind, others in KINDS.items() if set(stated) <= set(others)] or list(KINDS)
    return (
        f"{', '.join(sorted(stated))} is stated, and nothing says which arrays are meant: state {' or '.join(likely)}"
    )


def _make_undeclared(tree: ArrayTree) -> Content:
    """What is in the file, and how a person may say what it is."""
    proposed = draft.draft_options(tree)
    block = draft.format_block(tree.key, proposed)
    shown = ", ".join(f'{name} = "{value}"' for name, value in proposed.options.items())
    rest = "; or ".join(example for kind, example in EXAMPLES.items() if kind not in proposed.options)
    message = (
        f"nobody says what its arrays are: {tree.list_arrays()}. State in neuropress.toml under "
        f'[options."{tree.key}"], or of all files of the lab under a pattern with *: {shown}; or {rest} '
        "(neuropress inspect FILE --write-mapping drafts it)"
    )
    header = tree.describe() | {"undeclared": message, "draft": block}
    return Content("", tree.format, {}, header, {}, tree.warnings, tree.close)
