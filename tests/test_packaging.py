"""What is installed is what is in the tree, under one name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from neuropress import Dataset
from neuropress.cli.main import main

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns(
        ".git", ".venv*", "*.egg-info", "build", "dist", "__pycache__", ".*_cache", "neuropress-demo*"
    )
    tree = shutil.copytree(ROOT, folder / "tree", symlinks=True, ignore=ignore)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(tree))
    (built,) = folder.glob("*.whl")
    return built


def tree_files() -> set[str]:
    """Every file that belongs to the package, by its place in it."""
    found = set()
    links = {"converters": "converters", "data/schemas": "schemas", "data/mappings": "mappings", "data/docs": "docs"}
    places = {"": ROOT / "src/neuropress"} | {f"{link}/": ROOT / folder for link, folder in links.items()}
    for prefix, folder in places.items():
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            linked = not prefix and inside.as_posix().startswith(tuple(links))
            if path.is_file() and "__pycache__" not in path.parts and not linked:
                found.add(f"neuropress/{prefix}{inside.as_posix()}")
    return found


def test_the_wheel_holds_exactly_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}
    assert names == tree_files()


def test_the_installed_wheel_is_one_name_and_works(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    names = {p.name for p in site.iterdir()} - {"bin", "Scripts"}
    assert {n for n in names if not n.endswith(".dist-info")} == {"neuropress"}
    environment = os.environ | {"PYTHONPATH": str(site)}
    code = "import neuropress, sys; from neuropress.cli.main import main; print(neuropress.__file__); sys.exit(main(['init', 'ds', '--profile', 'dendritic-consortium']) or main(['docs', 'lab-member']))"
    done = run(sys.executable, "-c", code, cwd=tmp_path, env=environment)
    assert str(site) in done.stdout
    assert "$ neuropress inspect cell1.abf" in done.stdout
    assert len(list((tmp_path / "ds/tables").glob("*.csv"))) >= 12


def test_relative_links_stand_in_the_source_tree() -> None:
    for name in ("converters", "data/schemas", "data/mappings"):
        assert (ROOT / "src/neuropress" / name / "__init__.py").is_file()
    assert (ROOT / "src/neuropress/data/docs/index.md").is_file()


def list_installed_by(requirements: list[str]) -> set[str]:
    """Names of all packages that requirements of this platform come to, without extras."""
    waiting, found = [Requirement(one) for one in requirements], set()
    while waiting:
        wanted = waiting.pop()
        if wanted.name.lower() not in found and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
            found.add(wanted.name.lower())
            waiting += [Requirement(one) for one in requires(wanted.name) or ()]
    return found


def test_the_base_install_plots_and_tests_nothing_and_all_is_every_extra_of_users() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = list_installed_by(project["dependencies"])
    assert {"pynwb", "zarr", "nwbinspector", "pandas", "aiohttp"} < base
    heavy = {"matplotlib", "pytest", "tensorstore", "scipy", "pillow", "neo", "pyabf", "boto3", "dask"}
    assert not base & (heavy | {"openpyxl", "psycopg", "botocore"})
    extras = project["optional-dependencies"]
    (everything,) = (Requirement(one) for one in extras["all"])
    assert everything.extras == extras.keys() - {"all", "docs", "test"}


@pytest.mark.parametrize(
    ("extra", "module", "source"),
    [("xlsx", "openpyxl", "tables.xlsx"), ("postgres", "psycopg", "postgresql://reader@localhost:1/lab")],
)
@pytest.mark.parametrize("verb", ["check", "status", "plan", "convert", "run"])
def test_a_missing_extra_is_named_with_its_command(
    verb: str,
    extra: str,
    module: str,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = Dataset.init(tmp_path / "ds", "dendritic-consortium").config.root
    (root / "tables.xlsx").write_bytes(b"PK")
    with (root / "neuropress.toml").open("a") as file:
        file.write(f'\n[tables]\nsource = "{source}"\n')
    monkeypatch.setitem(sys.modules, module, None)
    assert main([verb, str(root)]) == 1
    shown = capsys.readouterr()
    assert f"python -m pip install 'neuropress[{extra}]'" in shown.out
    assert "Traceback" not in shown.out + shown.err
