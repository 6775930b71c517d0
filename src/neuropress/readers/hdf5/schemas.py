"""Specifications of NWB extensions that a file brings along, read as JSON: nothing is made or run from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py

from ...model.finding import Problem, problem
from ...model.parsing import parse_json
from ...model.plan import digest

NAMESPACES = "/specifications"
CORE = ("core", "hdmf-common", "hdmf-experimental")
"""The namespaces of NWB itself, which every result has in the version that pynwb comes with."""

_SCHEMA_BYTES = 16 * 2**20
_MOST = 100
"""Extensions that one may need, and documents of one of them."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The specification of one extension.

    Attributes
    ----------
    path
        Group of the file that holds its documents.
    digest
        Its version, and a digest of all documents.
    needs
        Names of the namespaces that it includes.
    types
        Type -> the one that it is derived from.
    """

    path: str
    digest: str
    needs: tuple[str, ...]
    types: Mapping[str, str]


def read_schemas(file: h5py.File, key: str, names: Sequence[str]) -> dict[str, Schema]:
    """The specifications of extensions, and of those that they include in turn.

    Raises
    ------
    Problem
        ``fragment.schema``: one is not in the file, is there in two versions, or cannot be read.
    """
    found: dict[str, Schema] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name in found or name in CORE:
            continue
        if len(found) >= _MOST:
            raise _make_problem(key, f"{names[0]} needs more than {_MOST} other extensions")
        found[name] = _read_schema(file, key, name)
        waiting += found[name].needs
    return dict(sorted(found.items()))


def _read_schema(file: h5py.File, key: str, name: str) -> Schema:
    place = f"{NAMESPACES}/{name}"
    group = file.get(place) if "/" not in name else None
    versions = sorted(group) if isinstance(group, h5py.Group) else []
    if len(versions) != 1:
        found = f"in {len(versions)} versions" if versions else "not"
        raise _make_problem(key, f"the specification of the extension {name[:80]} is {found} in the file")
    path = f"{place}/{versions[0]}"
    try:
        texts = read_documents(file, path)
        documents = {part: parse_json(text, _SCHEMA_BYTES) for part, text in texts.items()}
        (about,) = documents["namespace"]["namespaces"]
        needs = [str(one["namespace"]) for one in about["schema"] if "namespace" in one]
        types = dict(_list_types([content for part, content in documents.items() if part != "namespace"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _make_problem(key, f"the specification {path} cannot be read ({str(error)[:200]})") from error
    return Schema(path, f"{versions[0]} {digest(texts)}", tuple(needs), types)


def read_documents(file: h5py.File, path: str) -> dict[str, str]:
    """Name -> text of each document of a specification. Raises `ValueError`."""
    group = file[path]
    if not isinstance(group, h5py.Group) or len(group) > _MOST:
        raise ValueError(f"it is no group of at most {_MOST} documents")
    texts = {}
    for name in sorted(group):
        item = group[name] if isinstance(group.get(name, getlink=True), h5py.HardLink) else None
        if not isinstance(item, h5py.Dataset) or item.shape != () or h5py.check_string_dtype(item.dtype) is None:
            raise ValueError(f"{name} is no text")
        texts[name] = item.asstr()[()]
    return texts


def _list_types(content: Any) -> Iterator[tuple[str, str]]:
    """Every type that is defined in a document, at any depth, and its base."""
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    if isinstance(content, dict):
        for kind in ("neurodata_type", "data_type"):
            if f"{kind}_def" in content:
                yield str(content[f"{kind}_def"]), str(content.get(f"{kind}_inc", ""))
    for part in parts:
        yield from _list_types(part)


def find_base(key: str, schemas: Mapping[str, Schema], type: str, namespace: str) -> str:
    """The type of NWB itself that a type is, or is derived from.

    Raises
    ------
    Problem
        ``fragment.schema``: an extension does not say it.
    """
    if namespace in CORE:
        return type
    types: dict[str, str] = {}
    for schema in schemas.values():
        types |= schema.types
    base = type
    for _ in range(len(types)):
        if base in types:
            base = types[base]
    if not base or base in types:
        raise _make_problem(key, f"no specification in the file says what {namespace} {type} is derived from")
    return base


def _make_problem(key: str, why: str) -> Problem:
    return problem("fragment.schema", f"{key}: {why}", file=key)
