"""Building the plan of one result: headers are read, cells compared, rules applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from neuropress.converters import (
    Built,
    Converter,
    Job,
    Selective,
    find_clockless,
    is_keeping,
    load_converter,
    load_profile_mapping,
)
from neuropress.converters import session as session_converter

from ..checks.headers import compare_cells, is_replaced_by_header
from ..config import Config
from ..mapping.rules import MappingRules, Scope, apply_mapping
from ..model.content import Access, Content, describe_contents
from ..model.finding import Finding, Problem, Severity, finding, has_errors, problem
from ..model.plan import KeptFile, Node, Plan
from ..model.privacy import hide_for, hide_names
from ..model.profile import Profile
from ..model.record import CellRef, Record, Value
from ..model.source import Input, Source
from ..model.waiver import waive, waive_all
from ..readers.raw import RawArrays
from ..results import KINDS
from .clocks import check_clock_options, check_clocks
from .images import choose_image, list_choices
from .kept import Keeping, KeptCell, check_kept_clocks, keep_files, list_kept_cells, place_kept_files
from .labels import OpenedLabels, open_labels
from .mappings import collect_revisions, find_frame
from .nodes import PlanNodes
from .split import join_part
from .starts import find_start, localize_start, start_from_header
from .targets import Wanted, find_part, list_rivals, list_takers, raw_column, raw_key, source_rows
from .triggers import add_trigger
from .writable import check_writable


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of one result, or None with the findings that withhold it.

    `failed` maps each data row (table, key) to the findings on it and its raw file; `access` each array to how
    its raw file is read, where the result is written in units.
    """

    plan: Plan | None
    findings: tuple[Finding, ...]
    failed: Mapping[tuple[str, str], Finding]
    access: Mapping[str, Access] = field(default_factory=dict)


@dataclass(slots=True)
class _Opened:
    """One data row with its raw object open: what that holds, what of it the converter takes; the file of its clock."""

    name: str
    record: Record
    source: Source
    held: tuple[Content, ...]
    contents: tuple[Content, ...]
    rules: MappingRules
    clock: _Opened | None = None


def build_plan(wanted: Wanted, config: Config, opener: RawArrays | None = None) -> Planned:
    """Open the raw files' headers, compare cells with them, and plan every field and array.

    Bad input becomes findings: a data row whose file is bad appears in `failed`, and
    the plan is None then.

    Parameters
    ----------
    opener
        Opens the raw files and keeps them open for the writer that is to have the plan at once. That writer refuses
        what it cannot write, so it is not asked before, which costs as much as building all objects of the result.
    """
    config = choose_image(wanted, config)
    findings = [_report_unconverted(row) for row in wanted.others if _is_unconverted(row, config.profile)]
    failed: dict[tuple[str, str], Finding] = {}
    with ExitStack() as stack:
        files = opener or stack.enter_context(RawArrays(config.sources()))
        opened, heard, cells = [], [], list_kept_cells(wanted, config.profile)
        for name, record in (*wanted.jobs, *wanted.clocks):
            if missing := find_missing_extra(name, record, config):
                findings.append(waive(hide_for(missing, config.profile), wanted.waivers))
                continue
            try:
                one = _open_row(name, record, config, files)
            except Problem as bad:
                if spared := _spare_file(bad, name, record, config.profile):
                    findings.append(waive(_report_spared(bad, spared), wanted.waivers))
                    cells.append(spared)
                    continue
                found = waive(hide_for(bad.finding.at(**record.place()), config.profile), wanted.waivers)
                findings.append(found)
                failed[record.table, record.key] = found
                continue
            if (name, record) in wanted.clocks:
                heard.append(one)
                continue
            compared = waive_all(_compare_cells(one) + _check_clocks(one, config), wanted.waivers)
            findings += compared
            errors = [f for f in compared if f.severity is Severity.ERROR]
            if errors:
                failed[record.table, record.key] = errors[0]
            opened.append(one)
        if failed or not (opened or wanted.is_bare):
            return Planned(None, tuple(findings), failed)
        keeping = keep_files(cells, config.sources(), config.profile)
        findings += waive_all([*check_kept_clocks(cells, config), *keeping.findings], wanted.waivers)
        try:
            labels = open_labels(wanted, config, files)
            plan, remarks = _assemble_plan(wanted, opened, heard, keeping, labels, config)
        except Problem as bad:
            found = bad.finding if bad.finding.location.key else bad.finding.at(**wanted.record.place())
            found = waive(found, wanted.waivers)
            failed[found.location.table or wanted.record.table, found.location.key or wanted.record.key] = found
            return Planned(None, (*findings, found), failed)
        access = files.list_access(plan.arrays()) if KINDS[plan.target.kind].units else {}
    remarks = [*waive_all(remarks, wanted.waivers), *_check_arrays(plan, [*opened, *heard], labels)]
    if opener is None and not has_errors(remarks):  # nobody can answer for what cannot be written
        remarks += [f.at(**wanted.record.place()) for f in check_writable(plan, config.state)]
    findings += remarks
    return Planned(None if has_errors(remarks) else plan, tuple(findings), failed, access)


