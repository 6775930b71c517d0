"""Documents that are made from the code are what the code would make now."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from neuropress.cli.arguments import VERBS
from neuropress.model.findings_page import page
from neuropress.readers import BUILT_IN, Format
from neuropress.verbs.formats import facts_table, options_table

ROOT = Path(__file__).resolve().parents[1]


def test_the_findings_page_is_current() -> None:
    assert (ROOT / "docs/findings.md").read_text("utf-8") == page(), (
        "python -m neuropress.model.findings_page > docs/findings.md"
    )


@pytest.mark.parametrize("table", [options_table, facts_table])
def test_the_tables_of_options_and_facts_are_current(table: Callable[[Sequence[Format]], str]) -> None:
    assert table(BUILT_IN) in (ROOT / "docs/formats.md").read_text("utf-8"), f"the table is now:\n{table(BUILT_IN)}"


def test_the_readme_names_every_command_and_the_two_lines() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for verb in VERBS:
        assert f"| `{verb}" in text, verb
    lines = text.splitlines()
    assert sum("&& neuropress demo" in line for line in lines) == 1
    assert sum("&& python -m pytest" in line for line in lines) == 1


def test_linked_documents_exist() -> None:
    import re

    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
