"""What an interface of neuroconv exports of a row's raw file, taken over as it is.

Objects of which a session may have several bear the row's key; tables and devices of which there is one keep their
names, and rows that export the same share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from neuropress.mapping.rules import Slots
from neuropress.model.content import Content, Fragment
from neuropress.model.elements import digest_elements
from neuropress.model.finding import Finding, finding, problem
from neuropress.model.graft import find_above
from neuropress.model.plan import Field, Node, canonical
from neuropress.model.record import CellRef, Record

from . import EXPORTED, Built, Job, make_constant
from ._behavior import clean_name, list_clock_findings

NAME = "exported"
READER = "neuroconv"
REVISION = 2
TABLES = ("image", "ephys", "behavior")
COLUMN: Mapping[str, str] = dict.fromkeys(TABLES, "file_path_raw")
TARGET = "session"
SLOTS: Slots = {}
BINDINGS: Mapping[str, str] = {}
ALONE = True
"""Whoever names the reader in the settings means this converter."""

PROCESSING = "/processing"
NAMED = ("/acquisition", "/stimulus/presentation", "/stimulus/templates", "/analysis", "/scratch", "/events")
"""Places of objects that bear the row's key, beside those of processing modules."""
NUMBERED = ("/general/devices", "/general/optophysiology")
"""Places of objects that two rows may name alike without meaning one: the second bears its row's key."""
LEFT_OUT = ("/general/subject",)
"""What the rows say themselves."""
ABOUT = {
    "/processing/behavior": "Behaviour of the animal.",
    "/processing/ophys": "What was drawn on, or computed from, the movies.",
}
"""As other converters describe these modules, which may hold objects of both."""
ONE_EACH = ("/intervals/trials", "/intervals/epochs", "/intervals/invalid_times")
COMPARED = 1 << 24
"""Bytes of an array that two rows share, up to which it is compared."""


def takes(record: Record) -> bool:
    """Rows whose file the settings give to neuroconv."""
    return record.table in TABLES and record.reader == READER


def bindings(record: Record) -> Mapping[str, Record | None]:
    """None: the row's own parents suffice."""
    return {}


def build(jobs: Sequence[Job]) -> Built:
    """All objects of each row's fragment, and the processing modules that hold them.

    Raises
    ------
    Problem
        ``neuroconv.clock``, ``neuroconv.empty``, ``neuroconv.conflict``; ``fragment.*``.
    """
    nodes: dict[str, Node] = {}
    placed: dict[str, dict[str, str]] = {}
    first: dict[str, tuple[Job, str]] = {}
    findings = list(list_clock_findings(jobs))
    for job in jobs:
        fragment = _get_fragment(job)
        found = list(_list_objects(fragment))
        if not found:
            raise problem("neuroconv.empty", f"{job.source}: its interface exported no object", **job.locate())
        mine = placed[job.source] = {path: _find_place(job, path) for path in found}
        for path in found:
            place = mine[path]
            if place in nodes:
                other, known = first[place]
                if _is_same(job, path, other, known) and _lead_to_same(job, path, mine, placed[other.source]):
                    continue
                place = mine[path] = _find_second_place(job, path, nodes)
            first[place] = job, path
            nodes[place] = job.take_over(path, place)
            for module in _make_module(job, fragment, place):
                nodes.setdefault(module.path, module)
        findings += _list_remarks(job, fragment, nodes)
    return Built(tuple(nodes.values()), tuple(findings))


def _get_fragment(job: Job) -> Fragment:
    content: Content = job.contents[0]
    assert isinstance(content, Fragment)
    if content.started is None or content.is_shifted:
        return content
    delay = job.measure_delay(content.started)
    if delay is None or delay:
        said = f"{job.source} says that it began at {content.started.isoformat(' ')}"
        start = job.started.isoformat(" ") if job.started else "no moment"
        hint = "" if delay is None else f'State clock_offset = "{delay.total_seconds():g}" in its [options].'
        raise problem("neuroconv.clock", f"{said}, the session at {start}", hint=hint, **job.locate())
    return content