def _check_arrays(plan: Plan, opened: Iterable[_Opened], labels: Iterable[OpenedLabels]) -> Iterator[Finding]:
    """Whether every array of a plan is one of those that the readers found, cut as its specification says."""
    shapes: dict[tuple[str, str, str, str], tuple[int, ...]] = {}
    held = [(one.source, one.contents) for one in _add_clocks(opened)]
    held += [pair for one in labels for pair in one.files]
    for source, contents in held:
        for content in contents:
            for name, array in content.arrays.items():
                shapes[source.key, content.format, content.name, name] = array.shape
    for path, spec in plan.arrays().items():
        shape = shapes.get((spec.source, spec.format, spec.content, spec.array))
        if shape is None:
            why = f"no reader found an array {spec.array!r} in content {spec.content!r} of {spec.source}"
        elif len(spec.index.select) != len(shape) or spec.index.shape() != spec.shape:
            why = f"its index map does not make {list(spec.shape)} of {list(shape)}, as {spec.array!r} is"
        else:
            continue
        yield finding("plan.invalid", f"{path} of the result cannot be filled: {why}", file=spec.source)


def inspect_row(name: str, record: Record, config: Config, *, build: bool) -> list[Finding]:
    """What is wrong between one row and its raw file, the row taken by itself: it need not be usable.

    With `build`, also whether the converter can make something of the file.
    """
    choices = list_choices(name, record, config)
    return [found for one in choices for found in _inspect_row(name, record, one, build=build)]


def _inspect_row(name: str, record: Record, config: Config, *, build: bool) -> list[Finding]:
    profile = config.profile
    if missing := find_missing_extra(name, record, config):
        return [hide_for(missing, profile)]
    with RawArrays(config.sources()) as files:
        try:
            opened = _open_row(name, record, config, files)
            found = _compare_cells(opened) + _check_clocks(opened, config)
        except Problem as bad:
            if spared := _spare_file(bad, name, record, profile):
                return [_report_spared(bad, spared)]
            return [hide_for(bad.finding.at(**record.place()), profile)]
        if build:
            found += _build_alone(opened, profile)
    return found


def _build_alone(opened: _Opened, profile: Profile) -> list[Finding]:
    """What a converter finds in one row; where its session's start is not known, only what it refuses."""
    module = load_converter(opened.name)
    started = find_start(opened.record, profile)
    try:
        built = module.build([_make_job(module, opened, profile, started)])
    except Problem as bad:
        return [hide_for(bad.finding.at(**opened.record.place()), profile)]
    return list(built.findings) if started else []


def _check_clocks(opened: _Opened, config: Config) -> list[Finding]:
    column, key = raw_column(opened.name, opened.record), opened.source.key
    place = opened.record.place(column)
    found = list(check_clock_options(key, config.find_options(key), find_clockless(opened.name), place))
    return found + list(check_clocks(opened.record, column, key, opened.contents, config.profile))


@contextmanager
def open_rows(name: str, record: Record, config: Config) -> Iterator[tuple[Content, ...]]:
    """What a data row means of its raw object, headers only; closed at the end. Raises `Problem`."""
    with RawArrays(config.sources()) as files:
        yield _open_row(name, record, config, files).contents


class _NotTakenError(Problem):
    """What a file holds is for none of the converters that may take the row."""


def _spare_file(bad: Problem, name: str, record: Record, profile: Profile) -> KeptCell | None:
    """A file beside the data that nothing can be made of, and that is not damaged: it is kept as it is."""
    column = raw_column(name, record)
    is_beside = column != next(iter(profile.tables[record.table].paths))
    if is_beside and (isinstance(bad, _NotTakenError) or bad.finding.id == "format.unknown"):
        return KeptCell(record, column, raw_key(name, record, profile))
    return None


