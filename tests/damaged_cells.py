"""Cells damaged as spreadsheets, editors and people damage them, each with the text that stood there.

Nothing of the package is used: what is right is known because the damage was done here.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from clean_tables import Rows

UNITS = {
    "mouse.weight": "g", "image.frame_rate": "Hz", "image.pixel_size": "um", "image.exposure_time": "ms",
    "image.laser_power": "mW", "image.laser_line": "nm", "ephys.sampling_rate": "Hz", "sem_dataset.resolution": "nm",
    "micro_ct_dataset.voxel_size": "um", "injection.volume": "nL", "plasmid.wavelength": "nm",
}  # fmt: skip
COUNTS = ("image.x", "image.y", "image.z")
NUMBERS = (*UNITS, *COUNTS, "image.numerical_aperture")
DATES = ("mouse.birth_date", "session.session_date", "sem_dataset.start_date", "injection.injection_date")
TIMES = ("session.start_time", "session.end_time")
KEYS = ("mouse.mouse_id", "session.session_id", "session.mouse_id", "image.session_id", "image.image_id",
        "ephys.session_id", "mouse.virus_id", "injection.mouse_id")  # fmt: skip
WORDS = ("image.image_type", "mouse.sex", "plasmid.indicator", "virus.floxed", "plasmid.tuning")
TEXTS = ("session.experimenter", "session.anesthesia", "session.notes", "mouse.strain", "plasmid.promoter",
         "image.objective_magn", "image.notes", "ephys.recording_type", "mouse.notes")  # fmt: skip
GENES = {
    "SEPT2": "2-Sep", "Sept2": "2-Sep", "MARCH1": "1-Mar", "Mar1": "Mar-01", "MARC1": "1-Mar", "Dec1": "1-Dec",
    "Oct4": "4-Oct", "Nov": "Nov-01",
}  # fmt: skip
"""Names, and the dates that spreadsheets make of them."""
ROWS = 12
_POWERS = {"": 0, "k": 3, "M": 6, "m": -3, "u": -6, "\u00b5": -6, "\u03bc": -6, "n": -9, "p": -12}


def build_rows(random_: random.Random) -> Rows:
    """A clean dataset of `ROWS` mice, each with a session, an image, a recording and more."""
    rows: Rows = {}
    for n in range(1, ROWS + 1):
        day = date(2014, 1, 1) + timedelta(days=random_.randrange(4400))
        for made in (_build_material(n, random_), _build_session(n, day, random_), _build_tissue(n, day, random_)):
            for table, cells in made.items():
                rows.setdefault(table, []).append(cells)
    return rows


def _build_material(n: int, random_: random.Random) -> dict[str, dict[str, str]]:
    return {
        "plasmid": {
            "plasmid_id": f"ML_P_{n:04d}", "plasmid_name": f"pAAV-{n}", "gene": random_.choice([*GENES]),
            "indicator": "voltage indicator", "wavelength": str(random_.randrange(480, 620)), "promoter": "syn",
            "tuning": "negative",
        },
        "virus": {
            "virus_id": f"RY_V_{n:04d}", "virus_name": f"AAV1-syn-{n}", "plasmid_id": f"ML_P_{n:04d}",
            "serotype": "AAV1", "floxed": "FALSE", "titer": "1.2e13",
        },
    }  # fmt: skip


def _build_session(n: int, day: date, random_: random.Random) -> dict[str, dict[str, str]]:
    born = day - timedelta(days=random_.randrange(50, 300))
    start = datetime(2020, 1, 1, random_.randrange(7, 18), random_.randrange(60), tzinfo=UTC)
    end = start + timedelta(minutes=random_.randrange(60, 200))
    return {
        "mouse": {
            "mouse_id": f"RY_M_{n:04d}", "strain": "Camk2a-Cre", "genotype": random_.choice(["+/-", "-/-", "+/+"]),
            "sex": random_.choice("MF"), "birth_date": f"{born:%Y%m%d}", "virus_id": f"RY_V_{n:04d}",
            "weight": random_.choice(["24.50", "19.7", "22.125", "31", "8.25"]), "notes": "from the old colony",
        },
        "session": {
            "session_id": f"RY_S_{n:04d}", "mouse_id": f"RY_M_{n:04d}", "session_date": f"{day:%Y%m%d}",
            "experimenter": random_.choice(["Ada Lovelace", "Jos\u00e9 M\u00fcller", "\u0141ucja \u010cern\u00e1"]),
            "start_time": f"{start:%H:%M}", "end_time": f"{end:%H:%M}", "anesthesia": "isoflurane",
            "notes": random_.choice(["first day", "7 \u00b5m deep", 'the "new" rig', "caf\u00e9 \u2013 quiet"]),
        },
        "image": {
            "image_id": f"RY_IMG_{n:04d}", "session_id": f"RY_S_{n:04d}", "image_type": "voltage",
            "frame_rate": random_.choice(["500", "1000", "250.5", "15.625", "1250"]),
            "x": random_.choice(["512", "1024"]), "y": random_.choice(["2048", "256"]),
            "z": random_.choice(["1000", "12000", "3500"]), "pixel_size": random_.choice(["0.5", "0.325", "1.625"]),
            "numerical_aperture": "0.8", "objective_magn": random_.choice(["20x", "40\u00d7", "16x"]),
            "exposure_time": "0.75", "laser_power": random_.choice(["35.5", "30", "12.125"]), "laser_line": "920",
            "notes": "second attempt", "file_path_raw": f"yuste/{day:%Y%m%d}/image/raw/m{n}.tif",
        },
        "ephys": {
            "ephys_id": f"RY_E_{n:04d}", "session_id": f"RY_S_{n:04d}", "recording_type": "ex vivo; dendritic patch",
            "sampling_rate": random_.choice(["20000", "50000", "12500.5", "100000"]),
            "file_path_raw": f"yuste/{day:%Y%m%d}/ephys/raw/e{n}.abf",
        },
    }  # fmt: skip


def _build_tissue(n: int, day: date, random_: random.Random) -> dict[str, dict[str, str]]:
    return {
        "injection": {
            "injection_id": f"RY_INJ_{n:04d}", "mouse_id": f"RY_M_{n:04d}", "virus_id": f"RY_V_{n:04d}",
            "region": "VISp", "volume": random_.choice(["300", "1250.5", "75"]),
            "injection_date": f"{day - timedelta(days=20):%Y%m%d}",
        },
        "sem_dataset": {
            "sem_dataset_id": f"JL_SD_{n:04d}", "mouse_id": f"RY_M_{n:04d}", "start_date": f"{day:%Y%m%d}",
            "resolution": random_.choice(["4", "8.5", "3.125"]),
            "file_path_raw": f"lichtman/{day:%Y%m%d}/sem_dataset/raw/v{n}/",
        },
        "micro_ct_dataset": {
            "micro_ct_id": f"JL_MD_{n:04d}", "mouse_id": f"RY_M_{n:04d}", "start_date": f"{day:%Y%m%d}",
            "voxel_size": random_.choice(["0.7", "1.625", "2"]),
            "file_path": f"lichtman/{day:%Y%m%d}/micro_ct_dataset/raw/b{n}.tif",
        },
    }  # fmt: skip


type Damage = Callable[[str, str, random.Random], str]
"""From column, text and chance to the damaged text; the text itself where this damage does not apply."""


def _as_date(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def swap_date(column: str, text: str, random_: random.Random) -> str:
    day = _as_date(text)
    d, m, y = (f"{day.day:02d}", f"{day.month:02d}", str(day.year))
    if random_.random() < 0.3:
        d, m = str(day.day), str(day.month)
    if random_.random() < 0.2:
        y = y[2:]
    if random_.random() < 0.1:
        return f"{day:%Y%d%m}"  # day and month exchanged in the right form
    parts = random_.choice([(d, m, y), (m, d, y), (y, m, d)])
    return random_.choice("/-.").join(parts)


def round_date(column: str, text: str, random_: random.Random) -> str:
    day = _as_date(text)
    forms = [f"{text}.0", f"{text}.00", f"{float(text):.3E}", f"{float(text):.5E}", f"{float(text):.6E}",
             f"{day:%Y-%m-%d}", f"{day:%Y-%m-%d} 00:00:00", f"{day:%Y-%m-%dT00:00:00}", f"{day:%Y/%m/%d}",
             f"{day:%d-%b-%y}", f"{day:%d %B %Y}"]  # fmt: skip
    return random_.choice(forms)


def count_days(column: str, text: str, random_: random.Random) -> str:
    """As spreadsheets do, from 1900 or 1904, or as statistics do, from 1970."""
    epoch = random_.choice([date(1899, 12, 30), date(1899, 12, 30), date(1904, 1, 1), date(1970, 1, 1)])
    return f"{(_as_date(text) - epoch).days}{random_.choice(['', '', '.0'])}"


def take_fraction(column: str, text: str, random_: random.Random) -> str:
    fraction = (int(text[:2]) * 60 + int(text[3:])) / 1440
    digits = random_.randrange(1, 12)
    return repr(fraction) if digits == 11 else f"{fraction:.{digits}f}"


def halve_clock(column: str, text: str, random_: random.Random) -> str:
    hour, minute = int(text[:2]), text[3:]
    half = "PM" if hour > 11 else "AM"
    short = (hour - 1) % 12 + 1
    forms = [f"{short}:{minute} {half}", f"{short}:{minute}{half.lower()}", f"{short:02d}:{minute}:00 {half}",
             f"{short}:{minute}\u202f{half}", f"{short}:{minute} {half[0].lower()}.m.", f"{hour}:{minute}:00",
             f"{hour}.{minute}", f"{hour}h{minute}", f"{hour}{minute}", f"{text}:00", f"{text}:00.000"]  # fmt: skip
    return random_.choice(forms)


def write_comma(column: str, text: str, random_: random.Random) -> str:
    return text.replace(".", ",")


def group_thousands(column: str, text: str, random_: random.Random) -> str:
    grouped = f"{Decimal(text):,}"
    separator = random_.choice([",", ".", "'", " ", "\u00a0", "\u202f", "\u2019"])
    whole, _, rest = grouped.partition(".")
    point = random_.choice(".,") if separator != "," else "."
    point = "," if separator == "." else point
    return whole.replace(",", separator) + (f"{point}{rest}" if rest else "")


def add_unit(column: str, text: str, random_: random.Random) -> str:
    """The value with a unit: the column's, or another with the number converted."""
    unit = UNITS.get(column)
    if unit is None:
        return text + random_.choice([" px", "px", " NA", " pixels"])
    base = unit[-2:] if unit.endswith("Hz") else unit[-1:]
    prefix, shown = unit.removesuffix(base), random_.choice(list(_POWERS))
    if random_.random() < 0.4:
        shown = prefix
    if shown == "M" and base != "Hz":
        shown = prefix
    number = format(Decimal(text).scaleb(_POWERS[prefix] - _POWERS[shown]), "f")
    symbol = f"{shown}{base}"
    if random_.random() < 0.15:
        symbol = symbol.swapcase() if random_.random() < 0.5 else symbol.lower()
        if symbol.lower() == "mhz":
            symbol = "mhz"
    if random_.random() < 0.15:
        number = f"{random_.choice(['~', 'ca. ', '> '])}{number}"
    return f"{number}{random_.choice(['', ' ', chr(0xA0)])}{symbol}"