def _list_objects(fragment: Fragment) -> Iterator[str]:
    """Places of what is taken over."""
    for path, type in fragment.objects.items():
        if type != "ProcessingModule" and path not in LEFT_OUT:
            yield path


def _find_place(job: Job, path: str) -> str:
    above, _, name = path.rpartition("/")
    is_named = above in NAMED or above.startswith(PROCESSING) or (above == "/intervals" and path not in ONE_EACH)
    return f"{above}/{clean_name(job.record.key)}_{name}" if is_named else path


def _find_second_place(job: Job, path: str, nodes: Mapping[str, Node]) -> str:
    """Where an object lies whose name another one has that is not the same. Raises `Problem`."""
    above, _, name = path.rpartition("/")
    place = f"{above}/{clean_name(job.record.key)}_{name}"
    if above not in NUMBERED or place in nodes:
        message = f"{job.source} and another row of the session export different objects for {path}"
        raise problem("neuroconv.conflict", message, **job.locate())
    return place


def _is_same(job: Job, path: str, other: Job, known: str) -> bool:
    """Whether two rows export the same object."""
    mine, theirs = (_get_fragment(one).describe(at) for one, at in ((job, path), (other, known)))
    if (mine.type, mine.graft.references, mine.arrays) != (theirs.type, theirs.graft.references, theirs.arrays):
        return False
    if canonical(mine.fields) != canonical(theirs.fields):
        return False
    return all(_is_same_array(job, other, name) for name in mine.arrays.values())


def _lead_to_same(job: Job, path: str, mine: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    """Whether what an object refers to lies at one place of the result for both rows."""
    references = _get_fragment(job).describe(path).graft.references
    return all(
        mine.get(above, above) == theirs.get(above, above)
        for above in (find_above(reference, mine) or reference for reference in references)
    )


def _is_same_array(job: Job, other: Job, name: str) -> bool:
    one, two = (each.contents[0].arrays[name] for each in (job, other))
    if one.shape != two.shape or one.dtype != two.dtype or prod(one.shape) * one.dtype.itemsize > COMPARED:
        return False
    whole = tuple(slice(0, extent) for extent in one.shape)
    return digest_elements(one.read(whole)) == digest_elements(two.read(whole))  # NaN equals itself


def _make_module(job: Job, fragment: Fragment, place: str) -> Iterator[Node]:
    """The processing module of an object, as our own converters describe it or as the fragment does."""
    module = place.rpartition("/")[0]
    if not module.startswith(f"{PROCESSING}/"):
        return
    if module in ABOUT:
        about = make_constant(NAME, "module", ABOUT[module])
    else:
        text = fragment.describe(module).fields.get("description", "Exported by neuroconv")
        about = Field(text, EXPORTED, "copy", (CellRef("file", job.source, f"{module}/description", "", "export"),))
    yield Node(module, "ProcessingModule", {"description": about})


def _list_remarks(job: Job, fragment: Fragment, nodes: Mapping[str, Node]) -> Iterator[Finding]:
    header: Mapping[str, Any] = fragment.header
    if header.get("trusted"):
        names = ", ".join(header["unpickled"]) or "nothing was noticed"
        message = f"{job.source}: {header['interface']} was trusted to unpickle and execute what it reads ({names})"
        yield finding("neuroconv.trusted", message, **job.locate())
    for place in header.get("corrected", ()):
        message = f"{job.source}: {place} was (height, width), its frames (width, height): it is in their order now"
        yield finding("neuroconv.sides", message, **job.locate())
    for path, node in nodes.items():
        is_own = node.graft is not None and node.graft.source == job.source
        if not is_own or header.get("external_folder"):
            continue
        for name in (name for name in node.arrays if name.rpartition("/")[2] == "external_file"):
            place = f"{path}/{name}".removesuffix("/external_file")
            message = f"{place} names a file that lies beside {job.source}, and not beside the result"
            yield finding("neuroconv.external", message, **job.locate())
