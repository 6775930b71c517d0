"""Write a plan as a JSON record and read it back for proof.

The plan's fields name places in the object ``asset`` by their path (``facts/sections``); size and SHA-256 of every raw
file join them as ``files``. Beside it stands ``neuropress``, the provenance in the form that all results have.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ...model.budget import JSON_BYTES, parse_json, read_file
from ...model.finding import Finding, finding, problem
from ...model.plan import digest
from ...model.provenance import Provenance
from ...model.receipt import Receipt
from ...readers import RawArrays
from .. import Progress, Request, StoredArray, Work, durable

CONTENT = "/asset"


def finish(request: Request, work: Work | None, raw: RawArrays, progress: Progress) -> None:
    """Write the record; see `neuropress.results.Result`. Nothing is taken over from a previous one."""
    plan, seal = request.plan, request.seal
    asset = _nested({name: field.value for node in plan.nodes for name, field in node.fields.items()})
    asset["files"] = [
        {"path": key, "size": known.size, "sha256": known.sha256} for key, known in sorted(seal.inputs.items())
    ]
    derived = {CONTENT: digest(asset)}
    receipt = Receipt(seal.version, seal.rows, plan.revisions, dict(seal.inputs), {}, derived, plan.sources)
    record = {"asset": asset, "neuropress": Provenance.of(plan, receipt).sections()}
    text = json.dumps(record, sort_keys=True, indent=1, ensure_ascii=True)
    seal.confirm()
    durable.write_text(request.path, f"{text}\n")


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name, value in fields.items():
        *folders, last = name.split("/")
        place = root
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return root


def _load(path: Path, data: bytes | None = None) -> dict[str, Any]:
    """Both parts of a record. Raises `Problem` (``result.unreadable``, ``result.foreign``)."""
    try:
        if path.is_symlink():
            raise ValueError("it is a link")
        found = parse_json(read_file(path, JSON_BYTES) if data is None else data, parse_constant=float)
        if not isinstance(found, dict) or not isinstance(found.get("asset"), dict):
            raise ValueError("it holds no asset")
    except (OSError, ValueError) as error:
        raise problem("result.unreadable", f"{path.name}: {str(error)[:500]}", file=str(path)) from error
    if "neuropress" not in found:
        raise problem("result.foreign", f"{path.name} was not written by neuropress", file=str(path))
    return found


def _provenance(path: Path, data: bytes | None = None) -> Provenance:
    sections = _load(path, data)["neuropress"]
    try:
        return Provenance.from_sections(sections)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"{path.name} has a record of where it came from that cannot be read: {repr(error)[:500]}"
        raise problem("result.unreadable", message, file=str(path)) from error


def read_provenance(path: Path) -> Provenance:
    """What the record says about itself. Raises `Problem` (``result.unreadable``, ``result.foreign``)."""
    return _provenance(path)


def stream_provenance(open_file: Callable[[str], BinaryIO], path: Path) -> Provenance:
    """The same of a released record; `path` is for messages."""
    with open_file("") as stream:
        return _provenance(path, stream.read(JSON_BYTES + 1))


@contextmanager
def arrays(path: Path) -> Iterator[Mapping[str, StoredArray]]:
    """None: the raw file is kept as it is."""
    yield {}


def samples(path: Path) -> list[str]:
    """None: nothing in a record comes from a raw file sample by sample."""
    return []


def derived(path: Path) -> Mapping[str, str]:
    """Digests of all that the record says, computed anew."""
    record = _load(path)
    return {CONTENT: digest(record["asset"])} | {f"/{name}": "" for name in record.keys() - {"asset", "neuropress"}}


def check_files(path: Path) -> Iterator[Finding]:
    """Nothing to find: the result is one file."""
    yield from ()


def validate(path: Path) -> list[Finding]:
    """Whether the record names what it is about, and states digests and facts that can be true."""
    record, made = _load(path)["asset"], _provenance(path)
    wrong = []
    fields = {name.removeprefix(f"{CONTENT}/"): field.value for name, field in made.fields.items()}
    if digest({name: value for name, value in record.items() if name != "files"}) != digest(_nested(fields)):
        wrong.append("it says something else than its fields, by which explain tells where each value comes from")
    if record.get("id") != made.target.id:
        wrong.append(f"id is {record.get('id')!r}, but the record is of {made.target.id}")
    inputs = [
        {"path": key, "size": known.size, "sha256": known.sha256} for key, known in sorted(made.receipt.inputs.items())
    ]
    if not inputs or record.get("files") != inputs:
        wrong.append("files are not those that its receipt states")
    facts = record.get("facts", {})
    if not isinstance(facts, dict):
        return [finding("asset.invalid", f"{path.name}: its facts are no object", file=str(path))]
    bad = [n for n, v in facts.items() if not (isinstance(v, int) or (isinstance(v, float) and math.isfinite(v)))]
    wrong += [f"facts/{name} is {str(facts[name])[:80]}, which is no number" for name in sorted(bad)]
    return [finding("asset.invalid", f"{path.name}: {text}", file=str(path)) for text in wrong]
