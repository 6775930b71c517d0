"""The files of a folder of chunks, and the JSON in it that describes them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ...model.finding import problem
from ...model.parsing import parse_json
from ...model.source import Source, check_key
from ..images.pixels import OpenFiles

NODE_BYTES = 32 * 2**20
"""One document of JSON."""


class FolderFiles:
    """The files of a raw object that is a folder, each of which belongs to it and is digested with it.

    Parameters
    ----------
    damaged
        Id of the finding of a file that cannot be understood, or is cut.
    hidden
        Names of files that count although they begin with a dot.

    Attributes
    ----------
    folder
        Key of the object, ending in ``/``.
    sizes
        Key of each file -> its bytes.
    """

    def __init__(self, source: Source, damaged: str, hidden: Collection[str] = ()) -> None:
        self.source, self.damaged = source, damaged
        self.folder = f"{source.key.rstrip('/')}/"
        self.files = OpenFiles(source, damaged)
        self.sizes: dict[str, int] = {}
        for path in source.files():
            is_hidden = any(part.startswith(".") for part in path.split("/"))
            if not is_hidden or path.rpartition("/")[2] in hidden:
                stamp = source.stamp(self.folder + path)
                self.files.remember_stamp(self.folder + path, stamp)
                self.sizes[self.folder + path] = stamp[0]

    def load(self, path: str) -> dict[str, Any] | None:
        """A file of JSON; None where there is none. Raises `Problem`, the id `damaged`."""
        key = self.folder + path
        if key not in self.sizes:
            return None
        try:
            if self.sizes[key] > NODE_BYTES:
                raise ValueError(f"it has {self.sizes[key]} bytes, more than {NODE_BYTES}")
            node = parse_json(self.files.read(key, 0, self.sizes[key]), NODE_BYTES, parse_constant=float)
            if not isinstance(node, dict):
                raise ValueError("it holds no object")
        except ValueError as error:
            raise problem(self.damaged, f"{key}: {error}", file=key) from error
        return node


def check_path(path: Any) -> str:
    """A path below the object. Raises `Problem` (``path.unsafe``), `TypeError`."""
    if not isinstance(path, str) or not path:
        raise TypeError(f"{path!r:.40} is no path")
    check_key(path)
    return path.rstrip("/")
