"""The dataset folder and its ``neuropress.toml``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .model.budget import TOML_BYTES, read_file
from .model.credits import check_credits, parse_credits
from .model.finding import Finding, Problem, Severity, finding, problem
from .model.images import parse_images
from .model.job_cluster import JobCluster, parse_job_cluster
from .model.key_patterns import find_stars, matches_key
from .model.labels import parse_label_files
from .model.packing import PACKING, Packing
from .model.parsing import parse_toml
from .model.people import Person, check_people, merge_people
from .model.profile import GENERIC, Lab, Profile, check_lab, check_layout, list_shipped_profiles, load_profile
from .model.source import SourceRoots
from .readers import check_reader_options
from .readers.format import CLOCK
from .results import KINDS, TARGETS, find_kind_by_suffix
from .storage.aws import check_endpoint, find_endpoint
from .storage.folder import get_local_folder, normalise_bucket_url, overlap_prefixes
from .storage.remote import BucketPath, ResultPath
from .storage.roots import Bucket, open_root
from .tables import TableSources, check_schemas
from .tables.settings import parse_table_sources

type Named = str | os.PathLike[str] | BucketPath
"""A result as a person names it; see `find_result`."""

FILE = "neuropress.toml"
DEFAULT_PROFILE = GENERIC
LAB_REQUIRED = ("name", "institution", "timezone")
LAB_ENTRIES = (*LAB_REQUIRED, "folder")
"""What ``neuropress.toml`` may say of a lab itself, beside defaults."""
DATASET_ENTRIES = ("title", "license", "description", "contact")
LAB_DEFAULTS = ("keywords",)
"""Defaults that only a lab can have."""
_MOST_TEXT = 4096
KNOWN: Mapping[str, type | tuple[type, ...]] = {
    "profile": str,
    "profile_version": str,
    "dataset": dict,
    "labels": dict,
    "cluster": dict,
    "points": dict,
    "images": dict,
    "source": dict,
    "output": dict,
    "tables": (dict, list),
    "labs": dict,
    "options": dict,
    "publish": dict,
    "split": dict,
    **dict.fromkeys(("people", "funding", "related"), list),
}


@dataclass(frozen=True, slots=True)
class Config:
    """What ``neuropress.toml`` says, with the profile loaded.

    Attributes
    ----------
    root
        The dataset folder.
    profile
        With the lab overrides of this dataset applied.
    roots
        Source roots: absolute folders, and ``s3://bucket/prefix`` as text.
    tables
        Where the metadata tables are.
    options
        Key of a raw object, or pattern of keys (``yuste/*/ephys/raw/*.ibw``) -> options of its reader.
    publish
        Defaults of `publish` (``to``).
    findings
        What `check` tells about the settings themselves.
    endpoint
        Of the buckets among the roots; None for that of the AWS environment.
    buckets
        Target -> ``s3://bucket/prefix`` where its results lie instead of `output`.
    output_endpoint
        Of those buckets; None for that of the AWS environment.
    scratch
        Folder of the state where there is no dataset: the results lie in `root` itself then.
    people
        Those whom ``neuropress.toml`` itself lists; the profile has them too.
    cluster
        Jobs that may do the work.
    """

    root: Path
    profile: Profile
    roots: tuple[Path | str, ...]
    tables: TableSources
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    publish: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    endpoint: str | None = None
    buckets: Mapping[str, str] = field(default_factory=dict)
    output_endpoint: str | None = None
    scratch: Path | None = None
    people: tuple[Person, ...] = ()
    cluster: JobCluster | None = None

    @property
    def output(self) -> Path:
        """Folder of the results that lie on this machine, and of those that are on their way to a bucket."""
        return self.root if self.scratch else self.root / "output"

    def list_outputs(self) -> dict[ResultPath, frozenset[str]]:
        """Every place of results with the targets whose results lie there; a bucket is seen as it is from now on."""
        places: dict[ResultPath, frozenset[str]] = {self.output: frozenset(TARGETS) - self.buckets.keys()}
        for target, url in self.buckets.items():
            place = BucketPath(Bucket(url, self.output_endpoint), "")
            places[place] = places.get(place, frozenset()) | {target}
        return places

    def locate_result(self, kind: str, path: str) -> ResultPath:
        """Where a result of a kind lies or will lie, by its path below the output; see `list_outputs`."""
        url = self.buckets.get(KINDS[kind].target)
        if url is None:
            return self.output / path
        return BucketPath(Bucket(url, self.output_endpoint), path, KINDS[kind].last_files)

    @property
    def state(self) -> Path:
        """Folder of the caches, the lock and the log; may be deleted at any time."""
        return self.scratch or self.root / ".neuropress"

    def find_options(self, key: str) -> dict[str, Any]:
        """Options of a raw object's reader: of each pattern that it matches, a later one last, its own after all."""
        found: dict[str, Any] = {}
        for pattern, entries in self.options.items():
            if matches_key(pattern, key):
                found |= _fill_clock(pattern, key, entries)
        return found | dict(self.options.get(key, {}))

    def choose_image(self, key: str, image: str) -> Config:
        """These settings with one image of a raw object chosen."""
        return dataclasses.replace(self, options={**self.options, key: {**self.options.get(key, {}), "image": image}})

    def sources(self) -> SourceRoots:
        """The openers of raw bytes, which see buckets as they are from now on."""
        roots = tuple(open_root(root, self.endpoint) for root in self.roots)
        trusted = tuple(key for key, entries in self.options.items() if entries.get("trust") is True)
        return SourceRoots(roots, self.state / "fragments", trusted)


def load_config(root: Path) -> Config:
    """Read a dataset's ``neuropress.toml``.

    Raises
    ------
    Problem
        ``dataset.none``: no such file here; ``dataset.config``: it is not TOML, or has an
        entry that is not known.
    """
    path = root / FILE
    try:
        data = parse_toml(read_file(path, TOML_BYTES).decode("utf-8"))
    except FileNotFoundError:
        raise problem("dataset.none", f"{root} is no neuropress dataset: it has no {FILE}", file=str(path)) from None
    except ValueError as error:
        raise problem("dataset.config", f"{path}: {error}", file=str(path)) from error
    for name, value in data.items():
        if name not in KNOWN or not isinstance(value, KNOWN[name]):
            known = ", ".join(KNOWN)
            raise problem("dataset.config", f"{path}: {name!r} is not an entry it may have ({known})", file=str(path))
    _check_texts(data, path)
    profile = open_profile(data.get("profile", DEFAULT_PROFILE), root)
    _check_entries(data, profile, path)
    profile = dataclasses.replace(profile, **data.get("dataset", {}))
    profile = _with_layout(profile, data, path)
    people = (stated := _read_credits(data, path)).pop("people", ())
    profile = dataclasses.replace(profile, people=merge_people(people, profile.people), **stated)
    version = data.get("profile_version", profile.version)
    config = Config(
        root.resolve(),
        add_labs(profile, data.get("labs", {}), path),
        _roots(root, data.get("source", {}), path),
        parse_table_sources(root.resolve(), data.get("tables", {}), path),
        data.get("options", {}),
        data.get("publish", {}),
        (
            *(() if version == profile.version else (_other_version(version, profile, path),)),
            *check_people(profile.people, path.name),
            *check_credits(profile.funding, profile.related, path.name),
        ),
        data.get("source", {}).get("endpoint"),
        buckets=_parse_output(data.get("output", {}), path),
        output_endpoint=data.get("output", {}).get("endpoint"),
        people=people,
        cluster=_read_cluster(data.get("cluster", {}), path),
    )
    _check_apart(config, path)
    return config


def _roots(root: Path, entry: Mapping[str, Any], path: Path) -> tuple[Path | str, ...]:
    """The entries of ``[source]``: folders, which start at the dataset, and buckets."""
    roots = entry.get("roots", ["source"])
    if not isinstance(roots, list) or not all(isinstance(r, str) for r in roots):
        what = "must be a list of folders and s3://bucket/prefix"
        raise problem("dataset.config", f"{path}: [source] roots {what}", file=str(path))
    found: list[Path | str] = []
    try:
        if "endpoint" in entry:
            check_endpoint(entry["endpoint"])
        for place in roots:
            is_bucket = "://" in place and get_local_folder(place) is None
            found.append(normalise_bucket_url(place) if is_bucket else (root / place).resolve())
    except Problem as bad:
        message = f"{path}: [source]: {bad.finding.message}"
        raise problem("dataset.config", message, hint=bad.finding.hint, file=str(path)) from bad
    return tuple(found)


def _parse_output(entry: Mapping[str, Any], path: Path) -> dict[str, str]:
    """The entries of ``[output]``: targets whose results go into a bucket."""
    found = {}
    for target, url in ((name, text) for name, text in entry.items() if name not in ("names", *PACKING)):
        try:
            if target == "endpoint":
                check_endpoint(url)
                continue
            if not url.startswith("s3://"):
                raise problem("storage.url", f"{target} = {url[:80]!r} is not s3://bucket/prefix")
            found[target] = normalise_bucket_url(url)
        except Problem as bad:
            message = f"{path}: [output]: {bad.finding.message}"
            raise problem("dataset.config", message, hint=bad.finding.hint, file=str(path)) from bad
        if not TARGETS[target].last_files:
            kind = TARGETS[target].label
            can = ", ".join(name for name, other in TARGETS.items() if other.last_files)
            message = f"{path}: [output] {target}: {kind} files are written to output/ only; in a bucket may lie: {can}"
            raise problem("dataset.config", message, file=str(path))
    return found


def _check_apart(config: Config, path: Path) -> None:
    """Refuse results among raw files, which are never written over. Raises `Problem` (``dataset.config``)."""
    if not config.buckets or find_endpoint(config.endpoint) != find_endpoint(config.output_endpoint):
        return
    for target, url in config.buckets.items():
        for root in config.roots:
            if isinstance(root, str) and overlap_prefixes(url, root):
                message = f"{path}: [output] {target} = {url} and the raw files at {root} lie inside one another"
                raise problem("dataset.config", message, file=str(path))


def open_profile(name: str, folder: Path) -> Profile:
    """A profile that is shipped or lies in `folder`, with its schemas checked.

    Raises
    ------
    Problem
        ``dataset.config``: there is none of this name, or it cannot be used.
    """
    place = str(folder / f"{name}.toml")
    try:
        profile = load_profile(name, folder)
        if (folder / f"{name}.toml").exists():
            check_schemas(profile)
        _check_suffixes(profile)
    except FileNotFoundError as error:
        base = f" (profile {name!r} extends it)" if "/" not in name and (folder / f"{name}.toml").exists() else ""
        missing = Path(error.filename or str(error)).stem
        hint = f"Name {' or '.join(list_shipped_profiles())}, or a profile {missing}.toml in the dataset's folder."
        raise problem("dataset.config", f"there is no profile {missing!r}{base}", hint=hint, file=place) from error
    except (TypeError, AttributeError, LookupError, ArithmeticError, ValueError, RecursionError) as error:
        raise problem("dataset.config", f"profile {name!r} cannot be used: {error}", file=place) from error
    return profile


def _check_suffixes(profile: Profile) -> None:
    """See that results of each kind are called as such results are. Raises `ValueError`."""
    for target, kind in TARGETS.items():
        path = profile.paths.get(target, kind.template)
        if not path.endswith(kind.suffix):
            raise ValueError(f"paths.{target}: {path[:80]!r} must end in {kind.suffix}")


def _check_texts(data: Any, path: Path) -> None:
    """Refuse texts that no path, address or name can hold."""
    for value in data.values() if isinstance(data, dict) else data:
        if isinstance(value, (dict, list)):
            _check_texts(value, path)
        elif isinstance(value, str) and (len(value) > _MOST_TEXT or "\0" in value):
            what = "a NUL" if "\0" in value else f"more than {_MOST_TEXT} characters"
            raise problem("dataset.config", f"{path}: the text {value[:40]!r} has {what}", file=str(path))


def _other_version(stated: str, profile: Profile, path: Path) -> Finding:
    message = f"{FILE} is written for version {stated} of profile {profile.name}; this is version {profile.version}"
    return finding("profile.version", message, value=stated, expected=profile.version, file=path.name)


def _check_entries(data: Mapping[str, Any], profile: Profile, path: Path) -> None:
    """Refuse misspelt entries: ignored, they would change results without a word."""
    defaults = {
        *profile.defaults,
        *LAB_ENTRIES,
        *LAB_DEFAULTS,
        *(c for spec in profile.tables.values() for c in spec.optional),
    }
    groups = [("source", data.get("source", {}), {"roots", "endpoint"}), ("publish", data.get("publish", {}), {"to"})]
    groups.append(("dataset", data.get("dataset", {}), set(DATASET_ENTRIES)))
    groups += [("output", data.get("output", {}), {"endpoint", "names", *PACKING, *TARGETS})]
    groups += [(f"labs.{lab}", entry, defaults) for lab, entry in data.get("labs", {}).items()]
    for name, entry, known in groups:
        if not isinstance(entry, dict):
            raise problem("dataset.config", f"{path}: [{name}] must be a table of entries", file=str(path))
        for key, value in entry.items():
            free = name.startswith("labs.") and key.startswith("modality_")
            if key not in known and not free:
                message = f"{path}: [{name}] {key} is none of {', '.join(sorted(known))}"
                raise problem("dataset.config", message, file=str(path))
            if key not in ("roots", "zstd_level", "chunks", "shards") and not isinstance(value, str):
                raise problem("dataset.config", f"{path}: [{name}] {key} must be a text, not {value!r}", file=str(path))
    for key, entry in data.get("options", {}).items():
        _check_reader_options(f'[options."{key}"]', entry, path)


def _check_reader_options(name: str, entry: Any, path: Path) -> None:
    if not isinstance(entry, dict):
        raise problem("dataset.config", f"{path}: {name} must be a table of entries", file=str(path))
    if complaint := check_reader_options(entry):
        hint = "neuropress formats lists every reader with its options."
        raise problem("dataset.config", f"{path}: {name} {complaint}", hint=hint, file=str(path))


def add_labs(profile: Profile, stated: Mapping[str, Mapping[str, str]], path: Path) -> Profile:
    """The profile with the dataset's own labs, and with what it says of the profile's.

    Raises
    ------
    Problem
        ``dataset.config``: a lab lacks an entry or has a bad one; `path` is the file that states it.
    """
    labs = dict(profile.labs)
    for initials, values in stated.items():
        own = {k: v for k, v in values.items() if k in LAB_ENTRIES}
        others = {k: v for k, v in values.items() if k not in LAB_ENTRIES}
        missing = [entry for entry in LAB_REQUIRED if entry not in values]
        if initials in labs:
            lab = dataclasses.replace(labs[initials], **dict[str, Any](own))
        elif missing:
            known = f"none of {', '.join(labs)}, and as a lab of this dataset" if labs else "a lab of this dataset, but"
            message = f"{path}: [labs.{initials}] is {known} it lacks {', '.join(missing)}"
            raise problem("dataset.config", message, hint=_hint_at_lab(initials), file=str(path))
        else:
            folder = own.get("folder", initials.lower())
            lab = Lab(initials, own["name"], folder, own["institution"], own["timezone"])
        labs[initials] = dataclasses.replace(lab, overrides={**lab.overrides, **others})
        try:
            check_lab(labs[initials])
        except ValueError as error:
            raise problem("dataset.config", f"{path}: {error}", file=str(path)) from error
    if not labs:
        message = f"{path} names no lab, and profile {profile.name} has none: no row could belong to anybody"
        raise problem("dataset.config", message, hint=_hint_at_lab("AB"), file=str(path))
    return profile.with_labs(labs, stated)


def check_license(profile: Profile, severity: Severity | None = None) -> list[Finding]:
    """The finding that no licence is stated, without which nothing is published; an error, or of another severity."""
    if profile.license.strip():
        return []
    message = f"no license stands below [dataset] in {FILE}: publish refuses without"
    return [finding("release.license", message, severity=severity, file=FILE)]


def _hint_at_lab(initials: str) -> str:
    entries = 'name = "Smith lab", institution = "University of X", timezone = "Europe/Berlin"'
    return f"Add to {FILE}: [labs.{initials}] with {entries}."


def _fill_clock(pattern: str, key: str, entries: Mapping[str, Any]) -> Mapping[str, Any]:
    """Entries of a pattern with ``{1}``, ``{2}`` in a declared clock replaced by what its ``*``s stand for."""
    if "{" not in entries.get(CLOCK.name, "") or pattern == key:
        return entries
    clock = entries[CLOCK.name]
    for number, text in enumerate(find_stars(pattern, key), 1):
        clock = clock.replace(f"{{{number}}}", text)
    return {**entries, CLOCK.name: clock}


def _read_credits(data: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The entries ``[[people]]``, ``[[funding]]`` and ``[[related]]``, where there are any."""
    try:
        return parse_credits(data)
    except TypeError as error:
        raise problem("dataset.config", f"{path}: {error}", file=str(path)) from error


def _read_cluster(entry: Mapping[str, Any], path: Path) -> JobCluster | None:
    try:
        return parse_job_cluster(entry)
    except ValueError as error:
        raise problem("dataset.config", f"{path}: {error}", file=str(path)) from error


def _with_layout(profile: Profile, data: Mapping[str, Any], path: Path) -> Profile:
    """The profile with what the dataset says of sessions' files, names and packing of files, labels and points."""
    split, output = data.get("split", {}), {"names": profile.names, **data.get("output", {})}
    try:
        packing = Packing.parse({**profile.packing.list_stated(), **output})
        check_layout(split, output["names"], packing)
        labels, images = parse_label_files(data), parse_images(data.get("images", {}))
    except ValueError as error:
        raise problem("dataset.config", f"{path}: {error}", file=str(path)) from error
    readers = {pattern: entry["reader"] for pattern, entry in data.get("options", {}).items() if "reader" in entry}
    split = {**profile.split, **split}
    profile = dataclasses.replace(profile, split=split, names=output["names"], packing=packing, labels=labels)
    return dataclasses.replace(profile, readers=readers, images=images)


def find_dataset(path: Path) -> Path | None:
    """The dataset folder that holds `path`: itself or the nearest parent with ``neuropress.toml``."""
    folders = (path.resolve(), *path.resolve().parents)
    return next((folder for folder in folders if (folder / FILE).is_file()), None)


def find_result(named: Named) -> ResultPath:
    """The result that a person names: by its path, by its URL, or by the path that it would have below ``output/``.

    Raises
    ------
    Problem
        ``storage.url``, or ``dataset.config`` where it lies in a dataset whose settings cannot be used.
    """
    if isinstance(named, BucketPath):
        return named
    name = os.fspath(named)
    kind = find_kind_by_suffix(name.rstrip("/"))
    if name.startswith("s3://"):
        return BucketPath.of_url(normalise_bucket_url(name), kind.last_files if kind else ())
    path = Path(name)
    # A link that leads nowhere, or to itself, is what is named, and is told of when it is opened.
    folder = find_dataset(path) if kind and not path.exists() and not path.is_symlink() else None
    if kind is None or folder is None:
        return path
    config = load_config(folder)
    if not path.resolve().is_relative_to(config.output):
        return path
    return config.locate_result(kind.name, path.resolve().relative_to(config.output).as_posix())
