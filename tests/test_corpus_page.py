"""docs/corpus.md says of every file of the corpus what becomes of it."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from campaigns import campaign
from corpus_outcomes import PAGE, describe, format_row, list_objects

pytestmark = pytest.mark.corpus
README = Path(__file__).parents[1] / "README.md"


def test_every_file_is_listed(corpus: Path) -> None:
    lines = PAGE.read_text("utf-8").splitlines()
    listed = [
        line.split(" | ")[0].removeprefix("| ") for line in lines if line.endswith(" |") and "/" in line.split(" | ")[0]
    ]
    assert listed == list_objects(corpus)


def test_the_readme_counts_the_refused() -> None:
    page, readme = PAGE.read_text("utf-8"), README.read_text("utf-8")
    counts = next(line for line in page.splitlines() if " are refused: " in line)
    outcomes = Counter(line.split(" | ")[2] for line in page.splitlines() if line.count(" | ") == 3)
    total, refused = (int(number) for number in re.findall(r"[0-9]+", counts)[:2])
    assert outcomes["refused"] == refused
    assert f"{total} real files and folders" in readme
    assert f"{refused} are refused" in readme


def test_what_is_listed_is_so(corpus: Path) -> None:
    keys = list_objects(corpus)
    page = PAGE.read_text("utf-8").splitlines()
    for key in random.Random(7).sample(keys, min(len(keys), campaign(8, full=10**6))):
        assert format_row(describe(corpus, key)) in page, "python tests/corpus_outcomes.py writes the page anew"
