"""Which results a dataset should have, from its tables alone."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import lru_cache

from neuropress.converters import (
    SESSION_CONVERTER,
    Selective,
    Typed,
    is_fallback,
    list_converter_names,
    load_converter,
    load_profile_mapping,
    takes_alone,
)

from ..mapping.rules import Scope, apply_mapping
from ..model.content import Content
from ..model.dandi_names import find_modalities, find_session_in_name, make_dandi_path, replace_characters
from ..model.finding import Finding, Severity, finding
from ..model.images import find_images
from ..model.labels import find_label_files
from ..model.people import find_person
from ..model.plan import SourceRow, Target, digest
from ..model.profile import BY_DANDI, EACH_ROW, EVERY_CONVERTER, Profile
from ..model.record import Cell, Record
from ..model.serial import to_json
from ..model.waiver import Waiver
from ..results import KINDS, TARGETS, Kind, find_kind_by_suffix, is_staging_folder
from ..storage.remote import BucketPath, ResultPath
from ..tables import RowId, Tables, is_private_cell, normalise_key
from .label_files import RowsByFile

SESSION = "session"
"""The table, and the target, that gathers rows of other tables; all other results are of one row each."""

_IDS = ("subject.subject_id", "file.session_id")
"""Fields of a session's file that its name is made of, where ``dandi organize`` names it."""

MAIN = "main"
"""What ``{part}`` of a path is for the file of a session that has no part of its own."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One result that should exist, and the rows behind it.

    Attributes
    ----------
    target
        Kind, id and path below ``output/``.
    record
        The session's or the volume's row.
    jobs
        (converter, row) for each row whose raw data the result holds.
    others
        Rows that travel in the result without data (no converter takes them yet).
    named
        Rows of other tables that name the files of its masks and points: they travel in it.
    blocked
        Row -> the finding that withholds it, a warning where that is waived. The record itself may be among them.
    waivers
        Those that hold, also for what is found in raw files.
    part
        Which of several files of a session, or of several volumes of a row, it is; empty for the main or only one.
    clocks
        Jobs of the session's other files that are opened for it: those whose headers tell when it started, where its
        row does not; those of all results of its rows, where it is bare; and those of its own rows' other columns.
    is_bare
        Whether it is a session whose data rows all have results of their own: its file says who and when, and no more.
    places
        Part -> path of each file of the session.
    image
        Which image of the row's file it is made of, by number or name; empty where nobody says.
    """

    target: Target
    record: Record
    jobs: tuple[tuple[str, Record], ...]
    others: tuple[Record, ...]
    blocked: Mapping[tuple[str, str], Finding]
    waivers: tuple[Waiver, ...] = ()
    part: str = ""
    clocks: tuple[tuple[str, Record], ...] = ()
    is_bare: bool = False
    places: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    named: tuple[Record, ...] = ()

    @property
    def cause(self) -> tuple[tuple[str, str], Finding]:
        """The row and finding that withhold the result: an error, where not all of them are waived."""
        return min(self.blocked.items(), key=lambda item: (item[1].severity is not Severity.ERROR, item[0]))

    @property
    def empty(self) -> bool:
        """Whether nothing is to be converted and nothing stands in the way: a session without data."""
        return not self.jobs and not self.blocked and not self.is_bare

    def usable(self, keep_going: bool) -> Wanted | None:
        """What can be written: None when an error withholds it.

        With `keep_going`, a session goes on without its blocked rows.
        """
        if (self.record.table, self.record.key) in self.blocked or not (self.jobs or self.is_bare):
            return None
        if not self.blocked:
            return self
        jobs = tuple(job for job in self.jobs if (job[1].table, job[1].key) not in self.blocked)
        clocks = tuple(job for job in self.clocks if (job[1].table, job[1].key) not in self.blocked)
        others = tuple(row for row in self.others if (row.table, row.key) not in self.blocked)
        named = tuple(row for row in self.named if (row.table, row.key) not in self.blocked)
        rest = replace(self, jobs=jobs, clocks=clocks, others=others, named=named)
        return rest if keep_going and (jobs or self.is_bare) else None

    def records(self) -> Iterator[Record]:
        """Every row that the result depends on, each once, in a fixed order."""
        seen: dict[tuple[str, str], Record] = {}
        for start in (self.record, *(row for _, row in self.jobs), *self.others, *self.named):
            for record in start.lineage():
                seen.setdefault((record.table, record.key), record)
        for _, record in sorted(seen.items()):
            yield record


