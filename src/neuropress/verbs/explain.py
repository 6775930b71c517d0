"""Where a value of a result came from, from the result alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..config import Named, find_dataset, find_result
from ..independent import SecondReading
from ..model.finding import Problem, problem
from ..model.plan import Field
from ..model.receipt import ArrayReceipt
from ..model.record import CellRef, Fix
from ..model.report import Report
from ..model.serial import to_json
from ..results import KindModule, detect_kind
from ..results.fields import find_unmatched_fields
from ..storage.remote import ResultPath
from ..workspace import Workspace
from .verify import name_result

ORIGINS = {
    "cell": "table {0.table}, row {0.key}, column {0.column}: {0.text!r}",
    "fix": "table {0.table}, row {0.key}, column {0.column}: {0.text!r}",
    "header": "header of {0.key}, {0.column}: {0.text!r}",
    "default": "dataset default of profile {0.table}, {0.column}: {0.text!r}",
    "replaced": "table {0.table}, row {0.key}, column {0.column}: {0.text!r} (not written: the header says it better)",
    "constant": "constant of mapping {0.key}: {0.text!r}",
    "option": "neuropress.toml, options of {0.key}, {0.column}: {0.text!r}",
    "export": "{0.key}, which another program exported, {0.column}",
}

LISTED = 10_000
"""Names that are looked through for one like that which was asked for."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one field or array of a result is what it is.

    Attributes
    ----------
    unmatched
        Why the result does not bear out what its provenance says of the field; empty where it does.
    """

    path: str
    version: str
    field: Field | None = None
    array: ArrayReceipt | None = None
    profile: str = ""
    second: tuple[SecondReading, ...] = ()
    fixes: Mapping[tuple[str, str, str], Fix] = dataclasses.field(default_factory=dict)
    unmatched: str = ""

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        made = to_json(self.field) if self.field else {"array": to_json(self.array)}
        if self.second:
            made["independent"] = to_json(self.second)
        tool = {"name": "neuropress", "version": self.version}
        fixes = [to_json(fix) for fix in self._fixes() if fix]
        unmatched = {"unmatched": self.unmatched} if self.unmatched else {}
        return {"field": self.path, **made, **unmatched, "fixes": fixes, "tool": tool, "profile": self.profile}

    def lines(self) -> list[str]:
        """The answer in words."""
        written = f"  written by neuropress {self.version}" + (f", profile {self.profile}" if self.profile else "")
        if self.array:
            spec = self.array.spec
            return [
                self.path,
                f"  {spec.dtype} {list(spec.shape)}, digest of its blocks ({self.array.hash}) {self.array.sha256}",
                f"  from {spec.source}, array {spec.array}, reader {spec.format}",
                f"  by select {to_json(spec.index.select)}, axis order {list(spec.index.order)}",
                *([f"  by the clock {spec.clock}"] if spec.clock else []),
                *(f"  read again by {reading.describe()}" for reading in self.second),
                written,
            ]
        assert self.field is not None
        sources = [_describe_source(ref, fix) for ref, fix in zip(self.field.sources, self._fixes(), strict=True)]
        return [
            f"{self.path} = {self.field.value!r}",
            *([f"  NOT in the result: {self.unmatched} (verify.field)"] if self.unmatched else []),
            *(f"  from {line}" for line in sources or ["the software itself"]),
            f"  by rule {self.field.rule}, transform {self.field.via}",
            written,
        ]

    def _fixes(self) -> list[Fix | None]:
        """The fix behind each source of the field, where there is one."""
        sources = self.field.sources if self.field else ()
        return [self.fixes.get((ref.table, ref.key, ref.column)) if ref.origin == "fix" else None for ref in sources]


def _load_second_readings(path: ResultPath) -> tuple[SecondReading, ...]:
    """What other libraries made of the raw files, if the result lies in its dataset, which remembers it."""
    folder = find_dataset(path) if isinstance(path, Path) else None
    if folder is None:
        return ()
    try:
        workspace = Workspace.open(folder)
        proof = workspace.proofs.load(name_result(path, workspace), path)
    except (Problem, OSError):
        return ()  # the dataset's settings are none of what is explained
    return proof.second if proof else ()


def _describe_source(ref: CellRef, fix: Fix | None) -> str:
    if fix:
        return f"{ORIGINS['fix'].format(ref)}, which {fix.person} signed in place of {fix.original!r} ({fix.reason})"
    if ref.origin == "default" and ref.table.startswith("neuropress.toml"):
        return f"{ref.table}, {ref.column}: {ref.text!r} (in place of the profile's)"
    return ORIGINS[ref.origin].format(ref)


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class ExplainReport(Report):
    """A report with the explanations that were asked for."""

    explanations: tuple[Explanation, ...]

    def __str__(self) -> str:
        return "\n".join(line for explanation in self.explanations for line in explanation.lines())


def explain_file(path: Named, name: str | None = None) -> ExplainReport:
    """Which cell, rule and version made a value of a result; all values without `name`. The file alone is asked.

    Parameters
    ----------
    path
        A result: an NWB file, an OME-Zarr folder or an asset record.
    name
        Full path (``/general/subject/weight``) or its end (``weight``); all that match are explained.

    Raises
    ------
    Problem
        ``result.none``, ``result.unreadable``, or ``explain.no_field`` with the closest names.
    """
    return ExplainReport("explain", explanations=tuple(explain_result(find_result(path), name)))


def explain_result(path: ResultPath, name: str | None = None) -> list[Explanation]:
    """Explain one field, or all, of a result.

    Parameters
    ----------
    name
        Full path (``/general/subject/weight``) or its end (``weight``); all that match are explained.

    Raises
    ------
    Problem
        ``result.unreadable`` or ``explain.no_field``, with the closest names.
    """
    module = detect_kind(path).load()
    made = module.read_provenance(path)
    version, profile = made.receipt.version, made.profile
    fixes = {(row.table, row.key, column): fix for row in made.records for column, fix in row.fixes.items()}
    whole = [Explanation(p, version, field=f, profile=profile, fixes=fixes) for p, f in made.fields.items()]
    second = _load_second_readings(path)
    for p, a in made.receipt.arrays.items():
        readings = tuple(reading for reading in second if reading.source == a.spec.source)
        whole.append(Explanation(p, version, array=a, profile=profile, second=readings))
    if name is None:
        return _look_up_fields(module, path, whole)
    end = "/" + name.strip("/")
    exact = [e for e in whole if e.path == end] or [e for e in whole if e.path.endswith(end)]
    if exact:
        return _look_up_fields(module, path, exact)
    names = {e.path for e in whole} | {e.path.rsplit("/", 1)[-1] for e in whole}
    close = get_close_matches(name, sorted(names)[:LISTED], n=3, cutoff=0.5)
    hint = f"Did you mean {', '.join(close)}?" if close else ""
    raise problem("explain.no_field", f"{path.name} has no field {name!r}", hint=hint, file=str(path))


def _look_up_fields(module: KindModule, path: ResultPath, explanations: list[Explanation]) -> list[Explanation]:
    """With what the result itself holds in the place of each field, where that is something else."""
    fields = {explanation.path: explanation.field for explanation in explanations if explanation.field}
    unmatched = find_unmatched_fields(module, path, fields)
    return [dataclasses.replace(one, unmatched=unmatched.get(one.path, "")) for one in explanations]
