"""Small faults put into the code one by one: each must make a test fail.

``python tests/mutants.py --seed 1 --count 120 [--jobs 2] [--only release]``

``mutants.toml`` says which modules are tried with which tests, and which faults are known to survive
and why. A sample drawn by the seed is tried in copies of the tree; a fault that no test notices and
that is not on the list ends the run with 1. Each fault is tried with those tests that run its statement,
also in child processes.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from mutant_lines import FOLDER, LINES
from mutant_plugin import CHOSEN, TIMES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "src/neuropress"
TABLE = ROOT / "tests/mutants.toml"
COPIED = ("src", "converters", "mappings", "schemas", "tests", "docs", "pyproject.toml", "README.md", "constraints.txt")
# What is written for people, or tunes speed only: no test should depend on it.
SKIPPED_FUNCTIONS = {"__repr__", "__str__"}
SKIPPED_CALLS = {"problem", "finding", "progress", "print"}
SKIPPED_NAMES = {"message", "hint", "why", "WORKERS", "LARGE_WORKERS", "PIECE", "SHOWN"}
SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
EXACT = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
HANGS = -signal.SIGALRM
"""Exit status of tests that do not come to an end."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault: the node at a place in a file, replaced by other code; `lines` are those of its statement."""

    file: str
    line: int
    code: str
    change: str
    source: str
    lines: range

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.code}   # {self.change}"

    @property
    def id(self) -> tuple[str, str, str]:
        """What names it in the list of survivors, wherever its line moves."""
        return self.file, self.code, self.change


def replace(node: ast.AST, **fields: object) -> ast.AST:
    """A copy of a node with other fields."""
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def faults(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Nodes to replace, and the code to put there, that a node gives rise to."""
    match node:
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise():
            yield node, "pass"
        case ast.Yield() | ast.YieldFrom():
            yield node, "(yield from ())"
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            if not isinstance(test, ast.Constant) and not _is_exact(test):
                yield test, f"not ({ast.unparse(test)})"
        case ast.comprehension(ifs=tests):
            for test in tests:
                if not _is_exact(test):
                    yield test, f"(not ({ast.unparse(test)}))"
        case ast.Compare(ops=[op]):
            yield node, f"({ast.unparse(replace(node, ops=[SWAPPED[type(op)]()]))})"
        case ast.BoolOp(op=op):
            yield node, f"({ast.unparse(replace(node, op=ast.Or() if isinstance(op, ast.And) else ast.And()))})"
        case ast.Return(value=ast.expr() as value):
            neutral = _neutral(value)
            if neutral != ast.unparse(value):
                yield node, f"return {neutral}"
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            yield node, str(number + 1)


def _is_exact(test: ast.expr) -> bool:
    """Whether swapping its operator negates a test already."""
    return isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], EXACT)


def _neutral(value: ast.expr) -> str:
    match value:
        case ast.Constant(value=bool() as known):
            return str(not known)
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return "True"
        case ast.List() | ast.Tuple() | ast.ListComp() | ast.GeneratorExp():
            return "()"
        case _:
            return "None"


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but docstrings, annotations, decorators, messages and what only type checkers see."""
    match node:
        case ast.FunctionDef(name=name) if name in SKIPPED_FUNCTIONS:
            return
        case ast.Call(func=ast.Name(id=name)) if name in SKIPPED_CALLS:
            return
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))) if name in SKIPPED_CALLS:
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.JoinedStr():
            return
        case ast.Assign(targets=[ast.Name(id=name)]) if name in SKIPPED_NAMES:
            return
        case ast.BinOp(op=ast.Pow()):
            return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from walk(child)


def mutants_of(file: str, text: str) -> Iterator[Mutant]:
    """Every fault that a module can be given."""
    data = text.encode()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    lines = text.splitlines()
    tree = ast.parse(text)
    statements = [(one, _list_own_lines(one)) for one in ast.walk(tree) if isinstance(one, ast.stmt)]
    for parent in walk(tree):
        for node, new in faults(parent):
            begin = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
            end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
            old = " ".join(data[begin:end].decode().split())
            made = (data[:begin] + new.encode() + data[end:]).decode()
            line = node.lineno  # type: ignore[attr-defined]
            own = min((own for _, own in statements if line in own), key=len)
            yield Mutant(file, line, lines[line - 1].strip(), f"{old} -> {new}", made, own)


