"""docs/corpus.md says of every file of the corpus what becomes of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from campaigns import campaign
from corpus_outcomes import PAGE, describe, format_row, list_objects

pytestmark = pytest.mark.corpus


def test_every_file_is_listed(corpus: Path) -> None:
    lines = PAGE.read_text("utf-8").splitlines()
    listed = [
        line.split(" | ")[0].removeprefix("| ") for line in lines if line.endswith(" |") and "/" in line.split(" | ")[0]
    ]
    assert listed == list_objects(corpus)


def test_what_is_listed_is_so(corpus: Path) -> None:
    keys = list_objects(corpus)
    page = PAGE.read_text("utf-8").splitlines()
    for key in random.Random(7).sample(keys, min(len(keys), campaign(8, full=10**6))):
        assert format_row(describe(corpus, key)) in page, "python tests/corpus_outcomes.py writes the page anew"
