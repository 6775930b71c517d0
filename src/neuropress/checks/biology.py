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
from .rule import CheckResult, get_limit, get_row_id, make_cell_finding

FLUORESCENT = ("voltage indicator", "calcium indicator", "fluorescent protein", "neurotransmitter indicator")
_SEROTYPE = re.compile(r"(?i)AAV[-_ ]?(?:\d{1,2}/)?(\d{1,2}(?!\d)|DJ|rg|retro|rh\.?10|PHP\.?(?:eB|B|S|N))(?![a-z])")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE]\+?[0-9]+)?")


def split_entries(text: str) -> list[str]:
    """The entries of a list separated by semicolons."""
    return [entry.strip() for entry in text.split(";")]


def check_plasmid_wavelength(plasmid: Record, profile: Profile) -> Finding | None:
    """A fluorescent protein has an emission peak."""
    kind = plasmid.values["indicator"]
    if plasmid.values["wavelength"] is not None or kind not in FLUORESCENT:
        return None
    return make_cell_finding("plasmid.wavelength", plasmid, "wavelength", f"is blank for a {kind}")


def check_indicator_tuning(plasmid: Record, profile: Profile) -> Finding | None:
    """Traces of a voltage indicator cannot be read without its polarity."""
    if plasmid.values["tuning"] is not None or plasmid.values["indicator"] != "voltage indicator":
        return None
    return make_cell_finding("plasmid.tuning", plasmid, "tuning", "is blank for a voltage indicator")


def check_titer_range(virus: Record, profile: Profile) -> Finding | None:
    """A titer lies between usual bounds."""
    text = virus.values["titer"]
    number = _NUMBER.match(str(text)) if text is not None else None  # a unit may follow
    least, most = get_limit(profile, "titer_min"), get_limit(profile, "titer_max")
    if not number or least <= Decimal(number[0]) <= most:
        return None
    bounds = f"{least:E} to {most:E} GC/mL"
    return make_cell_finding("virus.titer", virus, "titer", f"{text} is outside of {bounds}", expected=bounds)


def check_serotype_in_name(virus: Record, profile: Profile) -> Finding | None:
    """The name does not state another serotype than the column."""
    match = _SEROTYPE.search(str(virus.values["virus_name"]))
    stated = str(virus.values["serotype"])
    if not match or _parse_capsid(match[1]) == _parse_capsid(stated):
        return None
    message = f"{stated}, but the name {virus.values['virus_name']!r} says {match[0]}"
    return make_cell_finding("virus.serotype", virus, "serotype", message, expected=match[0])


def _parse_capsid(text: str) -> str:
    """The capsid's name alone: ``9`` of AAV9, ``rg`` of AAV2-retro."""
    # AAV2/9 has the genome of 2 in the capsid of 9: `_SEROTYPE` has taken the capsid out of the name already.
    short = re.sub(r"^aav[-_ ]?", "", text.casefold()).replace(".", "").replace("-", "")
    return "rg" if short.endswith("retro") else short


def check_mouse_weight(mouse: Record, profile: Profile) -> Finding | None:
    """A mouse weighs what mice weigh."""
    grams = mouse.values["weight"]
    least, most = get_limit(profile, "mouse_weight_g_min"), get_limit(profile, "mouse_weight_g_max")
    if not isinstance(grams, Decimal) or least <= grams <= most:
        return None
    bounds = f"{least} to {most} g"
    return make_cell_finding("mouse.weight", mouse, "weight", f"{grams} g is outside of {bounds}", expected=bounds)


def check_genotype_count(mouse: Record, profile: Profile) -> Finding | None:
    """Each line of the strain has its alleles."""
    strain, genotype = mouse.values["strain"], mouse.values["genotype"]
    if strain is None or genotype is None:
        return None
    lines, alleles = split_entries(str(strain)), split_entries(str(genotype))
    if len(lines) == len(alleles):
        return None
    message = f"has {len(alleles)} entries, strain ({strain}) has {len(lines)}"
    return make_cell_finding("mouse.genotype_count", mouse, "genotype", message, expected=f"{len(lines)} entries")


