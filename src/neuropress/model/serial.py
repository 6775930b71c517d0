"""Core types to and from JSON, by their own field names and annotations."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

SPARSE = {"sparse": True}
"""Metadata of a field that is left out while it is empty: what has none reads as it did before there were any."""


def to_json(value: Any) -> Any:
    """Dataclasses, mappings and tuples as plain objects and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: to_json(v) for f, v in pairs if v or "sparse" not in f.metadata}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    return value


def from_json[T](cls: type[T], data: Any) -> T:
    """The reverse of `to_json` for a frozen dataclass.

    Raises
    ------
    TypeError
        A field is missing, unknown, or of the wrong kind.
    """
    return typing.cast(T, _build(cls, data))


@cache
def _hints(cls: Any) -> dict[str, Any]:
    """Resolved annotations of a class; resolving them anew for each object costs more than building it."""
    return typing.get_type_hints(cls)


def _build(annotation: Any, data: Any) -> Any:
    annotation = getattr(annotation, "__value__", annotation)  # a `type` alias
    if dataclasses.is_dataclass(annotation):
        _expect(dict, data)
        hints = _hints(annotation)  # type: ignore[arg-type]
        unknown = set(data) - set(hints)
        if unknown:
            raise TypeError(f"{getattr(annotation, '__name__', annotation)} has no field {sorted(unknown)[0]!r}")
        return annotation(**{k: _part(k, hints[k], v) for k, v in data.items()})  # type: ignore[operator]
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        if not isinstance(data, str) or data not in args:
            raise TypeError(f"expected one of {', '.join(map(str, args))}, found {_short(data)}")
        return data
    if origin is tuple:
        if not isinstance(data, list):
            raise TypeError(f"expected a list, found {_short(data)}")
        kinds = [args[0]] * len(data) if len(args) == 2 and args[1] is Ellipsis else list(args)
        return tuple(_build(kind, item) for kind, item in zip(kinds, data, strict=True))
    if origin is Mapping:
        _expect(dict, data)
        return {k: _part(k, args[1], v) for k, v in data.items()}
    if origin in (typing.Union, types.UnionType):
        return _build(_matching(args, data), data)
    if annotation in (str, bool, int):
        _expect(annotation, data)
    return data


def _part(name: str, annotation: Any, data: Any) -> Any:
    try:
        return _build(annotation, data)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def _expect(kind: type, data: Any) -> None:
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        names = {dict: "a table", str: "a text", bool: "true or false", int: "a whole number"}
        raise TypeError(f"expected {names[kind]}, found {_short(data)}")


def _matching(options: tuple[Any, ...], data: Any) -> Any:
    """The member of a union that fits: lists are tuples, objects dataclasses or mappings, everything else itself."""
    for option in options:
        if isinstance(data, list):
            fits = typing.get_origin(option) is tuple
        elif isinstance(data, dict):
            fits = dataclasses.is_dataclass(option) or typing.get_origin(option) is Mapping
        else:
            fits = option is type(data)
        if fits:
            return option
    raise TypeError(f"{_short(data)} is none of what may stand here")


def _short(data: Any) -> str:
    """The beginning of a value that may be of any size."""
    if isinstance(data, (dict, list)):
        return f"a {'table' if isinstance(data, dict) else 'list'} of {len(data)}"
    text = repr(data)
    return text if len(text) <= 80 else f"{text[:77]}..."
