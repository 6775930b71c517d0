"""Findings for other programs: JSON Lines, JUnit XML, GitHub annotations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import groupby
from xml.etree import ElementTree

from ..model.finding import Finding, Severity
from ..verbs.changed import RepositoryPlace

NOT_XML = re.compile("[^\t\n\r\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def jsonl(findings: Iterable[Finding]) -> str:
    """One object a line."""
    return "".join(json.dumps(f.to_json(), ensure_ascii=False, sort_keys=True) + "\n" for f in findings)


def junit(findings: Iterable[Finding]) -> str:
    """A test suite in which each kind of error is a failed case and each kind of warning a passed one."""
    shown = sorted((f for f in findings if f.severity is not Severity.INFO), key=lambda f: f.id)
    suite = ElementTree.Element("testsuite", name="neuropress check")
    cases = failures = 0
    for identifier, group in groupby(shown, key=lambda f: f.id):
        members = list(group)
        case = ElementTree.SubElement(suite, "testcase", classname="neuropress", name=identifier)
        errors = [f for f in members if f.severity is Severity.ERROR]
        for found in errors:
            failure = ElementTree.SubElement(case, "failure", message=_plain(f"{found.location}: {found.message}"))
            failure.text = _plain(found.hint)
        if len(errors) < len(members):
            warnings = (f"{f.location}: {f.message}" for f in members if f.severity is Severity.WARNING)
            ElementTree.SubElement(case, "system-out").text = _plain("\n".join(warnings))
        cases, failures = cases + 1, failures + bool(errors)
    if not cases:
        ElementTree.SubElement(suite, "testcase", classname="neuropress", name="all checks")
        cases = 1
    suite.set("tests", str(cases))
    suite.set("failures", str(failures))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _plain(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return NOT_XML.sub("\ufffd", text)


def github(findings: Iterable[tuple[Finding, RepositoryPlace | None]]) -> str:
    """Workflow commands that GitHub shows beside the lines of a pull request; one without a place in its summary."""
    lines = []
    for found, place in findings:
        if found.severity is Severity.INFO:
            continue
        where = found.location
        properties: dict[str, object] = {"title": found.id}
        if place:
            properties = {"file": place.file, "line": place.line, "col": place.column, "title": found.id}
        stated = ",".join(f"{name}={_escape(str(p), properties=True)}" for name, p in properties.items() if p)
        subject = f"{where.key or ''} {where.column or ''}".strip() if place and place.line else str(where)
        message = _escape(f"{subject}: {found.message} {found.hint}".strip())
        lines.append(f"::{_LEVELS[found.severity]} {stated}::{message}\n")
    return "".join(lines)


def _escape(text: str, *, properties: bool = False) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace(":", "%3A").replace(",", "%2C") if properties else escaped
