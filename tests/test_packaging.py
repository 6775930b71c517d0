"""What is installed is what is in the tree, under one name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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
