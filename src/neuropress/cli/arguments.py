"""The whole command line: verbs and their options, with nothing behind them."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from .. import __version__
from ..model.labels import LABEL_TYPES
from ..model.packing import VERSIONS, Packing
from ..model.run_part import RunPart
from ..results import PUBLISHED
from .completion import SHELLS
from .examples import format_examples
from .publishing import add_dandi
from .releases import add_releases
from .tools import add_tools

FORMATS = ("text", "jsonl", "junit", "github")

VERBS = {
    "demo": "make an example dataset on the spot and take it through every step",
    "init": "make an empty dataset folder",
    "profiles": "what a dataset can begin with: labs, tables, defaults",
    "docs": "list the documentation's pages, or print one in the terminal",
    "formats": "which raw formats are read, with the options and facts of each",
    "inspect": "what a raw file holds, as its reader sees it; --png draws it",
    "add": "copy raw files to their place and draft a row for each",
    "status": "how every result stands, and what stands in the way",
    "check": "check the tables, and the tables against the raw files' headers",
    "facts": "write what the raw files' headers say, for checks where no raw file lies",
    "plan": "what convert would do, and why",
    "convert": "convert what is new or changed",
    "verify": "prove results against their raw files, sample by sample",
    "validate": "check results against NWB, DANDI and OME-NGFF rules",
    "run": "check, convert, verify, validate",
    "restructure": "write an OME-Zarr volume with other chunks, shards, packing or version, and prove it",
    "view": "show OME-Zarr volumes with their labels and points in a browser of this machine",
    "schema": "draft schemas and a profile from published attribute lists",
    "explain": "which cell, rule and version made a value of a result",
    "coverage": "where every cell of every table went, and that none was dropped",
    "export-tables": "rebuild the metadata tables from results or a release",
    "publish": "publish raw files and proven results as one immutable release",
    "tools": "programs that run in environments of their own: make, check and remove these",
    "completion": "write a script that completes verbs and options in a shell",
    "releases": "list, compare, verify, fetch and rebuild releases",
}


class _Parser(argparse.ArgumentParser):
    """Wrong usage ends with status 2 and one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="neuropress",
        description="Raw lab files and metadata tables in; proven NWB, OME-Zarr and versioned releases out.",
        epilog="Exit status: 0 fine, 1 findings of severity error, 2 wrong usage, 3 the machine or the network failed.",
    )
    top.add_argument("--version", action="version", version=f"neuropress {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    made = {name: _add_verb(verbs, name, text) for name, text in VERBS.items()}
    for name in ("status", "check", "plan", "convert", "run", "coverage", "facts", "publish", "profiles"):
        made[name].add_argument("dir", nargs="?", default=".", metavar="DIR", help="dataset folder (default: here)")
    for name in ("status", "check", "plan", "convert", "verify", "validate", "run"):
        _add_selection(made[name])
    for name in made.keys() - {"completion", "demo", "docs", "init", "schema", "releases", "tools", "view"}:
        made[name].add_argument("--json", action="store_true", help="one JSON object a line on standard output")
        loud = made[name].add_mutually_exclusive_group()
        loud.add_argument("-q", "--quiet", action="store_true", help="errors only, no progress")
        loud.add_argument("-v", "--verbose", action="store_true", help="infos, too")
    for name in ("convert", "run"):
        made[name].add_argument("--keep-going", action="store_true", help="write sessions without their bad rows")
    where = made["convert"].add_mutually_exclusive_group()
    for verb in (where, made["run"]):
        verb.add_argument("--workers", type=_positive, default=1, metavar="N", help="worker processes")
    where.add_argument("--part", type=_part, metavar="K/N", help="be the K-th of N runs that share the work")
    dask = "have the workers of a Dask scheduler do the work; cluster: in jobs, as [cluster] of neuropress.toml says"
    where.add_argument("--dask", default="", metavar="ADDRESS|cluster", help=dask)
    for name in ("plan", "convert"):
        what = "of each process; what needs more is refused, with the figure"
        made[name].add_argument("--memory", type=_size, default=0, metavar="SIZE", help=f"as 8G, {what}")
    for name in ("plan", "convert", "run"):
        made[name].add_argument("--outdated", action="store_true", help="rebuild what older rules made")
    for name, what in (("verify", "FILE"), ("validate", "PATH")):
        made[name].add_argument("paths", nargs="*", metavar=f"DIR|{what}", help="a dataset, or single results")
    made["coverage"].add_argument("--html", action="store_true", help="as a page on standard output")
    made["validate"].add_argument(
        "--dandi", action="store_true", help="have dandi validate NWB files, too (neuropress tools install dandi)"
    )
    made["formats"].add_argument("format", nargs="?", metavar="FORMAT", help="all about one of them")
    made["docs"].add_argument("topic", nargs="?", metavar="TOPIC", help="the page to print; default: list all")
    made["completion"].add_argument("shell", choices=SHELLS, help="whose")
    _single_options(made["convert"])
    _inspect_options(made["inspect"])
    _add_options(made["add"])
    _check_options(made["check"])
    made["status"].add_argument("--files", action="store_true", help="raw files and the cells that name them, instead")
    _verify_options(made["verify"])
    _restructure_options(made["restructure"])
    _view_options(made["view"])
    _demo_options(made["demo"])
    _init_options(made["init"])
    _schema_options(made["schema"])
    _explain_options(made["explain"])
    _export_tables_options(made["export-tables"])
    _publish_options(made["publish"])
    add_releases(made["releases"])
    add_tools(made["tools"])
    return top


def _add_verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=format_examples(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return made


def _single_options(verb: argparse.ArgumentParser) -> None:
    one = verb.add_argument_group("one raw file without a dataset: neuropress convert FILE --to OUT.nwb|OUT.ome.zarr")
    one.add_argument("--to", metavar="OUT", help="the result; DIR is a raw file or a folder of slices then")
    one.add_argument("--session-start", default="", metavar="TIME", help="as 2025-06-20T09:30; default: the header's")
    one.add_argument("--timezone", default="", metavar="ZONE", help="of the file's clock, as Europe/Berlin")
    one.add_argument("--session-id", default="", metavar="ID", help="default: the file's name")
    one.add_argument("--subject", default="", metavar="ID", help="the animal")
    one.add_argument("--species", default="", metavar="NAME", help='as "Mus musculus"')
    one.add_argument("--sex", default="", choices=("", "M", "F", "O"), help="of the animal")
    one.add_argument("--age", default="", metavar="P90D", help="of the animal, as an ISO 8601 duration")
    one.add_argument("--experimenter", default="", metavar="NAME", help="first and last name")
    one.add_argument("--lab-name", default="", metavar="NAME", help="of the lab")
    one.add_argument("--institution", default="", metavar="NAME", help="of the lab")
    one.add_argument("--experiment-description", default="", metavar="TEXT", help="what it was done for")
    one.add_argument("--keywords", default="", metavar="WORDS", help='as "patch clamp; cortex"')
    one.add_argument("--pixel-size", default="", metavar="UM", help="um a pixel, where the header does not tell")
    one.add_argument("--frame-rate", default="", metavar="HZ", help="of a movie, where the header does not tell")
    one.add_argument(
        "--set", action="append", default=[], metavar="TABLE.COLUMN=TEXT", help="any other cell, as ephys.notes=..."
    )
    _add_label_options(one)
    _add_packing_options(one, "--ome-zarr")
    _add_reader_options(one)


def _restructure_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "volume", metavar="VOLUME", help="an OME-Zarr of any program, in a folder or at s3://; it stays as it is"
    )
    verb.add_argument("--to", metavar="OUT", help="default: NAME.restructured.ome.zarr beside it")
    _add_packing_options(verb, "--version")


def _add_packing_options(verb: argparse._ActionsContainer, version: str) -> None:
    text = "of OME-Zarr; 0.4 has a file for each chunk; default: %(default)s"
    usual, level = VERSIONS[0], Packing().zstd_level
    verb.add_argument(version, dest="ome_zarr", default=usual, choices=sorted(VERSIONS), metavar="0.4|0.5", help=text)
    text = "of a volume, voxels; default: about 2**18 of them, by its shape"
    verb.add_argument("--chunks", type=_extents, default=(), metavar="Z,Y,X", help=text)
    text = "of a volume in 0.5, voxels; as large as the chunks: none; default: up to 8 chunks an axis"
    verb.add_argument("--shards", type=_extents, default=(), metavar="Z,Y,X", help=text)
    text = "how hard a volume is packed, 1 to 9; default: %(default)s"
    verb.add_argument("--zstd-level", type=_positive, default=level, metavar="N", help=text)


def _view_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("paths", nargs="+", metavar="VOLUME", help="an OME-Zarr folder, or its s3:// URL")
    verb.add_argument("--port", type=int, default=0, metavar="N", help="of 127.0.0.1; default: any that is free")
    verb.add_argument("--open", action="store_true", help="open this machine's browser, too")


def _add_label_options(one: argparse._ActionsContainer) -> None:
    text = "labels of the volume: an image of ids, one for each voxel; default name: the file's"
    one.add_argument("--labels", action="append", default=[], metavar="[NAME=]MASK", help=text)
    text = "what ids of labels or classes of points are: CSV (id, name, colour, acronym), or an ontology in JSON"
    one.add_argument("--classes", action="append", default=[], metavar="[NAME=]TABLE", help=text)
    text = "points or boxes in the volume: CSV, TSV, CellCounter XML or NPY; default name: the file's"
    one.add_argument("--points", action="append", default=[], metavar="[NAME=]TABLE", help=text)
    text = "what a table of points does not say: unit=pixel, first=0 (neuropress formats points)"
    one.add_argument("--points-option", action="append", default=[], metavar="NAME=VALUE", help=text)
    text = "of ids that are stored as floats"
    one.add_argument("--label-dtype", default="", choices=("", *LABEL_TYPES), metavar="TYPE", help=text)


def _add_reader_options(verb: argparse._ActionsContainer) -> None:
    text = "of the files' reader (neuropress formats)"
    verb.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help=text)