def _list_own_lines(statement: ast.stmt) -> range:
    """Lines of a statement, without those of the statements in it."""
    inner = [child.lineno for child in ast.walk(statement) if isinstance(child, ast.stmt) and child is not statement]
    end = min(inner, default=(statement.end_lineno or statement.lineno) + 1)
    return range(statement.lineno, max(end, statement.lineno + 1))


@dataclass(frozen=True, slots=True)
class Table:
    """``mutants.toml``: tests by file, the first pattern that fits; survivors with their reasons."""

    tests: dict[str, tuple[str, ...]]
    survivors: dict[tuple[str, str, str], str]

    @classmethod
    def load(cls) -> Table:
        """Read the file; patterns are resolved."""
        data = tomllib.loads(TABLE.read_text("utf-8"))
        tests: dict[str, tuple[str, ...]] = {}
        for group in data["group"]:
            for pattern in group["modules"]:
                found = sorted((ROOT / PACKAGE).glob(pattern))
                if not found:
                    raise SystemExit(f"{TABLE.name}: no module is called {pattern}")
                for path in found:
                    tests.setdefault(path.relative_to(ROOT).as_posix(), tuple(group["tests"]))
        survivors = {(s["file"], s["code"], s["change"]): s["reason"] for s in data.get("survivor", ())}
        return cls(tests, survivors)


class Bench:
    """Copies of the tree, one for each job, in which tests are run."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self._copies: queue.Queue[Path] = queue.Queue()
        for number in range(jobs):
            root = folder / str(number)
            for name in COPIED:
                source = ROOT / name
                if source.is_dir():
                    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
                    shutil.copytree(source, root / name, symlinks=True, ignore=ignore)
                else:
                    shutil.copyfile(source, root / name)
            self._copies.put(root)

    def time(self, tests: Iterable[str]) -> Coverage:
        """Run tests without a fault, and note what they take and run."""
        with self._copy() as root:
            status = _run_tests(root, [*tests], {})
            if status != 0:
                output = (root / "tests.out").read_text("utf-8", errors="replace")
                raise SystemExit(f"these tests fail without a fault: {' '.join(tests)}\n{output[-3000:]}")
            return Coverage.read(root / "tmp")

    def run(self, tests: Mapping[str, float], mutant: Mutant) -> int:
        """Exit status of the tests with a fault in the code."""
        with self._copy() as root:
            (root / mutant.file).write_text(mutant.source, encoding="utf-8")
            try:
                return _run_tests(root, list(dict.fromkeys(name.partition("::")[0] for name in tests)), tests)
            finally:
                shutil.copyfile(ROOT / mutant.file, root / mutant.file)

    @contextmanager
    def _copy(self) -> Iterator[Path]:
        root = self._copies.get()
        try:
            yield root
        finally:
            self._copies.put(root)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Seconds of each test, and the tests that run each line of a file."""

    times: Mapping[str, float]
    tests: Mapping[tuple[str, int], set[str]]

    @classmethod
    def read(cls, folder: Path) -> Coverage:
        """What a run of tests has noted."""
        tests: dict[tuple[str, int], set[str]] = {}
        for noted in (folder / LINES).read_text("utf-8", errors="replace").split("\n"):
            file, _, rest = noted.partition("\t")
            line, _, test = rest.partition("\t")
            if line.isdigit():
                tests.setdefault((f"{PACKAGE}/{file}", int(line)), set()).add(test)
        return cls(json.loads((folder / TIMES).read_text()), tests)

    def choose_tests(self, mutant: Mutant) -> dict[str, float]:
        """Tests that run the statement, in their order; all, where it runs when a module is imported."""
        found = set().union(*(self.tests.get((mutant.file, line), set()) for line in mutant.lines))
        return {name: seconds for name, seconds in self.times.items() if name in found or "" in found}