def write_scientific(column: str, text: str, random_: random.Random) -> str:
    if column in KEYS:
        head, _, number = text.rpartition("_")
        return f"{head}_{float(number):.0E}"
    return f"{float(text):.{random_.randrange(3)}E}"


def lose_zeros(column: str, text: str, random_: random.Random) -> str:
    if column in TIMES:
        return text.removeprefix("0")
    head, _, number = text.rpartition("_")
    return f"{head}_{number.lstrip('0')}{random_.choice(['', '', '.0'])}"


def rename_gene(column: str, text: str, random_: random.Random) -> str:
    return GENES[text]


def lose_formula(column: str, text: str, random_: random.Random) -> str:
    return random_.choice(["#NAME?", "#NAME?", "#REF!", "#VALUE!", "########"])


def break_encoding(column: str, text: str, random_: random.Random) -> str:
    encoding = random_.choice(["cp1252", "latin-1", "mac_roman", "ascii"])
    return text.encode().decode(encoding, errors="replace")


def curl_quotes(column: str, text: str, random_: random.Random) -> str:
    if '"' in text:
        return text.replace('"', "\u201c", 1).replace('"', "\u201d", 1)
    return f"\u201c{text}\u201d"


def add_nbsp(column: str, text: str, random_: random.Random) -> str:
    space = random_.choice(["\u00a0", "\u202f", "\u200b", "\u3000"])
    if " " in text and random_.random() < 0.7:
        return text.replace(" ", space)
    return text + space if random_.random() < 0.7 else space + text


