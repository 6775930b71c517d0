"""``convert FILE --to OUT``: one raw file without a dataset, by the same planner over tables in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from .. import __version__
from ..config import Config
from ..model.content import Content, Image, Recording
from ..model.finding import Finding, Problem, has_errors, problem
from ..model.labels import LabelFile
from ..model.packing import Packing
from ..model.profile import GENERIC, Lab, Profile, TableSpec, is_zone, load_profile
from ..model.progress import Progress, no_progress, track
from ..model.record import Cell, Record, Value
from ..model.report import Outcome, Report
from ..model.source import Source
from ..planning.build import Planned
from ..planning.facts import read_header_cells
from ..planning.labels import list_label_keys
from ..planning.receipts import ReceiptCache
from ..planning.stale import find_standing
from ..planning.targets import SESSION, Wanted, find_row_table, wanted_targets
from ..readers import raw as raw_objects
from ..results import KINDS, find_kind_by_suffix, load_kind
from ..storage.folder import normalise_bucket_url
from ..storage.remote import BucketPath, ResultPath
from ..storage.roots import open_root
from ..storage.state import DigestCache, lock_result
from ..tables import Tables, TableSources
from ..tables.cells import FlaggedCell, build_cell_parser
from .convert import Options, check_place, convert_one
from .validate import validate_files
from .verify import verify_files

MOMENT = "started"
"""Option of readers whose files tell no clock and belong to no session."""
OPTION = "Of one file: convert FILE --to OUT --option NAME=VALUE, for each."
BESIDE = (
    "Regions, masks and their traces belong to a movie: in a dataset, its row names them (file_path_roi, "
    "file_path_processed)."
)
NAME = "command line"
"""Stands in results where a dataset's profile would."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a person says of one file.

    Attributes
    ----------
    start
        ISO 8601 date and time at which the session began; without an offset it is local to `timezone`.
    timezone
        Of `start`, and of the file's own clock (``Europe/Berlin``).
    cells
        Cells of the rows that a dataset would have: ``{"subject.species": "Mus musculus"}``.
    options
        Of the file's reader (``{"axes": "tyx"}``).
    session
        Identifier of the session; the file's name where it is not stated.
    lab, institution
        Names of the lab and its institution.
    defaults
        What a dataset's lab states once for all its results: ``{"keywords": "patch clamp; cortex"}``.
    labels
        Masks that are labels of the volume, and points in it; their `path` and `classes` are paths of this machine.
    points_options
        Of the reader of points (``{"unit": "pixel", "first": "0"}``).
    beside_options
        Of the readers of single masks and tables of points, by their paths.
    packing
        How a volume is stored.
    amend
        Changes what was planned before it is carried out.
    """

    start: str = ""
    timezone: str = ""
    cells: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    session: str = ""
    lab: str = ""
    institution: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[LabelFile, ...] = ()
    points_options: Mapping[str, Any] = field(default_factory=dict)
    beside_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    packing: Packing = field(default_factory=Packing)
    amend: Callable[[Planned], Planned] | None = None


def convert_file(
    path: str | os.PathLike[str], to: str | os.PathLike[str], stated: Stated, progress: Progress = no_progress
) -> Report:
    """Convert one raw file or folder, verify and validate the result.

    Nothing is invented: what neither the file's header nor `stated` says is absent, and what is needed all the same is
    named at once.

    Raises
    ------
    Problem
        ``dataset.locked``: another run is writing `to`; ``single.target``: the name of `to` does not say what to
        write; ``single.occupied``: something else lies there, or raw files do; ``single.unstated``: what a person must
        say; ``file.missing``: there is no `path`;
        ``dataset.config``: a stated cell is none or does not fit its column; or what the reader says of a bad file.
    """
    named = os.fspath(to)
    kind = find_kind_by_suffix(PurePath(named).name)
    if kind is None:
        known = ", ".join(one.suffix for one in KINDS.values())
        message = f"the name {PurePath(named).name} does not say what to write"
        raise problem("single.target", message, hint=f"End it in one of {known}, as {Path(to) / Path(path).stem}.nwb.")
    raw, goal = _find_raw(path), find_place(to, kind.last_files)
    if isinstance(goal, BucketPath) and not kind.last_files:
        raise problem("single.target", f"{kind.label} files are written to folders only, and {goal} lies in a bucket")
    beside = [_find_raw(place) for one in stated.labels for place in (one.path, one.classes) if place]
    roots, keys = _find_roots([raw, *beside])
    key = keys[raw]
    for place in keys:
        check_outside(place, goal)
    folder = Path.cwd() if isinstance(goal, BucketPath) else goal.parent  # of what is under way
    with lock_result(Path(str(goal))), TemporaryDirectory(prefix="neuropress-") as scratch:
        _check_standing(goal, kind.name, key)
        try:
            contents = _read_contents(Source(key, open_root(roots[0])), stated.options)
        except Problem as bad:
            raise Problem(_tell_option(bad.finding)) from bad
        table = find_row_table(kind, contents, load_profile(GENERIC))
        target = kind.row_target if table else kind.target
        options = _state_moment(stated, contents) if table else stated.options
        profile = replace(_make_profile(stated, raw, goal, target), labels=_place_labels(stated, keys))
        config = Config(
            folder,
            profile,
            roots,
            TableSources(()),
            _collect_options(key, options, stated, keys),
            buckets={target: str(goal).rpartition("/")[0]} if isinstance(goal, BucketPath) else {},
            scratch=Path(scratch),
        )
        table = table or _choose_table(contents, target)
        tables = _make_tables(contents, key, stated, table, target, profile)
        wanted = _find_wanted(tables, goal, kind.name, profile)
        return Report.of_steps(
            "convert", list(_run_steps(wanted, config, named, Options(amend=stated.amend), progress))
        )


def find_place(named: str | os.PathLike[str], last: Sequence[str] = ()) -> ResultPath:
    """A place on this machine, or in a bucket; a link there is not followed, those on the way to it are.

    Parameters
    ----------
    last
        Of a result's folder in a bucket, the files by which it is there; see `BucketPath`.

    Raises
    ------
    Problem
        ``storage.url``.
    """
    name = os.fspath(named)
    if name.startswith("s3://"):
        return BucketPath.of_url(normalise_bucket_url(name), last)
    path = Path(name)
    return path.parent.resolve() / path.name if path.name else path.resolve()


def _find_raw(named: str | os.PathLike[str]) -> ResultPath:
    """A raw file or folder, links followed. Raises `Problem` (``file.missing``)."""
    place = find_place(named)
    if not place.exists():
        raise problem("file.missing", f"{named} does not exist", hint="Correct the path.", file=str(named))
    return place if isinstance(place, BucketPath) else place.resolve()


def _find_roots(places: Sequence[ResultPath]) -> tuple[tuple[Path | str, ...], dict[ResultPath, str]]:
    """The roots of raw files, and the key of each. Raises `Problem` where some lie in a bucket and some elsewhere."""
    paths = [place for place in places if isinstance(place, Path)]
    if len(paths) == len(places):
        return _find_folders(paths)
    root = str(places[0]).rpartition("/")[0]
    apart = next((place for place in places if not str(place).startswith(f"{root}/")), None)
    if apart is not None:
        raise problem("single.target", f"{apart} lies elsewhere than {places[0]}: what is read must lie below {root}")
    ends = {place: "/" if place.is_dir() else "" for place in places}
    return (root,), {place: str(place).removeprefix(f"{root}/") + end for place, end in ends.items()}


def _find_folders(paths: Sequence[Path]) -> tuple[tuple[Path, ...], dict[ResultPath, str]]:
    """Folders of raw files, that of the first path first, and the key of each: its name.

    Where two files of a name lie in different folders, or one inside of another, keys are paths below the folder that
    holds all of them.
    """
    roots = tuple(dict.fromkeys(path.parent for path in paths))
    ends = {path: "/" if path.is_dir() else "" for path in paths}
    is_nested = any(above in path.parents for above in paths for path in paths)
    if not is_nested and all(
        not (root / path.name).exists() or root == path.parent for path in paths for root in roots
    ):
        return roots, {path: path.name + ends[path] for path in paths}
    above = Path(os.path.commonpath([path.parent for path in paths]))
    return (above,), {path: path.relative_to(above).as_posix() + ends[path] for path in paths}


def _collect_options(
    key: str, options: Mapping[str, Any], stated: Stated, keys: Mapping[ResultPath, str]
) -> dict[str, Mapping[str, Any]]:
    """Options of the readers, by the key of each file."""
    points = (keys[_find_raw(one.path)] for one in stated.labels if one.is_points)
    of_points = dict.fromkeys(points, stated.points_options) if stated.points_options else {}
    of_files = {keys[_find_raw(path)]: own for path, own in stated.beside_options.items()}
    return of_points | of_files | ({key: options} if options else {})


def _place_labels(stated: Stated, keys: Mapping[ResultPath, str]) -> dict[str, tuple[LabelFile, ...]]:
    """The masks of the only row by their keys."""

    def find_key(path: str) -> str:
        return keys[_find_raw(path)] if path else ""

    files = (replace(one, path=find_key(one.path), classes=find_key(one.classes)) for one in stated.labels)
    return {"*": tuple(files)} if stated.labels else {}


def check_outside(raw: ResultPath, to: ResultPath) -> None:
    """Refuse to write over a raw file, or among the files of a raw folder. Raises `Problem` (``single.occupied``)."""
    if not isinstance(raw, Path) or not isinstance(to, Path):
        if f"{to}/".startswith(f"{raw}/"):
            raise problem("single.occupied", f"{to} lies in {raw}; raw files are never written to", file=str(to))
        return
    if raw.resolve() in (to.resolve(), *to.resolve().parents):
        what = "lies in the raw folder" if raw.is_dir() else "is the raw file"
        raise problem("single.occupied", f"{to} {what}; raw files are never written to", file=str(to))


def _check_standing(to: ResultPath, kind: str, key: str) -> None:
    """Refuse what is no result of this very raw object: a dataset's folder is ours, any other place is a person's."""
    if isinstance(to, Path):
        check_place(to.parent, to.name, kind)
    if not to.exists():
        return
    try:
        sources = set(load_kind(kind).read_provenance(to).receipt.sources)
    except Problem as bad:
        raise problem("single.occupied", f"{to} is there, and no result of ours", file=str(to)) from bad
    if key not in sources:
        made_of = " and ".join(sorted(sources)) or "no raw file"
        raise problem("single.occupied", f"{to} is there, made of {made_of}, not of {key}", file=str(to))


def _read_contents(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """What the file holds. Raises `Problem` (``arrays.undeclared`` where nobody says what that is)."""
    contents = raw_objects.read(source, options)
    for content in contents:
        content.close()
    # In a dataset such a file may be kept as it is; here somebody wants what it holds.
    if unsaid := next((one.header["undeclared"] for one in contents if "undeclared" in one.header), None):
        raise problem("arrays.undeclared", f"{source.key}: {unsaid}", file=source.key)
    return contents


def _list_own(findings: Sequence[Finding]) -> Iterator[Finding]:
    """What was found, without that the only row is withheld, where something says why."""
    others = [found for found in findings if found.id != "convert.withheld"]
    yield from map(_tell_option, others if has_errors(others) else findings)


def _tell_option(found: Finding) -> Finding:
    """A finding that asks for a setting of a dataset, with how a file without one has it; masks have none."""
    is_asked = "[options" in f"{found.message} {found.hint}" and not found.id.startswith("labels.")
    is_told = "of one file" in found.hint.lower()
    return replace(found, hint=f"{found.hint} {OPTION}") if is_asked and not is_told else found


def _make_profile(stated: Stated, path: ResultPath, to: ResultPath, target: str) -> Profile:
    """The generic profile with one lab, which says nothing but what was stated, and the result's own path."""
    generic = load_profile(GENERIC)
    initials = _name_session(stated, path).split("_", 1)[0]
    lab = Lab(initials, stated.lab, initials, stated.institution, stated.timezone, stated.defaults)
    paths = {**generic.paths, target: to.name.replace("{", "{{").replace("}", "}}")}
    # Identifiers begin with it: two files of one session have one each, as NWB and dandi demand.
    defaults = {**generic.defaults, "dataset_name": f"{NAME}/{path.name}"}
    own = replace(generic, name=NAME, version=__version__, labs={initials: lab}, packing=stated.packing)
    return replace(own, paths=paths, defaults=defaults)


