"""Proof: the raw file and the result, compared sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..model.allocator import release_memory
from ..model.budget import SHOWN_CHARS
from ..model.elements import differing, element_text
from ..model.finding import Finding, Problem, finding
from ..model.graft import Graft, find_above
from ..model.plan import ArraySpec, canonical
from ..model.privacy import hide_names
from ..model.progress import Progress, expect_bytes
from ..model.provenance import Provenance
from ..model.receipt import ArrayReceipt, block_digest, root_digest
from ..model.source import SourceRoots
from ..readers.raw import RawArrays
from ..results import KindModule, StoredArray, detect_kind
from ..results.fields import find_unmatched_fields
from ..storage.remote import ResultPath
from ..storage.state import DigestCache
from .spans import iterate_blocks

COMPOSED = ("header", "template")
"""Transforms by which a converter composes a value of a header, which is compared as a whole."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was proven of one result: all of `arrays` with `nbytes` in all, unless `findings` say otherwise.

    Of these, `exported` arrays with `exported_nbytes` were compared with what another program exported, as were the
    attributes, scalars and links of `objects` objects with all below them. Of `kept` files and folders that rows name
    and nothing was made of, the digests are those of the receipt.
    """

    path: ResultPath
    arrays: int
    nbytes: int
    findings: tuple[Finding, ...]
    sources: int = 0
    objects: int = 0
    exported: int = 0
    exported_nbytes: int = 0
    kept: int = 0

    def summarize(self) -> str:
        """What was proven, in words."""
        parts = []
        if self.arrays > self.exported:
            nbytes = self.nbytes - self.exported_nbytes
            parts.append(f"{_count(self.arrays - self.exported, 'array')}, {nbytes} bytes equal to the raw files")
        if self.objects:
            held = f"{_count(self.objects, 'object')} ({_count(self.exported, 'array')}, {self.exported_nbytes} bytes)"
            parts.append(f"{held} equal to what another program exported")
        if not parts and self.sources:
            parts.append(f"{_count(self.sources, 'raw file')} as stated, their content read again")
        if self.kept:
            parts.append(f"{_count(self.kept, 'kept file')} as stated")
        return "; ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def verify_result(path: ResultPath, roots: SourceRoots, cache: DigestCache, progress: Progress) -> Verification:
    """Prove one result from the raw files and the result alone.

    Every element of every array that came from a raw file is read from both sides and
    compared bit by bit; objects of fragments are compared with what the other program
    exported; everything else in the result is compared with the digests taken when it was
    written.

    Parameters
    ----------
    path
        An NWB file or an OME-Zarr folder.
    roots
        Where the raw files lie.
    """
    release_memory()  # what writing the result took
    module = detect_kind(path).load()
    findings: list[Finding] = []
    arrays = nbytes = sources = kept = 0
    grafts: Mapping[str, Graft] = {}
    exported: list[int] = []
    try:
        made = module.read_provenance(path)
        expect_bytes(progress, sum(receipt.spec.nbytes for receipt in made.receipt.arrays.values()))
        sources, kept, grafts = len(made.receipt.sources), len(made.receipt.kept), made.receipt.grafts
        findings += module.check_files(path)  # first: which shard is gone is more than that reading stopped there
        bad_inputs = dict(_check_inputs(made, roots, cache))
        findings += bad_inputs.values()
        with module.open_arrays(path) as stored, RawArrays(roots) as raw:
            for name, receipt in made.receipt.arrays.items():
                usable = None if bad_inputs else raw
                findings += _compare_array(name, receipt, stored.get(name), usable, progress)
                arrays += 1
                nbytes += receipt.spec.nbytes
                exported += [receipt.spec.nbytes] if find_above(name, grafts) else []
            if not made.receipt.arrays and not bad_inputs:
                findings += _compare_contents(made, raw)
        if made.receipt.grafts and not bad_inputs:
            findings += module.compare_grafts(path, roots)
        findings += _compare_derived(made, module.digest_derived(path))
        findings += _check_fields(module, path, made)
        findings += _check_unproven(made, module.list_sample_arrays(path))
    except Problem as bad:
        findings.append(bad.finding)
    except MemoryError:
        message = f"{path.name} asks for more memory than there is"
        findings.append(finding("result.unreadable", message, file=str(path)))
    release_memory()
    placed = tuple(f.at(file=str(path)) for f in findings)
    return Verification(path, arrays, nbytes, placed, sources, len(grafts), len(exported), sum(exported), kept)


def _check_inputs(made: Provenance, roots: SourceRoots, cache: DigestCache) -> Iterator[tuple[str, Finding]]:
    for key, known in made.receipt.inputs.items():
        try:
            source = roots.locate(key)
        except Problem as bad:
            yield key, bad.finding
            continue
        current = cache.get_raw_digest(source.root, key)
        if current != known:
            message = f"{key} has SHA-256 {current.sha256[:12]}..., the result was made from {known.sha256}"
            changed = finding("verify.input_changed", message, file=key, value=current.sha256, expected=known.sha256)
            yield key, changed


def _compare_array(
    name: str, receipt: ArrayReceipt, stored: StoredArray | None, raw: RawArrays | None, progress: Progress
) -> Iterator[Finding]:
    """Compare one array with its raw file (where that can be trusted) and with its digest."""
    spec = receipt.spec
    if stored is None:
        yield finding("verify.missing_array", f"{name} is listed in the receipt and not in the result", array=name)
        return
    if tuple(stored.shape) != spec.shape or np.dtype(stored.dtype) != spec.type:
        message = f"{name} is {stored.dtype} {tuple(stored.shape)}, its receipt says {spec.dtype} {spec.shape}"
        yield finding("verify.shape", message, array=name)
        return
    unusable = _check_receipt(name, receipt, stored, raw)
    if unusable:
        yield unusable
        return
    digests = []
    for selection, expected in iterate_blocks(spec, receipt.block, raw):
        block = stored[selection]
        if expected is not None:
            yield from _compare_block(name, receipt, selection, block, expected)
        digests.append(block_digest(block, receipt.hash))
        progress(block.nbytes)
    if root_digest(digests) != receipt.sha256:
        message = f"{name} does not have the digest that was taken when it was written"
        yield finding("verify.digest", message, array=name)


def _check_receipt(name: str, receipt: ArrayReceipt, stored: StoredArray, raw: RawArrays | None) -> Finding | None:
    """Why the receipt's blocks or index map cannot be gone by."""
    spec = receipt.spec
    axes = zip(spec.shape, receipt.block, stored.chunks or (), strict=stored.chunks is not None)
    if any(block < extent and block % chunk for extent, block, chunk in axes):
        message = f"{name}: the blocks {list(receipt.block)} of its receipt cut through its chunks {stored.chunks}"
        return finding("result.unreadable", message, array=name)
    if raw is None:
        return None
    try:
        source = raw.get_array(spec)
    except (NotADirectoryError, IsADirectoryError):
        message = f"{spec.source} cannot be read as {spec.format}, as the receipt of {name} says"
        return finding("file.changed", message, file=spec.source, array=name)
    ends = [entry + 1 if isinstance(entry, int) else entry[1] for entry in spec.index.select]
    if len(ends) != len(source.shape) or any(end > n for end, n in zip(ends, source.shape, strict=True)):
        message = f"{name}: its receipt selects {list(spec.index.select)} of {spec.source}, which has {source.shape}"
        return finding("verify.shape", message, array=name)
    if not _can_hold(spec, source.dtype):
        message = f"{name} is {spec.dtype}, which does not hold every {source.dtype} of {spec.source}"
        return finding("verify.shape", message, array=name)
    return None