def add_blank(column: str, text: str, random_: random.Random) -> str:
    return random_.choice([f"{text} ", f" {text}", f"{text}\t", f"{text}\n", f"  {text} "])


def change_case(column: str, text: str, random_: random.Random) -> str:
    return random_.choice([text.lower(), text.upper(), text.capitalize(), text.title()])


def separate_key(column: str, text: str, random_: random.Random) -> str:
    return text.replace("_", random_.choice("- ")) if random_.random() < 0.8 else text.lower().replace("_", "-")


_ALL_CLOSED = (*NUMBERS, *DATES, *TIMES, *KEYS, *WORDS)
KINDS: Mapping[str, tuple[Sequence[str], Damage]] = {
    "date in another order": (DATES, swap_date),
    "date rounded or as a moment": (DATES, round_date),
    "date as a number of days": (DATES, count_days),
    "time as a fraction": (TIMES, take_fraction),
    "time of twelve hours": (TIMES, halve_clock),
    "decimal comma": (NUMBERS, write_comma),
    "thousands separator": (NUMBERS, group_thousands),
    "unit": (NUMBERS, add_unit),
    "scientific notation": ((*KEYS, *COUNTS, "image.laser_line"), write_scientific),
    "leading zeros": ((*KEYS, *TIMES), lose_zeros),
    "gene as date": (("plasmid.gene",), rename_gene),
    "error value": (("mouse.genotype", "mouse.genotype", *TEXTS, *NUMBERS), lose_formula),
    "wrong encoding": (TEXTS, break_encoding),
    "curly quotes": ((*TEXTS, *KEYS, *WORDS), curl_quotes),
    "no-break space": ((*TEXTS, *_ALL_CLOSED), add_nbsp),
    "blank": ((*TEXTS, *_ALL_CLOSED), add_blank),
    "case": ((*KEYS, *WORDS), change_case),
    "separators of a key": (KEYS, separate_key),
}
_SECOND: Mapping[str, Damage] = {
    "blank": add_blank, "no-break space": add_nbsp, "decimal comma": write_comma, "curly quotes": curl_quotes,
}  # fmt: skip
"""What happens to a cell that is damaged already."""


