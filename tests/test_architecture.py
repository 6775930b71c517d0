"""The architecture holds: imports point down, every reader and converter has its parts."""

import ast
import importlib
from pathlib import Path

import pytest

from neuropress.converters import CONVERTERS, load_converter
from neuropress.mapping.rules import check_mapping, load_mapping
from neuropress.model.finding import catalogue
from neuropress.model.profile import load_profile
from neuropress.readers import BUILT_IN, Format
from neuropress.readers.format import check_options
from neuropress.readers.images import IMAGE_FINDINGS

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "neuropress"

# What each part may import, besides itself and the model; from bottom to top.
ALLOWED = {
    "model": set(),
    "registry": set(),
    "storage": set(),
    "readers": {"registry", "tools"},
    "mapping": set(),
    "tables": {"mapping"},
    "results": {"readers", "storage"},
    "independent": {"registry", "results", "storage"},
    "interop": set(),
    "tools": set(),
    "viewing": set(),
    "execution": {"readers", "results"},
    "checks": {"mapping", "results", "tables"},
    "converters": {"mapping", "registry", "results"},
    "config": {"readers", "results", "storage", "tables"},
    "planning": {"checks", "config", "converters", "mapping", "readers", "results", "storage", "tables"},
    "proof": {"independent", "readers", "results", "storage"},
    "workspace": {"checks", "config", "planning", "proof", "storage", "tables"},
    "release": {"storage"},
    "archive": {"storage"},
    "publishing": {"archive", "checks", "config", "independent", "planning", "proof", "release", "results", "storage", "tables", "tools", "workspace"},
    "verbs/adding": {"config", "converters", "planning", "readers", "storage", "tables", "workspace"},
    "verbs/changed": {"config", "tables"},
    "verbs/check": {"checks", "config", "planning", "storage", "tables", "verbs/letter", "verbs/since", "workspace"},
    "verbs/convert": {"config", "execution", "planning", "readers", "results", "storage", "verbs/watch", "workspace"},
    "verbs/coverage": {"config", "converters", "planning", "results", "tables", "workspace"},
    "verbs/docs": set(),
    "verbs/drafting": {"results", "storage"},
    "verbs/explain": {"config", "independent", "results", "storage", "verbs/verify", "workspace"},
    "verbs/export": {"config", "planning", "publishing", "release", "results", "storage", "tables"},
    "verbs/fix": {"config", "storage", "tables", "workspace"},
    "verbs/formats": {"readers"},
    "verbs/init": {"config", "storage", "tables", "workspace"},
    "verbs/drawing": set(),
    "verbs/inspect": {"readers", "storage", "verbs/drawing"},
    "verbs/inventory": {"planning", "workspace"},
    "verbs/letter": set(),
    "verbs/parts": {"planning", "storage", "verbs/convert", "workspace"},
    "verbs/plan": {"planning", "results", "verbs/status", "workspace"},
    "verbs/profiles": {"config"},
    "verbs/publish": {"publishing", "storage", "verbs/check", "workspace"},
    "verbs/rebuild": {"proof", "publishing", "release", "results", "storage", "verbs/convert", "verbs/releases", "workspace"},
    "verbs/releases": {"archive", "config", "publishing", "release", "storage"},
    "verbs/run": {"verbs/check", "verbs/convert", "verbs/validate", "verbs/verify", "workspace"},
    "verbs/since": set(),
    "verbs/single": {"config", "planning", "readers", "results", "storage", "tables", "verbs/convert", "verbs/validate", "verbs/verify"},
    "verbs/status": {"config", "independent", "planning", "proof", "publishing", "storage", "workspace"},
    "verbs/validate": {"config", "proof", "results", "storage", "tools", "verbs/verify", "workspace"},
    "verbs/restructure": {"planning", "readers", "results", "storage", "verbs/single"},
    "verbs/view": {"config", "results", "storage", "viewing"},
    "verbs/verify": {"config", "independent", "proof", "results", "storage", "workspace"},
    "verbs/watch": {"config", "planning", "storage"},
    "api": {"config", "planning", "publishing", "readers", "storage", "verbs/adding", "verbs/check", "verbs/convert", "verbs/coverage", "verbs/explain", "verbs/export", "verbs/fix", "verbs/init", "verbs/inventory", "verbs/letter", "verbs/parts", "verbs/plan", "verbs/publish", "verbs/run", "verbs/status", "verbs/validate", "verbs/verify", "workspace"},
    "cli": {"api", "config", "publishing", "readers", "results", "storage", "tools", "verbs/adding", "verbs/changed", "verbs/coverage", "verbs/docs", "verbs/drafting", "verbs/explain", "verbs/export", "verbs/fix", "verbs/formats", "verbs/inspect", "verbs/inventory", "verbs/letter", "verbs/profiles", "verbs/rebuild", "verbs/releases", "verbs/restructure", "verbs/single", "verbs/validate", "verbs/verify", "verbs/view", "viewing", "workspace"},
    "data": set(),
}  # fmt: skip


def part_of(path: Path) -> str:
    return part_named([*path.relative_to(SOURCE).with_suffix("").parts])


def part_named(parts: list[str]) -> str:
    """The first part of a module's name; each verb is a part of its own."""
    return "/".join(parts[:2]) if parts[0] == "verbs" and len(parts) > 1 else parts[0]