def check_cre_line_in_strain(mouse: Record, profile: Profile) -> Finding | None:
    """The driver line is one of the strain's lines, where the strain names all of them."""
    cre, strain = mouse.values["cre_line"], str(mouse.values["strain"])
    if cre is None or _lacks_lines(mouse):
        return None
    lines = {fold(line) for line in split_entries(strain)}
    if fold(str(cre)) in lines:
        return None
    message = f"{cre!r} is none of the lines of strain ({strain})"
    return make_cell_finding("mouse.cre_line", mouse, "cre_line", message, expected=strain)


def _lacks_lines(mouse: Record) -> bool:
    """Whether there are more alleles than lines: `check_genotype_count` has the finding."""
    genotype, strain = mouse.values["genotype"], mouse.values["strain"]
    return genotype is not None and len(split_entries(str(genotype))) > len(split_entries(str(strain)))


def check_cre_for_virus(mouse: Record, profile: Profile) -> Finding | None:
    """A Cre-dependent virus needs a source of Cre."""
    virus = mouse.related("virus")
    if virus is None or virus.values["floxed"] is not True or mouse.values["cre_line"] is not None:
        return None
    if _has_recombinase(mouse):
        return None
    message = f"{virus.key} depends on Cre, and nothing in this row brings Cre"
    return make_cell_finding("mouse.floxed", mouse, "virus_id", message)


def _has_recombinase(mouse: Record) -> bool:
    """Whether a plasmid that the mouse carries brings Cre without a driver line."""
    return any(plasmid.values["indicator"] == "recombinase" for plasmid in plasmids_of(mouse))


def check_cre_for_injection(injection: Record, profile: Profile) -> Finding | None:
    """A Cre-dependent virus is injected into a mouse with a source of Cre.

    Where the mouse's own row names the virus, `check_cre_for_virus` has the finding.
    """
    virus, mouse = injection.related("virus"), injection.related("mouse")
    if virus is None or mouse is None or mouse.related("virus") is virus:
        return None
    if virus.values["floxed"] is not True or mouse.values["cre_line"] is not None:
        return None
    if _has_recombinase(mouse):
        return None
    message = f"{virus.key} depends on Cre, and {mouse.key} has no source of Cre"
    return make_cell_finding("mouse.floxed", injection, "virus_id", message)


def check_plasmid_of_virus(mouse: Record, profile: Profile) -> Finding | None:
    """The mouse's plasmid and its virus's plasmid are the same, or both are really there."""
    own, carried = mouse.related("plasmid"), mouse.related("virus.plasmid")
    if own is None or carried is None or own.key == carried.key:
        return None
    message = f"{own.key}, but the virus carries {carried.key}"
    return make_cell_finding("mouse.plasmids", mouse, "plasmid_id", message, expected=carried.key)


def check_litter_lab(mouse: Record, profile: Profile) -> Finding | None:
    """A mouse belongs to the lab of its litter."""
    litter = mouse.values["litter_id"]
    if litter is None or str(litter).split("_", 1)[0] == mouse.lab:
        return None
    message = f"{litter} is of another lab than {mouse.key}"
    return make_cell_finding("mouse.litter_lab", mouse, "litter_id", message, expected=mouse.lab)


def check_litter_birth_dates(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """All mice of a litter are born on one day."""
    first: dict[str, Record] = {}
    for mouse in tables.iterate_rows("mouse"):
        litter, born = mouse.values["litter_id"], mouse.values["birth_date"]
        if litter is None or born is None:
            continue
        other = first.setdefault(str(litter), mouse)
        if other.values["birth_date"] != born:
            message = f"{born}, but {other.key} of the same litter {litter} was born on {other.values['birth_date']}"
            yield make_cell_finding("mouse.litter_births", mouse, "birth_date", message), [get_row_id(mouse)]


def check_virus_names(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """A lab gives a name to one virus only."""
    first: dict[tuple[str, str], Record] = {}
    for virus in tables.iterate_rows("virus"):
        name = virus.values["virus_name"]
        if name is None:
            continue
        other = first.setdefault((virus.lab, fold(str(name))), virus)
        if other is not virus:
            message = f"{name!r} is also the name of {other.key}"
            yield make_cell_finding("virus.name_twice", virus, "virus_name", message), [get_row_id(virus)]