@dataclass(frozen=True)
class Defect:
    """One damaged cell: where, what stands there, and what is right."""

    kind: str
    table: str
    line: int
    column: str
    text: str
    truth: str


def damage_rows(rows: Rows, count: int, random_: random.Random) -> list[Defect]:
    """Damage `count` cells of clean rows: one in four twice, one in three in a row that is damaged already."""
    made: dict[tuple[str, int, str], Defect] = {}
    while len(made) < count:
        kind, (columns, damage) = random_.choice(list(KINDS.items()))
        table, column = random_.choice(columns).split(".")
        position = random_.randrange(ROWS)
        damaged_rows = [where[1] for where in made if where[0] == table]
        if damaged_rows and random_.random() < 0.33:
            position = random_.choice(damaged_rows)
        truth = rows[table][position].get(column, "")
        if not truth or (table, position, column) in made:
            continue
        text = damage(f"{table}.{column}", truth, random_)
        # A date that was exchanged and kept its form is wrong in a way that nobody can see; no second defect shows it.
        if random_.random() < 0.25 and not re.fullmatch("[0-9]{8}", text):
            second, damage_again = random_.choice(list(_SECOND.items()))
            text, kind = damage_again(f"{table}.{column}", text, random_), f"{kind}, {second}"
        if text in (truth, ""):
            continue
        made[table, position, column] = Defect(kind, table, position + 2, column, text, truth)
    for (table, position, column), defect in made.items():
        rows[table][position][column] = defect.text
    return [replace(d, line=_find_line(rows[table], position)) for (table, position, _), d in made.items()]


def _find_line(rows: Sequence[Mapping[str, str]], position: int) -> int:
    """The line on which a row begins in its file: cells of rows before it may have line ends."""
    return position + 2 + sum(text.count("\n") for row in rows[:position] for text in row.values())
