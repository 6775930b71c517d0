"""What can be wrong with a NumPy file."""

from __future__ import annotations


class DamagedFile(ValueError):
    """It is cut short, or holds what NumPy does not write; the text says what and where."""


class RefusedPickle(ValueError):
    """Its pickle asks for something that is not on the allow-list; the text names it."""