def _report_spared(bad: Problem, cell: KeptCell) -> Finding:
    message = f"{bad.finding.message}; it is kept as it is"
    return finding("file.kept", message, file=cell.key, **cell.record.place(cell.column))


def _is_unconverted(row: Record, profile: Profile) -> bool:
    """Whether a row has files, and no result of its own either."""
    return bool(profile.tables[row.table].paths) and not list_takers(row)


def _report_unconverted(row: Record) -> Finding:
    message = (
        f"{row.table} {row.key}: its cells travel in the session's record, its file is kept as it is and not converted"
    )
    return finding("convert.no_converter", message, **row.place())


def _open_row(name: str, record: Record, config: Config, files: RawArrays) -> _Opened:
    column = raw_column(name, record)
    key = raw_key(name, record, config.profile)
    try:
        rules = load_profile_mapping(name, config.profile)
        if is_keeping(name):
            return _Opened(name, record, config.sources().locate(key), (), (), rules)
        source, held = files.open_source(key, config.find_options(key), _list_purposes(name, record))
        name, contents = _choose_converter(name, record, source, held)
        contents = contents if find_clockless(name) else add_trigger(key, contents, config, files)
        clock = _open_clock(name, record, contents, config, files)
    except Problem as bad:
        placed = bad.finding.at(column=column, value=record.cells[column].text)
        raise (_NotTakenError if isinstance(bad, _NotTakenError) else Problem)(placed) from bad
    return _Opened(name, record, source, held, contents, load_profile_mapping(name, config.profile), clock)


def _open_clock(
    name: str, record: Record, contents: Sequence[Content], config: Config, files: RawArrays
) -> _Opened | None:
    """The file that has the declared clock of these contents, and what of it is used."""
    trigger = contents[0].trigger if contents else None
    if trigger is None:
        return None
    source, held = files.open_source(trigger.key, config.find_options(trigger.key))
    return _Opened(name, record, source, held, (trigger.content,), load_profile_mapping(name, config.profile))


def _add_clocks(rows: Iterable[_Opened]) -> list[_Opened]:
    return [one for row in rows for one in (row, row.clock) if one]


def find_missing_extra(name: str, record: Record, config: Config) -> Finding | None:
    """The finding on a file that is missing and withholds nothing; None where it is there, or needed."""
    if not getattr(load_converter(name), "IS_OPTIONAL", False):
        return None
    try:
        config.sources().locate(raw_key(name, record, config.profile))
    except Problem as bad:
        if bad.finding.id != "file.missing":
            return None
        message = f"{bad.finding.message}; it is not the data file, so nothing is withheld"
        place = record.place(raw_column(name, record))
        return finding(bad.finding.id, message, severity=Severity.WARNING, file=bad.finding.location.file, **place)
    return None


def _list_purposes(name: str, record: Record) -> set[str]:
    """What the row's file may be opened for, by the converters that may take it."""
    modules = map(load_converter, list_rivals(name, record) or [name])
    return {purpose for module in modules for purpose in getattr(module, "PURPOSES", ())}


def _choose_converter(
    name: str, record: Record, source: Source, held: tuple[Content, ...]
) -> tuple[str, tuple[Content, ...]]:
    """The converter that what the file holds is for, and what it takes of it.

    Raises
    ------
    Problem
        ``convert.choice``: it is for none of the converters that may take the row, or for several.
    """
    taken = {}
    names = list_rivals(name, record) or [name]
    for rival in names:
        module = load_converter(rival)
        taken[rival] = tuple(module.select(record, held)) if isinstance(module, Selective) else held
    fitting = [rival for rival in names if taken[rival]] or (names if not held else [])
    if len(fitting) == 1:
        _check_declared(fitting[0], source, taken[fitting[0]])
        return fitting[0], taken[fitting[0]]
    wants = "; ".join(
        f"{rival}: {getattr(load_converter(rival), 'WANTS', 'whatever a reader finds')}" for rival in names
    )
    what = f"is for {' and '.join(fitting)} alike" if fitting else "is for no converter"
    message = f"{source.key} holds {describe_contents(held)}, which {what} ({wants})"
    refused = problem("convert.choice", message, file=source.key)
    raise refused if fitting else _NotTakenError(refused.finding)


