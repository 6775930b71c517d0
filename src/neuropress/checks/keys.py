"""Keys of raw objects, for those that look them up."""

from ..tables.keys import normalise_key

__all__ = ["normalise_key"]