def _can_hold(spec: ArraySpec, source: np.dtype[Any]) -> bool:
    """Whether the result's type holds every element of the source as it is; a clock makes seconds of numbers."""
    if spec.clock:
        return source.kind in "iuf"
    if spec.whole:
        return source.kind == "f"
    if spec.type.kind == "T" or source.kind not in "iufc":
        return element_text(source) == spec.dtype or (source.kind == "b" and spec.type.kind in "iu")
    return np.can_cast(source, spec.type, "safe")


def _compare_block(
    name: str, receipt: ArrayReceipt, selection: tuple[slice, ...], stored: np.ndarray, expected: np.ndarray
) -> Iterator[Finding]:
    """The first element of a block whose bits differ, and how many do."""
    a, b = (np.ascontiguousarray(x, dtype=receipt.spec.type) for x in (stored, expected))
    unequal = differing(a, b)
    if not unequal.any():
        return
    corner = np.unravel_index(int(unequal.argmax()), unequal.shape)
    index = tuple(int(s.start + i) for s, i in zip(selection, corner, strict=True))
    source = receipt.spec.index.source_index(index)
    shown = [str(x[corner])[:SHOWN_CHARS] for x in (a, b)]
    has = "gives" if receipt.spec.clock else "has"
    message = (
        f"{name} at {list(index)} is {shown[0]}, but {receipt.spec.source} {has} {shown[1]} "
        f"at {list(source)} of {receipt.spec.array}; {int(unequal.sum())} elements differ in this block"
    )
    yield finding("verify.different", message, array=name, index=index, value=shown[0], expected=shown[1])