def wanted_targets(tables: Tables, profile: Profile) -> list[Wanted]:
    """All results that the rows ask for: one per session with data rows, one per volume row."""
    found, files = [], RowsByFile(tables, profile)
    for record in tables.records.get("session", {}).values():
        found += _session_targets(record, tables, profile)
    for name in list_converter_names():
        module = load_converter(name)
        if module.TARGET != SESSION:
            rows = (r for table in module.TABLES for r in tables.records.get(table, {}).values())
            mine = (row for row in rows if module.takes(row) and list_rivals(name, row)[:1] == [name])
            found += [result for row in mine for result in _list_row_targets(name, row, tables, profile, files)]
    return sorted(_withhold_equal_paths(found), key=lambda wanted: wanted.target.path)


def _withhold_equal_paths(targets: Sequence[Wanted]) -> Iterator[Wanted]:
    """The targets; those that would lie at one place are withheld, for one would be written over the other."""
    by_path: dict[str, list[Wanted]] = {}
    for wanted in targets:
        by_path.setdefault(wanted.target.path, []).append(wanted)
    for path, rivals in by_path.items():
        if len(rivals) == 1:
            yield rivals[0]
            continue
        names = [f"{one.record.key} (part {one.part})" if one.part else one.record.key for one in rivals]
        message = f"{' and '.join(names)} would be one file, {path}"
        for one in rivals:
            clash = finding("result.same_path", message, file=path, **one.record.place())
            yield replace(one, blocked={**one.blocked, (one.record.table, one.record.key): clash})


def list_name_findings(targets: Iterable[Wanted], profile: Profile) -> list[Finding]:
    """What is wrong with the paths of results: two at one place, and sessions that cannot be named as was asked for."""
    found: list[Finding] = []
    for wanted in targets:
        found += [one for one in wanted.blocked.values() if one.id == "result.same_path"]
        is_asked = profile.names == BY_DANDI and wanted.record.table == SESSION
        if is_asked and not find_session_in_name(wanted.target.path):
            message = f"{wanted.record.key} lies at {wanted.target.path}: its ids make no name of dandi organize"
            found.append(finding("result.no_dandi_name", message, file=wanted.target.path, **wanted.record.place()))
    return list(dict.fromkeys(found))


def find_row_table(kind: Kind, contents: Sequence[Content], profile: Profile) -> str:
    """The table whose rows become such a result by themselves, of a file that holds this; empty where there is none."""
    for name in list_converter_names():
        module = load_converter(name)
        if kind.row_target == module.TARGET and isinstance(module, Selective):
            spec = profile.tables[module.TABLES[0]]
            blank = Record(spec.name, "", 0, dict.fromkeys(spec.columns, Cell("")), dict.fromkeys(spec.columns))
            if module.select(blank, contents):
                return spec.name
    return ""


def list_takers(record: Record) -> list[str]:
    """Converters that may take a row, all of one target: that of the first."""
    names = _list_taking(record)
    return [n for n in names if load_converter(n).TARGET == load_converter(names[0]).TARGET]


def find_kept_title(record: Record) -> str:
    """What a session's file calls the row's file, which has a record of its own (``KEPT_AS``); else empty."""
    titles = (str(getattr(load_converter(name), "KEPT_AS", "")) for name in list_takers(record))
    return next(filter(None, titles), "")


def list_rivals(name: str, record: Record) -> list[str]:
    """Converters of one target that may take a row and read the same column: what the file holds decides."""
    known, table = load_converter(name), record.table
    same = [n for n in _list_taking(record) if load_converter(n).TARGET == known.TARGET]
    return [n for n in same if load_converter(n).COLUMN[table] == known.COLUMN[table]]


