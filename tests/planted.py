"""Defects that are planted into a clean dataset, each with the cells that it changes and those that it is told by."""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import DATE, Builder, abf, movie

type Place = tuple[str, int, str]
"""Table, row (-1 for the header), column; "*" stands for all columns."""

MICE, SESSIONS = 5, 6
ANY = -2
"""All rows of a table."""


@dataclass(frozen=True)
class Defect:
    """One defect: `texts` replace cells; `needs` are further cells without which nobody can find it.

    `at` is where a finding must be, `also` where more may be. `how` says what is damaged in place of cells.
    """

    name: str
    at: Place
    texts: tuple[tuple[Place, str], ...] = ()
    needs: tuple[Place, ...] = ()
    how: str = ""
    also: tuple[Place, ...] = ()

    @property
    def changes(self) -> tuple[Place, ...]:
        if self.how in ("drop", "twice"):
            return tuple((table, ANY, column) for table, _, column in (self.at, *self.also))
        return tuple(place for place, _ in self.texts) or (self.at,)

    def excludes(self, other: Defect) -> bool:
        """Whether one of the two changes what the other needs."""
        return _meet(self.changes, (*other.changes, *other.needs)) or _meet(other.changes, self.needs)


def _meet(first: Sequence[Place], second: Sequence[Place]) -> bool:
    return any(
        a[0] == b[0] and (a[1] == b[1] or ANY in (a[1], b[1])) and (a[2] == b[2] or "*" in (a[2], b[2]))
        for a in first
        for b in second
    )


def make_clean(root: Path, scratch: Path) -> Builder:
    """Sessions of several mice, each with a recording and a movie, and an analysis of each movie."""
    build = Builder(root)
    recording, film = abf(scratch / "e.abf"), movie(scratch / "m.tif")
    build.rows["mouse"][0]["mouse_id"] = "RY_M_0001"
    for number in range(2, MICE + 1):
        build.rows["mouse"].append({**build.rows["mouse"][0], "mouse_id": f"RY_M_{number:04d}"})
    build.write("mouse")
    for number in range(1, SESSIONS + 1):
        build.session(number, mouse_id=f"RY_M_{min(number, MICE):04d}")
        build.ephys(recording, "20000", number, number)
        build.movie(film, (12, 20, 16), number, number, exposure_time="5")
        source = {"source_type": "image", "source_id": f"RY_IMG_{number:04d}"}
        key = f"yuste/{DATE}/analysis/processed/rates{number}.pdf"
        build.put(key, b"rates")
        build.row("analysis", analysis_id=f"RY_A_{number:04d}", description="Rates", file_path=key, **source)
    return build


def list_defects(random_: random.Random) -> list[Defect]:
    """All defects that may be planted, in the order of chance."""
    defects = [*_of_mice(), *_of_sessions(), *_of_recordings(), *_of_movies(), *_of_analyses(), *_of_tables()]
    random_.shuffle(defects)
    return defects


def choose_defects(random_: random.Random, count: int) -> list[Defect]:
    """Defects of which none hides another by what it is."""
    chosen: list[Defect] = []
    for defect in list_defects(random_):
        if len(chosen) < count and not any(defect.excludes(other) for other in chosen):
            chosen.append(defect)
    return chosen


def _cell(name: str, table: str, row: int, column: str, text: str, *needs: Place) -> Defect:
    place = (table, row, column)
    return Defect(name, place, ((place, text),), needs)


def _of_mice() -> Iterator[Defect]:
    for row in range(MICE):
        key = ("mouse", row, "mouse_id")
        yield _cell("number", "mouse", row, "weight", "heavy")
        yield _cell("choice", "mouse", row, "sex", "X")
        yield _cell("blank", "mouse", row, "strain", "")
        yield _cell("no day", "mouse", row, "birth_date", "20250231")
        yield _cell("dangling", "mouse", row, "virus_id", "RY_V_0700")
        yield _cell("no key", "mouse", row, "virus_id", "a virus")
        yield _cell("alleles", "mouse", row, "genotype", "+/-;+/-", ("mouse", row, "strain"))
        yield _cell("another lab's litter", "mouse", row, "litter_id", "JB_L_0001", key)
        yield _cell("damaged key", "mouse", row, "mouse_id", f"ry_m_{row + 1}")
        if row:
            text = f"RY_M_{row:04d}"
            yield _cell("key twice", "mouse", row, "mouse_id", text, ("mouse", row - 1, "mouse_id"))


def _of_sessions() -> Iterator[Defect]:
    for row in range(SESSIONS):
        times = (("session", row, "session_date"), ("session", row, "start_time"), ("session", row, "end_time"))
        yield _cell("blank", "session", row, "experimenter", "")
        yield _cell("no time", "session", row, "start_time", "9 o'clock")
        yield _cell("no day", "session", row, "session_date", "20250631")
        yield _cell("dangling", "session", row, "mouse_id", "RY_M_0800")
        yield _cell("no length", "session", row, "end_time", f"{9 + row:02d}:00", *times[:2])
        yield _cell("damaged key", "session", row, "session_id", f"RY-S-{row + 1:04d}")
        if row:
            text = f"RY_S_{row:04d}"
            yield _cell("key twice", "session", row, "session_id", text, ("session", row - 1, "session_id"))