def _inspect_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("file", metavar="FILE", help="a raw file, or a folder of slices")
    verb.add_argument("--png", metavar="OUT", help="draw the first sweep, or the middle frame")
    verb.add_argument("--header", action="store_true", help="the whole header, too")
    what = "draft what a person declares of arrays (MAT, HDF5, NPY, text), for neuropress.toml; nothing is written"
    verb.add_argument("--write-mapping", action="store_true", help=what)
    _add_reader_options(verb)


def _add_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("files", nargs="+", metavar="FILE", help="raw files, or folders of slices")
    verb.add_argument("--lab", required=True, metavar="INITIALS", help="whose files they are")
    verb.add_argument("--session", metavar="ID", help="their session; default: the lab's of that day, or a new one")
    verb.add_argument("--subject", "--mouse", metavar="ID", help="their animal; one that is not known gets a row")
    verb.add_argument("--date", metavar="YYYYMMDD", help="the day, where the files do not tell it")
    verb.add_argument("--experimenter", metavar="NAME", help="of a new session")
    _add_reader_options(verb)
    verb.add_argument("--table", metavar="TABLE", help="where the content does not tell: sem_dataset, ...")
    verb.add_argument("--dataset", default=".", metavar="DIR", help="dataset folder (default: here)")


def _check_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--tables-only", action="store_true", help="open no raw file; compare with facts.jsonl")
    what = verb.add_mutually_exclusive_group()
    what.add_argument("--letter", metavar="LAB", help="what this lab should mend, in plain words; - for no lab")
    what.add_argument("--propose", metavar="FILE", help="write fixes of damaged cells, for a person to edit and sign")
    what.add_argument("--apply", metavar="FILE", help="take over the signed fixes; the tables stay as they are")
    what.add_argument("--since", metavar="REF", help="fail only on what git revision REF did not have")
    verb.add_argument(
        "--changed", nargs="*", metavar="FILE", help="check the datasets that these files belong to, wherever they lie"
    )
    verb.add_argument("--html", action="store_true", help="the letter as a page")
    verb.add_argument("--format", choices=FORMATS, default="text", help="of the findings; default: %(default)s")