def _name_session(stated: Stated, path: ResultPath) -> str:
    return stated.session or path.name.split(".")[0]


def _run_steps(wanted: Wanted, config: Config, named: str, options: Options, progress: Progress) -> Iterator[Report]:
    """Convert, verify and validate; the result is called as the person `named` it."""
    now = find_standing(wanted, config, DigestCache(config.state), ReceiptCache(config.state))
    outcome = Outcome(wanted.target.path, str(now.state), now.reason)
    for one in track(progress, "convert", [wanted] if now.needs_work else [], lambda one: one.target.path):
        outcome = convert_one(config, one, now, options, progress)
        outcome = replace(outcome, findings=tuple(_list_own(outcome.findings)))
    yield Report.of("convert", [replace(outcome, target=named)], [])
    result = config.locate_result(wanted.target.kind, wanted.target.path)
    if not has_errors(outcome.findings) and result.exists():
        yield verify_files([named], config.roots, progress)
        yield validate_files([named], progress)


def _find_wanted(tables: Tables, to: ResultPath, kind: str, profile: Profile) -> Wanted:
    targets = wanted_targets(tables, profile)
    found = next((one for one in targets if one.target.kind == kind and one.jobs), None)
    if found is None:
        (table,) = (name for name in tables.rows if name not in (SESSION, "subject"))
        others = ", ".join(sorted({KINDS[one.target.kind].suffix for one in targets if one.jobs}))
        message = f"a file of table {table} does not become a {KINDS[kind].suffix}; it may become: {others or 'none'}"
        raise problem("single.target", message, hint=_find_way_out(table, others))
    if profile.labels and not list_label_keys(found, profile):
        message = f"labels and points go into a volume (.ome.zarr), not into {to.name}"
        raise problem(
            "single.target", message, hint="Convert the image to .ome.zarr, or leave out --labels and --points."
        )
    return found


