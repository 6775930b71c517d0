"""``publish --dandi``: what is proven is brought to the draft of a dandiset, and recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...archive import Archive, Dandiset, RemoteAsset, find_instance
from ...archive.instances import DEFAULT
from ...archive.metadata import LICENSES, SCHEMA, draft_metadata, find_other_license, merge_metadata
from ...config import check_license
from ...model.finding import Finding, Problem, Severity, finding, has_errors, machine_finding, problem
from ...model.people import Person
from ...model.profile import Profile
from ...model.progress import Progress, track
from ...model.report import Outcome, Report
from ...release import OpenRelease, open_release
from ...storage.failures import PAUSES
from ...tools import Environment, find_tool
from ...tools.dandi import NAME
from ...workspace import Workspace
from ..creators import list_experimenters
from ..scope import Scope
from .bids import PARTICIPANTS, SAMPLES, describe_animal, list_bids_files
from .opinion import ask_dandi
from .recording import Records
from .sending import Shipment, prepare, send
from .sources import Material, forget_fetched, gather_assets, gather_results
from .tree import KINDS_SENT, RAW, PlacedResult, Tree, place_results
from .videos import make_copies, place_videos

_IDENTIFIER = re.compile(r"[0-9]{6}")
_NAME = re.compile(r"[^\W\d_][\w\s.'-]*, [\w\s.'-]+")


@dataclass(frozen=True, slots=True)
class DandiRequest:
    """What is to be brought to which dandiset.

    Attributes
    ----------
    dandiset, instance
        Six digits; the archive by name or address.
    key
        Of an account; empty for a dry run that asks nobody.
    release, to, endpoint
        Number of a committed release that is sent, and where it lies; without a number the working copy is sent.
    scope
        Labs, sessions and kinds of data.
    findings
        What `check` found, waivers applied.
    dry_run
        Say what would be sent; send nothing.
    pauses
        Seconds between tries of a request that failed for a passing reason.
    """

    dandiset: str
    instance: str = DEFAULT
    key: str = field(default="", repr=False)
    release: str = ""
    to: str = ""
    endpoint: str | None = None
    scope: Scope = field(default_factory=Scope)
    findings: tuple[Finding, ...] = ()
    dry_run: bool = False
    pauses: tuple[float, ...] = PAUSES


def publish_to_dandi(workspace: Workspace, request: DandiRequest, progress: Progress) -> Report:
    """Check, name, validate and send results; what lies there already is not sent again."""
    try:
        if not _IDENTIFIER.fullmatch(request.dandiset):
            message = f"{request.dandiset!r} is no dandiset: its number has six digits"
            raise problem("dandi.dandiset", message, value=request.dandiset)
        archive = Archive(find_instance(request.instance), request.key, request.pauses)
        dandiset = Dandiset(archive, request.dandiset)
        if findings := [*check_license(workspace.profile), *_check_license(workspace.profile)]:
            return Report.of("publish", [], findings)
        try:
            if not request.release:
                material = gather_results(workspace, request.scope, request.findings, progress)
                return _publish(workspace, request, dandiset, material, progress, None)
            with open_release(request.to, request.release, request.endpoint) as opened:
                material = gather_assets(workspace, opened, request.scope, progress)
                return _publish(workspace, request, dandiset, material, progress, opened)
        finally:
            workspace.digests.save()
    except Problem as bad:
        return Report.of("publish", [], [bad.finding])
    except OSError as error:  # the archive or the store, or a local file that cannot be read
        return Report.of("publish", [], [machine_finding(error, str(error))])


def _publish(
    workspace: Workspace,
    request: DandiRequest,
    dandiset: Dandiset,
    material: Material,
    progress: Progress,
    opened: OpenRelease | None,
) -> Report:
    profile, state = workspace.profile, workspace.config.state
    tree = place_results(material.assets, profile)
    place_videos(tree, material.find_raw)
    findings = [*material.findings, *tree.findings]
    if not material.assets and not has_errors(findings):
        findings.append(finding("release.empty", "there is nothing to publish: no NWB file and no volume is selected"))
    people = list_experimenters(material.sessions, profile)
    findings += _check_people(people, profile)
    volumes = [one for one in tree.placed if one.volume]
    if volumes:
        message = f"{len(volumes)} volumes: dandiset {dandiset.identifier} stays a draft as long as it exists"
        findings.append(finding("dandi.unpublishable", message))
    if has_errors(findings):
        return Report.of("publish", [*material.outcomes, *_list_tree(tree, "not sent")], findings)
    tool = _find_dandi(request, findings)
    there = _look_up(dandiset, request, profile, findings)
    if not volumes and any(one.zarr_id for one in there.values()):
        message = f"dandiset {dandiset.identifier} holds a Zarr already: it stays a draft as long as it exists"
        findings.append(finding("dandi.unpublishable", message))
    if has_errors(findings):
        return Report.of("publish", [*material.outcomes, *_list_tree(tree, "not sent")], findings)
    tables = _fetch_tables(dandiset, there) if volumes else {}
    placed = sorted(tree.placed, key=lambda one: one.path) + list_bids_files(volumes, profile, people, tables)
    with make_copies(placed, state, progress) as sent:
        shipments = prepare(sent, there, state, progress)
        bids = list_bids_files(volumes, profile, people, {})
        described = _validate(workspace, shipments, bids, findings, tool) if tool else {}
        records = Records(workspace, dandiset, opened)
        if has_errors(findings) or request.dry_run:
            if not request.key:
                records.recognise(shipments)
            return Report.of("publish", [*material.outcomes, *(_make_outcome(s, s.state) for s in shipments)], findings)
        outcomes = [*material.outcomes, *_send_all(dandiset, shipments, described, state, progress)]
    _state_metadata(dandiset, draft_metadata(profile, people))
    there = dandiset.list_assets()
    findings += _compare(dandiset, shipments, there)
    if not has_errors(findings):
        outcomes += records.keep(shipments, there)
        forget_fetched(workspace)
    return Report.of("publish", outcomes, findings)


def _send_all(
    dandiset: Dandiset,
    shipments: Sequence[Shipment],
    described: Mapping[str, Mapping[str, Any]],
    state: Path,
    progress: Progress,
) -> Iterator[Outcome]:
    for shipment in track(progress, "send", shipments, lambda shipment: shipment.placed.path):
        placed = shipment.placed
        if not shipment.is_there:
            send(dandiset, shipment, described.get(placed.path) or describe_animal(placed), state, progress)
        done = "there already" if shipment.is_there else "replaced" if shipment.before else "sent"
        yield _make_outcome(shipment, done)


def _check_license(profile: Profile) -> list[Finding]:
    if not profile.license.strip() or profile.license in LICENSES:
        return []
    message = f"the dataset stands under {profile.license}; DANDI takes {' and '.join(LICENSES)} alone"
    return [finding("dandi.license", message, value=profile.license)]


def _check_people(people: Sequence[Person], profile: Profile) -> list[Finding]:
    """What keeps a dandiset from being published later, but not from being sent."""
    bad = [person.name for person in people if not _NAME.fullmatch(person.name)]
    found = [finding("dandi.person", f"{name!r} is not written as 'Family, Given'", value=name) for name in bad]
    contact = next((person for person in profile.people if person.name == profile.contact), None)
    if profile.contact and (contact is None or not contact.email):
        what = "has no email" if contact else "is none of [[people]]"
        message = f"the contact of the dataset, {profile.contact!r}, {what}"
        found.append(finding("dandi.person", message, value=profile.contact))
    return found


def _find_dandi(request: DandiRequest, findings: list[Finding]) -> Environment | None:
    """The program dandi, which is looked for before anything is read; a dry run may go without it."""
    try:
        return find_tool(NAME)
    except Problem as bad:
        if not request.dry_run:
            raise
        findings.append(replace(bad.finding, severity=Severity.WARNING))
        return None


def _look_up(
    dandiset: Dandiset, request: DandiRequest, profile: Profile, findings: list[Finding]
) -> dict[str, RemoteAsset]:
    """What the draft holds, after a look at the account, the schema and the licence there; a dry run may go without."""
    if request.dry_run and not request.key:
        return {}
    dandiset.check_account()
    archive = dandiset.archive
    schema = str((archive.get("/info/") or {}).get("schema_version", ""))
    if schema != SCHEMA:
        message = f"{archive.instance.name} has version {schema or 'unknown'} of the schema; {SCHEMA} is written"
        findings.append(finding("dandi.schema", message, value=schema, expected=SCHEMA))
    if other := find_other_license(dandiset.read_metadata(), profile):
        message = f"dandiset {dandiset.identifier} stands under {other}, the dataset under {profile.license}"
        findings.append(finding("dandi.license", message, value=other, expected=profile.license))
    return dandiset.list_assets()


def _fetch_tables(dandiset: Dandiset, there: Mapping[str, RemoteAsset]) -> dict[str, str]:
    """The tables of animals and samples that the dandiset has already."""
    paths = [path for path in (PARTICIPANTS, SAMPLES) if path in there]
    return {path: dandiset.archive.fetch_asset(there[path].asset_id).decode("utf-8", "replace") for path in paths}


def _validate(
    workspace: Workspace,
    shipments: Sequence[Shipment],
    bids: Sequence[PlacedResult],
    findings: list[Finding],
    tool: Environment,
) -> dict[str, dict[str, Any]]:
    """Have dandi read what is to be sent; what it says of each file, by path.

    Parameters
    ----------
    bids
        What describes the volumes of this upload alone: dandi sees no others.
    """
    wanted = [s.placed for s in shipments if not s.is_there and s.placed.asset.kind in KINDS_SENT]
    # A session needs its videos beside it, and volumes the tables that name all of them.
    if any(one.series for one in wanted):
        wanted += [s.placed for s in shipments if s.placed.asset.kind == RAW]
    if any(one.volume for one in wanted):
        wanted = [one for one in wanted if not one.volume]
        wanted += [s.placed for s in shipments if s.placed.volume]
        wanted += bids
    if not wanted:
        return {}
    found, described = ask_dandi(wanted, workspace.profile.title, workspace.waivers, tool)
    findings += found
    return described


def _state_metadata(dandiset: Dandiset, draft: Mapping[str, Any]) -> None:
    """Add to what is said of the dandiset what is missing there."""
    before = dandiset.read_metadata()
    merged = merge_metadata(before, draft)
    if merged != before:
        dandiset.archive.put(dandiset.path, {"metadata": merged, "name": str(merged.get("name", ""))})


def _compare(dandiset: Dandiset, shipments: Sequence[Shipment], there: Mapping[str, RemoteAsset]) -> Iterator[Finding]:
    """What the archive has by now and what was sent; each shipment learns what lies at its path."""
    for shipment in shipments:
        path = shipment.placed.path
        shipment.before = there.get(path)
        if shipment.before is None:
            yield finding("dandi.gone", f"{path} was sent and is not there", file=path)
        elif not shipment.is_there:
            digest = shipment.before.digest
            message = f"{path} has the digest {digest or 'none'} at {dandiset.archive.instance.name}"
            yield finding("dandi.differs", message, file=path, value=digest, expected=shipment.digest)


def _list_tree(tree: Tree, done: str) -> list[Outcome]:
    return [Outcome(one.path, done, one.asset.name) for one in tree.placed]


def _make_outcome(shipment: Shipment, done: str) -> Outcome:
    name = shipment.placed.asset.name
    facts = {"bytes": shipment.size, "digest": shipment.digest, "name": name}
    if shipment.before is not None:
        facts["asset"] = shipment.before.asset_id
    return Outcome(shipment.placed.path, done, f"{shipment.size} bytes{f', {name}' if name else ''}", (), facts)
