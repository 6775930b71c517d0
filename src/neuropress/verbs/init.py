"""``init``: an empty dataset."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from ..config import FILE, add_labs, open_profile
from ..model.finding import problem
from ..model.toml import format_toml_text
from ..storage.state import write_atomic
from ..tables import write_headers
from ..workspace import Workspace

TEMPLATE = """\
# A neuropress dataset. Every entry may be left out; what is commented shows the default.

profile = "{profile}"
profile_version = "{version}"

# What a release says of the whole; without a licence nothing is published:
{dataset}

[source]
# Where raw files are looked up, in this order: folders, shares, read-only folders, and
# prefixes of S3 buckets as "s3://bucket/prefix". Relative paths start here.
roots = ["source"]
# endpoint = "https://s3.example.org"     # of a bucket that is not at AWS

# [output]
# names = "dandi"                         # files of sessions are named as dandi organize names them
# zstd_level = 1                          # how hard volumes are packed, 1 to 9
# volume = "s3://bucket/prefix"           # OME-Zarr volumes go there; everything else goes to output/
# endpoint = "https://s3.example.org"

# [tables]
# source = "tables"          # a folder of CSV, TSV or JSON Lines files, a .xlsx or SQLite file,
#                            # or postgresql://user@host:5432/database
# encoding = "utf-8"
# delimiter = ";"
# Tables may be kept in several places, as a file for each lab; their rows are read one after the other:
# [[tables]]
# source = "tables/smith.xlsx"
# [[tables]]
# source = "tables/jones"

# Each lab, by the initials that its keys begin with; what it states beside its name holds where no table says
# otherwise, and is marked "dataset default" in the results (neuropress docs profiles):
# [labs.AB]
# name = "Smith lab"
# institution = "University of X"
# timezone = "Europe/Berlin"
# folder = "ab"                     # the first level of its paths
# species = "Mus musculus"
# modality_calcium = "two-photon"

{labs}
# What a raw file does not say about itself, by its key (neuropress docs formats lists the options):
# [options."yuste/20250620/image/raw/movie.tif"]
# axes = "tyx"
# or of all whose key a pattern matches:
# [options."yuste/*/ephys/raw/*.ibw"]
# clamp = "current clamp"

# How names in the tables are written in standards; a name that is not listed is written as typed:
# [[people]]
# name = "Lovelace, Ada"
# typed = ["Ada Lovelace", "A. Lovelace"]
# orcid = "0000-0002-1825-0097"

# Rows of a converter in a file of their own beside the session's, named <session>_<part>.nwb:
# [split]
# imaging = "ophys"

# Which images of a file of several a volume's row is about; a list makes a volume of each:
# [images]
# AB_SD_0001 = "2"
# AB_SD_0002 = ["1", "overview"]

# Masks that are labels of a volume, and points in it ([points...]), by the key of its row (neuropress docs volumes):
# [labels.AB_SD_0001.nuclei]
# path = "smith/20250620/cell_detection_dataset/raw/nuclei.tif"
# classes = "smith/20250620/cell_detection_dataset/raw/classes.csv"

# Jobs of a batch system in which convert --dask cluster works (neuropress docs clusters):
# [cluster]
# kind = "slurm"
# jobs = 16
# cores = 4
# memory = "16GB"

[publish]
# to = "s3://bucket/prefix"
"""
IGNORED = """\
# Written by neuropress init: what is large or can be made again. Tables and settings belong under version control.
/source/
/output/
/.neuropress/
"""
EXAMPLES = {"title": "Dendrites of layer 5", "license": "CC-BY-4.0"}


def make_dataset(
    root: Path,
    profile: str,
    optional: Collection[str] = (),
    labs: Mapping[str, Mapping[str, str]] | None = None,
    about: Mapping[str, str] | None = None,
) -> Workspace:
    """Make an empty dataset; see `neuropress.api.Dataset.init` for parameters and errors."""
    if (root / FILE).exists():
        raise problem("dataset.exists", f"{root / FILE} exists already", file=str(root))
    loaded = add_labs(open_profile(profile, root), labs or {}, root / FILE)
    for table in optional:
        if table not in loaded.tables:
            known = ", ".join(name for name, spec in loaded.tables.items() if spec.optional_table) or "none"
            message = f"profile {profile!r} has no table {table!r}; its optional tables: {known}"
            raise problem("dataset.config", message, value=table)
    for folder in ("tables", "source", "output"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    write_headers(root / "tables", loaded, optional)
    if not (root / ".gitignore").exists():
        write_atomic(root / ".gitignore", IGNORED)
    stated = "".join(_format_lab(initials, entries) for initials, entries in (labs or {}).items())
    dataset = _format_about(about or {})
    write_atomic(root / FILE, TEMPLATE.format(profile=profile, version=loaded.version, dataset=dataset, labs=stated))
    return Workspace.open(root)


def _format_about(about: Mapping[str, str]) -> str:
    """The section of the whole dataset; what is not stated stands there as a commented example."""
    entries = [f"{name} = {format_toml_text(text)}" for name, text in about.items() if text]
    examples = [f'# {name} = "{text}"' for name, text in EXAMPLES.items() if not about.get(name)]
    return "\n".join(["[dataset]" if entries else "# [dataset]", *entries, *examples])


def _format_lab(initials: str, entries: Mapping[str, str]) -> str:
    lines = [f"[labs.{initials}]", *(f"{name} = {format_toml_text(text)}" for name, text in entries.items())]
    return "\n".join((*lines, "", ""))