def _check_declared(name: str, source: Source, contents: Sequence[Content]) -> None:
    """Refuse what nobody declared, unless the converter selects it. Raises `Problem` (``arrays.undeclared``)."""
    undeclared = next((content.header for content in contents if "undeclared" in content.header), None)
    if undeclared is None or isinstance(load_converter(name), Selective):
        return
    missing = undeclared["undeclared"]
    if "draft" not in undeclared:  # a table of text, of which its reader says what it would be as one of behaviour
        columns = 'channels = "NAME = mV" and time = "NAME ms" or rate = "RATE"'
        missing = f"it is a table of text, of which nobody says what its columns are; of a recording state {columns}"
    raise problem("arrays.undeclared", f"{source.key}: {missing}", file=source.key)


def _compare_cells(opened: _Opened) -> list[Finding]:
    """Cells against the header of each content that was chosen; of several that nobody chose from, none is meant."""
    comparisons = [c for c in opened.rules.compare if c.column in opened.record.cells]
    chosen = len(opened.contents) == 1 or isinstance(load_converter(opened.name), Selective)
    found = []
    for facts in [content.facts for content in opened.contents] if chosen else [{}]:
        found += compare_cells(opened.record, comparisons, facts, opened.source.key)
    for content in opened.contents:
        place = opened.record.place()
        found += [finding("file.oddity", w, file=opened.source.key, **place) for w in content.warnings]
    return found


def _assemble_plan(
    wanted: Wanted,
    opened: Sequence[_Opened],
    heard: Sequence[_Opened],
    keeping: Keeping,
    labels: Sequence[OpenedLabels],
    config: Config,
) -> tuple[Plan, list[Finding]]:
    """The plan; `heard` are files of the session's other results, of which only the clocks are used."""
    profile = config.profile
    nodes = PlanNodes()
    remarks: list[Finding] = []
    started = None
    if find_frame(wanted):
        job, found = _session_job(wanted, (*opened, *heard), profile)
        remarks += found
        started = localize_start(job)
        remarks += nodes.add("session", session_converter.build([job]))
    made = [(one, _make_job(load_converter(one.name), one, profile, started)) for one in opened]
    elsewhere = [
        (one, _name_file(_make_job(load_converter(one.name), one, profile, started), one, wanted, nodes, profile))
        for one in heard
        if any(one.record is mine.record for mine in opened)
    ]
    for name in dict.fromkeys(one.name for one in opened):
        jobs = [
            replace(
                job,
                place=wanted.target.path,
                beside=_list_beside(one, [*made, *elsewhere]),
                others=[other for _, other in made],
                labels=[one.labels for one in labels],
            )
            for one, job in made
            if one.name == name
        ]
        remarks += nodes.add(name, _with_options(load_converter(name).build(jobs), config))
    read = _add_clocks(one for one in (*opened, *heard) if not is_keeping(one.name))
    touched = [*((one.source, one.held) for one in read), *(pair for one in labels for pair in one.files)]
    sources = (*(source for source, _ in touched), *keeping.sources)
    inputs: dict[str, Input] = {i.key: i for source in sources for i in source.inputs}
    joined = join_part(nodes.made, _build_others(elsewhere, config)) if elsewhere else tuple(nodes.made.values())
    kept, made_nodes = _place_kept_files(keeping, joined, opened, wanted)
    plan = Plan(
        target=wanted.target,
        nodes=made_nodes,
        inputs=tuple(sorted(inputs.values())),
        rows=source_rows(wanted, profile),
        headers={source.key: _collect_headers(held) for source, held in touched},
        revisions=collect_revisions(wanted, profile),
        notes=tuple(f"left out: {table} {key}: {f.message}" for (table, key), f in sorted(wanted.blocked.items())),
        profile=f"{profile.name} {profile.version}",
        sources={source.key: config.find_options(source.key) for source, _ in touched},
        kept=kept,
    )
    return plan, remarks


def _name_file(job: Job, one: _Opened, wanted: Wanted, nodes: PlanNodes, profile: Profile) -> Job:
    """The job of a row's other column, with the file of the session that has its objects."""
    part = find_part((one.name, one.record), profile)
    own = str(nodes.made["/"].fields["identifier"].value)
    identifier = session_converter.name_part(own, wanted.part, part)
    return replace(job, elsewhere=f"{wanted.places[part]} (identifier {identifier})")


