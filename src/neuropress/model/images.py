"""Which images of a row's file are meant: ``[images]`` of ``neuropress.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .key_patterns import matches_key

MOST_IMAGES = 1000
_LONGEST = 200


def parse_images(entries: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """``[images]``: key of a row, or pattern of keys -> names or numbers of images, one volume each.

    Raises
    ------
    ValueError
        An entry is neither a text nor a list of different texts.
    """
    parsed: dict[str, tuple[str, ...]] = {}
    for row, entry in entries.items():
        images = entry if isinstance(entry, list) else [entry]
        is_texts = all(isinstance(one, str) and one.strip() and len(one) <= _LONGEST for one in images)
        if not is_texts or not 0 < len(images) <= MOST_IMAGES or len(set(images)) < len(images):
            raise ValueError(
                f'[images] {row[:80]} must name images by number or name, as "2" or ["1", "overview"], each once'
            )
        parsed[row] = tuple(one.strip() for one in images)
    return parsed


def find_images(stated: Mapping[str, tuple[str, ...]], key: str) -> tuple[str, ...]:
    """The images that a row is about; empty where nobody says. Its key holds over patterns, a later over an earlier."""
    if key in stated:
        return stated[key]
    found: tuple[str, ...] = ()
    for pattern, images in stated.items():
        if matches_key(pattern, key):
            found = images
    return found