def _list_taking(record: Record) -> list[str]:
    known = _group_by_table(list_converter_names()).get(record.table, ())
    names = [name for name in known if load_converter(name).takes(record)]
    alone = [n for n in names if takes_alone(n)]
    return alone or [n for n in names if not is_fallback(n)] or names


@lru_cache(maxsize=1)
def _group_by_table(names: tuple[str, ...]) -> Mapping[str, list[str]]:
    """Table -> converters of its rows; asked many times a row, and most tables have one or two of dozens."""
    found: dict[str, list[str]] = {}
    for name in names:
        for table in load_converter(name).TABLES:
            found.setdefault(table, []).append(name)
    return found


def list_unplaced_rows(tables: Tables, profile: Profile) -> Iterator[tuple[str, str, Finding]]:
    """Table, key (or line) and cause of rows that ask for a result of their own, but are not understood.

    Where their result would lie is not known, so they have no target.
    """
    own = {SESSION}
    for name in list_converter_names():
        if load_converter(name).TARGET != SESSION:
            own.update(load_converter(name).TABLES)
    for table, spec in profile.tables.items():
        if table in own and "session_id" not in spec.foreign:
            understood = tables.records.get(table, {})
            for key in tables.get_rows(table):
                if key not in understood:
                    yield table, key, tables.blocked[table, key]
            for keyless in tables.unkeyed.get(table, ()):
                yield table, f"line {keyless.location.line}", keyless


def list_stray_results(
    outputs: Mapping[ResultPath, Container[str]], targets: Iterable[Wanted], excused: Iterable[str]
) -> Iterator[Finding]:
    """Results that no row asks for any more: their row was deleted, or its date, lab or key changed.

    Parameters
    ----------
    outputs
        Places of results with the targets whose results lie there; those of other targets are strays.
    excused
        Keys of rows that may ask for theirs once they are understood.
    """
    targets = list(targets)
    stems = {stem for key in excused for stem in _list_stems(key)}
    for output, homes in outputs.items():
        here = [one for one in targets if KINDS[one.target.kind].target in homes]
        places = {stem: one.target.path for one in here if one.jobs for stem in _list_stems(one.target.id)}
        yield from _list_strays(output, {one.target.path for one in here}, places, stems)


def _list_stems(key: str) -> tuple[str, str]:
    """What of a result's file name tells whose it is, by either way of naming."""
    return key, replace_characters(key)


def _list_strays(
    output: ResultPath, wanted: Container[str], places: Mapping[str, str], excused: Set[str]
) -> Iterator[Finding]:
    for folder, folders, files in output.walk():
        results = [name for name in sorted(folders) if find_kind_by_suffix(name, is_folder=True)]
        folders[:] = sorted(name for name in set(folders) - set(results) if not is_staging_folder(name))
        results += [name for name in sorted(files) if find_kind_by_suffix(name, is_folder=False)]
        for name in results:
            place = folder / name
            path = place.key if isinstance(place, BucketPath) else place.relative_to(str(output)).as_posix()
            stem = name.split(".")[0]
            words = stem.split("_")
            stems = (find_session_in_name(name), *("_".join(words[:count]) for count in range(len(words), 0, -1)))
            if path not in wanted and excused.isdisjoint(stems):
                where = f" at {output}" if isinstance(output, BucketPath) else ""
                now = next((f"; the result of {stem} is {places[stem]}" for stem in stems if stem in places), "")
                yield finding("result.stray", f"{path}{where} is asked for by no row of the tables{now}", file=path)


