"""Asset records: one JSON file for a raw file that is kept as it is, with its digest and what its reader found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kind import Kind

if TYPE_CHECKING:
    from ...storage.remote import ResultPath

BEGIN = b'{\n "asset": {'
"""How every record begins; keys are sorted."""


def _is_asset_record(path: ResultPath) -> bool:
    with path.open("rb") as file:
        return file.read(len(BEGIN)) == BEGIN


KIND = Kind(
    name="asset",
    target="asset",
    suffix=".json",
    is_folder=False,
    label="asset record",
    template="{lab}/{table}/asset/{id}.json",
    recognises=_is_asset_record,
    package="neuropress.results.asset.record",
)