def _find_way_out(table: str, others: str) -> str:
    """What a person does whose file does not become what was asked for."""
    if table == "image":
        return "A movie needs --frame-rate, where its header tells none."
    return f"End the name of the result in {others}." if others else BESIDE


def _make_tables(
    contents: tuple[Content, ...], key: str, stated: Stated, table: str, target: str, profile: Profile
) -> Tables:
    """The rows that a dataset would have for this file: of the data, its session and its subject."""
    session_id = _name_session(stated, Path(key))
    data = profile.tables[table]
    own = {name: text for name, text in stated.cells.items() if not name.startswith(("session.", "subject."))}
    wrong = [name for name in own if name.partition(".")[0] != data.name]
    if wrong:
        raise problem("dataset.config", f"{wrong[0]} is no column of session, subject or {data.name}", value=wrong[0])
    stem = key.rstrip("/").split(".")[0] if "session_id" in data.columns else session_id
    known = {name: Cell(text, "header") for name, text in read_header_cells(data.name, contents, profile).items()}
    cells = {data.key: Cell(stem), "session_id": Cell(session_id), **known}
    if target != SESSION:  # a row with a frame rate is a movie; here a person says that it is a volume
        cells.pop("frame_rate", None)
    record = _make_record(data, stem, stated, profile, cells, key)
    session = _make_session(contents, session_id, stated, target, profile)
    record = replace(record, parents={SESSION: session} if "session_id" in data.columns else {})
    rows = {record.table: {record.key: record}, SESSION: {session.key: session}}
    rows["subject"] = {row.key: row for row in session.parents.values()}
    return Tables.of_sound_rows(rows, {(SESSION, session.key): [record]})