def _verify_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--source", action="append", default=[], metavar="DIR", help="where raw files lie")
    verb.add_argument(
        "--independent",
        action="store_true",
        help="have other libraries read the raw files, too: neo and pyABF (ABF), Pillow (TIFF, PNG)",
    )


def _demo_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("dir", nargs="?", default="neuropress-demo", metavar="DIR", help="a new folder")


def _init_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("dir", metavar="DIR", help="a new or empty folder")
    verb.add_argument("--profile", default="generic", metavar="P", help="see neuropress profiles; default: %(default)s")
    lab = verb.add_argument_group("your lab (asked for on a terminal; not needed where the profile has labs)")
    lab.add_argument("--lab", metavar="AB", help="initials, with which all its keys begin")
    lab.add_argument("--name", metavar="NAME", help='as "Smith lab"')
    lab.add_argument("--institution", metavar="NAME", help='as "University of X"')
    lab.add_argument("--timezone", metavar="ZONE", help="of its clocks, as Europe/Berlin")
    lab.add_argument("--species", metavar="NAME", help='of all its animals, if it is one, as "Mus musculus"')
    whole = verb.add_argument_group("its releases (asked for on a terminal; may be stated later)")
    whole.add_argument("--title", metavar="TEXT", help='what they are called, as "Dendrites of layer 5"')
    whole.add_argument("--license", metavar="NAME", help="of the data, by its SPDX name, as CC-BY-4.0")
    verb.add_argument(
        "--with", action="append", default=[], metavar="TABLE", dest="optional", help="an optional table of the profile"
    )


