"""Keeps hdmf and pynwb from importing pandas, zarr and SciPy before anything of them is used.

They import them to know their classes, should somebody give them a table or an array of that kind: 0.7 CPU seconds and
50 MB of every process that writes NWB. In the modules that do so each name stands for what it names, until that is
imported: nothing can be an instance of a class of it before, and whatever is called or looked up in it imports it.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_LATE = {"pandas", "pandas.api.extensions", "scipy.sparse", "zarr"}
_IMPORTERS = {
    "hdmf.common.alignedtable",
    "hdmf.common.hierarchicaltable",
    "hdmf.common.resources",
    "hdmf.common.sparse",
    "hdmf.common.table",
    "hdmf.container",
    "hdmf.data_utils",
    "hdmf.utils",
    "pynwb.file",
}


class LateName(type):
    """A class, or a function, of a module that may not be imported yet."""

    def __instancecheck__(cls, value: Any) -> bool:
        """Whether it is one of the class itself."""
        module = sys.modules.get(cls.__module__)
        return isinstance(value, getattr(module, cls.__name__, ()))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """What the class or function itself gives."""
        return _find(cls.__module__, cls.__name__)(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        """An attribute of the class itself."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_find(cls.__module__, cls.__name__), name)


class LateModule(ModuleType):
    """A module that may not be imported yet."""

    def __getattr__(self, name: str) -> Any:
        """A stand-in of what has the name, or that itself if it is there by now."""
        if name.startswith("__"):
            raise AttributeError(name)
        is_there = self.__name__ in sys.modules
        found = _find(self.__name__, name) if is_there else LateName(name, (), {"__module__": self.__name__})
        setattr(self, name, found)
        return found


def _find(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def _import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    """``__import__`` of those modules."""
    is_late = name in _LATE and (fromlist or "." not in name)
    if is_late and name not in sys.modules and find_spec(name.partition(".")[0]):
        return LateModule(name)
    return builtins.__import__(name, globals, locals, fromlist or (), level)


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        names: dict[str, Any] = {**vars(builtins), "__import__": _import}
        module.__dict__["__builtins__"] = names
        try:
            super().exec_module(module)
        finally:
            names["__import__"] = builtins.__import__  # hdmf's functions import, too, and often: by Python's fast path


class _Finder:
    """Finds those modules as Python does, and loads them with an ``__import__`` of their own: no other sees it."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _IMPORTERS:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """Have hdmf and pynwb imported so from now on."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