def imported_parts(path: Path) -> set[str]:
    """Parts of neuropress that a module imports, relative imports resolved."""
    package = ["neuropress", *path.relative_to(SOURCE).with_suffix("").parts]
    if path.name != "__init__.py":
        package.pop()
    else:
        package = package[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module] if node.module else base)
            names = [module] if module != "neuropress" else [f"neuropress.{alias.name}" for alias in node.names]
        else:
            continue
        if isinstance(node, ast.ImportFrom) and names[0].endswith(".verbs"):
            names = [f"{names[0]}.{alias.name}" for alias in node.names]
        found |= {part_named(name.split(".")[1:]) for name in names if name.startswith("neuropress.")}
    return found - {"__version__", "verbs/__init__"}


def modules() -> list[Path]:
    linked = (SOURCE / "converters").glob("*.py")  # rglob does not follow links before Python 3.13
    return sorted(linked) + sorted(
        p for p in SOURCE.rglob("*.py") if (p.name != "__main__.py" and p.parent != SOURCE) or p.stem != "__init__"
    )


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    if part in ("__init__", "__main__", "data", "verbs/__init__"):
        return
    above = imported_parts(path) - ALLOWED[part] - {part, "model"}
    assert not above, f"{part} must not import {sorted(above)}"


@pytest.mark.parametrize("format", BUILT_IN, ids=lambda f: f.name)
def test_every_reader_has_its_parts(format: Format) -> None:
    assert callable(format.load().read)
    assert (ROOT / f"tests/readers/test_{format.name}.py").is_file()
    for said in (*format.options, *format.facts):
        assert said.name, format.name
    assert all(option.doc.endswith(".") for option in format.options)
    assert check_options({}, format, ()) == ""


def test_every_reader_package_is_named() -> None:
    packages = {p.parent.name for p in (SOURCE / "readers").glob("*/read.py")}
    assert packages == {format.name for format in BUILT_IN}


@pytest.mark.parametrize("format", BUILT_IN, ids=lambda f: f.name)
def test_every_reader_declares_the_findings_that_its_code_names(format: Format) -> None:
    shared = (SOURCE / "readers" / "images").glob("*.py")
    named: set[str] = set()
    for path in (SOURCE / "readers" / format.name).glob("*.py"):
        named |= finding_ids(path)
    if set(IMAGE_FINDINGS) <= set(format.findings):
        named = named.union(*map(finding_ids, shared))
    if "microscope.damaged" in format.findings:
        named = named.union(*map(finding_ids, (SOURCE / "readers" / "microscopes").glob("*.py")))
    if "voxels.damaged" in format.findings:
        named = named.union(*map(finding_ids, (SOURCE / "readers" / "voxels").glob("*.py")))
    if "microscope.plane" in format.findings:
        named = named.union(*map(finding_ids, (SOURCE / "readers" / "folders").glob("*.py")))
    if "tiff.member" in format.findings:
        named |= finding_ids(SOURCE / "readers" / "tiff" / "read.py")
    if "arrays.declaration" in format.findings:
        named = named.union(*map(finding_ids, (SOURCE / "readers" / "arrays").glob("*.py")))
    if "neuroconv.failed" in format.findings:
        named |= finding_ids(SOURCE / "tools" / "neuroconv.py")
    if "pose.damaged" in format.findings:
        named = named.union(*map(finding_ids, (SOURCE / "readers" / "pose").glob("*.py")))
    if "arrays.unsafe" in format.findings:
        named |= finding_ids(SOURCE / "readers" / "arrays" / "hdf5.py")
    assert {id for id in named if id.split(".")[0] not in ("file", "format")} <= set(format.findings)
    assert set(format.findings) <= set(catalogue())
    assert set(format.findings) - set(IMAGE_FINDINGS) <= named


def finding_ids(path: Path) -> set[str]:
    """Ids of the catalogue among the texts of a module; what a declaration lists does not count."""
    if path.name == "__init__.py":
        return set()
    texts = (node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant))
    return {text for text in texts if isinstance(text, str) and text in catalogue()}


@pytest.mark.parametrize("name", ["session", *CONVERTERS])
def test_every_converter_has_its_parts(name: str) -> None:
    module = load_converter(name)
    assert name == module.NAME
    assert isinstance(module.REVISION, int)
    assert (ROOT / f"mappings/{name}.toml").is_file()
    assert (ROOT / f"tests/converters/test_{name}.py").is_file()
    check_mapping(load_mapping(name), module.SLOTS, module.BINDINGS, load_profile("dendritic-consortium"))


def test_every_converter_module_and_mapping_is_named() -> None:
    modules = {p.stem for p in (ROOT / "converters").glob("*.py") if not p.stem.startswith("_")}
    mappings = {p.stem for p in (ROOT / "mappings").glob("*.toml")}
    assert modules == mappings == {"session", *CONVERTERS}


def test_every_finding_that_code_names_is_in_the_catalogue_and_none_is_idle() -> None:
    named = set()
    for path in (*SOURCE.rglob("*.py"), *(ROOT / "converters").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in catalogue():
                named.add(node.value)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("finding", "problem") and node.args:
                first = node.args[0]
                assert not isinstance(first, ast.Constant) or first.value in catalogue(), first.value
    assert set(catalogue()) - named == set()


def test_catalogue_entries_are_whole() -> None:
    for name, entry in catalogue().items():
        assert set(entry) == {"severity", "meaning", "example", "fix"}, name
        assert entry["severity"] in ("error", "warning", "info"), name


def test_no_long_files_or_functions() -> None:
    for folder in ("src", "converters", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            assert text.count("\n") <= 500, path
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef):
                    assert (node.end_lineno or 0) - node.lineno < 60, f"{path}: {node.name}"


def test_public_modules_import_without_heavy_libraries() -> None:
    assert importlib.import_module("neuropress.cli.main")
