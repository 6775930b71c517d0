"""``publish --dandi`` of a whole dataset, to an archive in memory; what dandi itself would say is said in its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bucket_results import run
from builder import Builder, abf, slices
from dandi_archive import KEY, FakeArchive
from servers import Target
from stub_dandi import SETTINGS, StubDandi, order

from neuropress.archive.instances import INSTANCES
from neuropress.config import load_config
from neuropress.model.finding import Severity, finding
from neuropress.storage import failures

SESSION = "sub-RY-M-0001/sub-RY-M-0001_ses-RY-S-0001_icephys.nwb"
VOLUME = "microscopy/sub-RYM0001/micr/sub-RYM0001_sample-JLSD0001_SEM.ome.zarr"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A session and a volume, converted; tests leave tables and results as they are."""
    from neuropress.cli.main import main

    folder = tmp_path_factory.mktemp("dandi")
    build = Builder(folder / "ds")
    (build.root / "neuropress.toml").write_text(SETTINGS, "utf-8")
    build.session(1)
    build.ephys(abf(folder / "e.abf"), "20000")
    build.sem(slices(folder / "slices"))
    assert main(["run", "-q", str(build.root)]) == 0
    return build


def test_sent_once(lab: Builder, fake: FakeArchive, stub: StubDandi, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys, *order(lab, fake, "--dry-run"))
    assert (status, fake.assets, text.count("would send")) == (0, {}, 9 + 1), text
    assert "dandi.unpublishable" in text
    status, text = run(capsys, *order(lab, fake))
    assert status == 0, text
    assert {SESSION, VOLUME} < set(fake.assets)
    written = next((lab.root / "output").rglob("RY_S_0001.nwb")).read_bytes()
    assert fake.blobs[fake.assets[SESSION]["blob"]][1] == written
    assert fake.assets[SESSION]["sent"]["told"] == 1
    volume = next((lab.root / "output").rglob("*.ome.zarr"))
    files = {p.relative_to(volume).as_posix(): p.read_bytes() for p in volume.rglob("*") if p.is_file()}
    assert fake.zarrs[fake.assets[VOLUME]["zarr"]].files == files
    assert all(shown for one in stub.shown for shown in one.values())

    def read(name: str) -> str:
        return fake.blobs[fake.assets[f"microscopy/{name}"]["blob"]][1].decode()

    assert read("participants.tsv").splitlines() == [
        "participant_id\tsource_id\tspecies\tstrain\tsex",
        "sub-RYM0001\tRY_M_0001\tMus musculus\tC57BL/6J\tF",
    ]
    assert read("samples.tsv").splitlines()[1] == "sample-JLSD0001\tsub-RYM0001\ttissue\tJL_SD_0001"
    assert json.loads(read("dataset_description.json"))["Funding"] == ["A funder U19"]
    sidecar = json.loads(read(f"{VOLUME.removeprefix('microscopy/').removesuffix('.ome.zarr')}.json"))
    assert (sidecar["PixelSize"], sidecar["PixelSizeUnits"]) == ([4.0, 4.0], "nm")
    assert fake.metadata["name"] == "Ours"
    person, funder = fake.metadata["contributor"]
    assert (person["identifier"], person["email"]) == ("0000-0002-1825-0097", "ada@example.org")
    assert "dcite:ContactPerson" in person["roleName"]
    assert (funder["awardNumber"], funder["roleName"]) == ("U19", ["dcite:Funder"])
    assert fake.metadata["relatedResource"][0]["relation"] == "dcite:IsDescribedBy"