def _run_tests(root: Path, tests: Sequence[str], chosen: Mapping[str, float]) -> int:
    scratch = root / "tmp"
    shutil.rmtree(root / ".hypothesis", ignore_errors=True)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    path = [root / "src", root / "tests"]
    if chosen:
        (scratch / CHOSEN).write_text(json.dumps(chosen))
    else:
        (scratch / "site").mkdir()
        package = f"{root / PACKAGE}{os.sep}"
        code = f"from mutant_lines import trace_lines\ntrace_lines({package!r})\n"
        (scratch / "site/sitecustomize.py").write_text(code)
        path.append(scratch / "site")
    changed = {
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(scratch),
        FOLDER: str(scratch),
    }
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "mutant_plugin", "--hypothesis-seed=0"]
    with (root / "tests.out").open("wb") as out:
        # A session of its own, so that servers and children of the tests end with it.
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=root,
            env=os.environ | changed,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            status = process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status > 1:
        raise SystemExit(
            f"tests end with {status}: {(root / 'tests.out').read_text('utf-8', errors='replace')[-2000:]}"
        )
    return status


def try_mutants(table: Table, chosen: list[Mutant], jobs: int) -> list[Mutant]:
    """The mutants that no test notices. Tests must pass without a fault first."""
    survivors = []
    with TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        os.chmod(folder, 0o755)  # servers that the tests start have users of their own
        bench = Bench(Path(folder), jobs)
        groups = sorted({table.tests[mutant.file] for mutant in chosen})
        coverage = dict(zip(groups, pool.map(bench.time, groups), strict=True))

        def run(mutant: Mutant) -> tuple[int, int]:
            tests = coverage[table.tests[mutant.file]].choose_tests(mutant)
            return len(tests), bench.run(tests, mutant) if tests else 0

        for done, (mutant, (count, status)) in enumerate(zip(chosen, pool.map(run, chosen), strict=True), 1):
            if status == 0:
                survivors.append(mutant)
            outcome = {0: f"survives {count} tests", 1: "is noticed", HANGS: "does not end"}.get(status, "crashes")
            listed = ", as listed" if status == 0 and mutant.id in table.survivors else ""
            print(f"[{done}/{len(chosen)}] {outcome}{listed}: {mutant}", flush=True)
    return survivors


def draw(known: list[Mutant], table: Table, seed: int, count: int) -> list[Mutant]:
    """So many mutants, or all for 0: of each group of modules about as many, however long its modules are."""
    groups: dict[tuple[str, ...], list[Mutant]] = {}
    for mutant in known:
        groups.setdefault(table.tests[mutant.file], []).append(mutant)
    random_ = random.Random(seed)
    for group in groups.values():
        random_.shuffle(group)
    rounds = (one for row in zip_longest(*groups.values()) for one in row if one)
    return sorted(islice(rounds, count or None), key=lambda m: (m.file, m.line, m.change))


def main() -> int:
    """Draw, try, report; 1 for a survivor that is not listed, or a listed one that the code does not have."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=120, help="so many are drawn; 0 for all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="of what is drawn, modules whose path holds this text")
    parser.add_argument("--list", action="store_true", help="print what is drawn, try nothing")
    options = parser.parse_args()
    table = Table.load()
    known = [m for file in table.tests for m in mutants_of(file, (ROOT / file).read_text("utf-8"))]
    gone = table.survivors.keys() - {mutant.id for mutant in known}
    for file, code, change in sorted(gone):
        print(f"{TABLE.name} lists what {file} does not have: {code}   # {change}")
    chosen = [m for m in draw(known, table, options.seed, options.count) if options.only in m.file]
    if options.list:
        for mutant in chosen:
            print(mutant)
        return 0
    survivors = try_mutants(table, chosen, options.jobs)
    new = [mutant for mutant in survivors if mutant.id not in table.survivors]
    for file, number in sorted(Counter(mutant.file for mutant in chosen).items()):
        left = sum(mutant.file == file for mutant in survivors)
        print(f"{file}: {number} tried, {number - left} killed, {left} survive")
    listed = len(survivors) - len(new)
    print(
        f"{len(chosen)} of {len(known)} tried: {len(chosen) - len(survivors)} killed, {listed} listed, {len(new)} new"
    )
    return 1 if new or gone else 0


if __name__ == "__main__":
    sys.exit(main())