def _schema_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("action", choices=("import",), help="draft from attribute lists")
    verb.add_argument("lists", metavar="DIR", help="folder with the lists: *.json, *.md")
    verb.add_argument("--to", default=".", metavar="FOLDER", help="where the drafts go; default: here")
    verb.add_argument("--name", default="drafted", metavar="NAME", help="of the profile; default: %(default)s")


def _explain_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("file", metavar="FILE", help="an NWB file or an OME-Zarr folder; with --cell, a dataset")
    verb.add_argument("field", nargs="?", metavar="FIELD", help="as /general/subject/weight, or its end")
    verb.add_argument("--all", action="store_true", help="every field, not a summary")
    verb.add_argument("--cell", metavar="CELL", help="of a dataset: where mouse.RY_M_0001.weight went")


def _export_tables_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("source", metavar="SOURCE", help="a dataset, an output folder or a release")
    verb.add_argument("--to", required=True, metavar="OUT", help="folder for the CSV files")
    verb.add_argument("--release", metavar="N", help="of a release's URL; default: the newest")
    verb.add_argument("--endpoint", metavar="URL", help="of an S3 server other than AWS")


def _publish_options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--to", metavar="URL", help="a folder or s3://bucket/prefix")
    verb.add_argument("--release", metavar="N", help="the release's number, as 1.0.0; needed without --dandi")
    add_dandi(verb)
    verb.add_argument("--endpoint", metavar="URL", help="of an S3 server other than AWS")
    verb.add_argument("--dry-run", action="store_true", help="say what would change and be sent; send nothing")
    verb.add_argument("--allow-errors", action="store_true", help="publish in spite of errors; recorded")
    verb.add_argument(
        "--accept-loss",
        action="append",
        default=[],
        metavar="NAME",
        help="what may be lost: an asset, mouse, mouse.RY_M_0001, mouse.*.weight; recorded",
    )
    group = verb.add_argument_group("selection (each may be repeated; everything else is inherited)")
    group.add_argument("--lab", action="append", default=[], metavar="INITIALS", help="only these labs")
    group.add_argument("--session", action="append", default=[], metavar="ID", help="only these sessions")
    group.add_argument("--only", action="append", default=[], choices=PUBLISHED, help="only this kind of data")


def _add_selection(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("selection (each may be repeated)")
    group.add_argument("--session", action="append", default=[], metavar="ID", help="only these sessions")
    group.add_argument("--lab", action="append", default=[], metavar="INITIALS", help="only these labs")
    group.add_argument("--object", action="append", default=[], metavar="ID", help="only these rows")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _extents(text: str) -> tuple[int, ...]:
    parts = text.replace("x", ",").split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} are not three numbers, as 64,64,64")
    return tuple(int(part) for part in parts)


def _part(text: str) -> str:
    try:
        return str(RunPart.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _size(text: str) -> int:
    """Bytes from a size as job schedulers take it: K, M, G and T are powers of 1024."""
    number, power = (text[:-1], "KMGT".index(text[-1].upper()) + 1) if text[-1:].upper() in tuple("KMGT") else (text, 0)
    if not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size, as 8G or 500M")
    return int(number) * int(1024**power)
