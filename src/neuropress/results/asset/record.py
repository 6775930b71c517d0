"""Write a plan as a JSON record and read it back for proof.

The plan's fields name places in the object ``asset`` by their path (``facts/sections``); size and SHA-256 of every raw
file join them as ``files``. Beside it stands ``neuropress``, the provenance in the form that all results have.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ...model.budget import JSON_BYTES, read_file
from ...model.finding import Finding, Problem, finding, problem
from ...model.parsing import parse_json
from ...model.plan import Plan, digest
from ...model.progress import Progress
from ...model.provenance import Provenance
from ...model.receipt import Receipt
from ...model.source import SourceRoots
from ...readers.raw import RawArrays
from .. import ArrayMeaning, Request, StoredArray, Work, durable
from ..sections import NAME, parse_provenance

CONTENT = "/asset"
MISSING = object()


def finish(request: Request, work: Work | None, raw: RawArrays, progress: Progress) -> None:
    """Write the record; see `neuropress.results.KindModule`. Nothing is taken over from a previous one."""
    plan, seal = request.plan, request.seal
    for refused in check_plan(plan):
        raise Problem(refused)
    asset = _nest_fields(_get_values(plan))
    asset["files"] = [
        {"path": key, "size": known.size, "sha256": known.sha256} for key, known in sorted(seal.inputs.items())
    ]
    derived = {CONTENT: digest(asset)}
    receipt = Receipt(
        seal.version, seal.rows, plan.revisions, dict(seal.inputs), {}, derived, plan.sources, kept=plan.kept_keys
    )
    record = {"asset": asset, NAME: Provenance.of(plan, receipt).sections()}
    text = json.dumps(record, sort_keys=True, indent=1, ensure_ascii=True)
    seal.confirm()
    durable.write_text(request.path, f"{text}\n")


def check_plan(plan: Plan) -> Iterator[Finding]:
    """Fields that make one JSON object about the row, and no arrays (``plan.invalid``)."""
    arrays, values = sorted(plan.arrays()), _get_values(plan)
    try:
        record = _nest_fields(values)
        json.dumps([record, Provenance.draft(plan).sections()])
    except (TypeError, ValueError, AttributeError) as error:
        yield _make_invalid_finding(plan, f"its fields {', '.join(values)} make no JSON object ({error})")
        return
    if arrays:
        yield _make_invalid_finding(plan, f"a record holds no arrays, but it has {', '.join(arrays)}")
    if record.get("id") != plan.target.id:
        yield _make_invalid_finding(plan, f"its field id is {record.get('id')!r}, not that of its row")
    if "files" in record:
        yield _make_invalid_finding(plan, "it has a field files, which holds the digests of the raw files")
    facts = record.get("facts", {})
    for name in _find_non_numbers(facts) if isinstance(facts, dict) else ["facts"]:
        yield _make_invalid_finding(plan, f"its field facts/{name} is no number")


def _make_invalid_finding(plan: Plan, why: str) -> Finding:
    return finding("plan.invalid", f"The plan of {plan.target.id} cannot be written as an asset record: {why}")


def _get_values(plan: Plan) -> dict[str, Any]:
    """Path of each field in the record -> its value. A path that two nodes give is one of theirs."""
    return {name: field.value for node in plan.nodes for name, field in node.fields.items()}


def _find_non_numbers(facts: Mapping[str, Any]) -> list[str]:
    return sorted(
        name
        for name, value in facts.items()
        if not (isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)))
    )


def _nest_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name, value in fields.items():
        *folders, last = name.split("/")
        place = root
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
    return root


def _load_record(path: Path, data: bytes | None = None) -> dict[str, Any]:
    """Both parts of a record. Raises `Problem` (``result.unreadable``)."""
    try:
        if path.is_symlink():
            raise ValueError("it is a link")
        record = parse_json(read_file(path, JSON_BYTES) if data is None else data, parse_constant=float)
        if not isinstance(record, dict) or not isinstance(record.get("asset"), dict):
            raise ValueError("it holds no asset")
    except (OSError, ValueError) as error:
        raise problem("result.unreadable", f"{path.name}: {str(error)[:500]}", file=str(path)) from error
    return record


def read_provenance(path: Path) -> Provenance:
    """What the record says about itself. Raises `Problem` (``result.unreadable``, ``result.foreign``)."""
    return parse_provenance(_load_record(path), path)


def stream_provenance(open_file: Callable[[str], BinaryIO], path: Path) -> Provenance:
    """The same of a released record; `path` is for messages."""
    with open_file("") as stream:
        return parse_provenance(_load_record(path, stream.read(JSON_BYTES + 1)), path)


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping[str, StoredArray]]:
    """None: the raw file is kept as it is."""
    yield {}


def describe_arrays(path: Path, names: Mapping[str, Any]) -> Mapping[str, ArrayMeaning]:
    """None: a record holds no arrays."""
    return {}


def list_sample_arrays(path: Path) -> list[str]:
    """None: nothing in a record comes from a raw file sample by sample."""
    return []


def read_fields(path: Path, names: Collection[str]) -> Mapping[str, Any]:
    """What the record holds under each of these names."""
    asset, found = _load_record(path)["asset"], {}
    for name in names:
        place: Any = asset
        for part in name.removeprefix(f"{CONTENT}/").split("/"):
            place = place.get(part, MISSING) if isinstance(place, dict) else MISSING
        if place is not MISSING:
            found[name] = place
    return found


def digest_derived(path: Path) -> Mapping[str, str]:
    """Digests of all that the record says, computed anew."""
    record = _load_record(path)
    return {CONTENT: digest(record["asset"])} | {f"/{name}": "" for name in record.keys() - {"asset", NAME}}


def check_files(path: Path) -> Iterator[Finding]:
    """Nothing to find: the result is one file."""
    yield from ()


def compare_grafts(path: Path, roots: SourceRoots) -> Iterator[Finding]:
    """Nothing to compare: objects of fragments are for sessions."""
    yield from ()


def validate(path: Path) -> list[Finding]:
    """Whether the record names what it is about, and states digests and facts that can be true."""
    whole = _load_record(path)
    record, made = whole["asset"], parse_provenance(whole, path)
    wrong = []
    fields = {name.removeprefix(f"{CONTENT}/"): field.value for name, field in made.fields.items()}
    if digest({name: value for name, value in record.items() if name != "files"}) != digest(_nest_fields(fields)):
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
    wrong += [f"facts/{name} is {str(facts[name])[:80]}, which is no number" for name in _find_non_numbers(facts)]
    return [finding("asset.invalid", f"{path.name}: {text}", file=str(path)) for text in wrong]