def _state_moment(stated: Stated, contents: tuple[Content, ...]) -> Mapping[str, Any]:
    """Options of the reader, with the start that a person states of a file that belongs to no session.

    Raises
    ------
    Problem
        ``single.unstated``: there is none; ``dataset.config``: something is stated of a session or its subject.
    """
    beyond = [name for name in stated.cells if name.startswith(("session.", "subject."))]
    if beyond:
        message = f"{beyond[0]} is stated, but the file belongs to no session and no subject"
        raise problem("dataset.config", message, value=beyond[0])
    known = [option.name for option in raw_objects.find_format(contents[0].format).options]
    if MOMENT in stated.options or MOMENT not in known:
        return stated.options
    moment = _parse_start(stated)
    if moment is None or moment.tzinfo is None:
        needed = "--session-start, as 2025-06-20T09:30: when the simulation was run, and --timezone, as Europe/Berlin"
        raise problem("single.unstated", f"the file needs {needed}")
    return {**stated.options, MOMENT: moment.isoformat()}


def _parse_start(stated: Stated) -> datetime | None:
    """The stated start, in the stated zone where there is one. Raises `Problem` (``dataset.config``)."""
    if stated.timezone and not is_zone(stated.timezone):
        message = f"{stated.timezone!r} is no time zone"
        raise problem("dataset.config", message, hint="As Europe/Berlin, America/New_York or UTC.")
    if not stated.start:
        return None
    try:
        moment = datetime.fromisoformat(stated.start)
    except ValueError as error:
        message = f"--session-start {stated.start!r} is no ISO 8601 date and time ({error})"
        raise problem("dataset.config", message, hint="As 2025-06-20T09:30.") from error
    if not stated.timezone:
        return moment
    zone = ZoneInfo(stated.timezone)
    return moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)


