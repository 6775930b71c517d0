"""What stands under every ``--help``: commands as people type them."""

from __future__ import annotations

EXAMPLES = {
    "demo": ("neuropress demo", "neuropress demo /tmp/example"),
    "init": (
        'neuropress init ds --lab AB --name "Smith lab" --institution "University of X" --timezone Europe/Berlin',
        "neuropress init ds --profile dendritic-consortium --with injection",
    ),
    "profiles": ("neuropress profiles", "neuropress profiles ds --json"),
    "docs": ("neuropress docs", "neuropress docs lab-member", "neuropress docs columns"),
    "formats": ("neuropress formats", "neuropress formats tiff"),
    "inspect": ("neuropress inspect cell1.abf", "neuropress inspect movie.tif --png frame.png"),
    "add": (
        "neuropress add cell1.abf movie.tif --lab AB --dataset ds",
        "neuropress add stack/ --lab AB --table sem_dataset --subject AB_SUB_0001 --date 20250620",
    ),
    "status": ("neuropress status ds", "neuropress status ds --session AB_S_0001"),
    "check": (
        "neuropress check ds",
        "neuropress check ds --tables-only --format github",
        "neuropress check ds --letter AB --html > letter.html",
        "neuropress check ds --propose fixes.csv",
    ),
    "restructure": (
        "neuropress restructure old.ome.zarr --to new.ome.zarr",
        "neuropress restructure old.ome.zarr --version 0.4 --chunks 128,128,128 --zstd-level 3",
    ),
    "facts": ("neuropress facts ds",),
    "plan": ("neuropress plan ds", "neuropress plan ds --json --session AB_S_0001"),
    "convert": (
        "neuropress convert ds --workers 4",
        "neuropress convert ds --part 3/16",
        'neuropress convert cell1.abf --to cell1.nwb --timezone Europe/Berlin --subject m7 --species "Mus musculus"',
        "neuropress convert stack.tif --to stack.ome.zarr --pixel-size 0.5",
    ),
    "verify": ("neuropress verify ds", "neuropress verify cell1.nwb --source ."),
    "validate": ("neuropress validate ds", "neuropress validate cell1.nwb", "neuropress validate ds --dandi"),
    "run": ("neuropress run ds", "neuropress run ds --lab AB --workers 4"),
    "view": ("neuropress view stack.ome.zarr", "neuropress view s3://bucket/prefix/stack.ome.zarr --port 8080"),
    "schema": ("neuropress schema import lists/ --to ds --name mine",),
    "explain": (
        "neuropress explain cell1.nwb",
        "neuropress explain cell1.nwb species",
        "neuropress explain ds --cell session.AB_S_0001.start_time",
    ),
    "coverage": ("neuropress coverage ds", "neuropress coverage ds --json"),
    "export-tables": ("neuropress export-tables ds --to tables-again",),
    "publish": (
        "neuropress publish ds --to s3://bucket/prefix --release 1.0.0 --dry-run",
        "neuropress publish ds --to ../release --release 1.0.0",
        "neuropress publish ds --dandi 000123 --dry-run",
    ),
    "releases": (
        "neuropress releases list ../release",
        "neuropress releases verify s3://bucket/prefix --deep",
        "neuropress releases get ../release copy --lab AB",
    ),
    "tools": ("neuropress tools list", "neuropress tools install dandi", "neuropress tools remove dandi"),
    "completion": ("neuropress completion bash > ~/.local/share/bash-completion/completions/neuropress",),
}


def format_examples(verb: str) -> str:
    """The end of a verb's help."""
    return "\n".join(("examples:", *(f"  {line}" for line in EXAMPLES[verb])))
