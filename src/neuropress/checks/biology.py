"""Plasmids, viruses and mice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from ..model.finding import Finding
from ..model.profile import Profile
from ..model.reagents import fold, plasmids_of
from ..model.record import Record
from ..tables import Tables
from .rule import Found, limit, row_id, tell

FLUORESCENT = ("voltage indicator", "calcium indicator", "fluorescent protein", "neurotransmitter indicator")
_SEROTYPE = re.compile(r"(?i)AAV[-_ ]?(?:\d{1,2}/)?(\d{1,2}(?!\d)|DJ|rg|retro|rh\.?10|PHP\.?(?:eB|B|S|N))(?![a-z])")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE]\+?[0-9]+)?")


def entries(text: str) -> list[str]:
    """The entries of a list separated by semicolons."""
    return [entry.strip() for entry in text.split(";")]


def wavelength(plasmid: Record, profile: Profile) -> Finding | None:
    """A fluorescent protein has an emission peak."""
    kind = plasmid.values["indicator"]
    if plasmid.values["wavelength"] is not None or kind not in FLUORESCENT:
        return None
    return tell("plasmid.wavelength", plasmid, "wavelength", f"is blank for a {kind}")


def tuning(plasmid: Record, profile: Profile) -> Finding | None:
    """Traces of a voltage indicator cannot be read without its polarity."""
    if plasmid.values["tuning"] is not None or plasmid.values["indicator"] != "voltage indicator":
        return None
    return tell("plasmid.tuning", plasmid, "tuning", "is blank for a voltage indicator")


def titer(virus: Record, profile: Profile) -> Finding | None:
    """A titer lies between usual bounds."""
    text = virus.values["titer"]
    match = _NUMBER.match(str(text)) if text is not None else None
    least, most = limit(profile, "titer_min"), limit(profile, "titer_max")
    if not match or least <= Decimal(match[0]) <= most:
        return None
    bounds = f"{least:E} to {most:E} GC/mL"
    return tell("virus.titer", virus, "titer", f"{text} is outside of {bounds}", expected=bounds)


def serotype(virus: Record, profile: Profile) -> Finding | None:
    """The name does not tell another serotype than the column."""
    match = _SEROTYPE.search(str(virus.values["virus_name"]))
    stated = str(virus.values["serotype"])
    if not match or _capsid(match[1]) == _capsid(stated):
        return None
    message = f"{stated}, but the name {virus.values['virus_name']!r} says {match[0]}"
    return tell("virus.serotype", virus, "serotype", message, expected=match[0])


def _capsid(text: str) -> str:
    """The capsid's name alone: ``9`` of AAV9, ``rg`` of AAV2-retro."""
    short = re.sub(r"^aav[-_ ]?", "", text.casefold()).replace(".", "").replace("-", "")
    return "rg" if short.endswith("retro") else short


def weight(mouse: Record, profile: Profile) -> Finding | None:
    """A mouse weighs what mice weigh."""
    grams = mouse.values["weight"]
    least, most = limit(profile, "mouse_weight_g_min"), limit(profile, "mouse_weight_g_max")
    if not isinstance(grams, Decimal) or least <= grams <= most:
        return None
    bounds = f"{least} to {most} g"
    return tell("mouse.weight", mouse, "weight", f"{grams} g is outside of {bounds}", expected=bounds)


def genotype_count(mouse: Record, profile: Profile) -> Finding | None:
    """Each line of the strain has its alleles."""
    strain, genotype = mouse.values["strain"], mouse.values["genotype"]
    if strain is None or genotype is None:
        return None
    lines, alleles = entries(str(strain)), entries(str(genotype))
    if len(lines) == len(alleles):
        return None
    message = f"has {len(alleles)} entries, strain ({strain}) has {len(lines)}"
    return tell("mouse.genotype_count", mouse, "genotype", message, expected=f"{len(lines)} entries")


def cre_line(mouse: Record, profile: Profile) -> Finding | None:
    """The driver line is one of the strain's lines; a strain that fits no genotype either is told there."""
    cre, strain = mouse.values["cre_line"], str(mouse.values["strain"])
    if cre is None or genotype_count(mouse, profile) or fold(str(cre)) in {fold(line) for line in entries(strain)}:
        return None
    return tell(
        "mouse.cre_line", mouse, "cre_line", f"{cre!r} is none of the lines of strain ({strain})", expected=strain
    )


def floxed(mouse: Record, profile: Profile) -> Finding | None:
    """A Cre-dependent virus needs a source of Cre."""
    virus = mouse.related("virus")
    if virus is None or virus.values["floxed"] is not True or mouse.values["cre_line"] is not None:
        return None
    if any(p.values["indicator"] == "recombinase" for p in plasmids_of(mouse)):
        return None
    return tell("mouse.floxed", mouse, "virus_id", f"{virus.key} depends on Cre, and nothing in this row brings Cre")


def injected(injection: Record, profile: Profile) -> Finding | None:
    """A Cre-dependent virus is injected into a mouse with a source of Cre; told at the mouse where its row names it."""
    virus, mouse = injection.related("virus"), injection.related("mouse")
    if virus is None or mouse is None or mouse.related("virus") is virus:
        return None
    if virus.values["floxed"] is not True or mouse.values["cre_line"] is not None:
        return None
    if any(p.values["indicator"] == "recombinase" for p in plasmids_of(mouse)):
        return None
    return tell(
        "mouse.floxed", injection, "virus_id", f"{virus.key} depends on Cre, and {mouse.key} has no source of Cre"
    )


def plasmids(mouse: Record, profile: Profile) -> Finding | None:
    """The mouse's plasmid and its virus's plasmid are the same, or both are really there."""
    own, carried = mouse.related("plasmid"), mouse.related("virus.plasmid")
    if own is None or carried is None or own.key == carried.key:
        return None
    message = f"{own.key}, but the virus carries {carried.key}"
    return tell("mouse.plasmids", mouse, "plasmid_id", message, expected=carried.key)


def litter_lab(mouse: Record, profile: Profile) -> Finding | None:
    """A mouse belongs to the lab of its litter."""
    litter = mouse.values["litter_id"]
    if litter is None or str(litter).split("_", 1)[0] == mouse.lab:
        return None
    return tell(
        "mouse.litter_lab", mouse, "litter_id", f"{litter} is of another lab than {mouse.key}", expected=mouse.lab
    )


def litter_births(tables: Tables, profile: Profile) -> Iterator[Found]:
    """All mice of a litter are born on one day."""
    first: dict[str, Record] = {}
    for mouse in tables.table("mouse").values():
        litter, born = mouse.values["litter_id"], mouse.values["birth_date"]
        if litter is None or born is None:
            continue
        other = first.setdefault(str(litter), mouse)
        if other.values["birth_date"] != born:
            message = f"{born}, but {other.key} of the same litter {litter} was born on {other.values['birth_date']}"
            yield tell("mouse.litter_births", mouse, "birth_date", message), [row_id(mouse)]


def virus_names(tables: Tables, profile: Profile) -> Iterator[Found]:
    """A lab gives a name to one virus only."""
    first: dict[tuple[str, str], Record] = {}
    for virus in tables.table("virus").values():
        name = virus.values["virus_name"]
        if name is None:
            continue
        other = first.setdefault((virus.lab, fold(str(name))), virus)
        if other is not virus:
            yield (
                tell("virus.name_twice", virus, "virus_name", f"{name!r} is also the name of {other.key}"),
                [row_id(virus)],
            )
