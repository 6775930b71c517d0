"""What the draft of a dandiset holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model.finding import problem
from .client import PAGE, Archive, Refused
from .digests import ETAG, ZARR_CHECKSUM

DRAFT = "draft"


@dataclass(frozen=True, slots=True)
class RemoteAsset:
    """A file or volume of a dandiset, as the archive tells of it.

    Attributes
    ----------
    digest
        Its ETag or checksum; empty while the archive has not computed it.
    zarr_id
        Of a volume; empty for a file.
    """

    asset_id: str
    path: str
    size: int
    digest: str
    zarr_id: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dandiset:
    """The draft of one dandiset. `identifier` has six digits."""

    archive: Archive
    identifier: str

    @property
    def path(self) -> str:
        """Where its draft lies at the archive."""
        return f"/dandisets/{self.identifier}/versions/{DRAFT}/"

    def check_account(self) -> None:
        """See that the key is good and the dandiset is there. Raises `Problem` (``dandi.key``, ``dandi.dandiset``)."""
        if not self.archive.key:
            message = f"{self.archive.instance.name} takes nothing without the key of an account"
            raise problem("dandi.key", message)
        self.archive.get("/auth/token/")
        self.read_metadata()

    def read_metadata(self) -> dict[str, Any]:
        """What is said of it. Raises `Problem` (``dandi.dandiset``) where there is none."""
        try:
            found = self.archive.get(self.path)
        except Refused as refused:
            if refused.status != 404:
                raise
            message = f"there is no dandiset {self.identifier} at {self.archive.instance.name} that this key may see"
            raise problem("dandi.dandiset", message, value=self.identifier) from None
        return dict(found) if isinstance(found, dict) else {}

    def list_assets(self, prefix: str = "") -> dict[str, RemoteAsset]:
        """Everything that the draft holds below a path, by path."""
        query: dict[str, str | int] = {"metadata": "true", "page_size": PAGE, "order": "path"}
        if prefix:
            query["path"] = prefix
        try:
            found = [read_asset(entry) for entry in self.archive.list_pages(f"{self.path}assets/", **query)]
        except Refused as refused:
            if refused.status != 404:
                raise
            message = f"there is no dandiset {self.identifier} at {self.archive.instance.name}"
            raise problem("dandi.dandiset", message, value=self.identifier) from None
        return {asset.path: asset for asset in found}

    def place_asset(self, metadata: Mapping[str, Any], stored: Mapping[str, str], before: RemoteAsset | None) -> None:
        """Give what was sent its path: as a new asset, or in place of the one that lies there.

        Parameters
        ----------
        stored
            ``blob_id`` or ``zarr_id`` of what was sent.
        """
        data = {"metadata": dict(metadata), **stored}
        if before is None:
            try:
                self.archive.post(f"{self.path}assets/", data)
                return
            except Refused as refused:
                # The answer to an earlier try may have been lost.
                path = str(metadata["path"])
                before = self.list_assets(path).get(path) if refused.status == 409 else None
                if before is None:
                    raise
        self.archive.put(f"{self.path}assets/{before.asset_id}/", data)


def read_asset(entry: Any) -> RemoteAsset:
    """An entry of a listing. Raises `Problem` (``dandi.refused``) where it is none."""
    try:
        metadata = entry.get("metadata") or {}
        digests = {str(name): str(value) for name, value in (metadata.get("digest") or {}).items() if value}
        zarr = str(entry.get("zarr") or "")
        digest = digests.get(ZARR_CHECKSUM if zarr else ETAG, "")
        return RemoteAsset(str(entry["asset_id"]), str(entry["path"]), int(entry["size"]), digest, zarr, digests)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise problem("dandi.refused", f"an entry of a dandiset cannot be read: {error}") from error