def _session_targets(record: Record, tables: Tables, profile: Profile) -> list[Wanted]:
    """The session's file, or its files where the profile splits it; rows without data travel in the first."""
    jobs: list[tuple[str, Record]] = []
    others: list[Record] = []
    own: list[tuple[str, Record]] = []
    for table, spec in profile.tables.items():
        if "session" not in spec.foreign.get("session_id", ()):
            continue
        for row in tables.get_children(record, table):
            names = list_takers(row)
            if not names:
                others.append(row)
            elif load_converter(names[0]).TARGET == SESSION:
                jobs += [(name, row) for name in names if list_rivals(name, row)[0] == name]
            elif find_kept_title(row):
                others.append(row)
            else:
                own.append((names[0], row))
    also, withheld = _list_companions(record, tables, profile)
    others += also
    withheld |= tables.get_blocked_children(record)
    # Without a start no NWB file can be: volumes alone seldom tell it, and they need none.
    is_bare = bool(own) and not jobs and record.values.get("start_time") is not None
    others += [row for _, row in own if is_bare]
    parts = sorted({find_part(job, profile) for job in jobs}) or [""]
    found = []
    for part in parts:
        mine = tuple(job for job in jobs if find_part(job, profile) == part)
        elsewhere = tuple(job for job in jobs if job not in mine)
        own_rows = {(row.table, row.key) for _, row in mine}
        is_timed = record.values.get("start_time") is not None
        clocks = tuple(job for job in elsewhere if not is_timed or (job[1].table, job[1].key) in own_rows)
        clocks = tuple(own) if is_bare else clocks  # the file leads back to what was recorded
        without = tuple(others) if part == parts[0] else ()
        rows = [record, *(row for _, row in (*mine, *clocks)), *without]
        foreign = {(row.table, row.key) for _, row in elsewhere}
        blocked = {row: why for row, why in withheld.items() if row not in foreign} | _find_blocked(rows, tables)
        path = _find_dandi_path(record, mine, profile, part) if profile.names == BY_DANDI else None
        path = path or _result_path(SESSION, record, profile, part)
        target = Target(TARGETS[SESSION].name, record.key, path)
        found.append(Wanted(target, record, mine, without, blocked, tables.waivers, part, clocks, is_bare))
    places = {one.part: one.target.path for one in found}
    return [replace(one, places=places) for one in found]


def _find_dandi_path(record: Record, jobs: Iterable[tuple[str, Record]], profile: Profile, part: str) -> str | None:
    """The path that ``dandi organize`` would give a session's file, from its rows alone; None where it has none.

    Raw files are not opened for it: with one that is missing or damaged, a result would have another name.
    """
    rules = load_profile_mapping(SESSION_CONVERTER, profile)
    of_names = replace(rules, rules=tuple(rule for rule in rules.rules if rule.to in _IDS))
    fields = apply_mapping(of_names, Scope(record, profile))
    ids = [
        fields[slot][name].value if name in fields.get(slot, {}) else ""
        for slot, name in (to.split(".") for to in _IDS)
    ]
    types: set[str] = set()
    for name, row in jobs:
        modules = map(load_converter, list_rivals(name, row))
        typed = next((module for module in modules if isinstance(module, Typed)), None)
        types |= typed.list_types(row, profile) if typed else set()
    # Two rows of one modality would have one name; dandi's desc- tells them apart.
    is_row = any(row.key == part for _, row in jobs)
    return make_dandi_path(str(ids[0]), str(ids[1]), find_modalities(types), part if is_row else "")


def find_part(job: tuple[str, Record], profile: Profile) -> str:
    """The part of a session that a job goes into: no file is opened for that, so rivals share one.

    What converters make of other files of the row goes where its data file does, if nothing else is said.
    """
    if not profile.split:
        return ""
    takers = list_takers(job[1])
    column = next(iter(profile.tables[job[1].table].paths), "")
    of_data = (name for name in takers if load_converter(name).COLUMN[job[1].table] == column)
    names = (*list_rivals(*job), *of_data, EVERY_CONVERTER)
    part = next((profile.split[name] for name in names if name in profile.split), "")
    return job[1].key if part == EACH_ROW else part


def _list_companions(session: Record, tables: Tables, profile: Profile) -> tuple[list[Record], dict[RowId, Finding]]:
    """Rows of tables that accompany a row behind the session, and those of them that are blocked."""
    rows: list[Record] = []
    blocked: dict[RowId, Finding] = {}
    for table, spec in profile.tables.items():
        for behind in session.lineage() if spec.accompanies else ():
            if behind.table in spec.foreign[f"{spec.accompanies}_id"]:
                rows += [row for row in behind.companions if row.table == table]
                blocked |= {row: why for row, why in tables.get_blocked_children(behind).items() if row[0] == table}
    return rows, blocked