def test_a_release_records_what_lies_there_and_is_compared(
    lab: Builder,
    fake: FakeArchive,
    stub: StubDandi,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(capsys, *order(lab, fake))[0] == 0
    puts = sum(method == "PUT" for method, *_ in fake.seen)
    target = str(tmp_path / "rel")
    assert run(capsys, "publish", str(lab.root), "--to", target, "--release", "1.0.0")[0] == 0
    status, text = run(capsys, *order(lab, fake, "--to", target, "--release", "1.0.0"))
    assert (status, text.count("there already")) == (0, 9 + 1), text
    assert sum(method == "PUT" for method, *_ in fake.seen) == puts
    record = json.loads((tmp_path / "rel/releases/1.0.0/dandi/000123.json").read_bytes())
    assert record["assets"][SESSION]["asset_id"] == fake.assets[SESSION]["asset_id"]
    assert record["assets"][VOLUME]["digest"] == fake.zarrs[fake.assets[VOLUME]["zarr"]].checksum
    status, text = run(capsys, "releases", "verify", target)
    assert (status, "9 files have the archive's digests" in text) == (0, True), text
    _, data = fake.blobs[fake.assets[SESSION]["blob"]]
    fake.blobs[fake.assets[SESSION]["blob"]] = ("0" * 32 + "-1", data)
    status, text = run(capsys, "releases", "verify", target)
    assert (status, "dandi.differs" in text, SESSION in text) == (1, True, True), text
    fake.before = lambda number, method, path: (404, "gone")
    status, text = run(capsys, "releases", "verify", target)
    assert (status, "dandi.unreachable" in text) == (0, True), text
    assert not fake.seen[-1][2]  # whoever can write to the store has written this address
    monkeypatch.setitem(INSTANCES, "known", f"{fake.url}/api")
    assert run(capsys, "releases", "verify", target)[0] == 0
    assert fake.seen[-1][2]
    assert run(capsys, "releases", "get", target, str(tmp_path / "again"))[0] == 0
    ours, again = (load_config(folder).profile for folder in (lab.root, tmp_path / "again"))
    for name in ("description", "contact", "people", "funding", "related"):
        assert getattr(again, name) == getattr(ours, name), name
    kept = [path for folder in (lab.root, tmp_path) for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]


def test_what_others_sent_stays_in_the_tables_of_volumes(
    lab: Builder, fake: FakeArchive, stub: StubDandi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, *order(lab, fake, "--only", "ome-zarr"))[0] == 0
    asset = fake.assets["microscopy/participants.tsv"]
    theirs = b"participant_id\tage\nsub-X\t3\nsub-RYM0001\t4\n"
    fake.blobs[asset["blob"]] = ("0" * 32 + "-1", theirs)
    status, text = run(capsys, *order(lab, fake, "--only", "ome-zarr"))
    assert (status, SESSION in fake.assets) == (0, False), text
    table = fake.blobs[fake.assets["microscopy/participants.tsv"]["blob"]][1].decode().splitlines()
    assert table[0] == "participant_id\tsource_id\tspecies\tstrain\tsex\tage"
    assert table[1].startswith("sub-RYM0001\tRY_M_0001")
    assert table[2] == "sub-X\tn/a\tn/a\tn/a\tn/a\t3"
    # dandi is shown the tables of what it is shown, nothing of others.
    assert "participants.tsv" in str(stub.shown[-1])


@pytest.mark.parametrize(
    ("old", "new", "id"),
    [
        ('title = "Ours"', 'title = "Ours"\nlicense = "CC-BY-NC-4.0"', "dandi.license"),
        ('title = "Ours"', 'title = "Ours"\nlicense = ""', "release.license"),
        ('contact = "Example, Ada"', 'contact = "Nobody, N"', "dandi.person"),
        ('relation = "IsDescribedBy"', 'relation = "paper"', "dataset.credits"),
    ],
)
def test_what_the_settings_lack_is_said_before_anything_is_sent(
    lab: Builder, fake: FakeArchive, stub: StubDandi, capsys: pytest.CaptureFixture[str], old: str, new: str, id: str
) -> None:
    settings = lab.root / "neuropress.toml"
    settings.write_text(SETTINGS.replace(old, new), "utf-8")
    try:
        status, text = run(capsys, *order(lab, fake, *(("--dry-run",) if id == "dandi.person" else ())))
    finally:
        settings.write_text(SETTINGS, "utf-8")
    assert (status, id in text) == (0 if id == "dandi.person" else 1, True), text
    assert not fake.assets
    assert not any(method != "GET" for method, *_ in fake.seen)


def test_missing_subject_fields_name_their_row(
    lab: Builder,
    fake: FakeArchive,
    stub: StubDandi,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from neuropress.results.nwb import naming

    facts = naming.FileFacts("RY_M_0001", "RY_S_0001", "", "F", "", SESSION)
    monkeypatch.setattr(naming, "read_facts", lambda file: facts)
    status, text = run(capsys, *order(lab, fake, "--only", "nwb"))
    assert status == 1
    assert "table session line 2 RY_S_0001" in text
    assert "subject RY_M_0001 has no species, no age or date of birth" in text
    monkeypatch.setattr(naming, "read_facts", lambda file: naming.FileFacts("", "", "", "", "", None))
    status, text = run(capsys, *order(lab, fake, "--only", "nwb"))
    assert (status, "dandi.session" in text, fake.seen) == (1, True, []), text


def test_errors_of_dandi_and_of_the_account_send_nothing(
    lab: Builder,
    fake: FakeArchive,
    stub: StubDandi,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stub.says = [(Path(SESSION), finding("dandi.refused", "the age is odd"))]
    status, text = run(capsys, *order(lab, fake, "--only", "nwb"))
    assert (status, "the age is odd" in text, fake.assets) == (1, True, {}), text
    stub.says = []
    fake.metadata["license"] = ["spdx:CC0-1.0"]
    fake.schema = "9.9.9"
    status, text = run(capsys, *order(lab, fake, "--only", "nwb"))
    assert (status, "dandi.license" in text, "dandi.schema" in text, fake.assets) == (1, True, True, {}), text
    monkeypatch.setenv("DANDI_API_KEY", "wrong")
    status, text = run(capsys, *order(lab, fake))
    assert (status, "dandi.key" in text, fake.assets) == (1, True, {}), text
    monkeypatch.delenv("DANDI_API_KEY")
    status, text = run(capsys, *order(lab, fake))
    assert (status, "without the key" in text, fake.assets) == (1, True, {}), text
    asked = len(fake.seen)
    assert run(capsys, *order(lab, fake, "--dry-run"))[0] == 0  # shows the tree, and asks nobody
    assert len(fake.seen) == asked


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"owner": False}, "the account ada is no owner of dandiset 000123"),
        ({"owner": False, "embargo": "EMBARGOED"}, "is embargoed, and this account is no owner"),
        ({"embargo": "UNEMBARGOING"}, "is being opened"),
        ({"status": "PENDING"}, "it is PENDING"),
    ],
)
def test_who_may_not_send_is_told_before_anything_is_read(
    lab: Builder,
    fake: FakeArchive,
    stub: StubDandi,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    said: str,
) -> None:
    for name, value in change.items():
        setattr(fake, name, value)
    status, text = run(capsys, *order(lab, fake, "--only", "nwb"))
    assert (status, text.count("dandi.owner"), said in text, stub.shown) == (1, 1, True, []), text
    assert all(method == "GET" for method, *_ in fake.seen)


