"""What the draft of a dandiset holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import ascii_letters, digits
from typing import Any

from ..model.finding import problem
from .client import PAGE, Archive, Refused
from .digests import ETAG, ZARR_CHECKSUM

DRAFT = "draft"
MOST_PATH = 512
_PATH_CHARS = frozenset(f"{ascii_letters}{digits}(),&[]^` #+~_=-/.")
"""Of paths of files, which an archive compares with a pattern."""


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
        """See that the key is good, the dandiset is there, and the account may change it.

        Raises
        ------
        Problem
            ``dandi.key``, ``dandi.dandiset``, ``dandi.owner``.
        """
        name = self.archive.instance.name
        if not self.archive.key:
            raise problem("dandi.key", f"{name} takes nothing without the key of an account")
        self.archive.get("/auth/token/")
        about = self._read(f"/dandisets/{self.identifier}/")
        if about.get("embargo_status") == "UNEMBARGOING":
            message = f"dandiset {self.identifier} is being opened at {name}, and cannot be changed until that is done"
            raise problem("dandi.owner", message, hint="Run the same command again in an hour.")
        account, owners = self._ask("/users/me/"), self._ask(f"/dandisets/{self.identifier}/users/")
        if not isinstance(account, dict) or not isinstance(owners, list) or account.get("admin") is True:
            return  # another archive than DANDI's: whoever may not send learns it then
        user = str(account.get("username"))
        if account.get("status", "APPROVED") != "APPROVED":
            message = f"the account {user} may send nothing to {name} yet: it is {account['status']}"
            raise problem("dandi.owner", message, hint="Wait until the archive's staff has approved it.")
        names = [str(owner.get("username")) for owner in owners if isinstance(owner, dict)]
        if user not in names:
            message = f"the account {user} is no owner of dandiset {self.identifier} at {name}: {', '.join(names)}"
            raise problem("dandi.owner", message, value=user)

    def _ask(self, path: str) -> Any:
        """An answer; None where the archive knows no such question."""
        try:
            return self.archive.get(path)
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def read_metadata(self) -> dict[str, Any]:
        """What is said of it. Raises `Problem` (``dandi.dandiset``, ``dandi.owner``) where nothing may be known."""
        return self._read(self.path)

    def _read(self, path: str) -> dict[str, Any]:
        name = self.archive.instance.name
        try:
            found = self.archive.get(path)
        except Refused as refused:
            if refused.status == 404:
                message = f"there is no dandiset {self.identifier} at {name}"
                raise problem("dandi.dandiset", message, value=self.identifier) from None
            if refused.status in (401, 403):
                message = f"dandiset {self.identifier} at {name} is embargoed, and this account is no owner of it"
                raise problem("dandi.owner", message, value=self.identifier) from None
            raise
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


def check_path(path: str) -> None:
    """Refuse a path that no archive takes. Raises `Problem` (``dandi.path``)."""
    bad = "".join(dict.fromkeys(char for char in path if char not in _PATH_CHARS))
    if bad or len(path) > MOST_PATH:
        why = f"has {bad!r}" if bad else f"has {len(path)} characters, more than {MOST_PATH}"
        raise problem("dandi.path", f"{path} {why}", value=path)


def read_asset(entry: Any) -> RemoteAsset:
    """An entry of a listing. Raises `Problem` (``dandi.refused``) where it is none."""
    try:
        metadata = entry.get("metadata") or {}
        stated = {str(name): str(value) for name, value in (metadata.get("digest") or {}).items() if value}
        zarr = str(entry.get("zarr") or "")
        digest = stated.get(ZARR_CHECKSUM if zarr else ETAG, "")
        return RemoteAsset(str(entry["asset_id"]), str(entry["path"]), int(entry["size"]), digest, zarr, stated)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise problem("dandi.refused", f"an entry of a dandiset cannot be read: {error}") from error
