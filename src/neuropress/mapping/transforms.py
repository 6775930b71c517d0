"""Named transforms from cell values to field values, each with its inverse where one exists.

Values are typed cells (`str`, `int`, `Decimal`, `bool`, None). Units change in decimal
arithmetic: um -> m by floats fails to give the cell back in 28 % of three-digit values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from ..model.record import Value

type Forward = Callable[[Sequence[Value], Mapping[str, Any]], Any]
type Inverse = Callable[[Any, Mapping[str, Any]], str]


class Absent:
    """What a transform returns when there is nothing to write."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Transform:
    """A named transform.

    Attributes
    ----------
    inverse
        Gives the first source's canonical text from the field.
    verbatim
        The sources come as their cells' texts, not as typed values: ``24.50`` stays ``24.50``.
    first
        Only the first source that is there is used; the others stand for it where it is blank.
    """

    name: str
    forward: Forward
    inverse: Inverse | None = None
    verbatim: bool = False
    first: bool = False


def format_decimal(value: Decimal) -> str:
    """A decimal without exponent and without needless zeros: 0.50 -> 0.5, 1E+3 -> 1000."""
    text = format(value.normalize(), "f")
    return "0" if text == "-0" else text


def parse_decimal(value: Value) -> Decimal:
    """An exact decimal of a number or of a number's text."""
    if isinstance(value, bool) or value is None:
        raise TypeError(f"not a number: {value!r}")
    return value if isinstance(value, Decimal) else Decimal(value)


def format_cell(value: Value) -> str:
    """The canonical text of a typed cell."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return format_decimal(value) if isinstance(value, Decimal) else str(value)


def _get_first(values: Sequence[Value]) -> Value:
    return next(v for v in values if v is not None)


def _copy_text(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    return format_cell(_get_first(values))


def _scale_number(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    number = parse_decimal(_get_first(values)) * Decimal(args.get("scale", "1"))
    return float(number)


def _unscale_number(value: Any, args: Mapping[str, Any]) -> str:
    # repr is the shortest text that gives the same float: what the cell said, not 0.1000000000000000055.
    return format_decimal(Decimal(repr(float(value))) / Decimal(args.get("scale", "1")))


def _repeat_number(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    return [_scale_number(values, args)] * int(args["times"])


def _join_quantity(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    return f"{format_cell(_get_first(values))} {args['unit']}"


def _split_quantity(value: Any, args: Mapping[str, Any]) -> str:
    return str(value).removesuffix(f" {args['unit']}")


def _list_texts(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    return [format_cell(v) for v in values if v is not None]


def _look_up_text(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    return args["table"].get(format_cell(_get_first(values)), args.get("otherwise", ABSENT))


def _fill_template(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    """One sentence for each value that is there, from ``args.parts``, joined by ``args.sep``.

    With ``args.all`` there is nothing to write where one of them is blank.
    """
    if args.get("all") and any(value is None for value in values):
        return ABSENT
    sentences = []
    for part, value in zip(args["parts"], values, strict=True):
        if value is not None:
            sentences.append(part.replace("{}", format_cell(value)))
    return args.get("before", "") + args.get("sep", "; ").join(sentences)


def _format_key_values(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    """``name=value; name=value`` in the order of ``args.keys``; ``; = %`` and line ends escaped.

    A key that stands twice (a foreign key and the key it points to) is written once; of fewer than ``args.least``
    values nothing is written.
    """
    if sum(value is not None for value in values) < args.get("least", 1):
        return ABSENT
    pairs: dict[str, Value] = {}
    for key, value in zip(args["keys"], values, strict=True):
        if value is not None:
            pairs.setdefault(key, value)
    return "; ".join(f"{key}={escape_value(format_cell(value))}" for key, value in pairs.items())


def _fill_if_named(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    """``args.text``, where ``{}`` is the cell's text, if the cell holds one of ``args.words``."""
    text = format_cell(_get_first(values))
    if not any(word.casefold() in text.casefold() for word in args["words"]):
        return ABSENT
    return args["text"].replace("{}", text)


