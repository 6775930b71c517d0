"""In place of the program dandi, and a dataset's settings and order to publish to an archive in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from builder import Builder
from dandi_archive import KEY, FakeArchive

from neuropress.model.finding import Finding
from neuropress.model.parsing import parse_json

SETTINGS = """profile = "dendritic-consortium"
[dataset]
title = "Ours"
description = "What we did."
contact = "Example, Ada"
[[people]]
name = "Example, Ada"
typed = ["Ada Example"]
orcid = "0000-0002-1825-0097"
email = "ada@example.org"
[[funding]]
name = "A funder"
award = "U19"
[[related]]
relation = "IsDescribedBy"
url = "https://doi.org/10.1000/1"
"""


class StubDandi:
    """In place of the program: what it was shown, and what it says."""

    def __init__(self) -> None:
        self.shown: list[dict[str, bool]] = []
        self.says: list[tuple[Path | None, Finding]] = []

    def validate(self, folder: Path, links: dict[Path, Path], environment: object) -> list[tuple[Path | None, Finding]]:
        parse_json((folder / "dandiset.yaml").read_text("utf-8").partition("name: ")[2].replace("'", '"').encode())
        self.shown.append({str(link.relative_to(folder)): link.exists() for link in links})
        return self.says

    def describe(self, paths: list[Path], schema: str, environment: object) -> dict[Path, dict[str, Any]]:
        assert KEY not in os.environ.values()  # what is started gets a copy
        return {path: {"schemaVersion": schema, "encodingFormat": "application/x-nwb", "told": 1} for path in paths}


def order(lab: Builder, fake: FakeArchive, *more: str) -> tuple[str, ...]:
    return ("publish", str(lab.root), "--dandi", "000123", "--dandi-instance", f"{fake.url}/api", *more)
