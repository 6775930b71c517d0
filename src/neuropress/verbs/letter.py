"""A letter to a lab: what to mend in its tables, in plain words, the most blocking first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ..model.finding import Finding, Severity
from ..model.profile import Profile
from ..model.report import Report

NOBODY = "-"
"""The letter for findings that belong to no lab: whole tables, keys that name none."""
SHOWN = 3
"""Results that an effect names."""
PLACES = 50
"""Rows that an entry names: the rest have the very same text and the very same cure."""
EACH = "As stated under each row."


@dataclass(frozen=True, slots=True)
class Entry:
    """Rows with one text and one cure.

    `cure` is empty where all entries of the point share it.
    """

    places: tuple[str, ...]
    message: str
    cure: str

    def to_line(self) -> str:
        """The first row with what is wrong, then the other rows."""
        line = f"{self.places[0]}: {self.message}"
        if len(self.places) > 1:
            more = f"; and {len(self.places) - PLACES} more" if len(self.places) > PLACES else ""
            line += f" (the same: {'; '.join(self.places[1:PLACES])}{more})"
        return line


@dataclass(frozen=True, slots=True)
class Point:
    """One kind of defect in one column: how often, each row with its own cure, and the effect.

    `cure` is that of every row, or `EACH` where they differ.
    """

    severity: Severity
    title: str
    rows: int
    entries: tuple[Entry, ...]
    effect: str
    cure: str


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Letter(Report):
    """A letter: its findings, and the points that sum them up. Every finding is in exactly one point."""

    to: str
    points: tuple[Point, ...]

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """As plain text, to be pasted into a mail."""
        lines = [f"To: {self.to}", "", self._opening(), ""]
        for number, point in enumerate(self.points, 1):
            lines.append(f"{number}. {point.title}")
            for entry in point.entries:
                lines.append(f"     {entry.to_line()}")
                if entry.cure:
                    lines.append(f"       -> {entry.cure}")
            lines += [f"   Effect: {point.effect}", f"   What to do: {point.cure}", ""]
        return "\n".join(lines)

    def to_html(self) -> str:
        """As one page without any outside address; everything from cells is escaped."""
        items = []
        for point in self.points:
            entries = "".join(_format_entry(entry) for entry in point.entries)
            items.append(
                f'<li class="{point.severity}"><h2>{escape(point.title)}</h2><ul>{entries}</ul>'
                f"<p><b>Effect:</b> {escape(point.effect)}</p><p><b>What to do:</b> {escape(point.cure)}</p></li>"
            )
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>What to mend</title><style>'
            "body{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em}"
            "h2{font-size:1.05em;margin:1em 0 0}"
            ".error h2{color:#a40000}.warning h2{color:#7a5200}code{white-space:pre-wrap}</style></head><body>"
            f"<h1>To {escape(self.to)}</h1><p>{escape(self._opening())}</p><ol>{''.join(items)}</ol></body></html>\n"
        )

    def _opening(self) -> str:
        errors = sum(point.severity is Severity.ERROR for point in self.points)
        if not self.points:
            return "Your tables are in order: there is nothing to mend."
        things = f"{len(self.points)} thing{'s' if len(self.points) != 1 else ''} in your metadata tables"
        kept = f"{errors} of them keep data from being published" if errors else "none keeps data from being published"
        return f"neuropress found {things}; {kept}. The most blocking come first."


def _format_entry(entry: Entry) -> str:
    cure = f"<br>&rarr; {escape(entry.cure)}" if entry.cure else ""
    return f"<li><code>{escape(entry.to_line())}</code>{cure}</li>"


def find_addressee(found: Finding, profile: Profile) -> str:
    """Initials of the lab that a finding belongs to, by its row's key; `NOBODY` where no lab owns it."""
    initials = (found.location.key or "").split("_", 1)[0]
    return initials if initials in profile.labs else NOBODY


def compose_letter(
    lab: str, findings: Iterable[Finding], withholds: Mapping[tuple[str, str], Sequence[str]], profile: Profile
) -> Letter:
    """The letter of one lab (its initials), or of nobody (`NOBODY`).

    Parameters
    ----------
    withholds
        (table, key) -> results that the row's errors keep from being written.
    """
    mine = [f for f in findings if f.severity is not Severity.INFO and find_addressee(f, profile) == lab]
    groups: dict[tuple[str, str | None, str | None, Severity], list[Finding]] = {}
    for found in mine:
        groups.setdefault((found.id, found.location.table, found.location.column, found.severity), []).append(found)
    ranked = sorted(groups.values(), key=lambda group: (*_rank_group(group, withholds), group[0].id))
    to = f"{profile.labs[lab].name} ({lab})" if lab in profile.labs else "whoever keeps the tables"
    points = tuple(_make_point(group, withholds) for group in ranked)
    return Letter("check", findings=tuple(mine), to=to, points=points)


def _rank_group(group: Sequence[Finding], withholds: Mapping[tuple[str, str], Sequence[str]]) -> tuple[bool, int, int]:
    return group[0].severity is not Severity.ERROR, -len(_withheld_results(group, withholds)), -len(group)


def _withheld_results(group: Sequence[Finding], withholds: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
    rows = ((f.location.table or "", f.location.key or "") for f in group)
    return sorted({name for row in rows for name in withholds.get(row, ())})


def _make_point(group: Sequence[Finding], withholds: Mapping[tuple[str, str], Sequence[str]]) -> Point:
    first = group[0]
    column = f", column {first.location.column}" if first.location.column else ""
    many = f"{len(group)} rows: " if len(group) > 1 else ""
    title = f"{many}table {first.location.table}{column}" if first.location.table else first.id
    effect = _describe_effect(group, withholds)
    if len({found.hint for found in group}) == 1:
        return Point(first.severity, title, len(group), _make_entries(group, shared=True), effect, first.hint)
    return Point(first.severity, title, len(group), _make_entries(group, shared=False), effect, EACH)


def _make_entries(group: Sequence[Finding], *, shared: bool) -> tuple[Entry, ...]:
    """One entry for the rows that have both text and cure in common, in the order of the first of each."""
    alike: dict[tuple[str, str], list[str]] = {}
    for found in group:
        alike.setdefault((found.message, found.hint), []).append(_describe_row(found))
    entries = []
    for (message, hint), places in alike.items():
        entries.append(Entry(tuple(places), message, "" if shared else hint))
    return tuple(entries)


def _describe_row(found: Finding) -> str:
    source = f" of {found.location.source}" if found.location.source else ""
    line = f"line {found.location.line}{source}" if found.location.line else ""
    key = found.location.key or ""
    if not key.isprintable() or key != key.strip():
        key = repr(key)  # a line end in a damaged key would break the letter's lines
    return ", ".join(part for part in (key, line) if part) or (found.location.file or found.id)


def _describe_effect(group: Sequence[Finding], withholds: Mapping[tuple[str, str], Sequence[str]]) -> str:
    if group[0].severity is not Severity.ERROR:
        return "nothing is withheld; the release tells it"
    results = _withheld_results(group, withholds)
    if not results:
        return "blocks the release; the row reaches no result"
    more = f" and {len(results) - SHOWN} more" if len(results) > SHOWN else ""
    return f"withholds {', '.join(results[:SHOWN])}{more}, and so blocks the release and the DANDI upload"