def _compare_contents(made: Provenance, raw: RawArrays) -> Iterator[Finding]:
    """Of a result without arrays, what its readers found in the raw files, compared with what they find now."""
    is_read = any(ref.origin == "header" for field in made.fields.values() for ref in field.sources)
    is_led_back = made.receipt.sources or (made.receipt.kept and not is_read)
    if not is_led_back or not made.receipt.inputs:
        yield finding("verify.unproven", "the receipt leads back to no raw file")
    facts: dict[tuple[str, str], str] = {}
    for key, options in made.receipt.sources.items():
        _, contents = raw.open_source(key, options)
        headers = {content.name: content.header for content in contents}
        facts |= {(key, name): text for content in contents for name, text in content.facts.items()}
        touched = {file.key for source in raw.list_sources() for file in source.inputs}
        unstated = touched - made.receipt.inputs.keys()
        if canonical(hide_names(headers)) != canonical(hide_names(made.headers.get(key))):
            yield finding("verify.different", f"{key} says something else than the result has of it", file=key)
        if unstated:
            yield finding("verify.unproven", f"the receipt has no digest of {min(unstated)}", file=key)
    for name, field in made.fields.items():
        for ref in field.sources:
            if ref.origin != "header":
                continue
            if field.via in COMPOSED and (ref.key, ref.column) not in facts:
                continue  # of the header as a whole, which was compared
            # A number may be written in another way than the header has it: 20000 as 20000.0.
            changed = field.via == "number" and str(field.value) not in (ref.text, str(float(ref.text)))
            if facts.get((ref.key, ref.column)) != ref.text or changed:
                message = f"{name} is {field.value!r}, made from {ref.column} {ref.text!r}; {ref.key} says otherwise"
                yield finding("verify.different", message, file=ref.key)


def _check_unproven(made: Provenance, samples: Sequence[str]) -> Iterator[Finding]:
    for name in samples:
        if name not in made.receipt.arrays and not find_above(name, made.receipt.grafts):
            message = f"{name} holds samples, and no entry of the receipt leads them back to a raw file"
            yield finding("verify.unproven", message, array=name)


def _check_fields(module: KindModule, path: ResultPath, made: Provenance) -> Iterator[Finding]:
    """Every value that the provenance states, looked up in the result; those of exports were compared with these."""
    stated = {name: field for name, field in made.fields.items() if {ref.origin for ref in field.sources} != {"export"}}
    for name, reason in find_unmatched_fields(module, path, stated).items():
        yield finding("verify.field", f"{name}: {reason}", array=name)


def _compare_derived(made: Provenance, now: Mapping[str, str]) -> Iterator[Finding]:
    """Compare the digests of all that came from no raw file with those that were taken when it was written."""
    known = made.receipt.derived
    for name in sorted(known.keys() | now.keys()):
        if name not in now:
            yield finding("verify.derived", f"{name} is no longer in the result", array=name)
        elif name not in known:
            yield finding("verify.derived", f"{name} was added to the result after it was written", array=name)
        elif known[name] != now[name]:
            yield finding("verify.derived", f"{name} is not as it was written", array=name)
