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


def decimal_text(value: Decimal) -> str:
    """A decimal without exponent and without needless zeros: 0.50 -> 0.5, 1E+3 -> 1000."""
    text = format(value.normalize(), "f")
    return "0" if text == "-0" else text


def as_decimal(value: Value) -> Decimal:
    """An exact decimal of a number or of a number's text."""
    if isinstance(value, bool) or value is None:
        raise TypeError(f"not a number: {value!r}")
    return value if isinstance(value, Decimal) else Decimal(value)


def cell_text(value: Value) -> str:
    """The canonical text of a typed cell."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return decimal_text(value) if isinstance(value, Decimal) else str(value)


def _first(values: Sequence[Value]) -> Value:
    return next(v for v in values if v is not None)


def _copy(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    return cell_text(_first(values))


def _number(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    number = as_decimal(_first(values)) * Decimal(args.get("scale", "1"))
    return float(number)


def _number_back(value: Any, args: Mapping[str, Any]) -> str:
    return decimal_text(Decimal(repr(float(value))) / Decimal(args.get("scale", "1")))


def _repeat(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    return [_number(values, args)] * int(args["times"])


def _quantity(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    return f"{cell_text(_first(values))} {args['unit']}"


def _quantity_back(value: Any, args: Mapping[str, Any]) -> str:
    return str(value).removesuffix(f" {args['unit']}")


def _list(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    return [cell_text(v) for v in values if v is not None]


def _lookup(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    return args["table"].get(cell_text(_first(values)), args.get("otherwise", ABSENT))


def _template(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    """One sentence for each value that is there, from ``args.parts``, joined by ``args.sep``."""
    parts = [p.replace("{}", cell_text(v)) for p, v in zip(args["parts"], values, strict=True) if v is not None]
    return args.get("before", "") + args.get("sep", "; ").join(parts)


def _key_values(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    """``name=value; name=value`` in the order of ``args.keys``; ``; = %`` and line ends escaped."""
    pairs = zip(args["keys"], values, strict=True)
    return "; ".join(f"{k}={escape_value(cell_text(v))}" for k, v in pairs if v is not None)


def escape_value(text: str) -> str:
    """Percent-encode what would break a ``name=value; name=value`` line."""
    return "".join(quote(c, safe="") if c in ";=%\r\n" else c for c in text)


@lru_cache(maxsize=1 << 16)
def zoned(date: str, time: str, zone: str) -> datetime:
    """Local date (YYYYMMDD) and time (HH:MM[:SS[.ffffff]]) in a zone; the first of two in a DST overlap."""
    moment = datetime.fromisoformat(f"{date[:4]}-{date[4:6]}-{date[6:8]}T{time}")
    return moment.replace(tzinfo=ZoneInfo(zone))


@lru_cache(maxsize=1 << 16)
def exists_locally(moment: datetime) -> bool:
    """False inside the hour that a DST change skips."""
    back = moment.astimezone(ZoneInfo("UTC")).astimezone(moment.tzinfo)
    return back.replace(tzinfo=None) == moment.replace(tzinfo=None)


@lru_cache(maxsize=1 << 16)
def is_ambiguous(moment: datetime) -> bool:
    """True inside the hour that a DST change repeats."""
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset() and exists_locally(moment)


def _zoned(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    """Sources: date, time (or none: midnight), zone. ISO 8601 text with the zone's offset."""
    date, *time, zone = values
    if date is None or zone is None or (time and time[0] is None):
        return ABSENT
    return zoned(str(date), str(time[0]) if time else "00:00", str(zone)).isoformat()


@lru_cache(maxsize=1 << 16)
def session_interval(date: str, start: str, end: str, zone: str) -> tuple[datetime, datetime]:
    """Start and end; an end before the start is on the next day."""
    first, last = zoned(date, start, zone), zoned(date, end, zone)
    return (first, last) if last > first else (first, last + timedelta(days=1))


def _genotype(values: Sequence[Value], args: Mapping[str, Any]) -> Any:
    """Sources: strain and genotype lists: ``Camk2a-Cre +/-; Ai162 +/-`` when they pair up."""
    strain, genotype = (cell_text(v) if v is not None else "" for v in values)
    if not genotype:
        return ABSENT
    loci, alleles = (
        [t.strip() for t in strain.split(";")],
        [t.strip().replace("\u2212", "-").replace("\u2013", "-") for t in genotype.split(";")],
    )
    if len(loci) != len(alleles):
        return genotype
    return "; ".join(f"{locus} {allele}" for locus, allele in zip(loci, alleles, strict=True))


_ALL = (
    Transform("copy", _copy, lambda value, args: str(value), verbatim=True, first=True),
    Transform("number", _number, _number_back, first=True),
    Transform("repeat", _repeat, lambda value, args: _number_back(value[0], args), first=True),
    Transform("quantity", _quantity, _quantity_back, verbatim=True, first=True),
    Transform("list", _list, lambda value, args: str(value[0]), verbatim=True),
    Transform("lookup", _lookup, first=True),
    Transform("template", _template, verbatim=True),
    Transform("key_values", _key_values, verbatim=True),
    Transform("zoned", _zoned),
    Transform("genotype", _genotype),
)
TRANSFORMS: Mapping[str, Transform] = {t.name: t for t in _ALL}