def _compute_extent(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    """Sources: numbers of steps along the axes, and the size of a step: extent of each axis, in ``args.scale``."""
    if any(value is None for value in values):
        return ABSENT
    *counts, step = (parse_decimal(value) for value in values)
    return [float(count * step * Decimal(args.get("scale", "1"))) for count in counts]


def escape_value(text: str) -> str:
    """Percent-encode what would break a ``name=value; name=value`` line."""
    return "".join(quote(c, safe="") if c in ";=%\r\n" else c for c in text)


@lru_cache(maxsize=1 << 16)
def localize_time(date: str, time: str, zone: str) -> datetime:
    """Local date (YYYYMMDD) and time (HH:MM[:SS[.ffffff]]) in a zone; the first of two in a DST overlap."""
    moment = datetime.fromisoformat(f"{date[:4]}-{date[4:6]}-{date[6:8]}T{time}")
    return moment.replace(tzinfo=ZoneInfo(zone))


@lru_cache(maxsize=1 << 16)
def is_existing_local_time(moment: datetime) -> bool:
    """False inside the hour that a DST change skips."""
    # Python lets a skipped time stand; only the way to UTC and back moves it.
    back = moment.astimezone(ZoneInfo("UTC")).astimezone(moment.tzinfo)
    return back.replace(tzinfo=None) == moment.replace(tzinfo=None)


@lru_cache(maxsize=1 << 16)
def is_ambiguous_local_time(moment: datetime) -> bool:
    """True inside the hour that a DST change repeats."""
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset() and is_existing_local_time(moment)


def _format_moment(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    """Sources: date, time (or none: midnight), zone. ISO 8601 text with the zone's offset."""
    date, *time, zone = values
    if date is None or zone is None or (time and time[0] is None):
        return ABSENT
    return localize_time(str(date), str(time[0]) if time else "00:00", str(zone)).isoformat()


@lru_cache(maxsize=1 << 16)
def compute_session_interval(date: str, start: str, end: str, zone: str) -> tuple[datetime, datetime]:
    """Start and end; an end before the start is on the next day."""
    first, last = localize_time(date, start, zone), localize_time(date, end, zone)
    return (first, last) if last > first else (first, last + timedelta(days=1))


def _pair_genotype(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    """Sources: strain and genotype lists: ``Camk2a-Cre +/-; Ai162 +/-`` when they pair up."""
    strain, genotype = (format_cell(v) if v is not None else "" for v in values)
    if not genotype:
        return ABSENT
    loci = [locus.strip() for locus in strain.split(";")]
    # Spreadsheets turn the hyphen of +/- into a minus sign or a dash.
    alleles = [allele.strip().replace("\u2212", "-").replace("\u2013", "-") for allele in genotype.split(";")]
    if len(loci) != len(alleles):
        return genotype
    return "; ".join(f"{locus} {allele}" for locus, allele in zip(loci, alleles, strict=True))


_ALL = (
    Transform("copy", _copy_text, lambda value, args: str(value), verbatim=True, first=True),
    Transform("number", _scale_number, _unscale_number, first=True),
    Transform("repeat", _repeat_number, lambda value, args: _unscale_number(value[0], args), first=True),
    Transform("quantity", _join_quantity, _split_quantity, verbatim=True, first=True),
    Transform("list", _list_texts, lambda value, args: str(value[0]), verbatim=True),
    Transform("lookup", _look_up_text, first=True),
    Transform("template", _fill_template, verbatim=True),
    Transform("key_values", _format_key_values, verbatim=True),
    Transform("if_named", _fill_if_named, verbatim=True, first=True),
    Transform("extent", _compute_extent),
    Transform("zoned", _format_moment),
    Transform("genotype", _pair_genotype),
)
TRANSFORMS: Mapping[str, Transform] = {t.name: t for t in _ALL}
