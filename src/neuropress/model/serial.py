"""Core types to and from JSON, by their own field names and annotations."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

SPARSE = {"sparse": True}
"""Metadata of a field that is left out while it is empty: what has none reads as it did before there were any."""


def to_json(value: Any) -> Any:
    """Dataclasses, mappings and tuples as plain objects and lists."""
    if value is None or isinstance(value, (str, int, float)):  # as most are
        return value
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
    return typing.cast(T, _make_reader(typing.cast(Any, cls))(data))


type _Reader = Callable[[Any], Any]


@cache
def _make_reader(annotation: Any) -> _Reader:
    """What makes a value of plain JSON; made once a type, since there are thousands of values."""
    annotation = getattr(annotation, "__value__", annotation)  # a `type` alias
    if dataclasses.is_dataclass(annotation):
        return _make_dataclass_reader(annotation)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return partial(_read_literal, args)
    if origin is tuple:
        return partial(_read_tuple, args)
    if origin is Mapping:
        return partial(_read_mapping, args[1])
    if origin in (typing.Union, types.UnionType):
        return lambda data: _make_reader(_matching(args, data))(data)
    if annotation in (str, bool, int):
        return partial(_read_scalar, annotation)
    return _read_anything


def _make_dataclass_reader(cls: Any) -> _Reader:
    readers: dict[str, _Reader] = {}

    def read(data: Any) -> Any:
        _expect(dict, data)
        if not readers:  # not before the first one is read: a class may be a part of itself
            readers.update({name: _make_reader(kind) for name, kind in typing.get_type_hints(cls).items()})
        if unknown := data.keys() - readers.keys():
            raise TypeError(f"{getattr(cls, '__name__', cls)} has no field {min(unknown)!r}")
        return cls(**_read_parts(data, readers))

    return read


def _read_parts(data: Mapping[str, Any], readers: Mapping[str, _Reader]) -> dict[str, Any]:
    parts = {}
    for name, value in data.items():
        try:
            parts[name] = readers[name](value)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
    return parts


def _read_mapping(kind: Any, data: Any) -> dict[str, Any]:
    _expect(dict, data)
    return _read_parts(data, dict.fromkeys(data, _make_reader(kind)))


def _read_tuple(args: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise TypeError(f"expected a list, found {_short(data)}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(map(_make_reader(args[0]), data))
    return tuple(_make_reader(kind)(item) for kind, item in zip(args, data, strict=True))


def _read_literal(args: tuple[Any, ...], data: Any) -> Any:
    if not isinstance(data, str) or data not in args:
        raise TypeError(f"expected one of {', '.join(map(str, args))}, found {_short(data)}")
    return data


def _read_scalar(kind: type, data: Any) -> Any:
    if type(data) is not kind:
        _expect(kind, data)
    return data


def _read_anything(data: Any) -> Any:
    return data


def is_plain(value: Any) -> bool:
    """Whether a value is JSON as it stands: text, number that is finite, true or false, list or table of them."""
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    if isinstance(value, list):
        return all(map(is_plain, value))
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


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
