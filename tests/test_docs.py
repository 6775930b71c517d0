"""Documents that are made from the code are what the code would make now."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from neuropress.cli import api_page, commands_page
from neuropress.cli.arguments import VERBS
from neuropress.cli.main import main
from neuropress.model import findings_page
from neuropress.model.profile import list_shipped_profiles, load_profile
from neuropress.readers import BUILT_IN, Format
from neuropress.tables import columns_page
from neuropress.verbs.docs import WIDTH, format_page, list_topics, read_page
from neuropress.verbs.formats import facts_table, options_table

ROOT = Path(__file__).resolve().parents[1]


GENERATED = {
    "findings.md": findings_page,
    "reference/api.md": api_page,
    "reference/columns.md": columns_page,
    "reference/commands.md": commands_page,
}


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_page_is_current(name: str) -> None:
    module = GENERATED[name]
    assert (ROOT / "docs" / name).read_text("utf-8") == module.page(), f"python -m {module.__name__} > docs/{name}"


def test_the_reference_has_every_command_option_column_and_name() -> None:
    import neuropress

    commands, columns, library = (GENERATED[f"reference/{name}.md"].page() for name in ("commands", "columns", "api"))
    for verb in VERBS:
        assert f"## {verb}\n" in commands
    for option in ("--session-start", "--accept-loss", "--deep", "--tables-only"):
        assert f"| `{option}" in commands
    for profile in map(load_profile, list_shipped_profiles()):
        for table, spec in profile.tables.items():
            section = columns.split(f"\n## {table}\n")[1].split("\n## ")[0]
            for column in (*spec.columns, *spec.optional):
                (line,) = (line for line in section.splitlines() if line.startswith(f"| `{column}` |"))
                assert profile.name in line
                assert (" Private. |" in line) == (column in spec.private)
    for name in neuropress.__all__:
        assert name.startswith("_") or f"\n## {name}\n" in library


@pytest.mark.parametrize("topic", list_topics())
def test_every_page_fits_a_terminal(topic: str) -> None:
    lines = [*format_page(read_page(topic))]
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].startswith("# ")
    for named in re.findall(r"neuropress docs ([a-z/-]+)[)`]", " ".join(line.strip() for line in lines)):
        assert read_page(named)


def test_docs_lists_and_prints_pages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs"]) == 0
    listed = capsys.readouterr().out
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.relative_to(ROOT / "docs").with_suffix("").as_posix() in listed
    assert main(["docs", "lab-member"]) == 0
    assert "$ neuropress inspect cell1.abf" in capsys.readouterr().out
    assert main(["docs", "no-such-page"]) == 2
    assert "neuropress docs lists the topics" in capsys.readouterr().err


def test_the_index_installs_as_the_readme_does() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    (install,) = (line for line in lines if line.endswith("&& neuropress demo"))
    assert install in (ROOT / "docs/index.md").read_text("utf-8")


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
    pages = [page for page in (ROOT / "docs").rglob("*.md") if not page.is_symlink()]
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *pages]:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
