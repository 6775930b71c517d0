"""What the program ``dandi`` says of a dandiset before it is sent: it reads a tree of links to proven results."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...archive.metadata import SCHEMA
from ...model.finding import Finding
from ...model.waiver import Waiver, waive_result
from ...results import load_kind
from ...tools import Environment
from ...tools.dandi import can_be_explained, describe_files, take_explanations, validate_tree
from .tree import NWB, RAW, VOLUME, PlacedResult, locate

METADATA = "zarr.json"
"""All that dandi reads of a volume, in every folder of it; its chunks are what was proven."""


def ask_dandi(
    placed: Sequence[PlacedResult], name: str, waivers: Sequence[Waiver], environment: Environment
) -> tuple[list[Finding], dict[str, dict[str, Any]]]:
    """Have dandi validate what is to be sent, and read out of NWB files what an archive says of them.

    Parameters
    ----------
    name
        Of the dandiset, for its file ``dandiset.yaml``.
    environment
        Of dandi.

    Returns
    -------
    findings, described
        `described` is by path in the dandiset.

    Raises
    ------
    Problem
        ``tool.failed``.
    """
    with TemporaryDirectory(prefix="neuropress-dandi-") as scratch:
        folder = Path(scratch).resolve()
        # JSON is YAML, whatever characters the name has.
        (folder / "dandiset.yaml").write_text(f"identifier: '000000'\nname: {json.dumps(name)}\n", "utf-8")
        links = {folder / one.path: one for one in placed}
        for link, one in links.items():
            _lay_out(one, link)
        files = {link: Path(one.path) for link, one in links.items()}
        found = validate_tree(folder, files, environment)
        sessions = [link for link, one in links.items() if one.asset.kind == NWB]
        described = describe_files(sessions, SCHEMA, environment) if sessions else {}
    by_path = {Path(one.path): one for one in placed}
    findings: list[Finding] = []
    for path, one in by_path.items():
        of_file = _explain([f for place, f in found if place == path], one)
        findings += waive_result([f.at(file=str(path)) for f in of_file], one.asset.name, waivers)
    findings += [f for place, f in found if place is None]
    return findings, {str(files[link]): text for link, text in described.items()}


def _explain(found: Sequence[Finding], one: PlacedResult) -> Sequence[Finding]:
    """What dandi found in a file, with the reasons that our own validation knows, as `validate` gives them."""
    if one.asset.kind != NWB or not any(map(can_be_explained, found)):
        return found
    return take_explanations(found, load_kind(NWB).validate(locate(one.asset)))


def _lay_out(one: PlacedResult, link: Path) -> None:
    """One file of the tree: a link to it, its bytes, or of a volume the files with its metadata."""
    link.parent.mkdir(parents=True, exist_ok=True)
    asset = one.asset
    if asset.kind == VOLUME:
        for file in asset.files or ():
            if file.path.rpartition("/")[2] == METADATA:
                place = link / file.path
                place.parent.mkdir(parents=True, exist_ok=True)
                with asset.get_member(file.path).open() as source:
                    place.write_bytes(source.read())
    elif isinstance(asset.content, Path):
        try:
            os.symlink(asset.content.resolve(), link)
        except OSError:  # Windows lets few people make links
            shutil.copyfile(asset.content, link)
    elif asset.kind == RAW:
        link.write_bytes(b"\0")  # of a video in a bucket: dandi looks whether it is there
    else:
        with asset.get_member("").open() as source:
            link.write_bytes(source.read())