def test_a_dandiset_that_holds_a_volume_is_called_what_it_is(
    lab: Builder, fake: FakeArchive, stub: StubDandi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, *order(lab, fake, "--only", "ome-zarr"))[0] == 0
    status, text = run(capsys, *order(lab, fake, "--only", "nwb", "--dry-run"))
    assert (status, "dandi.unpublishable" in text, "holds a Zarr already" in text) == (0, True, True), text


def test_what_dandi_warns_of_and_we_explain_is_explained(
    lab: Builder, fake: FakeArchive, stub: StubDandi, capsys: pytest.CaptureFixture[str]
) -> None:
    from neuropress.results import load_kind

    path = next((lab.root / "output").rglob("*.nwb"))
    ours = next(one for one in load_kind("nwb").validate(path) if one.hint.startswith("Explained"))
    says = replace(ours, id=ours.id.replace("nwbinspector:", "dandi:NWBI."), hint="", severity=Severity.ERROR)
    stub.says = [(Path(SESSION), says)]
    stub.says.append((Path(SESSION), replace(says, message="something else")))
    status, text = run(capsys, *order(lab, fake, "--only", "nwb", "--dry-run", "--json"))
    found = [json.loads(line) for line in text.splitlines() if '"dandi:' in line]
    assert [one["severity"] for one in found] == ["info", "error"], text
    assert (status, found[0]["hint"]) == (1, ours.hint)


def test_wrong_arguments_and_places_are_one_plain_line(
    lab: Builder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ds = str(lab.root)
    for arguments, expected, said in (
        ((ds,), 2, "say which release with --release N, or which dandiset"),
        ((ds, "--dandi-instance", "dandi", "--release", "1.0.0", "--to", "x"), 2, "--dandi DANDISET"),
        ((ds, "--dandi", "000123", "--release", "1.0.0"), 2, "say where"),
        ((ds, "--dandi", "000123", "--allow-errors"), 2, "nothing with an error goes"),
        ((ds, "--dandi", "123", "--dry-run"), 1, "six digits"),
        ((ds, "--dandi", "000123", "--dandi-instance", "dandy", "--dry-run"), 1, "dandi.instance"),
        ((ds, "--dandi", "000123", "--release", "1.0.0", "--to", str(tmp_path)), 1, "release.none"),
    ):
        status, text = run(capsys, "publish", *arguments)
        assert (status, said in text) == (expected, True), text
    monkeypatch.setattr(failures, "PAUSES", ())
    monkeypatch.setenv("NEUROPRESS_TOOLS", str(tmp_path / "none"))
    status, text = run(capsys, "publish", ds, "--dandi", "000123", "--dry-run")
    assert (status, "tool.missing" in text, SESSION in text) == (0, True, True), text
    monkeypatch.setenv("DANDI_API_KEY", KEY)
    status, text = run(capsys, "publish", ds, "--dandi", "000123", "--dandi-instance", "http://127.0.0.1:9/api")
    assert (status, text.count("tool.missing")) == (1, 1), text  # before an archive is asked


@pytest.mark.s3
def test_of_a_release_in_a_bucket_files_are_fetched_and_volumes_read(
    lab: Builder, fake: FakeArchive, stub: StubDandi, bucket: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--to", bucket.url, "--release", "1.0.0", "--endpoint", str(bucket.endpoint))
    assert run(capsys, "publish", str(lab.root), *where)[0] == 0
    status, text = run(capsys, *order(lab, fake, *where))
    assert (status, "recorded" in text) == (0, True), text
    assert {SESSION, VOLUME} < set(fake.assets)
    assert not (lab.root / ".neuropress" / "fetched").exists()
    key = "releases/1.0.0/dandi/000123.json"
    assert key in bucket.objects()
    status, text = run(capsys, "releases", "verify", bucket.url, *where[-2:])
    assert (status, "9 files have the archive's digests" in text) == (0, True), text
    data = bucket.objects()
    name = next(name for name in data if name.endswith("RY_S_0001.nwb"))
    bucket.overwrite(name, data[name][:-1] + b"x")
    status, text = run(capsys, *order(lab, fake, *where))
    assert (status, "release.differs" in text) == (1, True), text