def _of_recordings() -> Iterator[Defect]:
    for row in range(SESSIONS):
        path, key = ("ephys", row, "file_path_raw"), ("ephys", row, "ephys_id")
        session = (("ephys", row, "session_id"), ("session", row, "session_id"), ("session", row, "session_date"))
        yield _cell("dangling", "ephys", row, "session_id", "RY_S_0900")
        yield _cell("unit", "ephys", row, "sampling_rate", "20 kHz")
        yield _cell("header", "ephys", row, "sampling_rate", "10000", path)
        yield _cell("version", "ephys", row, "file_path_raw", f"yuste/{DATE}/ephys/row/e{row + 1}.abf")
        yield _cell("another day", "ephys", row, "file_path_raw", f"yuste/2025062{row + 1}/ephys/raw/e{row + 1}.abf",
                    *session)  # fmt: skip
        yield _cell("another lab", "ephys", row, "file_path_raw", f"basu/{DATE}/ephys/raw/e{row + 1}.abf", key)
        yield _cell("damaged key", "ephys", row, "ephys_id", f"RY_E_{row + 1}")
        yield Defect("file is missing", path, needs=(path,), how="unlink")
        yield Defect("file is cut", path, needs=(path,), how="cut")
        if row:
            text = f"RY_E_{row:04d}"
            yield _cell("key twice", "ephys", row, "ephys_id", text, ("ephys", row - 1, "ephys_id"))


def _of_movies() -> Iterator[Defect]:
    for row in range(SESSIONS):
        path, rate = ("image", row, "file_path_raw"), ("image", row, "frame_rate")
        yield _cell("dangling", "image", row, "session_id", "RY_S_0950")
        yield _cell("no number", "image", row, "numerical_aperture", "one")
        yield _cell("header", "image", row, "x", "17", path)
        yield _cell("header", "image", row, "y", "21", path)
        yield _cell("exposure", "image", row, "exposure_time", "5000", rate)
        yield _cell("no number", "image", row, "frame_rate", "100 Hz")
        yield Defect("file is missing", path, needs=(path,), how="unlink")
        yield Defect("row is cut", ("image", row, ""), ((("image", row, "*"), ""),), how="cut row")


def _of_analyses() -> Iterator[Defect]:
    for row in range(SESSIONS):
        kind = ("analysis", row, "source_type")
        yield _cell("dangling", "analysis", row, "source_id", "RY_IMG_0700", kind)
        yield _cell("conflict", "analysis", row, "source_id", "RY_E_0001", kind)
        yield _cell("blank", "analysis", row, "description", "")


def _of_tables() -> Iterator[Defect]:
    for table, column in (
        ("mouse", "weight"),
        ("session", "experimenter"),
        ("ephys", "recording_type"),
        ("image", "x"),
    ):
        header = (table, -1, column)
        yield Defect("misspelt", header, ((header, f"{column}s"),))
        yield Defect("no such column", header, ((header, "lot"),), how="drop")
    for table, column in (("session", "anesthesia"), ("image", "objective_magn")):
        missing = (table, -1, "notes")
        yield Defect("column twice", (table, -1, column), ((missing, column),), how="twice", also=(missing,))


def plant(build: Builder, defects: Sequence[Defect]) -> None:
    """Write all tables with the defects in them, and damage the raw files."""
    for table, rows in build.rows.items():
        columns = list(build.dataset.config.profile.tables[table].columns)
        lines = [[row.get(column, "") for column in columns] for row in rows]
        cut: set[int] = set()
        gone: list[int] = []
        header = list(columns)
        for defect in (one for one in defects if one.at[0] == table):
            if defect.how in ("unlink", "cut"):
                _damage_file(build, rows[defect.at[1]]["file_path_raw"], defect.how)
                continue
            for (_, row, column), text in defect.texts:
                if defect.how == "cut row":
                    cut.add(row)
                elif defect.how == "drop":
                    gone.append(columns.index(column))
                elif row < 0:
                    header[columns.index(column)] = text
                else:
                    lines[row][columns.index(column)] = text
        written = [header, *(line[:-2] if row in cut else line for row, line in enumerate(lines))]
        for place in sorted(gone, reverse=True):
            written = [[text for i, text in enumerate(line) if i != place] for line in written]
        with (build.root / f"tables/{table}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(written)


def _damage_file(build: Builder, key: str, how: str) -> None:
    path = build.raw(key)
    kept = path.with_suffix(".kept")
    shutil.copyfile(path, kept)
    path.unlink()
    if how == "cut":
        path.write_bytes(kept.read_bytes()[:3000])


def repair_files(build: Builder) -> None:
    """Put all damaged files back."""
    for kept in sorted((build.root / "source").rglob("*.kept")):
        suffix = ".abf" if "/ephys/" in kept.as_posix() else ".tif"
        kept.replace(kept.with_suffix(suffix))