def _choose_table(contents: tuple[Content, ...], target: str) -> str:
    """The table whose converter makes such results of what the file holds."""
    if target == SESSION and isinstance(contents[0], Recording):
        return "ephys"
    if isinstance(contents[0], Image):
        return "image"
    return "model" if target == "asset" else "behavior"


def _make_session(
    contents: tuple[Content, ...], session_id: str, stated: Stated, target: str, profile: Profile
) -> Record:
    start, missing = _find_start(contents, stated, profile)
    subject = stated.cells.get("subject.subject_id", "")
    if not subject:
        missing.append("--subject ID, of the animal")
    if "subject.species" not in stated.cells:
        missing.append('--species, as "Mus musculus"')
    if missing and target == SESSION:
        raise problem("single.unstated", f"a session's file needs {'; '.join(missing)}")
    spec = profile.tables[SESSION]
    cells = {"session_id": Cell(session_id), "subject_id": Cell(subject), **start}
    session = _make_record(spec, session_id, stated, profile, cells)
    if not subject:
        return session
    animal = _make_record(profile.tables["subject"], subject, stated, profile, {"subject_id": Cell(subject)})
    return replace(session, parents={"subject": animal})


def _find_start(contents: tuple[Content, ...], stated: Stated, profile: Profile) -> tuple[dict[str, Cell], list[str]]:
    """Cells of the session's start, and what a person must say for that."""
    missing = []
    moment = _parse_start(stated)
    clocks = [one.acquired if isinstance(one, Image) else one.started for one in contents]
    known = [clock for clock in clocks if clock]
    if not stated.timezone:
        missing.append("--timezone, as Europe/Berlin")
    if moment:
        day, time = moment.strftime("%Y%m%d"), moment.time().isoformat()
        return {"session_date": Cell(day), "start_time": Cell(time)}, missing
    if not known:
        missing.append("--session-start, as 2025-06-20T09:30 (the file does not tell it)")
        return {}, missing
    zone = ZoneInfo(stated.timezone) if stated.timezone else UTC
    day = min((clock.astimezone(zone) if clock.tzinfo else clock).strftime("%Y%m%d") for clock in known)
    return {"session_date": Cell(day, "header")}, missing


def _make_record(
    spec: TableSpec, key: str, stated: Stated, profile: Profile, known: Mapping[str, Cell], path: str = ""
) -> Record:
    """A row with the known and the stated cells, each understood as its column's; all others are blank."""
    cells = dict.fromkeys(spec.columns, Cell("")) | {name: cell for name, cell in known.items() if name in spec.columns}
    for name, text in stated.cells.items():
        table, _, column = name.partition(".")
        if table == spec.name:
            if column not in (*spec.columns, *spec.optional):
                columns = ", ".join((*spec.columns, *spec.optional))
                raise problem("dataset.config", f"table {table} has no column {column!r}; it has {columns}", value=name)
            cells[column] = Cell(text)
    values: dict[str, Value] = {}
    for column, cell in cells.items():
        try:
            values[column] = _parse_cell(column, cell.text, spec, profile)
        except Problem:
            if cell.origin != "header":
                raise
            # Nobody typed it: what the header has stays in the result, where it does not fit the column.
            cells[column], values[column] = Cell(""), None
    if path:
        column = next(name for name in ("file_path_raw", "file_path_model", "file_path") if name in spec.columns)
        cells[column], values[column] = Cell(path), path
    return Record(spec.name, key, 0, cells, values)


def _parse_cell(column: str, text: str, spec: TableSpec, profile: Profile) -> Value:
    if column == spec.key or column in spec.foreign or column in spec.paths or not text or column == "start_time":
        return text or None
    value = build_cell_parser(column, spec, profile)(text)
    if not isinstance(value, FlaggedCell):
        return value
    if value.has_error:
        fault = value.faults[0]
        raise problem("dataset.config", f"{spec.name}.{column}: {fault.message}", hint=fault.hint, value=text)
    return value.value