def _list_row_targets(
    name: str, record: Record, tables: Tables, profile: Profile, files: RowsByFile
) -> Iterator[Wanted]:
    """The results of a row by itself, one for each image that is meant; none where the day of its path is not known."""
    goal = load_converter(name).TARGET
    if "{date}" in _find_template(goal, profile) and not _find_day(record):
        return
    images = list_images(name, record, profile)
    # Of several images of a row nobody says which one its masks and points are of.
    named = files.list_rows(record, name) if len(images) < 2 else ()
    blocked = _find_blocked([record, *named], tables)
    for image in images or ("",):
        part = replace_characters(image) if len(images) > 1 else ""
        target = Target(TARGETS[goal].name, record.key, _result_path(goal, record, profile, part))
        yield Wanted(target, record, ((name, record),), (), blocked, tables.waivers, part, named=named, image=image)


def list_images(name: str, record: Record, profile: Profile) -> tuple[str, ...]:
    """Which images of its file a row is about; empty where nobody says, and for converters of one result."""
    return find_images(profile.images, record.key) if getattr(load_converter(name), "HAS_IMAGES", False) else ()


def _find_day(record: Record) -> str:
    """Day of a result's path; empty where its own or its session's cell is not understood."""
    session = record if record.table == SESSION else record.related("session")
    return str((session.values.get("session_date") if session else record.values.get("start_date")) or "")


def _find_blocked(rows: Iterable[Record], tables: Tables) -> dict[tuple[str, str], Finding]:
    keys = ((row.table, row.key) for row in rows)
    return {key: tables.blocked[key] for key in keys if key in tables.blocked}


def _find_template(target: str, profile: Profile) -> str:
    kind = TARGETS[target]
    return profile.paths.get(target) or (kind.template if target == kind.target else kind.row_template)


def _result_path(target: str, record: Record, profile: Profile, part: str = "") -> str:
    lab = profile.lab_of(record.key)
    folder = lab.folder if lab else record.lab
    template = _find_template(target, profile)
    id = f"{record.key}_{part}" if part and "{part}" not in template else record.key
    return template.format(lab=folder, date=_find_day(record), table=record.table, id=id, part=part or MAIN)


def raw_column(name: str, record: Record) -> str:
    """The column whose file the converter reads."""
    return load_converter(name).COLUMN[record.table]


def raw_key(name: str, record: Record, profile: Profile) -> str:
    """Key of the raw object of a data row, relative to the source roots."""
    return normalise_key(record.cells[raw_column(name, record)].text, profile)


def source_rows(wanted: Wanted, profile: Profile) -> tuple[SourceRow, ...]:
    """The contributing rows as they travel in the result: verbatim, private cells blank."""
    rows = []
    for record in wanted.records():
        spec = profile.tables[record.table]
        known = dict(record.cells)
        texts = {name: cell.original for name, cell in known.items()}
        cells = {name: "" if is_private_cell(spec, name, text) else text for name, text in texts.items()}
        fixes = {name: cell.fix for name, cell in known.items() if cell.fix}
        rows.append(SourceRow(record.table, record.key, cells, fixes))
    return tuple(rows)


def digest_rows(rows: Iterable[SourceRow], profile: Profile) -> str:
    """Digest of all that the metadata of a result is made from, raw files apart."""
    rows = list(rows)
    labs = sorted({row.key.split("_", 1)[0] for row in rows})
    names = {row.cells.get("experimenter", "") for row in rows}
    labels = {row.key: to_json(found) for row in rows if (found := find_label_files(profile.labels, row.key))}
    images = {row.key: list(chosen) for row in rows if (chosen := find_images(profile.images, row.key))}
    return digest({
        "rows": to_json(rows),
        "labs": {name: to_json(profile.labs[name]) for name in labs if name in profile.labs},
        "people": [to_json(person) for name in sorted(names) if (person := find_person(profile.people, name))],
        "defaults": to_json(profile.defaults),
        **({"labels": labels} if labels else {}),
        **({"images": images} if images else {}),
    })  # fmt: skip