def _build_others(elsewhere: Iterable[tuple[_Opened, Job]], config: Config) -> dict[str, tuple[Node, str]]:
    """Nodes that other files of the session have of this one's rows, with the file of each."""
    return {
        node.path: (node, job.elsewhere)
        for one, job in elsewhere
        for node in _with_options(load_converter(one.name).build([job]), config).nodes
    }


def _place_kept_files(
    keeping: Keeping, nodes: tuple[Node, ...], opened: Iterable[_Opened], wanted: Wanted
) -> tuple[tuple[KeptFile, ...], tuple[Node, ...]]:
    """Sessions name kept files beside what their rows made; records list all files anyway."""
    if not keeping.files or not find_frame(wanted):
        return keeping.files, nodes
    sources: dict[tuple[str, str], set[str]] = {}
    for one in opened:
        sources.setdefault((one.record.table, one.record.key), set()).add(one.source.key)
    return place_kept_files(keeping.files, nodes, sources)


def _with_options(built: Built, config: Config) -> Built:
    """Give each array the options of its reader, so that `verify` reads it in the same way."""
    if not config.options:
        return built
    nodes = []
    for node in built.nodes:
        arrays = {n: replace(s, options=config.find_options(s.source)) for n, s in node.arrays.items()}
        nodes.append(replace(node, arrays=arrays))
    return Built(tuple(nodes), built.findings)


def _make_job(module: Converter, opened: _Opened, profile: Profile, started: datetime | None) -> Job:
    facts = opened.contents[0].facts if opened.contents else {}
    measured = _list_measured(opened, facts)
    scope = Scope(opened.record, profile, facts, opened.source.key, module.bindings(opened.record), measured)
    column = module.COLUMN[opened.record.table]
    fields = apply_mapping(opened.rules, scope)
    return Job(opened.record, column, opened.source.key, opened.contents, fields, profile, started)


def _list_beside(opened: _Opened, everything: Iterable[tuple[_Opened, Job]]) -> dict[str, Job]:
    """The jobs of other columns of one row, by column."""
    others = ((one, job) for one, job in everything if one.record is opened.record and one is not opened)
    return {raw_column(one.name, one.record): job for one, job in others}


def _list_measured(opened: _Opened, facts: Mapping[str, str]) -> dict[str, tuple[Value, CellRef]]:
    """Columns in place of whose cells the header's value is written, in the column's unit."""
    measured: dict[str, tuple[Value, CellRef]] = {}
    for comparison in opened.rules.compare:
        value, fact = opened.record.values.get(comparison.column), facts.get(comparison.fact)
        if value is not None and fact is not None and is_replaced_by_header(value, fact, comparison):
            reference = CellRef("file", opened.source.key, comparison.fact, fact, "header")
            measured[comparison.column] = Decimal(fact) / Decimal(comparison.scale), reference
    return measured


def _collect_headers(contents: Iterable[Content]) -> dict[str, Any]:
    return {content.name: hide_names(content.header) for content in contents}


def _session_job(wanted: Wanted, opened: Sequence[_Opened], profile: Profile) -> tuple[Job, list[Finding]]:
    record = wanted.record
    # What its data rows say of the whole session is said once, by rules with `each`.
    rows = (*(row for _, row in wanted.jobs), *wanted.others)
    data = {(row.table, row.key): row for row in rows if "session" in row.parents}
    whole = replace(record, companions=(*record.companions, *(row for _, row in sorted(data.items()))))
    fields = apply_mapping(load_profile_mapping("session", profile), Scope(whole, profile))
    job = Job(whole, "", "", (), fields, profile, part=wanted.part)
    if "session_start_time" in fields.get("file", {}):
        return job, []
    place = record.place("start_time")
    start = start_from_header(record, [(one.source.key, one.contents) for one in opened], profile)
    if start is None:
        message = f"{record.key} has no start_time, and no raw file of it tells one on {record.values['session_date']}"
        raise problem("session.no_start", message, **place)
    with_start = {**fields, "file": {**fields.get("file", {}), "session_start_time": start}}
    message = f"{record.key} starts at {start.value}, from {start.sources[0].key}"
    remark = finding("session.start_from_header", message, **place)
    return replace(job, fields=with_start), [remark]
